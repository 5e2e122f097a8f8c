"""The books, added up anew each time: what every account holds."""

from datetime import datetime
from typing import Final

from sqlalchemy import Select, String, bindparam, func, literal, select, union_all
from sqlalchemy.orm import Session

from paysaga.database.columns import UtcDateTime
from paysaga.database.engine import Sessions, reading
from paysaga.database.tables import TRANSFERS
from paysaga.domain.ledger import Account
from paysaga.domain.message import Message


class Balance(Message):
    """What one account holds of one currency: debits less credits, in minor units."""

    currency: str
    account: Account
    amount: int


class Balances:
    """Adds up the transfers. Nothing here is stored, so nothing can be out of date."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def all(
        self, *, as_of: datetime | None = None, payment_id: str | None = None
    ) -> list[Balance]:
        """Every account that was touched, by currency; up to a moment, or of one payment."""
        async with reading(self._sessions) as session:
            rows = await session.execute(_sums(as_of, payment_id))
            return [Balance.model_validate(row._asdict()) for row in rows]


def held(session: Session, payment_id: str, account: Account, currency: str) -> int:
    """What the account holds of one payment, in this currency."""
    this = {"this_id": payment_id, "this_account": account.value, "this_currency": currency}
    return int(session.execute(_HELD, this).scalar_one())


def _sums(as_of: datetime | None, payment_id: str | None) -> Select[tuple[str, str, int]]:
    wanted = [
        *([TRANSFERS.c.at <= literal(as_of, UtcDateTime)] if as_of else []),
        *([TRANSFERS.c.payment_id == payment_id] if payment_id else []),
    ]
    sides = union_all(
        select(TRANSFERS.c.currency, TRANSFERS.c.debit.label("account"), TRANSFERS.c.amount).where(
            *wanted
        ),
        select(TRANSFERS.c.currency, TRANSFERS.c.credit, -TRANSFERS.c.amount).where(*wanted),
    ).subquery()
    return (
        select(sides.c.currency, sides.c.account, func.sum(sides.c.amount).label("amount"))
        .group_by(sides.c.currency, sides.c.account)
        .order_by(sides.c.currency, sides.c.account)
    )


_THIS: Final = bindparam("this_account", type_=String())
_HELD: Final = select(
    func.coalesce(func.sum(TRANSFERS.c.amount).filter(TRANSFERS.c.debit == _THIS), 0)
    - func.coalesce(func.sum(TRANSFERS.c.amount).filter(TRANSFERS.c.credit == _THIS), 0)
).where(
    TRANSFERS.c.payment_id == bindparam("this_id"),
    TRANSFERS.c.currency == bindparam("this_currency"),
)
