"""The order's side of a payment: reserve, look, confirm, release at the shop's order service."""

from temporalio import activity
from temporalio.exceptions import ApplicationError

from paysaga.domain.message import Message
from paysaga.domain.money import Money
from paysaga.orders import Order, OrderService, OrderStatus


class OrderRef(Message):
    """The order that a payment is for, at the price that the payment takes."""

    order_id: str
    payment_id: str
    customer_id: str
    money: Money


class OrderAnswer(Message):
    """Yes or no. A no is an answer, not an error."""

    accepted: bool


class Orders:
    """Activities that share one client of the order service."""

    def __init__(self, service: OrderService | None) -> None:
        self._service = service

    @activity.defn
    async def reserve(self, ref: OrderRef) -> OrderAnswer:
        """Keep the order, if it is the customer's and its price is what we are about to take."""
        order = await self._client.reserve(ref.order_id, ref.payment_id)
        return OrderAnswer(accepted=_is_kept_for(ref, order))

    @activity.defn
    async def still_waits(self, ref: OrderRef) -> OrderAnswer:
        """Whether another attempt makes sense: the order is still kept for this payment."""
        order = await self._client.look(ref.order_id)
        return OrderAnswer(accepted=_is_kept_for(ref, order))

    @activity.defn
    async def is_taken(self, ref: OrderRef) -> OrderAnswer:
        """Whether the shop already has the order as paid by this payment."""
        order = await self._client.look(ref.order_id)
        return OrderAnswer(
            accepted=order is not None
            and order.status is OrderStatus.PAID
            and order.payment_id == ref.payment_id
        )

    @activity.defn
    async def confirm(self, ref: OrderRef) -> OrderAnswer:
        """Tell the shop that the order is paid."""
        return OrderAnswer(
            accepted=await self._client.confirm(ref.order_id, ref.payment_id) is not None
        )

    @activity.defn
    async def release(self, ref: OrderRef) -> OrderAnswer:
        """Give the order back to the shop; one that was never kept is as good as released."""
        return OrderAnswer(
            accepted=await self._client.release(ref.order_id, ref.payment_id) is not None
        )

    @property
    def _client(self) -> OrderService:
        if self._service is None:
            raise ApplicationError(
                "this payment reserved an order, but the worker has no order service:"
                " set ORDER_SERVICE_URL and start the worker again"
            )
        return self._service


def _is_kept_for(ref: OrderRef, order: Order | None) -> bool:
    return (
        order is not None
        and order.status is OrderStatus.RESERVED
        and order.payment_id == ref.payment_id
        and order.money == ref.money
        and order.customer_id == ref.customer_id
    )
