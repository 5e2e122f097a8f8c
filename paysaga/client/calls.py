"""One request before it is sent: what it says, what is expected, whether it may be repeated."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Final, Generic, TypeVar
from urllib.parse import quote
from uuid import uuid4

from paysaga.client.answers import Told
from paysaga.client.orders import Body

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
CUSTOMER_ADDRESS: Final = "Paysaga-Customer-Address"

T = TypeVar("T", bound=Told)
_VISIBLE: Final = re.compile(r"[\x21-\x7e]{1,255}")


class Repeat(Enum):
    """Whether a request may be sent again when nobody knows what became of it."""

    LOOK = auto()  # it changes nothing
    SAME_KEY = auto()  # the API carries it out once, however often it comes
    NEVER = auto()  # it might undo what somebody has done meanwhile


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request. Every try sends the same bytes under the same key.

    Attributes:
        answer: What a good answer is.
        patience_seconds: How much longer than usual the API may take to answer.
    """

    method: str
    path: str
    answer: type[T]
    repeat: Repeat
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = field(default=None, repr=False)
    key: str | None = None
    customer_address: str | None = field(default=None, repr=False)
    patience_seconds: float = 0.0

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def headers(self) -> dict[str, str]:
        """All headers but the token."""
        told = {
            "Accept": "application/json",
            "Content-Type": self.body and "application/json",
            IDEMPOTENCY_KEY: self.key,
            CUSTOMER_ADDRESS: self.customer_address,
        }
        return {name: value for name, value in told.items() if value}


def look(
    answer: type[T],
    path: str,
    query: Mapping[str, object] | None = None,
    *,
    method: str = "GET",
    patience_seconds: float = 0.0,
) -> Call[T]:
    """A request that changes nothing. Of the query, what is `None` is left out."""
    return Call(
        method=method,
        path=path,
        answer=answer,
        repeat=Repeat.LOOK,
        query=tuple(_told(query or {})),
        patience_seconds=patience_seconds,
    )


def change(
    answer: type[T],
    path: str,
    body: Body | None = None,
    *,
    key: str | None,
    customer_address: str | None = None,
    method: str = "POST",
) -> Call[T]:
    """A request that changes something, under a key: this one, or a new one.

    Raises:
        ValueError: The key or the address holds what no header may.
    """
    return Call(
        method=method,
        path=path,
        answer=answer,
        repeat=Repeat.SAME_KEY,
        body=body.sent() if body else None,
        key=visible("key", str(uuid4()) if key is None else key),
        customer_address=customer_address and visible("customer_address", customer_address),
    )


def part(name: str, text: str) -> str:
    """One part of a path, as it may stand there.

    Raises:
        ValueError: It would be another path.
    """
    if text in {"", ".", ".."}:
        raise ValueError(f"{name} is needed")
    return quote(text, safe="")


def visible(name: str, text: str) -> str:
    """A header's value.

    Raises:
        ValueError: A header may not hold it; the message does not repeat it.
    """
    if not _VISIBLE.fullmatch(text):
        raise ValueError(f"{name} takes 1 to 255 visible ASCII characters")
    return text


def _told(query: Mapping[str, object]) -> Iterable[tuple[str, str]]:
    for name, value in query.items():
        if value is None:
            continue
        for each in value if isinstance(value, tuple) else (value,):
            yield name, each.isoformat() if isinstance(each, datetime) else str(each)
