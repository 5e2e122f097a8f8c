"""The page of a customer's saved cards: save one, make it the default, remove it."""

import uuid
from typing import Annotated, Final

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from paysaga.client import SavedMethod, SavedMethodStatus, SaveOrder
from paysaga.demo.shop.checkout import TheTill
from paysaga.demo.shop.order_book import NoSuchOrder
from paysaga.demo.shop.pages import page
from paysaga.demo.shop.till import Till, TillClosed
from paysaga.demo.shop.trial_cards import TRIAL_CARDS
from paysaga.demo.shop.visitors import SignedIn, Visitor

router: Final = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

Key = Annotated[str, Form(pattern=r"^[0-9a-f]{32}$")]

_PAGE: Final = "/my/cards"
_TWICE: Final = "You have saved this card already."
_UNDER_WAY: Final = frozenset({SavedMethodStatus.PROCESSING, SavedMethodStatus.REQUIRES_ACTION})


@router.get(_PAGE)
async def cards_page(request: Request, who: SignedIn, till: TheTill, about: str = "") -> Response:
    """All saved cards, and what became of the one that was just to be saved."""
    told = await till.method(about) if about.startswith("mtd_") else None
    if told and told.customer_id != who.id:
        told = None
    problem = told.message if told and told.status is SavedMethodStatus.FAILED else None
    news = told.message if told and told.status in _UNDER_WAY else None
    return await _cards(request, who, till, problem, news)


@router.post(_PAGE)
async def save(
    request: Request,
    who: SignedIn,
    till: TheTill,
    payment_method_id: Annotated[str, Form(pattern=r"^pm_\w+$", max_length=100)],
    key: Key,
    make_default: Annotated[str, Form()] = "",
) -> Response:
    """Save a card; the customer goes to their bank if it wants that."""
    order = SaveOrder(
        customer_id=who.id,
        payment_method_id=payment_method_id,
        make_default=make_default == "yes",
        return_url=f"{str(request.base_url).rstrip('/')}/cards/return",
    )
    try:
        method = await till.save(order, key)
    except TillClosed as closed:
        return await _cards(request, who, till, str(closed))
    if method is None:
        return await _cards(request, who, till, _TWICE)
    if method.next_action:
        return RedirectResponse(method.next_action.url, 303)
    return _back(method)


@router.get("/cards/return")
async def come_back(_who: Visitor, till: TheTill, payment_method_id: str) -> Response:
    """Back from the bank: look at the gateway now, whatever the webhook does."""
    method = await till.refresh_method(payment_method_id)
    return _back(method) if method else RedirectResponse(_PAGE, 303)


@router.post("/my/cards/{method_id}/default")
async def make_default(who: SignedIn, till: TheTill, method_id: str) -> Response:
    """Have it be the one that is chosen first."""
    await _check_own(till, who.id, method_id)
    await till.make_default(method_id)
    return RedirectResponse(_PAGE, 303)


@router.post("/my/cards/{method_id}/remove")
async def remove(who: SignedIn, till: TheTill, method_id: str, key: Key) -> Response:
    """Take it away, for ever."""
    await _check_own(till, who.id, method_id)
    await till.remove(method_id, key)
    return RedirectResponse(_PAGE, 303)


async def _cards(
    request: Request, who: SignedIn, till: Till, problem: str | None, news: str | None = None
) -> HTMLResponse:
    return page(
        "cards.html",
        who,
        methods=await till.methods_of(who.id),
        unconfirmed=await till.unconfirmed_methods_of(who.id),
        problem=problem,
        news=news,
        cards=TRIAL_CARDS,
        gateway=request.app.state.gateway,
        publishable_key=request.app.state.paysaga.stripe_publishable_key,
        key=uuid.uuid4().hex,
    )


async def _check_own(till: Till, customer_id: str, method_id: str) -> None:
    """The till may touch everybody's: whose it is, is for the shop to check."""
    if method_id not in {method.id for method in await till.methods_of(customer_id)}:
        raise NoSuchOrder(method_id)


def _back(method: SavedMethod) -> RedirectResponse:
    return RedirectResponse(f"{_PAGE}?about={method.id}", 303)
