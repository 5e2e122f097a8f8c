"""Draining the outbox to a sink: batch by batch from its place, each object in its own order."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog
from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.drain_steps import Round
from activities.handing_over import Batch, Clock, Errand, grouped
from activities.records import NOT_WRITABLE, in_one_line
from activities.sink_orders import Drained, DrainOrder, Standing
from paysaga.database.engine import Sessions
from paysaga.database.outbox import Outbox
from paysaga.database.progress import Moved, SinkProgress
from paysaga.database.sinks import Sinks
from paysaga.domain.outbox import OutboxEvent
from paysaga.domain.sink import Lane, Sink, SinkKind, SinkStatus, Step
from paysaga.events.delivery import Target

log: Final = structlog.stdlib.get_logger("deliveries")

BUDGET_SECONDS: Final = 15.0
_BATCH: Final = 200
_LANES_AT_ONCE: Final = 50
_EVENTS_OF_A_LANE: Final = 50
# So many objects may wait on their own. If there are more, it is the sink that does not work.
MOST_LANES: Final = 500
_AT_ONCE: Final[Mapping[SinkKind, int]] = {
    SinkKind.HTTP: 16,
    SinkKind.AMQP: 32,
    SinkKind.EMAIL: 4,
}
_MOST_COUNTED: Final = 100_000
_HEARTBEAT_SECONDS: Final = 5.0
# Between the looks for what another transaction keeps back; after them its run waits longer.
_SETTLING_SECONDS: Final = (0.05, 0.1, 0.2, 0.4, 0.8)


class Targets(Protocol):
    """Where sinks lead."""

    def of(self, sink: Sink, now: datetime) -> Target:
        """The place that a sink's events go to, as the sink is configured now."""
        ...


