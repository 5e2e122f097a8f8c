"""How payments' runs stand, as Temporal knows it."""

import asyncio
from typing import Final

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from paysaga.domain.message import Message
from paysaga.domain.payment import PaymentState, PaymentStatus
from paysaga.domain.reconciliation import Facts, InWorkflow

# Temporal answers each question in some milliseconds, and one worker must not take all its time.
AT_ONCE: Final = 10


class RunRef(Message):
    """A payment, and the run that would repair it."""

    payment_id: str
    repair_id: str


class RunRefs(Message):
    """The payments whose runs are to be looked at."""

    payments: tuple[RunRef, ...]


class RunResults(Message):
    """How their runs stand, in the same order."""

    payments: tuple[InWorkflow, ...]


@activity.defn
async def run_results(refs: RunRefs) -> RunResults:
    """How each payment's run stands, or its repair, if there was one."""
    client = activity.client()
    room = asyncio.Semaphore(AT_ONCE)

    async def told(ref: RunRef) -> InWorkflow:
        async with room:
            return await _last_word(client, ref)

    return RunResults(payments=tuple(await asyncio.gather(*map(told, refs.payments))))


@activity.defn
async def nudge_run(payment_id: str) -> None:
    """Make the payment's run look at the gateway; one that has just ended has no need to."""
    try:
        await activity.client().get_workflow_handle(payment_id).signal("nudged")
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


async def _last_word(client: Client, ref: RunRef) -> InWorkflow:
    """A repair has it, which comes after the payment's own run; else that run."""
    own = await _run(client, ref.payment_id, ref.payment_id)
    if own.is_open:
        return own
    repair = await _run(client, ref.repair_id, ref.payment_id)
    if repair.is_open or repair.result is not None:
        return repair
    parked = own.result is not None and own.result.status == PaymentStatus.NEEDS_OPERATOR
    return own.model_copy(update={"result": None}) if parked else own


async def _run(client: Client, run_id: str, payment_id: str) -> InWorkflow:
    run: WorkflowHandle[object, PaymentState] = client.get_workflow_handle(
        run_id, result_type=PaymentState
    )
    try:
        status = (await run.describe()).status
        result = None
        if status is WorkflowExecutionStatus.COMPLETED:
            result = Facts.of(await run.result(follow_runs=False))
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return InWorkflow(payment_id=payment_id)
    return InWorkflow(
        payment_id=payment_id,
        is_open=status is WorkflowExecutionStatus.RUNNING,
        is_known=True,
        result=result,
    )
