"""Old events go, what somebody still needs stays; another server's numbers begin a new epoch."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from paysaga.database.engine import Sessions
from paysaga.database.outbox import Forgotten, Outbox, hold_kept
from paysaga.database.outbox_keeping import OutboxKeeping
from paysaga.database.progress import SinkProgress
from paysaga.database.sink_changes import Request, SinkChanges
from paysaga.database.sinks import Sinks, place_columns
from paysaga.database.tables import DEAD_LETTERS, EVENTS, LANES, MAILS, OUTBOX_STATE, SINKS
from paysaga.domain.outbox import Place
from paysaga.domain.sink import SinkStatus
from tests.database.rows import GOOD
from tests.sinks import NOON, a_sink, created, until

NOW = datetime.now(UTC)
OLD = NOW - timedelta(days=100)
BEFORE = NOW - timedelta(days=90)


def an_event(object_id: str, sequence: int, at: datetime = OLD) -> dict[str, Any]:
    return {
        "id": f"evn_{object_id}_{sequence}",
        "object_id": object_id,
        "object_type": "payment",
        "type": "payment.updated",
        "sequence": sequence,
        "data": {},
        "created_at": at,
    }


@pytest.fixture
async def three(opened: Sessions) -> Sessions:
    """An object with three old events, and one with an old and a new one."""
    rows = [
        *(an_event("pay_old", number) for number in (1, 2, 3)),
        an_event("pay_open", 1),
        an_event("pay_open", 2, NOW),
    ]
    async with opened.begin() as session:
        await session.execute(insert(EVENTS), rows)
    await until(lambda: Outbox(opened).after(None, 9), lambda all_: len(all_) == 5)
    return opened


async def _who_waits(engine: AsyncEngine) -> list[int]:
    waiting = text(
        "SELECT pid FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with engine.connect() as connection:
        return list(await connection.scalars(waiting))


async def kept(opened: Sessions) -> list[tuple[str, int]]:
    async with opened() as session:
        rows = await session.execute(
            select(EVENTS.c.object_id, EVENTS.c.sequence).order_by(EVENTS.c.position)
        )
        return [(row.object_id, row.sequence) for row in rows]


class TestForgetting:
    async def test_old_events_go(self, three: Sessions) -> None:
        """But for the last one of each object, which says how it stands."""
        gone, _ = await OutboxKeeping(three).forget(BEFORE, 100)

        assert 3 == gone
        assert [("pay_old", 3), ("pay_open", 2)] == await kept(three)

    async def test_what_was_sent_about_them_goes_with_them(self, three: Sessions) -> None:
        """A mail belongs to its event; of one that stays it stays known."""
        mail = GOOD[MAILS.name] | {"recipient": "operations", "customer_id": None}
        async with three.begin() as session:
            for sequence in (1, 3):
                about = {"event_id": an_event("pay_old", sequence)["id"]}
                await session.execute(insert(MAILS), mail | about)

        await OutboxKeeping(three).forget(BEFORE, 100)

        async with three() as session:
            left = list(await session.scalars(select(MAILS.c.event_id)))
        assert [an_event("pay_old", 3)["id"]] == left

    async def test_some_at_a_time(self, three: Sessions) -> None:
        """So that no transaction is a long one."""
        keeping = OutboxKeeping(three)

        some, place = await keeping.forget(BEFORE, 2)
        rest, place = await keeping.forget(BEFORE, 2, place)
        none, _ = await keeping.forget(BEFORE, 2, place)

        assert (2, 1, 0) == (some, rest, none)

    async def test_who_would_miss_them_is_told(self, three: Sessions) -> None:
        """A reader from before them is; one from behind them is not."""
        outbox = Outbox(three)
        events = await outbox.after(None, 9)
        await OutboxKeeping(three).forget(BEFORE, 100)

        with pytest.raises(Forgotten):
            await outbox.check_kept(events[0].place)
        await outbox.check_kept(events[-1].place)

    async def test_no_sink_goes_back_to_what_is_gone(self, three: Sessions) -> None:
        """Neither a new one nor one that is sent back, as if nothing were missing."""
        events = await Outbox(three).after(None, 9)
        old = await created(three, place=events[-1].place)
        changes, request = SinkChanges(three), Request("key", "replay")
        await OutboxKeeping(three).forget(BEFORE, 100)

        with pytest.raises(Forgotten):
            await changes.replay(old.id, events[0].place, request, NOON, is_whole=True)
        with pytest.raises(Forgotten):
            await changes.create(a_sink(place=events[0].place), "fingerprint", is_whole=True)

        found = await Sinks(three).sink(old.id)
        assert found is not None
        assert events[-1].place == found.place
        assert await changes.replay(old.id, events[-1].place, request, NOON, is_whole=True)

    async def test_a_replay_and_the_cleaning_wait_for_each_other(
        self, engine: AsyncEngine, three: Sessions
    ) -> None:
        """Whoever is first counts: what a sink goes back to stays, or it is told."""
        if engine.dialect.name == "sqlite":
            pytest.skip("SQLite has one writer at a time")
        events = await Outbox(three).after(None, 9)
        old = await created(three, place=events[-1].place)
        await OutboxKeeping(three).know_server()
        async with three.begin() as session:
            await hold_kept(session, events[0].place)
            cleaning = asyncio.create_task(OutboxKeeping(three).forget(BEFORE, 100))
            await until(lambda: _who_waits(engine), bool)
            place = place_columns(events[0].place)
            await session.execute(update(SINKS).where(SINKS.c.id == old.id).values(place))

        gone, _ = await cleaning

        assert 0 == gone

    async def test_a_dead_letter_whose_event_is_gone_stays(self, three: Sessions) -> None:
        """It is not sent again, and it is not hidden that it never was."""
        events = await Outbox(three).after(None, 9)
        sink = await created(three, place=events[-1].place)
        letters = [
            {
                "sink_id": sink.id,
                "event_id": event.id,
                "object_id": event.object_id,
                "sequence": event.sequence,
                "type": event.type,
                "reason": "refused",
                "last_answer": "no",
                "at": NOON,
            }
            for event in events[:3]
        ]
        async with three.begin() as session:
            await session.execute(insert(DEAD_LETTERS), letters)
        await OutboxKeeping(three).forget(BEFORE, 100)

        await SinkChanges(three).replay(sink.id, None, Request("key", "replay"), NOON)

        left = await Sinks(three).dead_letters(sink.id, None, 9)
        lanes = await SinkProgress(three).lanes(sink.id)
        assert {1, 2} == {letter.sequence for letter in left.dead_letters}
        assert [("pay_old", 3)] == [(lane.object_id, lane.sequence) for lane in lanes.values()]

    @pytest.mark.parametrize("status", [SinkStatus.ACTIVE, SinkStatus.PAUSED])
    async def test_what_a_sink_has_still_to_hand_over_stays(
        self, three: Sessions, status: SinkStatus
    ) -> None:
        """However long it takes; and so does the one before, which tells what has changed."""
        events = await Outbox(three).after(None, 9)
        await created(three, status=status, place=events[1].place)

        await OutboxKeeping(three).forget(BEFORE, 100)

        assert [
            ("pay_old", 2),
            ("pay_old", 3),
            ("pay_open", 1),
            ("pay_open", 2),
        ] == await kept(three)

    async def test_what_waits_in_a_lane_stays(self, three: Sessions) -> None:
        """The sink has passed it, and goes back to it."""
        events = await Outbox(three).after(None, 9)
        sink = await created(three, place=events[-1].place)
        lane = {"sink_id": sink.id, "object_id": "pay_old", "sequence": 2, "failures": 0}
        async with three.begin() as session:
            await session.execute(insert(LANES), lane | {"next_try_at": NOON})

        await OutboxKeeping(three).forget(BEFORE, 100)

        assert [("pay_old", 1), ("pay_old", 2), ("pay_old", 3), ("pay_open", 2)] == await kept(
            three
        )

    async def test_a_sink_that_was_removed_keeps_nothing(self, three: Sessions) -> None:
        """Nobody waits there."""
        await created(three, status=SinkStatus.REMOVED)

        assert 3 == (await OutboxKeeping(three).forget(BEFORE, 100))[0]


class TestTheDatabaseItself:
    async def test_refuses_to_delete_what_is_young(self, three: Sessions) -> None:
        """Whatever the code thinks: thirty days are promised."""
        young = an_event("pay_young", 1, NOW - timedelta(days=29))
        async with three.begin() as session:
            await session.execute(insert(EVENTS), [young, an_event("pay_young", 2, NOW)])

        with pytest.raises(IntegrityError, match="kept for 30 days"):
            async with three.begin() as session:
                await session.execute(delete(EVENTS).where(EVENTS.c.id == young["id"]))

    async def test_refuses_to_delete_the_last_one(self, three: Sessions) -> None:
        """The next one would begin from 1 again."""
        with pytest.raises(IntegrityError, match="the last one of an object is kept"):
            async with three.begin() as session:
                await session.execute(delete(EVENTS).where(EVENTS.c.object_id == "pay_old"))


class TestAnotherServer:
    async def test_its_numbers_come_behind_all_that_is_there(
        self, engine: AsyncEngine, three: Sessions
    ) -> None:
        """After a restore elsewhere: nobody who reads on misses what comes, or sees it twice."""
        if engine.dialect.name == "sqlite":
            pytest.skip("SQLite has one writer at a time, and its positions")
        keeping, outbox = OutboxKeeping(three), Outbox(three)
        await keeping.know_server()
        events = await outbox.after(None, 9)
        high = events[-1].place.model_copy(update={"transaction": 10**15})
        async with engine.begin() as connection:
            await connection.execute(text("ALTER TABLE events DISABLE TRIGGER events_append_only"))
            await connection.execute(update(EVENTS).values(transaction_id=10**15))
        async with three.begin() as session:
            await session.execute(update(OUTBOX_STATE).values(server="another"))

        await keeping.know_server()
        await keeping.know_server()
        async with three.begin() as session:
            await session.execute(insert(EVENTS), an_event("pay_new", 1))
        news = await until(lambda: outbox.after(high, 9), bool)

        assert [("pay_new", 1)] == [(event.object_id, event.place.epoch) for event in news]
        assert 6 == len(await outbox.after(None, 9))

    async def test_the_same_server_begins_nothing(self, three: Sessions) -> None:
        """As often as it is asked."""
        for _ in range(3):
            await OutboxKeeping(three).know_server()

        async with three.begin() as session:
            await session.execute(insert(EVENTS), an_event("pay_new", 1))
        [*_, last] = await until(lambda: Outbox(three).after(None, 9), lambda all_: len(all_) == 6)

        assert 0 == last.place.epoch

    def test_a_place_is_told_and_read_back(self) -> None:
        """As it was, and nothing else is one."""
        place = Place(epoch=1, transaction=2, position=3)

        assert place == Place.read(place.cursor)
        for word in ("", "1", "1-2", "1-2-", "-1-2-3", "a-b-c", "1-2-3-4", "9" * 19 + "-1-1"):
            assert None is Place.read(word)
