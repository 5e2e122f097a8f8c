import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import stripe

from paysaga.simulator.app import create_app
from tests.simulator.support import (
    SECRET_KEY,
    Control,
    Json,
    Receiver,
    event_types,
    gateway,
    served,
    settings,
)

SUCCESS_URL = "https://shop.example/done?session={CHECKOUT_SESSION_ID}"
CANCEL_URL = "https://shop.example/cart"
TEA: Json = {
    "price_data": {"currency": "eur", "product_data": {"name": "Tea"}, "unit_amount": 450},
    "quantity": 2,
}
CUP: Json = {
    "price_data": {"currency": "eur", "product_data": {"name": "Cup"}, "unit_amount": 1100},
    "quantity": 1,
}


async def start(client: stripe.StripeClient, **more: object) -> stripe.checkout.Session:
    params: Json = {
        "mode": "payment",
        "line_items": [TEA, CUP],
        "success_url": SUCCESS_URL,
        "cancel_url": CANCEL_URL,
        **more,
    }
    return await client.v1.checkout.sessions.create_async(params)  # type: ignore[arg-type]


async def pay(control: Control, session: str, method: str | None = "pm_card_visa") -> Json:
    return await control.post(f"/checkout_sessions/{session}/pay", payment_method=method)


async def read(client: stripe.StripeClient, session: str, *expand: str) -> stripe.checkout.Session:
    return await client.v1.checkout.sessions.retrieve_async(session, {"expand": [*expand]})


async def intent_of(client: stripe.StripeClient, session: str) -> stripe.PaymentIntent:
    intent = (await read(client, session, "payment_intent")).payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    return intent


async def checkout_events(client: stripe.StripeClient) -> list[str]:
    return [kind for kind in await event_types(client) if not kind.startswith(("product", "price"))]


class TestCreate:
    async def test_waits_for_its_customer(self, client: stripe.StripeClient) -> None:
        """
        A new session is open, unpaid, adds its lines up, has a page and no intent yet.
        """
        session = await start(client, client_reference_id="order_7", metadata={"a": "b"})

        assert ("open", "unpaid", 2000, "eur", None, "order_7", "hosted_page") == (
            session.status, session.payment_status, session.amount_total, session.currency,
            session.payment_intent, session.client_reference_id, session.ui_mode,
        )  # fmt: skip
        assert str(session.url).endswith(f"/c/pay/{session.id}")
        assert session.id.startswith("cs_test_")
        assert 24 * 3600 == session.expires_at - session.created

    async def test_price_of_a_product(self, client: stripe.StripeClient) -> None:
        """
        A line may name a price that is there.
        """
        product = await client.v1.products.create_async({"name": "Tea"})
        price = await client.v1.prices.create_async(
            {"product": product.id, "currency": "eur", "unit_amount": 450}
        )

        session = await start(client, line_items=[{"price": price.id, "quantity": 3}])

        assert 1350 == session.amount_total

    async def test_knows_its_customer(self, client: stripe.StripeClient) -> None:
        """
        The customer's address is known from the customer, or from the shop.
        """
        customer = await client.v1.customers.create_async({"email": "jo@example.com"})

        ours = await start(client, customer=customer.id)
        typed = await start(client, customer_email="sam@example.com")

        assert ours.customer_details is not None
        assert typed.customer_details is not None
        assert ["jo@example.com", "sam@example.com"] == [
            ours.customer_details.email, typed.customer_details.email,
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("minutes", "words"),
        [(29, "at least 30 minutes from"), (24 * 60 + 2, "less than 24 hours from")],
    )
    async def test_end_out_of_bounds(
        self, client: stripe.StripeClient, minutes: int, words: str
    ) -> None:
        """
        A session lives from 30 minutes to 24 hours.
        """
        with pytest.raises(stripe.InvalidRequestError, match=words) as refused:
            await start(client, expires_at=int(time.time()) + minutes * 60)

        assert "expires_at" == refused.value.param

    async def test_end_within_bounds(self, client: stripe.StripeClient) -> None:
        """
        The shop may choose the end itself.
        """
        end = int(time.time()) + 31 * 60

        assert end == (await start(client, expires_at=end)).expires_at

    @pytest.mark.parametrize(
        ("params", "code", "param"),
        [
            ({"line_items": []}, "parameter_missing", "line_items"),
            ({"line_items": [{"quantity": 1}]}, None, "line_items[0]"),
            ({"line_items": [{"price": "price_x", "quantity": 1}]}, "resource_missing",
             "line_items[0][price]"),
            ({"customer": "cus_x"}, "resource_missing", "customer"),
            ({"mode": "subscription"}, None, "mode"),
            ({"success_url": "javascript:alert(1)"}, "url_invalid", "success_url"),
            ({"payment_method_types": ["card"]}, "payment_method_types_no_longer_supported",
             "payment_method_types"),
            ({"ui_mode": "hosted"}, None, "ui_mode"),
            ({"colour": "red"}, "parameter_unknown", "colour"),
        ],
    )  # fmt: skip
    async def test_refused(
        self, client: stripe.StripeClient, params: Json, code: str | None, param: str
    ) -> None:
        """
        What makes no sense is refused, with the parameter named in brackets.
        """
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await start(client, **params)

        assert (400, code, param) == (
            refused.value.http_status, refused.value.code, refused.value.param,
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"currency": "usd"}, "same currency"),
            ({"recurring": {"interval": "month"}}, "recurring price"),
            ({"unit_amount": 1_000_000_000}, "no more than"),
        ],
    )
    async def test_lines_that_do_not_go_together(
        self, client: stripe.StripeClient, change: Json, words: str
    ) -> None:
        """
        One currency, paid once, and an amount that can be charged.
        """
        odd = {"price_data": {**CUP["price_data"], **change}, "quantity": 1}

        with pytest.raises(stripe.InvalidRequestError, match=words):
            await start(client, line_items=[TEA, odd])

    async def test_repeated_with_its_key(self, client: stripe.StripeClient) -> None:
        """
        The same key makes one session.
        """
        params: Json = {"mode": "payment", "line_items": [TEA], "success_url": SUCCESS_URL}

        both = [
            await client.v1.checkout.sessions.create_async(
                params,  # type: ignore[arg-type]
                {"idempotency_key": "k"},
            )
            for _ in range(2)
        ]

        assert both[0].id == both[1].id
        assert 1 == len((await client.v1.checkout.sessions.list_async()).data)


