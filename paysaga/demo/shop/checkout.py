"""The pages on which an order is paid: the card form, the way back from the bank, its status."""

import uuid
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from paysaga.client import CheckoutOrder, Fulfillment, Payment, PaymentOrder, PaymentStatus
from paysaga.demo.shop.catalog import PRODUCTS
from paysaga.demo.shop.order_book import OrderBook, ShopOrder
from paysaga.demo.shop.pages import not_there, page
from paysaga.demo.shop.till import Till, TillClosed
from paysaga.demo.shop.trial_cards import TRIAL_CARDS
from paysaga.demo.shop.visitors import OwnOrder, SignedIn, Visitor
from paysaga.orders import OrderStatus

router: Final = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

# With these the customer cannot pay (again): the order's page says what is going on.
_S = PaymentStatus
_CANCELABLE: Final = frozenset({_S.REQUIRES_ACTION, _S.AWAITING_RETRY, _S.AUTHORIZED})
_MOVING: Final = frozenset({_S.CREATED, _S.PROCESSING, _S.REQUIRES_ACTION, _S.AUTHORIZED})
_NOTHING_TO_PAY: Final = _MOVING | {_S.NEEDS_OPERATOR, _S.SUCCEEDED}


def _till(request: Request) -> Till:
    till: Till = request.app.state.till
    return till


TheTill = Annotated[Till, Depends(_till)]


@router.get("/my/orders/{order_id}/pay")
async def pay_page(request: Request, who: SignedIn, order: OwnOrder, till: TheTill) -> Response:
    """The card form; after a decline with what went wrong and how many tries are left."""
    payment = await till.payment_of(order.order_id)
    if order.status is OrderStatus.PAID or (payment and payment.status in _NOTHING_TO_PAY):
        return _to(order)
    return await _form(request, who, order, till, payment)


@router.post("/my/orders/{order_id}/pay")
async def pay(
    request: Request,
    who: SignedIn,
    order: OwnOrder,
    till: TheTill,
    key: Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")],
    payment_method_id: Annotated[str, Form(pattern=r"^((pm|mtd)_\w+)?$", max_length=100)] = "",
) -> Response:
    """Start the payment or try again; the customer goes where the first outcome sends them.

    Without a payment method it is paid on the gateway's page.
    """
    payment = await till.payment_of(order.order_id)
    address = request.client.host if request.client else None
    try:
        # Before anything happens that they are written about.
        await till.introduce(who.id, who.email)
        if payment and payment.status is PaymentStatus.AWAITING_RETRY:
            payment = await till.retry(payment.id, payment_method_id or None, key, address)
        elif not payment_method_id:
            payment = await till.open_page(_on_the_page(request, order), key, address)
        else:
            wanted = _with(payment_method_id, request, order)
            payment = await till.start(wanted, key, address)
    except TillClosed as closed:
        return await _form(request, who, order, till, payment, problem=str(closed))
    if payment and payment.next_action:
        return RedirectResponse(payment.next_action.url, 303)
    if payment and payment.status is PaymentStatus.AWAITING_RETRY:
        return RedirectResponse(f"/my/orders/{order.order_id}/pay", 303)
    return _to(order)


@router.get("/return")
async def come_back(who: Visitor, till: TheTill, payment_id: str) -> Response:
    """Back from the bank or PayPal: look at the gateway now, whatever the webhook does."""
    payment = await till.refresh(payment_id)
    if payment is None:
        return not_there(who)
    again = "/pay" if payment.status is PaymentStatus.AWAITING_RETRY else ""
    return RedirectResponse(f"/my/orders/{payment.order_id}{again}", 303)


@router.get("/my/orders/{order_id}")
async def order_page(who: SignedIn, order: OwnOrder, till: TheTill) -> Response:
    """Where the order and its payment stand; the page keeps itself up to date."""
    payment = await till.payment_of(order.order_id)
    return page(
        "order.html",
        who,
        order=order,
        product=PRODUCTS[order.product],
        payment=payment,
        version=_version(payment, order),
        may_cancel=payment is not None and payment.status in _CANCELABLE,
        is_moving=_is_moving(payment),
        run=till.run_of(payment.id) if payment else None,
        key=uuid.uuid4().hex,
    )


@router.get("/my/orders/{order_id}/status", response_class=JSONResponse)
async def order_status(
    request: Request, order: OwnOrder, till: TheTill, version: str = ""
) -> dict[str, object]:
    """What the order's page asks for: it changes exactly when the page would.

    Whoever has seen it already is answered when it changes, or after a while.
    """
    payment = await till.payment_of(order.order_id)
    if payment and _is_moving(payment) and version == _version(payment, order):
        await till.wait_for_news(payment)
        payment = await till.payment_of(order.order_id)
        book: OrderBook = request.app.state.book
        order = book.look(order.order_id)
    return {"version": _version(payment, order), "is_moving": _is_moving(payment)}


@router.post("/my/orders/{order_id}/cancel")
async def cancel(
    order: OwnOrder, till: TheTill, key: Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")]
) -> Response:
    """Give the payment up. If the money has moved already, the order's page says so."""
    payment = await till.payment_of(order.order_id)
    if payment:
        await till.cancel(payment.id, key)
    return _to(order)


async def _form(
    request: Request,
    who: SignedIn,
    order: ShopOrder,
    till: Till,
    payment: Payment | None,
    problem: str | None = None,
) -> HTMLResponse:
    paysaga = request.app.state.paysaga
    waits = payment is not None and payment.status is PaymentStatus.AWAITING_RETRY
    return page(
        "pay.html",
        who,
        order=order,
        product=PRODUCTS[order.product],
        payment=payment if waits else None,
        problem=problem,
        cards=TRIAL_CARDS,
        saved=await till.methods_of(who.id),
        gateway=request.app.state.gateway,
        publishable_key=paysaga.stripe_publishable_key,
        key=uuid.uuid4().hex,
    )


def _with(method_id: str, request: Request, order: ShopOrder) -> PaymentOrder:
    back = f"{_shop(request)}/return"
    return PaymentOrder(**_told(order), payment_method_id=method_id, return_url=back)


def _on_the_page(request: Request, order: ShopOrder) -> CheckoutOrder:
    """Who gives up there comes back to the order."""
    shop = _shop(request)
    given_up = f"{shop}/my/orders/{order.order_id}"
    return CheckoutOrder(**_told(order), success_url=f"{shop}/return", cancel_url=given_up)


def _told(order: ShopOrder) -> dict[str, Any]:
    return {
        "order_id": order.order_id,
        "customer_id": order.customer_id,
        "amount": order.amount,
        "currency": order.currency,
        "description": PRODUCTS[order.product].name,
        "capture_method": "manual" if PRODUCTS[order.product].made_to_order else "automatic",
    }


def _shop(request: Request) -> str:
    return str(request.base_url).rstrip("/")


def _version(payment: Payment | None, order: ShopOrder) -> str:
    return f"{payment.version if payment else 0}-{order.status}"


def _is_moving(payment: Payment | None) -> bool:
    if payment is None:
        return False
    return payment.status in _MOVING or (
        payment.status is PaymentStatus.SUCCEEDED and payment.fulfillment is Fulfillment.PENDING
    )


def _to(order: ShopOrder) -> RedirectResponse:
    return RedirectResponse(f"/my/orders/{order.order_id}", 303)
