"""Writes the steps of a payment: one statement for each table, however many the steps are."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row, bindparam, insert, select, update
from sqlalchemy.orm import Session

from paysaga.database.engine import Insert, Inserting, on_both
from paysaga.database.rows import (
    attempt_columns,
    event_columns,
    history_columns,
    payment_columns,
    transfer_columns,
)
from paysaga.database.tables import (
    ATTEMPTS,
    CUSTOMERS,
    EVENTS,
    PAYMENTS,
    STATUS_HISTORY,
    TRANSFERS,
)
from paysaga.domain.payment import HOLDS_ORDER, Change, PaymentState, PaymentStatus


class OrderHeld(Exception):
    """The order's one place is taken by another payment, which is named."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


def write(session: Session, changes: Sequence[Change]) -> None:
    """Bring one payment from where it stands to the last of these steps.

    Raises:
        OrderHeld: The payment is new, and its order has another one.
        RuntimeError: A step is missing before these, which is a bug.
    """
    state = changes[-1].state
    if changes[0].state.version == 1 and _opened(session, state):
        _tell(session, _following(0, changes), None)
        return
    before = session.execute(_STANDING, {"this_id": state.id}).one_or_none()
    if before is None:
        refuse_if_held(session, state)
        raise RuntimeError(f"{state.id} cannot begin with step {changes[0].state.version}")
    news = _following(before.version, changes)
    if news:
        _move(session, state, before)
        _tell(session, news, PaymentStatus(before.status))


def refuse_if_held(session: Session, state: PaymentState) -> None:
    """Raise `OrderHeld` if the order has another open or succeeded payment."""
    holder = session.execute(HOLDER, {"this_order": state.order_id}).scalar_one_or_none()
    if holder is not None and holder != state.id:
        raise OrderHeld(holder)


def _following(version: int, changes: Sequence[Change]) -> list[Change]:
    """The steps that are new after `version`."""
    news = [change for change in changes if change.state.version > version]
    for number, change in enumerate(news, start=version + 1):
        if change.state.version != number:
            raise RuntimeError(
                f"{change.state.id} lacks step {number}: {change.state.version} cannot follow"
            )
    return news


def _opened(session: Session, state: PaymentState) -> bool:
    """Insert the payment, unless it is there or its order's place is taken."""
    customer = {"id": state.customer_id, "created_at": state.created_at}
    session.execute(_meet(session), customer)
    _name_customer(session, state)
    opened = session.execute(_open(session), payment_columns(state))
    return opened.one_or_none() is not None


def _move(session: Session, state: PaymentState, before: Row[*tuple[Any, ...]]) -> None:
    if state.gateway_customer_id != before.gateway_customer_id:
        _name_customer(session, state)
    columns = {**payment_columns(state), "this_id": state.id, "this_version": before.version}
    if session.execute(_MOVE, columns).one_or_none() is None:
        raise RuntimeError(f"{state.id} no longer stands at {before.version}")


def _name_customer(session: Session, state: PaymentState) -> None:
    """The first gateway customer that is named stays."""
    if state.gateway_customer_id is not None:
        named = {
            "this_id": state.customer_id,
            "gateway_customer_id": state.gateway_customer_id,
        }
        session.execute(_NAME, named)


def _tell(session: Session, changes: Sequence[Change], before: PaymentStatus | None) -> None:
    """Write beside the payment what each step leaves behind."""
    attempts = {
        change.attempt.number: attempt_columns(change.state.id, change.attempt)
        for change in changes
        if change.attempt is not None
    }
    if attempts:
        session.execute(_try(session), list(attempts.values()))
    session.execute(insert(STATUS_HISTORY), [history_columns(change) for change in changes])
    if transfers := [columns for change in changes for columns in transfer_columns(change)]:
        session.execute(insert(TRANSFERS), transfers)
    past = [before, *(change.state.status for change in changes[:-1])]
    events = [event_columns(*told) for told in zip(changes, past, strict=True)]
    session.execute(insert(EVENTS), events)


HOLDER: Final = select(PAYMENTS.c.id).where(
    PAYMENTS.c.order_id == bindparam("this_order"), PAYMENTS.c.status.in_(sorted(HOLDS_ORDER))
)

# Held still until the transaction ends; readers of the row and its foreign keys do not wait.
_STANDING: Final = (
    select(PAYMENTS.c.version, PAYMENTS.c.status, PAYMENTS.c.gateway_customer_id)
    .where(PAYMENTS.c.id == bindparam("this_id"))
    .with_for_update(key_share=True)
)

_MOVE: Final = (
    update(PAYMENTS)
    .where(PAYMENTS.c.id == bindparam("this_id"), PAYMENTS.c.version == bindparam("this_version"))
    .returning(PAYMENTS.c.version)
)


@on_both
def _open(insert_into: Inserting) -> Any:
    return insert_into(PAYMENTS).on_conflict_do_nothing().returning(PAYMENTS.c.id)


@on_both
def _meet(insert_into: Inserting) -> Insert:
    return insert_into(CUSTOMERS).on_conflict_do_nothing()


# Apart from the INSERT, whose conflict is about one unique column at a time: of two at once, one
# would fail on the other column.
_NAME: Final = update(CUSTOMERS).where(
    CUSTOMERS.c.id == bindparam("this_id"), CUSTOMERS.c.gateway_customer_id.is_(None)
)


@on_both
def _try(insert_into: Inserting) -> Insert:
    """An attempt's beginning never changes, only what became of it."""
    attempt = insert_into(ATTEMPTS)
    ends = ("status", "decline_code", "charge_id", "ended_at")
    return attempt.on_conflict_do_update(
        index_elements=["payment_id", "number"],
        set_={end: attempt.excluded[end] for end in ends},
    )
