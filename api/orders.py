"""The same payments by the shop's own order id: the open or succeeded one, else the newest."""

from typing import Annotated, Final

from fastapi import APIRouter, Body, Query, Response

from api.answers import payment_view
from api.bodies import IdempotencyKey, RetryOrder, StatusQuestion
from api.changing import Changing
from api.connections import Here
from api.declines import CustomerAddress
from api.documents import SEEN, attempted
from api.views import PaymentView, StatusView
from api.visible import Payer, VisibleOrderPayment, Who

router: Final = APIRouter(prefix="/orders/{order_id}/payment", tags=["orders"])


@router.get("", operation_id="get_order_payment", responses=SEEN)
async def get_order_payment(here: Here, who: Who, payment: VisibleOrderPayment) -> PaymentView:
    """The order's payment as it stands."""
    return payment_view(here.settings, who, payment)


@router.get("/status", operation_id="get_order_payment_status", responses=SEEN)
async def get_order_payment_status(
    here: Here, payment: VisibleOrderPayment, wanted: Annotated[StatusQuestion, Query()]
) -> StatusView:
    """Where the order's payment stands; `wait` and `version` as for the payment's own status."""
    return StatusView.of(await here.waiting.awaited(payment, wanted.version, wanted.wait))


@router.post(
    "/retry",
    operation_id="retry_order_payment",
    responses=attempted(PaymentView),
)
async def retry_order_payment(
    response: Response,
    here: Here,
    who: Payer,
    payment: VisibleOrderPayment,
    key: IdempotencyKey,
    address: CustomerAddress,
    order: Annotated[RetryOrder, Body(default_factory=RetryOrder)],
) -> PaymentView:
    """Another attempt for the order's payment."""
    return await Changing(here, who, payment, response).retry(order, key, address)
