import asyncio
import hashlib
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from paysaga.database.engine import sessions
from paysaga.database.inbox import Inbox, InboxEvent, Result
from paysaga.database.tables import WEBHOOK_EVENTS
from tests.database.payments import NOON

SECOND = timedelta(seconds=1)
NUDGED = Result(word="nudged", payment_id="pay_1", run_id="repair-pay_1")


@pytest.fixture
def inbox(engine: AsyncEngine) -> Inbox:
    return Inbox(sessions(engine))


def _event(event_id: str = "evt_1", seconds: int = 0) -> InboxEvent:
    return InboxEvent(
        id=event_id,
        type="payment_intent.succeeded",
        api_version="2026-10-28.clover",
        livemode=False,
        gateway_object_id="pi_1",
        payment_id="pay_unknown_here",
        payload=b'{"id": "evt_1", "name": "\xc3\xbc\\u0000"}',
        signature_verified=True,
        received_at=NOON + seconds * SECOND,
    )


class TestStore:
    async def test_the_event_is_kept_as_it_came(self, inbox: Inbox, engine: AsyncEngine) -> None:
        """
        Byte for byte, with its fingerprint, so that a signature can be checked again years later.
        """
        event = _event()

        stored = await inbox.store(event)

        assert event == stored
        assert [event] == await inbox.unprocessed(10)
        async with engine.connect() as connection:
            digest = await connection.scalar(select(WEBHOOK_EVENTS.c.payload_sha256))
        assert hashlib.sha256(event.payload).hexdigest() == digest

    async def test_twenty_copies_at_once_are_one_row(self, inbox: Inbox) -> None:
        """
        The gateway may send an event as often and as fast as it likes.
        """
        answers = await asyncio.gather(*(inbox.store(_event()) for _ in range(20)))

        assert [_event()] * 20 == answers
        assert [_event()] == await inbox.unprocessed(10)

    async def test_a_copy_of_a_processed_event_stops(self, inbox: Inbox) -> None:
        """
        What has had its effect is not done again; what was only stored goes on.
        """
        await inbox.store(_event())
        only_stored = await inbox.store(_event())
        await inbox.mark_processed("evt_1", NUDGED, NOON)

        processed = await inbox.store(_event())

        assert (_event(), None) == (only_stored, processed)
        assert [] == await inbox.unprocessed(10)

    async def test_a_copy_does_not_change_what_is_stored(self, inbox: Inbox) -> None:
        """
        The first one counts, whatever a copy says.
        """
        await inbox.store(_event())

        await inbox.store(_event().model_copy(update={"payload": b"other", "type": "other"}))

        assert [_event()] == await inbox.unprocessed(10)


class TestMarks:
    async def test_a_failed_event_stays_for_the_sweep(
        self, inbox: Inbox, engine: AsyncEngine
    ) -> None:
        """
        What could not be done now is still owed, and the row says why.
        """
        await inbox.store(_event())

        await inbox.mark_failed("evt_1", "Temporal is not there" + "!" * 5000, NOON)

        assert [_event()] == await inbox.unprocessed(10)
        async with engine.connect() as connection:
            error = await connection.scalar(select(WEBHOOK_EVENTS.c.error))
        assert ("Temporal is not there" + "!" * 5000)[:4000] == error

    async def test_a_late_success_clears_the_failure(
        self, inbox: Inbox, engine: AsyncEngine
    ) -> None:
        """
        After the sweep has done the work no error is left to worry about.
        """
        await inbox.store(_event())
        await inbox.mark_failed("evt_1", "Temporal is not there", NOON)

        await inbox.mark_processed("evt_1", NUDGED, NOON + SECOND)

        async with engine.connect() as connection:
            columns = ("processed", "result", "error", "payment_id", "run_id")
            told = select(*(WEBHOOK_EVENTS.c[column] for column in columns))
            row = (await connection.execute(told)).one()
        assert (True, "nudged", None, "pay_1", "repair-pay_1") == tuple(row)

    async def test_processed_is_for_ever(self, inbox: Inbox, engine: AsyncEngine) -> None:
        """
        A slow copy that fails, or succeeds again, does not touch the first result.
        """
        await inbox.store(_event())
        await inbox.mark_processed("evt_1", NUDGED, NOON)

        await inbox.mark_failed("evt_1", "too late", NOON + SECOND)
        await inbox.mark_processed("evt_1", Result(word="again"), NOON + SECOND)

        async with engine.connect() as connection:
            columns = (WEBHOOK_EVENTS.c.result, WEBHOOK_EVENTS.c.processed_at)
            row = (await connection.execute(select(*columns))).one()
        assert ("nudged", NOON) == tuple(row)

    async def test_a_replay_has_the_last_word(self, inbox: Inbox, engine: AsyncEngine) -> None:
        """
        Somebody has asked for the event once more: the row tells what came of that.
        """
        await inbox.store(_event())
        await inbox.mark_processed("evt_1", NUDGED, NOON)

        await inbox.mark_again("evt_1", Result(word="nothing_to_do"), NOON + SECOND)

        async with engine.connect() as connection:
            columns = (WEBHOOK_EVENTS.c.result, WEBHOOK_EVENTS.c.payment_id)
            row = (await connection.execute(select(*columns))).one()
        assert ("nothing_to_do", "pay_1") == tuple(row)


