"""Whoever reads on misses no event, on both databases: not one that is committed late, either."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.records import Records
from paysaga.database.engine import sessions
from paysaga.database.outbox import Outbox
from paysaga.database.tables import EVENTS
from paysaga.domain.ids import EVENT, derived
from paysaga.domain.outbox import OutboxEvent, Place
from paysaga.domain.reasons import Reason
from paysaga.domain.transitions import given_back, owed_back
from tests.database.payments import NOON, batch, canceled, payment, succeeded

SECOND = timedelta(seconds=1)


@pytest.fixture
def outbox(engine: AsyncEngine) -> Outbox:
    return Outbox(sessions(engine))


@pytest.fixture
def records(engine: AsyncEngine) -> Records:
    return Records(sessions(engine))


async def until(ask: Callable[[], Awaitable[list[OutboxEvent]]], count: int) -> list[OutboxEvent]:
    """So many events. Somebody else's transaction may be under way on the same server."""
    async with asyncio.timeout(30):
        while True:
            if len(found := await ask()) >= count:
                return found
            await asyncio.sleep(0.05)


def an_event(name: str, at_second: int = 0) -> dict[str, Any]:
    """The first event of an object of its own."""
    return {
        "id": derived(EVENT, name, "1"),
        "object_id": name,
        "object_type": "payment",
        "type": "payment.created",
        "sequence": 1,
        "data": {},
        "created_at": NOON + at_second * SECOND,
    }


class TestReadingOn:
    async def test_pages_are_the_whole_story(self, records: Records, outbox: Outbox) -> None:
        """In the order of each payment's sequence, and without an end: the next page is empty."""
        paid, lost = payment(), payment()
        await records.record(batch(*succeeded(paid)))
        await records.record(batch(*canceled(lost)))
        await until(lambda: outbox.after(None, 9), 6)

        seen: list[OutboxEvent] = []
        place: Place | None = None
        while page := await outbox.after(place, 2):
            seen += page
            place = page[-1].place

        assert [(paid.id, 1), (paid.id, 2), (paid.id, 3)] == [
            (event.object_id, event.sequence) for event in seen if event.object_id == paid.id
        ]
        assert 6 == len({event.id for event in seen}) == len(seen)
        assert [] == await outbox.after(place, 2)

    async def test_a_late_commit_is_not_passed_over(
        self, engine: AsyncEngine, outbox: Outbox
    ) -> None:
        """It took its place first and is committed last: until then nobody reads beyond it."""
        if engine.dialect.name == "sqlite":
            pytest.skip("SQLite has one writer at a time")
        async with engine.connect() as late, engine.connect() as quick:
            await late.execute(insert(EVENTS), an_event("pay_late"))
            await quick.execute(insert(EVENTS), an_event("pay_quick"))
            await quick.commit()
            meanwhile = await outbox.after(None, 9)
            await late.commit()

        found = await until(lambda: outbox.after(None, 9), 2)

        assert [] == meanwhile
        assert ["pay_late", "pay_quick"] == [event.object_id for event in found]

    async def test_places_taken_the_other_way_round(
        self, engine: AsyncEngine, outbox: Outbox
    ) -> None:
        """The transaction that began first writes last; who has read it still sees the other."""
        if engine.dialect.name == "sqlite":
            pytest.skip("SQLite has one writer at a time")
        async with engine.connect() as first, engine.connect() as second:
            await first.execute(text("SELECT pg_current_xact_id()"))
            await second.execute(insert(EVENTS), an_event("pay_second"))
            await first.execute(insert(EVENTS), an_event("pay_first"))
            await first.commit()
            seen = await until(lambda: outbox.after(None, 9), 1)
            await second.commit()

        rest = await until(lambda: outbox.after(seen[-1].place, 9), 1)

        assert ["pay_first", "pay_second"] == [event.object_id for event in (*seen, *rest)]


class TestNarrowing:
    async def test_by_type_payment_and_time(self, records: Records, outbox: Outbox) -> None:
        """Each leaves out what was not asked for."""
        early, later = payment(), payment()
        await records.record(batch(*succeeded(early)))
        await records.record(batch(*succeeded(later, NOON + SECOND)))
        await until(lambda: outbox.after(None, 9), 6)

        paid = await outbox.after(None, 9, types=["payment.succeeded"])
        one = await outbox.after(None, 9, object_id=later.id)
        since = await outbox.after(None, 9, since=NOON + SECOND)

        assert [early.id, later.id] == [event.object_id for event in paid]
        assert [1, 2, 3] == [event.sequence for event in one]
        assert {later.id} == {event.object_id for event in since}

    async def test_a_refund_has_a_word_of_its_own(self, records: Records, outbox: Outbox) -> None:
        """That money is owed back is an update; that it went back is the news."""
        paid = payment()
        steps = succeeded(paid)
        owed = owed_back(steps[-1].state, Reason.ORDER_REFUSED, NOON)
        await records.record(batch(*steps, *owed))
        await records.record(batch(*given_back(owed[-1].state, NOON)))

        told = await until(lambda: outbox.after(None, 9, object_id=paid.id), 5)

        assert ["payment.updated", "payment.refunded"] == [event.type for event in told[3:]]
