"""Draining the outbox to a receiver that fails in every way, on both databases."""

import asyncio
import dataclasses
from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.testing import ActivityEnvironment

from activities import deliveries
from activities.deliveries import Deliveries
from activities.records import Records
from activities.sink_orders import Drained, DrainOrder, Standing
from paysaga.database.engine import Sessions
from paysaga.database.outbox import Outbox
from paysaga.database.progress import SinkProgress
from paysaga.database.sink_changes import Ahead, OtherRequest, Request, SinkChanges
from paysaga.database.sinks import Sinks
from paysaga.database.tables import EVENTS
from paysaga.domain.outbox import Place
from paysaga.domain.sink import PATIENCE, DeadLetterReason, Sink, SinkKind, SinkReason, SinkStatus
from paysaga.events.delivery import Answer, Verdict
from paysaga.events.shapes import Event
from paysaga.nudging import NotTold
from paysaga.waking import Waking
from tests.database.payments import batch, payment, succeeded
from tests.sinks import (
    AWAY,
    FAILED,
    GONE,
    NOON,
    PASSED,
    REFUSED,
    SECRET,
    TAKEN,
    Receiver,
    at_random,
    created,
    pay,
    until,
)

ALL = [1, 2, 3]
REPLAY = Request("key", "replay")


class Stage:
    """A sink, its receiver, and a clock that the test moves on."""

    def __init__(
        self, opened: Sessions, sink: Sink, receiver: Receiver, budget_seconds: float = 30
    ) -> None:
        self.budget_seconds = budget_seconds
        self.opened = opened
        self.id = sink.id
        self.receiver = receiver
        self.now: datetime = NOON

    async def drain(self) -> Drained:
        """Drain once. What is not settled yet, for whomever else on the server, is waited for."""
        await shown(self.opened, await Outbox(self.opened).count_after(Place(), 999))
        activity = Deliveries(self.opened, self.receiver, self.budget_seconds)
        order = DrainOrder(sink_id=self.id, now=self.now)
        drained: Drained = await ActivityEnvironment().run(activity.drain, order)
        return drained

    async def drain_later(self, drained: Drained) -> Drained:
        """Drain at the time that was named."""
        assert drained.next_at is not None
        self.now = max(self.now, drained.next_at)
        return await self.drain()

    async def drain_to_the_end(self, stride: timedelta = timedelta()) -> Drained:
        """Drain as often as it takes, whatever time that is: no more often than each `stride`."""
        drained = await self.drain()
        for _ in range(2000):
            if drained.standing is Standing.RESTING and drained.next_at is None:
                return drained
            again = drained.standing is Standing.WORKING
            self.now += timedelta() if again else stride
            drained = await (self.drain() if again else self.drain_later(drained))
        raise AssertionError("it never came to rest")

    async def sink(self) -> Sink:
        found = await Sinks(self.opened).sink(self.id)
        assert found is not None
        return found


@pytest.fixture
async def stage(opened: Sessions) -> Stage:
    return Stage(opened, await created(opened), Receiver())


async def shown(opened: Sessions, count: int) -> None:
    """Whatever others do on the server: so many events are settled."""
    await until(lambda: Outbox(opened).after(None, 999), lambda all_: len(all_) == count)


def fails_at(object_id: str, sequence: int) -> Any:
    """Fails at this event only."""
    return lambda event: (
        FAILED if (event.object_id, event.sequence) == (object_id, sequence) else TAKEN
    )


class TestOrder:
    async def test_all_is_handed_over_once_and_in_order(self, stage: Stage) -> None:
        """A receiver that takes everything gets each event once, an object's in their order."""
        payments = await pay(stage.opened, 7)

        drained = await stage.drain()

        assert {paid.id: ALL for paid in payments} == stage.receiver.first_time()
        assert 21 == len(stage.receiver.taken) == drained.delivered
        assert (Standing.RESTING, 0, None) == (drained.standing, drained.behind, drained.next_at)

    async def test_it_goes_on_where_it_stood(self, stage: Stage) -> None:
        """What was handed over is not handed over again."""
        await pay(stage.opened)
        await stage.drain()
        [later] = await pay(stage.opened)

        await stage.drain()

        assert [later.id] * 3 == [event.object_id for event in stage.receiver.taken[3:]]

    async def test_only_what_it_wants(self, opened: Sessions) -> None:
        """Other types are passed, and passed for good; also behind one that waits."""
        sink = await created(opened, types=("payment.created", "payment.succeeded"))
        stage = Stage(opened, sink, Receiver())
        [paid] = await pay(opened)
        stage.receiver.says = fails_at(paid.id, 1)
        waiting = await stage.drain()
        stage.receiver.says = lambda _event: TAKEN

        await stage.drain_later(waiting)

        assert [1, 3] == [event.sequence for event in stage.receiver.taken]

    @pytest.mark.parametrize("seed", range(4))
    async def test_every_sequence_ends_complete_and_in_order(
        self, opened: Sessions, seed: int
    ) -> None:
        """Whatever it answers at random: nothing is missing, nothing overtakes."""
        stage = Stage(opened, await created(opened), Receiver())
        payments = await pay(opened, 25)
        stage.receiver.says = at_random(seed, TAKEN, TAKEN, TAKEN, FAILED, FAILED, AWAY)

        await stage.drain_to_the_end()

        assert {paid.id: ALL for paid in payments} == stage.receiver.first_time()

    async def test_a_late_commit_is_waited_for(self, engine: AsyncEngine, stage: Stage) -> None:
        """What took its place first and is committed last is handed over as well."""
        if engine.dialect.name == "sqlite":
            pytest.skip("SQLite has one writer at a time")
        [early] = await pay(stage.opened)
        [event, *_] = await until(lambda: Outbox(stage.opened).after(None, 9), bool)
        late = {"id": "evn_late", "object_id": "pay_late", "object_type": "payment"}
        told = {"type": event.type, "sequence": 1, "data": event.data, "created_at": NOON}
        async with engine.connect() as slow:
            await slow.execute(insert(EVENTS), late | told)
            [quick] = await pay(stage.opened)
            await stage_drains_no_further(stage, early.id)
            await slow.commit()

        await stage.drain_to_the_end()

        assert {early.id: ALL, "pay_late": [1], quick.id: ALL} == stage.receiver.first_time()


