from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
import stripe

from tests.simulator.support import RETURN_URL, Control, event_types
from tests.simulator.test_setup_intents import save, waiting

AUTHENTICATED_CARDS = [
    "pm_card_authenticationRequired",
    "pm_card_authenticationRequiredOnSetup",
    "pm_card_authenticationRequiredSetupForOffSession",
    "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
    "pm_card_threeDSecure2Required",
]


class TestAuthentication:
    @pytest.mark.parametrize("method", AUTHENTICATED_CARDS)
    async def test_card_authenticates(
        self, client: stripe.StripeClient, http: httpx.AsyncClient, method: str
    ) -> None:
        """
        A card with 3-D Secure sends the customer to their bank, and is saved when they come back.
        """
        customer = await client.v1.customers.create_async()
        intent = await save(client, method, customer=customer.id)
        assert intent.next_action is not None
        assert intent.next_action.redirect_to_url is not None

        await http.post(str(intent.next_action.redirect_to_url.url), data={"outcome": "authorize"})

        after = await client.v1.setup_intents.retrieve_async(
            intent.id, {"expand": ["payment_method"]}
        )
        assert ("requires_action", "succeeded") == (intent.status, after.status)
        assert isinstance(after.payment_method, stripe.PaymentMethod)
        assert customer.id == after.payment_method.customer
        assert ["setup_intent.requires_action", "payment_method.attached"] == (
            await event_types(client)
        )[2:4]

    async def test_page(self, client: stripe.StripeClient, http: httpx.AsyncClient) -> None:
        """
        The page speaks of saving a card and of no amount.
        """
        _, url = await waiting(client, description="Tea & <b>")

        page = await http.get(url)

        assert 200 == page.status_code
        for text in ("saving your card", "Tea &amp; &lt;b&gt;", "Authorize", "Fail"):
            assert text in page.text
        assert "EUR" not in page.text

    @pytest.mark.parametrize(
        ("outcome", "redirect_status"), [("authorize", "succeeded"), ("fail", "failed")]
    )
    async def test_way_back(
        self,
        client: stripe.StripeClient,
        http: httpx.AsyncClient,
        outcome: str,
        redirect_status: str,
    ) -> None:
        """
        The customer returns with Stripe's parameters for a set-up added to the shop's own.
        """
        intent, url = await waiting(client)

        back = await http.post(url, data={"outcome": outcome})

        assert {
            "cart": "7",
            "setup_intent": intent.id,
            "setup_intent_client_secret": intent.client_secret,
            "redirect_status": redirect_status,
        } == dict(parse_qsl(urlsplit(back.headers["location"]).query))

    async def test_failure(self, client: stripe.StripeClient, control: Control) -> None:
        """
        Failed authentication opens the intent again, with its own error code and event.
        """
        intent, _ = await waiting(client)

        await control.act(intent.id, "fail")

        after = await client.v1.setup_intents.retrieve_async(
            intent.id, {"expand": ["latest_attempt"]}
        )
        assert after.last_setup_error is not None
        assert isinstance(after.latest_attempt, stripe.SetupAttempt)
        assert (
            "requires_payment_method", "setup_intent_authentication_failure", None, "failed",
        ) == (
            after.status, after.last_setup_error.code, after.next_action,
            after.latest_attempt.status,
        )  # fmt: skip
        assert [
            "setup_intent.created",
            "setup_intent.requires_action",
            "setup_intent.setup_failed",
        ] == await event_types(client)

    async def test_in_the_browser(self, client: stripe.StripeClient) -> None:
        """
        With `use_stripe_sdk` the browser is told where to go by the SDK's own kind of action.
        """
        intent = await save(client, "pm_card_authenticationRequired", use_stripe_sdk=True)

        assert intent.next_action is not None
        assert "use_stripe_sdk" == intent.next_action.type

    async def test_asked_for(self, client: stripe.StripeClient) -> None:
        """
        A card with optional 3DS asks the customer only if the caller wants it.
        """
        unasked = await save(client, "pm_card_threeDSecureOptional")
        asked = await save(
            client,
            "pm_card_threeDSecureOptional",
            payment_method_options={"card": {"request_three_d_secure": "any"}},
        )

        assert ("succeeded", "requires_action") == (unasked.status, asked.status)

    @pytest.mark.parametrize(
        ("outcome", "status"),
        [("authorize", "succeeded"), ("fail", "requires_payment_method")],
    )
    async def test_paypal(
        self, client: stripe.StripeClient, http: httpx.AsyncClient, outcome: str, status: str
    ) -> None:
        """
        PayPal sends the buyer to its page, and what they decide there counts.
        """
        customer = await client.v1.customers.create_async()
        intent = await client.v1.setup_intents.create_async(
            {
                "confirm": True,
                "customer": customer.id,
                "payment_method_data": {"type": "paypal"},
                "return_url": RETURN_URL,
            }
        )
        assert intent.next_action is not None
        assert intent.next_action.redirect_to_url is not None
        url = str(intent.next_action.redirect_to_url.url)

        page = await http.get(url)
        await http.post(url, data={"outcome": outcome})

        after = await client.v1.setup_intents.retrieve_async(intent.id)
        assert "Let the shop charge you later" in page.text
        assert status == after.status
