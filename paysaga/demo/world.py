"""Everything that a purchase meets, each through its own door: API, shop, gateway, runs, rows."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

import httpx
import stripe
from temporalio.client import Client
from temporalio.service import RPCError

from paysaga.database.engine import create_engine, sessions
from paysaga.database.reads import Reads
from paysaga.demo.programs import ORDER_SERVICE_TOKEN, paysaga_settings
from paysaga.demo.settings import DemoSettings
from paysaga.demo.trouble import Trouble
from paysaga.settings import Settings
from paysaga.temporal import connect
from paysaga.tokens import Role, issue_token

T = TypeVar("T")

# A process that was killed is back within seconds; a request is repeated for this long.
PATIENCE_SECONDS: Final = 90.0
PAUSE_SECONDS: Final = 0.3
TOKEN_LIFETIME: Final = timedelta(hours=1)
_AWAY: Final = (httpx.TransportError, RPCError, RuntimeError, stripe.APIConnectionError)
_LATER: Final = frozenset({429, 502, 503, 504})


@dataclass(frozen=True)
class World:
    """The clients of one run of the demo."""

    settings: DemoSettings
    paysaga: Settings
    api: httpx.AsyncClient
    hasty_api: httpx.AsyncClient
    shop: httpx.AsyncClient
    browser: httpx.AsyncClient
    stripe: stripe.StripeClient
    temporal: Client
    reads: Reads

    def token(self, subject: str, role: Role) -> dict[str, str]:
        """The header of somebody's request."""
        token = issue_token(self.paysaga, subject, role, TOKEN_LIFETIME)
        return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def open_world(settings: DemoSettings, hasty_port: int) -> AsyncIterator[World]:
    """Connect to all that the supervisor has started."""
    paysaga = paysaga_settings(settings)
    shopkeeper = issue_token(paysaga, "shop", Role.SERVICE, TOKEN_LIFETIME)

    def http(base: str, token: str) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(base_url=base, headers=headers, timeout=30)

    async with AsyncExitStack() as stack:
        engine = create_engine(paysaga.database_url)
        stack.push_async_callback(engine.dispose)
        gateway = stripe.HTTPXClient(timeout=30)
        stack.push_async_callback(gateway.close_async)
        yield World(
            settings=settings,
            paysaga=paysaga,
            api=await stack.enter_async_context(http(f"{settings.api_url}/api/v1", shopkeeper)),
            hasty_api=await stack.enter_async_context(
                http(f"http://127.0.0.1:{hasty_port}/api/v1", shopkeeper)
            ),
            shop=await stack.enter_async_context(http(settings.shop_url, ORDER_SERVICE_TOKEN)),
            browser=await stack.enter_async_context(http(settings.simulator_url, "")),
            stripe=stripe.StripeClient(
                paysaga.stripe_secret_key.get_secret_value(),
                http_client=gateway,
                base_addresses={"api": settings.simulator_url},
            ),
            temporal=await connect(paysaga, lazy=True),
            reads=Reads(sessions(engine)),
        )


async def asked(request: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """The answer; asked again while the other side is away, as a careful client would."""

    async def once() -> httpx.Response:
        answer = await request()
        if answer.status_code in _LATER:
            raise httpx.ReadError(f"{answer.status_code}: {answer.text}")
        return answer

    return await persistently(once)


async def persistently(call: Callable[[], Awaitable[T]]) -> T:
    """The result, called again while a process is away.

    Raises:
        Trouble: It stayed away.
    """
    end = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while True:
        try:
            return await call()
        except _AWAY as error:
            if asyncio.get_running_loop().time() > end:
                raise Trouble(f"No answer for {PATIENCE_SECONDS:.0f} seconds: {error}") from error
            await asyncio.sleep(PAUSE_SECONDS)
