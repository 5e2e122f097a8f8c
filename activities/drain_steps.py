"""What a round has come to, and what follows for its sink."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from activities.handing_over import ENOUGH, Errand, is_before, lane_after, last_dealt_with
from paysaga.domain.outbox import OutboxEvent, Place
from paysaga.domain.sink import (
    Lane,
    Sink,
    SinkReason,
    Step,
    asked_wait,
    is_given_up,
    pause_of_sink,
)
from paysaga.events.delivery import Answer, Verdict


@dataclass(frozen=True)
class Round:
    """What a sink was given in one go, and all that was known before.

    `waiting` are the errands of lanes, `fresh` those of the events of `page`, which follow the
    sink's place, but for those of objects that have a lane. If it `is_cut` more may follow. Nothing
    new is begun while it `is_full` of objects that have failed.
    """

    sink: Sink
    lanes: Mapping[str, Lane]
    page: Sequence[OutboxEvent]
    is_cut: bool
    is_full: bool
    waiting: list[Errand]
    fresh: list[Errand]

    def step(self, gone: Answer | None, now: datetime) -> Step:
        """What is written down of it.

        Args:
            gone: What came back if the other side wants no more events at all.
            now: The lanes' pauses begin here.
        """
        if gone is None and (trouble := self._trouble()) is not None:
            return self._in_trouble(trouble, now)
        reached = self._reached()
        passed = [each for each in self.fresh if each.left and is_before(each.left[0], reached)]
        stuck = [lane_after(each, now) for each in [*self.waiting, *passed] if each.left]
        met = {event.object_id for event in self.page if is_before(event, reached)}
        served = [each for each in self.waiting if not each.left]
        going_on = [_goes_on(each, now) for each in served if each.is_cut or each.object_id in met]
        lanes = {lane.object_id: lane for lane in [*(lane for lane, _ in stuck), *going_on]}
        errands = [*self.waiting, *self.fresh]
        dead = [letter for each in errands for letter in each.dead_letters(now)]
        return Step.model_validate(
            {
                "place": reached,
                "delivered": sum(each.taken for each in errands),
                "lanes": tuple(lanes.values()),
                "freed": tuple(e.object_id for e in served if e.object_id not in lanes),
                "hurried": self._hurried(met, lanes),
                "alive_at": self._alive_at(),
                "dead_letters": (*dead, *(letter for _, letter in stuck if letter is not None)),
                "last_answer": self._last_answer(),
                "at": now,
                **self._standing(),
                **({"paused": SinkReason.GONE, "last_answer": gone.told} if gone else {}),
            }
        )

    def _trouble(self) -> Answer | None:
        """What came back if it is not about these events, but about all.

        Nothing was taken, since several objects' events have failed; or nobody is there, and there
        is nothing else to try. What failed before something else was taken says nothing, unless it
        is all that is tried any more.
        """
        news = self._failed() if self.is_full else self._news()
        if not news or self._shows_life():
            return None
        suspects = {lane.object_id for lane in self.lanes.values() if self._is_suspect(lane)}
        suspects |= {each.object_id for each in news}
        is_known = self.sink.failures > 0 or any(_is_away(each) for each in self.fresh)
        if self.is_full or len(suspects) >= ENOUGH or (is_known and not self.is_cut):
            return news[-1].stopped_by
        return None

    def _news(self) -> list[Errand]:
        """Failures since the other side has last shown life."""
        return [
            each
            for each in self._failed()
            if each.lane is None or not each.lane.failures or self._is_suspect(each.lane)
        ]

    def _failed(self) -> list[Errand]:
        return [each for each in [*self.waiting, *self.fresh] if each.has_failed]

    def _is_suspect(self, lane: Lane) -> bool:
        """Whether nothing was taken since this object has begun to fail."""
        alive_at, since = self.sink.alive_at, lane.failing_since
        return since is not None and (alive_at is None or alive_at < since)

    def _shows_life(self) -> bool:
        return self._alive_at() is not None

    def _alive_at(self) -> datetime | None:
        """When the other side has last shown life."""
        moments = [each.alive_at for each in [*self.waiting, *self.fresh] if each.alive_at]
        return max(moments, default=None)

    def _in_trouble(self, trouble: Answer, now: datetime) -> Step:
        """All of the sink waits, and nothing on its own: it stands where it stood."""
        since = self.sink.failing_since or now
        failures = self.sink.failures + 1
        pause = max(asked_wait(trouble.wait) or pause_of_sink(failures), pause_of_sink(1))
        waits: dict[str, Any] = {
            "failures": failures,
            "failing_since": since,
            "next_try_at": now + pause,
        }
        if is_given_up(since, now, failures):
            waits = {"paused": SinkReason.AWAY_TOO_LONG}
        return Step.model_validate(
            {"place": self.sink.place, "last_answer": trouble.told, "at": now, **waits}
        )

    def _reached(self) -> Place:
        """As far as all is handed over, or waits on its own."""
        if any(each.is_untried or _is_gone(each) for each in self.fresh) or not self.page:
            return last_dealt_with(self.fresh) or self.sink.place
        return self.page[-1].place

    def _hurried(self, met: set[str], lanes: Mapping[str, Lane]) -> tuple[str, ...]:
        """Those that need not rest any longer.

        There is a new event of theirs, and they have not failed, or what came since does not wait
        for that. Or they have failed while nobody took anything, and now somebody does.
        """
        resting = {name: lanes.get(name) or self.lanes[name] for name in met & self.lanes.keys()}
        hurried = {
            name for name, lane in resting.items() if not lane.failures or not self.sink.keeps_order
        }
        if self._shows_life():
            tried = {each.object_id for each in self.waiting}
            hurried |= {
                lane.object_id
                for lane in self.lanes.values()
                if self._is_suspect(lane) and lane.object_id not in tried
            }
        return tuple(sorted(hurried))

    def _last_answer(self) -> str | None:
        told = [each.last_answer for each in [*self.waiting, *self.fresh]]
        return next((answer for answer in reversed(told) if answer is not None), None)

    def _standing(self) -> dict[str, Any]:
        """Trouble is over when somebody shows life, or when nothing is left of what failed."""
        is_left = self._news() or any(each.is_untried for each in [*self.waiting, *self.fresh])
        if self._shows_life() or not is_left:
            return {}
        return {"failures": self.sink.failures, "failing_since": self.sink.failing_since}


def _goes_on(errand: Errand, now: datetime) -> Lane:
    """Its lane has served what it had, and there is more to come."""
    return Lane(object_id=errand.object_id, sequence=errand.follows, next_try_at=now)


def _is_away(errand: Errand) -> bool:
    return errand.stopped_by is not None and errand.stopped_by.verdict is Verdict.AWAY


def _is_gone(errand: Errand) -> bool:
    return errand.stopped_by is not None and errand.stopped_by.verdict is Verdict.GONE
