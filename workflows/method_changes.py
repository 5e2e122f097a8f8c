"""What happens to a saved method later: its customer removes it, or the gateway has news of it."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError, CancelledError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.errors import Trouble
    from activities.method_orders import DetachOrder
    from paysaga.domain import saving as rules
    from paysaga.domain.message import Message
    from paysaga.domain.saved_method import AttachedMethod, SavedMethod, SavedMethodStatus

from workflows.method_calls import MethodAsking
from workflows.method_record import MethodRecord, standing
from workflows.saga import to_the_end


class MethodRef(Message):
    """The method that a run is about, and its SetupIntent in case the row does not know it."""

    method_id: str
    setup_id: str | None = None


class _Errand:
    """A change that is worth any trouble: the row tells where it stands."""

    async def on_trouble(self, trouble: Trouble, pause: timedelta) -> None:
        workflow.logger.warning(
            "the gateway does not answer", extra={"trouble": trouble, "again_in": str(pause)}
        )


@workflow.defn
class RemoveMethodWorkflow:
    """Take the method from its customer, for ever. A run that fails may be started again."""

    @workflow.init
    def __init__(self, ref: MethodRef) -> None:  # noqa: ARG002 - `run` has it
        self._removed: SavedMethod | None = None
        self._failure: FailureError | None = None

    @workflow.run
    async def run(self, ref: MethodRef) -> SavedMethod:
        """Answers with the method as it stands then."""
        try:
            self._removed = await self._remove(ref.method_id)
        except (FailureError, asyncio.CancelledError) as failure:
            self._failure = (
                failure if isinstance(failure, FailureError) else CancelledError("run canceled")
            )
            await to_the_end(workflow.wait_condition(workflow.all_handlers_finished))
            raise
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._removed

    @workflow.update
    async def outcome(self) -> SavedMethod:
        """The method as it stands when the gateway has detached it."""
        await workflow.wait_condition(
            lambda: self._removed is not None or self._failure is not None
        )
        if self._removed is None:
            raise self._failure or ApplicationError("removed by nobody")
        return self._removed

    async def _remove(self, method_id: str) -> SavedMethod:
        record = MethodRecord(await standing(method_id))
        await record.move(lambda method: rules.removal_requested(method, workflow.now()))
        if record.method.status is SavedMethodStatus.ACTIVE:
            name = _named(record.method)
            detached = await MethodAsking(_Errand()).detach(
                DetachOrder(method_id=method_id, gateway_method_id=name)
            )
            await _show(record, detached)
        return record.method


@workflow.defn
class LookAtMethodWorkflow:
    """Look at the method at the gateway, and show here what it is there.

    Also at one that is still being saved, if the run that did it is lost.
    """

    @workflow.init
    def __init__(self, ref: MethodRef) -> None:  # noqa: ARG002 - `run` has it
        self._must_look = True

    @workflow.run
    async def run(self, ref: MethodRef) -> SavedMethod:
        """Answers with the method as it stands then."""
        record = MethodRecord(await standing(ref.method_id))
        record.tell()
        while self._must_look:
            self._must_look = False
            await self._look(record, record.method.setup_intent_id or ref.setup_id)
        return record.method

    @workflow.signal
    def nudged(self) -> None:
        """There is news: what was seen may be old already."""
        self._must_look = True

    async def _look(self, record: MethodRecord, setup_id: str | None) -> None:
        gateway = MethodAsking(_Errand())
        if record.method.status is SavedMethodStatus.ACTIVE:
            await _show(record, await gateway.look_at_method(_named(record.method)))
        elif record.method.is_open and setup_id is not None:
            # No run would end the customer's time for 3DS: none begins here.
            await record.set_up(await gateway.look(setup_id), timedelta())


async def _show(record: MethodRecord, attached: AttachedMethod) -> None:
    await record.move(lambda method: rules.seen(method, attached, workflow.now()))


def _named(method: SavedMethod) -> str:
    if method.gateway_method_id is None:
        raise AssertionError("an active method without the gateway's name for it")
    return method.gateway_method_id
