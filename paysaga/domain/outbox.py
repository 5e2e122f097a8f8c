"""What the world is told of a change, before it has a public form."""

import re
from typing import Any, Final, NamedTuple, Self

from pydantic import AwareDatetime

from paysaga.domain.message import Message
from paysaga.domain.payment import PaymentState, PaymentStatus


class Place(Message):
    """Where a reader of the outbox stands: past this event. The first one stands before all.

    The epoch counts the database servers whose transaction numbers these are.
    """

    epoch: int = 0
    transaction: int = 0
    position: int = 0

    @property
    def cursor(self) -> str:
        """As it is told outside, where it means nothing but itself."""
        return f"{self.epoch}-{self.transaction}-{self.position}"

    @classmethod
    def read(cls, cursor: str) -> Self | None:
        """The place that was told so; `None` if none ever was."""
        found = _CURSOR.fullmatch(cursor)
        return cls.model_validate(found.groupdict()) if found else None


def is_ahead(place: Place, of: Place) -> bool:
    """Whether a reader at the first place has come further."""
    return _numbers(place) > _numbers(of)


def _numbers(place: Place) -> tuple[int, int, int]:
    return (place.epoch, place.transaction, place.position)


class OutboxEvent(Message):
    """One change as the transaction that made it wrote it down; `data` is the state after it.

    `place` is where readers go on from. Each object counts its own events from 1, without gaps.
    """

    place: Place
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


_NUMBER: Final = "[0-9]{1,18}"
_CURSOR: Final = re.compile(
    rf"(?P<epoch>{_NUMBER})-(?P<transaction>{_NUMBER})-(?P<position>{_NUMBER})"
)
