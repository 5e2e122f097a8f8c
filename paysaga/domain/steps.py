"""What every step of a payment is made of: the one way in which its status moves."""

from datetime import datetime
from typing import Final

from paysaga.domain.intent import CaptureMethod, Intent
from paysaga.domain.ledger import Transfer
from paysaga.domain.payment import (
    MOVES,
    Attempt,
    AttemptStatus,
    Change,
    PaymentState,
    PaymentStatus,
)
from paysaga.domain.reasons import Reason

WORKFLOW: Final = "workflow"


class IllegalMove(ValueError):
    """A bug: the state machine has no such step."""


def moved(
    state: PaymentState, status: PaymentStatus, reason: Reason, at: datetime, **changes: object
) -> PaymentState:
    """The payment after its next step.

    Raises:
        IllegalMove: No way leads from its status to this one.
    """
    if status is not state.status and status not in MOVES[state.status]:
        raise IllegalMove(f"{state.id} cannot go from {state.status} to {status}")
    return state.model_copy(
        update={
            **changes,
            "status": status,
            "reason": reason,
            "version": state.version + 1,
            "updated_at": at,
        }
    )


def changed(
    state: PaymentState, attempt: Attempt | None = None, transfers: tuple[Transfer, ...] = ()
) -> Change:
    """A step that nobody asked for: it follows from what is known."""
    return Change(state=state, actor=WORKFLOW, attempt=attempt, transfers=transfers)


def attempt_ended(
    attempt: Attempt, status: AttemptStatus, at: datetime, **facts: object
) -> Attempt:
    """The attempt as it came to its end."""
    return attempt.model_copy(update={"status": status, "ended_at": at, **facts})


def shown_by(intent: Intent) -> dict[str, str | None]:
    """What the gateway shows of an attempt that has ended: its charge, and which card it was."""
    method = intent.method
    is_card = method is not None and method.kind == "card"
    return {
        "charge_id": intent.charge_id,
        "card_fingerprint": method.fingerprint if method and is_card else None,
    }


def known_by(state: PaymentState, intent: Intent) -> PaymentState:
    """The gateway's names for the payment and what belongs to it.

    What is known of the intent beside the one that counts is not the payment's.
    """
    if intent.id == state.other_intent_id:
        return state
    return state.model_copy(
        update={
            "intent_id": intent.id,
            "gateway_customer_id": intent.customer_id or state.gateway_customer_id,
            "charge_id": intent.charge_id or state.charge_id,
            "method": intent.method or state.method,
        }
    )


def when_paid(state: PaymentState, intent: Intent, at: datetime) -> datetime:
    """When the customer paid. Of what was held, only that it was taken by now is known."""
    if state.capture_method is CaptureMethod.MANUAL or intent.charged_at is None:
        return at
    # The gateway's clock is its own, and has whole seconds.
    return min(max(intent.charged_at, state.created_at), at)


def through_processing(
    state: PaymentState, at: datetime
) -> tuple[tuple[Change, ...], PaymentState]:
    """From `requires_action` and from a parked payment every way leads through `processing`."""
    if state.status not in {PaymentStatus.REQUIRES_ACTION, PaymentStatus.NEEDS_OPERATOR}:
        return (), state
    after = moved(
        state,
        PaymentStatus.PROCESSING,
        Reason.ACTION_ENDED,
        at,
        action_url=None,
        action_until=None,
    )
    return (changed(after),), after
