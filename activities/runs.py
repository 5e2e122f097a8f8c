"""Runs that one leaves something to, and that outlive it."""

from temporalio import activity
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from paysaga.domain.message import Message


class RunStart(Message):
    """The run to be started, in the task queue of the one that asks, and the signal it gets."""

    workflow: str
    id: str
    argument: dict[str, str]
    signal: str
    summary: str


@activity.defn
async def start_run(start: RunStart) -> None:
    """Start the run, or signal the one that is under way.

    No child of the one that asks: it needs nothing of it any more, and may end.
    """
    await activity.client().start_workflow(
        start.workflow,
        start.argument,
        id=start.id,
        task_queue=activity.info().task_queue,
        start_signal=start.signal,
        static_summary=start.summary,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
    )
