"""The day that is paid for: a night, a journey, a course."""

import re
from datetime import date
from typing import Annotated, Final

from pydantic import BeforeValidator, Field

_DAY: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
# Nobody buys for another day, and days can be counted to and from these.
_FIRST: Final = date(2000, 1, 1)
_LAST: Final = date(2199, 12, 31)


def _day(told: object) -> object:
    """A moment is refused: which day it is on depends on who reads it."""
    is_day = re.fullmatch(_DAY, told) if isinstance(told, str) else type(told) is date
    if not is_day:
        raise ValueError("A day is written as 2027-02-01, without a time.")
    return told


ServiceDate = Annotated[
    date,
    BeforeValidator(_day),
    Field(
        ge=_FIRST,
        le=_LAST,
        description="The day that is paid for; refunds may depend on it",
        examples=["2027-02-01"],
    ),
]
