"""The payment that a path names, if the caller may see it. Foreign is told as missing."""

import re
from typing import Annotated

from fastapi import Depends, Path
from structlog.contextvars import bind_contextvars

from api.bodies import PAYMENT_ID_PATTERN
from api.connections import Connections, Here
from api.identity import Caller, allowed, caller
from api.refusals import Missing
from paysaga.domain.payment import HOLDS_ORDER, PaymentState
from paysaga.starting.calls import OrderTaken
from paysaga.starting.orders import ORDER_ID_PATTERN
from paysaga.starting.refusals import OrderHasPayment
from paysaga.tokens import Role

# The patterns are not the framework's to check: whatever is not an id of ours is missing.
PaymentId = Annotated[str, Path(examples=["pay_aaaaaaaaaaaaaaaaaaaaaaaaaa"])]
OrderId = Annotated[str, Path(examples=["order-17"])]
Who = Annotated[Caller, Depends(caller)]
# An attempt takes money with the customer's card: nobody of the staff decides that for them.
Merchant = Annotated[Caller, Depends(allowed(Role.SERVICE, Role.FINANCE, Role.ADMIN))]
Payer = Annotated[Caller, Depends(allowed(Role.CUSTOMER, Role.SERVICE))]


async def _payment(here: Here, who: Who, payment_id: PaymentId) -> PaymentState:
    if not re.fullmatch(PAYMENT_ID_PATTERN, payment_id):
        raise Missing
    try:
        state = await here.reads.payment(payment_id) or await here.runs.opened(payment_id)
    except OrderTaken as taken:
        if taken.lost is None or not who.may_see(taken.lost.customer_id):
            raise Missing from taken
        raise await order_taken(here, who, taken.payment_id) from taken
    return _if_theirs(who, state)


async def order_taken(here: Connections, who: Caller, payment_id: str | None) -> OrderHasPayment:
    """The payment that has the order, named to those who may see it."""
    other = await here.reads.payment(payment_id) if payment_id else None
    if other is None or not who.may_see(other.customer_id):
        return OrderHasPayment()
    told = f"Payment {other.id} of this order is {other.status}."
    if other.status not in HOLDS_ORDER:
        told = (
            f"Payment {other.id} held this order when the request came first."
            " Send it again with a new Idempotency-Key."
        )
    return OrderHasPayment(told, payment_id=other.id)


async def _order_payment(here: Here, who: Who, order_id: OrderId) -> PaymentState:
    if not re.fullmatch(ORDER_ID_PATTERN, order_id):
        raise Missing
    return _if_theirs(who, await here.reads.order_payment(order_id, who.only_customer))


def _if_theirs(who: Caller, state: PaymentState | None) -> PaymentState:
    if state is None or not who.may_see(state.customer_id):
        raise Missing
    bind_contextvars(payment_id=state.id)
    return state


VisiblePayment = Annotated[PaymentState, Depends(_payment)]
VisibleOrderPayment = Annotated[PaymentState, Depends(_order_payment)]
