"""The daily reconciliation: a schedule at Temporal, made once by whichever worker comes first."""

from datetime import timedelta
from typing import Final

import structlog
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
)
from temporalio.service import RPCError

from workflows import addresses
from workflows.reconciliation import ReconciliationOrder, ReconciliationWorkflow

DAILY: Final = "reconciliation-daily"
# In the night of most shops, and after the gateway's own day (UTC) has ended.
_HOUR: Final = 3

log: Final = structlog.stdlib.get_logger("worker")


async def schedule_reconciliation(client: Client) -> None:
    """Make the schedule, unless it is there. What an operator has changed in it stays changed.

    A worker that cannot make it works all the same: the next one to start tries again.
    """
    try:
        await client.create_schedule(DAILY, _daily())
    except ScheduleAlreadyRunningError:
        return
    except RPCError as error:
        log.warning("the daily reconciliation could not be scheduled", error=error.message)
    else:
        log.info("the reconciliation is scheduled for every day", schedule=DAILY, hour=_HOUR)


def _daily() -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            ReconciliationWorkflow.run,
            ReconciliationOrder(),
            id=DAILY,
            task_queue=addresses.PAYMENTS,
            static_summary="the last two days",
        ),
        spec=ScheduleSpec(calendars=[ScheduleCalendarSpec(hour=[ScheduleRange(_HOUR)])]),
        policy=SchedulePolicy(
            # One that takes longer than a day is not disturbed.
            overlap=ScheduleOverlapPolicy.SKIP,
            catchup_window=timedelta(hours=12),
        ),
    )
