"""What a person may do with a parked payment, and what becomes of it then."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from paysaga.domain.intent import Intent
from paysaga.domain.ledger import captured, refund_returned, refunded
from paysaga.domain.message import Message
from paysaga.domain.money import Money
from paysaga.domain.payment import (
    Attempt,
    AttemptStatus,
    Change,
    PaymentState,
    PaymentStatus,
    RequestMark,
)
from paysaga.domain.reasons import Reason
from paysaga.domain.steps import WORKFLOW, attempt_ended, known_by, moved


class RepairKind(StrEnum):
    """A way out of `needs_operator`. None of them believes what the gateway contradicts."""

    LOOK_AGAIN = "look_again"
    ATTACH_INTENT = "attach_intent"
    MARK_SUCCEEDED = "mark_succeeded"
    MARK_FAILED = "mark_failed"
    REFUND = "refund"
    ABANDON = "abandon"


# These decide about money; looking does not.
DECIDING: Final = frozenset(
    {
        RepairKind.ATTACH_INTENT,
        RepairKind.MARK_SUCCEEDED,
        RepairKind.MARK_FAILED,
        RepairKind.REFUND,
        RepairKind.ABANDON,
    }
)
# What the gateway does not show must be shown by other means.
WITH_EVIDENCE: Final = frozenset({RepairKind.MARK_SUCCEEDED, RepairKind.MARK_FAILED})


def allowed_repairs(state: PaymentState) -> tuple[RepairKind, ...]:
    """What makes sense for the payment as it stands; nothing unless it is parked."""
    if state.status is not PaymentStatus.NEEDS_OPERATOR:
        return ()
    if state.amount_refund_pending:
        return RepairKind.LOOK_AGAIN, RepairKind.REFUND, RepairKind.ABANDON
    if state.amount_captured:
        return RepairKind.LOOK_AGAIN, RepairKind.MARK_SUCCEEDED, RepairKind.REFUND
    return tuple(RepairKind)


def needs_approval(kind: RepairKind, state: PaymentState, limit: Decimal) -> bool:
    """Whether a second person must agree: it decides about more than `limit`, in major units.

    What the gateway holds beside our books may be any sum: giving that back always needs two.
    """
    is_unbooked = kind is RepairKind.REFUND and not state.amount_captured
    return is_unbooked or (kind in DECIDING and state.money.major > limit)


# Steps that tell of a repair, not of what was found.
ABOUT_REPAIRS: Final = frozenset(
    {
        Reason.REPAIR_REQUESTED,
        Reason.REPAIR_PROPOSED,
        Reason.REPAIR_REFUSED,
        Reason.NOTHING_NEW,
        Reason.INTENT_ATTACHED,
    }
)


class Said(Message):
    """Who has decided, and why: both stand in the history."""

    actor: str
    note: str


def asked(
    state: PaymentState, reason: Reason, at: datetime, by: Said, request: RequestMark
) -> tuple[Change, ...]:
    """Somebody asks for a repair, or proposes one: the payment stays where it stands."""
    after = moved(state, state.status, state.reason, at)
    return (Change(state=after, actor=by.actor, reason=reason, note=by.note, request=request),)


def told(
    state: PaymentState, reason: Reason, at: datetime, why: str | None = None
) -> tuple[Change, ...]:
    """The payment stays where it stands, for its reason of before: only the history tells."""
    after = moved(state, state.status, state.reason, at)
    return (Change(state=after, actor=WORKFLOW, reason=reason, note=why),)


def attached(state: PaymentState, intent: Intent, at: datetime, by: Said) -> tuple[Change, ...]:
    """The intent that belongs to the payment was found."""
    if state.intent_id == intent.id:
        return ()
    known = known_by(state, intent)
    after = moved(known, state.status, state.reason, at)
    return (Change(state=after, actor=by.actor, reason=Reason.INTENT_ATTACHED, note=by.note),)


def marked_succeeded(
    state: PaymentState, attempt: Attempt, at: datetime, by: Said
) -> tuple[Change, ...]:
    """The money is there, as somebody has shown by other means than the gateway's answer."""
    if state.status is not PaymentStatus.NEEDS_OPERATOR:
        return ()
    booked = state.amount_captured > 0
    taken = state.amount_captured or state.amount_to_capture or state.money.minor
    after = moved(
        state,
        PaymentStatus.SUCCEEDED,
        Reason.MARKED_SUCCEEDED,
        at,
        amount_captured=taken,
        paid_at=state.paid_at if booked else at,
        decline=None,
    )
    won = attempt_ended(attempt, AttemptStatus.SUCCEEDED, at)
    return (
        Change(
            state=after,
            actor=by.actor,
            note=by.note,
            attempt=None if booked else won,
            transfers=()
            if booked
            else captured(state.id, Money(minor=taken, currency=state.money.currency)),
        ),
    )