class TestPay:
    async def test_card(self, client: stripe.StripeClient, control: Control) -> None:
        """
        Paying makes the intent, charges it, and completes the session, in this order.
        """
        session = await start(client)

        paid = await pay(control, session.id)

        intent = await intent_of(client, session.id)
        assert ("complete", "paid", None) == (paid["status"], paid["payment_status"], paid["url"])
        assert ("succeeded", 2000) == (intent.status, intent.amount_received)
        assert [
            "payment_intent.created",
            "charge.succeeded",
            "payment_intent.succeeded",
            "checkout.session.completed",
        ] == await checkout_events(client)

    async def test_intent_carries_what_the_shop_said(
        self, client: stripe.StripeClient, control: Control
    ) -> None:
        """
        The intent carries the metadata and description meant for it, and the session's customer.
        """
        customer = await client.v1.customers.create_async({"email": "jo@example.com"})
        session = await start(
            client,
            customer=customer.id,
            payment_intent_data={
                "metadata": {"payment_id": "pay_1"},
                "description": "Order 7",
                "statement_descriptor_suffix": "TEA",
            },
        )

        await pay(control, session.id)

        intent = await intent_of(client, session.id)
        assert ({"payment_id": "pay_1"}, "Order 7", "TEA", customer.id) == (
            intent.metadata.to_dict(), intent.description,
            intent.statement_descriptor_suffix, intent.customer,
        )  # fmt: skip

    async def test_decline_leaves_it_open(
        self, client: stripe.StripeClient, control: Control, http: httpx.AsyncClient
    ) -> None:
        """
        After a decline the customer tries again, on the same intent, and pays once.
        """
        session = await start(client)

        refused = await http.post(
            f"/_control/checkout_sessions/{session.id}/pay",
            json={"payment_method": "pm_card_chargeDeclinedInsufficientFunds"},
        )
        between = await read(client, session.id)
        paid = await pay(control, session.id)

        assert (402, "open") == (refused.status_code, between.status)
        assert "insufficient funds" in refused.json()["detail"]
        assert between.payment_intent == paid["payment_intent"]
        assert 1 == len(await control.entries("charge.captured"))

    async def test_authentication(self, client: stripe.StripeClient, control: Control) -> None:
        """
        A card that asks for 3-D Secure leaves the session open until the customer is back.
        """
        session = await start(client)

        waiting = await pay(control, session.id, "pm_card_authenticationRequired")
        await control.act(waiting["payment_intent"], "authorize")

        after = await read(client, session.id)
        assert ("open", "complete", "paid") == (
            waiting["status"], after.status, after.payment_status,
        )  # fmt: skip

    async def test_failed_authentication(
        self, client: stripe.StripeClient, control: Control
    ) -> None:
        """
        Failed 3-D Secure leaves the session open for another card.
        """
        session = await start(client)
        waiting = await pay(control, session.id, "pm_card_authenticationRequired")

        await control.act(waiting["payment_intent"], "fail")

        assert "open" == (await read(client, session.id)).status
        assert "complete" == (await pay(control, session.id))["status"]

    async def test_hold(self, client: stripe.StripeClient, control: Control) -> None:
        """
        With manual capture the session completes unpaid, and is paid once captured.
        """
        session = await start(client, payment_intent_data={"capture_method": "manual"})

        held = await pay(control, session.id)
        await client.v1.payment_intents.capture_async(held["payment_intent"])

        after = await read(client, session.id)
        assert ("complete", "unpaid", "paid") == (
            held["status"], held["payment_status"], after.payment_status,
        )  # fmt: skip

    async def test_nothing_to_pay(self, client: stripe.StripeClient, control: Control) -> None:
        """
        An order that costs nothing completes without an intent.
        """
        free = {"price_data": {**TEA["price_data"], "unit_amount": 0}, "quantity": 1}
        session = await start(client, line_items=[free])

        done = await pay(control, session.id, None)

        assert ("complete", "no_payment_required", None) == (
            done["status"], done["payment_status"], done["payment_intent"],
        )  # fmt: skip

    async def test_customer_is_made(self, client: stripe.StripeClient, control: Control) -> None:
        """
        Where the card is to be kept and the shop names no customer, Checkout makes one.
        """
        session = await start(client, payment_intent_data={"setup_future_usage": "off_session"})

        paid = await pay(control, session.id)

        customer = await client.v1.customers.retrieve_async(paid["customer"])
        assert "buyer@example.com" == customer.email

    @pytest.mark.parametrize("how", ["paid", "expired"])
    async def test_closed(
        self, client: stripe.StripeClient, control: Control, http: httpx.AsyncClient, how: str
    ) -> None:
        """
        What is complete or expired cannot be paid (again).
        """
        session = await start(client)
        if how == "paid":
            await pay(control, session.id)
        else:
            await client.v1.checkout.sessions.expire_async(session.id)

        again = await http.post(
            f"/_control/checkout_sessions/{session.id}/pay", json={"payment_method": "pm_card_visa"}
        )

        assert 409 == again.status_code
        assert (how == "paid") == bool(await control.entries("charge.captured"))

    async def test_unknown(self, http: httpx.AsyncClient) -> None:
        """
        Nobody pays a session that is not there.
        """
        answer = await http.post("/_control/checkout_sessions/cs_test_x/pay", json={})

        assert 404 == answer.status_code


