"""What happens by the clock: each schedule is there once, as the settings of the last start say."""

from datetime import timedelta
from typing import Final

import structlog
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from paysaga.settings import Settings
from workflows import addresses
from workflows.sweep import InboxCleanupWorkflow, KeepingTime, SweepWorkflow

# A run that hangs would keep all that follow from starting.
_LONGEST_RUN: Final = timedelta(minutes=15)
_CLEANUP_EVERY: Final = timedelta(hours=6)
# While one is under way the next is left out; those that were missed are not made up for.
_POLICY: Final = SchedulePolicy(
    overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(seconds=10)
)
# Temporal is away: nobody could work now, and a moment later it may take them.
_PASSING: Final = frozenset({RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED})

log: Final = structlog.stdlib.get_logger("worker")


async def keep_schedules(client: Client, settings: Settings) -> None:
    """Make the schedules, or bring them to these settings. One that is paused stays paused.

    A worker that may not make them works all the same: the next one to start tries again.

    Raises:
        RPCError: Temporal is away.
    """
    sweep = ScheduleActionStartWorkflow(
        SweepWorkflow.run,
        id=addresses.SWEEP,
        task_queue=addresses.PAYMENTS,
        execution_timeout=_LONGEST_RUN,
        static_summary="events whose webhook did not come",
    )
    cleanup = ScheduleActionStartWorkflow(
        InboxCleanupWorkflow.run,
        KeepingTime(days=settings.inbox_keep_days, event_days=settings.events_keep_days),
        id=addresses.INBOX_CLEANUP,
        task_queue=addresses.PAYMENTS,
        execution_timeout=_LONGEST_RUN,
        static_summary=f"Stripe's events older than {settings.inbox_keep_days} days,"
        f" ours older than {settings.events_keep_days}",
    )
    await _try_to_keep(client, sweep, timedelta(seconds=settings.sweep_interval_seconds))
    await _try_to_keep(client, cleanup, _CLEANUP_EVERY)


async def _try_to_keep(
    client: Client, action: ScheduleActionStartWorkflow, every: timedelta
) -> None:
    try:
        await _keep(client, action, every)
    except RPCError as error:
        if error.status in _PASSING:
            raise
        log.warning("a schedule could not be made", schedule=action.id, error=error.message)


async def _keep(client: Client, action: ScheduleActionStartWorkflow, every: timedelta) -> None:
    wanted = Schedule(
        action=action,
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=_POLICY,
    )
    try:
        await client.create_schedule(action.id, wanted)
    except ScheduleAlreadyRunningError:

        def as_wanted(found: ScheduleUpdateInput) -> ScheduleUpdate:
            wanted.state = found.description.schedule.state
            return ScheduleUpdate(schedule=wanted)

        await client.get_schedule_handle(action.id).update(as_wanted)
