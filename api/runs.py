"""The payments' runs in Temporal, as far as a request needs them. Errors are told in our words."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, timedelta
from typing import Any, Final

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateHandle,
    WorkflowUpdateStage,
)
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import ApplicationError

from api.refusals import TemporalUnavailable
from api.run_errors import LOOK, ORDER_TAKEN, NoAnswerYet, OrderTaken, RunOver, translated
from paysaga.domain import transitions as rules
from paysaga.domain.payment import Payment, PaymentState, PaymentStatus
from paysaga.domain.reasons import Reason
from paysaga.domain.reports import Report
from workflows import addresses
from workflows.payment import PaymentWorkflow
from workflows.payment_details import repair_summary
from workflows.reconciliation import ReconciliationOrder, ReconciliationWorkflow
from workflows.repair import RepairCase, RepairWorkflow
from workflows.requests import (
    Approval,
    CancelRequest,
    CaptureRequest,
    RepairRequest,
    RetryRequest,
)

Run = WorkflowHandle[PaymentWorkflow, PaymentState]


class Runs:
    """The runs of all payments. A payment's run has its id."""

    def __init__(self, client: Client, wait: timedelta) -> None:
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
            static_summary=f"{payment.order_id} · {payment.money}",
            static_details=f"customer `{payment.customer_id}`, started by `{payment.actor}`",
            memo={"correlation_id": payment.correlation_id},
        )
        consumed = asyncio.create_task(_consume(operation))
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

    async def retry(self, payment_id: str, request: RetryRequest) -> PaymentState:
        """Make another attempt and answer with its outcome."""
        return await self._asked(PaymentWorkflow.retry, payment_id, request)

    async def cancel(self, payment_id: str, request: CancelRequest) -> PaymentState:
        """Give the payment up and answer with what it is then."""
        return await self._asked(PaymentWorkflow.cancel, payment_id, request)

    async def capture(self, payment_id: str, request: CaptureRequest) -> PaymentState:
        """Take what is held and answer with what has become of it."""
        return await self._asked(PaymentWorkflow.capture, payment_id, request)

    async def refresh(self, payment_id: str) -> PaymentState:
        """Look at the gateway now."""
        async with translated(self._wait):
            return await self._run(payment_id).execute_update(
                PaymentWorkflow.refresh, rpc_timeout=self._wait
            )

    async def repair(self, payment: PaymentState, request: RepairRequest) -> PaymentState:
        """Repair a parked payment. Its repair is opened if there is none, whoever has ended it."""
        operation = WithStartWorkflowOperation(
            RepairWorkflow.run,
            RepairCase(payment_id=payment.id),
            id=addresses.repair_id(payment.id),
            task_queue=addresses.PAYMENTS,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            static_summary=repair_summary(payment),
        )
        consumed = asyncio.create_task(_consume(operation))
        try:
            return await self._update(
                lambda: self._client.start_update_with_start_workflow(
                    RepairWorkflow.repair,
                    request,
                    id=request.request.fingerprint,
                    wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                    start_workflow_operation=operation,
                    rpc_timeout=self._wait,
                )
            )
        finally:
            consumed.cancel()

    async def approve(self, payment_id: str, approval: Approval) -> PaymentState:
        """Agree with what was proposed for a parked payment."""
        run: WorkflowHandle[RepairWorkflow, PaymentState] = self._client.get_workflow_handle(
            addresses.repair_id(payment_id), result_type=PaymentState
        )
        return await self._update(
            lambda: run.start_update(
                RepairWorkflow.approve,
                approval,
                id=approval.request.fingerprint,
                wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                rpc_timeout=self._wait,
            )
        )

    async def reconcile(self, order: ReconciliationOrder) -> Report:
        """Start a comparison, or rejoin it: it is written down when this answers.

        Raises:
            TemporalUnavailable: It is not, in time: a repeat with the same key is safe.
        """
        operation = WithStartWorkflowOperation(
            ReconciliationWorkflow.run,
            order,
            id=addresses.reconciliation_run(str(order.id)),
            task_queue=addresses.PAYMENTS,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            static_summary=f"since {order.since:%Y-%m-%d %H:%M}, for {order.actor}",
        )
        consumed = asyncio.create_task(_consume(operation))
        try:
            async with translated(self._wait):
                return await self._client.execute_update_with_start_workflow(
                    ReconciliationWorkflow.begun,
                    start_workflow_operation=operation,
                    rpc_timeout=self._wait,
                )
        except (NoAnswerYet, RunOver) as error:
            raise TemporalUnavailable from error
        finally:
            consumed.cancel()

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

    async def is_healthy(self) -> bool:
        """Whether Temporal answers."""
        return await self._client.service_client.check_health(timeout=LOOK)

    async def _handed_over(self, run: Run) -> PaymentState:
        first = await anext(run.fetch_history_events(page_size=1, rpc_timeout=LOOK))
        told = first.workflow_execution_started_event_attributes.input.payloads
        [payment] = await self._client.data_converter.decode(told, [Payment])
        return rules.opened(payment, first.event_time.ToDatetime(UTC)).state

    async def _asked(
        self, update: Any, payment_id: str, request: RetryRequest | CancelRequest | CaptureRequest
    ) -> PaymentState:
        return await self._update(
            lambda: self._run(payment_id).start_update(
                update,
                request,
                id=request.request.fingerprint,
                wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                rpc_timeout=self._wait,
            )
        )

    async def _update(
        self, start: Callable[[], Awaitable[WorkflowUpdateHandle[PaymentState]]]
    ) -> PaymentState:
        """The request's outcome.

        Until the run has accepted it the server may forget it, so nothing may be promised.

        Raises:
            TemporalUnavailable: Not accepted in time: a repeat with the same key is safe.
            NoAnswerYet: Accepted; its outcome is not known in time.
        """
        began = time.monotonic()
        try:
            async with translated(self._wait):
                update = await start()
        except NoAnswerYet as error:
            raise TemporalUnavailable from error
        left = self._wait - timedelta(seconds=time.monotonic() - began)
        async with translated(max(left, timedelta())):
            return await update.result(rpc_timeout=self._wait)

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


async def _consume(
    operation: WithStartWorkflowOperation[Any, Any],
) -> None:
    """The operation's own future repeats the call's error, and complains if nobody asks."""
    with contextlib.suppress(Exception):
        await operation.workflow_handle()
