"""Database, gateway and runs for a comparison, as a test wants them."""

from collections.abc import Sequence

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from activities.reconciling import Fees, Findings, IntentIds, Owners, PaymentIds, Period
from activities.run_results import RunRefs, RunResults
from activities.runs import RunStart
from activities.stripe_audit import Audited, AuditOrder, Movement, Movements, MovementsOrder
from paysaga.database.reconciliation import Books
from paysaga.domain.money import Money
from paysaga.domain.reconciliation import AtGateway, Drift, InDatabase, InWorkflow
from paysaga.domain.reports import Report
from paysaga.domain.strangers import Owner
from tests.domain.test_reconciliation import ended, shown
from tests.workers import workflow_worker
from workflows.reconciliation import ReconciliationWorkflow


class Sides:
    """Database, gateway and runs, as a test wants them; they remember what was asked."""

    def __init__(self, *pages: Sequence[InDatabase]) -> None:
        self.pages = [tuple(page) for page in pages] or [()]
        self.gateway = shown()
        self.run: InWorkflow = ended()
        self.troubles = 0  # looks that the gateway does not answer
        self.audit_error: ApplicationError | None = None
        self.movements: list[Movements] = [Movements(movements=(), count=0)]
        self.movements_error: ApplicationError | None = None
        self.owners: tuple[Owner, ...] = ()
        self.looks = 0
        self.fees: list[Fees] = []
        self.findings: list[Findings] = []
        self.nudged: list[str] = []
        self.repairs: list[RunStart] = []

    @property
    def drifts(self) -> list[Drift]:
        return [drift for findings in self.findings for drift in findings.drifts]

    @activity.defn
    async def begin_reconciliation(self, report: Report) -> Report:
        return report

    @activity.defn
    async def read_changed(self, period: Period) -> Books:
        number = int(period.after or 0)
        more = number + 1 < len(self.pages)
        return Books(payments=self.pages[number], next=str(number + 1) if more else None)

    @activity.defn
    async def read_books(self, wanted: PaymentIds) -> Books:
        known = {kept.payment_id: kept for page in self.pages for kept in page}
        return Books(payments=tuple(known[name] for name in wanted.payment_ids))

    @activity.defn
    async def owners_of(self, _wanted: IntentIds) -> Owners:
        return Owners(owners=self.owners)

    @activity.defn
    async def note_findings(self, findings: Findings) -> None:
        self.findings.append(findings)

    @activity.defn
    async def book_fees(self, fees: Fees) -> int:
        self.fees.append(fees)
        return len(fees.fees)

    @activity.defn
    async def run_results(self, refs: RunRefs) -> RunResults:
        return RunResults(
            payments=tuple(
                self.run.model_copy(update={"payment_id": ref.payment_id}) for ref in refs.payments
            )
        )

    @activity.defn
    async def nudge_run(self, payment_id: str) -> None:
        self.nudged.append(payment_id)

    @activity.defn
    async def start_run(self, start: RunStart) -> None:
        self.repairs.append(start)

    async def audit_payments(self, order: AuditOrder) -> Audited:
        self.looks += 1
        if self.audit_error is not None:
            raise self.audit_error
        if self.looks <= self.troubles:
            return Audited(
                payments=tuple(
                    AtGateway(payment_id=ref.payment_id, trouble="no answer")
                    for ref in order.payments
                )
            )
        return Audited(
            payments=tuple(
                self.gateway.model_copy(update={"payment_id": ref.payment_id})
                for ref in order.payments
            )
        )

    async def list_movements(self, order: MovementsOrder) -> Movements:
        if self.movements_error is not None:
            raise self.movements_error
        return self.movements[int(order.after or 0)]


def a_worker(client: Client, sides: Sides, queue: str) -> Worker:
    """Runs comparisons of these sides, but for the gateway."""
    return workflow_worker(
        client,
        task_queue=queue,
        workflows=[ReconciliationWorkflow],
        activities=[
            sides.begin_reconciliation,
            sides.read_changed,
            sides.read_books,
            sides.owners_of,
            sides.note_findings,
            sides.book_fees,
            sides.run_results,
            sides.nudge_run,
            sides.start_run,
        ],
    )


def moved(intent_id: str | None = "pi_9", payment_id: str | None = "pay_9") -> Movement:
    return Movement(
        id="txn_1",
        source="ch_9",
        intent_id=intent_id,
        payment_id=payment_id,
        money=Money(minor=700, currency="EUR"),
    )
