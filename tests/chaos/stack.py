"""Every process of a deployment, real, with two workers, on ports and in a directory of its own."""

import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import httpx
from temporalio.client import Client

from paysaga.demo import programs
from paysaga.demo.preflight import free_port
from paysaga.demo.programs import Program
from paysaga.demo.settings import DemoSettings
from paysaga.demo.supervisor import Supervisor
from paysaga.demo.world import asked
from paysaga.temporal import connect
from paysaga.tokens import Role, issue_token
from tests.chaos.shop import MoodyBook

WORKERS: Final = ("worker", "second worker")
HOLD_SECONDS: Final = 60
ACTION_SECONDS: Final = 10

_QUICK: Final = {
    "API_WAIT_SECONDS": "5",
    "LOG_LEVEL": "WARNING",
    "PAYMENT_ACTION_SECONDS": str(ACTION_SECONDS),
    "PAYMENT_HOLD_SECONDS": str(HOLD_SECONDS),
    "PAYMENT_PROCESSING_DELAY_MIN": "20",
    "PAYMENT_PROCESSING_DELAY_MAX": "400",
    "PAYMENT_SUCCESS_RATE": "1",
    "SIMULATOR_WEBHOOK_RETRY_BASE_SECONDS": "0.5",
    "SIMULATOR_WEBHOOK_RETRY_CAP_SECONDS": "5",
    "SIMULATOR_WEBHOOK_TIMEOUT_SECONDS": "5",
}


@dataclass(frozen=True)
class Stack:
    """The running deployment, as the chaos reaches it."""

    supervisor: Supervisor
    settings: DemoSettings
    database_url: str
    api: httpx.AsyncClient
    gateway: httpx.AsyncClient
    temporal: Client
    book: MoodyBook

    @property
    def pids(self) -> dict[str, int]:
        """The process ids by name, as the supervisor has written them down."""
        try:
            found: dict[str, int] = json.loads((self.settings.state / "processes.json").read_text())
        except (OSError, ValueError):
            return {}
        return found

    def signal(self, name: str, number: signal.Signals) -> int | None:
        """Send it to the process, if it runs; its id."""
        pid = self.pids.get(name)
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        return pid

    async def control(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Tell the simulator something, once it is there."""
        answer = await asked(lambda: self.gateway.request(method, f"/_control{path}", json=body))
        return answer.raise_for_status()


@asynccontextmanager
async def running(
    state: Path,
    log: Path,
    *,
    database_url: str | None = None,
    direct_url: str | None = None,
    **more: str,
) -> AsyncIterator[Stack]:
    """Start it all. The processes are told `database_url`; `direct_url` leads there unharmed."""
    settings = anywhere(state)
    told = _QUICK | more | ({"DATABASE_URL": database_url} if database_url else {})

    def ours(program: Program, name: str | None = None) -> Program:
        return replace(
            program, name=name or program.name, environment={**program.environment, **told}
        )

    shop = programs.shop(settings)
    shop = replace(shop, command=(shop.command[0], "-m", "tests.chaos.shop"))
    log.parent.mkdir(parents=True, exist_ok=True)
    async with AsyncExitStack() as stack:
        said = stack.enter_context(log.open("a"))
        supervisor = await stack.enter_async_context(
            Supervisor(state, lambda line: print(line, file=said, flush=True))
        )
        await supervisor.start(
            ours(programs.temporal(settings)),
            ours(programs.simulator(settings)),
            ours(shop),
            first=ours(programs.migrations(settings)),
        )
        workers = [ours(programs.worker(settings), name) for name in WORKERS]
        await supervisor.start(*workers, ours(programs.api(settings)))
        yield await _reached(stack, supervisor, settings, direct_url or database_url)


def anywhere(state: Path) -> DemoSettings:
    """On ports that are free."""
    return DemoSettings(
        state=state,
        shop_port=free_port(),
        api_port=free_port(),
        temporal_port=free_port(),
        temporal_ui_port=free_port(),
        simulator_port=free_port(),
        mail_port=free_port(),
    )


async def _reached(
    stack: AsyncExitStack,
    supervisor: Supervisor,
    settings: DemoSettings,
    database_url: str | None,
) -> Stack:
    paysaga = programs.paysaga_settings(settings)
    token = issue_token(paysaga, "shop", Role.SERVICE, timedelta(hours=2))
    limits = httpx.Limits(max_connections=400, max_keepalive_connections=50)

    def http(base: str, **headers: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=base, headers=headers, timeout=30, limits=limits)

    return Stack(
        supervisor=supervisor,
        settings=settings,
        database_url=database_url or paysaga.database_url,
        api=await stack.enter_async_context(
            http(f"{settings.api_url}/api/v1", Authorization=f"Bearer {token}")
        ),
        gateway=await stack.enter_async_context(http(settings.simulator_url)),
        temporal=await connect(paysaga, lazy=True),
        book=MoodyBook(settings.state / "shop.db"),
    )
