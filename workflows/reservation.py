"""The order's side of a payment: kept, taken or let go by the shop's order service."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Protocol

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.orders import OrderAnswer, OrderRef, Orders

from workflows import policies
from workflows.calls import call_unless
from workflows.saga import to_the_end

Step = Callable[[Any, OrderRef], Awaitable[OrderAnswer]]


class Buyer(Protocol):
    """Whom the order is kept for: it is told of silence, and says when to stop asking."""

    async def on_silence(self) -> None:
        """The order service did not answer at once; it is asked until it does."""

    def is_over(self) -> bool:
        """Whether there is no point in having the order any more."""


class Reservation:
    """One payment's hold on its order. A no is an answer; `None` means that nobody asks any more.

    Each call is first tried once within the workflow task, which costs no further step; only if
    that fails does it become an activity, which asks until it hears.
    """

    def __init__(self, ref: OrderRef, buyer: Buyer) -> None:
        self._ref = ref
        self._buyer = buyer

    async def keep(self, time_left: timedelta) -> bool | None:
        """Reserve the order, if it is the customer's and has the price that we are to take."""
        return await self._while_it_counts(Orders.reserve, time_left)

    async def is_kept(self, time_left: timedelta) -> bool | None:
        """Whether another attempt makes sense: the order is still kept for this payment."""
        return await self._while_it_counts(Orders.still_waits, time_left)

    async def confirm(self) -> bool:
        """Tell the shop that the order is paid; no cancellation of the run stops that half-way."""
        return await to_the_end(self._to_the_end(Orders.confirm))

    async def is_taken(self) -> bool:
        """Whether the shop has the order as paid by this payment."""
        return await self._to_the_end(Orders.is_taken)

    async def let_go_at_once(self) -> bool:
        """Give the order back to the shop, if it answers at once."""
        return await self._quickly(Orders.release) is not None

    async def let_go(self) -> None:
        """Give the order back to the shop, however long its answer takes."""
        await self._until_heard(Orders.release)

    async def _to_the_end(self, step: Step) -> bool:
        answer = await self._quickly(step) or await self._after_silence(step)
        return answer.accepted

    async def _after_silence(self, step: Step) -> OrderAnswer:
        await self._buyer.on_silence()
        return await self._until_heard(step)

    async def _while_it_counts(self, step: Step, time_left: timedelta) -> bool | None:
        answer = await self._quickly(step) or await self._while_there_is_time(step, time_left)
        return answer.accepted if answer is not None else None

    async def _while_there_is_time(self, step: Step, time_left: timedelta) -> OrderAnswer | None:
        await self._buyer.on_silence()
        time_left = max(time_left, timedelta())
        return await call_unless(self._buyer.is_over, step, self._ref, self._config, time_left)

    async def _quickly(self, step: Step) -> OrderAnswer | None:
        try:
            return await workflow.execute_local_activity_method(
                step, self._ref, **(policies.ORDERS_QUICK | {"summary": self._summary})
            )
        except FailureError as error:  # a local activity's own error comes unwrapped
            if is_cancelled_exception(error):
                raise
            return None

    async def _until_heard(self, step: Step) -> OrderAnswer:
        return await workflow.execute_activity_method(step, self._ref, **self._config)

    @property
    def _config(self) -> workflow.ActivityConfig:
        return policies.ORDERS | {"summary": self._summary}

    @property
    def _summary(self) -> str:
        return f"order {self._ref.order_id}"
