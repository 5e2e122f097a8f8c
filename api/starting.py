"""From an order to a payment: whose it is, what it costs, and its first answer."""

from urllib.parse import urlsplit

from structlog.contextvars import bind_contextvars

from api.answers import address
from api.bodies import PaymentOrder
from api.connections import Connections
from api.identity import Caller
from api.middleware import timed
from api.refusals import (
    AmountMismatch,
    Forbidden,
    Invalid,
    KeyReused,
    OrderHasPayment,
    OrderMissing,
    OrderNotOpen,
    Refusal,
    TemporalUnavailable,
)
from api.run_errors import NoAnswerYet, OrderTaken, RunOver, StartedBefore
from api.visible import order_taken
from paysaga.domain import ids
from paysaga.domain.money import Money, check_chargeable
from paysaga.domain.payment import Payment, PaymentState, Policy, RequestMark
from paysaga.orders import Order, OrderStatus
from paysaga.settings import Environment
from paysaga.tokens import Role


class Start:
    """One request to pay an order."""

    def __init__(
        self, here: Connections, caller: Caller, order: PaymentOrder, key: str, correlation_id: str
    ) -> None:
        self._here = here
        self._caller = caller
        self._customer_id = _customer_id(caller, order)
        self._order = order.model_copy(update={"customer_id": self._customer_id})
        self._id = ids.derived(ids.PAYMENT, self._customer_id, key)
        bind_contextvars(payment_id=self._id)
        self._mark = RequestMark(
            key=ids.fingerprint(key), fingerprint=self._order.fingerprint("start")
        )
        self._correlation_id = correlation_id

    async def known(self) -> PaymentState | None:
        """The payment that this request has started before, as it stands now."""
        state = await self._here.reads.payment(self._id)
        if state is not None and state.request_fingerprint != self._mark.fingerprint:
            raise KeyReused
        return state

    async def carry_out(self) -> PaymentState:
        """Start the payment and answer with its first outcome, or as it stands when time is up."""
        self._check_return_url()
        await self._check_customer()
        price = await self._price()
        await self._check_order_is_free()
        await self._here.attempts.count(self._customer_id, self._id)
        gateway_customer = await self._here.reads.gateway_customer(self._customer_id)
        payment = self._payment(price, gateway_customer)
        state = await self._outcome(payment)
        if state.request_fingerprint != self._mark.fingerprint:
            raise KeyReused  # the other request with this key came first, a moment ago
        return state

    async def _outcome(self, payment: Payment) -> PaymentState:
        try:
            return await self._here.runs.start(payment)
        except OrderTaken as taken:
            raise await order_taken(self._here, self._caller, taken.payment_id) from taken
        except StartedBefore:
            missing: Refusal = KeyReused()  # that request was another one, and it was refused
        except (RunOver, NoAnswerYet):
            missing = TemporalUnavailable()
        try:
            state = await self._here.reads.payment(self._id)
            state = state or await self._here.runs.opened(self._id)
        except OrderTaken as taken:
            if taken.lost and taken.lost.request_fingerprint != self._mark.fingerprint:
                raise KeyReused from taken
            raise await order_taken(self._here, self._caller, taken.payment_id) from taken
        if state is None:
            raise missing
        return state

    def _check_return_url(self) -> None:
        """Our return route sends browsers there: a customer must not choose where others land."""
        settings, address = self._here.settings, urlsplit(self._order.return_url)
        if settings.environment is Environment.PRODUCTION and address.scheme != "https":
            raise Invalid("return_url", "An https address is needed.")
        origin = f"{address.scheme}://{address.netloc}"
        if self._caller.role is not Role.SERVICE and origin not in settings.cors_origins:
            raise Invalid("return_url", "A customer's token leads back to the shop's pages only.")

    async def _check_customer(self) -> None:
        """Whether the auth service knows them, where it is to be asked."""
        if not self._here.settings.auth_service_knows_customers or self._here.auth is None:
            return
        with timed("auth"):
            user = await self._here.auth.user(self._customer_id)
        if user is None or not user.active:
            raise Invalid("customer_id", "There is no such customer, or not any more.")

    async def _price(self) -> Money:
        """What is to be paid. With an order service, its word counts and not the caller's."""
        if self._here.orders is None:
            price = self._told_price()
        else:
            with timed("orders"):
                order = await self._here.orders.look(self._order.order_id)
            price = self._checked(order).money
        check_chargeable(price)
        return price

    def _told_price(self) -> Money:
        if self._caller.role is not Role.SERVICE:
            raise Forbidden("Without an order service only the shop's backend starts payments.")
        if self._order.amount is None:
            raise Invalid("amount", "There is no order service: the amount is needed.")
        if self._order.currency is None:
            raise Invalid("currency", "There is no order service: the currency is needed.")
        return Money(minor=self._order.amount, currency=self._order.currency)

    def _checked(self, order: Order | None) -> Order:
        if order is None or order.customer_id != self._customer_id:
            raise OrderMissing
        amount, currency = self._order.amount, self._order.currency
        if amount not in {None, order.amount} or currency not in {None, order.currency}:
            told = Money(
                minor=order.amount if amount is None else amount,
                currency=currency or order.currency,
            )
            raise AmountMismatch(f"The order costs {order.money}, and the request says {told}.")
        if order.payment_id != self._id:
            self._check_open(order)
        return order

    def _check_open(self, order: Order) -> None:
        if order.status is OrderStatus.RESERVED and order.payment_id is not None:
            raise OrderHasPayment(payment_id=order.payment_id)
        if order.status not in {OrderStatus.OPEN, OrderStatus.RESERVED}:
            raise OrderNotOpen(f"This order is {order.status}: it does not wait for a payment.")

    def _payment(self, price: Money, gateway_customer_id: str | None) -> Payment:
        settings, order = self._here.settings, self._order
        return Payment(
            id=self._id,
            order_id=order.order_id,
            customer_id=self._customer_id,
            gateway_customer_id=gateway_customer_id,
            money=price,
            method=order.payment_method_id,
            capture_method=order.capture_method,
            description=order.description,
            statement_descriptor_suffix=settings.statement_descriptor_suffix,
            return_url=order.return_url,
            gateway_return_url=f"{address(settings, self._id)}/return",
            metadata=order.metadata,
            environment=settings.environment_name,
            policy=Policy(
                attempts=settings.payment_attempts,
                hold=settings.hold,
                action_window=settings.action_window,
            ),
            has_order_service=self._here.orders is not None,
            actor=self._caller.actor,
            request=self._mark,
            correlation_id=self._correlation_id,
        )

    async def _check_order_is_free(self) -> None:
        holder = await self._here.reads.holder(self._order.order_id)
        if holder not in {None, self._id}:
            raise await order_taken(self._here, self._caller, holder)


def _customer_id(caller: Caller, order: PaymentOrder) -> str:
    if caller.role is Role.SERVICE:
        if order.customer_id is None:
            raise Invalid("customer_id", "Whose payment is it?")
        return order.customer_id
    if order.customer_id not in {None, caller.subject}:
        raise Forbidden("A customer pays for themselves only.")
    return caller.subject