class TestIntentOfASession:
    async def test_belongs_to_checkout(self, client: stripe.StripeClient, control: Control) -> None:
        """
        While the session is open the shop can neither cancel, confirm nor change its intent.
        """
        session = await start(client)
        waiting = await pay(control, session.id, "pm_card_authenticationRequired")
        intents = client.v1.payment_intents

        with pytest.raises(stripe.InvalidRequestError, match="created by Checkout"):
            await intents.cancel_async(waiting["payment_intent"])
        with pytest.raises(stripe.InvalidRequestError, match="created by Checkout"):
            await intents.confirm_async(waiting["payment_intent"])
        with pytest.raises(stripe.InvalidRequestError, match="created by Checkout"):
            await intents.update_async(waiting["payment_intent"], {"amount": 1})

    async def test_hold_is_canceled(self, client: stripe.StripeClient, control: Control) -> None:
        """
        What the session holds can be let go.
        """
        session = await start(client, payment_intent_data={"capture_method": "manual"})
        held = await pay(control, session.id)

        canceled = await client.v1.payment_intents.cancel_async(held["payment_intent"])

        assert "canceled" == canceled.status

    async def test_ends_with_the_session(
        self, client: stripe.StripeClient, control: Control
    ) -> None:
        """
        The intent of a session that expires is canceled: nobody can pay it any more.
        """
        session = await start(client)
        waiting = await pay(control, session.id, "pm_card_authenticationRequired")

        await client.v1.checkout.sessions.expire_async(session.id)

        intent = await client.v1.payment_intents.retrieve_async(waiting["payment_intent"])
        assert ("canceled", "expired") == (intent.status, intent.cancellation_reason)


