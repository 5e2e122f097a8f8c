"""The books, and whether they agree with the gateway. For finance and admins."""

import re
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Final, Self

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, model_validator

from api.answers import REPLAYED
from api.bodies import PAYMENT_ID_PATTERN, IdempotencyKey
from api.connections import Here
from api.documents import SEEN, changed, problems
from api.identity import Caller, allowed
from api.reconciliation_views import BalancesView, ReconciliationView
from api.refusals import KeyReused, Missing
from paysaga.domain import ids
from paysaga.domain.reports import Report
from paysaga.starting.orders import Body
from paysaga.tokens import Role
from workflows.reconciliation import ReconciliationOrder

router: Final = APIRouter(prefix="/admin", tags=["finance"])

Finance = Annotated[Caller, Depends(allowed(Role.FINANCE, Role.ADMIN))]
ReconciliationId = Annotated[str, Path(examples=["rcn_aaaaaaaaaaaaaaaaaaaaaaaaaa"])]

_ID: Final = re.compile(r"rcn_[a-z2-7]{26}")
_LONGEST: Final = timedelta(days=366)
# Before there was a gateway nothing can be found; and every database takes such a year.
_FIRST: Final = datetime(2011, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2100, 1, 1, tzinfo=UTC)


class Period(Body):
    """Compare the payments that were changed, and the money that moved, in this time.

    Without `until` it goes up to now.
    """

    since: AwareDatetime
    until: AwareDatetime | None = None

    @model_validator(mode="after")
    def _is_a_time(self) -> Self:
        if not _FIRST <= self.since < self.end <= _LAST:
            raise ValueError(
                "since must come before until (or now), and both lie between 2011 and 2100"
            )
        if self.until is not None and self.until - self.since > _LONGEST:
            raise ValueError(f"at most {_LONGEST.days} days are compared at once")
        return self

    @property
    def end(self) -> datetime:
        """Where it ends, by the clock that has found that it begins before."""
        return self.until or datetime.now(UTC)


class BalanceFilter(BaseModel):
    """Which transfers are added up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    as_of: AwareDatetime | None = None
    payment_id: Annotated[str, Query(pattern=PAYMENT_ID_PATTERN)] | None = None


@router.post(
    "/reconciliations",
    operation_id="start_reconciliation",
    status_code=HTTPStatus.ACCEPTED,
    responses=changed(ReconciliationView),
)
async def start_reconciliation(
    response: Response, here: Here, who: Finance, key: IdempotencyKey, period: Period
) -> ReconciliationView:
    """Compare database, gateway and workflow results; 202 with its id, to be asked for."""
    fingerprint = period.fingerprint("reconciliation", who.actor)
    reconciliation_id = ids.derived(ids.RECONCILIATION, who.actor, key)
    known = await here.reconciliations.report(reconciliation_id)
    report = known or await here.runs.reconcile(
        ReconciliationOrder(
            id=reconciliation_id,
            since=period.since,
            until=period.end,
            actor=who.actor,
            request_fingerprint=fingerprint,
        )
    )
    if report.request_fingerprint != fingerprint:
        raise KeyReused
    if known is not None:
        response.status_code = HTTPStatus.OK
        response.headers[REPLAYED] = "true"
    return await _view(here, report)


@router.get(
    "/reconciliations/{reconciliation_id}",
    operation_id="get_reconciliation",
    responses=SEEN | problems(403),
)
async def get_reconciliation(
    here: Here, _who: Finance, reconciliation_id: ReconciliationId
) -> ReconciliationView:
    """How far it has come, and what it has found."""
    if not _ID.fullmatch(reconciliation_id):
        raise Missing
    report = await here.reconciliations.report(reconciliation_id)
    if report is None:
        raise Missing
    return await _view(here, report)


@router.get(
    "/ledger/balances", operation_id="list_balances", responses=problems(401, 403, 422, 503)
)
async def list_balances(
    here: Here, _who: Finance, wanted: Annotated[BalanceFilter, Query()]
) -> BalancesView:
    """Every account, added up from its transfers; as of a moment, or of one payment."""
    balances = await here.balances.all(as_of=wanted.as_of, payment_id=wanted.payment_id)
    return BalancesView.of(balances)


async def _view(here: Here, report: Report) -> ReconciliationView:
    return ReconciliationView.of(report, await here.reconciliations.drifts(report.id))
