"""Our own side of a reconciliation: what the books say, and what the comparison finds."""

from typing import Final

import structlog
from pydantic import AwareDatetime
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from temporalio import activity

from paysaga.database.balances import held
from paysaga.database.engine import Sessions
from paysaga.database.owners import owners
from paysaga.database.reconciliation import Books, Reconciliations
from paysaga.database.steps import standing, write
from paysaga.domain.fees import fee_booked
from paysaga.domain.ledger import Account
from paysaga.domain.message import Message
from paysaga.domain.money import Money
from paysaga.domain.reconciliation import Drift
from paysaga.domain.reports import Report
from paysaga.domain.strangers import Owner

PAGE: Final = 20

log: Final = structlog.stdlib.get_logger("activities")


class Period(Message):
    """Payments that were changed in this time, from this place on."""

    since: AwareDatetime
    until: AwareDatetime
    after: str | None = None


class PaymentIds(Message):
    """Some payments."""

    payment_ids: tuple[str, ...]


class IntentIds(Message):
    """Some intents, each with the payment that it names, if it names one."""

    intents: dict[str, str | None]


class Owners(Message):
    """Whose intents they are: those that are not in here are nobody's."""

    owners: tuple[Owner, ...]


class Findings(Message):
    """What a part of the comparison has found, and that nothing is wrong with the others."""

    report: Report
    drifts: tuple[Drift, ...] = ()
    clear: tuple[str, ...] = ()
    at: AwareDatetime


class Fee(Message):
    """What a payment has cost so far."""

    payment_id: str
    fee: Money


class Fees(Message):
    """What some payments have cost so far."""

    fees: tuple[Fee, ...]
    at: AwareDatetime


class Reconciling:
    """Activities that share one database. A repeat of any of them changes nothing."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._found = Reconciliations(sessions)

    @activity.defn
    async def begin_reconciliation(self, report: Report) -> Report:
        """Write the report down, before anything is compared."""
        return await self._found.begin(report)

    @activity.defn
    async def read_changed(self, period: Period) -> Books:
        """What the books say of the payments changed in this time: one page."""
        return await self._found.changed(period.since, period.until, period.after, PAGE)

    @activity.defn
    async def read_books(self, wanted: PaymentIds) -> Books:
        """What the books say of these payments now."""
        return await self._found.these(wanted.payment_ids)

    @activity.defn
    async def owners_of(self, wanted: IntentIds) -> Owners:
        """Whose these intents are."""
        return Owners(owners=tuple(await owners(self._sessions, wanted.intents)))

    @activity.defn
    async def note_findings(self, findings: Findings) -> None:
        """Keep what was found and how far the comparison has come."""
        await self._found.note(findings.report, findings.drifts, findings.clear, findings.at)

    @activity.defn
    async def book_fees(self, fees: Fees) -> int:
        """Book what is not in the books yet; answers with how many payments that was."""
        return sum([await self._book(fee, fees.at) for fee in fees.fees])

    async def _book(self, fee: Fee, at: AwareDatetime) -> bool:
        """Whether there was something to book. One that moved meanwhile waits for the next time."""

        def book(session: Session) -> bool:
            found = standing(session, fee.payment_id)
            if found is None:
                return False
            booked = held(session, fee.payment_id, Account.FEES, fee.fee.currency)
            changes = fee_booked(found.state, fee.fee, booked, max(at, found.state.updated_at))
            return bool(changes) and write(session, changes) is None

        try:
            async with self._sessions.begin() as session:
                return await session.run_sync(book)
        except IntegrityError:
            # Somebody has written to the row past its history: that must not stop the others.
            log.exception("the fee cannot be booked", payment_id=fee.payment_id)
            return False