class TestExpire:
    async def test_open(self, client: stripe.StripeClient) -> None:
        """
        An open session expires on demand, loses its page, and tells.
        """
        session = await start(client)

        expired = await client.v1.checkout.sessions.expire_async(session.id)

        assert ("expired", "unpaid", None) == (expired.status, expired.payment_status, expired.url)
        assert ["checkout.session.expired"] == await checkout_events(client)

    async def test_complete(self, client: stripe.StripeClient, control: Control) -> None:
        """
        What is paid does not expire.
        """
        session = await start(client)
        await pay(control, session.id)

        with pytest.raises(stripe.InvalidRequestError, match="status of `complete`"):
            await client.v1.checkout.sessions.expire_async(session.id)

    async def test_in_time(self, state: Path) -> None:
        """
        At its end a session expires by itself, and tells; one that was paid stays paid.
        """
        now = datetime.now(UTC)
        receiver = Receiver()
        app = create_app(settings(simulator_state=state), clock=lambda: now)
        async with (
            served(lambda _url: receiver) as hook,
            served(lambda _url: app) as url,
            gateway(url) as client,
            httpx.AsyncClient(base_url=url) as http,
        ):
            await client.v1.webhook_endpoints.create_async(
                {"url": hook, "enabled_events": ["checkout.session.expired"]}
            )
            left, paid = await start(client), await start(client)
            await pay(Control(http), paid.id)

            now += timedelta(hours=24, seconds=1)
            await Control(http).flush()

            statuses = [(await read(client, each.id)).status for each in (left, paid)]
        assert ["expired", "complete"] == statuses
        assert [left.id] == [each.event["data"]["object"]["id"] for each in receiver.received]

    async def test_flush_is_no_deadline(
        self, client: stripe.StripeClient, control: Control
    ) -> None:
        """
        Hurrying the webhooks does not make sessions expire.
        """
        session = await start(client)

        await control.flush()

        assert "open" == (await read(client, session.id)).status


