"""A circuit breaker: who does not answer several times in a row is left alone for a while."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime

from paysaga.domain.message import Message

FAILURES: Final = 5
OPEN_FOR: Final = timedelta(seconds=60)
# Longer than any call lasts: who makes the trial call may be killed.
TRIAL_FOR: Final = timedelta(seconds=35)
# How soon the others come again while one tries.
DURING_TRIAL: Final = timedelta(seconds=5)


class BreakerState(StrEnum):
    """Whether calls go through: all, none, or a single one that tries."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker(Message):
    """How calls to one other side have gone lately. `version` counts the changes."""

    version: int = 0
    failures: int = 0
    opened_at: AwareDatetime | None = None
    trial_until: AwareDatetime | None = None

    @property
    def state(self) -> BreakerState:
        """What it does with a call."""
        if self.opened_at is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self.trial_until is None else BreakerState.HALF_OPEN

    def pause(self, now: datetime) -> timedelta | None:
        """How long a call has to wait; nothing if it may be the trial, `None` if all may go."""
        if self.opened_at is None:
            return None
        if self.trial_until is not None:
            return min(max(self.trial_until - now, timedelta()), DURING_TRIAL)
        return max(self.opened_at + OPEN_FOR - now, timedelta())

    def tried(self, now: datetime) -> "Breaker":
        """One call goes through, to see."""
        return self._after(trial_until=now + TRIAL_FOR)

    def answered(self) -> "Breaker":
        """The other side has answered: all is well."""
        if self.failures == 0 and self.opened_at is None:
            return self
        return self._after(failures=0, opened_at=None, trial_until=None)

    def failed(self, now: datetime, *, is_trial: bool) -> "Breaker":
        """A call was not answered. One that began before the breaker opened changes nothing.

        The trial keeps it open; once another call was answered it is a failure like any other.
        """
        is_open = self.opened_at is not None
        if is_open and not is_trial:
            return self
        failures = self.failures + 1
        opens = is_open or failures >= FAILURES
        return self._after(failures=failures, opened_at=now if opens else None, trial_until=None)

    def _after(self, **changes: object) -> "Breaker":
        return self.model_copy(update={**changes, "version": self.version + 1})
