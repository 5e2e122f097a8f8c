"""From a call to its answer: what is repeated, how long, and what is known when all was in vain.

Nothing is sent here: the steps are carried out by whoever has a connection, waiting or not.
"""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from random import SystemRandom
from typing import Final, Generic, NamedTuple, TypeVar

from paysaga.client.answers import Told
from paysaga.client.calls import Call, Repeat
from paysaga.client.errors import (
    Conflict,
    OutcomeUnknown,
    PaysagaError,
    Refused,
    TooMany,
    Unavailable,
)
from paysaga.client.reading import Answer, InVain, Lost, understood

T = TypeVar("T", bound=Told)
_RANDOM: Final = SystemRandom()
_SHORTEST_SECONDS: Final = 0.5


@dataclass(frozen=True)
class Retries:
    """How often a call is tried, and how long.

    Attributes:
        attempts: Tries in all, the first one among them.
        deadline_seconds: No try begins after so long, and none waits longer; what the API is asked
            to wait (`wait_seconds`) comes on top.
        timeout_seconds: How long one try waits for an answer, or for its next piece. It should be
            longer than the API waits for the gateway (`API_WAIT_SECONDS`).
        connect_timeout_seconds: How long one try waits for a connection.
        first_pause_seconds: The pause after the first try: between half of it and all. The next is
            twice as long, and so on.
        longest_pause_seconds: But not longer, unless the API says when to come again.
    """

    attempts: int = 4
    deadline_seconds: float = 30.0
    timeout_seconds: float = 15.0
    connect_timeout_seconds: float = 3.0
    first_pause_seconds: float = 0.25
    longest_pause_seconds: float = 4.0

    def pause_seconds(self, tried: int) -> float:
        """The pause after so many tries. By chance, so that those who failed at once come apart."""
        longest = self.first_pause_seconds * 2.0 ** (tried - 1)
        longest = min(longest, self.longest_pause_seconds)
        return _RANDOM.uniform(longest / 2, longest)


class Send(NamedTuple):
    """A step: send the call, and wait for so long."""

    timeout_seconds: float


class Pause(NamedTuple):
    """A step: wait."""

    seconds: float


Steps = Generator[Send | Pause, Answer | Lost | None, T]


class Exchange(Generic[T]):
    """One call with all its tries.

    Once a request may have been carried out, no later failure shows that it was not: only an
    answer about it does.
    """

    def __init__(
        self, call: Call[T], retries: Retries, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._call = call
        self._retries = retries
        self._clock = clock
        self._end = clock() + retries.deadline_seconds + call.patience_seconds
        self._may_be_done = False

    def steps(self) -> Steps[T]:
        """What to do next; who does it sends what came of it. Returns the good answer.

        Raises:
            Refused: The API's answer is no.
            Unavailable: There was no answer, and surely no effect.
            OutcomeUnknown: There was no answer, and perhaps an effect.
        """
        tried = 0
        while True:
            came = yield Send(self._timeout_seconds())
            tried += 1
            try:
                assert came is not None  # noqa: S101 - a sent call comes to something
                return understood(self._call, came)
            except Refused as refused:
                raise self._refused(refused) from refused.__cause__
            except InVain as trouble:
                self._note(trouble)
                pause = max(self._retries.pause_seconds(tried), trouble.wait_seconds)
                if not self._goes_on(tried, pause):
                    raise self._given_up(trouble) from trouble.__cause__
            yield Pause(pause)

    def _note(self, trouble: InVain) -> None:
        if self._call.repeat is not Repeat.LOOK:
            self._may_be_done |= trouble.may_be_done

    def _goes_on(self, tried: int, pause: float) -> bool:
        if self._call.repeat is Repeat.NEVER and self._may_be_done:
            return False
        return tried < self._retries.attempts and self._clock() + pause < self._end

    def _timeout_seconds(self) -> float:
        longest = self._retries.timeout_seconds + self._call.patience_seconds
        # A pause may have lasted longer than it was to: then one quick try is left.
        return max(min(longest, self._end - self._clock()), _SHORTEST_SECONDS)

    def _refused(self, refused: Refused) -> PaysagaError:
        """A conflict is the API's word on this very request, also on one that came before.

        Everything else is refused before anybody looks for that: a token that is over now, or an
        order that is gone now, says nothing of the try whose answer was lost.
        """
        if self._may_be_done and not isinstance(refused, Conflict):
            return self._unknown(str(refused), refused)
        return refused

    def _given_up(self, trouble: InVain) -> PaysagaError:
        if self._may_be_done:
            return self._unknown(str(trouble), trouble.refused)
        if isinstance(trouble.refused, TooMany):
            return trouble.refused
        return Unavailable(f"{self._call}: {trouble}", refused=trouble.refused)

    def _unknown(self, told: str, refused: Refused | None) -> OutcomeUnknown:
        key = self._call.key
        then = "repeat it with the same key" if key else "look how things stand"
        return OutcomeUnknown(
            f"{self._call}: {told}; it may have been done all the same: {then}",
            key=key,
            refused=refused,
        )
