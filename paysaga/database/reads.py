"""The questions behind GET, each answered by one query."""

from collections.abc import Sequence
from typing import Any, Final

from pydantic import AwareDatetime
from sqlalchemy import (
    Executable,
    Select,
    String,
    bindparam,
    case,
    literal,
    select,
    text,
    tuple_,
    union_all,
)

from paysaga.database.columns import UtcDateTime
from paysaga.database.engine import Sessions, reading
from paysaga.database.paging import cursor, place
from paysaga.database.refund_policies import TERMS
from paysaga.database.rows import payment_state
from paysaga.database.steps import HOLDER
from paysaga.database.tables import ATTEMPTS, CUSTOMERS, PAYMENTS, STATUS_HISTORY
from paysaga.domain.message import Message
from paysaga.domain.payment import HOLDS_ORDER, Attempt, PaymentState, PaymentStatus, RequestMark
from paysaga.domain.reasons import Reason
from paysaga.domain.refund_policy import RefundPolicy


class Page(Message):
    """Some payments, newest first, and where the next page begins (None after the last)."""

    payments: tuple[PaymentState, ...]
    next: str | None = None


class HistoryEntry(Message):
    """One step of a payment: where to, why, by whom and when."""

    number: int
    status: PaymentStatus
    reason: Reason
    actor: str
    at: AwareDatetime
    note: str | None


class Reads:
    """Reads payments. Nothing here writes or locks."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def payment(self, payment_id: str) -> PaymentState | None:
        """The payment as it stands."""
        return await self._first(_PAYMENT, this_id=payment_id)

    async def versions(self, payment_ids: Sequence[str]) -> dict[str, int]:
        """How far each of these payments has come, as far as there are any."""
        async with reading(self._sessions) as session:
            rows = await session.execute(_VERSIONS, {"these": payment_ids})
            return {row.id: row.version for row in rows}

    async def payments(
        self,
        *,
        customer_id: str | None = None,
        status: PaymentStatus | None = None,
        order_id: str | None = None,
        after: str | None = None,
        limit: int = 20,
    ) -> Page:
        """A page of payments, newest first. New payments do not shift the pages that follow.

        Raises:
            WrongCursor: `after` is not the `next` of an earlier page.
        """
        wanted = _newest_first(customer_id=customer_id, status=status, order_id=order_id)
        if after is not None:
            at, payment_id = place(after)
            seen = tuple_(literal(at, UtcDateTime), literal(payment_id))
            wanted = wanted.where(tuple_(PAYMENTS.c.created_at, PAYMENTS.c.id) < seen)
        async with reading(self._sessions) as session:
            rows = (await session.execute(wanted.limit(limit + 1))).all()
        payments = tuple(payment_state(row) for row in rows[:limit])
        more = len(rows) > limit
        return Page(
            payments=payments,
            next=cursor(payments[-1].created_at, payments[-1].id) if more else None,
        )

    async def order_payment(
        self, order_id: str, customer_id: str | None = None
    ) -> PaymentState | None:
        """The order's open or succeeded payment, else its newest."""
        wanted = _newest_first(customer_id=customer_id, order_id=order_id)
        return await self._first(wanted.order_by(None).order_by(_HOLDER_FIRST, *_NEWEST).limit(1))

    async def holder(self, order_id: str) -> str | None:
        """The id of the open or succeeded payment, beside which the order takes no other."""
        return await self._word(HOLDER, this_order=order_id)

    async def history(self, payment_id: str) -> list[HistoryEntry]:
        """All steps of the payment, the oldest first."""
        async with reading(self._sessions) as session:
            rows = await session.execute(_HISTORY, {"this_id": payment_id})
            return [HistoryEntry.model_validate(row._asdict()) for row in rows]

    async def attempts(self, payment_id: str) -> list[Attempt]:
        """All attempts of the payment, the first one first."""
        async with reading(self._sessions) as session:
            rows = await session.execute(_ATTEMPTS, {"this_id": payment_id})
            return [Attempt.model_validate(row._asdict()) for row in rows]

    async def request(self, payment_id: str, key: str) -> RequestMark | None:
        """The client's request of this key, if it has already moved the payment."""
        fingerprint = await self._word(_REQUEST, this_id=payment_id, this_key=key)
        return RequestMark(key=key, fingerprint=fingerprint) if fingerprint else None

    async def request_number(self, payment_id: str, key: str) -> int | None:
        """The number of the step that the request of this key has made."""
        async with reading(self._sessions) as session:
            found = await session.execute(_REQUEST_NUMBER, {"this_id": payment_id, "this_key": key})
            return found.scalar_one_or_none()

    async def gateway_customer(self, customer_id: str) -> str | None:
        """Whom the gateway knows our customer as."""
        return await self._word(_GATEWAY_CUSTOMER, this_id=customer_id)

    async def refund_policy(self, policy_id: str) -> RefundPolicy | None:
        """The terms of refunds that payments were made under."""
        async with reading(self._sessions) as session:
            terms = (await session.execute(TERMS, {"this_id": policy_id})).scalar_one_or_none()
        return RefundPolicy.model_validate(terms) if terms is not None else None

    async def payment_of(self, gateway_object_id: str) -> str | None:
        """The payment of this intent, page or charge, be it an earlier attempt's charge."""
        return await self._word(_PAYMENT_OF, this_id=gateway_object_id)

    async def ping(self) -> None:
        """Raise unless the database answers."""
        await self._word(text("SELECT 'here'"))

    async def _first(self, payments: Select[Any], **known: str) -> PaymentState | None:
        async with reading(self._sessions) as session:
            row = (await session.execute(payments, known)).one_or_none()
        return payment_state(row) if row is not None else None

    async def _word(self, question: Executable, **known: str) -> str | None:
        async with reading(self._sessions) as session:
            word: str | None = (await session.execute(question, known)).scalar_one_or_none()
        return word


