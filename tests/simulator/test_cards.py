import httpx
import pytest
import stripe

from tests.simulator.support import PUBLISHABLE_KEY, RETURN_URL, Control, Json

SUCCEED = [
    "4242424242424242",
    "4000056655665556",
    "5555555555554444",
    "2223003122003222",
    "5200828282828210",
    "5105105105105100",
    "378282246310005",
    "371449635398431",
    "6011111111111117",
    "3056930009020004",
    "3566002020360505",
    "6200000000000005",
    "4000002760000016",
    "4000002500000003",
    "4000008260000000",
    "4000000000003055",
    "4000000000000259",
    "4000000000002685",
    "4000000000001976",
    "4000000000005423",
    "4000000000007726",
    "4000000000005126",
]
DECLINE = [
    ("4000000000000002", "card_declined", "generic_decline"),
    ("4000000000009995", "card_declined", "insufficient_funds"),
    ("4000000000009987", "card_declined", "lost_card"),
    ("4000000000009979", "card_declined", "stolen_card"),
    ("4000000000006975", "card_declined", "card_velocity_exceeded"),
    ("4000000000000069", "expired_card", None),
    ("4000000000000127", "incorrect_cvc", None),
    ("4000000000000119", "processing_error", None),
    ("4000000000000341", "card_declined", "generic_decline"),
    ("4100000000000019", "card_declined", "fraudulent"),
    ("4000008400001280", "card_declined", "generic_decline"),
]
AUTHENTICATE = [
    ("4000002500003155", "succeeded"),
    ("4000002760003184", "succeeded"),
    ("4000003800000446", "succeeded"),
    ("4000000000003220", "succeeded"),
    ("4000008260003178", "insufficient_funds"),
    ("4000008400001629", "generic_decline"),
]
TOKENS = [
    ("pm_card_visa", "visa", "credit"),
    ("pm_card_visa_debit", "visa", "debit"),
    ("pm_card_mastercard", "mastercard", "credit"),
    ("pm_card_mastercard_prepaid", "mastercard", "prepaid"),
    ("pm_card_amex", "amex", "credit"),
    ("pm_card_discover", "discover", "credit"),
]
DECLINING_TOKENS = [
    ("pm_card_visa_chargeDeclined", "generic_decline"),
    ("pm_card_chargeDeclined", "generic_decline"),
    ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
    ("pm_card_visa_chargeDeclinedLostCard", "lost_card"),
    ("pm_card_visa_chargeDeclinedStolenCard", "stolen_card"),
    ("pm_card_visa_chargeDeclinedVelocityLimitExceeded", "card_velocity_exceeded"),
    ("pm_card_radarBlock", "fraudulent"),
]


async def typed(http: httpx.AsyncClient, number: str, **more: str) -> httpx.Response:
    """Type a card into the browser."""
    card = {"number": number, "exp_month": "12", "exp_year": "2034", "cvc": "123"} | more
    form = {f"card[{name}]": value for name, value in card.items()} | {"type": "card"}
    headers = {"authorization": f"Bearer {PUBLISHABLE_KEY}"}
    return await http.post("/v1/payment_methods", data=form, headers=headers)


async def pay(client: stripe.StripeClient, method: str, **more: object) -> stripe.PaymentIntent:
    params: Json = {
        "amount": 1999,
        "currency": "eur",
        "confirm": True,
        "payment_method": method,
        "return_url": RETURN_URL,
        **more,
    }
    return await client.v1.payment_intents.create_async(params)  # type: ignore[arg-type]


