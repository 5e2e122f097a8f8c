"""A PaymentIntent in our words: what the gateway shows of the money and of the means of payment."""

from enum import StrEnum

from pydantic import AwareDatetime

from paysaga.domain.declines import Decline
from paysaga.domain.message import Message
from paysaga.domain.money import Money


class CaptureMethod(StrEnum):
    """When the money that is taken is ours: at once, or once we ask for what is held."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


class IntentStatus(StrEnum):
    """Stripe's own words for a PaymentIntent (its API reference, `status`)."""

    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_CONFIRMATION = "requires_confirmation"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    REQUIRES_CAPTURE = "requires_capture"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


class MethodFacts(Message):
    """What is known of the means of payment. All but the fingerprint may be shown.

    `fingerprint` is the same for the same card, whoever shows it and however often it was entered
    (Stripe's API reference, `card.fingerprint`). `wallet` is the one that a card was taken from.
    """

    kind: str
    brand: str | None = None
    last4: str | None = None
    funding: str | None = None
    wallet: str | None = None
    exp_month: int | None = None
    exp_year: int | None = None
    fingerprint: str | None = None


class Intent(Message):
    """What the gateway says of our PaymentIntent: amounts already in our units.

    `capturable` is held for us until `capture_before`, if the gateway says until when. The charge
    was made at `charged_at`: a hold counts from there, however late we learn of it.
    """

    id: str
    status: IntentStatus
    money: Money
    received: int = 0
    capturable: int = 0
    capture_before: AwareDatetime | None = None
    customer_id: str | None = None
    charge_id: str | None = None
    charged_at: AwareDatetime | None = None
    action_url: str | None = None
    decline: Decline | None = None
    method: MethodFacts | None = None
    payment_id: str | None = None  # as its metadata has it
