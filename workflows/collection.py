"""Taking the money for one bill through one PaymentIntent: open, confirm, look, close, give back.

A call that the gateway does not answer is asked again, for as long as the bill is worth it; what
the gateway refuses for good is raised. Nothing here decides what an answer means for the bill.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError
from temporalio.exceptions import TimeoutError as TemporalTimeoutError

with workflow.unsafe.imports_passed_through():
    from activities.errors import SEARCHED_TO, Trouble
    from activities.stripe_calls import StripeCalls
    from activities.stripe_orders import (
        CaptureOrder,
        CloseOrder,
        ConfirmOrder,
        IntentOrder,
        IntentSearch,
        RefundOrder,
    )
    from activities.stripe_words import Refund, Refunds
    from paysaga.domain.intent import Intent

from workflows import policies
from workflows.calls import call_unless

T = TypeVar("T")
Arg = TypeVar("Arg")
Call = Callable[[Any, Arg], Awaitable[T]]


class Refused(ApplicationError):
    """The gateway refuses the call for good, before any effect: asking again changes nothing."""

    def __init__(self, message: str) -> None:
        super().__init__(message, type=Trouble.REFUSED, non_retryable=True)


class Bill(Protocol):
    """Whom the money is taken for: it is told of trouble, and says when to stop trying."""

    async def on_trouble(self, trouble: Trouble, again_at: timedelta) -> None:
        """The gateway did not answer; it is asked again after this time."""

    def is_over(self) -> bool:
        """Whether there is no point in taking the money any more."""


class Collection:
    """One bill's way through the gateway. Each call is one activity when all is well."""

    def __init__(self, bill: Bill) -> None:
        self._bill = bill

    async def open(self, order: IntentOrder) -> Intent:
        """Make the intent, however long the gateway's answer takes: it may be there unanswered."""
        return await self._ask(
            StripeCalls.create_intent,
            lambda tries: order.model_copy(
                update={
                    "generation": tries.generation,
                    "customer_generation": tries.customer_generation,
                    "searched_to": tries.searched_to,
                }
            ),
            f"open an intent of {order.money}",
        )

    async def confirm(
        self, order: ConfirmOrder, time_left: Callable[[], timedelta]
    ) -> Intent | None:
        """Take the money; `None` if the bill was over before its outcome was known.

        No try lasts longer than there is `time_left` for the money to be of use.
        """
        return await self._ask_while(
            StripeCalls.confirm_intent,
            lambda tries: order.model_copy(
                update={"generation": tries.generation, "is_repeat": tries.number > 1}
            ),
            f"attempt {order.attempt}: confirm",
            self._bill.is_over,
            time_left,
        )

    async def look(self, intent_id: str) -> Intent | None:
        """Read the intent; `None` if the bill was over before the gateway answered."""
        return await self._ask_while(
            StripeCalls.retrieve_intent,
            lambda _: intent_id,
            f"look at {intent_id}",
            self._bill.is_over,
        )

    async def capture(self, order: CaptureOrder) -> Intent:
        """Take what is held, however long the gateway's answer takes: it was decided."""
        return await self._ask(
            StripeCalls.capture_intent,
            lambda tries: order.model_copy(update={"generation": tries.generation}),
            f"capture {order.money}",
        )

    async def close(self, order: CloseOrder) -> Intent:
        """Cancel the intent, and prove it, however long that takes."""
        return await self._ask(
            StripeCalls.close_intent,
            lambda tries: order.model_copy(
                update={"generation": order.generation + tries.generation}
            ),
            f"cancel {order.intent_id}",
        )

    async def give_back(self, order: RefundOrder) -> Refund:
        """Refund what the intent took, however long the gateway's answer takes."""
        return await self._ask(
            StripeCalls.refund_intent,
            lambda tries: order.model_copy(update={"generation": tries.generation}),
            f"give back {order.money}",
        )

    async def look_at_refund(self, refund_id: str) -> Refund:
        """Read the refund."""
        return await self._ask(
            StripeCalls.retrieve_refund, lambda _: refund_id, f"look at {refund_id}"
        )

    async def refunds(self, intent_id: str) -> Refunds:
        """All refunds of the intent."""
        return await self._ask(
            StripeCalls.list_refunds, lambda _: intent_id, f"look at the refunds of {intent_id}"
        )

    async def find(self, search: IntentSearch) -> Intent | None:
        """The intent of a payment that does not know it; absence is believed after a while."""
        found = await self._find(search)
        if found is None:
            await workflow.sleep(policies.SETTLING, summary="is there really no intent?")
            found = await self._find(search)
        return found

    async def _find(self, search: IntentSearch) -> Intent | None:
        found = await self._ask(
            StripeCalls.find_intent,
            lambda tries: search.model_copy(update={"searched_to": tries.searched_to}),
            f"look for the intent of {search.payment_id}",
        )
        return found.intent

    async def _ask(self, call: Call[Arg, T], order: "OrderFor[Arg]", told: str) -> T:
        """Ask until there is an answer."""
        answer = await self._ask_while(call, order, told, _never)
        if answer is None:
            raise AssertionError("a call without an end ended without an answer")
        return answer

    async def _ask_while(
        self,
        call: Call[Arg, T],
        order: "OrderFor[Arg]",
        told: str,
        is_over: Callable[[], bool],
        time_left: Callable[[], timedelta] | None = None,
    ) -> T | None:
        """Ask until there is an answer, or no point in one any more.

        With `time_left` the call moves something: no try lasts longer than that, and one that has
        not begun is withdrawn.
        """
        tries = Tries(workflow.now())
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
            if tries.number > policies.PASSING_FAULTS:
                await self._bill.on_trouble(trouble, pause)
            if await _happens_within(is_over, pause):
                return None
            tries.number += 1


class Tries:
    """How often a step was tried, and with which of its keys.

    A key lasts for `KEY_LIFE` and does not outlive an answer that the gateway keeps under it. The
    next one has the next generation: the activity looks for the effect of the earlier one first.
    A search that is long is gone on with where it was, and begun anew for the next generation.
    """

    def __init__(self, now: datetime) -> None:
        self.number = 1
        self.generation = 0
        self.customer_generation = 0
        self.searched_to: str | None = None
        self._began = self._key_since = now
        self._pause = policies.GATEWAY_PAUSE_MIN

    def pause(self, trouble: Trouble, told: timedelta, now: datetime) -> timedelta:
        """How long to wait after a try that failed; never shorter than we were told."""
        if trouble is Trouble.NOT_ASKED and now - self._began < policies.SHORT_OUTAGE:
            return told  # the breaker knows when the gateway is tried again
        pause = max(self._pause, told)
        is_old = now - self._key_since > policies.KEY_LIFE
        if trouble is Trouble.STICKY or is_old:
            self.generation, self._key_since = self.generation + 1, now
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
    known = ", ".join(f"{name} {value}" for name, value in facts.items() if value is not None)
    return f"{refusal.message} ({known})" if known else refusal.message


def _searched_to(error: ActivityError) -> str | None:
    details = error.cause.details if isinstance(error.cause, ApplicationError) else ()
    return next((str(told[SEARCHED_TO]) for told in details), None)


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
