"""Messages that are put aside: what is kept of them, and why they are."""

from datetime import datetime
from typing import Any, Final

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractIncomingMessage

from paysaga.domain.cards import holds_card_number
from worker.order_messages import LONGEST_BODY, HoldsCardNumber, NotAnOrder

# The broker refuses what does not fit into one frame, and ends the connection.
_LONGEST_HEADERS: Final = 32 * 1024
# What a publisher may steer the broker by is not taken over.
_STEERING: Final = frozenset({"CC", "BCC"})


def holds_card_number_beside_the_body(message: AbstractIncomingMessage) -> bool:
    """Whether anything but the body, which is looked into when it is read, holds one."""
    beside = (
        *(message.message_id, message.correlation_id, message.type),
        *(message.content_type, message.content_encoding, dict(message.headers)),
    )
    return holds_card_number(repr(beside))


def dead_letter(message: AbstractIncomingMessage, why: NotAnOrder) -> Message:
    """The message as it is put aside, with the reason. What may hold a card number is not kept."""
    reason: dict[str, Any] = {"x-reason": why.code, "x-detail": why.detail}
    if isinstance(why, HoldsCardNumber):
        return Message(b"", headers=reason, delivery_mode=DeliveryMode.PERSISTENT)
    # Nobody has looked into a body that was too large, or is no text: it may hold anything.
    is_read = len(message.body) <= LONGEST_BODY and _is_text(message.body)
    kept = {
        name: value
        for name, value in message.headers.items()
        if name not in _STEERING and _can_be_sent_again(value)
    }
    if len(repr(kept)) > _LONGEST_HEADERS:
        kept = {}
    return Message(
        message.body if is_read else b"",
        headers=kept | reason,
        delivery_mode=DeliveryMode.PERSISTENT,
        content_type=message.content_type,
        content_encoding=message.content_encoding,
        message_id=message.message_id,
        correlation_id=message.correlation_id,
        timestamp=message.timestamp,
        type=message.type,
    )


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _can_be_sent_again(value: object) -> bool:
    """What is no text comes as bytes, which the protocol's library reads and does not write."""
    return isinstance(value, str | int | float | bool | datetime | None)
