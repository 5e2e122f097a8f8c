"""What our own books say of payments, and what comparing them with the gateway has found."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from pydantic import AwareDatetime
from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    case,
    func,
    literal,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from paysaga.database.columns import UtcDateTime
from paysaga.database.engine import Insert, Inserting, Sessions, on_both, reading
from paysaga.database.paging import cursor, place
from paysaga.database.tables import (
    DRIFTS,
    EVENTS,
    PAYMENTS,
    RECONCILIATIONS,
    STATUS_HISTORY,
    TRANSFERS,
)
from paysaga.domain import ids
from paysaga.domain.ledger import Account
from paysaga.domain.message import Message
from paysaga.domain.payment import Fulfillment, PaymentStatus
from paysaga.domain.reconciliation import Drift, DriftKind, Facts, InDatabase
from paysaga.domain.reports import Report


class Books(Message):
    """What the books say of some payments, and where the next page begins (None after the last)."""

    payments: tuple[InDatabase, ...]
    next: str | None = None


class NotedDrift(Drift):
    """A drift as it is kept: found first, seen last, and resolved when it was gone."""

    id: str
    found_at: AwareDatetime
    seen_at: AwareDatetime
    resolved_at: AwareDatetime | None


class Reconciliations:
    """Reads the books, and keeps what the comparisons find."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def changed(
        self, since: datetime, until: datetime, after: str | None, limit: int
    ) -> Books:
        """Payments that were changed in this time, the first changed first.

        One that moves meanwhile leaves the period, and belongs to the next one.
        """
        wanted = _BOOKS.where(
            PAYMENTS.c.updated_at >= literal(since, UtcDateTime),
            PAYMENTS.c.updated_at < literal(until, UtcDateTime),
        ).order_by(PAYMENTS.c.updated_at, PAYMENTS.c.id)
        if after is not None:
            at, payment_id = place(after)
            seen = tuple_(literal(at, UtcDateTime), literal(payment_id))
            wanted = wanted.where(tuple_(PAYMENTS.c.updated_at, PAYMENTS.c.id) > seen)
        async with reading(self._sessions) as session:
            rows = (await session.execute(wanted.limit(limit + 1))).all()
            page = rows[:limit]
            return Books(
                payments=await _books(session, page),
                next=cursor(page[-1].updated_at, page[-1].id) if len(rows) > limit else None,
            )

    async def these(self, payment_ids: Sequence[str]) -> Books:
        """The same of these payments."""
        wanted = _BOOKS.where(PAYMENTS.c.id.in_(payment_ids)).order_by(PAYMENTS.c.id)
        async with reading(self._sessions) as session:
            return Books(payments=await _books(session, (await session.execute(wanted)).all()))

    async def begin(self, report: Report) -> Report:
        """Write the report down; one that is there stays as it is."""
        async with self._sessions.begin() as session:
            await session.execute(_begin(session), dict(report))
        return await self.report(report.id) or report

    async def report(self, reconciliation_id: str) -> Report | None:
        """The report, as far as it has come."""
        wanted = select(RECONCILIATIONS).where(RECONCILIATIONS.c.id == reconciliation_id)
        async with reading(self._sessions) as session:
            row = (await session.execute(wanted)).one_or_none()
        return Report.model_validate(row._asdict()) if row is not None else None

    async def drifts(self, reconciliation_id: str) -> list[NotedDrift]:
        """What this comparison, and no later one, has seen last."""
        wanted = (
            select(DRIFTS)
            .where(DRIFTS.c.reconciliation_id == reconciliation_id, DRIFTS.c.resolved_at.is_(None))
            .order_by(DRIFTS.c.subject, DRIFTS.c.kind)
        )
        async with reading(self._sessions) as session:
            rows = await session.execute(wanted)
            return [NotedDrift.model_validate(row._asdict()) for row in rows]

    async def note(
        self, report: Report, drifts: Sequence[Drift], clear: Sequence[str], at: datetime
    ) -> None:
        """Keep what was found, close what was not found any more, and how far it has come.

        A repeat changes nothing. What could not be compared closes nothing.
        """
        unknown = {drift.subject for drift in drifts if drift.kind is DriftKind.NOT_COMPARED}
        async with self._sessions.begin() as session:
            for drift in drifts:
                await _keep(session, report, drift, at)
            found = [(drift.subject, drift.kind.value) for drift in drifts]
            subjects = {*clear, *(drift.subject for drift in drifts)} - unknown
            await session.execute(_resolve(sorted(subjects), found, at))
            await session.execute(
                update(RECONCILIATIONS).where(RECONCILIATIONS.c.id == report.id),
                report.model_dump(exclude={"id"}),
            )


async def _books(session: AsyncSession, rows: Sequence[Row[Any]]) -> tuple[InDatabase, ...]:
    payment_ids = [row.id for row in rows]
    snapshots = {row.object_id: row.data for row in await session.execute(_snapshots(payment_ids))}
    parked = set(await session.scalars(_parked(payment_ids)))
    booked = {
        (row.payment_id, row.currency): (int(row.captured), int(row.refunded))
        for row in await session.execute(_booked(payment_ids))
    }
    return tuple(_in_database(row, snapshots[row.id], booked, parked) for row in rows)


