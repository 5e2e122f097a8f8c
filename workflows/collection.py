"""Taking the money for one bill through one PaymentIntent: open, confirm, look, close, give back.

A call that the gateway does not answer is asked again, for as long as the bill is worth it; what
the gateway refuses for good is raised. Nothing here decides what an answer means for the bill.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol, TypeVar

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
)
from temporalio.exceptions import (
    TimeoutError as TemporalTimeoutError,
)

with workflow.unsafe.imports_passed_through():
    from activities.errors import Trouble
    from activities.stripe_calls import (
        CloseOrder,
        ConfirmOrder,
        IntentOrder,
        Refund,
        RefundOrder,
        StripeCalls,
    )
    from paysaga.domain.payment import Intent

from workflows import policies

T = TypeVar("T")


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

    async def open(self, order: IntentOrder) -> Intent | None:
        """Make the intent; `None` if the bill was over before the gateway answered."""
        return await self._ask(
            lambda generation: workflow.execute_activity_method(
                StripeCalls.create_intent,
                order.model_copy(update={"generation": generation}),
                **(policies.STRIPE | {"summary": f"open an intent of {order.money}"}),
            ),
            self._bill.is_over,
        )

    async def confirm(self, order: ConfirmOrder) -> Intent | None:
        """Take the money; `None` if the bill was over before its outcome was known."""
        return await self._ask(
            lambda generation: workflow.execute_activity_method(
                StripeCalls.confirm_intent,
                order.model_copy(update={"generation": generation}),
                **(
                    policies.STRIPE
                    | {"summary": f"attempt {order.attempt}: confirm {order.intent_id}"}
                ),
            ),
            self._bill.is_over,
        )

    async def look(self, intent_id: str) -> Intent | None:
        """Read the intent; `None` if the bill was over before the gateway answered."""
        return await self._ask(
            lambda _: workflow.execute_activity_method(
                StripeCalls.retrieve_intent,
                intent_id,
                **(policies.STRIPE | {"summary": f"look at {intent_id}"}),
            ),
            self._bill.is_over,
        )

    async def close(self, order: CloseOrder) -> Intent:
        """Cancel the intent, and prove it, however long that takes."""
        intent = await self._ask(
            lambda generation: workflow.execute_activity_method(
                StripeCalls.close_intent,
                order.model_copy(update={"generation": generation}),
                **(policies.STRIPE | {"summary": f"cancel {order.intent_id}"}),
            ),
            _never,
        )
        return _certain(intent)

    async def give_back(self, order: RefundOrder) -> Refund:
        """Refund what the intent took, however long the gateway's answer takes."""
        refund = await self._ask(
            lambda generation: workflow.execute_activity_method(
                StripeCalls.refund_intent,
                order.model_copy(update={"generation": generation}),
                **(policies.STRIPE | {"summary": f"give back {order.money}"}),
            ),
            _never,
        )
        return _certain(refund)

    async def look_at_refund(self, refund_id: str) -> Refund:
        """Read the refund."""
        refund = await self._ask(
            lambda _: workflow.execute_activity_method(
                StripeCalls.retrieve_refund,
                refund_id,
                **(policies.STRIPE | {"summary": f"look at {refund_id}"}),
            ),
            _never,
        )
        return _certain(refund)

    async def _ask(
        self, call: Callable[[int], Awaitable[T]], is_over: Callable[[], bool]
    ) -> T | None:
        generation, key_since, pause = 0, workflow.now(), policies.GATEWAY_PAUSE_MIN
        while True:
            try:
                return await call(generation)
            except ActivityError as error:
                trouble = _trouble(error)
            if trouble is Trouble.STICKY or workflow.now() - key_since > policies.KEY_LIFE:
                # The activity looks for proof of the earlier key's effect before it uses the next.
                generation, key_since = generation + 1, workflow.now()
                pause = max(pause, policies.SETTLING)
            await self._bill.on_trouble(trouble, pause)
            if await _happens_within(is_over, pause):
                return None
            pause = min(pause * 2, policies.GATEWAY_PAUSE_MAX)


def _trouble(error: ActivityError) -> Trouble:
    """What kept the gateway from answering; a refusal, a bug and a cancellation are raised."""
    cause = error.cause
    if isinstance(cause, TemporalTimeoutError):
        return Trouble.UNREACHABLE
    if not isinstance(cause, ApplicationError) or cause.type not in set(Trouble):
        raise error
    if cause.type == Trouble.REFUSED:
        raise Refused(cause.message) from error
    return Trouble(cause.type)


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


def _certain(answer: T | None) -> T:
    if answer is None:
        raise AssertionError("a call without an end ended without an answer")
    return answer
