"""A new hold for one that ends too soon, and of two holds always one that is let go."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.stripe_orders import CloseOrder, ConfirmOrder, IntentOrder
    from paysaga.domain import renewals as rules
    from paysaga.domain.intent import Intent, IntentStatus
    from paysaga.domain.payment import Attempt, Change, Payment, PaymentState
    from paysaga.domain.transitions import shown

from workflows.collection import Collection, Refused
from workflows.holding import Holding
from workflows.record import Record
from workflows.ways import Way


class BothCaptured(Refused):
    """The customer has paid twice: which of the two goes back is a person's to decide."""


class Renewal:
    """One payment's hold while it is replaced. The new intent is written down unconfirmed.

    A capture does not wait for a gateway that does not answer: it takes the old hold.
    """

    def __init__(
        self,
        payment: Payment,
        record: Record,
        collection: Collection,
        way: Way,
        holding: Holding,
    ) -> None:
        self._payment = payment
        self._record = record
        self._collection = collection
        self._way = way
        self._holding = holding
        self._until = workflow.now()

    @property
    def is_due(self) -> bool:
        """Whether the hold is to be replaced now."""
        return rules.is_due(self._state, workflow.now())

    async def renew(self) -> Intent | None:
        """Replace the hold, or say why not; the intent that counts instead of the old one.

        Raises:
            Refused: The gateway will not let go of the other hold.
        """
        decision = self._state.version
        self._until = rules.give_up_at(self._state, workflow.now())
        opened, why = await self._opened(decision)
        if opened is None:
            await self._not_renewed(why)
            return None
        await self._record.move(lambda state, _: rules.began(state, opened, workflow.now()))
        fresh, why = await self._confirmed(opened, decision)
        if fresh is not None and not why:
            self._way.intent = fresh
            await self._record.move(lambda state, _: rules.renewed(state, fresh, workflow.now()))
        else:
            await self._not_renewed(why)  # at once: the rest may take as long as it does
        instead = await self.settle()
        return instead if why else instead or fresh

    async def settle(self) -> Intent | None:
        """Let go of the other hold; the intent that counts instead, if the other was captured."""
        return await let_go_of_the_other(self._record, self._collection, self._counts)

    async def _opened(self, decision: int) -> tuple[Intent | None, str]:
        """The new intent, or why there is none that we know: unconfirmed, it would do no harm."""
        try:
            opened = await self._collection.open_another(
                self._order(decision), self._time_left, self._is_late
            )
        except Refused as refused:
            return None, refused.message
        return opened, "" if opened else "there was no time left for it"

    async def _confirmed(self, opened: Intent, decision: int) -> tuple[Intent | None, str]:
        """What the new intent is now, and what keeps it from taking the old one's place."""
        attempt = self._record.attempt
        order = ConfirmOrder(
            payment_id=self._payment.id,
            intent_id=opened.id,
            attempt=attempt.number,
            method=attempt.method,
            return_url=self._payment.gateway_return_url,
            seen_status=opened.status,
            renewal=decision,
        )
        try:
            fresh = await self._collection.confirm(order, self._time_left, self._is_late)
        except Refused as refused:
            return None, refused.message
        if fresh is None:
            return None, "its outcome was not known in time"
        return fresh, rules.why_not(self._state, fresh, workflow.now())

    async def _not_renewed(self, why: str) -> None:
        if self._holding.is_capturing:
            return  # if that is refused, it may be renewed yet
        workflow.logger.warning("the hold is not renewed", extra={"why": why})
        await self._record.move(lambda state, _: rules.not_renewed(state, workflow.now(), why))

    def _order(self, decision: int) -> IntentOrder:
        payment, state = self._payment, self._state
        return IntentOrder(
            payment_id=payment.id,
            order_id=payment.order_id,
            customer_id=payment.customer_id,
            gateway_customer_id=state.gateway_customer_id,
            money=payment.money,
            description=payment.description,
            statement_descriptor_suffix=payment.statement_descriptor_suffix,
            capture_method=payment.capture_method,
            environment=payment.environment,
            correlation_id=payment.correlation_id,
            ordered_at=workflow.now(),
            renewal=decision,
        )

    def _counts(self, intent: Intent) -> None:
        self._way.intent = intent

    def _time_left(self) -> timedelta:
        return self._until - workflow.now()

    def _is_late(self) -> bool:
        return self._holding.is_capturing or workflow.now() >= self._until

    @property
    def _state(self) -> PaymentState:
        return self._record.state


async def let_go_of_the_other(
    record: Record, collection: Collection, counts: Callable[[Intent], None] = lambda _: None
) -> Intent | None:
    """Cancel the intent that does not count, and prove it; nothing to do if there is none.

    If it was captured meanwhile, by hand, it is the one that counts: it is told to `counts`, and
    the hold that was to replace it is let go. Captured and all given back it holds nothing.

    Raises:
        BothCaptured: Nothing more may be done by itself.
        Refused: The gateway will not cancel it.
    """
    instead = None
    while record.state.other_intent_open:
        state = record.state
        intent_id = str(state.other_intent_id)
        other = await collection.close(
            CloseOrder(payment_id=state.id, intent_id=intent_id, decision=state.version)
        )
        if other.status is IntentStatus.CANCELED or await _is_given_back(other, collection):
            await record.move(partial(_released, intent_id))
        elif other.status is not IntentStatus.SUCCEEDED:
            raise Refused(f"the other hold cannot be let go: {shown(other)}")
        elif await _has_money(str(state.intent_id), collection):
            raise BothCaptured(
                f"both holds were captured, {state.intent_id} and {other.id}: refund one of them at"
                " the gateway, then look again"
            )
        else:
            instead = other
            counts(other)
            await record.move(partial(_restored, intent_id))
    return instead


def _released(intent_id: str, state: PaymentState, _: Attempt) -> tuple[Change, ...]:
    return rules.released(state, intent_id, workflow.now())


def _restored(intent_id: str, state: PaymentState, _: Attempt) -> tuple[Change, ...]:
    return rules.restored(state, intent_id, workflow.now())


async def _has_money(intent_id: str, collection: Collection) -> bool:
    intent = await collection.look(intent_id)
    if intent is None or intent.status is not IntentStatus.SUCCEEDED:
        return False  # not known in time, it is found out when it is to be let go
    return not await _is_given_back(intent, collection)


async def _is_given_back(intent: Intent, collection: Collection) -> bool:
    if intent.status is not IntentStatus.SUCCEEDED:
        return False
    return (await collection.refunds(intent.id)).given_back >= intent.received
