"""The shop's order service: `GET /orders/{id}` and `POST /orders/{id}/reserve | confirm | release`.

All three POSTs are idempotent by our payment id. 2xx is a yes with the order as it stands; 404, 409
and 410 are a documented no; everything else means: ask again later.
"""

from enum import StrEnum
from typing import Final, TypeVar

import httpx
from pydantic import StrictInt, ValidationError

from paysaga.domain.message import Message
from paysaga.domain.money import Currency, Money
from paysaga.domain.service_date import ServiceDate

Told = TypeVar("Told", bound="Order")

REFUSALS: Final = frozenset({404, 409, 410})


class OrderStatus(StrEnum):
    """Where the shop's order stands."""

    OPEN = "open"
    RESERVED = "reserved"
    PAID = "paid"
    CANCELED = "canceled"


class Order(Message):
    """The shop's word on an order: its price and its owner are what counts."""

    order_id: str
    customer_id: str
    amount: StrictInt
    currency: Currency
    status: OrderStatus
    payment_id: str | None = None

    @property
    def money(self) -> Money:
        """The order's price."""
        return Money(minor=self.amount, currency=self.currency)


class DatedOrder(Order):
    """What is asked before a payment starts. Later its day decides nothing, and may be anything."""

    service_date: ServiceDate | None = None


class OrderServiceUnavailable(Exception):
    """The order service did not answer, or not in a way that we know."""


class OrderService:
    """A client of the shop's order service. Answers `None` for a documented no."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def look(self, order_id: str) -> DatedOrder | None:
        """The order as it stands; `None` if there is none."""
        return await self._ask(DatedOrder, "GET", f"/orders/{order_id}", None)

    async def reserve(self, order_id: str, payment_id: str) -> Order | None:
        """Keep the order for this payment."""
        return await self._ask(Order, "POST", f"/orders/{order_id}/reserve", payment_id)

    async def confirm(self, order_id: str, payment_id: str) -> Order | None:
        """The order is paid.

        Raises:
            OrderServiceUnavailable: Also if the yes comes with an order that says otherwise.
        """
        order = await self._ask(Order, "POST", f"/orders/{order_id}/confirm", payment_id)
        if order and (order.status is not OrderStatus.PAID or order.payment_id != payment_id):
            raise OrderServiceUnavailable(
                f"order {order_id} was confirmed, but is {order.status} for {order.payment_id}"
            )
        return order

    async def release(self, order_id: str, payment_id: str) -> Order | None:
        """The order is not kept any longer."""
        return await self._ask(Order, "POST", f"/orders/{order_id}/release", payment_id)

    async def _ask(
        self, kind: type[Told], method: str, path: str, payment_id: str | None
    ) -> Told | None:
        body = {"payment_id": payment_id} if payment_id else None
        try:
            answer = await self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise OrderServiceUnavailable(f"no answer to {method} {path}") from error
        if answer.status_code in REFUSALS:
            return None
        if not answer.is_success:
            raise OrderServiceUnavailable(f"{answer.status_code} to {method} {path}")
        try:
            return kind.model_validate_json(answer.content)
        except ValidationError as error:
            fields = ", ".join(str(found["loc"][0]) for found in error.errors() if found["loc"])
            told = f"an answer we do not know to {method} {path} ({fields or 'no JSON'})"
            raise OrderServiceUnavailable(told) from error
