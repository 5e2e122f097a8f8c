"""What is only read may be read again: a fault delays the sweep and reconciliations, no more."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.errors import Trouble
from activities.stripe_audit import AuditOrder, AuditRef, MovementsOrder, StripeAudit
from activities.sweeping import EventList
from paysaga.database.engine import create_engine, sessions
from paysaga.database.inbox import Inbox
from paysaga.demo.world import asked
from tests.database.databases import Databases
from tests.fault_matrix.cells import CELLS, GATEWAY_FAULTS, KILLS
from tests.fault_matrix.page import number
from tests.fault_matrix.reads import READS, ReadCell
from tests.simulated import Simulated, running_simulator

pytestmark = pytest.mark.full

FIRST = 1 + len(CELLS) + len(KILLS)
NAMES = [f"{number(place)} {cell.call}: {cell.fault}" for place, cell in enumerate(READS, FIRST)]
# A burst refuses three times; by the fourth every fault is over.
TRIES = 4


@dataclass(frozen=True)
class Reader:
    """The gateway, what it has, and how each activity reads it."""

    simulated: Simulated
    databases: Databases
    intents: tuple[str, ...]

    async def read(self, cell: ReadCell) -> Any:
        """What the activity has learned in the end, however often it had to be asked."""
        activity, _, _ = cell.call.partition(", ")
        reading: dict[str, Callable[[], Awaitable[Any]]] = {
            "read_page": self._events,
            "audit_payments": self._payments,
            "list_movements": self._movements,
        }
        return await reading[activity]()

    async def _events(self) -> Any:
        engine = create_engine(await self.databases.migrated("sqlite"))
        made = sessions(engine)
        page = await _asked(EventList(self.simulated.client, made).read_page)
        kept = await Inbox(made).unprocessed(100)
        await engine.dispose()
        return page, sorted(event.id for event in kept)

    async def _payments(self) -> Any:
        refs = tuple(AuditRef(payment_id=f"pay_{i}", intent_id=i) for i in self.intents)
        audit = StripeAudit(self.simulated.client, "here").audit_payments
        for _ in range(TRIES):
            audited = await _asked(audit, AuditOrder(payments=refs))
            if not any(payment.trouble for payment in audited.payments):
                break
        return audited

    async def _movements(self) -> Any:
        now = datetime.now(UTC)
        period = MovementsOrder(since=now - timedelta(hours=1), until=now + timedelta(hours=1))
        return await _asked(StripeAudit(self.simulated.client, "here").list_movements, period)


async def _asked(activity: Callable[..., Awaitable[Any]], *order: object) -> Any:
    """Its first answer. Whatever it fails with has a name that says what to do."""
    for _ in range(TRIES - 1):
        try:
            return await ActivityEnvironment().run(activity, *order)
        except ApplicationError as error:
            if error.type not in set(Trouble):
                raise
    return await ActivityEnvironment().run(activity, *order)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def reader(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Reader]:
    """Two charges, one of which was given back, in an environment of ours."""
    async with running_simulator(tmp_path_factory.mktemp("reads")) as simulated:
        await asked(lambda: simulated.control.get("/health"))
        intents = []
        for _ in range(2):
            intent = await simulated.client.v1.payment_intents.create_async(
                {
                    "amount": 1999,
                    "currency": "eur",
                    "confirm": True,
                    "payment_method": "pm_card_visa",
                    "return_url": "https://shop.example/return",
                    "metadata": {"environment": "here", "payment_id": "pay_1"},
                }
            )
            intents.append(intent.id)
        await simulated.client.v1.refunds.create_async({"payment_intent": intents[0]})
        await simulated.flush()
        yield Reader(simulated, databases, tuple(intents))


class TestReads:
    @pytest.mark.parametrize("cell", READS, ids=NAMES)
    async def test_the_same_is_learned(self, reader: Reader, cell: ReadCell) -> None:
        """Whatever goes wrong with this call, in the end all is known that was to be known."""
        undisturbed = await reader.read(cell)
        await reader.simulated.arm(cell.operation, **GATEWAY_FAULTS[cell.fault])

        found = await reader.read(cell)

        armed = (await reader.simulated.control.get("/faults")).json()["data"]
        assert undisturbed == found
        assert armed[-1]["fired"]
