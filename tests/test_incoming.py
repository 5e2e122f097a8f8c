"""Gateway events from their bytes to whoever is told, on both databases."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from activities.method_records import MethodRecords
from activities.records import Records
from paysaga.database.engine import sessions
from paysaga.database.inbox import Inbox, Source
from paysaga.database.tables import WEBHOOK_EVENTS
from paysaga.domain.payment import Change, Payment
from paysaga.domain.saved_method import SavedMethod
from paysaga.domain.saving import set_up
from paysaga.incoming import Incoming, NotAGatewayEvent, as_kept
from paysaga.nudging import NotTold
from paysaga.settings import Environment, Settings
from tests.database.payments import batch, canceled, payment, started, waiting
from tests.fakes import NOON, FakeNudging
from tests.saved import WINDOW, saved, setup_in
from tests.saved import processing as method_begun

SETTINGS = Settings(environment=Environment.TEST, environment_name="test")


@dataclass
class Here:
    """An inbox on a database of its own."""

    engine: AsyncEngine
    nudging: FakeNudging = field(default_factory=FakeNudging)

    def __post_init__(self) -> None:
        self.inbox = Inbox(sessions(self.engine))
        self.incoming = Incoming(sessions(self.engine), self.nudging, SETTINGS)

    async def has(self, *changes: Change) -> None:
        """The database has a payment that went this way."""
        await Records(sessions(self.engine)).record(batch(*changes))

    async def row(self) -> dict[str, Any]:
        async with self.engine.connect() as connection:
            return dict((await connection.execute(select(WEBHOOK_EVENTS))).one()._asdict())


@pytest.fixture
def here(engine: AsyncEngine) -> Here:
    return Here(engine)


def an_event(paid: Payment, kind: str = "payment_intent.succeeded", **changes: Any) -> bytes:
    about = {"id": f"pi_{paid.id}", "object": "payment_intent", "amount": 1250, "currency": "eur"}
    about["metadata"] = {"payment_id": paid.id, "environment": "test"}
    return json.dumps(
        {"id": "evt_1", "type": kind, "livemode": False, "data": {"object": about}, **changes}
    ).encode()


class TestTake:
    async def test_it_is_kept_and_the_run_is_told(self, here: Here) -> None:
        """
        The row tells what came of it: which payment, which run, and how we came by it.
        """
        paid = payment()
        await here.has(*waiting(paid))

        word = await here.incoming.take(an_event(paid))

        row = await here.row()
        assert ("nudged", [paid.id]) == (word, here.nudging.told)
        assert ("nudged", paid.id, paid.id) == (row["result"], row["payment_id"], row["run_id"])
        assert (True, "webhook", True) == (
            row["processed"], row["source"], row["signature_verified"],
        )  # fmt: skip

    async def test_twenty_copies_are_one_row(self, here: Here) -> None:
        """
        Those that come while the first is under way may tell again; later ones stop at once.
        """
        paid = payment()
        await here.has(*waiting(paid))
        event = an_event(paid)

        first = await asyncio.gather(*(here.incoming.take(event) for _ in range(20)))
        told = len(here.nudging.told)
        late = await here.incoming.take(event)

        assert {"nudged", "already_processed"} >= set(first)
        assert ("already_processed", told) == (late, len(here.nudging.told))
        assert (await here.row())["processed"]

    async def test_what_could_not_be_told_is_owed(self, here: Here) -> None:
        """
        A copy of an event that was stored but not processed goes on.
        """
        paid = payment()
        await here.has(*waiting(paid))
        here.nudging.away = True
        with pytest.raises(NotTold):
            await here.incoming.take(an_event(paid))
        owed = await here.row()
        here.nudging.away = False

        word = await here.incoming.take(an_event(paid))

        assert (False, "Temporal did not answer") == (owed["processed"], owed["error"])
        assert ("nudged", [paid.id]) == (word, here.nudging.told)

    async def test_before_its_own_calls_answer_it_is_owed(self, here: Here) -> None:
        """
        While the payment's own call is under way nobody is told, and nothing is forgotten.
        """
        paid = payment()
        await here.has(*started(paid)[0])

        word = await here.incoming.take(an_event(paid))

        row = await here.row()
        assert ("kept_for_later", []) == (word, here.nudging.told)
        assert (False, "own call") == (row["processed"], row["error"][14:22])

    async def test_an_open_payment_without_its_run_is_repaired(self, here: Here) -> None:
        """
        Somebody has terminated the run: the row decides, and a repair is opened.
        """
        paid = payment()
        await here.has(*waiting(paid))
        here.nudging.gone = True

        word = await here.incoming.take(an_event(paid))

        assert ("repair_nudged", [f"repair-{paid.id}"]) == (word, here.nudging.told)

    async def test_a_canceled_payment_whose_intent_is_canceled(self, here: Here) -> None:
        """
        The event tells what everybody knows.
        """
        paid = payment()
        await here.has(*canceled(paid))

        word = await here.incoming.take(an_event(paid, "payment_intent.canceled"))

        assert ("nothing_to_do", []) == (word, here.nudging.told)

    async def test_no_event_is_not_kept(self, here: Here) -> None:
        """
        What is no event leaves no row.
        """
        with pytest.raises(NotAGatewayEvent):
            await here.incoming.take(b"[]")

        assert [] == await here.inbox.unprocessed(1)


class TestReplay:
    async def test_it_is_processed_again(self, here: Here) -> None:
        """
        The second result stands beside the same event; whoever waits is told again.
        """
        paid = payment()
        await here.incoming.take(an_event(paid))
        unknown = await here.row()
        await here.has(*started(paid)[0])

        await here.incoming.replay(as_kept(an_event(paid), Source.WEBHOOK))

        row = await here.row()
        assert ("unknown_payment", "nudged") == (unknown["result"], row["result"])
        assert [paid.id] == here.nudging.told


class TestLog:
    async def test_what_is_not_ours_is_a_warning(self, here: Here) -> None:
        """
        The line names the event and the payment; whoever watches warnings sees it.
        """
        paid = payment()
        await here.has(*waiting(paid))

        with capture_logs(processors=[merge_contextvars]) as lines:
            await here.incoming.take(an_event(paid, livemode=True))

        [line] = lines
        assert ("warning", "evt_1", paid.id, "other_mode") == (
            line["log_level"], line["event_id"], line["payment_id"], line["result"],
        )  # fmt: skip


class TestSavedMethods:
    async def has(self, here: Here, *steps: SavedMethod) -> None:
        for step in steps:
            await MethodRecords(sessions(here.engine)).record_method(step)

    def event(self, kind: str, about: str, **marks: str) -> bytes:
        told = {"id": about, "object": kind.partition(".")[0], "metadata": marks}
        event = {"id": "evt_1", "type": kind, "livemode": False, "data": {"object": told}}
        return json.dumps(event).encode()

    async def test_the_run_that_waits_is_told(self, here: Here) -> None:
        """
        Its mark on the SetupIntent leads to the run.
        """
        waiting = set_up(method_begun(), setup_in("requires_action"), NOON, WINDOW)
        assert waiting is not None
        await self.has(here, method_begun(), waiting)

        marked = await here.incoming.take(
            self.event("setup_intent.succeeded", "seti_9", method_id="mtd_1")
        )

        assert ("nudged", ["mtd_1"]) == (marked, here.nudging.told)

    async def test_for_a_run_that_is_lost_another_one_looks(self, here: Here) -> None:
        """
        Somebody has ended it; the SetupIntent's own id leads to the row, and goes with the look.
        """
        waiting = set_up(method_begun(), setup_in("requires_action"), NOON, WINDOW)
        assert waiting is not None
        await self.has(here, method_begun(), waiting)
        here.nudging.gone = True

        word = await here.incoming.take(self.event("setup_intent.succeeded", "seti_1"))

        assert ("look_begun", ["look-mtd_1"]) == (word, here.nudging.told)
        assert ["seti_1"] == here.nudging.setups

    async def test_news_of_a_saved_card_is_looked_at(self, here: Here) -> None:
        """
        It carries no mark of ours: the gateway's id leads to the row.
        """
        await self.has(here, method_begun(), saved())

        word = await here.incoming.take(self.event("payment_method.automatically_updated", "pm_1"))

        assert ("look_begun", ["look-mtd_1"]) == (word, here.nudging.told)

    @pytest.mark.parametrize(
        ("kind", "about", "word"),
        [
            ("setup_intent.succeeded", "seti_1", "kept_for_later"),
            ("payment_method.updated", "pm_1", "unknown_method"),
            ("payment_method.updated", "", "unknown_method"),
        ],
    )
    async def test_what_tells_nothing(self, here: Here, kind: str, about: str, word: str) -> None:
        """
        What its own call is about to tell waits; what is nobody's here has no effect.
        """
        await self.has(here, method_begun())
        marks = {"method_id": "mtd_1"} if kind.startswith("setup") else {}

        assert word == await here.incoming.take(self.event(kind, about, **marks))
        assert [] == here.nudging.told

    async def test_late_news_of_what_is_over(self, here: Here) -> None:
        """
        The row knows it already.
        """
        await self.has(here, method_begun(), saved())

        word = await here.incoming.take(
            self.event("setup_intent.succeeded", "seti_1", method_id="mtd_1")
        )

        assert ("nothing_to_do", []) == (word, here.nudging.told)
