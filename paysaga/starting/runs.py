"""The runs of payments in Temporal: how they are started, by whomever."""

import asyncio
import contextlib
from datetime import UTC, timedelta
from typing import Any, Final, TypedDict

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import ApplicationError

from paysaga.domain import transitions as rules
from paysaga.domain.payment import Payment, PaymentState, PaymentStatus
from paysaga.domain.reasons import Reason
from paysaga.starting.calls import (
    LOOK,
    ORDER_TAKEN,
    NoAnswerYet,
    OrderTaken,
    RunOver,
    TemporalUnavailable,
    translated,
)
from workflows import addresses
from workflows.payment import PaymentWorkflow

Run = WorkflowHandle[PaymentWorkflow, PaymentState]


class Starts:
    """Starts payments. A payment's run has its id."""

    def __init__(self, client: Client, wait: timedelta) -> None:
        """Make it ready.

        Args:
            client: It may connect at its first call.
            wait: How long an answer is waited for.
        """
        self._client = client
        self._wait = wait

    async def start(self, payment: Payment) -> PaymentState:
        """Start the payment, or rejoin it, and answer with its first outcome: one round trip."""
        operation = WithStartWorkflowOperation(
            PaymentWorkflow.run,
            payment,
            id=payment.id,
            task_queue=addresses.PAYMENTS,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            search_attributes=_found_by(payment),
            **_told(payment),
        )
        consumed = asyncio.create_task(consume(operation))
        try:
            async with translated(self._wait):
                return await self._client.execute_update_with_start_workflow(
                    PaymentWorkflow.first_outcome,
                    id=payment.request.fingerprint,
                    start_workflow_operation=operation,
                    rpc_timeout=self._wait,
                )
        finally:
            consumed.cancel()

    async def begin(self, payment: Payment) -> None:
        """Start the payment; Temporal has it when this answers. Nobody waits for its outcome.

        Raises:
            StartedBefore: There is a run of this id, open or over, by this request or another.
            NoAnswerYet: Nobody knows; a repeat is safe.
            TemporalUnavailable: It does not answer; a repeat is safe.
        """
        async with translated(self._wait):
            await self._client.start_workflow(
                PaymentWorkflow.run,
                payment,
                id=payment.id,
                task_queue=addresses.PAYMENTS,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                search_attributes=_found_by(payment),
                rpc_timeout=self._wait,
                **_told(payment),
            )

    async def opened(self, payment_id: str) -> PaymentState | None:
        """A payment whose run is there, though its row is not yet: as it was handed over.

        Raises:
            OrderTaken: It was accepted, but another payment of the order was written first.
        """
        run = self._run(payment_id)
        try:
            async with translated(LOOK):
                status = (await run.describe(rpc_timeout=LOOK)).status
                if status not in {_RUNNING, _FAILED}:
                    return None
                state = await self._handed_over(run)
                if status is _FAILED:
                    await _raise_if_order_was_taken(run, state)
                    return None
                return state
        except RunOver:
            return None
        except NoAnswerYet as error:
            raise TemporalUnavailable from error

    async def _handed_over(self, run: Run) -> PaymentState:
        first = await anext(run.fetch_history_events(page_size=1, rpc_timeout=LOOK))
        told = first.workflow_execution_started_event_attributes.input.payloads
        [payment] = await self._client.data_converter.decode(told, [Payment])
        return rules.opened(payment, first.event_time.ToDatetime(UTC)).state

    def _run(self, payment_id: str) -> Run:
        return self._client.get_workflow_handle_for(PaymentWorkflow.run, payment_id)


_RUNNING: Final = WorkflowExecutionStatus.RUNNING
_FAILED: Final = WorkflowExecutionStatus.FAILED


async def _raise_if_order_was_taken(run: Run, lost: PaymentState) -> None:
    try:
        await run.result(rpc_timeout=LOOK)
    except WorkflowFailureError as failure:
        if isinstance(failure.cause, ApplicationError) and failure.cause.type == ORDER_TAKEN:
            raise OrderTaken.of(failure.cause, lost) from failure


class _Told(TypedDict):
    """What operators see of a run."""

    static_summary: str
    static_details: str
    memo: dict[str, Any]


def _told(payment: Payment) -> _Told:
    return {
        "static_summary": f"{payment.order_id} · {payment.money}",
        "static_details": f"customer `{payment.customer_id}`, started by `{payment.actor}`",
        "memo": {"correlation_id": payment.correlation_id},
    }


def _found_by(payment: Payment) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [
            SearchAttributePair(addresses.PAYMENT_STATUS, PaymentStatus.PROCESSING.value),
            SearchAttributePair(addresses.REASON, Reason.STARTED.value),
            SearchAttributePair(addresses.ORDER_ID, payment.order_id),
            SearchAttributePair(addresses.CUSTOMER_ID, payment.customer_id),
            SearchAttributePair(addresses.CURRENCY, payment.money.currency),
            SearchAttributePair(addresses.AMOUNT, payment.money.minor),
        ]
    )


async def consume(operation: WithStartWorkflowOperation[Any, Any]) -> None:
    """The operation's own future repeats the call's error, and complains if nobody asks."""
    with contextlib.suppress(Exception):
        await operation.workflow_handle()
