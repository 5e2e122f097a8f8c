"""Paysaga's events as your services get them, from the list or by webhook, and their order."""

from datetime import date
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, ValidationInfo, field_validator

from paysaga.client.answers import MethodDetails, Told
from paysaga.client.words import AnyCaptureMethod, AnyEventType, AnyFulfillment, AnyPaymentStatus


class Decline(Told):
    """Why the last attempt came to nothing; `message` may be shown to the customer."""

    code: str
    message: str


class PaymentData(Told):
    """The whole payment as it stood after a change. Amounts are whole minor units."""

    id: str
    order_id: str
    customer_id: str
    status: AnyPaymentStatus
    reason: str
    amount: int
    currency: str
    amount_authorized: int
    amount_captured: int
    amount_refunded: int
    amount_refund_pending: int
    capture_method: AnyCaptureMethod
    capture_until: AwareDatetime | None
    renew_hold_until: AwareDatetime | None
    service_date: date | None = None
    paid_at: AwareDatetime | None = None
    is_hosted: bool
    fulfillment: AnyFulfillment | None
    attempts_used: int
    attempts_left: int
    retry_until: AwareDatetime | None
    action_url: str | None
    action_until: AwareDatetime | None
    decline: Decline | None
    payment_method: MethodDetails | None
    description: str | None
    metadata: dict[str, str]
    gateway_payment_intent_id: str | None
    created_at: AwareDatetime
    updated_at: AwareDatetime


class Event(Told):
    """One change of one object. The same event always has the same `id`, however often it comes.

    `data` of an object that this client does not know is the plain JSON.
    """

    id: str
    type: AnyEventType
    api_version: str
    created_at: AwareDatetime
    object_type: str
    object_id: str
    sequence: int
    data: PaymentData | dict[str, Any]

    @property
    def payment(self) -> PaymentData | None:
        """The payment, if the event is about one."""
        return self.data if isinstance(self.data, PaymentData) else None

    @field_validator("data", mode="before")
    @classmethod
    def _of_its_kind(cls, data: object, info: ValidationInfo) -> object:
        if info.data.get("object_type") == "payment":
            return PaymentData.model_validate(data)
        return data


class EventPage(Told):
    """Some events, the first first, and the cursor to go on with, also from the last page."""

    items: tuple[Event, ...]
    next_after: str | None
    has_more: bool


class Turn(StrEnum):
    """Where an event stands after those of its object that were handled before."""

    NEXT = "next"  # handle it
    SEEN = "seen"  # it was handled: it has come again
    EARLY = "early"  # at least one before it is missing


def turn_of(event: Event, last_sequence: int) -> Turn:
    """Whether it is this event's turn.

    Args:
        event: What has come.
        last_sequence: The `sequence` of the last event of this object that was handled, 0 if none
            was. Keep it where handling is written down, in the same transaction.
    """
    if event.sequence <= last_sequence:
        return Turn.SEEN
    return Turn.NEXT if event.sequence == last_sequence + 1 else Turn.EARLY
