"""Compare database, gateway and workflow results, payment by payment; then the money itself.

First every payment that was changed in the period, page by page; then every movement of money at
the gateway, for what no row of ours knows. Nothing is mended here: what has one safe repair is left
to the payment's own run or to its repair.
"""

from collections.abc import Sequence
from enum import StrEnum, auto

from pydantic import AwareDatetime
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.reconciling import Findings, Period, Reconciling
    from activities.stripe_audit import Movements, MovementsOrder, StripeAudit
    from paysaga.domain.ids import RECONCILIATION, derived
    from paysaga.domain.message import Message
    from paysaga.domain.reconciliation import Drift, not_compared
    from paysaga.domain.reports import Report

from temporalio.exceptions import ActivityError

from workflows import policies
from workflows.calls import raise_if_canceled
from workflows.comparison import Compared, Comparison
from workflows.strangers import Strangers

# What could not be compared if the gateway does not list its movements.
MOVEMENTS = "balance_transactions"


class Phase(StrEnum):
    """What is gone through."""

    PAYMENTS = auto()
    MOVEMENTS = auto()


class Progress(Message):
    """How far a run has come that goes on as a new one."""

    report: Report
    phase: Phase = Phase.PAYMENTS
    after: str | None = None


class ReconciliationOrder(Message):
    """Compare this period; without one, the last two days, as the schedule wants it."""

    id: str | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    actor: str = "schedule"
    request_fingerprint: str | None = None
    progress: Progress | None = None


@workflow.defn
class ReconciliationWorkflow:
    """One comparison of a period."""

    @workflow.init
    def __init__(self, order: ReconciliationOrder) -> None:
        self._progress = order.progress or Progress(report=_report(order))
        self._is_begun = order.progress is not None
        self._pages = 0

    @workflow.run
    async def run(self, order: ReconciliationOrder) -> Report:
        """Answers with the finished report."""
        if not self._is_begun:
            await self._begin()
        while self._report.finished_at is None:
            if self._progress.phase is Phase.PAYMENTS:
                await self._next_payments()
            else:
                await self._note_movements(await self._movements())
            await self._go_on_as_new(order)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._report

    @workflow.update
    async def begun(self) -> Report:
        """The report, once it is written down: from then on it can be asked for."""
        await workflow.wait_condition(lambda: self._is_begun)
        return self._report

    @property
    def _report(self) -> Report:
        return self._progress.report

    async def _begin(self) -> None:
        report = await workflow.execute_activity_method(
            Reconciling.begin_reconciliation,
            self._report,
            **(policies.DATABASE_IN_PATIENCE | {"summary": f"begin {self._report.id}"}),
        )
        self._progress = Progress(report=report)
        self._is_begun = True

    async def _next_payments(self) -> None:
        """One page of payments: compared, noted, and mended where that is safe."""
        report = self._report
        # A fee that is booked changes its payment: one that was compared must not come again.
        until = min(report.until, report.started_at)
        period = Period(since=report.since, until=until, after=self._progress.after)
        page = await workflow.execute_activity_method(
            Reconciling.read_changed,
            period,
            **(policies.DATABASE_IN_PATIENCE | {"summary": "the next payments"}),
        )
        compared = await Comparison().of(page.payments)
        await self._conclude(
            compared, Phase.PAYMENTS if page.next else Phase.MOVEMENTS, after=page.next
        )

    async def _note_movements(self, page: Movements | None) -> None:
        """One page of the gateway's money: whose it is, and payments it has changed behind us."""
        if page is None:
            blind = not_compared(MOVEMENTS, "the gateway does not list its movements")
            await self._conclude((), Phase.MOVEMENTS, drifts=(blind,), is_over=True)
            return
        report = self._report
        strangers = Strangers(report.since, report.until, report.started_at)
        found = await strangers.among(page.movements)
        compared = await Comparison().of_these(found.quiet)
        await self._conclude(
            compared,
            Phase.MOVEMENTS,
            after=page.next,
            drifts=(*found.drifts, *(not_compared(it.id, it.why) for it in page.unread)),
            clear=(*found.known, *page.read, MOVEMENTS),
            movements=page.count,
            is_over=page.next is None,
        )

    async def _movements(self) -> Movements | None:
        report = self._report
        order = MovementsOrder(since=report.since, until=report.until, after=self._progress.after)
        try:
            return await workflow.execute_activity_method(
                StripeAudit.list_movements,
                order,
                **(policies.MOVEMENTS | {"summary": "the next movements of money"}),
            )
        except ActivityError as error:
            raise_if_canceled(error)
            workflow.logger.exception("the gateway does not list its movements")
            return None

    async def _conclude(
        self,
        compared: Sequence[Compared],
        phase: Phase,
        *,
        after: str | None = None,
        drifts: tuple[Drift, ...] = (),
        clear: tuple[str, ...] = (),
        movements: int = 0,
        is_over: bool = False,
    ) -> None:
        """Note what was found and how far it has come; only then is anything done about it."""
        now = workflow.now()
        answered = [it for it in compared if not it.is_unanswered]
        agreed = [it for it in answered if not it.drifts]
        before = self._report
        report = before.model_copy(
            update={
                "compared": before.compared + len(answered),
                "agreed": before.agreed + sum(not it.kept.is_parked for it in agreed),
                "parked": before.parked + sum(it.kept.is_parked for it in agreed),
                "without_run": before.without_run + sum(not it.run.is_known for it in answered),
                "movements": before.movements + movements,
                "fees_booked": before.fees_booked + await Comparison().book_fees(agreed, now),
                "finished_at": now if is_over else None,
            }
        )
        found = (*drifts, *(drift for it in compared for drift in it.drifts))
        ids = (*clear, *(it.kept.payment_id for it in agreed))
        findings = Findings(report=report, drifts=found, clear=ids, at=now)
        await workflow.execute_activity_method(
            Reconciling.note_findings,
            findings,
            **(policies.DATABASE_IN_PATIENCE | {"summary": f"{len(found)} drifts"}),
        )
        _tell(found)
        self._progress = Progress(report=report, phase=phase, after=after)
        workflow.set_current_details(_details(report, phase))
        await Comparison().remedy(compared)

    async def _go_on_as_new(self, order: ReconciliationOrder) -> None:
        """A long period must not make a long history."""
        self._pages += 1
        if self._pages >= policies.PAGES_PER_RUN and self._report.finished_at is None:
            await workflow.wait_condition(workflow.all_handlers_finished)
            workflow.continue_as_new(order.model_copy(update={"progress": self._progress}))


