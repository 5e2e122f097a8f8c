"""Time zones by their names in the IANA's list."""

from datetime import UTC, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

_UTC: Final = "UTC"


def zone_of(name: str) -> tzinfo:
    """The zone of that name. UTC is known also where there is no list of zones.

    Raises:
        ValueError: There is none, or not on this machine.
    """
    if name == _UTC:
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            "a zone of the IANA's is needed, such as Europe/Berlin, and one that this machine knows"
            " (its package tzdata has them)"
        ) from None
