"""Life without webhooks: one sweep for all payments, instead of asking for each again and again."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.sweeping import Batch, EventList, InboxWork, Moment, OutboxWork
    from paysaga.domain.message import Message

from workflows import patches, policies

# One sweep comes to an end, and the next one goes on from there.
MOST_PAGES: Final = 50
MOST_BATCHES: Final = 100


class Swept(Message):
    """What one sweep has done. What it has not come to is the next one's."""

    stored: int
    tried: int
    failed: int
    gateway_answered: bool


class KeepingTime(Message):
    """How long the gateway's events are kept after they were processed, and ours at all."""

    days: int
    event_days: int | None = None


@workflow.defn
class SweepWorkflow:
    """Reads the gateway's list of events into the inbox, then works off what is owed there.

    First it wakes the sinks that nobody has woken: they need not wait for a gateway that hangs.
    """

    @workflow.run
    async def run(self) -> Swept:
        """A gateway that is away keeps nobody from what is in the inbox already."""
        if patches.sweep_wakes_sinks():
            try:
                await workflow.execute_activity_method(OutboxWork.wake_overslept, **policies.SINKS)
            except ActivityError:
                workflow.logger.warning("no sink could be woken", exc_info=True)
        stored, answered = 0, True
        try:
            for _ in range(MOST_PAGES):
                page = await workflow.execute_activity_method(
                    EventList.read_page, **(policies.EVENT_LIST | {"summary": "events, next page"})
                )
                stored += page.stored
                if not page.more:
                    break
        except ActivityError:
            workflow.logger.warning("the gateway's events cannot be listed", exc_info=True)
            answered = False
        owed = await _in_batches(InboxWork.work_off, Moment(before=workflow.now()))
        return Swept(stored=stored, tried=owed.count, failed=owed.failed, gateway_answered=answered)


@workflow.defn
class InboxCleanupWorkflow:
    """Deletes what inbox and outbox need not keep any longer."""

    @workflow.run
    async def run(self, kept: KeepingTime) -> int:
        """How many of the gateway's events are gone."""
        before = workflow.now() - timedelta(days=kept.days)
        gone = await _in_batches(InboxWork.forget, Moment(before=before))
        if kept.event_days is not None:
            await workflow.execute_activity_method(OutboxWork.open_sinks, **policies.SINKS)
            oldest = workflow.now() - timedelta(days=kept.event_days)
            await _in_batches(OutboxWork.forget_events, Moment(before=oldest))
        return gone.count


async def _in_batches(step: Callable[[Any, Moment], Awaitable[Batch]], moment: Moment) -> Batch:
    """All of them as one."""
    count = failed = 0
    for _ in range(MOST_BATCHES):
        batch = await workflow.execute_activity_method(step, moment, **policies.INBOX)
        count, failed = count + batch.count, failed + batch.failed
        if not batch.more:
            break
    return Batch(count=count, failed=failed, more=batch.more)
