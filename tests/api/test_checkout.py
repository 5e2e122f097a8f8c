"""Hosted checkout over HTTP: an address for the customer, and what became of the page."""

from typing import Any

from paysaga.database.customers import Customers
from paysaga.database.engine import create_engine, sessions
from paysaga.tokens import Role
from tests.api.events import an_event, send
from tests.api.world import Api, Caller, World, a_customer, an_order, ended

SUCCESS = "https://shop.example/thanks?basket=17"
CANCEL = "https://shop.example/basket"


def an_order_on_the_page(**changes: object) -> dict[str, Any]:
    """A body that POST /payments/checkout-session takes."""
    page = {"payment_method_id": None, "return_url": None}
    return an_order(**{**page, "success_url": SUCCESS, "cancel_url": CANCEL, **changes})


async def opened(who: Caller, **changes: object) -> dict[str, Any]:
    """A payment whose page is open."""
    answer = await who.post("/payments/checkout-session", an_order_on_the_page(**changes))
    assert 201 == answer.status_code
    return dict(answer.json())


def page_of(payment: dict[str, Any], attempt: int = 1) -> str:
    return f"cs_{payment['id'].removeprefix('pay_')}_{attempt}"


async def told(api: Api, payment: dict[str, Any], kind: str, attempt: int = 1) -> str:
    """What came of the gateway's event about the payment's page."""
    about = {
        "id": page_of(payment, attempt),
        "object": "checkout.session",
        "amount_total": payment["amount"],
        "currency": "eur",
        "metadata": {"payment_id": payment["id"], "environment": "test"},
    }
    event = an_event(type=f"checkout.session.{kind}", data={"object": about})
    answer = await send(api, event)
    assert 200 == answer.status_code
    return str(event["id"])


class TestOpening:
    async def test_the_answer_is_an_address(self, api: Api, world: World) -> None:
        """201 with the page's address, and the shop's addresses know the payment."""
        payment = await opened(api.shop, description="One book")

        order = world.gateway.pages.orders[page_of(payment)]
        assert ("requires_action", "checkout_open") == (payment["status"], payment["reason"])
        assert f"https://gateway.example/c/pay/{page_of(payment)}" == payment["checkout_url"]
        assert {"type": "redirect", "url": payment["checkout_url"]} == payment["next_action"]
        assert "Please pay on the secure payment page." == payment["message"]
        assert f"{SUCCESS}&payment_id={payment['id']}" == order.success_url
        assert f"{CANCEL}?payment_id={payment['id']}" == order.cancel_url
        assert "One book" == order.description
        await api.shop.post(f"/payments/{payment['id']}/cancel")

    async def test_a_repeat_opens_no_second_page(self, api: Api, world: World) -> None:
        """The same key and body answer with the same page; another body is refused."""
        order = an_order_on_the_page()
        first = await api.shop.post("/payments/checkout-session", order, key="page-once")
        again = await api.shop.post("/payments/checkout-session", order, key="page-once")
        other = await api.shop.post(
            "/payments/checkout-session", order | {"cancel_url": SUCCESS}, key="page-once"
        )

        assert (201, 200) == (first.status_code, again.status_code)
        assert first.json()["checkout_url"] == again.json()["checkout_url"]
        assert (409, "idempotency_key_reused") == (other.status_code, other.json()["code"])
        pages = [page for page in world.gateway.pages.orders if page_of(first.json())[:-2] in page]
        assert 1 == len(pages)
        await api.shop.post(f"/payments/{first.json()['id']}/cancel")

    async def test_a_key_of_a_payment_is_not_a_pages(self, api: Api) -> None:
        """The key belongs to the route, too."""
        customer = a_customer()
        paid = an_order(customer_id=customer)
        page = an_order_on_the_page(customer_id=customer, order_id=paid["order_id"])
        await api.shop.post("/payments", paid, key="either")

        answer = await api.shop.post("/payments/checkout-session", page, key="either")

        assert (409, "idempotency_key_reused") == (answer.status_code, answer.json()["code"])

    async def test_an_order_has_one_payment(self, api: Api) -> None:
        """Nobody opens a page for an order that another payment has."""
        payment = await opened(api.shop)

        answer = await api.shop.post(
            "/payments/checkout-session",
            an_order_on_the_page(order_id=payment["order_id"], customer_id=payment["customer_id"]),
        )

        assert (409, payment["id"]) == (answer.status_code, answer.json()["payment_id"])
        await api.shop.post(f"/payments/{payment['id']}/cancel")

    async def test_addresses_are_checked(self, api: Api) -> None:
        """A customer's token leads back to the shop's pages only, on both ways."""
        customer = api.as_(Role.CUSTOMER, a_customer())
        for field in ("success_url", "cancel_url"):
            body = an_order_on_the_page(customer_id=None, **{field: "https://evil.example/x"})
            answer = await customer.post("/payments/checkout-session", body)
            assert (422, field) == (answer.status_code, answer.json()["errors"][0]["field"])

    async def test_unknown_fields_and_bad_addresses_are_refused(self, api: Api) -> None:
        """The field is named, and no page is opened."""
        for field, value in (("payment_method_id", "pm_1"), ("customer_email", "not an address")):
            answer = await api.shop.post(
                "/payments/checkout-session", an_order_on_the_page(**{field: value})
            )
            assert (422, field) == (answer.status_code, answer.json()["errors"][0]["field"])

    async def test_an_email_is_kept_with_the_customer_alone(self, api: Api, world: World) -> None:
        """The run does not know it: its history has no personal data."""
        payment = await opened(api.shop, customer_email="ada@shop.example")

        engine = create_engine(world.settings.database_url)
        kept = await Customers(sessions(engine)).email(payment["customer_id"])
        await engine.dispose()
        history = await world.client.get_workflow_handle(payment["id"]).fetch_history()
        assert "ada@shop.example" == kept
        assert "ada@" not in history.to_json()
        await api.shop.post(f"/payments/{payment['id']}/cancel")


