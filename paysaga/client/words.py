"""The words of the API that a shop decides by. One that is not here stays the string that it is."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field


class PaymentStatus(StrEnum):
    """Where a payment stands."""

    CREATED = "created"
    PROCESSING = "processing"
    REQUIRES_ACTION = "requires_action"
    AWAITING_RETRY = "awaiting_retry"
    AUTHORIZED = "authorized"
    NEEDS_OPERATOR = "needs_operator"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELED = "canceled"


class AttemptStatus(StrEnum):
    """How one attempt to take the money stands."""

    STARTED = "started"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    TIMED_OUT = "timed_out"
    ABANDONED = "abandoned"


class Asker(StrEnum):
    """Who asks for a refund: the customer, or the shop for them."""

    CUSTOMER = "customer"
    SHOP = "shop"


class Fulfillment(StrEnum):
    """What the order service has said of the paid order."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    REFUSED = "refused"


class CaptureMethod(StrEnum):
    """Whether the money is taken at once, or held until it is asked for."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


class SavedMethodStatus(StrEnum):
    """Where a saved payment method stands. Only an active one can be paid with."""

    PROCESSING = "processing"
    REQUIRES_ACTION = "requires_action"
    ACTIVE = "active"
    FAILED = "failed"
    REMOVED = "removed"


class EventType(StrEnum):
    """What has happened. `payment.updated` is everything that changes no status."""

    PAYMENT_CREATED = "payment.created"
    PAYMENT_PROCESSING = "payment.processing"
    PAYMENT_REQUIRES_ACTION = "payment.requires_action"
    PAYMENT_AWAITING_RETRY = "payment.awaiting_retry"
    PAYMENT_AUTHORIZED = "payment.authorized"
    PAYMENT_SUCCEEDED = "payment.succeeded"
    PAYMENT_FAILED = "payment.failed"
    PAYMENT_EXPIRED = "payment.expired"
    PAYMENT_CANCELED = "payment.canceled"
    PAYMENT_NEEDS_OPERATOR = "payment.needs_operator"
    PAYMENT_REFUNDED = "payment.refunded"
    PAYMENT_UPDATED = "payment.updated"


# A known word is a member, so that `is` works; a newer API's word is told as it came.
_OPEN = Field(union_mode="left_to_right")
AnyPaymentStatus = Annotated[PaymentStatus | str, _OPEN]
AnyAttemptStatus = Annotated[AttemptStatus | str, _OPEN]
AnyFulfillment = Annotated[Fulfillment | str, _OPEN]
AnyCaptureMethod = Annotated[CaptureMethod | str, _OPEN]
AnySavedMethodStatus = Annotated[SavedMethodStatus | str, _OPEN]
AnyEventType = Annotated[EventType | str, _OPEN]
