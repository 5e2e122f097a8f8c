"""Customers' rows: whom the gateway knows them as, where and about what they are written to."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.orm import Session

from paysaga.database.engine import Insert, Inserting, Sessions, on_both, reading
from paysaga.database.tables import CUSTOMERS, MAIL_PREFERENCES
from paysaga.domain.message import Message


class Correspondent(Message):
    """How somebody is written to. Mails of a kind that `mails` does not name are wanted."""

    email: str | None
    language: str | None
    mails: dict[str, bool]

    def wants(self, kind: str) -> bool:
        """Whether they want mails of this kind."""
        return self.mails.get(kind, True)


class Customers:
    """Customers as persons. Workflows do not know this; activities that write to somebody do."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def email(self, customer_id: str) -> str | None:
        """The customer's e-mail address, if they gave one."""
        async with reading(self._sessions) as session:
            found = await session.execute(_EMAIL, {"this_id": customer_id})
            email: str | None = found.scalar_one_or_none()
        return email

    async def correspondent(self, customer_id: str) -> Correspondent | None:
        """How the customer is written to; `None` if nothing is known of them."""
        this = {"this_id": customer_id}
        async with reading(self._sessions) as session:
            found = (await session.execute(_CORRESPONDENT, this)).one_or_none()
            if found is None:
                return None
            wishes = await session.execute(_WISHES, this)
            mails = {row.kind: row.wanted for row in wishes}
        return Correspondent(email=found.email, language=found.language, mails=mails)

    async def change(
        self,
        customer_id: str,
        columns: Mapping[str, str | None],
        mails: Mapping[str, bool],
        at: datetime,
    ) -> None:
        """Change `email` and `language` as far as they are given, and wishes about mails."""
        async with self._sessions.begin() as session:
            known = {"id": customer_id, "created_at": at}
            await session.execute(_meet(session), known)
            if columns:
                this = CUSTOMERS.c.id == customer_id
                await session.execute(update(CUSTOMERS).where(this).values(dict(columns)))
            for kind, wanted in mails.items():
                wish = {"customer_id": customer_id, "kind": kind, "wanted": wanted}
                await session.execute(_wish(session), {**wish, "updated_at": at})

    async def remember_email(self, customer_id: str, email: str, at: datetime) -> None:
        """The address that the customer gave last is theirs."""
        async with self._sessions.begin() as session:
            told = {"id": customer_id, "email": email, "created_at": at}
            await session.execute(_remember(session), told)


def meet(session: Session, customer_id: str, at: datetime) -> None:
    """Have a row for the customer, from this moment on or from an earlier one."""
    session.execute(_meet(session), {"id": customer_id, "created_at": at})


def name_customer(
    session: Session, customer_id: str, gateway_customer_id: str | None, replaced: str | None
) -> None:
    """The first gateway customer that is named stays, unless it was found to be gone."""
    if gateway_customer_id is not None:
        named = {
            "this_id": customer_id,
            "gateway_customer_id": gateway_customer_id,
            "replaced": replaced,
        }
        session.execute(_NAME, named)


def hold(session: Session, customer_id: str) -> None:
    """Keep others from the customer's methods until the transaction ends; readers do not wait."""
    session.execute(_HOLD, {"this_id": customer_id})


@on_both
def _meet(insert_into: Inserting) -> Insert:
    return insert_into(CUSTOMERS).on_conflict_do_nothing()


# Apart from the INSERT, whose conflict is about one unique column at a time: of two at once, one
# would fail on the other column.
_NAME: Final = update(CUSTOMERS).where(
    CUSTOMERS.c.id == bindparam("this_id"),
    or_(
        CUSTOMERS.c.gateway_customer_id.is_(None),
        CUSTOMERS.c.gateway_customer_id == bindparam("replaced"),
    ),
)
_HOLD: Final = (
    select(CUSTOMERS.c.id)
    .where(CUSTOMERS.c.id == bindparam("this_id"))
    .with_for_update(key_share=True)
)

_CORRESPONDENT: Final = select(CUSTOMERS.c.email, CUSTOMERS.c.language).where(
    CUSTOMERS.c.id == bindparam("this_id")
)
_WISHES: Final = select(MAIL_PREFERENCES.c.kind, MAIL_PREFERENCES.c.wanted).where(
    MAIL_PREFERENCES.c.customer_id == bindparam("this_id")
)
_EMAIL: Final = select(CUSTOMERS.c.email).where(CUSTOMERS.c.id == bindparam("this_id"))


@on_both
def _remember(insert_into: Inserting) -> Any:
    customer = insert_into(CUSTOMERS)
    return customer.on_conflict_do_update(
        index_elements=["id"], set_={"email": customer.excluded.email}
    )


@on_both
def _wish(insert_into: Inserting) -> Any:
    wish = insert_into(MAIL_PREFERENCES)
    return wish.on_conflict_do_update(
        index_elements=["customer_id", "kind"],
        set_={name: wish.excluded[name] for name in ("wanted", "updated_at")},
    )
