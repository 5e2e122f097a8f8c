"""The one activity of a sink's run, which does as the script says."""

import asyncio
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.client import WorkflowHandle

from activities.sink_orders import Drained, DrainOrder, Standing
from paysaga.domain.sink import SinkReason
from tests.sinks import NOON
from workflows.sink import SinkWorkflow

_NEVER = timedelta(0)


class Drains:
    """Answers one after the other; when none is left the sink is removed."""

    def __init__(self, answers: list[Drained]) -> None:
        self._answers = answers
        self._rests: asyncio.Queue[None] = asyncio.Queue()
        self._nudges = sum(_waits_for_ever(answer) for answer in answers)

    @activity.defn
    async def drain(self, order: DrainOrder) -> Drained:
        if not self._answers:
            return Drained(standing=Standing.REMOVED)
        answer = self._answers.pop(0)
        if _waits_for_ever(answer):
            self._rests.put_nowait(None)
        if answer.next_at is None:
            return answer
        return answer.model_copy(update={"next_at": order.now + (answer.next_at - NOON)})

    async def play(self, run: WorkflowHandle[Any, Any]) -> None:
        """Nudge it each time it rests."""
        for _ in range(self._nudges):
            await self._rests.get()
            await run.signal(SinkWorkflow.nudged)


def _waits_for_ever(answer: Drained) -> bool:
    return answer.standing is not Standing.WORKING and answer.next_at is None


def drained(
    standing: Standing,
    *,
    minutes: int = 0,
    failing: bool = False,
    behind: int = 0,
    lanes: int = 0,
    delivered: int = 0,
    reason: SinkReason = SinkReason.CREATED,
    told: str | None = None,
) -> Drained:
    """How a sink stands; its next try is so many minutes later, if it is any."""
    return Drained(
        standing=standing,
        reason=reason,
        next_at=NOON + timedelta(minutes=minutes) if minutes else None,
        behind=behind,
        lanes=lanes,
        delivered=delivered,
        last_answer=told,
        failing_since=NOON if failing else None,
    )
