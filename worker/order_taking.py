"""What becomes of one order from the queue: a payment, or a refusal that the shop hears of."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractIncomingMessage
from structlog.contextvars import bound_contextvars

from paysaga.auth import AuthService
from paysaga.database.outbox import Outbox
from paysaga.database.reads import Reads
from paysaga.database.saved_methods import SavedMethods
from paysaga.database.sinks import Sinks
from paysaga.domain.money import AmountRefused, check_chargeable
from paysaga.domain.outbox import OutboxEvent
from paysaga.domain.payment import PaymentState
from paysaga.domain.sink import Repeat
from paysaga.events.amqp import AmqpTarget
from paysaga.events.broker import Exchange
from paysaga.events.delivery import Answer, Verdict
from paysaga.events.shapes import published
from paysaga.orders import OrderService
from paysaga.settings import Settings
from paysaga.starting.calls import OrderTaken, StartedBefore
from paysaga.starting.customers import check_customer
from paysaga.starting.declines import DeclineGuard
from paysaga.starting.limits import AttemptLimit
from paysaga.starting.methods import chosen
from paysaga.starting.payments import Asked, Findings, correlation_id, payment_for
from paysaga.starting.prices import Price, price_at_shop
from paysaga.starting.refusals import NotStarted, OrderHasPayment
from paysaga.starting.runs import Starts
from worker.dead_letters import dead_letter, holds_card_number_beside_the_body
from worker.order_messages import (
    PAYMENT_REFUSED,
    HoldsCardNumber,
    NotAnOrder,
    PaymentRefused,
    StockConfirmed,
    read,
)

# Between looks for a row that its run is about to write: some seconds in all.
_LOOKS: Final = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0)
# Between looks whether a sink has written down what it has just told: some seconds in all.
_NOTED_WITHIN: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0)
# A reader sees an event as soon as those before it are written; long after that it is gone.
_SHOWN_WITHIN: Final = timedelta(minutes=10)

log: Final = structlog.stdlib.get_logger("orders")


class NotYet(Exception):
    """Somebody who is needed is away, or not ready: the order is taken up again later."""


class KeyReused(NotStarted):
    """The event's id belongs to another order."""

    code = "key_reused"
    sentence = "This event_id came before with other content. Send a new one."


class RunEnded(NotStarted):
    """Somebody has ended the payment's run before it wrote anything down."""

    code = "run_ended"
    sentence = "The payment was ended before it began. Send the order again with a new event_id."


@dataclass(frozen=True)
class Desk:
    """Whom is asked before a payment starts, and who starts it."""

    settings: Settings
    reads: Reads
    outbox: Outbox
    sinks: Sinks
    methods: SavedMethods
    starts: Starts
    attempts: AttemptLimit
    declines: DeclineGuard
    orders: OrderService | None
    auth: AuthService | None


