import asyncio
from typing import Any

import pytest

from paysaga.tokens import Role
from tests.api.world import Api, World, a_customer, an_order, ended


class TestOrderService:
    async def test_the_price_is_the_orders(self, ordered: Api, world: World) -> None:
        """With an order service the customer names the order, and nothing about its price."""
        customer = a_customer()
        order_id = world.shop.has(f"priced-{customer}", customer, amount=4200)
        body = an_order(order_id=order_id, customer_id=None, amount=None, currency=None)

        answer = await ordered.as_(Role.CUSTOMER, customer).post("/payments", body)

        assert (201, 4200) == (answer.status_code, answer.json()["amount"])
        assert "paid" == world.shop.orders[order_id]["status"]

    async def test_a_replay_needs_no_order_service(self, ordered: Api, world: World) -> None:
        """The order is long paid or forgotten: the same request still gets its payment."""
        customer = a_customer()
        order_id = world.shop.has(f"replayed-{customer}", customer)
        body = an_order(order_id=order_id, customer_id=customer)
        await ordered.shop.post("/payments", body, key="replayed")
        del world.shop.orders[order_id]

        again = await ordered.shop.post("/payments", body, key="replayed")

        assert (200, "true") == (again.status_code, again.headers["Idempotent-Replayed"])

    async def test_20_equal_requests_at_once_are_one_payment(
        self, ordered: Api, world: World
    ) -> None:
        """The reservation that the first of them makes is not in the others' way."""
        customer = a_customer()
        order_id = world.shop.has(f"twenty-{customer}", customer)
        body = an_order(order_id=order_id, customer_id=customer)

        answers = await asyncio.gather(
            *(ordered.shop.post("/payments", body, key="twenty-ordered") for _ in range(20))
        )

        assert {200, 201} >= {answer.status_code for answer in answers}
        assert 1 == len({answer.json()["id"] for answer in answers})

    @pytest.mark.parametrize("change", [{"amount": 1}, {"currency": "USD"}])
    async def test_another_price_is_409(
        self, ordered: Api, world: World, change: dict[str, Any]
    ) -> None:
        """A price in the body is checked against the order's, and both are named."""
        customer = a_customer()
        order_id = world.shop.has(f"mismatch-{customer}", customer)

        answer = await ordered.shop.post(
            "/payments", an_order(order_id=order_id, customer_id=customer, **change)
        )

        assert (409, "order_amount_mismatch") == (answer.status_code, answer.json()["code"])
        assert "12.50 EUR" in answer.json()["detail"]

    async def test_an_unknown_order_and_a_foreign_one_are_the_same_404(
        self, ordered: Api, world: World
    ) -> None:
        """Nobody learns by asking which orders there are."""
        customer = ordered.as_(Role.CUSTOMER, a_customer())
        body = an_order(customer_id=None)
        unknown = await customer.post("/payments", body)
        world.shop.has(body["order_id"], a_customer())

        foreign = await customer.post("/payments", body)

        assert (404, unknown.content) == (foreign.status_code, foreign.content)
        assert "order_not_found" == unknown.json()["code"]

    @pytest.mark.parametrize("status", ["paid", "canceled"])
    async def test_an_order_that_does_not_wait_is_409(
        self, ordered: Api, world: World, status: str
    ) -> None:
        """What is paid or called off is not paid again."""
        customer = a_customer()
        order_id = world.shop.has(f"{status}-{customer}", customer, status=status)

        answer = await ordered.shop.post(
            "/payments", an_order(order_id=order_id, customer_id=customer)
        )

        assert (409, "order_not_open") == (answer.status_code, answer.json()["code"])

    async def test_an_order_kept_for_another_payment_is_409(
        self, ordered: Api, world: World
    ) -> None:
        """The shop keeps the order for a payment that we may not even know."""
        customer = a_customer()
        order_id = world.shop.has(
            f"kept-{customer}", customer, status="reserved", payment_id="pay_other"
        )

        answer = await ordered.shop.post(
            "/payments", an_order(order_id=order_id, customer_id=customer)
        )

        assert (409, "order_has_payment") == (answer.status_code, answer.json()["code"])

    async def test_an_order_refused_in_the_end_is_paid_back(
        self, ordered: Api, world: World
    ) -> None:
        """If the shop refuses the paid order, the customer hears that the money comes back."""
        customer = a_customer()
        order_id = world.shop.has(f"refused-{customer}", customer, refuses="confirm")
        body = an_order(order_id=order_id, customer_id=customer)

        answer = await ordered.shop.post("/payments", body)

        await ended(world, answer.json()["id"])
        told = (await ordered.shop.get(f"/payments/{answer.json()['id']}")).json()
        assert ("succeeded", "refused") == (told["status"], told["fulfillment"])
        assert 1250 == told["amount_refunded"]
        assert "paid back" in told["message"]

    async def test_an_order_refused_at_once_is_409(self, ordered: Api, world: World) -> None:
        """If the shop will not keep the order, nothing is taken, and the answer says so."""
        customer = a_customer()
        order_id = world.shop.has(f"unkept-{customer}", customer, refuses="reserve")
        body = an_order(order_id=order_id, customer_id=customer)

        answer = await ordered.shop.post("/payments", body)

        told = answer.json()
        assert (409, "order_refused") == (answer.status_code, told["code"])
        assert "canceled" == told["payment"]["status"]
        assert "could not take the order" in told["detail"]

    async def test_its_being_down_is_503_and_nothing_starts(
        self, ordered: Api, world: World
    ) -> None:
        """Without the order's price nothing is started; the repeat works."""
        customer = a_customer()
        body = an_order(order_id=world.shop.has(f"down-{customer}", customer), customer_id=customer)
        world.shop.is_down = True

        down = await ordered.shop.post("/payments", body, key="down")

        world.shop.is_down = False
        repeat = await ordered.shop.post("/payments", body, key="down")
        assert (503, "order_service_unavailable") == (down.status_code, down.json()["code"])
        assert down.headers["Retry-After"]
        assert 201 == repeat.status_code

    async def test_an_amount_that_the_gateway_refuses_is_422(
        self, ordered: Api, world: World
    ) -> None:
        """Also the shop's own price is checked before anything starts."""
        customer = a_customer()
        order_id = world.shop.has(f"tiny-{customer}", customer, amount=1)

        answer = await ordered.shop.post(
            "/payments", an_order(order_id=order_id, customer_id=customer, amount=None)
        )

        assert (422, "amount_too_small") == (answer.status_code, answer.json()["code"])


