"""What the API says of a payment. Nothing in here was not meant for the one who asks."""

from collections.abc import Sequence
from datetime import date
from typing import Final, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict

from paysaga.domain.declines import decline_for
from paysaga.domain.intent import CaptureMethod, MethodFacts
from paysaga.domain.payment import Attempt, AttemptStatus, Fulfillment, PaymentState, PaymentStatus
from paysaga.domain.reasons import UNREACHABLE, Reason

_MESSAGES: Final = {
    PaymentStatus.CREATED: "Your payment is being processed.",
    PaymentStatus.PROCESSING: "Your payment is being processed.",
    PaymentStatus.REQUIRES_ACTION: "Please confirm the payment with your bank.",
    PaymentStatus.AWAITING_RETRY: (
        "The payment could not be made. Please try again or use another payment method."
    ),
    PaymentStatus.AUTHORIZED: "Your payment is authorized.",
    PaymentStatus.NEEDS_OPERATOR: (
        "We are checking your payment and will let you know. Please do not pay again."
    ),
    PaymentStatus.SUCCEEDED: "Thank you. Your payment was successful.",
    PaymentStatus.FAILED: (
        "The payment could not be made, and there is no attempt left. You have not been charged."
    ),
    PaymentStatus.EXPIRED: "The time to pay is over. You have not been charged.",
    PaymentStatus.CANCELED: "The payment was canceled. You have not been charged.",
}
_AT_PAYPAL: Final = "Please approve the payment at PayPal."
_NO_ANSWER: Final = (
    "Your payment is taking longer than usual. It goes on by itself: please do not pay again."
)
_BY_REASON: Final = {
    (PaymentStatus.REQUIRES_ACTION, Reason.CHECKOUT_OPEN): (
        "Please pay on the secure payment page."
    ),
    (PaymentStatus.AWAITING_RETRY, Reason.CHECKOUT_EXPIRED): (
        "The payment page has expired. You have not been charged. Please try again."
    ),
    (PaymentStatus.CANCELED, Reason.ORDER_REFUSED): (
        "The shop could not take the order. The payment was canceled and you have not been charged."
    ),
}
_LAST_DECLINED: Final = "The payment could not be made, and there is no attempt left."
_NOT_TAKEN: Final = "The shop could not take the order."
_UNDONE: Final = "The payment was undone."
_GOES_BACK: Final = "Your money is on its way back to you."
_WENT_BACK: Final = "Your money has been paid back to you."


class View(BaseModel):
    """An answer's part. Its fields are always there; `null` means: does not apply."""

    model_config = ConfigDict(frozen=True)


class NextAction(View):
    """What the customer has to do: their browser goes to the URL."""

    type: Literal["redirect"] = "redirect"
    url: str


class Links(View):
    """Where to go on from here. `run` is for staff: the payment's page in the Temporal UI."""

    self: str
    history: str
    run: str | None


class MethodView(View):
    """The means of payment, as far as it may be shown.

    `kind` is the gateway's word (`card`, `paypal`, `sepa_debit`); `funding` is `credit`, `debit` or
    `prepaid`; `wallet` the one that a card was taken from (`apple_pay`, `google_pay`).
    """

    kind: str
    brand: str | None
    last4: str | None
    funding: str | None
    wallet: str | None
    exp_month: int | None
    exp_year: int | None

    @classmethod
    def of(cls, facts: MethodFacts | None) -> Self | None:
        """All facts but the card's fingerprint, by which one card could be followed."""
        return cls.model_validate(facts, from_attributes=True) if facts else None


class StatusView(View):
    """Where a payment stands: what a page that waits needs."""

    id: str
    order_id: str
    status: PaymentStatus
    reason: Reason
    message: str
    next_action: NextAction | None
    action_until: AwareDatetime | None
    decline_code: str | None
    attempts_left: int
    retry_until: AwareDatetime | None
    version: int
    updated_at: AwareDatetime

    @classmethod
    def of(cls, state: PaymentState) -> Self:
        """The payment as it stands."""
        return cls.model_validate(status_facts(state))


