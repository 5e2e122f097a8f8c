import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import stripe

from paysaga.demo import probes, programs
from paysaga.demo.programs import Program
from paysaga.demo.settings import DemoSettings
from paysaga.demo.supervisor import Supervisor
from paysaga.domain.payment import PaymentState
from paysaga.temporal import connect
from tests.chaos.checker import Broken, judged
from tests.chaos.evidence import about
from tests.chaos.laboratory import Laboratory
from tests.chaos.shop import MoodyBook
from tests.chaos.stack import anywhere
from tests.fault_matrix.cells import CELLS, KILLS, Cell
from tests.fault_matrix.page import number
from tests.simulated import KEY, Simulated

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

NAMES = [f"{number(place)} {cell.name}" for place, cell in enumerate(KILLS, start=1 + len(CELLS))]
# So many workers at once: each is a process that starts, dies and starts again.
AT_ONCE = 8


@dataclass(frozen=True)
class Killed:
    """One payment whose worker was killed."""

    end: PaymentState
    broken: list[Broken]
    did_die: bool


@dataclass(frozen=True)
class Ward:
    """Server, simulator and shop of all kills; each has a namespace and a worker of its own."""

    settings: DemoSettings
    supervisor: Supervisor
    simulated: Simulated
    book: MoodyBook

    async def play(self, cell: Cell, number: int) -> Killed:
        """One payment and the death of its worker."""
        life = self.settings.state / f"life-{number}"
        await asyncio.to_thread(life.touch)
        worker = self._worker(cell, number, life)
        paysaga = programs.paysaga_settings(self.settings)
        temporal = await connect(paysaga.model_copy(update={"temporal_namespace": _space(number)}))
        lab = Laboratory(
            temporal, self.simulated, paysaga.database_url, self.settings.state, self.book
        )
        await self.supervisor.start(worker)
        try:
            end = await lab.play(cell.case)
            evidence = await lab.evidence()
        finally:
            await self.supervisor.retire(worker)
        broken = judged(about(evidence, cell.case.payment.id, is_repaired=cell.case.is_compared))
        return Killed(end, broken, did_die=not await asyncio.to_thread(life.exists))

    def _worker(self, cell: Cell, number: int, life: Path) -> Program:
        worker = programs.worker(self.settings)
        more = {
            "TEMPORAL_NAMESPACE": _space(number),
            "MORTAL_AT": f"{cell.call}/{cell.fault}",
            "MORTAL_LIFE": str(life),
        }
        # All have one database: each would hand over the mails of all.
        without_mails = {
            name: value for name, value in worker.environment.items() if name != "SMTP_URL"
        }
        return replace(
            worker,
            name=f"worker {number}",
            command=(worker.command[0], "-m", "tests.fault_matrix.mortal_worker"),
            environment={**without_mails, **more},
            is_ready=probes.always,
        )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def killed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Any]]:
    """All kills, a few beside each other."""
    settings = anywhere(tmp_path_factory.mktemp("kills"))
    async with AsyncExitStack() as stack:
        supervisor = await stack.enter_async_context(Supervisor(settings.state, print))
        await supervisor.start(*_around(settings), first=programs.migrations(settings))
        control = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"{settings.simulator_url}/_control", timeout=30)
        )
        http = stripe.HTTPXClient(timeout=10)
        stack.push_async_callback(http.close_async)
        client = stripe.StripeClient(
            KEY, http_client=http, base_addresses={"api": settings.simulator_url}
        )
        book = MoodyBook(settings.state / "shop.db")
        ward = Ward(settings, supervisor, Simulated(settings.simulator_url, client, control), book)
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(cell: Cell, number: int) -> Killed:
            async with gate:
                return await ward.play(cell, number)

        playing = [one(cell, place) for place, cell in enumerate(KILLS)]
        ends = await asyncio.gather(*playing, return_exceptions=True)
        yield {cell.name: end for cell, end in zip(KILLS, ends, strict=True)}


def _around(settings: DemoSettings) -> list[Program]:
    spaces = [word for number in range(len(KILLS)) for word in ("--namespace", _space(number))]
    temporal = programs.temporal(settings)
    shop = programs.shop(settings)
    quick = {"PAYMENT_PROCESSING_DELAY_MIN": "0", "PAYMENT_PROCESSING_DELAY_MAX": "20"}
    simulator = programs.simulator(settings)
    return [
        replace(temporal, command=(*temporal.command, *spaces)),
        replace(simulator, environment={**simulator.environment, **quick}),
        replace(shop, command=(shop.command[0], "-m", "tests.chaos.shop")),
    ]


def _space(number: int) -> str:
    return f"kill-{number}"


class TestKills:
    @pytest.mark.parametrize("cell", KILLS, ids=NAMES)
    async def test_the_payment_ends_right(self, killed: dict[str, Any], cell: Cell) -> None:
        """A worker killed at this moment leaves nothing undone, and nothing done twice."""
        found = killed[cell.name]

        assert isinstance(found, Killed), found
        assert found.did_die
        assert [] == found.broken
        assert cell.ends is found.end.status
