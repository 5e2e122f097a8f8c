"""What every place that events go to has in common: it is given one, and something comes back."""

from datetime import timedelta
from enum import StrEnum
from typing import Final, NamedTuple, Protocol

from paysaga.events.shapes import Event


class Verdict(StrEnum):
    """What became of handing one event over."""

    TAKEN = "taken"  # the other side has it
    PASSED = "passed"  # there is nothing to hand over: nobody was asked
    FAILED = "failed"  # not this one, not now: it is tried again, its object's later ones wait
    NOT_YET = "not_yet"  # it is too early for it: as above, and nothing has gone wrong
    REFUSED = "refused"  # this one will never be taken, they say
    UNDELIVERABLE = "undeliverable"  # this one will never be, we say: nobody was asked
    AWAY = "away"  # nobody is there, or they have no time: it is not about this one, as a rule
    GONE = "gone"  # the other side wants no more events at all


class Answer(NamedTuple):
    """What the other side said. `told` is for operators: short, no secret, nobody's personal data.

    With `NOT_YET`, and if the other side asked for it, `wait` is the time until the next try.
    """

    verdict: Verdict
    told: str
    wait: timedelta | None = None


class Target(Protocol):
    """A place where events go. It may be given several at once, never two of one object."""

    async def deliver(self, event: Event) -> Answer:
        """Hand one event over. Whatever the other side does is an answer and not an error."""
        ...


LONGEST_ANSWER: Final = 200


def in_short(told: str) -> str:
    """One line of what somebody else wrote."""
    line = " ".join(told.split())
    return line if len(line) <= LONGEST_ANSWER else f"{line[: LONGEST_ANSWER - 1]}…"