class PaymentView(StatusView):
    """A payment. Amounts are whole minor units of the currency.

    With `is_hosted` it is paid on the gateway's page: `checkout_url`, while one is open.
    """

    customer_id: str
    amount: int
    currency: str
    attempts_used: int
    is_hosted: bool
    checkout_url: str | None
    payment_method: MethodView | None
    fulfillment: Fulfillment | None
    capture_method: CaptureMethod
    amount_authorized: int
    capture_until: AwareDatetime | None
    renew_hold_until: AwareDatetime | None
    service_date: date | None
    paid_at: AwareDatetime | None
    amount_captured: int
    amount_refunded: int
    amount_refund_pending: int
    description: str | None
    metadata: dict[str, str]
    gateway_payment_intent_id: str | None
    links: Links
    created_at: AwareDatetime


class PaymentPage(View):
    """Some payments, newest first, and the cursor to go on with."""

    items: list[PaymentView]
    next_after: str | None


class HistoryEntry(View):
    """One change of a payment: when, by whom, and why. Notes are for the shop's eyes only."""

    number: int
    status: PaymentStatus
    reason: Reason
    actor: str
    at: AwareDatetime
    note: str | None


class RefundQuoteView(View):
    """What goes back if a refund is asked for now, and why. Amounts are whole minor units.

    The terms are those that the payment was made under: `policy` names them. At `until` they
    change. `amount_left` could go back at most, were there no terms.
    """

    payment_id: str
    amount: int
    currency: str
    percent: int
    why: str
    until: AwareDatetime | None
    amount_left: int
    policy: str
    at: AwareDatetime


class AttemptView(View):
    """One try to take the money."""

    number: int
    status: AttemptStatus
    decline_code: str | None
    started_at: AwareDatetime
    ended_at: AwareDatetime | None

    @classmethod
    def all_of(cls, attempts: Sequence[Attempt]) -> list[Self]:
        """In their order."""
        return [cls.model_validate(attempt, from_attributes=True) for attempt in attempts]


class HistoryView(View):
    """All that happened to a payment, oldest first."""

    payment_id: str
    entries: list[HistoryEntry]
    attempts: list[AttemptView]


def status_facts(state: PaymentState) -> dict[str, object]:
    """The fields of `StatusView`."""
    action = None
    if state.status is PaymentStatus.REQUIRES_ACTION and state.action_url:
        action = NextAction(url=state.action_url)
    return {
        "id": state.id,
        "order_id": state.order_id,
        "status": state.status,
        "reason": state.reason,
        "message": message_for(state),
        "next_action": action,
        "action_until": state.action_until if action else None,
        "decline_code": state.decline.code if state.decline else None,
        "attempts_left": state.attempts_left,
        "retry_until": state.retry_until if state.attempts_left else None,
        "version": state.version,
        "updated_at": state.updated_at,
    }


def message_for(state: PaymentState) -> str:
    """What the customer may be shown. A decline's advice is for those who may try again."""
    match state.status:
        case PaymentStatus.REQUIRES_ACTION if state.method and state.method.kind == "paypal":
            return _AT_PAYPAL
        case PaymentStatus.AWAITING_RETRY if not state.attempts_left:
            return _LAST_DECLINED
        case PaymentStatus.AWAITING_RETRY if state.decline:
            return state.decline.message
        case PaymentStatus.AWAITING_RETRY if state.reason is Reason.GATEWAY_REFUSED:
            return decline_for("payment_method_invalid").message
        case PaymentStatus.SUCCEEDED if state.amount_refund_pending or state.amount_refunded:
            why = _NOT_TAKEN if state.fulfillment is Fulfillment.REFUSED else _UNDONE
            return f"{why} {_GOES_BACK if state.amount_refund_pending else _WENT_BACK}"
        case PaymentStatus.PROCESSING if state.reason in UNREACHABLE:
            return _NO_ANSWER
    return _BY_REASON.get((state.status, state.reason), _MESSAGES[state.status])