class TestKnown:
    async def test_only_the_news_are_stored(self, inbox: Inbox) -> None:
        """
        A sweep asks first which events are here, whatever came of them.
        """
        await inbox.store(_event("evt_1"))
        await inbox.store(_event("evt_2"))
        await inbox.mark_processed("evt_2", NUDGED, NOON)

        assert {"evt_1", "evt_2"} == await inbox.known(["evt_1", "evt_2", "evt_3"])
        assert set() == await inbox.known([])


class TestForget:
    async def test_only_old_ones_that_are_done_go(self, inbox: Inbox) -> None:
        """
        What is owed stays, however old it is, and what was done lately.
        """
        for number, done_at in enumerate((NOON, NOON + SECOND, None)):
            await inbox.store(_event(f"evt_{number}"))
            if done_at:
                await inbox.mark_processed(f"evt_{number}", NUDGED, done_at)

        gone = await inbox.forget(NOON + SECOND, 10)

        assert 1 == gone
        assert {"evt_1", "evt_2"} == await inbox.known(["evt_0", "evt_1", "evt_2"])

    async def test_in_batches(self, inbox: Inbox) -> None:
        """
        A large inbox is not locked for long: the oldest go first, no more than were asked for.
        """
        for number in range(3):
            await inbox.store(_event(f"evt_{number}", number))
            await inbox.mark_processed(f"evt_{number}", NUDGED, NOON)

        gone = [await inbox.forget(NOON + SECOND, 2) for _ in range(3)]

        assert [2, 1, 0] == gone


class TestUnprocessed:
    async def test_the_oldest_comes_first(self, inbox: Inbox) -> None:
        """
        The sweep drains in the order of arrival, no more than it asked for.
        """
        for seconds in (2, 0, 1):
            await inbox.store(_event(f"evt_{seconds}", seconds))

        assert ["evt_0", "evt_1"] == [event.id for event in await inbox.unprocessed(2)]

    async def test_a_hopeless_event_starves_nobody(self, inbox: Inbox) -> None:
        """
        What has just failed goes to the end of the queue.
        """
        for seconds in (0, 1):
            await inbox.store(_event(f"evt_{seconds}", seconds))

        await inbox.mark_failed("evt_0", "hopeless", NOON + 60 * SECOND)

        assert ["evt_1"] == [event.id for event in await inbox.unprocessed(1)]

    async def test_what_was_tried_since_then_is_left_out(self, inbox: Inbox) -> None:
        """
        One sweep tries each event once, and so comes to an end.
        """
        for seconds in (0, 1):
            await inbox.store(_event(f"evt_{seconds}", seconds))
        await inbox.mark_failed("evt_0", "hopeless", NOON + 60 * SECOND)

        left = await inbox.unprocessed(10, NOON + 30 * SECOND)

        assert ["evt_1"] == [event.id for event in left]
