"""When the gateway is to be looked at (again)."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow

from workflows import policies


class Watch:
    """At once when something has happened there; else after a pause that grows.

    `looks` counts what was seen, for those who wait for a look.
    """

    def __init__(self) -> None:
        self.must_look = False
        self.looks = 0
        self.pause: timedelta = policies.LOOK_MIN

    def saw(self, *, news: bool) -> None:
        """A look has shown something new, or the same as before."""
        self.pause = policies.LOOK_MIN if news else min(self.pause * 2, policies.LOOK_MAX)

    async def next_look(self, is_over: Callable[[], bool] = lambda: False) -> None:
        """Wait for a nudge, for the pause to end, or until there is no point in a look."""
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self.must_look or is_over(),
                timeout=self.pause,
                timeout_summary="look at the gateway again",
            )
        self.must_look = False