class TestReturnAddress:
    @pytest.mark.parametrize(
        "return_url",
        [
            "https://shop.example.evil.example/",
            "https://evil.example/https://shop.example/",
            "https://evil.example\\@shop.example/",
            "https://shop.example:8443/",
            "http://shop.example/",
        ],
    )
    async def test_a_customer_names_no_foreign_page(
        self, ordered: Api, world: World, return_url: str
    ) -> None:
        """Whoever opens a payment's return address lands at the shop, and nowhere else."""
        customer = a_customer()
        order_id = world.shop.has(f"elsewhere-{customer}", customer)
        body = an_order(order_id=order_id, customer_id=customer, return_url=return_url)

        answer = await ordered.as_(Role.CUSTOMER, customer).post("/payments", body)

        assert (422, "return_url") == (answer.status_code, answer.json()["errors"][0]["field"])
        assert "open" == world.shop.orders[order_id]["status"]

    @pytest.mark.parametrize(
        "return_url", ["https://shop.example", "HTTPS://SHOP.example:443/thanks?a=b#c"]
    )
    async def test_a_customer_names_any_page_of_the_shop(
        self, ordered: Api, world: World, return_url: str
    ) -> None:
        """It is the origin that counts, as a browser reads it."""
        customer = a_customer()
        order_id = world.shop.has(f"back-{customer}", customer)
        body = an_order(order_id=order_id, customer_id=customer, return_url=return_url)

        answer = await ordered.as_(Role.CUSTOMER, customer).post("/payments", body)

        assert 201 == answer.status_code

    async def test_the_shop_names_any_page(self, ordered: Api, world: World) -> None:
        """Its backend knows what it does: an app's address or another shop of the house."""
        customer = a_customer()
        order_id = world.shop.has(f"anywhere-{customer}", customer)
        body = an_order(order_id=order_id, customer_id=customer, return_url="https://app.example/")

        answer = await ordered.shop.post("/payments", body)

        assert 201 == answer.status_code


class TestWhoMayStart:
    async def test_without_an_order_service_only_the_shop_may(self, api: Api) -> None:
        """A price must not be the customer's word."""
        customer = a_customer()

        answer = await api.as_(Role.CUSTOMER, customer).post(
            "/payments", an_order(customer_id=customer)
        )

        assert (403, "forbidden") == (answer.status_code, answer.json()["code"])

    async def test_nobody_pays_as_somebody_else(self, ordered: Api) -> None:
        """A customer's payment is their own."""
        answer = await ordered.as_(Role.CUSTOMER, a_customer()).post("/payments", an_order())

        assert 403 == answer.status_code