async def stage_drains_no_further(stage: Stage, known: str) -> None:
    """While a transaction is under way nothing that began later is handed over."""
    activity = Deliveries(stage.opened, stage.receiver, budget_seconds=0.3)
    order = DrainOrder(sink_id=stage.id, now=stage.now)
    drained: Drained = await ActivityEnvironment().run(activity.drain, order)

    assert Standing.WORKING is drained.standing
    assert {known} == {event.object_id for event in stage.receiver.taken}


class TestOneThatFails:
    async def test_the_others_go_on(self, stage: Stage) -> None:
        """The object's own later events wait; nobody else's do."""
        stuck, other = await pay(stage.opened, 2)
        stage.receiver.says = fails_at(stuck.id, 2)

        drained = await stage.drain()

        assert {stuck.id: [1], other.id: ALL} == stage.receiver.first_time()
        assert (Standing.RESTING, 1, 0) == (drained.standing, drained.lanes, drained.behind)
        assert NOON < (drained.next_at or NOON)

    async def test_it_is_tried_again_in_its_time(self, stage: Stage) -> None:
        """Not before; then in order, with what has come meanwhile."""
        [stuck] = await pay(stage.opened)
        stage.receiver.says = fails_at(stuck.id, 1)
        waiting = await stage.drain()
        stage.receiver.says = lambda _event: TAKEN
        too_early = await stage.drain()

        after = await stage.drain_later(waiting)

        assert (1, 0) == (too_early.lanes, after.lanes)
        assert {stuck.id: ALL} == stage.receiver.first_time()

    async def test_its_pauses_grow(self, stage: Stage) -> None:
        """From seconds to hours, so that a broken receiver is not flooded."""
        [stuck] = await pay(stage.opened)
        stage.receiver.says = fails_at(stuck.id, 1)
        drained = await stage.drain()
        pauses = []

        for _ in range(6):
            pauses.append((drained.next_at or NOON) - stage.now)
            drained = await stage.drain_later(drained)

        assert sorted(pauses) == pauses
        assert timedelta(seconds=5) == pauses[0]
        assert timedelta(hours=1) <= pauses[-1]

    async def test_it_is_given_up_in_the_end(self, stage: Stage) -> None:
        """After three days it is a dead letter, and the object's later events go on."""
        [stuck] = await pay(stage.opened)
        stage.receiver.says = fails_at(stuck.id, 2)

        drained = await stage.drain_to_the_end()

        page = await Sinks(stage.opened).dead_letters(stage.id, None, 10)
        assert [(stuck.id, 2, DeadLetterReason.GAVE_UP, FAILED.told)] == [
            (dead.object_id, dead.sequence, dead.reason, dead.last_answer)
            for dead in page.dead_letters
        ]
        assert {stuck.id: [1, 3]} == stage.receiver.first_time()
        assert PATIENCE <= stage.now - NOON < PATIENCE + timedelta(hours=13)
        assert 1 == drained.dead_letters

    async def test_what_is_refused_is_a_dead_letter_at_once(self, stage: Stage) -> None:
        """There is no use in trying again; what follows goes on."""
        [paid] = await pay(stage.opened)
        stage.receiver.says = lambda event: REFUSED if event.sequence == 2 else TAKEN

        await stage.drain()

        page = await Sinks(stage.opened).dead_letters(stage.id, None, 10)
        assert [DeadLetterReason.REFUSED] == [dead.reason for dead in page.dead_letters]
        assert {paid.id: [1, 3]} == stage.receiver.first_time()

    async def test_the_receiver_may_say_when(self, stage: Stage) -> None:
        """Its Retry-After counts, within reason."""
        [stuck] = await pay(stage.opened)
        later = Answer(Verdict.FAILED, "500", timedelta(minutes=7))
        stage.receiver.says = lambda event: later if event.object_id == stuck.id else TAKEN

        drained = await stage.drain()

        assert NOON + timedelta(minutes=7) == drained.next_at

    async def test_what_is_too_early_has_not_failed(self, stage: Stage) -> None:
        """It waits for its time; the object's next event has it looked at again at once."""
        [paid] = await pay(stage.opened)
        early = Answer(Verdict.NOT_YET, "too early", timedelta(minutes=3))
        stage.receiver.says = lambda event: early if event.sequence == 3 else TAKEN
        waiting = await stage.drain()
        await another_event(stage, paid.id)
        stage.receiver.says = lambda _event: TAKEN

        drained = await stage.drain()

        assert NOON + timedelta(minutes=3) == waiting.next_at
        assert {paid.id: [1, 2, 3, 4]} == stage.receiver.first_time()
        assert 0 == drained.lanes

    async def test_one_that_cannot_be_read(self, stage: Stage) -> None:
        """An event in a newer release's words waits for a worker that knows them."""
        [paid] = await pay(stage.opened)
        await another_event(stage, paid.id, kind="payment.levitated")

        drained = await stage.drain()

        assert {paid.id: ALL} == stage.receiver.first_time()
        assert 1 == drained.lanes

    async def test_too_many_that_wait_hold_the_others_back(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Then the sink itself does not work: nothing new is begun until some have gone."""
        monkeypatch.setattr(deliveries, "MOST_LANES", 2)
        first, second = await pay(stage.opened, 2)
        stage.receiver.says = lambda _event: FAILED
        waiting = await stage.drain()
        [third] = await pay(stage.opened)
        held = await stage.drain()
        stage.receiver.says = lambda _event: TAKEN

        await stage.drain_later(waiting)

        assert (Standing.WAITING, 3) == (held.standing, held.behind)
        assert {first.id: ALL, second.id: ALL, third.id: ALL} == stage.receiver.first_time()

    async def test_when_only_those_that_failed_are_tried_an_outage_shows_by_them(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Or it would use up their tries, and who is back would not be noticed for hours."""
        monkeypatch.setattr(deliveries, "MOST_LANES", 3)
        stuck = {paid.id for paid in await pay(stage.opened, 3)}
        good = await pay(stage.opened)
        stage.receiver.says = lambda event: FAILED if event.object_id in stuck else TAKEN
        await stage.drain()
        stage.receiver.says = lambda _event: FAILED
        stage.now += timedelta(seconds=5)
        drained, ends = await stage.drain(), stage.now + timedelta(hours=8)
        while stage.now < ends:
            drained = await stage.drain_later(drained)
        tries = [
            lane.failures for lane in (await SinkProgress(stage.opened).lanes(stage.id)).values()
        ]
        stage.receiver.says = lambda _event: TAKEN
        await stage.drain_later(drained)

        await stage.drain()

        assert (drained.failing_since, [1, 1, 1]) == (NOON + timedelta(seconds=5), tries)
        assert stage.now < ends + timedelta(minutes=30)
        assert {*stuck, good[0].id} == stage.receiver.first_time().keys()


async def another_event(stage: Stage, object_id: str, kind: str = "payment.updated") -> None:
    """The object's fourth event."""
    [*_, last] = await until(
        lambda: Outbox(stage.opened).after(None, 9, object_id=object_id), lambda all_: len(all_) > 2
    )
    row = last.model_dump(include={"object_id", "object_type", "data", "created_at"})
    new = {"id": f"evn_{object_id[4:]}", "type": kind, "sequence": 4}
    async with stage.opened.begin() as session:
        await session.execute(insert(EVENTS), row | new)


class TestMails:
    async def test_no_mail_waits_for_another(self, opened: Sessions) -> None:
        """What is too early, or fails for now, keeps no later one of its payment; each is sent."""
        stage = Stage(opened, await created(opened, kind=SinkKind.EMAIL), Receiver())
        [paid] = await pay(opened)
        sent: set[str] = set()
        early = Answer(Verdict.NOT_YET, "too early", timedelta(minutes=3))

        def says(event: Event) -> Answer:
            if event.sequence == 1 and stage.now < NOON + timedelta(minutes=3):
                return early
            if event.sequence == 2 and stage.now < NOON + timedelta(hours=1):
                return FAILED
            sent.add(event.id)
            return TAKEN

        stage.receiver.says = says
        await stage.drain()
        at_once = len(sent)
        await another_event(stage, paid.id)
        await stage.drain()
        alarmed = len(sent)

        await stage.drain_to_the_end()

        assert (1, 2, 4) == (at_once, alarmed, len(sent))

    async def test_what_was_sent_shows_life(self, opened: Sessions) -> None:
        """Also behind one that has to wait; and what means no mail shows nothing."""
        stage = Stage(opened, await created(opened, kind=SinkKind.EMAIL), Receiver())
        await pay(opened, 6)
        stage.receiver.says = lambda event: [FAILED, PASSED, TAKEN][event.sequence - 1]
        drained = await stage.drain()
        stage.receiver.says = lambda event: AWAY if event.sequence == 1 else PASSED
        stage.now += timedelta(minutes=1)
        await pay(opened, 5)
        quiet = await stage.drain()
        stage.receiver.says = lambda _event: PASSED
        over = await stage.drain_later(quiet)

        assert (None, 6, 6) == (drained.failing_since, drained.lanes, drained.delivered)
        assert stage.now >= (quiet.failing_since or stage.now) > NOON
        assert (Standing.RESTING, None, 6) == (over.standing, over.failing_since, over.delivered)

    async def test_what_nobody_was_asked_about_shows_no_life(self, opened: Sessions) -> None:
        """No mailbox, or no way to know: a dead letter each, and the mail server is away still."""
        stage = Stage(opened, await created(opened, kind=SinkKind.EMAIL), Receiver())
        await pay(opened)
        never = Answer(Verdict.UNDELIVERABLE, "the address is none that mails can be sent to")
        stage.receiver.says = lambda event: AWAY if event.sequence == 1 else never
        for _ in range(3):
            drained = await stage.drain()
            stage.now += timedelta(minutes=1)

        away, stage.receiver.says = drained, lambda event: TAKEN if event.sequence == 1 else never
        over = await stage.drain()

        assert (NOON, 0) == (away.failing_since, away.delivered)
        assert (None, 2, 1) == (over.failing_since, over.dead_letters, over.delivered)


class TestNobodyThere:
    async def test_everything_waits_and_nothing_is_passed(self, stage: Stage) -> None:
        """A few are tried, then nothing until it is time: the place stays where it was."""
        await pay(stage.opened, 4)
        stage.receiver.says = lambda _event: AWAY

        drained = await stage.drain()
        again = await stage.drain()

        assert (Standing.WAITING, 12, 0) == (drained.standing, drained.behind, drained.lanes)
        assert NOON == drained.failing_since
        assert AWAY.told == again.last_answer
        assert 4 >= len(stage.receiver.asked)

    async def test_when_they_are_back_it_goes_on(self, stage: Stage) -> None:
        """Six hours later nothing is missing; the trouble is forgotten."""
        payments = await pay(stage.opened, 4)
        back_at = NOON + timedelta(hours=6)
        stage.receiver.says = lambda _event: AWAY if stage.now < back_at else TAKEN

        drained = await stage.drain_to_the_end()

        assert {paid.id: ALL for paid in payments} == stage.receiver.first_time()
        assert None is drained.failing_since
        assert stage.now - back_at <= timedelta(minutes=15)
        assert 4 * 35 > len(stage.receiver.asked) - 12

    async def test_away_in_the_middle(self, stage: Stage) -> None:
        """What was taken is not given again, and what was not is not lost."""
        payments = await pay(stage.opened, 6)
        stage.receiver.says = lambda _event: TAKEN if len(stage.receiver.asked) < 8 else AWAY
        waiting = await stage.drain()
        stage.receiver.says = lambda _event: TAKEN

        await stage.drain_later(waiting)

        assert {paid.id: ALL for paid in payments} == stage.receiver.first_time()
        assert [1] * 18 == list(Counter(event.id for event in stage.receiver.taken).values())

    async def test_one_that_is_answered_so_alone_stops_nobody(self, stage: Stage) -> None:
        """A proxy says 502 for whatever its backend dies of: that object waits on its own."""
        payments = await pay(stage.opened, 8)
        deadly = payments[3].id
        stage.receiver.says = lambda event: AWAY if event.object_id == deadly else TAKEN
        await stage.drain()
        payments += await pay(stage.opened, 20)

        await stage.drain_to_the_end(stride=timedelta(hours=6))

        whole = {paid.id: ALL for paid in payments if paid.id != deadly}
        assert whole == stage.receiver.first_time()
        letters = (await Sinks(stage.opened).dead_letters(stage.id, None, 9)).dead_letters
        assert {(deadly, 1), (deadly, 2), (deadly, 3)} == {
            (letter.object_id, letter.sequence) for letter in letters
        }

    async def test_one_that_is_answered_so_does_not_hide_the_others(self, stage: Stage) -> None:
        """It is the first when nobody has been there, and still those that follow have a turn."""
        [deadly] = await pay(stage.opened)
        stage.receiver.says = lambda _event: AWAY
        waiting = await stage.drain()
        payments = await pay(stage.opened, 3)
        stage.receiver.says = lambda event: AWAY if event.object_id == deadly.id else TAKEN

        drained = await stage.drain_later(waiting)

        assert {paid.id: ALL for paid in payments} == stage.receiver.first_time()
        assert (None, 1) == (drained.failing_since, drained.lanes)

    async def test_one_that_waited_before_says_nothing_of_all(self, stage: Stage) -> None:
        """It is alone in being tried again, and who comes next need not wait for it."""
        [stuck] = await pay(stage.opened)
        stage.receiver.says = fails_at(stuck.id, 2)
        waiting = await stage.drain()
        stage.receiver.says = lambda event: AWAY if event.object_id == stuck.id else TAKEN
        drained = await stage.drain_later(waiting)
        [other] = await pay(stage.opened)

        await stage.drain()

        assert (Standing.RESTING, None) == (drained.standing, drained.failing_since)
        assert {stuck.id: [1], other.id: ALL} == stage.receiver.first_time()

    async def test_what_waits_does_not_end_the_trouble_by_failing(self, stage: Stage) -> None:
        """While nothing is taken the sink's pauses grow, and what waited loses no time by it."""
        stuck = await pay(stage.opened, 3)
        names = {paid.id for paid in stuck}
        stage.receiver.says = lambda event: FAILED if event.object_id in names else TAKEN
        await stage.drain()
        await pay(stage.opened, 3)
        stage.receiver.says = lambda _event: FAILED
        stage.now += timedelta(seconds=5)
        failing = [await stage.drain()]
        for _ in range(20):
            failing.append(await stage.drain_later(failing[-1]))

        assert {NOON + timedelta(seconds=5)} == {each.failing_since for each in failing}
        assert timedelta(minutes=15) == (failing[-1].next_at or NOON) - stage.now
        assert {(3, 0)} == {(each.lanes, each.dead_letters) for each in failing}

    async def test_a_page_of_what_nobody_wants_hides_nothing(self, opened: Sessions) -> None:
        """One that cannot be taken and much that is not wanted: what follows has its turn."""
        sink = await created(opened, types=("payment.succeeded",))
        stage = Stage(opened, sink, Receiver())
        [deadly] = await pay(opened)
        stage.receiver.says = lambda event: AWAY if event.object_id == deadly.id else TAKEN
        waiting = await stage.drain()
        others = await pay(opened, 70)  # more than is read at once

        drained = await stage.drain_later(waiting)

        assert {paid.id for paid in others} == {event.object_id for event in stage.receiver.taken}
        assert (None, 1) == (drained.failing_since, drained.lanes)

    async def test_trouble_shows_also_bit_by_bit(self, stage: Stage) -> None:
        """Orders are few, and each fails on its own: the fifth shows that nobody takes any."""
        stage.receiver.says = lambda _event: FAILED
        payments, told = [], []
        for _ in range(6):
            payments += await pay(stage.opened)
            told.append(await stage.drain())
            stage.now += timedelta(minutes=41)
        stage.now += timedelta(hours=9)
        stage.receiver.says = lambda _event: TAKEN

        await stage.drain()
        drained = await stage.drain()

        assert [True] * 4 + [False] * 2 == [each.failing_since is None for each in told]
        assert {paid.id: ALL for paid in payments} == stage.receiver.first_time()
        assert (0, None) == (drained.lanes, drained.failing_since)

    async def test_old_failures_are_no_trouble_of_today(self, stage: Stage) -> None:
        """Others were taken since: those that wait together fail together, and on their own."""
        stuck = {paid.id for paid in await pay(stage.opened, 6)}
        stage.receiver.says = lambda event: FAILED if event.object_id in stuck else TAKEN
        good, told = await pay(stage.opened), []
        for _ in range(17):
            told += [await stage.drain(), await stage.drain()]
            stage.now += timedelta(hours=4)
            told.append(await stage.drain())  # they fail together, and nothing else is there
            good += await pay(stage.opened)
        await stage.drain()

        assert {None} == {each.failing_since for each in told}
        assert {paid.id: ALL for paid in good} == stage.receiver.first_time()
        assert 6 == (await Sinks(stage.opened).waiting(stage.id)).lanes

    async def test_after_an_outage_what_waited_need_not_wait_longer(self, stage: Stage) -> None:
        """It has failed since nobody was there: with the first sign of life it is tried again."""
        early = await pay(stage.opened, 4)
        stage.receiver.says = lambda _event: FAILED
        drained = await stage.drain()
        for _ in range(6):
            drained = await stage.drain_later(drained)
        [late] = await pay(stage.opened)
        stage.receiver.says = lambda _event: TAKEN

        await stage.drain()
        await stage.drain()

        assert {paid.id: ALL for paid in [*early, late]} == stage.receiver.first_time()

    async def test_an_outage_may_begin_in_the_middle_of_a_burst(self, stage: Stage) -> None:
        """What failed after the last that was taken has failed since: then it is tried again."""
        payments = await pay(stage.opened, 12)
        stage.receiver.says = lambda event: TAKEN if event.sequence == 1 else FAILED
        drained = await stage.drain()
        while stage.now < NOON + timedelta(hours=10):
            drained = await stage.drain_later(drained)
        [late] = await pay(stage.opened)
        stage.receiver.says = lambda _event: TAKEN

        await stage.drain_later(drained)
        await stage.drain()

        assert stage.now < NOON + timedelta(hours=10, minutes=30)
        assert {paid.id: ALL for paid in [*payments, late]} == stage.receiver.first_time()

    async def test_three_days_without_a_worker_are_no_tries(self, stage: Stage) -> None:
        """Nobody has tried for so long: it is tried some more before it is given up."""
        await pay(stage.opened)
        stage.receiver.says = lambda _event: AWAY
        await stage.drain()
        stage.now += timedelta(days=4)

        drained = await stage.drain()

        assert Standing.WAITING is drained.standing

    async def test_all_that_fail_are_one_trouble(self, stage: Stage) -> None:
        """If nothing is taken of many it is not about the events: the sink waits as a whole."""
        await pay(stage.opened, 8)
        stage.receiver.says = lambda _event: FAILED

        drained = await stage.drain()

        assert (Standing.WAITING, 0, 24) == (drained.standing, drained.lanes, drained.behind)

    async def test_after_three_days_it_is_paused(self, stage: Stage) -> None:
        """Somebody must look; nothing is lost, and resuming goes on from the same event."""
        [paid] = await pay(stage.opened)
        stage.receiver.says = lambda _event: AWAY
        await stage.drain()
        stage.now += PATIENCE - timedelta(minutes=1)
        drained = await stage.drain()
        before = drained.standing
        drained = await stage.drain_later(drained)
        while drained.standing is Standing.WAITING:
            drained = await stage.drain_later(drained)
        stage.receiver.says = lambda _event: TAKEN
        resumed = {"status": SinkStatus.ACTIVE, "reason": SinkReason.RESUMED}
        await SinkChanges(stage.opened).change(stage.id, resumed, stage.now)

        await stage.drain()

        assert Standing.WAITING is before
        assert (Standing.PAUSED, SinkReason.AWAY_TOO_LONG) == (drained.standing, drained.reason)
        assert {paid.id: ALL} == stage.receiver.first_time()

    async def test_who_wants_no_more_is_left_alone(self, stage: Stage) -> None:
        """410 pauses the sink at that event."""
        await pay(stage.opened)
        stage.receiver.says = lambda _event: GONE

        drained = await stage.drain()
        await stage.drain()

        assert (Standing.PAUSED, SinkReason.GONE) == (drained.standing, drained.reason)
        assert (1, 3) == (len(stage.receiver.asked), drained.behind)


class Killed(BaseException):
    """The worker is no more."""


class TestKilled:
    @pytest.mark.parametrize("at", [1, 5, 9])
    async def test_what_was_not_written_down_is_given_again(self, stage: Stage, at: int) -> None:
        """A worker that dies in a batch loses nothing; what comes twice comes in order."""
        payments = await pay(stage.opened, 3)

        def dies(_event: Event) -> Answer:
            if len(stage.receiver.asked) >= at:
                raise Killed
            return TAKEN

        stage.receiver.says = dies
        with pytest.raises(BaseExceptionGroup):
            await stage.drain()
        stage.receiver.under_way.clear()
        stage.receiver.says = lambda _event: TAKEN

        await stage.drain()

        assert {paid.id: ALL for paid in payments} == stage.receiver.first_time()

    async def test_a_worker_that_wakes_up_late_moves_nothing(self, stage: Stage) -> None:
        """Another has gone on meanwhile: the place never goes back, and passes nothing."""
        payments = await pay(stage.opened, 3)
        sleeper = Stage(stage.opened, await stage.sink(), Receiver())
        others: list[Event] = []

        async def drained_by_another(event: Event) -> Answer:
            others.append(event)
            if len(others) == 1:
                await stage.drain()
            return TAKEN

        sleeper.receiver.deliver = drained_by_another  # type: ignore[method-assign]
        place = (await stage.sink()).place

        await sleeper.drain()

        assert {paid.id: ALL for paid in payments} == stage.receiver.first_time()
        assert place != (await stage.sink()).place
        assert 9 == (await stage.sink()).delivered


class TestSlow:
    async def test_one_that_never_answers_in_time_waits_on_its_own(self, opened: Sessions) -> None:
        """It is noted as failed, though time is up by then: it is not asked again at once."""
        stage = Stage(opened, await created(opened), Hanging(), budget_seconds=0.06)
        await pay(opened)
        await shown(opened, 3)
        await stage.drain()

        drained = await stage.drain()

        assert (1, NOON + timedelta(seconds=5)) == (drained.lanes, drained.next_at)
        assert 1 == len(stage.receiver.asked)

    async def test_if_nobody_answers_in_time_the_sink_waits(self, opened: Sessions) -> None:
        """More objects than are asked at once: none of those that were is asked again at once."""
        stage = Stage(opened, await created(opened), Hanging(), budget_seconds=0.06)
        await pay(opened, 20)
        await shown(opened, 60)

        drained = await stage.drain()
        asked_at_once = len(stage.receiver.asked)
        later = [await stage.drain_later(drained)]
        for _ in range(3):
            later.append(await stage.drain_later(later[-1]))

        assert (Standing.WAITING, 0) == (drained.standing, drained.lanes)
        assert {NOON} == {each.failing_since for each in [drained, *later]}
        assert (16, 4) == (asked_at_once, len(stage.receiver.asked) - asked_at_once)
        assert timedelta(minutes=1) == (later[-1].next_at or NOON) - stage.now

    async def test_what_hangs_on_its_own_keeps_nobody_from_their_turn(
        self, opened: Sessions
    ) -> None:
        """Its time is up, and then what is new has its own."""
        receiver = Hanging()
        stage = Stage(opened, await created(opened), receiver, budget_seconds=0.06)
        [stuck] = await pay(opened)
        await shown(opened, 3)
        await stage.drain()
        [other] = await pay(opened)
        await shown(opened, 6)
        receiver.hangs_for = {stuck.id}
        stage.now += timedelta(seconds=5)

        await stage.drain()

        assert {other.id: ALL} == receiver.first_time()


class Hanging(Receiver):
    """Does not answer, or not these objects' events; we are told when we give up waiting."""

    hangs_for: set[str] | None = None

    async def deliver(self, event: Event) -> Answer:
        if self.hangs_for is not None and event.object_id not in self.hangs_for:
            return await super().deliver(event)
        self.asked.append(event)
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.08)
        return FAILED


