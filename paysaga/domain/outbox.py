"""What the world is told of a change, before it has a public form."""

from typing import Any, NamedTuple, Self

from pydantic import AwareDatetime

from paysaga.domain.message import Message
from paysaga.domain.payment import PaymentState, PaymentStatus


class OutboxEvent(Message):
    """One change as the transaction that made it wrote it down; `data` is the state after it.

    `place` is where readers go on from. Each object counts its own events from 1, without gaps.
    """

    place: str
    id: str
    type: str
    object_id: str
    object_type: str
    sequence: int
    created_at: AwareDatetime
    data: dict[str, Any]


class Before(NamedTuple):
    """Where a payment stood, as far as a change is named after it."""

    status: PaymentStatus
    amount_refunded: int

    @classmethod
    def of(cls, state: PaymentState) -> Self:
        """This payment, before its next change."""
        return cls(state.status, state.amount_refunded)


def event_type(state: PaymentState, before: Before | None) -> str:
    """The word for a change: the status if that is new, else that money went back, or `updated`."""
    if before is None or state.status is not before.status:
        return f"payment.{state.status}"
    if state.amount_refunded > before.amount_refunded:
        return "payment.refunded"
    return "payment.updated"
