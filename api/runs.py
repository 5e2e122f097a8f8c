"""The payments' runs in Temporal, as far as a request needs them. Errors are told in our words."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from temporalio.client import (
    WithStartWorkflowOperation,
    WorkflowHandle,
    WorkflowUpdateHandle,
    WorkflowUpdateStage,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from paysaga.domain.payment import PaymentState
from paysaga.domain.reports import Report
from paysaga.starting.calls import LOOK, NoAnswerYet, RunOver, TemporalUnavailable, translated
from paysaga.starting.runs import Starts, consume
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


class Runs(Starts):
    """The runs of all payments: how they are started, and what else may be asked of them."""

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
        consumed = asyncio.create_task(consume(operation))
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
        consumed = asyncio.create_task(consume(operation))
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

    async def is_healthy(self) -> bool:
        """Whether Temporal answers."""
        return await self._client.service_client.check_health(timeout=LOOK)

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