def _newest_first(**wanted: str | None) -> Select[Any]:
    payments = select(PAYMENTS).order_by(*_NEWEST)
    for column, value in wanted.items():
        if value is not None:
            payments = payments.where(PAYMENTS.c[column] == value)
    return payments


# Statements are built once: building costs more than running.
_NEWEST: Final = (PAYMENTS.c.created_at.desc(), PAYMENTS.c.id.desc())
_HOLDER_FIRST: Final = case((PAYMENTS.c.status.in_(sorted(HOLDS_ORDER)), 0), else_=1)
_THIS: Final = bindparam("this_id", type_=String())
_PAYMENT: Final = select(PAYMENTS).where(PAYMENTS.c.id == _THIS)
_VERSIONS: Final = select(PAYMENTS.c.id, PAYMENTS.c.version).where(
    PAYMENTS.c.id.in_(bindparam("these", expanding=True))
)
_HISTORY: Final = (
    select(STATUS_HISTORY)
    .where(STATUS_HISTORY.c.payment_id == _THIS)
    .order_by(STATUS_HISTORY.c.number)
)
_ATTEMPTS: Final = (
    select(ATTEMPTS).where(ATTEMPTS.c.payment_id == _THIS).order_by(ATTEMPTS.c.number)
)
_REQUEST: Final = select(STATUS_HISTORY.c.request_fingerprint).where(
    STATUS_HISTORY.c.payment_id == _THIS, STATUS_HISTORY.c.request_key == bindparam("this_key")
)
_REQUEST_NUMBER: Final = select(STATUS_HISTORY.c.number).where(
    STATUS_HISTORY.c.payment_id == _THIS, STATUS_HISTORY.c.request_key == bindparam("this_key")
)
_GATEWAY_CUSTOMER: Final = select(CUSTOMERS.c.gateway_customer_id).where(CUSTOMERS.c.id == _THIS)
_PAYMENT_OF: Final = union_all(
    select(PAYMENTS.c.id).where(PAYMENTS.c.intent_id == _THIS),
    select(PAYMENTS.c.id).where(PAYMENTS.c.other_intent_id == _THIS),
    select(PAYMENTS.c.id).where(PAYMENTS.c.session_id == _THIS),
    select(PAYMENTS.c.id).where(PAYMENTS.c.charge_id == _THIS),
    select(ATTEMPTS.c.payment_id).where(ATTEMPTS.c.charge_id == _THIS),
).limit(1)