class TestTrouble:
    async def test_the_time_in_the_queue_is_nobodys_failure(self, stage: Stage) -> None:
        """Scheduled three days before a worker came: what fails now has failed since now."""
        [stuck, _] = await pay(stage.opened, 2)
        stage.receiver.says = fails_at(stuck.id, 1)
        environment = ActivityEnvironment()
        now = NOON + PATIENCE
        environment.info = dataclasses.replace(environment.info, started_time=now)
        activity = Deliveries(stage.opened, stage.receiver, budget_seconds=30)

        drained = await environment.run(activity.drain, DrainOrder(sink_id=stage.id, now=NOON))

        assert now + timedelta(seconds=5) == drained.next_at

    async def test_an_error_of_ours_is_that_events_alone(self, stage: Stage) -> None:
        """The others of its batch are handed over, and noted."""
        stuck, other = await pay(stage.opened, 2)

        def fails(event: Event) -> Answer:
            if event.object_id == stuck.id:
                stage.receiver.under_way.discard(event.object_id)
                raise KeyError(event.id)
            return TAKEN

        stage.receiver.says = fails

        drained = await stage.drain()

        assert {other.id: ALL} == stage.receiver.first_time()
        assert (1, 0) == (drained.lanes, drained.behind)

    async def test_many_that_come_too_early_are_no_trouble(self, stage: Stage) -> None:
        """Nobody is away: who comes next is served."""
        early = Answer(Verdict.NOT_YET, "too early", timedelta(minutes=3))
        await pay(stage.opened, 6)
        stage.receiver.says = lambda _event: early
        drained = await stage.drain()
        [other] = await pay(stage.opened)
        stage.receiver.says = lambda event: TAKEN if event.object_id == other.id else early

        await stage.drain()

        assert (None, 6) == (drained.failing_since, drained.lanes)
        assert {other.id: ALL} == stage.receiver.first_time()

    async def test_the_old_addresses_answer_says_nothing_of_the_new_one(self, stage: Stage) -> None:
        """Changed in the middle of a batch: the old one's 410 does not pause it."""
        await pay(stage.opened)
        changed: list[Event] = []

        async def moves(event: Event) -> Answer:
            if not changed:
                changed.append(event)
                url = {"url": "https://new.example/"}
                await SinkChanges(stage.opened).change(stage.id, url, NOON)
                return GONE
            stage.receiver.taken.append(event)
            return TAKEN

        stage.receiver.deliver = moves  # type: ignore[method-assign]

        drained = await stage.drain()

        assert Standing.RESTING is drained.standing
        assert ALL == [event.sequence for event in stage.receiver.taken]

    async def test_who_resumes_it_has_mended_it(self, stage: Stage) -> None:
        """What waited on its own is tried at once, and has all its time again."""
        [stuck] = await pay(stage.opened)
        stage.receiver.says = fails_at(stuck.id, 2)
        await stage.drain()
        stage.now += timedelta(days=4)
        resumed = {"status": SinkStatus.ACTIVE, "reason": SinkReason.RESUMED}
        await SinkChanges(stage.opened).change(stage.id, resumed, stage.now)

        drained = await stage.drain()

        assert (1, 0) == (drained.lanes, drained.dead_letters)
        assert stage.now + timedelta(seconds=5) == drained.next_at

    async def test_a_new_secret_may_have_mended_it(self, stage: Stage) -> None:
        """Who could not verify anything can now: what waited for that is tried at once."""
        await pay(stage.opened)
        stage.receiver.says = lambda _event: FAILED
        drained = await stage.drain()
        while stage.now < NOON + timedelta(hours=9):
            drained = await stage.drain_later(drained)
        stage.receiver.says = lambda _event: TAKEN
        rolled = Request("key", "secret")
        later = stage.now + timedelta(hours=1)
        await SinkChanges(stage.opened).roll_secret(
            stage.id, SecretStr(SECRET), rolled, later, stage.now
        )

        await stage.drain()

        assert ALL == [event.sequence for event in stage.receiver.taken]


