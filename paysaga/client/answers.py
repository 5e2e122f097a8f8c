"""What the API answers. Fields and words that this client does not know are no error."""

from datetime import date
from typing import Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from paysaga.client.words import (
    AnyAttemptStatus,
    AnyCaptureMethod,
    AnyFulfillment,
    AnyPaymentStatus,
    AnySavedMethodStatus,
    PaymentStatus,
)

_UNSETTLED: Final = frozenset(
    {PaymentStatus.CREATED, PaymentStatus.PROCESSING, PaymentStatus.NEEDS_OPERATOR}
)
_FINAL: Final = frozenset(
    {
        PaymentStatus.SUCCEEDED,
        PaymentStatus.FAILED,
        PaymentStatus.EXPIRED,
        PaymentStatus.CANCELED,
    }
)


class Told(BaseModel):
    """A part of an answer: frozen; fields of a newer API are dropped, errors repeat no value."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class NextAction(Told):
    """What the customer has to do: with `redirect` their browser goes to the URL."""

    type: str
    url: str


class Links(Told):
    """Where the payment is found; `run`, for staff, is its page in the Temporal UI."""

    self: str
    history: str
    run: str | None


class MethodLinks(Told):
    """Where the saved payment method is found."""

    self: str
    run: str | None


class MethodDetails(Told):
    """The means of payment, as far as it may be shown. `kind` is the gateway's word."""

    kind: str
    brand: str | None
    last4: str | None
    funding: str | None
    wallet: str | None
    exp_month: int | None
    exp_year: int | None


class PaymentStanding(Told):
    """Where a payment stands: what a page that waits needs.

    `message` may be shown to the customer, `version` counts the payment's changes.
    """

    id: str
    order_id: str
    status: AnyPaymentStatus
    reason: str
    message: str
    next_action: NextAction | None
    action_until: AwareDatetime | None
    decline_code: str | None
    attempts_left: int
    retry_until: AwareDatetime | None
    version: int
    updated_at: AwareDatetime

    @property
    def is_settled(self) -> bool:
        """Whether there is something to tell the customer: an outcome, a next step, a next try.

        As long as there is not, ask `get_payment_status` with `wait_seconds`. A word that this
        client does not know is none of these.
        """
        return self.status in set(PaymentStatus) - _UNSETTLED

    @property
    def is_final(self) -> bool:
        """Whether the payment's story is over, but for a refund."""
        return self.status in _FINAL


class Payment(PaymentStanding):
    """A payment. Amounts are whole minor units of the currency.

    `is_pending` is this client's own word: the request was taken, and what comes of it is not known
    yet (202).
    """

    customer_id: str
    amount: int
    currency: str
    attempts_used: int
    is_hosted: bool
    checkout_url: str | None
    payment_method: MethodDetails | None
    fulfillment: AnyFulfillment | None
    capture_method: AnyCaptureMethod
    amount_authorized: int
    capture_until: AwareDatetime | None
    renew_hold_until: AwareDatetime | None
    service_date: date | None = None
    paid_at: AwareDatetime | None = None
    amount_captured: int
    amount_refunded: int
    amount_refund_pending: int
    description: str | None
    metadata: dict[str, str]
    gateway_payment_intent_id: str | None
    links: Links
    created_at: AwareDatetime
    is_pending: bool = False


class RefundQuote(Told):
    """What goes back if a refund is asked for now, and why. Amounts are whole minor units.

    `until` (not at) that moment it is so. `amount_left` could go back at most, were there no terms.
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


class PaymentPage(Told):
    """Some payments, newest first, and the cursor to go on with."""

    items: tuple[Payment, ...]
    next_after: str | None


class HistoryEntry(Told):
    """One change of a payment: when, by whom, and why."""

    number: int
    status: AnyPaymentStatus
    reason: str
    actor: str
    at: AwareDatetime
    note: str | None


class Attempt(Told):
    """One try to take the money."""

    number: int
    status: AnyAttemptStatus
    decline_code: str | None
    started_at: AwareDatetime
    ended_at: AwareDatetime | None


class History(Told):
    """All that happened to a payment, oldest first."""

    payment_id: str
    entries: tuple[HistoryEntry, ...]
    attempts: tuple[Attempt, ...]


class SavedMethod(Told):
    """A customer's payment method. Only an active one can be paid with.

    `is_pending` is this client's own word: the request was taken, and what comes of it is not known
    yet (202).
    """

    id: str
    customer_id: str
    status: AnySavedMethodStatus
    reason: str
    message: str
    payment_method: MethodDetails | None
    is_default: bool
    next_action: NextAction | None
    action_until: AwareDatetime | None
    decline_code: str | None
    gateway_payment_method_id: str | None
    version: int
    links: MethodLinks
    created_at: AwareDatetime
    updated_at: AwareDatetime
    removed_at: AwareDatetime | None
    is_pending: bool = False


class SavedMethodPage(Told):
    """Some payment methods, newest first, and the cursor to go on with."""

    items: tuple[SavedMethod, ...]
    next_after: str | None


class Customer(Told):
    """How a customer is written to: where, in what language, and which kinds of mail."""

    customer_id: str
    email: str | None = Field(repr=False)
    language: str | None
    mails: dict[str, bool]


class FieldError(Told):
    """What is wrong with one field of a request."""

    field: str
    message: str


class Problem(Told):
    """Why a request was not carried out (RFC 9457). `detail` may be shown to the customer."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: tuple[FieldError, ...] = ()
    instance: str | None = None
    payment: Payment | None = None
    payment_id: str | None = None
    payment_method: SavedMethod | None = None
    payment_method_id: str | None = None
    decline_code: str | None = None
    attempts_left: int | None = None
    retry_until: AwareDatetime | None = None
    correlation_id: str | None = None
