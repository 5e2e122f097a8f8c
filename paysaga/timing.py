"""Where the time of a request goes."""

import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar

_SHARES: ContextVar[MutableMapping[str, float]] = ContextVar("shares")


def count_into(shares: MutableMapping[str, float]) -> None:
    """From now on, and in whatever this task begins, seconds are added up in here by name."""
    _SHARES.set(shares)


@contextmanager
def timed(name: str) -> Iterator[None]:
    """Count the time inside as `name`'s share; where nobody counts, it is not kept."""
    since = time.perf_counter()
    try:
        yield
    finally:
        shares = _SHARES.get({})
        shares[name] = shares.get(name, 0.0) + time.perf_counter() - since
