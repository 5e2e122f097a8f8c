"""How a payment is told: to whom what, and with which status code."""

from datetime import datetime
from http import HTTPStatus
from typing import Final

from fastapi import Response

from api.identity import Caller
from api.refusals import (
    Declined,
    GatewayRefused,
    OrderRefused,
    PaymentCanceled,
    PaymentExpired,
    Refusal,
)
from api.views import Links, MethodView, PaymentView, RefundQuoteView, status_facts
from paysaga.domain.payment import PaymentState, PaymentStatus
from paysaga.domain.reasons import Reason
from paysaga.domain.refund_quote import RefundQuote
from paysaga.settings import Settings
from paysaga.starting.payments import payment_address
from paysaga.tokens import Role

REPLAYED: Final = "Idempotent-Replayed"

_CANCELED: Final[dict[Reason, type[Refusal]]] = {
    Reason.ORDER_REFUSED: OrderRefused,
    Reason.GATEWAY_REFUSED: GatewayRefused,
}


def run_address(settings: Settings, run_id: str) -> str:
    """Where the run is found in the Temporal UI."""
    ui = str(settings.temporal_ui_url).rstrip("/")
    return f"{ui}/namespaces/{settings.temporal_namespace}/workflows/{run_id}"


def payment_view(settings: Settings, caller: Caller, state: PaymentState) -> PaymentView:
    """The payment as this caller may see it."""
    here = payment_address(settings, state.id)
    inside = caller.is_staff or caller.role is Role.SERVICE
    run = run_address(settings, state.id)
    return PaymentView.model_validate(
        status_facts(state)
        | {
            "customer_id": state.customer_id,
            "amount": state.money.minor,
            "currency": state.money.currency,
            "attempts_used": state.attempts_used,
            "is_hosted": state.is_hosted,
            "checkout_url": state.action_url if state.is_hosted else None,
            "payment_method": MethodView.of(state.method),
            "fulfillment": state.fulfillment,
            "capture_method": state.capture_method,
            "amount_authorized": state.amount_authorized,
            "capture_until": state.capture_until,
            "renew_hold_until": state.renew_hold_until,
            "service_date": state.service_date,
            "paid_at": state.paid_at,
            "amount_captured": state.amount_captured,
            "amount_refunded": state.amount_refunded,
            "amount_refund_pending": state.amount_refund_pending,
            "description": state.description,
            "metadata": state.metadata,
            "gateway_payment_intent_id": state.intent_id if inside else None,
            "links": Links(
                self=here, history=f"{here}/history", run=run if caller.is_staff else None
            ),
            "created_at": state.created_at,
        }
    )


def quote_view(payment_id: str, quote: RefundQuote, policy: str, at: datetime) -> RefundQuoteView:
    """What goes back, as it is told."""
    return RefundQuoteView(
        payment_id=payment_id,
        amount=quote.money.minor,
        currency=quote.money.currency,
        percent=quote.percent,
        why=quote.why,
        until=quote.until,
        amount_left=quote.left.minor,
        policy=policy,
        at=at,
    )


def replayed(view: PaymentView, response: Response) -> PaymentView:
    """The answer to a repeated request: the payment as it stands now."""
    response.status_code = HTTPStatus.OK
    response.headers[REPLAYED] = "true"
    return view


def is_declined(state: PaymentState) -> bool:
    """Whether an attempt came to nothing: the answer is 402."""
    return state.status in {PaymentStatus.AWAITING_RETRY, PaymentStatus.FAILED}


def is_refused_by_a_bank(state: PaymentState) -> bool:
    """Whether it was the means of payment that came to nothing, and not our own request."""
    return is_declined(state) and state.decline is not None


def outcome(
    view: PaymentView, state: PaymentState, response: Response, done: HTTPStatus
) -> PaymentView:
    """The answer to an attempt: `done` when its outcome is known, 202 while it is not.

    Raises:
        Refusal: The attempt came to nothing; the answer holds the payment.
    """
    if is_declined(state):
        raise Declined(view.message, payment=view)
    match state.status:
        case PaymentStatus.CANCELED:
            raise _CANCELED.get(state.reason, PaymentCanceled)(view.message, payment=view)
        case PaymentStatus.EXPIRED:
            raise PaymentExpired(view.message, payment=view)
    known = state.is_settled and state.status is not PaymentStatus.NEEDS_OPERATOR
    response.status_code = done if known else HTTPStatus.ACCEPTED
    response.headers["Location"] = view.links.self
    return view