class TestReplay:
    async def test_what_waits_from_before_the_place_goes_on_waiting(self, stage: Stage) -> None:
        """It is not passed over, and nothing overtakes it."""
        [stuck] = await pay(stage.opened)
        stage.receiver.says = fails_at(stuck.id, 2)
        await stage.drain()
        events = await Outbox(stage.opened).after(None, 9)
        stage.receiver.says = lambda _event: TAKEN
        await SinkChanges(stage.opened).replay(stage.id, events[1].place, REPLAY, NOON)

        await stage.drain_to_the_end()

        assert {stuck.id: ALL} == stage.receiver.first_time()

    async def test_no_place_ahead_is_gone_to(self, stage: Stage) -> None:
        """What lies between would be passed over."""
        await pay(stage.opened)
        await until(lambda: Outbox(stage.opened).after(None, 9), lambda all_: len(all_) == 3)

        with pytest.raises(Ahead):
            await SinkChanges(stage.opened).replay(
                stage.id, await Outbox(stage.opened).end(), REPLAY, NOON
            )

    async def test_one_key_is_one_request(self, stage: Stage) -> None:
        """With another request it is refused."""
        await SinkChanges(stage.opened).replay(stage.id, Place(), REPLAY, NOON)

        with pytest.raises(OtherRequest):
            await SinkChanges(stage.opened).replay(stage.id, None, Request("key", "other"), NOON)

    async def test_a_time_does_not_pass_over_a_late_commit(
        self, engine: AsyncEngine, stage: Stage
    ) -> None:
        """One that began before, and is committed last, comes as well."""
        if engine.dialect.name == "sqlite":
            pytest.skip("SQLite has one writer at a time")
        await pay(stage.opened)
        [event, *_] = await until(lambda: Outbox(stage.opened).after(None, 9), bool)
        late = {"id": "evn_late", "object_id": "pay_late", "object_type": "payment"}
        at = NOON + timedelta(days=1)
        told = {"type": event.type, "sequence": 1, "data": event.data, "created_at": at}
        quick = late | {"id": "evn_quick", "object_id": "pay_quick"}
        async with engine.connect() as slow:
            await slow.execute(insert(EVENTS), late | told)
            async with engine.begin() as connection:
                await connection.execute(insert(EVENTS), quick | told)
            place = await Outbox(stage.opened).place_before(at)
            await slow.commit()

        found = await until(
            lambda: Outbox(stage.opened).after(place, 9), lambda all_: len(all_) >= 2
        )

        assert {"pay_late", "pay_quick"} <= {event.object_id for event in found}

    async def test_from_the_beginning(self, stage: Stage) -> None:
        """Everything comes once more, and in order."""
        payments = await pay(stage.opened, 3)
        await stage.drain()
        stage.receiver.taken.clear()

        await SinkChanges(stage.opened).replay(stage.id, Place(), REPLAY, NOON)
        await stage.drain()

        assert {paid.id: ALL for paid in payments} == stage.receiver.first_time()

    async def test_the_same_request_is_done_once(self, stage: Stage) -> None:
        """A repeat by its key does not begin anew."""
        await pay(stage.opened)
        await SinkChanges(stage.opened).replay(stage.id, Place(), REPLAY, NOON)
        await stage.drain()

        await SinkChanges(stage.opened).replay(stage.id, Place(), REPLAY, NOON)
        await stage.drain()

        assert 3 == len(stage.receiver.taken)

    async def test_a_batch_that_is_under_way_does_not_undo_it(self, stage: Stage) -> None:
        """The place that was asked for counts, not the one that the batch would have noted."""
        [paid] = await pay(stage.opened)
        await stage.drain()
        [later] = await pay(stage.opened)
        asked: list[str] = []

        async def asks_meanwhile(event: Event) -> Answer:
            if not asked:
                await SinkChanges(stage.opened).replay(stage.id, Place(), REPLAY, NOON)
            asked.append(event.object_id)
            return TAKEN

        stage.receiver.deliver = asks_meanwhile  # type: ignore[method-assign]
        await stage.drain()

        assert {paid.id, later.id} == set(asked[-6:])

    async def test_dead_letters_get_another_chance(self, stage: Stage) -> None:
        """From the first of each object on, so that its order holds."""
        [paid] = await pay(stage.opened)
        stage.receiver.says = lambda event: REFUSED if event.sequence > 1 else TAKEN
        await stage.drain()
        stage.receiver.says = lambda _event: TAKEN

        await SinkChanges(stage.opened).replay(stage.id, None, REPLAY, NOON)
        drained = await stage.drain()

        assert [1, 2, 3] == [event.sequence for event in stage.receiver.taken]
        assert {paid.id} == {event.object_id for event in stage.receiver.taken}
        assert 0 == drained.dead_letters

    async def test_from_a_time(self, stage: Stage) -> None:
        """What happened then or later; the end, if nothing has."""
        await pay(stage.opened)
        outbox = Outbox(stage.opened)
        await until(lambda: outbox.after(None, 9), lambda all_: len(all_) == 3)

        assert 3 == len(await outbox.after(await outbox.place_before(NOON), 9))
        assert [] == await outbox.after(await outbox.place_before(NOON + timedelta(days=1)), 9)


