"""The shop's own side of the counter: what was made to order is shipped, and its money taken."""

import uuid
from decimal import Decimal
from typing import Annotated, Final

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from paysaga.demo.shop.catalog import PRODUCTS, Customer
from paysaga.demo.shop.checkout import TheTill
from paysaga.demo.shop.order_book import OrderBook
from paysaga.demo.shop.pages import page
from paysaga.demo.shop.till import Till, TillClosed
from paysaga.demo.shop.visitors import Visitor
from paysaga.domain.money import AmountRefused, Money, from_major

router: Final = APIRouter(
    prefix="/back-office", include_in_schema=False, default_response_class=HTMLResponse
)

Key = Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")]
PaymentId = Annotated[str, Form(pattern=r"^pay_[a-z2-7]{26}$")]


@router.get("")
async def counter(request: Request, who: Visitor, till: TheTill) -> Response:
    """All orders whose money is held. In the demo everybody may come behind the counter."""
    return await _counter(request, who, till)


@router.post("/capture")
async def capture(
    request: Request,
    who: Visitor,
    till: TheTill,
    payment_id: PaymentId,
    amount: Annotated[Decimal, Form(gt=0, max_digits=12)],
    currency: Annotated[str, Form(pattern=r"^[A-Z]{3}$")],
    key: Key,
) -> Response:
    """It ships: take what was agreed."""
    try:
        await till.capture(payment_id, from_major(amount, currency), key)
    except (TillClosed, AmountRefused) as problem:
        return await _counter(request, who, till, problem=str(problem))
    return RedirectResponse("/back-office", 303)


@router.post("/let-go")
async def let_go(till: TheTill, payment_id: PaymentId, key: Key) -> Response:
    """It will not be made: the customer's money is free again."""
    await till.cancel(payment_id, key)
    return RedirectResponse("/back-office", 303)


async def _counter(
    request: Request, who: Customer | None, till: Till, problem: str | None = None
) -> HTMLResponse:
    book: OrderBook = request.app.state.book
    held = [
        {
            "payment": payment,
            "product": PRODUCTS[book.look(payment.order_id).product],
            "money": Money(minor=payment.amount_authorized, currency=payment.currency),
            "key": uuid.uuid4().hex,
        }
        for payment in await till.held()
    ]
    return page("back_office.html", who, held=held, problem=problem)
