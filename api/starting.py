"""From an order to a payment: whose it is, what it costs, and its first answer."""

from datetime import UTC, datetime, timedelta
from typing import Final

from structlog.contextvars import bind_contextvars

from api.answers import address as address_of
from api.answers import is_refused_by_a_bank, payment_view
from api.bodies import CheckoutOrder, PaymentOrder
from api.chosen import Chosen, check_renewable, chosen
from api.connections import Connections
from api.customers import check_address, check_customer, customer_of
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
from api.returning import shop_address
from api.run_errors import NoAnswerYet, OrderTaken, RunOver, StartedBefore
from api.views import PaymentView
from api.visible import order_taken
from paysaga.domain import ids
from paysaga.domain.checkout import ON_THE_PAGE
from paysaga.domain.money import Money, check_chargeable
from paysaga.domain.payment import HostedPage, Payment, PaymentState, Policy, RequestMark
from paysaga.orders import Order, OrderStatus
from paysaga.tokens import Role


class Start:
    """One request to pay an order."""

    def __init__(
        self,
        here: Connections,
        caller: Caller,
        order: PaymentOrder | CheckoutOrder,
        key: str,
        correlation_id: str,
    ) -> None:
        self._here = here
        self._caller = caller
        self._customer_id = customer_of(caller, order.customer_id)
        self._order: PaymentOrder | CheckoutOrder = order.model_copy(
            update={"customer_id": self._customer_id}
        )
        self._id = ids.derived(ids.PAYMENT, self._customer_id, key)
        bind_contextvars(payment_id=self._id)
        self._mark = RequestMark(
            key=ids.fingerprint(key), fingerprint=self._order.fingerprint(_STEPS[type(order)])
        )
        self._correlation_id = correlation_id

    def view(self, state: PaymentState) -> PaymentView:
        """The payment as its caller may see it."""
        return payment_view(self._here.settings, self._caller, state)

    async def known(self) -> PaymentState | None:
        """The payment that this request has started before, as it stands now."""
        state = await self._here.reads.payment(self._id)
        if state is not None and state.request_fingerprint != self._mark.fingerprint:
            raise KeyReused
        return state

    async def carry_out(self, address: str | None) -> PaymentState:
        """Start the payment and answer with its first outcome, or as it stands when time is up."""
        for field, url in self._order.addresses.items():
            check_address(self._here.settings, self._caller, field, url)
        await check_customer(self._here, self._customer_id)
        price = await self._price()
        await self._check_order_is_free()
        method = await self._method()
        self._check_renewal(method)
        await self._here.declines.check(self._customer_id, method and method.token, address)
        await self._here.attempts.count(self._customer_id, self._id)
        await self._remember_email()
        gateway_customer = method and method.gateway_customer_id
        gateway_customer = gateway_customer or await self._here.reads.gateway_customer(
            self._customer_id
        )
        payment = self._payment(price, method, gateway_customer)
        state = await self._outcome(payment)
        if state.request_fingerprint != self._mark.fingerprint:
            raise KeyReused  # the other request with this key came first, a moment ago
        if is_refused_by_a_bank(state):
            await self._here.declines.declined(state.id, state.attempts_used, address)
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

    async def _method(self) -> Chosen | None:
        """What it is paid with; on the gateway's page that is not known yet."""
        if isinstance(self._order, CheckoutOrder):
            return None
        return await chosen(self._here, self._customer_id, self._order.payment_method_id)

    def _check_renewal(self, method: Chosen | None) -> None:
        """Whether it can be renewed, and that long.

        Raises:
            Invalid: It cannot.
        """
        until = self._renew_until
        if until is None:
            return
        ahead = until - datetime.now(UTC)
        if not timedelta() < ahead <= _LONGEST_HOLD:
            told = f"A hold is renewed for {_LONGEST_HOLD.days} days at most, and not in the past."
            raise Invalid("renew_hold_until", told)
        check_renewable(method)

    @property
    def _renew_until(self) -> datetime | None:
        return self._order.renew_hold_until if isinstance(self._order, PaymentOrder) else None

    async def _remember_email(self) -> None:
        """Kept with the customer: the run knows no address, and whoever writes to them asks."""
        if isinstance(self._order, CheckoutOrder) and self._order.customer_email:
            await self._here.customers.remember_email(
                self._customer_id, self._order.customer_email, datetime.now(UTC)
            )

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

    def _payment(
        self, price: Money, method: Chosen | None, gateway_customer_id: str | None
    ) -> Payment:
        settings, order = self._here.settings, self._order
        return Payment(
            id=self._id,
            order_id=order.order_id,
            customer_id=self._customer_id,
            gateway_customer_id=gateway_customer_id,
            money=price,
            method=method.token if method else ON_THE_PAGE,
            page=self._page(order) if isinstance(order, CheckoutOrder) else None,
            capture_method=order.capture_method,
            renew_hold_until=self._renew_until,
            description=order.description,
            statement_descriptor_suffix=settings.statement_descriptor_suffix,
            return_url=order.return_url,
            gateway_return_url=f"{address_of(settings, self._id)}/return",
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

    def _page(self, order: CheckoutOrder) -> HostedPage:
        return HostedPage(
            success_url=shop_address(order.success_url, "payment_id", self._id),
            cancel_url=shop_address(order.cancel_url, "payment_id", self._id),
        )

    async def _check_order_is_free(self) -> None:
        holder = await self._here.reads.holder(self._order.order_id)
        if holder not in {None, self._id}:
            raise await order_taken(self._here, self._caller, holder)


_LONGEST_HOLD: Final = timedelta(days=90)
# What a request is told apart by: the same key for another route is another request.
_STEPS: Final = {PaymentOrder: "start", CheckoutOrder: "start-checkout"}
