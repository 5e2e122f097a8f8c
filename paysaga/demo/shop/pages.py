"""The pages to look around on: the shelf, a product, signing in, a customer's orders."""

from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from paysaga.client import MethodDetails
from paysaga.demo.shop.catalog import CUSTOMERS, PRODUCTS, Customer
from paysaga.demo.shop.order_book import OrderBook
from paysaga.demo.shop.order_service import order_of
from paysaga.demo.shop.visitors import COOKIE, NotSignedIn, SignedIn, Visitor
from paysaga.domain.money import Money

SIGNS: Final = {"EUR": "€"}
_WALLETS: Final = {"apple_pay": "Apple Pay", "google_pay": "Google Pay"}
router: Final = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


def shown(price: Money) -> str:
    """A price as people read it."""
    return f"{SIGNS.get(price.currency, price.currency)}\u202f{price.major}"


def paid_with(method: MethodDetails | None) -> str:
    """The means of payment as its owner knows it."""
    if method and method.kind == "paypal":
        return "PayPal"
    if not method or not method.last4:
        return "your means of payment"
    kind = f" {method.funding}" if method.funding in {"debit", "prepaid"} else ""
    card = f"{(method.brand or 'account').capitalize()}{kind} •••• {method.last4}"
    wallet = method.wallet
    return f"{_WALLETS.get(wallet, wallet)}, {card}" if wallet else card


_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters["shown"] = shown
_TEMPLATES.filters["paid_with"] = paid_with
_TEMPLATES.globals["products"] = PRODUCTS


def page(name: str, who: Customer | None, *, status: int = 200, **values: object) -> HTMLResponse:
    """A page as this visitor sees it."""
    html = _TEMPLATES.get_template(name).render(who=who, **values)
    return HTMLResponse(html, status, headers={"Cache-Control": "no-store"})


@router.get("/")
def shelf(who: Visitor) -> Response:
    """Everything that there is to buy."""
    return page("shelf.html", who)


@router.get("/products/{slug}")
def product(who: Visitor, slug: str) -> Response:
    """One product."""
    if slug not in PRODUCTS:
        return not_there(who)
    return page("product.html", who, product=PRODUCTS[slug])


@router.post("/products/{slug}/buy")
def buy(request: Request, who: Visitor, slug: str) -> Response:
    """Order it, and go on to the payment."""
    if slug not in PRODUCTS:
        return not_there(who)
    if who is None:
        raise NotSignedIn(f"/products/{slug}")
    book: OrderBook = request.app.state.book
    order = order_of(book, who.id, PRODUCTS[slug])
    return RedirectResponse(f"/my/orders/{order.order_id}/pay", 303)


@router.get("/sign-in")
def sign_in_page(who: Visitor, next: str = "/") -> Response:  # noqa: A002 - the query's name
    """Pick a customer to be."""
    return page("sign_in.html", who, customers=CUSTOMERS.values(), next=_local(next))


@router.post("/sign-in")
def sign_in(
    customer_id: Annotated[str, Form()],
    next: Annotated[str, Form()] = "/",  # noqa: A002 - the field's name
) -> Response:
    """Be that customer. There is no password: it is a demo."""
    answer = RedirectResponse(_local(next), 303)
    if customer_id in CUSTOMERS:
        answer.set_cookie(COOKIE, customer_id, httponly=True, samesite="lax")
    return answer


@router.post("/sign-out")
def sign_out() -> Response:
    """Be nobody again."""
    answer = RedirectResponse("/", 303)
    answer.delete_cookie(COOKIE)
    return answer


@router.get("/my/orders")
def orders(request: Request, who: SignedIn) -> Response:
    """The customer's orders, newest first."""
    book: OrderBook = request.app.state.book
    return page("orders.html", who, orders=book.of_customer(who.id))


def not_there(who: Customer | None) -> HTMLResponse:
    """For a page, product or order that does not exist, or is somebody else's."""
    return page(
        "message.html",
        who,
        status=404,
        title="Nothing here",
        text="We could not find that page. The shelf is a good place to start again.",
    )


def _local(path: str) -> str:
    """Only ever to a page of ours: `//evil.example` and the like go home."""
    is_local = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if is_local else "/"
