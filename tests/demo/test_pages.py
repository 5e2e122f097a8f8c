import re

import httpx
import pytest
from fastapi import FastAPI

from paysaga.client import MethodDetails
from paysaga.demo.shop.catalog import PRODUCTS
from paysaga.demo.shop.order_book import OrderBook
from paysaga.demo.shop.pages import paid_with

AS_ADA = {"Cookie": "customer=cst_ada"}


def _order_of(shop: FastAPI, customer_id: str) -> str:
    book: OrderBook = shop.state.book
    return book.make(
        f"ord_{customer_id}", customer_id, "walnut-tray", PRODUCTS["walnut-tray"].price
    ).order_id


class TestShelf:
    async def test_every_product_has_its_page(self, browser: httpx.AsyncClient) -> None:
        """
        The shelf leads to every product, and each shows its price.
        """
        shelf = (await browser.get("/")).text

        for slug, product in PRODUCTS.items():
            page = await browser.get(f"/products/{slug}")
            assert f'href="/products/{slug}"' in shelf
            assert str(product.price.major) in page.text

    @pytest.mark.parametrize("path", ["/", "/products/walnut-tray", "/sign-in"])
    async def test_nothing_comes_from_elsewhere(
        self, browser: httpx.AsyncClient, path: str
    ) -> None:
        """
        Pages name no other host, and the browser is told to ask none but the gateway.
        """
        answer = await browser.get(path)

        assert not re.findall(r"(?:src|href|action)=\"(?:https?:)?//", answer.text)
        assert "default-src 'self'" in answer.headers["content-security-policy"]

    async def test_a_missing_page_is_told_kindly(self, browser: httpx.AsyncClient) -> None:
        """
        404 is a page of the shop.
        """
        answer = await browser.get("/no/such/page")

        assert (404, True) == (answer.status_code, "Nothing here" in answer.text)


class TestSignIn:
    async def test_buying_needs_a_customer(self, browser: httpx.AsyncClient) -> None:
        """
        Who is nobody is asked to sign in, and comes back to the product.
        """
        answer = await browser.post("/products/walnut-tray/buy")

        assert (303, "/sign-in?next=/products/walnut-tray") == (
            answer.status_code,
            answer.headers["location"],
        )

    @pytest.mark.parametrize("away", ["//evil.example", "https://evil.example", "/\\evil.example"])
    async def test_it_leads_nowhere_else(self, browser: httpx.AsyncClient, away: str) -> None:
        """
        After signing in one stays in the shop.
        """
        answer = await browser.post("/sign-in", data={"customer_id": "cst_ada", "next": away})

        assert "/" == answer.headers["location"]


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"kind": "paypal"}, "PayPal"),
        ({"brand": "visa", "last4": "4242", "funding": "credit"}, "Visa •••• 4242"),
        ({"brand": "visa", "last4": "5556", "funding": "debit"}, "Visa debit •••• 5556"),
        (
            {"brand": "visa", "last4": "4242", "funding": "credit", "wallet": "apple_pay"},
            "Apple Pay, Visa •••• 4242",
        ),
        ({"kind": "sepa_debit", "last4": "3000"}, "Account •••• 3000"),
        (None, "your means of payment"),
    ],
)
def test_the_customer_knows_what_they_paid_with(facts: dict[str, str] | None, told: str) -> None:
    """
    As its owner calls it, with no more of the number than its end.
    """
    nothing = dict.fromkeys(MethodDetails.model_fields)
    method = MethodDetails.model_validate({**nothing, "kind": "card", **facts}) if facts else None

    assert told == paid_with(method)


class TestOrders:
    async def test_buying_makes_an_order(self, browser: httpx.AsyncClient, shop: FastAPI) -> None:
        """
        One order at the shop's price, and on to its payment.
        """
        answer = await browser.post("/products/walnut-tray/buy", headers=AS_ADA)

        [order] = shop.state.book.of_customer("cst_ada")
        assert f"/my/orders/{order.order_id}/pay" == answer.headers["location"]
        assert PRODUCTS["walnut-tray"].price == order.money

    @pytest.mark.parametrize("path", ["", "/pay", "/status"])
    async def test_a_foreign_order_is_told_as_missing(
        self, browser: httpx.AsyncClient, shop: FastAPI, path: str
    ) -> None:
        """
        Nobody sees somebody else's order.
        """
        order_id = _order_of(shop, "cst_ben")

        answer = await browser.get(f"/my/orders/{order_id}{path}", headers=AS_ADA)

        assert 404 == answer.status_code

    async def test_a_closed_till_is_told_kindly(
        self, browser: httpx.AsyncClient, shop: FastAPI
    ) -> None:
        """
        While Paysaga is away the shop says so, and does not break.
        """
        order_id = _order_of(shop, "cst_ada")

        answer = await browser.get(f"/my/orders/{order_id}/pay", headers=AS_ADA)

        assert 503 == answer.status_code
        assert "Payments are not available at the moment" in answer.text

    async def test_the_list_shows_the_customer_s_own(
        self, browser: httpx.AsyncClient, shop: FastAPI
    ) -> None:
        """
        A customer's orders, and no others.
        """
        mine, theirs = _order_of(shop, "cst_ada"), _order_of(shop, "cst_ben")

        page = (await browser.get("/my/orders", headers=AS_ADA)).text

        assert (True, False) == (mine in page, theirs in page)


class TestCards:
    async def test_they_are_a_customers_own(self, browser: httpx.AsyncClient) -> None:
        """
        Who is nobody is asked to sign in first.
        """
        answer = await browser.get("/my/cards")

        assert (303, "/sign-in?next=/my/cards") == (
            answer.status_code,
            answer.headers["location"],
        )

    @pytest.mark.parametrize("deed", ["default", "remove"])
    async def test_a_closed_till_is_told_kindly(
        self, browser: httpx.AsyncClient, deed: str
    ) -> None:
        """
        While Paysaga is away nothing is done, and the shop says so.
        """
        answer = await browser.post(
            f"/my/cards/mtd_1/{deed}", headers=AS_ADA, data={"key": "0" * 32}
        )

        assert 503 == answer.status_code
        assert "Payments are not available at the moment" in answer.text
