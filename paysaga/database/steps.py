"""Writes the steps of a payment: one statement for each table, however many the steps are."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row, bindparam, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from paysaga.database.customers import meet, name_customer
from paysaga.database.engine import Insert, Inserting, on_both
from paysaga.database.refund_policies import pin
from paysaga.database.rows import (
    attempt_columns,
    event_columns,
    history_columns,
    payment_columns,
    payment_state,
    transfer_columns,
)
from paysaga.database.tables import (
    ATTEMPTS,
    EVENTS,
    PAYMENTS,
    STATUS_HISTORY,
    TRANSFERS,
)
from paysaga.domain.outbox import Before
from paysaga.domain.payment import (
    HOLDS_ORDER,
    Attempt,
    Change,
    PaymentState,
    PaymentStatus,
    Recorded,
)
from paysaga.domain.repairs import ABOUT_REPAIRS


class OrderHeld(Exception):
    """The order's one place is taken by another payment, which is named."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


class StepMissing(RuntimeError):
    """A bug: the step before these is not there."""


def write(session: Session, changes: Sequence[Change]) -> Recorded | None:
    """Bring one payment from where it stands to the last of these steps.

    Answers with how it stands if some of them were there before; `None` if all were news.

    Raises:
        OrderHeld: The payment is new, and its order has another one.
        StepMissing: A step is missing before these.
    """
    state = changes[-1].state
    if changes[0].state.version == 1 and _opened(session, changes):
        _tell(session, _following(0, changes), None)
        return None
    before = session.execute(_STANDING, {"this_id": state.id}).one_or_none()
    if before is None:
        refuse_if_held(session, state)
        raise StepMissing(f"{state.id} cannot begin with step {changes[0].state.version}")
    known = [change for change in changes if change.state.version <= before.version]
    taken = _are_written(session, known)
    news = _following(before.version, changes) if taken else []
    if news:
        _move(session, state, before)
        _tell(session, news, Before(PaymentStatus(before.status), before.amount_refunded))
    return standing(session, state.id, taken=taken) if known else None


def refuse_if_held(session: Session, state: PaymentState) -> None:
    """Raise `OrderHeld` if the order has another open or succeeded payment."""
    holder = session.execute(HOLDER, {"this_order": state.order_id}).scalar_one_or_none()
    if holder is not None and holder != state.id:
        raise OrderHeld(holder)


def is_about_order(error: IntegrityError) -> bool:
    """Whether an order would have two payments: PostgreSQL names the rule, SQLite its column."""
    refusal = error.orig
    name = getattr(refusal.__cause__, "constraint_name", None) if refusal else None
    return name == _ONE_HOLDS or str(refusal) == _ONE_HOLDS_IN_SQLITE


def _following(version: int, changes: Sequence[Change]) -> list[Change]:
    """The steps that are new after `version`."""
    news = [change for change in changes if change.state.version > version]
    for number, change in enumerate(news, start=version + 1):
        if change.state.version != number:
            raise StepMissing(
                f"{change.state.id} lacks step {number}: {change.state.version} cannot follow"
            )
    return news


def _are_written(session: Session, changes: Sequence[Change]) -> bool:
    """Whether these steps are in the history, done at whatever time."""
    if not changes:
        return True
    first, last = changes[0].state, changes[-1].state
    steps = {"this_id": first.id, "first": first.version, "last": last.version}
    written = [row._asdict() for row in session.execute(_WRITTEN, steps)]
    return written == [
        {column: step[column] for column in _TOLD} for step in map(history_columns, changes)
    ]


def standing(session: Session, payment_id: str, *, taken: bool = True) -> Recorded | None:
    """How the payment stands, with its last attempt; `None` if there is no such payment."""
    this = {"this_id": payment_id}
    payment = session.execute(_PAYMENT, this).one_or_none()
    if payment is None:
        return None
    attempt = session.execute(_LAST_ATTEMPT, this).one_or_none()
    state = payment_state(payment)
    parked = state.status is PaymentStatus.NEEDS_OPERATOR
    return Recorded(
        state=state,
        attempt=Attempt.model_validate(attempt._asdict()) if attempt is not None else None,
        taken=taken,
        evidence=session.execute(_EVIDENCE, this).scalar() if parked else None,
    )