class TestDebit:
    @pytest.mark.parametrize(
        ("method", "ends", "payment_status", "events"),
        [
            (
                "pm_sepaDebit_success_at", "succeeded", "paid",
                ["charge.succeeded", "payment_intent.succeeded",
                 "checkout.session.async_payment_succeeded"],
            ),
            (
                "pm_sepaDebit_failed_at", "requires_payment_method", "unpaid",
                ["charge.failed", "payment_intent.payment_failed",
                 "checkout.session.async_payment_failed"],
            ),
        ],
    )  # fmt: skip
    async def test_settles_later(
        self,
        client: stripe.StripeClient,
        control: Control,
        method: str,
        ends: str,
        payment_status: str,
        events: list[str],
    ) -> None:
        """
        A debit completes the session unpaid, and succeeds or fails when the bank has answered.
        """
        await control.knobs(debit_settle_seconds=3600)
        session = await start(client)

        begun = await pay(control, session.id, method)
        processing = await intent_of(client, session.id)
        await control.flush()

        settled = await intent_of(client, session.id)
        assert ("complete", "unpaid") == (begun["status"], begun["payment_status"])
        assert ("processing", ends) == (processing.status, settled.status)
        assert payment_status == (await read(client, session.id)).payment_status
        assert [
            "payment_intent.created", "payment_intent.processing", "charge.pending",
            "checkout.session.completed", *events,
        ] == await checkout_events(client)  # fmt: skip

    async def test_without_checkout(self, client: stripe.StripeClient, control: Control) -> None:
        """
        An intent that allows debits is processing until the bank has answered, money and all.
        """
        intent = await client.v1.payment_intents.create_async(
            {
                "amount": 900,
                "currency": "eur",
                "allowed_payment_method_types": ["sepa_debit"],
                "payment_method": "pm_sepaDebit_success_at",
                "confirm": True,
                "return_url": CANCEL_URL,
            }
        )

        await control.flush()

        after = await client.v1.payment_intents.retrieve_async(intent.id)
        refund = await client.v1.refunds.create_async({"payment_intent": intent.id})
        assert ["processing", "succeeded"] == [intent.status, after.status]
        assert ("succeeded", 900) == (refund.status, refund.amount)
        assert [900] == [entry["amount"] for entry in await control.entries("charge.captured")]

    async def test_only_in_euro(self, client: stripe.StripeClient, http: httpx.AsyncClient) -> None:
        """
        Debits are neither offered nor taken where they cannot be: other currencies, holds.
        """
        dollars = {"price_data": {**TEA["price_data"], "currency": "usd"}, "quantity": 1}
        session = await start(client, line_items=[dollars])

        answer = await http.post(
            f"/_control/checkout_sessions/{session.id}/pay",
            json={"payment_method": "pm_sepaDebit_success_at"},
        )

        held = await start(client, payment_intent_data={"capture_method": "manual"})
        assert ["card", "paypal"] == session.payment_method_types == held.payment_method_types
        assert 409 == answer.status_code

    async def test_impossible_account(self, client: stripe.StripeClient) -> None:
        """
        An IBAN that does not add up is refused.
        """
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await client.v1.payment_methods.create_async(
                {"type": "sepa_debit", "sepa_debit": {"iban": "AT00 1904 3002 3457 3201"}}
            )

        assert "sepa_debit[iban]" == refused.value.param


class TestReading:
    async def test_lines(self, client: stripe.StripeClient) -> None:
        """
        The lines are listed in their own order, page by page, with prices and products.
        """
        session = await start(client)
        lines = client.v1.checkout.sessions.line_items

        first = await lines.list_async(session.id, {"limit": 1})
        rest = await lines.list_async(session.id, {"starting_after": first.data[0].id})

        assert [("Tea", 2, 900), ("Cup", 1, 1100)] == [
            (each.description, each.quantity, each.amount_total)
            for each in (*first.data, *rest.data)
        ]
        assert (True, False) == (first.has_more, rest.has_more)

    async def test_expanded(self, client: stripe.StripeClient, control: Control) -> None:
        """
        Intent, charge, customer, lines and products can be had in one answer.
        """
        customer = await client.v1.customers.create_async({"email": "jo@example.com"})
        session = await start(client, customer=customer.id)
        await pay(control, session.id)

        full = await read(
            client,
            session.id,
            "payment_intent.latest_charge",
            "customer",
            "line_items.data.price.product",
        )

        assert isinstance(full.customer, stripe.Customer)
        assert isinstance(full.payment_intent, stripe.PaymentIntent)
        assert isinstance(full.payment_intent.latest_charge, stripe.Charge)
        assert full.line_items is not None
        price = full.line_items.data[0].price
        assert price is not None
        assert isinstance(price.product, stripe.Product)
        assert "Tea" == price.product.name

    async def test_found_by_what_it_names(
        self, client: stripe.StripeClient, control: Control
    ) -> None:
        """
        Sessions are found by intent, by customer, and by how they stand.
        """
        customer = await client.v1.customers.create_async()
        sessions = client.v1.checkout.sessions
        paid = await start(client)
        intent = (await pay(control, paid.id))["payment_intent"]
        ours = await start(client, customer=customer.id)

        found = [
            await sessions.list_async({"payment_intent": intent}),
            await sessions.list_async({"customer": customer.id}),
            await sessions.list_async({"status": "open"}),
        ]

        assert [[paid.id], [ours.id], [ours.id]] == [[e.id for e in page.data] for page in found]

    async def test_unknown(self, client: stripe.StripeClient) -> None:
        """
        A session that is not there is 404.
        """
        with pytest.raises(stripe.InvalidRequestError, match="No such checkout") as refused:
            await read(client, "cs_test_x")

        assert 404 == refused.value.http_status


