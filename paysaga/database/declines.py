"""Who was declined how often of late: counted in the rows, which all processes share.

To save a method its bank is asked, too: what is declined there counts like a payment's attempt.
"""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Executable,
    Integer,
    Select,
    String,
    bindparam,
    func,
    literal_column,
    select,
    union_all,
)

from paysaga.database.columns import UtcDateTime, quoted
from paysaga.database.engine import Sessions, reading
from paysaga.database.tables import ATTEMPTS, PAYMENT_METHODS, PAYMENTS
from paysaga.domain.declines import CARD_LIMIT_REACHED
from paysaga.domain.payment import AttemptStatus
from paysaga.domain.saved_method import SaveReason


class Declines:
    """Reads declines. Nothing here writes or locks."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def of_customer(self, customer_id: str, since: datetime, number: int) -> datetime | None:
        """When the customer's `number`-th newest decline was; `None` if there are fewer."""
        return await self._moment(_OF_CUSTOMER, customer_id, since, number)

    async def of_token(self, token: str, since: datetime, number: int) -> datetime | None:
        """The same of the card behind this token, if an earlier attempt has shown which it is."""
        return await self._moment(_OF_TOKEN, token, since, number)

    async def cards(self, since: datetime, number: int) -> frozenset[str]:
        """The fingerprints of all cards with so many declines."""
        async with reading(self._sessions) as session:
            found = await session.execute(_CARDS, {"since": since, "number": number})
            return frozenset(found.scalars())

    async def _moment(
        self, question: Executable, this_id: str, since: datetime, number: int
    ) -> datetime | None:
        known = {"this_id": this_id, "since": since, "newer": number - 1}
        async with reading(self._sessions) as session:
            moment: datetime | None = (await session.execute(question, known)).scalar_one_or_none()
        return moment


_THIS: Final = bindparam("this_id", type_=String())
_SINCE: Final = bindparam("since", type_=UtcDateTime())
_DECLINED: Final = (
    # A literal: an index of declines alone does not serve a word that is not known yet.
    ATTEMPTS.c.status == literal_column(quoted([AttemptStatus.DECLINED])),
    ATTEMPTS.c.ended_at > _SINCE,
)
# Our own declines do not count against a card: what was tried in vain must not keep it out.
_BY_ITS_BANK: Final = (
    *_DECLINED,
    ATTEMPTS.c.decline_code.is_distinct_from(CARD_LIMIT_REACHED),
)
_NOT_SAVED: Final = (
    PAYMENT_METHODS.c.reason == literal_column(quoted([SaveReason.DECLINED])),
    PAYMENT_METHODS.c.updated_at > _SINCE,
)
_NOT_SAVED_BY_ITS_BANK: Final = (
    *_NOT_SAVED,
    PAYMENT_METHODS.c.decline_code.is_distinct_from(CARD_LIMIT_REACHED),
)


def _nth_newest(*declines: Select[Any]) -> Select[Any]:
    """The moment of the one before which so many others came."""
    all_ = union_all(*declines).subquery()
    newest = select(all_.c.at).order_by(all_.c.at.desc())
    return newest.limit(1).offset(bindparam("newer", type_=Integer()))


_OF_CUSTOMER: Final = _nth_newest(
    select(ATTEMPTS.c.ended_at.label("at"))
    .join(PAYMENTS, PAYMENTS.c.id == ATTEMPTS.c.payment_id)
    .where(
        # A payment has changed since its attempt ended: those that have not are left aside.
        PAYMENTS.c.customer_id == _THIS,
        PAYMENTS.c.updated_at > _SINCE,
        *_DECLINED,
    ),
    select(PAYMENT_METHODS.c.updated_at.label("at")).where(
        PAYMENT_METHODS.c.customer_id == _THIS, *_NOT_SAVED
    ),
)
_EARLIER: Final = ATTEMPTS.alias("earlier")
_CARD: Final = (
    select(_EARLIER.c.card_fingerprint)
    .where(_EARLIER.c.method == _THIS, _EARLIER.c.card_fingerprint.is_not(None))
    .order_by(_EARLIER.c.started_at.desc())
    .limit(1)
    .scalar_subquery()
)
_OF_TOKEN: Final = _nth_newest(
    select(ATTEMPTS.c.ended_at.label("at")).where(
        ATTEMPTS.c.card_fingerprint == _CARD, *_BY_ITS_BANK
    ),
    select(PAYMENT_METHODS.c.updated_at.label("at")).where(
        PAYMENT_METHODS.c.fingerprint == _CARD, *_NOT_SAVED_BY_ITS_BANK
    ),
)
_ALL: Final = union_all(
    select(ATTEMPTS.c.card_fingerprint.label("card")).where(
        ATTEMPTS.c.card_fingerprint.is_not(None), *_BY_ITS_BANK
    ),
    select(PAYMENT_METHODS.c.fingerprint.label("card")).where(
        PAYMENT_METHODS.c.fingerprint.is_not(None), *_NOT_SAVED_BY_ITS_BANK
    ),
).subquery()
_CARDS: Final = (
    select(_ALL.c.card)
    .group_by(_ALL.c.card)
    .having(func.count() >= bindparam("number", type_=Integer()))
)
