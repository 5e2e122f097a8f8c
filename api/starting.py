"""From a request to a payment: whose it is, what it costs, and its first answer."""

from datetime import UTC, datetime, timedelta
from typing import Final

from structlog.contextvars import bind_contextvars

from api.answers import is_refused_by_a_bank, payment_view
from api.chosen import check_renewable
from api.connections import Connections
from api.customers import check_address, customer_of
from api.identity import Caller
from api.refusals import Forbidden, Invalid, KeyReused
from api.views import PaymentView
from api.visible import order_taken
from paysaga.domain.money import Money, check_chargeable
from paysaga.domain.payment import HostedPage, Payment, PaymentState
from paysaga.domain.returning import shop_address
from paysaga.starting.calls import (
    NoAnswerYet,
    OrderTaken,
    RunOver,
    StartedBefore,
    TemporalUnavailable,
)
from paysaga.starting.customers import check_customer
from paysaga.starting.methods import Chosen, chosen
from paysaga.starting.orders import CheckoutOrder, PaymentOrder
from paysaga.starting.payments import Asked, Findings, payment_for
from paysaga.starting.prices import Price, price_at_shop
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
        self._asked = Asked.by(
            self._customer_id,
            key,
            self._order.fingerprint(order.step),
            actor=caller.actor,
            correlation_id=correlation_id,
        )
        bind_contextvars(payment_id=self._asked.payment_id)

    def view(self, state: PaymentState) -> PaymentView:
        """The payment as its caller may see it."""
        return payment_view(self._here.settings, self._caller, state)

    async def known(self) -> PaymentState | None:
        """The payment that this request has started before, as it stands now."""
        state = await self._here.reads.payment(self._asked.payment_id)
        if state is not None and state.request_fingerprint != self._asked.mark.fingerprint:
            raise KeyReused
        return state

    async def carry_out(self, address: str | None) -> PaymentState:
        """Start the payment and answer with its first outcome, or as it stands when time is up."""
        for field, url in self._order.addresses.items():
            check_address(self._here.settings, self._caller, field, url)
        await check_customer(self._here.settings, self._here.auth, self._customer_id)
        price = await self._price()
        await self._check_order_is_free()
        method = await self._method()
        self._check_renewal(method)
        await self._here.declines.check(self._customer_id, method and method.token, address)
        await self._here.attempts.count(self._customer_id, self._asked.payment_id)
        await self._remember_email()
        payment = await self._payment(price, method)
        state = await self._outcome(payment)
        if state.request_fingerprint != self._asked.mark.fingerprint:
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
            missing: Exception = KeyReused()  # that request was another one, and it was refused
        except (RunOver, NoAnswerYet):
            missing = TemporalUnavailable()
        try:
            state = await self._here.reads.payment(self._asked.payment_id)
            state = state or await self._here.runs.opened(self._asked.payment_id)
        except OrderTaken as taken:
            if taken.lost and taken.lost.request_fingerprint != self._asked.mark.fingerprint:
                raise KeyReused from taken
            raise await order_taken(self._here, self._caller, taken.payment_id) from taken
        if state is None:
            raise missing
        return state

    async def _method(self) -> Chosen | None:
        """What it is paid with; on the gateway's page that is not known yet."""
        if isinstance(self._order, CheckoutOrder):
            return None
        return await chosen(self._here.methods, self._customer_id, self._order.payment_method_id)

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

    async def _price(self) -> Price:
        """What is to be paid. With an order service, its word counts and not the caller's."""
        if self._here.orders is None:
            price = self._told_price()
        else:
            price = await price_at_shop(
                self._here.orders, self._order, self._customer_id, self._asked.payment_id
            )
        check_chargeable(price.money)
        return price

    def _told_price(self) -> Price:
        if self._caller.role is not Role.SERVICE:
            raise Forbidden("Without an order service only the shop's backend starts payments.")
        if self._order.amount is None:
            raise Invalid("amount", "There is no order service: the amount is needed.")
        if self._order.currency is None:
            raise Invalid("currency", "There is no order service: the currency is needed.")
        money = Money(minor=self._order.amount, currency=self._order.currency)
        return Price(money, self._order.service_date)

    async def _payment(self, price: Price, method: Chosen | None) -> Payment:
        settings, order = self._here.settings, self._order
        known_as = method and method.gateway_customer_id
        found = Findings(
            price=price,
            method=method,
            gateway_customer_id=known_as
            or await self._here.reads.gateway_customer(self._customer_id),
            has_order_service=self._here.orders is not None,
            attempts=settings.payment_attempts,
        )
        page = self._page(order) if isinstance(order, CheckoutOrder) else None
        return payment_for(settings, self._asked, order, found, page)

    def _page(self, order: CheckoutOrder) -> HostedPage:
        return HostedPage(
            success_url=shop_address(order.success_url, "payment_id", self._asked.payment_id),
            cancel_url=shop_address(order.cancel_url, "payment_id", self._asked.payment_id),
        )

    async def _check_order_is_free(self) -> None:
        holder = await self._here.reads.holder(self._order.order_id)
        if holder not in {None, self._asked.payment_id}:
            raise await order_taken(self._here, self._caller, holder)


_LONGEST_HOLD: Final = timedelta(days=90)
