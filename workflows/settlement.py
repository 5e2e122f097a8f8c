"""What follows the money: the shop takes the order, or what was taken goes back."""

from datetime import datetime
from typing import Final

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.stripe_orders import RefundOrder
    from activities.stripe_words import Refunds
    from paysaga.domain import repairs as decisions
    from paysaga.domain import transitions as rules
    from paysaga.domain.money import Money
    from paysaga.domain.payment import Change, Fulfillment, PaymentState, PaymentStatus
    from paysaga.domain.reasons import Reason

from workflows.collection import Collection, Refused
from workflows.record import Record
from workflows.reservation import Reservation
from workflows.watch import Watch

_ON_ITS_WAY: Final = frozenset({"pending", "requires_action"})
# Nobody has looked: nothing is known of refunds by others.
NONE: Final = Refunds()


class Settlement:
    """One paid payment's end. What cannot be given back parks: a person decides."""

    def __init__(
        self, record: Record, collection: Collection, reservation: Reservation, watch: Watch
    ) -> None:
        self._record = record
        self._collection = collection
        self._reservation = reservation
        self._watch = watch

    async def tell_the_shop(self) -> None:
        """The order is paid. If the shop will not have it, all that was taken is owed back."""
        state = self._state
        if state.fulfillment is not Fulfillment.PENDING:
            return
        if state.amount_refunded == state.amount_captured:
            await self._record.move(lambda state, _: rules.order_lost(state, workflow.now()))
        elif await self._reservation.confirm():
            await self._confirmed()
        else:
            await self.owe_back(Reason.ORDER_REFUSED)

    async def ask_the_shop(self) -> None:
        """Whether it has taken the order: a workflow task that was lost may have told it."""
        if await self._reservation.is_taken():
            await self._confirmed()

    async def owe_back(self, reason: Reason) -> None:
        """All that was taken is to go back."""
        await self._record.move(lambda state, _: rules.owed_back(state, reason, workflow.now()))

    async def give_back(self, seen: Refunds = NONE, *, decision: int = 0) -> None:
        """Refund what is owed and was not `seen` to have gone back already."""
        state = self._state
        by_others = max(seen.given_back - state.amount_refunded, 0)
        owed = max(state.amount_refund_pending - by_others, 0)
        failure = owed and await self.refund(
            Money(minor=owed, currency=state.money.currency), seen, decision=decision
        )
        if failure:
            await self.park(failure)
        else:
            await self._record.move(lambda state, _: rules.given_back(state, workflow.now()))

    async def refund(self, money: Money, seen: Refunds = NONE, *, decision: int = 0) -> str | None:
        """Why the refund came to nothing; `None` once the gateway has given the money back.

        A refund that was `seen` is not taken for this one: `money` is what they leave to give back.
        """
        state = self._state
        order = RefundOrder(
            payment_id=state.id,
            intent_id=str(state.intent_id),
            money=money,
            after=seen.ids,
            decision=decision,
        )
        try:
            refund = await self._collection.give_back(order)
            if refund.status in _ON_ITS_WAY:
                await self._record.move(lambda state, _: _still_pending(state, workflow.now()))
            while refund.status in _ON_ITS_WAY:
                await self._watch.next_look()
                self._watch.saw(news=False)
                refund = await self._collection.look_at_refund(refund.id)
                self._watch.looks += 1
        except Refused as refused:
            return refused.message
        why = f", {refund.failure_reason}" if refund.failure_reason else ""
        return None if refund.status == "succeeded" else f"{refund.id} is {refund.status}{why}"

    async def _confirmed(self) -> None:
        await self._record.move(lambda state, _: rules.order_confirmed(state, workflow.now()))

    async def park(self, why: str) -> None:
        """What is owed cannot be given back: a person decides."""
        evidence = f"the refund came to nothing: {why}"
        workflow.logger.error("the refund failed", extra={"why": why})
        await self._record.move(
            lambda state, _: rules.parked(state, Reason.REFUND_FAILED, workflow.now(), evidence)
        )

    @property
    def _state(self) -> PaymentState:
        return self._record.state


def _still_pending(state: PaymentState, at: datetime) -> tuple[Change, ...]:
    """Why a payment is parked stays its reason: only its history tells of the refund."""
    if state.status is PaymentStatus.NEEDS_OPERATOR:
        return decisions.told(state, Reason.REFUND_PENDING, at)
    return rules.noted(state, Reason.REFUND_PENDING, at)