def _in_database(
    row: Row[Any],
    snapshot: dict[str, Any],
    booked: dict[tuple[str, str], tuple[int, int]],
    parked: set[str],
) -> InDatabase:
    history = Facts(
        status=snapshot["status"],
        amount=snapshot["money"]["minor"],
        currency=snapshot["money"]["currency"],
        gateway_id=snapshot["intent_id"],
        captured=snapshot["amount_captured"],
        refunded=snapshot["amount_refunded"],
    )
    captured, refunded = booked.get((row.id, history.currency), (0, 0))
    return InDatabase(
        payment_id=row.id,
        row=Facts(
            status=row.status,
            amount=row.amount,
            currency=row.currency,
            gateway_id=row.intent_id,
            captured=row.amount_captured,
            refunded=row.amount_refunded,
        ),
        history=history,
        ledger_captured=captured,
        ledger_refunded=refunded,
        was_parked=row.id in parked,
        is_unsettled=snapshot["amount_refund_pending"] > 0
        or (snapshot["fulfillment"] == Fulfillment.PENDING and history.captured > 0),
        is_hosted=snapshot.get("is_hosted", False),
    )


async def _keep(session: AsyncSession, report: Report, drift: Drift, at: datetime) -> None:
    seen = {**dict(drift), "reconciliation_id": report.id, "seen_at": at}
    open_one = update(DRIFTS).where(
        DRIFTS.c.subject == drift.subject,
        DRIFTS.c.kind == drift.kind.value,
        DRIFTS.c.resolved_at.is_(None),
    )
    later = {**seen, "seen_at": _not_before(DRIFTS.c.seen_at, at)}
    kept = await session.execute(open_one.values(later).returning(DRIFTS.c.id))
    if kept.first() is None:
        # The moment makes it new: one that comes back was resolved by somebody else meanwhile.
        found = (report.id, drift.subject, drift.kind.value, at.isoformat())
        drift_id = ids.derived(ids.DRIFT, *found)
        await session.execute(_found(session), {**seen, "id": drift_id, "found_at": at})


def _resolve(subjects: list[str], found: list[tuple[str, str]], at: datetime) -> Any:
    gone = update(DRIFTS).where(
        DRIFTS.c.subject.in_(subjects),
        DRIFTS.c.resolved_at.is_(None),
        tuple_(DRIFTS.c.subject, DRIFTS.c.kind).not_in(found),
    )
    return gone.values(resolved_at=_not_before(DRIFTS.c.seen_at, at))


def _not_before(earlier: ColumnElement[datetime], at: datetime) -> ColumnElement[datetime]:
    """This moment, unless another comparison's clock is ahead."""
    now = literal(at, UtcDateTime)
    return case((earlier > now, earlier), else_=now)


def _snapshots(payment_ids: list[str]) -> Select[Any]:
    """Each payment as its last change published it."""
    last = (
        select(EVENTS.c.object_id, func.max(EVENTS.c.sequence).label("sequence"))
        .where(EVENTS.c.object_id.in_(payment_ids))
        .group_by(EVENTS.c.object_id)
        .subquery()
    )
    same = (EVENTS.c.object_id == last.c.object_id) & (EVENTS.c.sequence == last.c.sequence)
    return select(EVENTS.c.object_id, EVENTS.c.data).join(last, same)


def _parked(payment_ids: list[str]) -> Select[Any]:
    return select(STATUS_HISTORY.c.payment_id).where(
        STATUS_HISTORY.c.payment_id.in_(payment_ids),
        STATUS_HISTORY.c.status == PaymentStatus.NEEDS_OPERATOR.value,
    )


def _booked(payment_ids: list[str]) -> Select[Any]:
    def into(account: Account, sign: int) -> Any:
        gained = (TRANSFERS.c.debit == account.value, sign * TRANSFERS.c.amount)
        lost = (TRANSFERS.c.credit == account.value, -sign * TRANSFERS.c.amount)
        return func.sum(case(gained, lost, else_=0))

    return (
        select(
            TRANSFERS.c.payment_id,
            TRANSFERS.c.currency,
            into(Account.REVENUE, -1).label("captured"),
            into(Account.REFUNDS, 1).label("refunded"),
        )
        .where(TRANSFERS.c.payment_id.in_(payment_ids))
        .group_by(TRANSFERS.c.payment_id, TRANSFERS.c.currency)
    )


_BOOKS: Final[Select[Any]] = select(
    PAYMENTS.c.id,
    PAYMENTS.c.status,
    PAYMENTS.c.amount,
    PAYMENTS.c.currency,
    PAYMENTS.c.intent_id,
    PAYMENTS.c.amount_captured,
    PAYMENTS.c.amount_refunded,
    PAYMENTS.c.updated_at,
)


@on_both
def _found(insert_into: Inserting) -> Insert:
    # Only this very finding is known; another one that is open meanwhile is met by a repeat.
    return insert_into(DRIFTS).on_conflict_do_nothing(index_elements=[DRIFTS.c.id])


@on_both
def _begin(insert_into: Inserting) -> Insert:
    return insert_into(RECONCILIATIONS).on_conflict_do_nothing()