class TestOutcomes:
    async def test_paid_on_the_page(self, api: Api, world: World) -> None:
        """The gateway's event makes the run look, and the payment is paid."""
        payment = await opened(api.shop)
        world.gateway.pages.pays(page_of(payment), "succeeded")

        await told(api, payment, "completed")

        result = await ended(world, payment["id"])
        shown = (await api.shop.get(f"/payments/{payment['id']}")).json()
        assert ("succeeded", 1250) == (result.status, result.amount_captured)
        assert (None, "visa") == (shown["checkout_url"], shown["payment_method"]["brand"])

    async def test_an_abandoned_page_is_followed_by_a_new_one(self, api: Api, world: World) -> None:
        """Its end is told in words, and `retry` opens another page, which is paid."""
        payment = await opened(api.shop)
        world.gateway.pages.expires(page_of(payment))
        await told(api, payment, "expired")
        path = f"/payments/{payment['id']}"
        waiting = (await api.shop.get(f"{path}/status", wait=20, version=4)).json()

        refused = await api.shop.post(f"{path}/retry", {"payment_method_id": "pm_succeeded"})
        retried = await api.shop.post(f"{path}/retry")

        again = retried.json()
        assert ("awaiting_retry", "checkout_expired") == (waiting["status"], waiting["reason"])
        assert "expired" in waiting["message"]
        assert 2 == waiting["attempts_left"]
        assert (422, "payment_method_id") == (
            refused.status_code,
            refused.json()["errors"][0]["field"],
        )
        assert (200, page_of(payment, 2)) == (
            retried.status_code,
            again["checkout_url"].rpartition("/")[2],
        )
        world.gateway.pages.pays(page_of(payment, 2), "succeeded")
        await told(api, payment, "completed", 2)
        assert "succeeded" == (await ended(world, payment["id"])).status

    async def test_the_customers_return_is_enough(self, api: Api, world: World) -> None:
        """Without any webhook, `refresh` looks at the page."""
        name = a_customer()
        customer = api.as_(Role.CUSTOMER, name)
        payment = await opened(api.shop, customer_id=name)
        world.gateway.pages.pays(page_of(payment), "succeeded")

        answer = await customer.post(f"/payments/{payment['id']}/refresh", key=None)

        assert "succeeded" == answer.json()["status"]

    async def test_a_cancel_closes_the_page(self, api: Api, world: World) -> None:
        """Who goes back to the shop can pay there no more."""
        payment = await opened(api.shop)

        answer = await api.shop.post(f"/payments/{payment['id']}/cancel")

        page = await world.gateway.pages.retrieve_session(page_of(payment))
        assert (200, "canceled") == (answer.status_code, answer.json()["status"])
        assert "expired" == page.status
