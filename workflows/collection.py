"""Taking the money for one bill through one PaymentIntent: open, confirm, look, close, give back.

Nothing here decides what an answer means for the bill.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
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
from workflows.asking import Asking, Errand, OrderFor, Refused

__all__ = ["Collection", "Refused"]


class Bill(Errand, Protocol):
    """Whom the money is taken for: it is told of trouble, and says when to stop trying."""

    def is_over(self) -> bool:
        """Whether there is no point in taking the money any more."""


class Collection(Asking):
    """One bill's way through the gateway. Each call is one activity when all is well."""

    def __init__(self, bill: Bill) -> None:
        super().__init__(bill)
        self._bill = bill

    async def open(self, order: IntentOrder) -> Intent:
        """Make the intent, however long the gateway's answer takes: it may be there unanswered."""
        return await self.ask(
            StripeCalls.create_intent, _with_keys(order), f"open an intent of {order.money}"
        )

    async def open_another(
        self, order: IntentOrder, time_left: Callable[[], timedelta], is_late: Callable[[], bool]
    ) -> Intent | None:
        """Make one more intent; `None` if it was too late for it before the gateway answered."""
        return await self.ask_while(
            StripeCalls.create_intent,
            _with_keys(order),
            f"open another intent of {order.money}",
            lambda: self._bill.is_over() or is_late(),
            time_left,
        )

    async def confirm(
        self,
        order: ConfirmOrder,
        time_left: Callable[[], timedelta],
        is_late: Callable[[], bool] = lambda: False,
    ) -> Intent | None:
        """Take the money; `None` if it was too late for it before its outcome was known.

        That is when the bill is over. No try lasts longer than there is `time_left` for the money
        to be of use.
        """
        return await self.ask_while(
            StripeCalls.confirm_intent,
            lambda tries: order.model_copy(
                update={"generation": tries.generation, "is_repeat": tries.may_be_sent}
            ),
            f"attempt {order.attempt}: confirm",
            lambda: self._bill.is_over() or is_late(),
            time_left,
        )

    async def look(self, intent_id: str) -> Intent | None:
        """Read the intent; `None` if the bill was over before the gateway answered."""
        return await self.ask_while(
            StripeCalls.retrieve_intent,
            lambda _: intent_id,
            f"look at {intent_id}",
            self._bill.is_over,
        )

    async def capture(self, order: CaptureOrder) -> Intent:
        """Take what is held, however long the gateway's answer takes: it was decided."""
        return await self.ask(
            StripeCalls.capture_intent,
            lambda tries: order.model_copy(update={"generation": tries.generation}),
            f"capture {order.money}",
        )

    async def close(self, order: CloseOrder) -> Intent:
        """Cancel the intent, and prove it, however long that takes."""
        return await self.ask(
            StripeCalls.close_intent,
            lambda tries: order.model_copy(
                update={"generation": order.generation + tries.generation}
            ),
            f"cancel {order.intent_id}",
        )

    async def give_back(self, order: RefundOrder) -> Refund:
        """Refund what the intent took, however long the gateway's answer takes."""
        return await self.ask(
            StripeCalls.refund_intent,
            lambda tries: order.model_copy(update={"generation": tries.generation}),
            f"give back {order.money}",
        )

    async def look_at_refund(self, refund_id: str) -> Refund:
        """Read the refund."""
        return await self.ask(
            StripeCalls.retrieve_refund, lambda _: refund_id, f"look at {refund_id}"
        )

    async def refunds(self, intent_id: str) -> Refunds:
        """All refunds of the intent."""
        return await self.ask(
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
        found = await self.ask(
            StripeCalls.find_intent,
            lambda tries: search.model_copy(update={"searched_to": tries.searched_to}),
            f"look for the intent of {search.payment_id}",
        )
        return found.intent


def _with_keys(order: IntentOrder) -> OrderFor[IntentOrder]:
    return lambda tries: order.model_copy(
        update={
            "generation": tries.generation,
            "customer_generation": tries.customer_generation,
            "searched_to": tries.searched_to,
        }
    )