class OrderTaking:
    """Takes orders. Each may come any number of times: it has one payment, or one refusal."""

    def __init__(
        self, desk: Desk, results: AmqpTarget, refusals: Exchange, dead: Exchange, queue: str
    ) -> None:
        """Make it ready.

        Args:
            desk: What is asked.
            results: Where a payment's events go.
            refusals: The same exchange, for what is no payment's event.
            dead: Where what cannot be taken is put aside.
            queue: By which name.
        """
        self._desk = desk
        self._results = results
        self._refusals = refusals
        self._dead = dead
        self._queue = queue

    async def take(self, message: AbstractIncomingMessage) -> None:
        """See to it that the order has its payment or its refusal; then it may be forgotten.

        Raises:
            NotYet: Nobody knows yet.
            Exception: Somebody is away, or we have made a mistake.
        """
        if holds_card_number_beside_the_body(message):
            await self.put_aside(message, HoldsCardNumber())
            return
        try:
            order = read(message.body, self._desk.settings)
        except NotAnOrder as why:
            await self.put_aside(message, why)
            return
        asked = order.asked(correlation_id(message.correlation_id))
        about = {
            "event_id": order.event_id,
            "payment_id": asked.payment_id,
            "correlation_id": asked.correlation_id,
        }
        with bound_contextvars(**about):
            try:
                await self._paid(order, asked)
            except (NotStarted, AmountRefused) as why:
                await self._refuse(message, order, why)

    async def put_aside(self, message: AbstractIncomingMessage, why: NotAnOrder) -> None:
        """Keep it among the dead letters as it came, with the reason.

        What holds a card number is not kept: only that it came.
        """
        log.warning("an order is put aside", code=why.code, detail=why.detail)
        _confirmed(await self._dead.publish(dead_letter(message, why), f"{self._queue}.dead"))

    async def _paid(self, order: StockConfirmed, asked: Asked) -> None:
        if state := await self._known(asked):
            log.info("an order came again", status=state.status)
            await self._tell_again(state)
            return
        try:
            await self._start(order, asked)
        except (NotStarted, AmountRefused):
            # Its twin, in another process, may have come first: there is a payment after all.
            if await self._known(asked) is None:
                raise

    async def _known(self, asked: Asked) -> PaymentState | None:
        """The payment of this event, if it was started before.

        Raises:
            KeyReused: There is one, of an order with other content.
            OrderHasPayment: It was started, and another payment of the order was faster.
        """
        state = await self._desk.reads.payment(asked.payment_id)
        try:
            state = state or await self._desk.starts.opened(asked.payment_id)
        except OrderTaken as taken:
            _check_content(taken.lost, asked)
            told = "Another payment held this order. Send it again with a new event_id."
            raise OrderHasPayment(told, payment_id=taken.payment_id) from taken
        _check_content(state, asked)
        return state

    async def _tell_again(self, state: PaymentState) -> None:
        """The result of a payment that is final, as it was told before; if not, the sink tells."""
        if not state.is_final:
            return
        kind = f"payment.{state.status}"
        events = await self._desk.outbox.after(None, 100, types=[kind], object_id=state.id)
        if not events:
            if datetime.now(UTC) - state.updated_at > _SHOWN_WITHIN:
                # Its event is not kept any more; whoever asks so late can ask the API.
                log.warning("the result of an order is not told again", payment_id=state.id)
                return
            raise NotYet("its result is not shown yet")
        if await self._may_be_repeated(events[-1]):
            _confirmed(await self._results.deliver(published(events[-1])))

    async def _may_be_repeated(self, event: OutboxEvent) -> bool:
        """Whether the sink has told it. If it has not, even after a while, it does in its turn.

        Who asks because they have just heard it asks before that is written down: were the answer
        no at once, they would hear no more.
        """
        for pause in (*_NOTED_WITHIN, None):
            repeat = await self._desk.sinks.repeat_of("snk_amqp", event)
            if repeat is not Repeat.LATER or pause is None:
                break
            await asyncio.sleep(pause)
        return repeat is Repeat.NOW

    async def _start(self, order: StockConfirmed, asked: Asked) -> None:
        """Start the payment, and wait until it is written down: from then on its events tell."""
        found = await self._findings(order, asked)
        payment = payment_for(self._desk.settings, asked, order.as_order, found)
        try:
            await self._desk.starts.begin(payment)
        except StartedBefore:
            log.info("an order was taken by somebody else just now")
        for pause in _LOOKS:
            if await self._desk.reads.payment(payment.id) is not None:
                break
            if await self._known(asked) is None:
                raise RunEnded
            await asyncio.sleep(pause)
        else:
            raise NotYet("its run has written nothing so far")
        log.info("an order is taken", order_id=order.order_id)

    async def _findings(self, order: StockConfirmed, asked: Asked) -> Findings:
        """All that can be refused is refused here: nothing has been started yet.

        Raises:
            NotStarted: It is refused.
            AmountRefused: The amount cannot be charged.
        """
        desk = self._desk
        await check_customer(desk.settings, desk.auth, order.customer_id)
        price = Price(order.money, order.service_date)
        if desk.orders is not None:
            price = await price_at_shop(
                desk.orders, order.as_order, order.customer_id, asked.payment_id
            )
        check_chargeable(price.money)
        holder = await desk.reads.holder(order.order_id)
        if holder not in {None, asked.payment_id}:
            raise OrderHasPayment(payment_id=holder)
        method = await chosen(desk.methods, order.customer_id, order.payment_method_id)
        await desk.declines.check(order.customer_id, method.token, None)
        await desk.attempts.count(order.customer_id, asked.payment_id)
        known_as = method.gateway_customer_id
        return Findings(
            price=price,
            method=method,
            gateway_customer_id=known_as or await desk.reads.gateway_customer(order.customer_id),
            has_order_service=desk.orders is not None,
            attempts=order.attempts,
        )

    async def _refuse(
        self,
        message: AbstractIncomingMessage,
        order: StockConfirmed,
        why: NotStarted | AmountRefused,
    ) -> None:
        """Tell the shop, then put the order aside. Both may happen again, with the same ids."""
        refused = _refused(order, why)
        answer = Message(
            refused.model_dump_json().encode(),
            delivery_mode=DeliveryMode.PERSISTENT,
            content_type="application/json",
            message_id=refused.id,
            type=PAYMENT_REFUSED,
            correlation_id=correlation_id(message.correlation_id),
        )
        _confirmed(await self._refusals.publish(answer, PAYMENT_REFUSED))
        await self.put_aside(message, NotAnOrder(refused.code, refused.detail))


def _refused(order: StockConfirmed, why: NotStarted | AmountRefused) -> PaymentRefused:
    if isinstance(why, AmountRefused):
        return PaymentRefused.of(order, why.code, f"amount: {why}", None)
    told = f"{why.field}: {why.told}" if why.field else why.told
    return PaymentRefused.of(order, why.code, told, why.payment_id)


def _check_content(state: PaymentState | None, asked: Asked) -> None:
    if state is not None and state.request_fingerprint != asked.mark.fingerprint:
        raise KeyReused(payment_id=state.id)


def _confirmed(answer: Answer) -> None:
    if answer.verdict is not Verdict.TAKEN:
        raise NotYet(answer.told)
