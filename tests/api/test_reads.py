from datetime import datetime
from typing import Any

import pytest

from paysaga.tokens import Role
from tests.api.world import Api, a_customer


async def three_payments(api: Api) -> tuple[str, list[dict[str, Any]]]:
    """A customer with three payments, the newest first."""
    customer = a_customer()
    methods = ("pm_succeeded", "pm_requires_action", "pm_lost_card")
    paid = [await api.shop.pay(method, customer_id=customer) for method in methods]
    return customer, paid[::-1]


class TestPayment:
    async def test_it_is_told_as_it_was_started(self, api: Api) -> None:
        """Reading a payment tells what starting it told."""
        payment = await api.shop.pay()

        answer = await api.shop.get(f"/payments/{payment['id']}")

        assert (200, payment) == (answer.status_code, answer.json())

    async def test_everybody_sees_what_is_theirs_to_see(self, api: Api) -> None:
        """Gateway ids are for those who run the shop, the way into Temporal is for its staff."""
        payment = await api.shop.pay()
        callers = {
            "customer": api.as_(Role.CUSTOMER, payment["customer_id"]),
            "service": api.shop,
            "support": api.as_(Role.SUPPORT),
        }

        told = {
            name: (await caller.get(f"/payments/{payment['id']}")).json()
            for name, caller in callers.items()
        }

        intent = payment["gateway_payment_intent_id"]
        run = f"http://127.0.0.1:8233/namespaces/default/workflows/{payment['id']}"
        assert {"customer": None, "service": intent, "support": intent} == {
            name: view["gateway_payment_intent_id"] for name, view in told.items()
        }
        assert {"customer": None, "service": None, "support": run} == {
            name: view["links"]["run"] for name, view in told.items()
        }

    async def test_its_status_is_enough_for_a_page_that_waits(self, api: Api) -> None:
        """The short answer says the same as the long one."""
        payment = await api.shop.pay("pm_requires_action")

        answer = await api.shop.get(f"/payments/{payment['id']}/status")

        told = answer.json()
        assert 200 == answer.status_code
        assert told.items() <= payment.items()
        assert {"status", "next_action", "message", "version"} <= told.keys()


class TestHistory:
    async def test_every_step_is_told(self, api: Api) -> None:
        """Who, why and when, without a gap; and what each attempt came to."""
        payment = await api.shop.pay("pm_insufficient_funds")
        await api.shop.post(
            f"/payments/{payment['id']}/retry", {"payment_method_id": "pm_succeeded"}
        )

        told = (await api.shop.get(f"/payments/{payment['id']}/history")).json()

        steps = [(step["number"], step["status"], step["reason"]) for step in told["entries"]]
        assert [
            (1, "created", "started"),
            (2, "processing", "started"),
            (3, "awaiting_retry", "declined"),
            (4, "processing", "retried"),
            (5, "succeeded", "paid"),
        ] == steps
        assert ["service:shop", "service:shop", "workflow", "service:shop", "workflow"] == [
            step["actor"] for step in told["entries"]
        ]
        assert [("declined", "insufficient_funds"), ("succeeded", None)] == [
            (attempt["status"], attempt["decline_code"]) for attempt in told["attempts"]
        ]
        assert all(datetime.fromisoformat(step["at"]).tzinfo for step in told["entries"])

    async def test_a_customer_does_not_see_who_works_there(self, api: Api) -> None:
        """Customers are told in which role somebody acted, not who it was."""
        payment = await api.shop.pay("pm_requires_action")
        await api.as_(Role.SUPPORT, "jane").post(f"/payments/{payment['id']}/cancel")

        answer = await api.as_(Role.CUSTOMER, payment["customer_id"]).get(
            f"/payments/{payment['id']}/history"
        )

        assert "jane" not in answer.text
        assert "support" == answer.json()["entries"][-1]["actor"]


class TestList:
    async def test_newest_first_in_pages(self, api: Api) -> None:
        """Page by page one sees every payment once."""
        customer, payments = await three_payments(api)
        first = (await api.shop.get("/payments", customer_id=customer, limit=2)).json()

        second = (
            await api.shop.get(
                "/payments", customer_id=customer, limit=2, after=first["next_after"]
            )
        ).json()

        assert payments == first["items"] + second["items"]
        assert second["next_after"] is None

    async def test_a_customer_sees_only_their_own(self, api: Api) -> None:
        """Whatever is asked for, the answer is about the one who asks."""
        _, theirs = await three_payments(api)
        mine = await api.shop.pay()

        answer = await api.as_(Role.CUSTOMER, mine["customer_id"]).get(
            "/payments", customer_id=theirs[0]["customer_id"]
        )

        assert [mine["id"]] == [payment["id"] for payment in answer.json()["items"]]

    async def test_filters(self, api: Api) -> None:
        """By status, by order, by customer."""
        customer, payments = await three_payments(api)
        waiting = {"status": "requires_action", "customer_id": customer}

        by_status = await api.shop.get("/payments", **waiting)
        by_order = await api.shop.get("/payments", order_id=payments[2]["order_id"])

        assert [payments[1]] == by_status.json()["items"]
        assert [payments[2]] == by_order.json()["items"]

    async def test_a_misspelt_filter_is_refused(self, api: Api) -> None:
        """Ignored, it would find everybody's payments."""
        answer = await api.shop.get("/payments", order="order-1")

        assert 422 == answer.status_code
        assert ["order"] == [error["field"] for error in answer.json()["errors"]]

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("status", "paid"),
            ("order_id", "a/b"),
            ("customer_id", "cus_1"),
            ("after", "not ours"),
            ("after", "bm90IG91cnM"),
            ("limit", "0"),
            ("limit", "101"),
            ("limit", "many"),
        ],
    )
    async def test_a_wrong_question_is_422_and_named(self, api: Api, name: str, value: str) -> None:
        """A filter that is not understood is not ignored."""
        answer = await api.shop.get("/payments", **{name: value})

        assert (422, name) == (answer.status_code, answer.json()["errors"][0]["field"])


class TestByOrder:
    async def test_the_payment_that_holds_the_order_is_told(self, api: Api) -> None:
        """Of several payments of an order the one that counts is meant."""
        given_up = await api.shop.pay("pm_requires_action")
        await api.shop.post(f"/payments/{given_up['id']}/cancel")
        order_id, customer = given_up["order_id"], given_up["customer_id"]
        paid = await api.shop.pay(order_id=order_id, customer_id=customer)

        payment = await api.shop.get(f"/orders/{order_id}/payment")
        status = await api.shop.get(f"/orders/{order_id}/payment/status")

        assert paid == payment.json()
        assert status.json().items() <= paid.items()

    @pytest.mark.parametrize("order_id", ["order-unknown", "..", "%00", "a%2Fb", "a" * 200])
    async def test_an_unknown_order_is_404(self, api: Api, order_id: str) -> None:
        """Whatever is no order has no payment."""
        answer = await api.shop.get(f"/orders/{order_id}/payment")

        assert 404 == answer.status_code
