"""The payment that a path names, if the caller may see it. Foreign is told as missing."""

import re
from typing import Annotated

from fastapi import Depends, Path
from structlog.contextvars import bind_contextvars

from api.bodies import ORDER_ID_PATTERN, PAYMENT_ID_PATTERN
from api.connections import Here
from api.identity import Caller, allowed, caller
from api.refusals import Missing
from paysaga.domain.payment import PaymentState
from paysaga.tokens import Role

# The patterns are not the framework's to check: whatever is not an id of ours is missing.
PaymentId = Annotated[str, Path(examples=["pay_aaaaaaaaaaaaaaaaaaaaaaaaaa"])]
OrderId = Annotated[str, Path(examples=["order-17"])]
Who = Annotated[Caller, Depends(caller)]
# An attempt takes money with the customer's card: nobody of the staff decides that for them.
Payer = Annotated[Caller, Depends(allowed(Role.CUSTOMER, Role.SERVICE))]


async def _payment(here: Here, who: Who, payment_id: PaymentId) -> PaymentState:
    if not re.fullmatch(PAYMENT_ID_PATTERN, payment_id):
        raise Missing
    return _if_theirs(
        who, await here.reads.payment(payment_id) or await here.runs.opened(payment_id)
    )


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
