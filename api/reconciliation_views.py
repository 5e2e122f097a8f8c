"""What a reconciliation and the balances look like to finance."""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import AwareDatetime

from api.views import View
from paysaga.database.balances import Balance
from paysaga.database.reconciliation import NotedDrift
from paysaga.domain.ledger import Account
from paysaga.domain.reconciliation import DriftKind, Remedy, Side
from paysaga.domain.reports import Report


class DriftView(View):
    """What does not agree, what each side says, who is wrong, and what was done about it."""

    id: str
    subject: str
    kind: DriftKind
    wrong: Side
    in_database: str | None
    in_history: str | None
    in_ledger: str | None
    at_gateway: str | None
    in_workflow: str | None
    remedy: Remedy
    found_at: AwareDatetime
    seen_at: AwareDatetime


class ReconciliationView(View):
    """A comparison of a period. What could not be compared counts neither as compared nor as fine.

    `parked` of the compared payments wait for a person: only their own books were compared.
    `without_run` of the compared payments had no run any more: database and gateway only.
    """

    id: str
    status: Literal["running", "finished"]
    since: AwareDatetime
    until: AwareDatetime
    actor: str
    compared: int
    agreed: int
    parked: int
    not_compared: int
    without_run: int
    movements: int
    fees_booked: int
    drifts: list[DriftView]
    started_at: AwareDatetime
    finished_at: AwareDatetime | None

    @classmethod
    def of(cls, report: Report, drifts: Sequence[NotedDrift]) -> Self:
        """As far as it has come."""
        shown = [DriftView.model_validate(drift, from_attributes=True) for drift in drifts]
        return cls.model_validate(
            report.model_dump(exclude={"request_fingerprint"})
            | {
                "status": "running" if report.finished_at is None else "finished",
                "not_compared": sum(drift.kind is DriftKind.NOT_COMPARED for drift in shown),
                "drifts": shown,
            }
        )


class BalanceView(View):
    """What an account holds of a currency: debits less credits, in minor units."""

    currency: str
    account: Account
    amount: int


class BalancesView(View):
    """All accounts that were touched. The amounts of one currency add up to nothing."""

    items: list[BalanceView]

    @classmethod
    def of(cls, balances: Sequence[Balance]) -> Self:
        """As they were added up."""
        return cls(items=[BalanceView.model_validate(it, from_attributes=True) for it in balances])
