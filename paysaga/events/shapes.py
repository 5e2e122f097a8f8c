"""The public form of events. A field may be added to a version; none goes, and none changes."""

from datetime import date
from enum import StrEnum
from typing import Final, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from paysaga.domain.intent import CaptureMethod, MethodFacts
from paysaga.domain.outbox import OutboxEvent
from paysaga.domain.payment import Fulfillment, PaymentState, PaymentStatus
from paysaga.domain.reasons import Reason

API_VERSION: Final = "1"


class EventType(StrEnum):
    """What has happened. `payment.updated` is everything that changes no status: see `reason`."""

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


class Shape(BaseModel):
    """A part of an event. Its fields are always there; `null` means: does not apply."""

    model_config = ConfigDict(frozen=True)


class Method(Shape):
    """The means of payment, as far as it may be shown. `kind` is the gateway's word."""

    kind: str = Field(examples=["card"])
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


class DeclineTold(Shape):
    """Why the last attempt came to nothing; `message` may be shown to the customer."""

    code: str = Field(examples=["insufficient_funds"])
    message: str


class PaymentData(Shape):
    """The whole payment as it stood after this change. Amounts are whole minor units."""

    id: str = Field(examples=["pay_aaaaaaaaaaaaaaaaaaaaaaaaaa"])
    order_id: str = Field(examples=["order-17"])
    customer_id: str = Field(examples=["cst_1042"])
    status: PaymentStatus
    reason: Reason
    amount: int = Field(examples=[6450])
    currency: str = Field(examples=["EUR"])
    amount_authorized: int
    amount_captured: int
    amount_refunded: int
    amount_refund_pending: int
    capture_method: CaptureMethod
    capture_until: AwareDatetime | None
    renew_hold_until: AwareDatetime | None
    service_date: date | None
    paid_at: AwareDatetime | None
    is_hosted: bool
    fulfillment: Fulfillment | None
    attempts_used: int
    attempts_left: int
    retry_until: AwareDatetime | None
    action_url: str | None
    action_until: AwareDatetime | None
    decline: DeclineTold | None
    payment_method: Method | None
    description: str | None
    metadata: dict[str, str]
    gateway_payment_intent_id: str | None
    created_at: AwareDatetime
    updated_at: AwareDatetime

    @classmethod
    def of(cls, state: PaymentState) -> Self:
        """What the shop may know of it: neither our own marks nor the gateway's customer."""
        money, decline = state.money, state.decline
        told = {name: value for name, value in state if name in cls.model_fields}
        return cls.model_validate(
            told
            | {
                "amount": money.minor,
                "currency": money.currency,
                "attempts_left": state.attempts_left,
                "retry_until": state.retry_until if state.attempts_left else None,
                "decline": decline and DeclineTold.model_validate(decline, from_attributes=True),
                "payment_method": Method.of(state.method),
                "gateway_payment_intent_id": state.intent_id,
            }
        )


class Event(Shape):
    """One change of one object.

    `sequence` counts an object's events from 1 without a gap: whoever has seen 3 and sees 5 lacks
    4. The same event always has the same `id`, however often it comes.
    """

    id: str = Field(examples=["evn_aaaaaaaaaaaaaaaaaaaaaaaaaa"])
    type: EventType
    api_version: Literal["1"]
    created_at: AwareDatetime
    object_type: Literal["payment"]
    object_id: str
    sequence: int = Field(ge=1)
    data: PaymentData


def published(event: OutboxEvent) -> Event:
    """What the world is told of a change. Of the same change it is always the same."""
    return Event.model_validate(
        {
            "id": event.id,
            "type": event.type,
            "api_version": API_VERSION,
            "created_at": event.created_at,
            "object_type": event.object_type,
            "object_id": event.object_id,
            "sequence": event.sequence,
            "data": PaymentData.of(PaymentState.model_validate(event.data)),
        }
    )
