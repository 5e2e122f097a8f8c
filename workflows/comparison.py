"""Some payments held against the gateway and their runs, until it is clear what does not agree."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.reconciling import Fee, Fees, PaymentIds, Reconciling
    from activities.run_results import RunRef, RunRefs, nudge_run, run_results
    from activities.runs import RunStart, start_run
    from activities.stripe_audit import AuditOrder, AuditRef, StripeAudit
    from paysaga.domain.reconciliation import (
        AtGateway,
        Drift,
        DriftKind,
        InDatabase,
        InWorkflow,
        Remedy,
        compared,
    )

from workflows import addresses, policies
from workflows.calls import raise_if_canceled


@dataclass(frozen=True)
class Compared:
    """One payment as all sides have it, and what does not agree."""

    kept: InDatabase
    gateway: AtGateway
    run: InWorkflow
    drifts: tuple[Drift, ...]

    @property
    def is_unanswered(self) -> bool:
        """Whether the gateway could not be asked."""
        return any(drift.kind is DriftKind.NOT_COMPARED for drift in self.drifts)


class Comparison:
    """What is asked of all sides about some payments, and done about the answers."""

    async def of(self, payments: Sequence[InDatabase]) -> list[Compared]:
        """Compare; what does not agree, or was not answered, is looked at again before that counts.

        The second look is at the books, too: the first may have met a payment in mid-step.
        """
        first = await self._look(payments)
        done = [it for it in first if not it.drifts]
        open_ = [it for it in first if it.drifts]
        for pause in policies.LOOKS_AGAIN_AFTER:
            if not open_:
                break
            await workflow.sleep(pause, summary=f"does it last? {len(open_)} payments")
            seen = await self._look(await self._read([it.kept.payment_id for it in open_]))
            done += [it for it in seen if not it.is_unanswered]
            open_ = [it for it in seen if it.is_unanswered]
        return done + open_

    async def of_these(self, payment_ids: Sequence[str]) -> list[Compared]:
        """The same, of payments that are known by their ids."""
        return await self.of(await self._read(payment_ids)) if payment_ids else []

    async def book_fees(self, agreed: Sequence[Compared], now: datetime) -> int:
        """Book what the gateway has kept, where nobody else writes: answers with how many."""
        fees = tuple(
            Fee(payment_id=it.kept.payment_id, fee=it.gateway.fee)
            for it in agreed
            if it.gateway.fee is not None and it.kept.is_over and not it.run.is_open
        )
        if not fees:
            return 0
        return await workflow.execute_activity_method(
            Reconciling.book_fees,
            Fees(fees=fees, at=now),
            **(policies.DATABASE_IN_PATIENCE | {"summary": f"fees of {len(fees)} payments"}),
        )

    async def remedy(self, payments: Sequence[Compared]) -> None:
        """Leave what has one safe repair to the payment's run, or to a repair of its own."""
        for it in payments:
            remedies = {drift.remedy for drift in it.drifts}
            if Remedy.NUDGED in remedies:
                await workflow.execute_activity(
                    nudge_run,
                    it.kept.payment_id,
                    **(policies.TEMPORAL | {"summary": f"nudge {it.kept.payment_id}"}),
                )
            elif Remedy.REPAIR_OPENED in remedies:
                await _open_repair(it.kept.payment_id)

    async def _look(self, payments: Sequence[InDatabase]) -> list[Compared]:
        if not payments:
            return []
        refs = tuple(  # by the intents that the histories name
            AuditRef(payment_id=kept.payment_id, intent_id=kept.history.gateway_id)
            for kept in payments
        )
        gateway, runs = await asyncio.gather(shown_at_gateway(refs), self.runs(payments))
        now = workflow.now()
        return [
            Compared(kept, shown, run, compared(kept, shown, run, now))
            for kept, shown, run in zip(payments, gateway, runs, strict=True)
        ]

    async def _read(self, payment_ids: Sequence[str]) -> Sequence[InDatabase]:
        books = await workflow.execute_activity_method(
            Reconciling.read_books,
            PaymentIds(payment_ids=tuple(payment_ids)),
            **(policies.DATABASE_IN_PATIENCE | {"summary": f"read {len(payment_ids)} payments"}),
        )
        return books.payments

    async def runs(self, payments: Sequence[InDatabase]) -> Sequence[InWorkflow]:
        """How the payments' runs stand."""
        refs = tuple(
            RunRef(payment_id=kept.payment_id, repair_id=addresses.repair_id(kept.payment_id))
            for kept in payments
        )
        told = await workflow.execute_activity(
            run_results,
            RunRefs(payments=refs),
            **(policies.RUNS | {"summary": f"the runs of {len(refs)} payments"}),
        )
        return told.payments


async def shown_at_gateway(refs: tuple[AuditRef, ...]) -> Sequence[AtGateway]:
    """What the gateway shows of these payments, in the same order."""
    try:
        told = await workflow.execute_activity_method(
            StripeAudit.audit_payments,
            AuditOrder(payments=refs),
            **(policies.AUDIT | {"summary": f"look at {len(refs)} payments"}),
        )
    except ActivityError as error:
        raise_if_canceled(error)
        workflow.logger.exception("the gateway could not be looked at")
        why = "the look at the gateway failed"
        return [AtGateway(payment_id=ref.payment_id, trouble=why) for ref in refs]
    return told.payments


async def _open_repair(payment_id: str) -> None:
    start = RunStart(
        workflow="RepairWorkflow",
        id=addresses.repair_id(payment_id),
        argument={"payment_id": payment_id},
        signal="nudged",
        summary=f"{payment_id}: it does not agree with the gateway",
    )
    await workflow.execute_activity(
        start_run, start, **(policies.TEMPORAL | {"summary": f"open {start.id}"})
    )
