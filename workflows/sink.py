"""A sink's whole life: drain the outbox, wait until it is woken or it is time, drain again."""

from datetime import datetime
from typing import Final

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.deliveries import Deliveries
    from activities.sink_orders import Drained, DrainOrder, Standing
    from paysaga.domain.message import Message

from workflows import addresses, policies
from workflows.sink_details import sink_details

# Its history stays small: each drain adds about ten events, and the server suggests to go on as a
# new run after four thousand.
_DRAINS_PER_RUN: Final = 300


class SinkOrder(Message):
    """Drain the outbox to this sink, until it is removed.

    `name` is for people. `shown` is the search attribute that the run has.
    """

    sink_id: str
    name: str = ""
    shown: str = ""


@workflow.defn
class SinkWorkflow:
    """One run for each sink. It knows nothing that is not in the sink's row, and may be lost."""

    def __init__(self) -> None:
        self._woken = False
        self._shown = ""

    @workflow.run
    async def run(self, order: SinkOrder) -> None:
        """Work until the sink is removed."""
        before: Drained | None = None
        self._shown = order.shown
        for _ in range(_DRAINS_PER_RUN):
            self._woken = False
            drained = await workflow.execute_activity_method(
                Deliveries.drain,
                DrainOrder(sink_id=order.sink_id, now=workflow.now()),
                **policies.DELIVERIES,
            )
            if drained.standing is Standing.REMOVED:
                if self._woken:  # it may have begun anew
                    continue
                return
            workflow.set_current_details(sink_details(order.name, drained, workflow.now()))
            self._show(drained)
            await self._wait(drained, before)
            before = drained
        workflow.continue_as_new(order.model_copy(update={"shown": self._shown}))

    @workflow.signal
    def nudged(self) -> None:
        """There may be something to do: a new event, or the sink was changed."""
        self._woken = True

    async def _wait(self, drained: Drained, before: Drained | None) -> None:
        until = drained.next_at
        if drained.standing is Standing.WORKING:
            if before is None or drained.turn != before.turn:
                return
            until = workflow.now() + policies.SETTLING_PAUSE
        pause = None if until is None else until - workflow.now()
        if pause is not None and pause.total_seconds() <= 0:
            return
        try:
            await workflow.wait_condition(
                lambda: self._woken, timeout=pause, timeout_summary=_summary(until)
            )
        except TimeoutError:
            return

    def _show(self, drained: Drained) -> None:
        """Found by how it stands: an upsert when that changes, and not with each try."""
        word = "failing" if drained.failing_since else drained.standing.value
        shown = f"sink_{word}"
        if drained.standing is not Standing.WORKING and shown != self._shown:
            self._shown = shown
            workflow.upsert_search_attributes([addresses.REASON.value_set(shown)])


def _summary(until: datetime | None) -> str | None:
    return f"until {until:%H:%M:%S}" if until else None
