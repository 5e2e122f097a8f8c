from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
import stripe

from tests.simulator.support import RETURN_URL, Control, event_types
from tests.simulator.test_cards import pay


async def waiting(client: stripe.StripeClient, **more: object) -> tuple[stripe.PaymentIntent, str]:
    """An intent that waits for its customer, and the page that it sends them to."""
    intent = await pay(client, "pm_card_authenticationRequired", description="Tea & <b>", **more)
    assert intent.next_action is not None
    assert intent.next_action.redirect_to_url is not None
    assert RETURN_URL == intent.next_action.redirect_to_url.return_url
    return intent, str(intent.next_action.redirect_to_url.url)


def query(response: httpx.Response) -> dict[str, str]:
    """What the customer brings back to the shop."""
    return dict(parse_qsl(urlsplit(response.headers["location"]).query))


class TestAuthentication:
    async def test_page(self, client: stripe.StripeClient, http: httpx.AsyncClient) -> None:
        """
        The page tells what is paid for, offers both ways out, and trusts no text.
        """
        _, url = await waiting(client)

        page = await http.get(url)

        assert 200 == page.status_code
        for text in ("19.99 EUR", "Tea &amp; &lt;b&gt;", "Authorize", "Fail"):
            assert text in page.text

    @pytest.mark.parametrize(
        ("outcome", "status", "redirect_status"),
        [
            ("authorize", "succeeded", "succeeded"),
            ("fail", "requires_payment_method", "failed"),
        ],
    )
    async def test_click(
        self,
        client: stripe.StripeClient,
        http: httpx.AsyncClient,
        outcome: str,
        status: str,
        redirect_status: str,
    ) -> None:
        """
        A click decides, and the customer returns with Stripe's parameters added to the shop's own.
        """
        intent, url = await waiting(client)

        back = await http.post(url, data={"outcome": outcome})

        after = await client.v1.payment_intents.retrieve_async(intent.id)
        assert (303, status) == (back.status_code, after.status)
        assert {
            "cart": "7",
            "payment_intent": intent.id,
            "payment_intent_client_secret": intent.client_secret,
            "redirect_status": redirect_status,
        } == query(back)

    async def test_failure_is_told(
        self, client: stripe.StripeClient, http: httpx.AsyncClient
    ) -> None:
        """
        Failed authentication opens the intent again, with its own error code and event.
        """
        intent, url = await waiting(client)

        await http.post(url, data={"outcome": "fail"})

        after = await client.v1.payment_intents.retrieve_async(intent.id)
        assert after.last_payment_error is not None
        assert "payment_intent_authentication_failure" == after.last_payment_error.code
        assert [
            "payment_intent.created",
            "payment_intent.requires_action",
            "payment_intent.payment_failed",
        ] == await event_types(client)

    async def test_second_click_changes_nothing(
        self, client: stripe.StripeClient, http: httpx.AsyncClient, control: Control
    ) -> None:
        """
        Who clicks twice is sent back twice and pays once.
        """
        _, url = await waiting(client)
        await http.post(url, data={"outcome": "authorize"})

        again = await http.post(url, data={"outcome": "fail"})
        page = await http.get(url)

        assert "succeeded" == query(again)["redirect_status"]
        assert "This step is done" in page.text
        assert 1 == len(await control.entries("charge.captured"))

    async def test_old_page_after_another_try(
        self, client: stripe.StripeClient, http: httpx.AsyncClient
    ) -> None:
        """
        A page from an earlier confirm decides nothing about the present one.
        """
        intent, url = await waiting(client)
        await client.v1.payment_intents.confirm_async(
            intent.id,
            {"payment_method": "pm_card_threeDSecure2Required", "return_url": RETURN_URL},
        )

        answer = await http.post(url, data={"outcome": "authorize"})

        assert 404 == answer.status_code
        after = await client.v1.payment_intents.retrieve_async(intent.id)
        assert "requires_action" == after.status

    async def test_guessed_link(self, http: httpx.AsyncClient) -> None:
        """
        A link that nobody was given leads nowhere.
        """
        assert 404 == (await http.get("/3ds/pi_x/token")).status_code

    async def test_hold(self, client: stripe.StripeClient, http: httpx.AsyncClient) -> None:
        """
        With manual capture the authorized amount is held, and the customer returns in success.
        """
        intent, url = await waiting(client, capture_method="manual")

        back = await http.post(url, data={"outcome": "authorize"})

        after = await client.v1.payment_intents.retrieve_async(intent.id)
        assert ("requires_capture", "succeeded") == (after.status, query(back)["redirect_status"])

    async def test_in_the_browser(self, client: stripe.StripeClient) -> None:
        """
        With `use_stripe_sdk` the browser is told where to go by the SDK's own kind of action.
        """
        intent = await pay(client, "pm_card_authenticationRequired", use_stripe_sdk=True)

        assert intent.next_action is not None
        assert "use_stripe_sdk" == intent.next_action.type

    async def test_nothing_to_authenticate(
        self, client: stripe.StripeClient, http: httpx.AsyncClient
    ) -> None:
        """
        An intent that waits for nobody cannot be authenticated by the control API either.
        """
        intent = await pay(client, "pm_card_visa")

        paid = await http.post(
            f"/_control/intents/{intent.id}/authenticate", json={"outcome": "authorize"}
        )
        unknown = await http.post(
            "/_control/intents/pi_x/authenticate", json={"outcome": "authorize"}
        )

        assert (409, 404) == (paid.status_code, unknown.status_code)


class TestPaypal:
    @pytest.mark.parametrize(
        ("outcome", "status"),
        [("authorize", "succeeded"), ("fail", "requires_payment_method")],
    )
    async def test_buyer_decides(
        self, client: stripe.StripeClient, http: httpx.AsyncClient, outcome: str, status: str
    ) -> None:
        """
        PayPal sends the buyer to its page, and what they decide there counts.
        """
        intent = await client.v1.payment_intents.create_async(
            {
                "amount": 1999,
                "currency": "eur",
                "confirm": True,
                "payment_method_data": {"type": "paypal"},
                "return_url": RETURN_URL,
            }
        )
        assert intent.next_action is not None
        assert intent.next_action.redirect_to_url is not None
        url = str(intent.next_action.redirect_to_url.url)

        page = await http.get(url)
        await http.post(url, data={"outcome": outcome})

        after = await client.v1.payment_intents.retrieve_async(intent.id)
        assert "Approve" in page.text
        assert status == after.status
        error = after.last_payment_error
        assert ("payment_method_customer_decline" if outcome == "fail" else None) == (
            error and error.code
        )

    async def test_refund(self, client: stripe.StripeClient, control: Control) -> None:
        """
        A PayPal payment is refunded like any other.
        """
        method = await client.v1.payment_methods.create_async({"type": "paypal"})
        intent = await pay(client, method.id)
        await control.act(intent.id, "authorize")

        refund = await client.v1.refunds.create_async({"payment_intent": intent.id})

        charges = await client.v1.charges.list_async({"payment_intent": intent.id})
        details = charges.data[0].payment_method_details
        assert details is not None
        assert ("succeeded", "paypal") == (refund.status, details.type)