class TestRest:
    async def test_who_rests_is_seen(self, stage: Stage) -> None:
        """Whoever writes an event finds the sink, until somebody has woken it."""
        progress = SinkProgress(stage.opened)
        await stage.drain()

        [rest] = await progress.resting()
        await progress.is_woken(rest)

        assert stage.id == rest.sink_id
        assert [] == await progress.resting()

    async def test_a_late_word_does_not_end_a_later_rest(self, stage: Stage) -> None:
        """Who has woken it from the first rest says nothing of the second."""
        progress = SinkProgress(stage.opened)
        await stage.drain()
        [first] = await progress.resting()
        await stage.drain()

        await progress.is_woken(first)

        assert [first.number + 1] == [rest.number for rest in await progress.resting()]

    async def test_what_comes_while_it_lies_down_is_found(self, stage: Stage) -> None:
        """An event between the last look and the rest does not wait for the next one."""
        lies_down = SinkProgress.rest
        came: list[object] = []
        activity = Deliveries(stage.opened, stage.receiver, budget_seconds=30)

        class LateEvent(SinkProgress):
            async def rest(self, sink: Sink) -> Any:
                if not came:
                    came.extend(await pay(stage.opened))
                return await lies_down(self, sink)

        activity._progress = LateEvent(stage.opened)
        order = DrainOrder(sink_id=stage.id, now=NOON)
        drained = await ActivityEnvironment().run(activity.drain, order)

        assert Standing.RESTING is drained.standing
        assert 3 == len(stage.receiver.taken)

    async def test_a_rest_that_was_no_rest_hides_no_other(self, stage: Stage) -> None:
        """A drain that was thought dead lies down late, and finds events: who rests is seen."""
        lies_down = SinkProgress.rest
        late = Deliveries(stage.opened, Receiver(), budget_seconds=0.5)
        rested, goes_on = asyncio.Event(), asyncio.Event()

        class Sleeper(SinkProgress):
            async def rest(self, sink: Sink) -> Any:
                rested.set()
                await goes_on.wait()
                return await lies_down(self, sink)

        late._progress = Sleeper(stage.opened)
        order = DrainOrder(sink_id=stage.id, now=NOON)
        sleeping = asyncio.create_task(ActivityEnvironment().run(late.drain, order))
        await rested.wait()
        await pay(stage.opened)
        drained = await stage.drain()
        goes_on.set()
        await sleeping

        assert Standing.RESTING is drained.standing
        assert [stage.id] == [rest.sink_id for rest in await SinkProgress(stage.opened).resting()]

    async def test_who_oversleeps_is_found(self, stage: Stage) -> None:
        """It rests though there is something for it: the sweep finds it, and nobody else."""
        progress = SinkProgress(stage.opened)
        await stage.drain()
        before = await progress.overslept()

        await pay(stage.opened)

        assert [] == before
        assert [stage.id] == [rest.sink_id for rest in await progress.overslept()]

    async def test_one_that_is_removed_is_over(self, stage: Stage) -> None:
        """Nothing is handed over any more, and nothing waits any longer."""
        await pay(stage.opened)
        stage.receiver.says = lambda event: REFUSED if event.sequence == 1 else FAILED
        await stage.drain()
        stage.receiver.asked.clear()
        await SinkChanges(stage.opened).remove(stage.id, NOON)

        drained = await stage.drain()

        assert Standing.REMOVED is drained.standing
        assert [] == stage.receiver.asked
        left = await Sinks(stage.opened).waiting(stage.id)
        assert (0, 0) == (left.lanes, left.dead_letters)


