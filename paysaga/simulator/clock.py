"""The one place where the simulator learns what time it is."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Tell the time, aware and in UTC."""
    return datetime.now(UTC)