class TestOutcome:
    @pytest.mark.parametrize("number", SUCCEED)
    async def test_good_card_pays(
        self, client: stripe.StripeClient, http: httpx.AsyncClient, number: str
    ) -> None:
        """
        A card that the table calls good pays at once, whatever the success rate.
        """
        await http.patch("/_control/knobs", json={"payment_success_rate": 0})
        method = (await typed(http, number)).json()

        intent = await pay(client, method["id"])

        assert "succeeded" == intent.status
        assert number[-4:] == method["card"]["last4"]

    @pytest.mark.parametrize(("number", "code", "decline_code"), DECLINE)
    async def test_bad_card_declines(
        self,
        client: stripe.StripeClient,
        http: httpx.AsyncClient,
        number: str,
        code: str,
        decline_code: str | None,
    ) -> None:
        """
        A declining card answers 402 with its code, the failed charge and the intent, which is open
        for another method.
        """
        method = (await typed(http, number)).json()

        with pytest.raises(stripe.CardError) as declined:
            await pay(client, method["id"])

        error = declined.value.error
        assert (402, code) == (declined.value.http_status, declined.value.code)
        assert error is not None
        assert decline_code == getattr(error, "decline_code", None)
        intent = error.payment_intent
        assert intent is not None
        assert ("requires_payment_method", None) == (intent.status, intent.payment_method)
        charge = await client.v1.charges.retrieve_async(error.charge or "")
        assert ("failed", False, code) == (charge.status, charge.paid, charge.failure_code)
        stored = await client.v1.payment_intents.retrieve_async(intent.id)
        assert charge.id == stored.latest_charge

    @pytest.mark.parametrize(("number", "end"), AUTHENTICATE)
    async def test_card_authenticates(
        self,
        client: stripe.StripeClient,
        http: httpx.AsyncClient,
        control: Control,
        number: str,
        end: str,
    ) -> None:
        """
        An on-session 3DS card sends the customer away first; then the card pays or declines.
        """
        method = (await typed(http, number)).json()

        intent = await pay(client, method["id"])
        after = await control.act(intent.id, "authorize")

        assert "requires_action" == intent.status
        assert intent.next_action is not None
        assert "redirect_to_url" == intent.next_action.type
        error = after["last_payment_error"]
        assert end == (error["decline_code"] if error else after["status"])

    @pytest.mark.parametrize(("token", "brand", "funding"), TOKENS)
    async def test_token_is_a_card(
        self, client: stripe.StripeClient, token: str, brand: str, funding: str
    ) -> None:
        """
        A `pm_card_…` token becomes a new method of that brand and funding each time it is used.
        """
        intent = await pay(client, token, expand=["payment_method"])

        method = intent.payment_method
        assert isinstance(method, stripe.PaymentMethod)
        assert method.card is not None
        assert ("succeeded", brand, funding) == (
            intent.status, method.card.brand, method.card.funding,
        )  # fmt: skip
        assert token != method.id

    @pytest.mark.parametrize(("token", "decline_code"), DECLINING_TOKENS)
    async def test_token_declines(
        self, client: stripe.StripeClient, token: str, decline_code: str
    ) -> None:
        """
        The declining tokens do what their names say.
        """
        with pytest.raises(stripe.CardError) as declined:
            await pay(client, token)

        assert declined.value.error is not None
        assert decline_code == declined.value.error.decline_code

    async def test_blocked_card_has_highest_risk(self, client: stripe.StripeClient) -> None:
        """
        A card that Radar blocks never reaches the network.
        """
        with pytest.raises(stripe.CardError) as declined:
            await pay(client, "pm_card_radarBlock")

        assert declined.value.error is not None
        charge = await client.v1.charges.retrieve_async(declined.value.error.charge or "")
        assert charge.outcome is not None
        assert ("blocked", "highest") == (charge.outcome.type, charge.outcome.risk_level)

    async def test_unknown_cards_follow_the_success_rate(
        self, client: stripe.StripeClient, http: httpx.AsyncClient
    ) -> None:
        """
        A card outside the table fails as often, and in such ways, as the knobs say.
        """
        await http.patch(
            "/_control/knobs",
            json={
                "payment_success_rate": 0,
                "payment_failure_scenarios": ["insufficient_funds"],
            },
        )
        unlucky = (await typed(http, "4111111111111111")).json()
        with pytest.raises(stripe.CardError) as declined:
            await pay(client, unlucky["id"])
        await http.patch("/_control/knobs", json={"payment_success_rate": 1})
        lucky = (await typed(http, "4111111111111111")).json()

        intent = await pay(client, lucky["id"])

        assert declined.value.error is not None
        assert "insufficient_funds" == declined.value.error.decline_code
        assert "succeeded" == intent.status

    async def test_network_error_has_no_effect(
        self, client: stripe.StripeClient, http: httpx.AsyncClient
    ) -> None:
        """
        A random network error closes the connection before anything happened.
        """
        await http.patch(
            "/_control/knobs",
            json={"payment_success_rate": 0, "payment_failure_scenarios": ["network_error"]},
        )
        method = (await typed(http, "4111111111111111")).json()

        with pytest.raises(stripe.APIConnectionError):
            await pay(client, method["id"])

        assert [] == (await client.v1.payment_intents.list_async()).data