def over_without_money(
    state: PaymentState,
    attempt: Attempt,
    status: PaymentStatus,
    reason: Reason,
    at: datetime,
    by: Said,
) -> tuple[Change, ...]:
    """A person ends the payment: no money of it is with us (any more)."""
    if state.status is not PaymentStatus.NEEDS_OPERATOR:
        return ()
    after = moved(state, status, reason, at)
    lost = None if attempt.ended_at else attempt_ended(attempt, AttemptStatus.ABANDONED, at)
    return (Change(state=after, actor=by.actor, note=by.note, attempt=lost),)


def refund_decided(state: PaymentState, at: datetime, by: Said) -> tuple[Change, ...]:
    """What is owed is to go back (again); if nothing is owed, all that was taken and is there."""
    if state.status is not PaymentStatus.NEEDS_OPERATOR:
        return ()
    after = moved(
        state,
        PaymentStatus.SUCCEEDED,
        Reason.REFUND_PENDING,
        at,
        amount_refund_pending=state.amount_refund_pending
        or state.amount_captured - state.amount_refunded,
    )
    return (Change(state=after, actor=by.actor, note=by.note),)


def refund_abandoned(state: PaymentState, at: datetime, by: Said) -> tuple[Change, ...]:
    """What was owed was settled by other means: the gateway keeps the money for us."""
    if state.status is not PaymentStatus.NEEDS_OPERATOR:
        return ()
    after = moved(
        state, PaymentStatus.SUCCEEDED, Reason.REFUND_ABANDONED, at, amount_refund_pending=0
    )
    return (Change(state=after, actor=by.actor, note=by.note),)


def refunded_by_others(
    state: PaymentState, given_back: int, at: datetime, evidence: str
) -> tuple[Change, ...]:
    """Money was given back in the gateway's dashboard: the books follow.

    `given_back` is all that the gateway shows as given back, in minor units.
    """
    more = given_back - state.amount_refunded
    if more <= 0 or state.status is not PaymentStatus.SUCCEEDED or state.amount_refund_pending:
        return ()
    after = moved(state, state.status, Reason.REFUNDED, at, amount_refunded=given_back)
    back = refunded(state.id, Money(minor=more, currency=state.money.currency))
    return (Change(state=after, actor=WORKFLOW, note=evidence, transfers=back),)


def refund_lost(
    state: PaymentState, given_back: int, at: datetime, evidence: str
) -> tuple[Change, ...]:
    """Money that had gone back has come back to us: a person must look.

    `given_back` is what the gateway still shows as given back, in minor units.
    """
    lost = state.amount_refunded - given_back
    if lost <= 0:
        return ()
    after = moved(
        state,
        PaymentStatus.NEEDS_OPERATOR,
        Reason.REFUND_FAILED,
        at,
        amount_refunded=given_back,
        amount_refund_pending=state.amount_refund_pending + lost,
    )
    returned = refund_returned(state.id, Money(minor=lost, currency=state.money.currency))
    return (Change(state=after, actor=WORKFLOW, note=evidence, transfers=returned),)
