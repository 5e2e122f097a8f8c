"""The runs of saved methods in Temporal, as far as a request needs them."""

import asyncio
import contextlib
from datetime import UTC, timedelta
from typing import Any

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowUpdateStage,
)
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)

from paysaga.domain import saving as rules
from paysaga.domain.saved_method import MethodOrder, SavedMethod
from paysaga.starting.calls import LOOK, NoAnswerYet, RunOver, TemporalUnavailable, translated
from workflows import addresses
from workflows.method_changes import MethodRef, RemoveMethodWorkflow
from workflows.saving_method import SavedMethodWorkflow

Run = WorkflowHandle[SavedMethodWorkflow, SavedMethod]


class MethodRuns:
    """The run that saves a method has its id; what happens to it later has runs of its own."""

    def __init__(self, client: Client, wait: timedelta) -> None:
        self._client = client
        self._wait = wait

    async def save(self, order: MethodOrder) -> SavedMethod:
        """Start saving it, or rejoin that, and answer with the first outcome: one round trip."""
        operation = WithStartWorkflowOperation(
            SavedMethodWorkflow.run,
            order,
            id=order.id,
            task_queue=addresses.PAYMENTS,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            search_attributes=_found_by(order.customer_id),
            static_summary=f"{order.customer_id} · save a payment method",
            static_details=f"customer `{order.customer_id}`, started by `{order.actor}`",
            memo={"correlation_id": order.correlation_id},
        )
        consumed = asyncio.create_task(_consume(operation))
        try:
            async with translated(self._wait):
                return await self._client.execute_update_with_start_workflow(
                    SavedMethodWorkflow.first_outcome,
                    id=order.request.fingerprint,
                    start_workflow_operation=operation,
                    rpc_timeout=self._wait,
                )
        finally:
            consumed.cancel()

    async def refresh(self, method_id: str) -> SavedMethod:
        """Look at the gateway now."""
        run = self._run(method_id)
        async with translated(self._wait):
            return await run.execute_update(SavedMethodWorkflow.refresh, rpc_timeout=self._wait)

    async def remove(self, method: SavedMethod) -> SavedMethod:
        """Remove it, or rejoin that, and answer with what it is then.

        Each call is an update of its own: under a known id Temporal would only tell again how an
        earlier run has failed. The one run, and the row that it reads first, make repeats safe.

        Raises:
            RunOver: The run has ended without it: the gateway refuses, or somebody has ended it.
            TemporalUnavailable: Not accepted in time: a repeat is safe.
            NoAnswerYet: Accepted; its outcome is not known in time.
        """
        operation = WithStartWorkflowOperation(
            RemoveMethodWorkflow.run,
            MethodRef(method_id=method.id),
            id=addresses.removal_id(method.id),
            task_queue=addresses.PAYMENTS,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            search_attributes=_found_by(method.customer_id),
            static_summary=f"{method.customer_id} · remove a payment method",
        )
        consumed = asyncio.create_task(_consume(operation))
        try:
            try:
                async with translated(self._wait):
                    update = await self._client.start_update_with_start_workflow(
                        RemoveMethodWorkflow.outcome,
                        wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                        start_workflow_operation=operation,
                        rpc_timeout=self._wait,
                    )
            except NoAnswerYet as error:
                raise TemporalUnavailable from error
            async with translated(self._wait):
                return await update.result(rpc_timeout=self._wait)
        finally:
            consumed.cancel()

    async def opened(self, method_id: str) -> SavedMethod | None:
        """A method whose run is there, though its row is not yet: as it was handed over."""
        run = self._run(method_id)
        try:
            async with translated(LOOK):
                told = await run.describe(rpc_timeout=LOOK)
                if told.status is not WorkflowExecutionStatus.RUNNING:
                    return None
                first = await anext(run.fetch_history_events(page_size=1, rpc_timeout=LOOK))
                payloads = first.workflow_execution_started_event_attributes.input.payloads
                [order] = await self._client.data_converter.decode(payloads, [MethodOrder])
                return rules.begun(order, first.event_time.ToDatetime(UTC))
        except RunOver:
            return None
        except NoAnswerYet as error:
            raise TemporalUnavailable from error

    def _run(self, method_id: str) -> Run:
        return self._client.get_workflow_handle(method_id, result_type=SavedMethod)


def _found_by(customer_id: str) -> TypedSearchAttributes:
    return TypedSearchAttributes([SearchAttributePair(addresses.CUSTOMER_ID, customer_id)])


async def _consume(operation: WithStartWorkflowOperation[Any, Any]) -> None:
    """The operation's own future repeats the call's error, and complains if nobody asks."""
    with contextlib.suppress(Exception):
        await operation.workflow_handle()
