"""The engine's floor: one workflow with one activity that does nothing, answered by an update."""

from datetime import timedelta
from typing import Final

from temporalio import activity, workflow

QUEUE: Final = "bare"


@activity.defn
async def nothing() -> None:
    """Do nothing, as an activity."""


@workflow.defn
class BareWorkflow:
    """What any durable answer costs: start with an update, one activity, one answer."""

    def __init__(self) -> None:
        self._done = False

    @workflow.run
    async def run(self) -> None:
        """Run the activity, then wait until everybody has their answer."""
        await workflow.execute_activity(nothing, start_to_close_timeout=timedelta(seconds=10))
        self._done = True
        await workflow.wait_condition(workflow.all_handlers_finished)

    @workflow.update
    async def answer(self) -> None:
        """Answer when the activity has run."""
        await workflow.wait_condition(lambda: self._done)

    @answer.validator
    def _may_answer(self) -> None:
        """Every caller may ask."""