class Told:
    """Remembers whose run was told; Temporal may be away."""

    def __init__(self) -> None:
        self.sinks: list[str] = []
        self.is_away = False
        self.deaf: set[str] = set()

    async def sink(self, sink_id: str, _name: str) -> None:
        if self.is_away or sink_id in self.deaf:
            raise NotTold("away")
        self.sinks.append(sink_id)


class TestWaking:
    async def test_who_cannot_be_told_keeps_nobody_from_it(self, stage: Stage) -> None:
        """One run that Temporal refuses to tell: the others are told, and the sweep fails."""
        other = await created(stage.opened)
        told = Told()
        told.deaf = {min(other.id, stage.id)}
        waking = Waking(stage.opened, told)  # type: ignore[arg-type]

        for wake in (waking.wake_overslept, waking.open_all):
            with pytest.raises(NotTold):
                await wake()

        assert [max(other.id, stage.id)] * 2 == told.sinks

    async def test_who_was_not_told_of_a_change_is_told_by_the_sweep(self, stage: Stage) -> None:
        """Made, changed or removed, and the message was lost: once, and then never again."""
        told = Told()
        waking = Waking(stage.opened, told)  # type: ignore[arg-type]

        for change in (None, {"status": SinkStatus.PAUSED}, {"status": SinkStatus.REMOVED}):
            if change is not None:
                await SinkChanges(stage.opened).change(stage.id, change, NOON)
            assert 1 == await waking.wake_overslept()
            assert 0 == await waking.wake_overslept()

        assert [stage.id] * 3 == told.sinks

    async def test_a_payment_does_not_fail_by_it(self, stage: Stage) -> None:
        """Temporal is away: the step is written, and the sweep finds who sleeps."""
        told = Told()
        waking = Waking(stage.opened, told)  # type: ignore[arg-type]
        await waking.wake_overslept()
        await stage.drain()
        told.is_away = True

        recorded = await Records(stage.opened, waking).record(batch(*succeeded(payment())))
        told.is_away = False

        assert None is recorded
        assert 1 == await waking.wake_overslept()

    async def test_one_that_rests_is_told_once(self, stage: Stage) -> None:
        """With the first step after it; from then on it is awake."""
        told = Told()
        waking = Waking(stage.opened, told)  # type: ignore[arg-type]
        await waking.wake_overslept()
        await stage.drain()

        for _ in range(2):
            await Records(stage.opened, waking).record(batch(*succeeded(payment())))

        assert [stage.id] * 2 == told.sinks