def _report(order: ReconciliationOrder) -> Report:
    """What was asked for, or what the schedule wants; the run's id makes the scheduled one's."""
    now = workflow.now()
    until = order.until or now
    return Report(
        id=order.id or derived(RECONCILIATION, workflow.info().workflow_id),
        since=order.since or until - policies.DAILY_PERIOD,
        until=until,
        actor=order.actor,
        request_fingerprint=order.request_fingerprint,
        started_at=now,
    )


def _tell(drifts: Sequence[Drift]) -> None:
    """Have everybody's alerts hear of it."""
    meter = workflow.metric_meter().create_counter(
        "paysaga_drift", "disagreements of database, gateway and workflow, by kind"
    )
    for drift in drifts:
        told = {
            "payment_id": drift.subject,
            "kind": drift.kind.value,
            "wrong": drift.wrong.value,
            "remedy": drift.remedy.value,
        }
        workflow.logger.error("database, gateway and workflow do not agree", extra=told)
        meter.add(1, {"kind": drift.kind.value})


def _details(report: Report, phase: Phase) -> str:
    drifting = report.compared - report.agreed
    where = "done" if report.finished_at else f"goes through the {phase.value}"
    return "\n".join(
        [
            f"### {report.since:%Y-%m-%d %H:%M} to {report.until:%Y-%m-%d %H:%M} UTC: {where}",
            "",
            f"- {report.compared} payments compared, {report.agreed} agree, {drifting} do not",
            f"- {report.movements} movements at the gateway, {report.fees_booked} fees booked",
            f"- `GET /api/v1/admin/reconciliations/{report.id}` has the rest",
        ]
    )