class TestOffSession:
    @pytest.mark.parametrize(
        ("number", "pays"),
        [
            ("4242424242424242", True),
            ("4000003800000446", True),
            ("4000002500003155", False),
            ("4000002760003184", False),
            ("4000000000003220", False),
        ],
    )
    async def test_nobody_is_there_to_authenticate(
        self, client: stripe.StripeClient, http: httpx.AsyncClient, number: str, *, pays: bool
    ) -> None:
        """
        Off-session a card that needs 3DS is declined with `authentication_required` and a charge.
        """
        customer = await client.v1.customers.create_async()
        method = (await typed(http, number)).json()
        await client.v1.payment_methods.attach_async(method["id"], {"customer": customer.id})

        attempt = pay(client, method["id"], customer=customer.id, off_session=True)

        if pays:
            assert "succeeded" == (await attempt).status
            return
        with pytest.raises(stripe.CardError) as declined:
            await attempt
        error = declined.value.error
        assert error is not None
        assert error.charge
        assert ["authentication_required"] * 2 == [error.code, error.decline_code]

    async def test_set_up_card_pays_off_session(
        self, client: stripe.StripeClient, control: Control
    ) -> None:
        """
        A card that asks only until it is set up pays off-session after an on-session payment that
        set it up, and is then attached to the customer.
        """
        customer = await client.v1.customers.create_async()
        first = await pay(
            client,
            "pm_card_authenticationRequiredOnSetup",
            customer=customer.id,
            setup_future_usage="off_session",
        )
        method = str(first.payment_method)
        await control.act(first.id, "authorize")

        again = await pay(client, method, customer=customer.id, off_session=True)

        assert "succeeded" == again.status
        saved = await client.v1.payment_methods.list_async({"customer": customer.id})
        assert [method] == [one.id for one in saved.data]

    async def test_error_instead_of_action(self, client: stripe.StripeClient) -> None:
        """
        With `error_on_requires_action` no intent is left waiting for the customer.
        """
        with pytest.raises(stripe.CardError) as declined:
            await pay(client, "pm_card_authenticationRequired", error_on_requires_action=True)

        assert "authentication_required" == declined.value.code
        assert declined.value.error is not None
        assert declined.value.error.payment_intent is not None
        assert "requires_payment_method" == declined.value.error.payment_intent.status

    async def test_asked_for_authentication(self, client: stripe.StripeClient) -> None:
        """
        A card with optional 3DS asks the customer only if the caller wants it.
        """
        intent = await pay(
            client,
            "pm_card_threeDSecureOptional",
            payment_method_options={"card": {"request_three_d_secure": "any"}},
        )

        assert "requires_action" == intent.status


class TestTyping:
    @pytest.mark.parametrize(
        ("card", "code"),
        [
            ({"number": "4242424242424241"}, "incorrect_number"),
            ({"number": "42"}, "incorrect_number"),
            ({"exp_month": "13"}, "invalid_expiry_month"),
            ({"exp_year": "2020"}, "invalid_expiry_year"),
            ({"cvc": "1"}, "invalid_cvc"),
        ],
    )
    async def test_impossible_card(
        self, http: httpx.AsyncClient, card: dict[str, str], code: str
    ) -> None:
        """
        A card that cannot exist is refused when it is typed, with 402 and the field's code.
        """
        answer = await typed(http, **{"number": "4242424242424242", **card})

        assert (402, code) == (answer.status_code, answer.json()["error"]["code"])

    async def test_server_may_not_send_numbers(self, client: stripe.StripeClient) -> None:
        """
        A card number together with the secret key is refused, as Stripe does by default.
        """
        with pytest.raises(stripe.CardError, match="generally unsafe"):
            await client.v1.payment_methods.create_async(
                {
                    "type": "card",
                    "card": {"number": "4242424242424242", "exp_month": 12, "exp_year": 2034},
                }
            )


class TestAttach:
    @pytest.mark.parametrize(("number", "code", "decline_code"), DECLINE[:8])
    async def test_declining_card_refuses(
        self,
        client: stripe.StripeClient,
        http: httpx.AsyncClient,
        number: str,
        code: str,
        decline_code: str | None,
    ) -> None:
        """
        The bank of a declining card already refuses to save it, and never says why.
        """
        customer = await client.v1.customers.create_async()
        method = (await typed(http, number)).json()

        with pytest.raises(stripe.CardError) as refused:
            await client.v1.payment_methods.attach_async(method["id"], {"customer": customer.id})

        assert refused.value.error is not None
        assert ("card_declined", "generic_decline") == (
            refused.value.code, refused.value.error.decline_code,
        )  # fmt: skip

    async def test_card_that_attaches_and_declines(self, client: stripe.StripeClient) -> None:
        """
        One card can be saved and then declines every charge: the dunning card.
        """
        customer = await client.v1.customers.create_async()
        method = await client.v1.payment_methods.attach_async(
            "pm_card_chargeCustomerFail", {"customer": customer.id}
        )

        with pytest.raises(stripe.CardError):
            await pay(client, method.id, customer=customer.id, off_session=True)

        assert customer.id == method.customer
