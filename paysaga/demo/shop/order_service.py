"""The order service that Paysaga asks: `GET /orders/{id}`, `POST …/reserve | confirm | release`."""

import secrets
import uuid
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, HTTPException, Path, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from paysaga.demo.shop.catalog import PRODUCTS, Product
from paysaga.demo.shop.order_book import OrderBook, ShopOrder
from paysaga.orders import DatedOrder, Order

_bearer: Final = HTTPBearer(auto_error=False)


class Reservation(BaseModel):
    """Which payment asks."""

    model_config = ConfigDict(extra="forbid")

    payment_id: Annotated[str, Field(min_length=1, max_length=100)]


class Purchase(BaseModel):
    """A new order: the shop's own price counts."""

    model_config = ConfigDict(extra="forbid")

    customer_id: Annotated[str, Field(pattern=r"^cst_[A-Za-z0-9_-]{1,60}$")]
    product: str


def _book(request: Request) -> OrderBook:
    book: OrderBook = request.app.state.book
    return book


def _checked_token(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> None:
    wanted: str = request.app.state.settings.order_service_token.get_secret_value()
    if given is None or not secrets.compare_digest(given.credentials.encode(), wanted.encode()):
        raise HTTPException(401, "a bearer token is needed", {"WWW-Authenticate": "Bearer"})


Book = Annotated[OrderBook, Depends(_book)]
OrderId = Annotated[str, Path(max_length=100)]
router: Final = APIRouter(prefix="/orders", dependencies=[Depends(_checked_token)], tags=["orders"])


@router.post("", status_code=201)
def make_order(book: Book, purchase: Purchase) -> ShopOrder:
    """Order a product, as a till or another program of the shop would."""
    product = PRODUCTS.get(purchase.product)
    if product is None:
        raise HTTPException(404, "there is no such product")
    return order_of(book, purchase.customer_id, product)


@router.get("/{order_id}")
def look(book: Book, order_id: OrderId) -> DatedOrder:
    """The order as it stands."""
    return book.look(order_id)


@router.post("/{order_id}/reserve")
def reserve(book: Book, order_id: OrderId, by: Reservation) -> Order:
    """Keep the order for the payment."""
    return book.reserve(order_id, by.payment_id)


@router.post("/{order_id}/confirm")
def confirm(book: Book, order_id: OrderId, by: Reservation) -> Order:
    """The order is paid."""
    return book.confirm(order_id, by.payment_id)


@router.post("/{order_id}/release")
def release(book: Book, order_id: OrderId, by: Reservation) -> Order:
    """The order is not kept any longer."""
    return book.release(order_id, by.payment_id)


def order_of(book: OrderBook, customer_id: str, product: Product) -> ShopOrder:
    """A new order of this product, for its price and, if it is for one, its day."""
    order_id = f"ord_{uuid.uuid4().hex[:16]}"
    day = product.day(datetime.now(UTC).date())
    return book.make(order_id, customer_id, product.slug, product.price, day)
