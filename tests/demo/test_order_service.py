"""The shop's order service, asked by the client that Paysaga itself uses."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from paysaga.demo.shop.catalog import PRODUCTS
from paysaga.demo.shop.order_book import OrderBook
from paysaga.orders import Order, OrderService, OrderStatus
from tests.demo.conftest import TOKEN

PAYER, OTHER = "pay_first", "pay_second"
TRAY = {"customer_id": "cst_ada", "product": "walnut-tray"}


@pytest.fixture
async def till(shop: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """HTTP with the shop's token."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(shop),
        base_url="http://shop",
        headers={"Authorization": f"Bearer {TOKEN}"},
    ) as http:
        yield http


@pytest.fixture
def orders(till: httpx.AsyncClient) -> OrderService:
    return OrderService(till)


@pytest.fixture
async def order_id(till: httpx.AsyncClient) -> str:
    """A walnut tray for Ada."""
    return str((await till.post("/orders", json=TRAY)).json()["order_id"])


def _is(order: Order | None, status: OrderStatus, payment_id: str | None) -> bool:
    return order is not None and (order.status, order.payment_id) == (status, payment_id)


class TestDay:
    async def test_what_is_for_a_day_says_which(
        self, till: httpx.AsyncClient, orders: OrderService, order_id: str
    ) -> None:
        """
        An evening is ten days ahead of its order; a tray is for no day.
        """
        body = {"customer_id": "cst_ada", "product": "barista-evening"}
        before = datetime.now(UTC).date()
        evening = (await till.post("/orders", json=body)).json()["order_id"]

        found = [await orders.look(which) for which in (evening, order_id)]

        days = [order.service_date for order in found if order is not None]
        assert days[0] in {before + timedelta(days=10), before + timedelta(days=11)}
        assert days[1:] == [None]

    def test_an_older_book_goes_on(self, tmp_path: Path) -> None:
        """
        Who comes with a newer demo finds the orders of the older one, and makes new ones.
        """
        path = tmp_path / "shop.db"
        OrderBook(path).make("ord_1", "cst_ada", "walnut-tray", PRODUCTS["walnut-tray"].price)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("ALTER TABLE orders DROP COLUMN service_date")

        book = OrderBook(path)
        day = date(2028, 2, 29)
        book.make("ord_2", "cst_ada", "barista-evening", PRODUCTS["barista-evening"].price, day)

        assert [None, day] == [book.look(it).service_date for it in ("ord_1", "ord_2")]


class TestReserve:
    async def test_the_first_payment_gets_the_order(
        self, orders: OrderService, order_id: str
    ) -> None:
        """
        A reserved order has the shop's price and owner, and names its payment.
        """
        order = await orders.reserve(order_id, PAYER)

        assert _is(order, OrderStatus.RESERVED, PAYER)
        assert order is not None
        assert (PRODUCTS["walnut-tray"].price, "cst_ada") == (order.money, order.customer_id)

    async def test_a_repeat_changes_nothing(self, orders: OrderService, order_id: str) -> None:
        """
        All steps are idempotent by the payment's id.
        """
        first = await orders.reserve(order_id, PAYER)

        again = await orders.reserve(order_id, PAYER)

        assert first == again

    async def test_another_payment_is_refused(self, orders: OrderService, order_id: str) -> None:
        """
        An order is kept for one payment at a time.
        """
        await orders.reserve(order_id, PAYER)

        assert await orders.reserve(order_id, OTHER) is None
        assert _is(await orders.look(order_id), OrderStatus.RESERVED, PAYER)

    async def test_who_has_let_go_does_not_come_back(
        self, orders: OrderService, order_id: str
    ) -> None:
        """
        A late repeat of a reserve, after the release, does not take the order again.
        """
        await orders.reserve(order_id, PAYER)
        await orders.release(order_id, PAYER)

        assert await orders.reserve(order_id, PAYER) is None
        assert _is(await orders.reserve(order_id, OTHER), OrderStatus.RESERVED, OTHER)

    async def test_even_if_the_release_came_first(
        self, orders: OrderService, order_id: str
    ) -> None:
        """
        A release that overtakes its reserve wins.
        """
        await orders.release(order_id, PAYER)

        assert await orders.reserve(order_id, PAYER) is None
        assert _is(await orders.look(order_id), OrderStatus.OPEN, None)


class TestConfirm:
    async def test_the_holder_pays(self, orders: OrderService, order_id: str) -> None:
        """
        Confirm makes the order paid, also when it is repeated.
        """
        await orders.reserve(order_id, PAYER)

        first = await orders.confirm(order_id, PAYER)

        assert _is(first, OrderStatus.PAID, PAYER)
        assert first == await orders.confirm(order_id, PAYER)

    async def test_only_the_holder_pays(self, orders: OrderService, order_id: str) -> None:
        """
        What is not kept for a payment cannot be confirmed by it.
        """
        refused = [await orders.confirm(order_id, OTHER)]
        await orders.reserve(order_id, PAYER)
        refused.append(await orders.confirm(order_id, OTHER))

        assert [None, None] == refused


class TestRelease:
    async def test_the_order_is_open_again(self, orders: OrderService, order_id: str) -> None:
        """
        A released order waits for another payment.
        """
        await orders.reserve(order_id, PAYER)

        assert _is(await orders.release(order_id, PAYER), OrderStatus.OPEN, None)

    async def test_somebody_else_cannot_release_it(
        self, orders: OrderService, order_id: str
    ) -> None:
        """
        A payment lets go only of what it holds.
        """
        await orders.reserve(order_id, PAYER)

        await orders.release(order_id, OTHER)

        assert _is(await orders.look(order_id), OrderStatus.RESERVED, PAYER)

    async def test_a_paid_order_stays_paid(self, orders: OrderService, order_id: str) -> None:
        """
        A late release does not take back what is paid.
        """
        await orders.reserve(order_id, PAYER)
        await orders.confirm(order_id, PAYER)

        assert await orders.release(order_id, PAYER) is None
        assert _is(await orders.look(order_id), OrderStatus.PAID, PAYER)


class TestAsking:
    async def test_a_missing_order_is_a_documented_no(self, orders: OrderService) -> None:
        """
        404 for every step on an order that does not exist.
        """
        assert await orders.look("ord_none") is None
        assert await orders.reserve("ord_none", PAYER) is None
        assert await orders.confirm("ord_none", PAYER) is None
        assert await orders.release("ord_none", PAYER) is None

    @pytest.mark.parametrize("token", ["", "Bearer wrong", "Basic abc"])
    async def test_without_the_token_nothing_is_told(
        self, till: httpx.AsyncClient, order_id: str, token: str
    ) -> None:
        """
        The order service is for those who have its token.
        """
        answer = await till.get(f"/orders/{order_id}", headers={"Authorization": token})

        assert 401 == answer.status_code

    async def test_orders_survive_a_restart(
        self, orders: OrderService, order_id: str, shop: FastAPI
    ) -> None:
        """
        The order book is a file.
        """
        await orders.reserve(order_id, PAYER)

        book = type(shop.state.book)(shop.state.settings.shop_state)

        assert _is(book.look(order_id), OrderStatus.RESERVED, PAYER)
