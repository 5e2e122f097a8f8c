"""Asking the gateway until it answers.

A call that it does not answer is asked again, for as long as the errand is worth it; what it
refuses for good is raised.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError
from temporalio.exceptions import TimeoutError as TemporalTimeoutError

with workflow.unsafe.imports_passed_through():
    from activities.errors import IS_AWAY, NOTHING_SENT, SEARCHED_TO, Trouble

from workflows import policies
from workflows.calls import call_unless

T = TypeVar("T")
Arg = TypeVar("Arg")
Call = Callable[[Any, Arg], Awaitable[T]]


class Refused(ApplicationError):
    """The gateway refuses the call for good, before any effect: asking again changes nothing."""

    def __init__(self, message: str) -> None:
        super().__init__(message, type=Trouble.REFUSED, non_retryable=True)


class Errand(Protocol):
    """Whom the gateway is asked for."""

    async def on_trouble(self, trouble: Trouble, again_at: timedelta) -> None:
        """The gateway did not answer; it is asked again after this time."""


class Asking:
    """Calls of the gateway for one errand."""

    def __init__(self, errand: Errand) -> None:
        self._errand = errand

    async def ask(
        self,
        call: Call[Arg, T],
        order: "OrderFor[Arg]",
        told: str,
        tries: "Tries | None" = None,
    ) -> T:
        """Ask until there is an answer."""
        answer = await self.ask_while(call, order, told, _never, tries=tries)
        if answer is None:
            raise AssertionError("a call without an end ended without an answer")
        return answer

    async def ask_while(
        self,
        call: Call[Arg, T],
        order: "OrderFor[Arg]",
        told: str,
        is_over: Callable[[], bool],
        time_left: Callable[[], timedelta] | None = None,
        tries: "Tries | None" = None,
    ) -> T | None:
        """Ask until there is an answer, or no point in one any more.

        With `time_left` the call moves something: no try lasts longer than that, and one that has
        not begun is withdrawn. With `tries` it goes on with the keys of those before.
        """
        tries = tries or Tries(workflow.now())
        while True:
            config = policies.STRIPE | {"summary": told}
            try:
                if time_left is None:
                    return await workflow.execute_activity_method(call, order(tries), **config)
                config["schedule_to_close_timeout"] = max(time_left(), _AT_ONCE)
                return await call_unless(is_over, call, order(tries), config)
            except ActivityError as error:
                failure = error
            trouble = _trouble(failure)
            if trouble is Trouble.SEARCHING:
                tries.searched_to = _searched_to(failure)
                continue
            pause = tries.pause(trouble, _told_to_wait(failure), workflow.now())
            # One that the breaker keeps back is no passing fault: others have met it before.
            if _says(failure, IS_AWAY) or tries.number > policies.PASSING_FAULTS:
                await self._errand.on_trouble(trouble, pause)
            if await _happens_within(is_over, pause):
                return None
            tries.number += 1
            tries.may_be_sent = tries.may_be_sent or not _says(failure, NOTHING_SENT)


class Tries:
    """How often a step was tried, and with which of its keys.

    A key lasts for `KEY_LIFE` and does not outlive an answer that the gateway keeps under it. The
    next one has the next generation: the activity looks for the effect of the earlier one first.
    A search that is long is gone on with where it was, and begun anew for the next generation.

    `may_be_sent`: an earlier try may have had its effect.
    """

    def __init__(self, now: datetime) -> None:
        self.number = 1
        self.may_be_sent = False
        self.generation = 0
        self.customer_generation = 0
        self.searched_to: str | None = None
        self._began = self.key_since = now
        self._pause = policies.GATEWAY_PAUSE_MIN

    def pause(self, trouble: Trouble, told: timedelta, now: datetime) -> timedelta:
        """How long to wait after a try that failed; never shorter than we were told."""
        if trouble is Trouble.NOT_ASKED and now - self._began < policies.SHORT_OUTAGE:
            return told  # the breaker knows when the gateway is tried again
        pause = max(self._pause, told)
        is_old = now - self.key_since > policies.KEY_LIFE
        if trouble is Trouble.STICKY or is_old:
            self.generation, self.key_since = self.generation + 1, now
            self.searched_to = None
            pause = max(pause, policies.SETTLING)
        if trouble is Trouble.STICKY_CUSTOMER or is_old:
            self.customer_generation += 1
        if now - self._began > policies.LONG_OUTAGE:
            pause = max(pause, policies.LONG_OUTAGE_PAUSE)
        self._pause = min(self._pause * 2, policies.GATEWAY_PAUSE_MAX)
        return pause


OrderFor = Callable[[Tries], Arg]

# A timeout must be more than nothing.
_AT_ONCE = timedelta(seconds=1)
# The SDK's word for an activity that its worker did not wait for.
_WORKER_STOPPED = "WorkerShutdown"


def _trouble(error: ActivityError) -> Trouble:
    """What kept the gateway from answering; a refusal and the run's cancellation are raised.

    A bug of ours proves nothing about the money: it is asked again, once it is mended.
    """
    cause = error.cause
    if isinstance(cause, CancelledError):
        raise error
    if isinstance(cause, TemporalTimeoutError):
        return Trouble.UNREACHABLE  # its worker was killed
    if isinstance(cause, ApplicationError) and cause.type == _WORKER_STOPPED:
        return Trouble.UNREACHABLE
    if not isinstance(cause, ApplicationError) or cause.type not in set(Trouble):
        workflow.logger.error("a gateway call fails with a bug", exc_info=error)
        return Trouble.BUG
    if cause.type == Trouble.REFUSED:
        raise Refused(_in_words(cause)) from error
    return Trouble(cause.type)


def _in_words(refusal: ApplicationError) -> str:
    """With what an operator needs to find it at the gateway: no personal data is among it."""
    [facts] = refusal.details or ({},)
    told = {name: value for name, value in facts.items() if name != NOTHING_SENT}
    known = ", ".join(f"{name} {value}" for name, value in told.items() if value is not None)
    return f"{refusal.message} ({known})" if known else refusal.message


def _searched_to(error: ActivityError) -> str | None:
    place = _says(error, SEARCHED_TO)
    return str(place) if place is not None else None


def _says(error: ActivityError, fact: str) -> Any:
    details = error.cause.details if isinstance(error.cause, ApplicationError) else ()
    return next((told.get(fact) for told in details if isinstance(told, dict)), None)


def _told_to_wait(error: ActivityError) -> timedelta:
    cause = error.cause
    told = cause.next_retry_delay if isinstance(cause, ApplicationError) else None
    return told or timedelta()


async def _happens_within(condition: Callable[[], bool], time: timedelta) -> bool:
    try:
        await workflow.wait_condition(
            condition, timeout=time, timeout_summary="the gateway is asked again"
        )
    except TimeoutError:
        return False
    return True


def _never() -> bool:
    return False
