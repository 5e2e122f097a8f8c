"""Events about one payment, as the outbox would tell them."""

from datetime import timedelta
from typing import Any

from paysaga.domain.declines import decline_for
from paysaga.domain.intent import MethodFacts
from paysaga.domain.outbox import Before, event_type
from paysaga.domain.payment import PaymentState, PaymentStatus
from paysaga.domain.reasons import Reason
from paysaga.domain.transitions import opened
from paysaga.events.shapes import API_VERSION, Event, PaymentData
from tests.fakes import NOON, a_payment

S = PaymentStatus
CARD = MethodFacts(kind="card", brand="visa", last4="4242", funding="credit")
# A payment at each place where somebody is written to.
SCENES: dict[str, tuple[PaymentState, PaymentState]] = {}


def a_state(status: PaymentStatus = S.CREATED, **changes: Any) -> PaymentState:
    """The payment with this status, and with what else is told of it."""
    state = opened(a_payment(), NOON).state
    return state.model_copy(update={"status": status, "method": CARD, "version": 3, **changes})


def an_event(state: PaymentState, before: PaymentState | None = None, **told: Any) -> Event:
    """What is told of the payment when it has come to this state."""
    earlier = Before.of(before) if before else None
    return Event.model_validate(
        {
            "id": "evn_1",
            "type": event_type(state, earlier),
            "api_version": API_VERSION,
            "created_at": NOON,
            "object_type": "payment",
            "object_id": state.id,
            "sequence": state.version,
            "data": PaymentData.of(state),
            **told,
        }
    )


PROCESSING = a_state(S.PROCESSING, reason=Reason.STARTED, version=2, attempts_used=1)
WAITING = a_state(
    S.REQUIRES_ACTION,
    reason=Reason.AUTHENTICATION_REQUIRED,
    attempts_used=1,
    action_url="https://hooks.stripe.com/3ds",
    action_until=NOON + timedelta(minutes=15),
)
DECLINED = a_state(
    S.AWAITING_RETRY,
    reason=Reason.DECLINED,
    attempts_used=1,
    decline=decline_for("insufficient_funds"),
)
PAID = a_state(S.SUCCEEDED, reason=Reason.PAID, attempts_used=1, amount_captured=1250)
HELD = a_state(S.AUTHORIZED, reason=Reason.AUTHORIZED, attempts_used=1, amount_authorized=1250)
SCENES |= {
    "receipt": (PROCESSING, PAID),
    "refund": (PAID, a_state(S.SUCCEEDED, amount_captured=1250, amount_refunded=500)),
    "authentication": (PROCESSING, WAITING),
    "retry": (PROCESSING, DECLINED),
    "failed": (DECLINED, a_state(S.FAILED, attempts_used=3, decline=DECLINED.decline)),
    "expired": (HELD, a_state(S.EXPIRED, reason=Reason.AUTHORIZATION_OVER)),
    "canceled": (HELD, a_state(S.CANCELED, reason=Reason.CANCEL_REQUESTED)),
    "refund_failed": (
        a_state(S.SUCCEEDED, amount_captured=1250, amount_refunded=1250),
        a_state(
            S.NEEDS_OPERATOR,
            reason=Reason.REFUND_FAILED,
            amount_captured=1250,
            amount_refund_pending=1250,
        ),
    ),
    "needs_operator": (PROCESSING, a_state(S.NEEDS_OPERATOR, reason=Reason.GATEWAY_MISMATCH)),
}