class Deliveries:
    """Activities that hand events over.

    Killed anywhere, they hand over again what was not written down: at least once, and never an
    object's later event before its earlier one.
    """

    def __init__(
        self, sessions: Sessions, targets: Targets, budget_seconds: float = BUDGET_SECONDS
    ) -> None:
        self._sinks = Sinks(sessions)
        self._progress = SinkProgress(sessions)
        self._outbox = Outbox(sessions)
        self._targets = targets
        self._budget = timedelta(seconds=budget_seconds)

    @activity.defn
    async def drain(self, order: DrainOrder) -> Drained:
        """Hand over what there is, for some seconds, and say how the sink stands."""
        # It may have waited for a worker for long, and what it pauses for begins now.
        now = max(order.now, activity.info().started_time)
        async with _heart():
            clock = _clock(now)
            while True:
                sink = await self._sinks.sink(order.sink_id)
                if sink is None or sink.status is not SinkStatus.ACTIVE:
                    return await self._stopped(sink)
                if sink.next_try_at is not None and sink.next_try_at > now:
                    return await self._told(sink, Standing.WAITING, sink.next_try_at)
                try:
                    standing = await self._next(sink, now, clock)
                except Moved:
                    continue
                if standing is not None:
                    return standing

    async def _next(self, sink: Sink, now: datetime, clock: Clock) -> Drained | None:
        """One more round; how the sink stands if nothing is to be done after it."""
        if clock() > now + self._budget:
            return await self._told(sink, Standing.WORKING)
        lanes = await self._progress.lanes(sink.id)
        due = _due(sink, lanes, now)
        is_full = sum(lane.failures > 0 for lane in lanes.values()) >= MOST_LANES
        page = [] if is_full else await self._outbox.after(sink.place, _BATCH)
        if due or page:
            tried = await self._round(sink, lanes, due, page, is_full=is_full)
            await self._run(tried, now, clock)
            return None
        if is_full:
            return await self._told(sink, Standing.WAITING, await self._progress.next_due(sink.id))
        if await self._outbox.is_more(sink.place):
            return await self._settling(sink)
        return await self._rest(sink)

    async def _round(
        self,
        sink: Sink,
        lanes: Mapping[str, Lane],
        due: list[Lane],
        page: list[OutboxEvent],
        *,
        is_full: bool,
    ) -> Round:
        waiting = [await self._errand(sink, lane) for lane in due]
        fresh = grouped(
            event for event in page if sink.wants(event.type) and event.object_id not in lanes
        )
        if sink.failures:
            random.shuffle(fresh)
        await self._check_turn(sink)
        return Round(sink, lanes, page, len(page) == _BATCH, is_full, waiting, fresh)

    async def _errand(self, sink: Sink, lane: Lane) -> Errand:
        """The lane's events, as far as the sink has come: what follows is read with the others."""
        events = await self._outbox.of_object(
            lane.object_id, lane.sequence, sink.place, _EVENTS_OF_A_LANE
        )
        return Errand(
            lane.object_id,
            [event for event in events if sink.wants(event.type)],
            lane,
            follows=events[-1].sequence + 1 if events else lane.sequence,
            is_cut=len(events) == _EVENTS_OF_A_LANE,
        )

    async def _run(self, tried: Round, now: datetime, clock: Clock) -> None:
        """Hand over, and write down what that has come to.

        What waits on its own has its time first, and then what is new has its own: however slowly
        somebody answers, neither keeps the other from its turn. Both together show whether the
        other side is there.
        """
        sink, gone = tried.sink, None
        # Where nobody was there one at a time is tried.
        at_once = 1 if sink.failures else _AT_ONCE[sink.kind]
        target = self._targets.of(sink, now)
        for errands in (tried.waiting, tried.fresh):
            if gone is None:
                soon = clock() + self._budget / 2
                batch = Batch(target, clock, at_once, soon, keeps_order=sink.keeps_order)
                await batch.run(errands)
                gone = batch.gone
        await self._note(sink, tried.step(gone, now))

    async def _note(self, sink: Sink, step: Step) -> None:
        try:
            await self._progress.note(sink, step)
        except (DataError, IntegrityError, ProgrammingError) as error:
            # Without the row, which the database would quote with its secrets.
            raise ApplicationError(in_one_line(error), type=NOT_WRITABLE) from None
        _log(sink, step)

    async def _check_turn(self, sink: Sink) -> None:
        """Whether the sink and its lanes were read as they belong together.

        Raises:
            Moved: Somebody has changed the sink between the two.
        """
        now = await self._sinks.sink(sink.id)
        if now is None or now.turn != sink.turn:
            raise Moved

    async def _settling(self, sink: Sink) -> Drained | None:
        """Another transaction is under way on the database's server: its end is near, as a rule."""
        for pause in _SETTLING_SECONDS:
            await asyncio.sleep(pause)
            if await self._outbox.after(sink.place, 1):
                return None
        return await self._told(sink, Standing.WORKING)

    async def _rest(self, sink: Sink) -> Drained | None:
        """Rest, unless something came meanwhile. Whoever writes sees the rest, or is seen here.

        Such a rest is not taken back, since that might be taken for the end of somebody else's: one
        nudge too many does no harm.
        """
        await self._progress.rest(sink)
        if await self._outbox.is_more(sink.place):
            return None
        return await self._told(sink, Standing.RESTING, await self._progress.next_due(sink.id))

    async def _stopped(self, sink: Sink | None) -> Drained:
        if sink is None or sink.status is SinkStatus.REMOVED:
            return Drained(standing=Standing.REMOVED)
        return await self._told(sink, Standing.PAUSED)

    async def _told(
        self, sink: Sink, standing: Standing, next_at: datetime | None = None
    ) -> Drained:
        waiting = await self._sinks.waiting(sink.id)
        return Drained(
            standing=standing,
            reason=sink.reason,
            next_at=next_at,
            behind=await self._outbox.count_after(sink.place, _MOST_COUNTED),
            lanes=waiting.lanes,
            dead_letters=waiting.dead_letters,
            delivered=sink.delivered,
            turn=sink.turn,
            last_answer=sink.last_answer,
            failing_since=sink.failing_since,
        )


def _due(sink: Sink, lanes: Mapping[str, Lane], now: datetime) -> list[Lane]:
    """Some of those whose rest is over, the longest first.

    In trouble only a few are tried: any, so that those that cannot be taken are not always first.
    """
    due = [lane for lane in lanes.values() if lane.next_try_at <= now]
    due.sort(key=lambda lane: (lane.next_try_at, lane.object_id))
    if sink.failures:
        random.shuffle(due)
    return due[:_LANES_AT_ONCE]


def _clock(now: datetime) -> Clock:
    """The time from now on, which nobody sets back."""
    began = time.monotonic()
    return lambda: now + timedelta(seconds=time.monotonic() - began)


def _log(sink: Sink, step: Step) -> None:
    """What operators look for: trouble when it begins, and every event that is given up."""
    told = {"sink_id": sink.id, "answer": step.last_answer}
    if step.paused is not None:
        log.warning("a sink is paused", reason=step.paused.value, **told)
    elif step.failures and not sink.failures:
        log.warning("nobody is there at a sink", **told)
    for letter in step.dead_letters:
        about = {"event_id": letter.event_id, "payment_id": letter.object_id}
        log.warning("an event is a dead letter", reason=letter.reason.value, **about, **told)


@asynccontextmanager
async def _heart() -> AsyncIterator[None]:
    """Show that it is alive while a slow other side is waited for."""

    async def beat() -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(_HEARTBEAT_SECONDS)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
