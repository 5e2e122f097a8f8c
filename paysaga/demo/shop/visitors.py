"""Who is looking at the pages, and which orders are theirs."""

from typing import Annotated, Final
from urllib.parse import quote

from fastapi import Cookie, Depends, Request

from paysaga.demo.shop.catalog import CUSTOMERS, Customer
from paysaga.demo.shop.order_book import NoSuchOrder, OrderBook, ShopOrder

COOKIE: Final = "customer"


class NotSignedIn(Exception):
    """The page is a customer's own; `to` is where to sign in."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.to = f"/sign-in?next={quote(path)}"


def visitor(customer: Annotated[str | None, Cookie(alias=COOKIE)] = None) -> Customer | None:
    """The customer, if one has signed in."""
    return CUSTOMERS.get(customer or "")


def signed_in(request: Request, who: Annotated[Customer | None, Depends(visitor)]) -> Customer:
    """The customer.

    Raises:
        NotSignedIn: Nobody has signed in.
    """
    if who is None:
        raise NotSignedIn(request.url.path if request.method == "GET" else "/")
    return who


def own_order(
    request: Request, who: Annotated[Customer, Depends(signed_in)], order_id: str
) -> ShopOrder:
    """The customer's own order; somebody else's is told as missing.

    Raises:
        NoSuchOrder: There is none of theirs.
    """
    book: OrderBook = request.app.state.book
    order = book.look(order_id)
    if order.customer_id != who.id:
        raise NoSuchOrder(order_id)
    return order


Visitor = Annotated[Customer | None, Depends(visitor)]
SignedIn = Annotated[Customer, Depends(signed_in)]
OwnOrder = Annotated[ShopOrder, Depends(own_order)]