class TestPaymentPage:
    async def test_confirmed_from_the_server(
        self, client: stripe.StripeClient, http: httpx.AsyncClient
    ) -> None:
        """
        The calls of Stripe's CLI read the page and pay on it.
        """
        session = await start(client)

        page = await http.get(f"/v1/payment_pages/{session.id}", auth=(SECRET_KEY, ""))
        paid = await http.post(
            f"/v1/payment_pages/{session.id}/confirm",
            data={"payment_method": "pm_card_visa", "expected_amount": 2000},
            auth=(SECRET_KEY, ""),
        )

        assert (session.id, "open", "complete") == (
            page.json()["session_id"], page.json()["status"], paid.json()["status"],
        )  # fmt: skip

    async def test_other_amount(self, client: stripe.StripeClient, http: httpx.AsyncClient) -> None:
        """
        A customer who expects another amount pays nothing.
        """
        session = await start(client)

        answer = await http.post(
            f"/v1/payment_pages/{session.id}/confirm",
            data={"payment_method": "pm_card_visa", "expected_amount": 1},
            auth=(SECRET_KEY, ""),
        )

        assert "checkout_amount_mismatch" == answer.json()["error"]["code"]
        assert "open" == (await read(client, session.id)).status


class TestFaults:
    async def test_reply_to_create_lost(
        self, client: stripe.StripeClient, control: Control
    ) -> None:
        """
        The session is made and the shop never hears of it; faults can aim at its metadata.
        """
        await control.fault(
            "checkout_sessions.create", "effect_reply_lost", match={"payment_id": "pay_1"}
        )

        await start(client, metadata={"payment_id": "pay_2"})
        with pytest.raises(stripe.APIConnectionError):
            await start(client, metadata={"payment_id": "pay_1"})

        assert 2 == len((await client.v1.checkout.sessions.list_async()).data)

    async def test_expire_and_retrieve(self, client: stripe.StripeClient, control: Control) -> None:
        """
        Reading and expiring can break as well.
        """
        session = await start(client)
        await control.fault("checkout_sessions.expire", "refuse_before", status=503)
        await control.fault("checkout_sessions.retrieve", "rate_limit")

        with pytest.raises(stripe.APIError):
            await client.v1.checkout.sessions.expire_async(session.id)
        with pytest.raises(stripe.RateLimitError):
            await read(client, session.id)

        assert "open" == (await read(client, session.id)).status


class TestCatalogue:
    async def test_product(self, client: stripe.StripeClient) -> None:
        """
        A product is made, changed and found.
        """
        product = await client.v1.products.create_async({"name": "Tea", "metadata": {"a": "1"}})
        await client.v1.products.create_async({"name": "Cup", "active": False})

        changed = await client.v1.products.update_async(product.id, {"description": "Green"})

        found = await client.v1.products.list_async({"active": True})
        assert ("Tea", "Green") == (changed.name, changed.description)
        assert [product.id] == [each.id for each in found.data]
        assert ["product.created", "product.created", "product.updated"] == await event_types(
            client
        )

    async def test_price(self, client: stripe.StripeClient) -> None:
        """
        A price belongs to a product, is made with it if need be, and is found by it.
        """
        price = await client.v1.prices.create_async(
            {"currency": "eur", "unit_amount": 450, "product_data": {"name": "Tea"}}
        )

        changed = await client.v1.prices.update_async(price.id, {"active": False})

        found = await client.v1.prices.list_async({"product": str(price.product)})
        assert ("one_time", 450, False) == (price.type, price.unit_amount, changed.active)
        assert [price.id] == [each.id for each in found.data]
        assert ["product.created", "price.created", "price.updated"] == await event_types(client)

    async def test_inactive_price(self, client: stripe.StripeClient) -> None:
        """
        What is no longer for sale cannot be checked out.
        """
        price = await client.v1.prices.create_async(
            {"currency": "eur", "unit_amount": 450, "product_data": {"name": "Tea"}}
        )
        await client.v1.prices.update_async(price.id, {"active": False})

        with pytest.raises(stripe.InvalidRequestError, match="inactive"):
            await start(client, line_items=[{"price": price.id, "quantity": 1}])
