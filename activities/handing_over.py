"""Handing a batch of events over: in order for each object, several objects at once."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import structlog

from paysaga.domain.outbox import OutboxEvent, Place
from paysaga.domain.sink import (
    DeadLetter,
    DeadLetterReason,
    Lane,
    asked_wait,
    is_given_up,
    pause_of_lane,
    pause_of_sink,
)
from paysaga.events.delivery import Answer, Target, Verdict, in_short
from paysaga.events.shapes import published

Clock = Callable[[], datetime]

log: Final = structlog.stdlib.get_logger("deliveries")

# If so many objects fail one after the other, and none does not, it is hardly about these events.
ENOUGH: Final = 5

_FAILED: Final = frozenset({Verdict.FAILED, Verdict.AWAY})
_ALIVE: Final = frozenset({Verdict.TAKEN, Verdict.REFUSED})
_REFUSED: Final = frozenset({Verdict.REFUSED, Verdict.UNDELIVERABLE})
_DEALT_WITH: Final = _ALIVE | _REFUSED | {Verdict.PASSED}


@dataclass
class Errand:
    """The events of one object that are to be handed over, and how far that has come.

    `lane` is where it waited. Such an errand has the events as far as its sink has come, or the
    first of them if it `is_cut`; `follows` is the number of the next one. At `alive_at` the other
    side has last taken something of it, or refused it for good; at `stopped_at` it was stopped.
    """

    object_id: str
    events: Sequence[OutboxEvent]
    lane: Lane | None = None
    follows: int = 1
    is_cut: bool = False
    done: int = 0
    taken: int = 0
    alive_at: datetime | None = None
    dead: list[tuple[OutboxEvent, str]] = field(default_factory=list)
    stopped_by: Answer | None = None
    stopped_at: datetime | None = None
    last_answer: str | None = None

    @property
    def left(self) -> Sequence[OutboxEvent]:
        """What was not handed over."""
        return self.events[self.done :]

    @property
    def is_untried(self) -> bool:
        """Whether something is left that nobody was asked about: time was up."""
        return bool(self.left) and self.stopped_by is None

    @property
    def has_failed(self) -> bool:
        """Whether it was stopped by a failure. What is too early has not failed."""
        return self.stopped_by is not None and self.stopped_by.verdict in _FAILED

    def hears(self, event: OutboxEvent, answer: Answer, at: datetime) -> None:
        """What came back for its next event, and when.

        Where an event does not wait for the one before, that may be one behind the one that it was
        stopped by: it comes again with that.
        """
        self.last_answer = in_short(answer.told)
        self.taken += answer.verdict is Verdict.TAKEN
        if answer.verdict in _ALIVE:
            self.alive_at = at
        if self.stopped_by is not None:
            return
        if answer.verdict not in _DEALT_WITH:
            self.stopped_by, self.stopped_at = answer, at
            return
        if answer.verdict in _REFUSED:
            self.dead.append((event, answer.told))
        self.done += 1

    def dead_letters(self, now: datetime) -> list[DeadLetter]:
        """What will never be taken."""
        return [
            dead_letter(event, DeadLetterReason.REFUSED, told, now) for event, told in self.dead
        ]


class Batch:
    """Errands that are run together until all are done, or nobody is there, or time is up.

    Where `keeps_order` is not promised an event that waits does not hold back what follows it. That
    comes again with it later: such a target knows what it has taken.
    """

    def __init__(
        self, target: Target, clock: Clock, at_once: int, until: datetime, *, keeps_order: bool
    ) -> None:
        self._target = target
        self._clock = clock
        self._keeps_order = keeps_order
        self._room = asyncio.Semaphore(at_once)
        self._until = until
        self._failed_in_a_row = 0
        self.gone: Answer | None = None

    async def run(self, errands: Iterable[Errand]) -> None:
        """Hand over what can be. What an errand has come to stands in it."""
        async with asyncio.TaskGroup() as together:
            for errand in errands:
                together.create_task(self._run(errand))

    @property
    def _is_over(self) -> bool:
        is_late = self._clock() > self._until
        return is_late or self.gone is not None or self._failed_in_a_row >= ENOUGH

    async def _run(self, errand: Errand) -> None:
        async with self._room:
            for event in errand.events:
                if self._is_over:
                    return
                answer = await self._deliver(event)
                self._count(answer, is_first=errand.stopped_by is None)
                errand.hears(event, answer, self._clock())
                if errand.stopped_by is not None and self._keeps_order:
                    return

    def _count(self, answer: Answer, *, is_first: bool) -> None:
        """Objects that fail, and not each of their events."""
        if answer.verdict in _ALIVE:
            self._failed_in_a_row = 0
        elif answer.verdict in _FAILED:
            self._failed_in_a_row += is_first
        elif answer.verdict is Verdict.GONE:
            self.gone = answer

    async def _deliver(self, event: OutboxEvent) -> Answer:
        try:
            told = published(event)
        except ValueError:
            # A newer release has written it: the newer worker that comes next can read it.
            log.exception("an event cannot be read", event_id=event.id, payment_id=event.object_id)
            return Answer(Verdict.FAILED, "this release cannot read the event")
        try:
            return await self._target.deliver(told)
        except Exception as error:
            # Ours, or the database's. The others of the batch are not to suffer from it.
            log.exception(
                "an event cannot be handed over", event_id=event.id, payment_id=event.object_id
            )
            return Answer(Verdict.FAILED, f"it could not be handed over ({type(error).__name__})")


def grouped(events: Iterable[OutboxEvent]) -> list[Errand]:
    """The events by their objects."""
    by_object: dict[str, list[OutboxEvent]] = {}
    for event in events:
        by_object.setdefault(event.object_id, []).append(event)
    return [Errand(object_id, its) for object_id, its in by_object.items()]


def lane_after(errand: Errand, now: datetime) -> tuple[Lane, DeadLetter | None]:
    """How an object waits whose events are not all handed over; one may be given up by that."""
    first, why = errand.left[0], errand.stopped_by
    before = errand.lane if not errand.done else None
    calm = Lane(object_id=errand.object_id, sequence=first.sequence, next_try_at=now)
    if why is None or why.verdict is Verdict.GONE:
        return before or calm, None
    wait = asked_wait(why.wait)
    if why.verdict is Verdict.NOT_YET:
        return calm.model_copy(update={"next_try_at": now + (wait or pause_of_lane(1))}), None
    failures = (before.failures if before else 0) + 1
    since = (before.failing_since if before else None) or errand.stopped_at or now
    if is_given_up(since, now, failures):
        after = calm.model_copy(update={"sequence": first.sequence + 1})
        return after, dead_letter(first, DeadLetterReason.GAVE_UP, why.told, now)
    # Who says that nobody is there may mean it: then hours must not pass before we notice them.
    pause_of = pause_of_sink if why.verdict is Verdict.AWAY else pause_of_lane
    update = {
        "failures": failures,
        "failing_since": since,
        "next_try_at": now + max(wait or pause_of(failures), pause_of_lane(1)),
        "last_answer": why.told,
    }
    return calm.model_copy(update=update), None


def last_dealt_with(errands: Iterable[Errand]) -> Place | None:
    """The place of the last event that something came of: it was taken, refused, or waits."""
    dealt = [
        event.place for errand in errands for event in errand.events[: errand.done + _waits(errand)]
    ]
    return max(dealt, key=_order, default=None)


def _waits(errand: Errand) -> bool:
    """Whether the event that it was stopped by waits on its own."""
    return errand.stopped_by is not None and errand.stopped_by.verdict is not Verdict.GONE


def is_before(event: OutboxEvent, place: Place) -> bool:
    """Whether a reader at this place has passed the event."""
    return _order(event.place) <= _order(place)


def dead_letter(
    event: OutboxEvent, reason: DeadLetterReason, told: str, now: datetime
) -> DeadLetter:
    """The event as a dead letter."""
    return DeadLetter(
        event_id=event.id,
        object_id=event.object_id,
        sequence=event.sequence,
        type=event.type,
        reason=reason,
        last_answer=told,
        at=now,
    )


def _order(place: Place) -> tuple[int, int, int]:
    return (place.epoch, place.transaction, place.position)
