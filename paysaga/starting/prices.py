"""What an order costs: with an order service, its word counts and not the caller's."""

from datetime import date
from typing import NamedTuple

from paysaga.domain.money import Money
from paysaga.orders import Order as ShopsOrder
from paysaga.orders import OrderService, OrderStatus
from paysaga.starting.orders import Order
from paysaga.starting.refusals import (
    AmountMismatch,
    OrderHasPayment,
    OrderMissing,
    OrderNotOpen,
    ServiceDateMismatch,
)
from paysaga.timing import timed


class Price(NamedTuple):
    """What is to be paid, and for which day."""

    money: Money
    service_date: date | None


async def price_at_shop(
    service: OrderService, told: Order, customer_id: str, payment_id: str
) -> Price:
    """The order's own price and day, if it waits for this payment of this customer.

    Raises:
        NotStarted: It does not, or the request tells another price or day.
        OrderServiceUnavailable: Nobody can tell.
    """
    with timed("orders"):
        order = await service.look(told.order_id)
    if order is None or order.customer_id != customer_id:
        raise OrderMissing
    if told.amount not in {None, order.amount} or told.currency not in {None, order.currency}:
        said = Money(
            minor=order.amount if told.amount is None else told.amount,
            currency=told.currency or order.currency,
        )
        raise AmountMismatch(f"The order costs {order.money}, and the request says {said}.")
    if told.service_date not in {None, order.service_date}:
        day = order.service_date or "no day"
        raise ServiceDateMismatch(f"The order is for {day}, and the request says otherwise.")
    if order.payment_id != payment_id:
        _check_open(order)
    return Price(order.money, order.service_date)


def _check_open(order: ShopsOrder) -> None:
    if order.status is OrderStatus.RESERVED and order.payment_id is not None:
        raise OrderHasPayment(payment_id=order.payment_id)
    if order.status not in {OrderStatus.OPEN, OrderStatus.RESERVED}:
        raise OrderNotOpen(f"This order is {order.status}: it does not wait for a payment.")