def _opened(session: Session, changes: Sequence[Change]) -> bool:
    """Insert the payment, unless it is there or its order's place is taken."""
    state, terms = changes[-1].state, changes[0].refund_policy
    if terms is not None and state.refund_policy_id is not None:
        pin(session, state.refund_policy_id, terms, state.created_at)
    meet(session, state.customer_id, state.created_at)
    name_customer(session, state.customer_id, state.gateway_customer_id, None)
    opened = session.execute(_open(session), payment_columns(state))
    return opened.one_or_none() is not None


def _move(session: Session, state: PaymentState, before: Row[*tuple[Any, ...]]) -> None:
    if state.gateway_customer_id != before.gateway_customer_id:
        name_customer(
            session, state.customer_id, state.gateway_customer_id, before.gateway_customer_id
        )
    columns = payment_columns(state)
    told = {name: value for name, value in columns.items() if name not in _SET_ONCE}
    this = {"this_id": state.id, "this_version": before.version, "told_paid_at": state.paid_at}
    columns = told | this
    if session.execute(_MOVE, columns).one_or_none() is None:
        raise RuntimeError(f"{state.id} no longer stands at {before.version}")


def _tell(session: Session, changes: Sequence[Change], before: Before | None) -> None:
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
    past = [before, *(Before.of(change.state) for change in changes[:-1])]
    events = [event_columns(*told) for told in zip(changes, past, strict=True)]
    session.execute(insert(EVENTS), events)


HOLDER: Final = select(PAYMENTS.c.id).where(
    PAYMENTS.c.order_id == bindparam("this_order"), PAYMENTS.c.status.in_(sorted(HOLDS_ORDER))
)

_ONE_HOLDS: Final = "payments_one_holds_order"
_ONE_HOLDS_IN_SQLITE: Final = "UNIQUE constraint failed: payments.order_id"

# Held still until the transaction ends; readers of the row and its foreign keys do not wait.
_STANDING: Final = (
    select(
        PAYMENTS.c.version,
        PAYMENTS.c.status,
        PAYMENTS.c.amount_refunded,
        PAYMENTS.c.gateway_customer_id,
    )
    .where(PAYMENTS.c.id == bindparam("this_id"))
    .with_for_update(key_share=True)
)

# What tells one step from another of the same number: everything but the time.
_TOLD: Final = (
    "number",
    "status",
    "reason",
    "actor",
    "note",
    "request_key",
    "request_fingerprint",
)
_WRITTEN: Final = (
    select(*(STATUS_HISTORY.c[column] for column in _TOLD))
    .where(
        STATUS_HISTORY.c.payment_id == bindparam("this_id"),
        STATUS_HISTORY.c.number.between(bindparam("first"), bindparam("last")),
    )
    .order_by(STATUS_HISTORY.c.number)
)
_PAYMENT: Final = select(PAYMENTS).where(PAYMENTS.c.id == bindparam("this_id"))
_LAST_ATTEMPT: Final = (
    select(ATTEMPTS)
    .where(ATTEMPTS.c.payment_id == bindparam("this_id"))
    .order_by(ATTEMPTS.c.number.desc())
    .limit(1)
)

_EVIDENCE: Final = (
    select(STATUS_HISTORY.c.note)
    .where(
        STATUS_HISTORY.c.payment_id == bindparam("this_id"),
        STATUS_HISTORY.c.status == PaymentStatus.NEEDS_OPERATOR.value,
        STATUS_HISTORY.c.reason.not_in(sorted(ABOUT_REPAIRS)),
        STATUS_HISTORY.c.note.is_not(None),
    )
    .order_by(STATUS_HISTORY.c.number.desc())
    .limit(1)
)

# A run that an older release took part in does not know these: it must not unset them.
_SET_ONCE: Final = frozenset({"service_date", "refund_policy_id", "paid_at"})
_MOVE: Final = (
    update(PAYMENTS)
    .values(paid_at=func.coalesce(PAYMENTS.c.paid_at, bindparam("told_paid_at")))
    .where(PAYMENTS.c.id == bindparam("this_id"), PAYMENTS.c.version == bindparam("this_version"))
    .returning(PAYMENTS.c.version)
)


@on_both
def _open(insert_into: Inserting) -> Any:
    return insert_into(PAYMENTS).on_conflict_do_nothing().returning(PAYMENTS.c.id)


@on_both
def _try(insert_into: Inserting) -> Insert:
    """An attempt's beginning never changes, only what became of it."""
    attempt = insert_into(ATTEMPTS)
    ends = ("status", "decline_code", "charge_id", "card_fingerprint", "ended_at")
    return attempt.on_conflict_do_update(
        index_elements=["payment_id", "number"],
        set_={end: attempt.excluded[end] for end in ends},
    )
