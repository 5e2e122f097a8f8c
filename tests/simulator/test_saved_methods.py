import httpx
import pytest
import stripe

from tests.simulator.support import Control, Json, event_types
from tests.simulator.test_cards import pay, typed
from tests.simulator.test_setup_intents import save


async def saved(client: stripe.StripeClient, token: str = "pm_card_visa") -> stripe.PaymentMethod:
    """A method that belongs to a new customer."""
    customer = await client.v1.customers.create_async()
    return await client.v1.payment_methods.attach_async(token, {"customer": customer.id})


async def last_change(client: stripe.StripeClient, kind: str) -> Json:
    """What the newest event of that kind says of the past."""
    event = (await client.v1.events.list_async({"type": kind, "limit": 1})).data[0]
    return dict(event.to_dict()["data"]["previous_attributes"])


class TestOffSession:
    @pytest.mark.parametrize(
        ("token", "usage", "pays"),
        [
            ("pm_card_authenticationRequiredOnSetup", "off_session", True),
            ("pm_card_authenticationRequiredOnSetup", "on_session", False),
            ("pm_card_authenticationRequiredSetupForOffSession", "off_session", True),
            ("pm_card_authenticationRequired", "off_session", False),
        ],
    )
    async def test_card_that_was_set_up(
        self, client: stripe.StripeClient, control: Control, token: str, usage: str, *, pays: bool
    ) -> None:
        """
        A card that asks only until it is set up for it pays while nobody attends.
        """
        customer = await client.v1.customers.create_async()
        intent = await save(client, token, customer=customer.id, usage=usage)
        await control.act(intent.id, "authorize")

        payment = pay(client, str(intent.payment_method), customer=customer.id, off_session=True)

        if pays:
            assert "succeeded" == (await payment).status
            return
        with pytest.raises(stripe.CardError) as declined:
            await payment
        assert "authentication_required" == declined.value.code

    async def test_paypal_that_was_set_up(
        self, client: stripe.StripeClient, control: Control
    ) -> None:
        """
        PayPal's buyer approves once and is charged afterwards without a redirect.
        """
        customer = await client.v1.customers.create_async()
        method = await client.v1.payment_methods.create_async({"type": "paypal"})
        intent = await save(client, method.id, customer=customer.id)
        await control.act(intent.id, "authorize")

        payment = await pay(client, method.id, customer=customer.id, off_session=True)

        assert "succeeded" == payment.status

    async def test_set_up_card_still_asks_its_customer(
        self, client: stripe.StripeClient, control: Control
    ) -> None:
        """
        On-session the card asks although it was set up.
        """
        customer = await client.v1.customers.create_async()
        intent = await save(client, "pm_card_authenticationRequiredOnSetup", customer=customer.id)
        await control.act(intent.id, "authorize")

        payment = await pay(client, str(intent.payment_method), customer=customer.id)

        assert "requires_action" == payment.status

    async def test_payment_that_saves(self, client: stripe.StripeClient) -> None:
        """
        A payment with `setup_future_usage` attaches its method to the customer, before it is told
        to have succeeded.
        """
        customer = await client.v1.customers.create_async()

        payment = await pay(
            client, "pm_card_visa", customer=customer.id, setup_future_usage="off_session"
        )

        kept = await client.v1.customers.payment_methods.list_async(customer.id)
        told = await event_types(client)
        assert [payment.payment_method] == [method.id for method in kept.data]
        assert told.index("payment_method.attached") < told.index("payment_intent.succeeded")

    async def test_declined_payment_saves_nothing(self, client: stripe.StripeClient) -> None:
        """
        A declined payment attaches nothing.
        """
        customer = await client.v1.customers.create_async()

        with pytest.raises(stripe.CardError):
            await pay(
                client,
                "pm_card_chargeDeclined",
                customer=customer.id,
                setup_future_usage="off_session",
            )

        assert [] == (await client.v1.customers.payment_methods.list_async(customer.id)).data


class TestCard:
    async def test_facts(self, client: stripe.StripeClient) -> None:
        """
        The method tells what a shop may show of a card.
        """
        method = await client.v1.payment_methods.retrieve_async("pm_card_mastercard")

        assert method.card is not None
        assert ("mastercard", "4444", 12, "credit", None) == (
            method.card.brand, method.card.last4, method.card.exp_month, method.card.funding,
            method.card.wallet,
        )  # fmt: skip

    async def test_fingerprint(self, client: stripe.StripeClient, http: httpx.AsyncClient) -> None:
        """
        The same number has the same fingerprint, whoever saved it and however; others have others.
        """
        one = (await saved(client)).card
        same = (await typed(http, "4242424242424242", exp_month="1")).json()["card"]
        other = (await saved(client, "pm_card_mastercard")).card

        assert one is not None
        assert other is not None
        assert one.fingerprint == same["fingerprint"]
        assert one.fingerprint != other.fingerprint

    async def test_declined_card_is_not_attached(self, client: stripe.StripeClient) -> None:
        """
        A declined card is refused, and the customer has no method.
        """
        customer = await client.v1.customers.create_async()

        with pytest.raises(stripe.CardError) as refused:
            await client.v1.payment_methods.attach_async(
                "pm_card_chargeDeclined", {"customer": customer.id}
            )

        assert (402, "card_declined") == (refused.value.http_status, refused.value.code)
        assert [] == (await client.v1.customers.payment_methods.list_async(customer.id)).data


class TestUpdate:
    async def test_expiry(self, client: stripe.StripeClient) -> None:
        """
        A renewed card's date is changed, and the event says what it was.
        """
        method = await saved(client)
        assert method.card is not None

        changed = await client.v1.payment_methods.update_async(
            method.id, {"card": {"exp_month": 3, "exp_year": 2040}}
        )

        assert changed.card is not None
        assert (3, 2040) == (changed.card.exp_month, changed.card.exp_year)
        assert {
            "card": {"exp_month": method.card.exp_month, "exp_year": method.card.exp_year}
        } == await last_change(client, "payment_method.updated")

    async def test_past_expiry(self, client: stripe.StripeClient) -> None:
        """
        A date that has passed is refused, and the old one stays.
        """
        method = await saved(client)

        with pytest.raises(stripe.CardError) as refused:
            await client.v1.payment_methods.update_async(method.id, {"card": {"exp_year": 2020}})

        after = await client.v1.payment_methods.retrieve_async(method.id)
        assert "invalid_expiry_year" == refused.value.code
        assert method.to_dict() == after.to_dict()

    async def test_nobodys_method(self, client: stripe.StripeClient) -> None:
        """
        A method that belongs to nobody cannot be changed.
        """
        method = await client.v1.payment_methods.create_async({"type": "paypal"})

        with pytest.raises(stripe.InvalidRequestError, match="attach"):
            await client.v1.payment_methods.update_async(method.id, {"metadata": {"a": "b"}})

    async def test_card_of_paypal(self, client: stripe.StripeClient) -> None:
        """
        PayPal has no card to change.
        """
        customer = await client.v1.customers.create_async()
        method = await client.v1.payment_methods.create_async({"type": "paypal"})
        await client.v1.payment_methods.attach_async(method.id, {"customer": customer.id})

        with pytest.raises(stripe.InvalidRequestError) as refused:
            await client.v1.payment_methods.update_async(method.id, {"card": {"exp_month": 3}})

        assert "card" == refused.value.param

    async def test_default_of_the_customer(self, client: stripe.StripeClient) -> None:
        """
        A saved method becomes the default, pays without being named, and the event says what was.
        """
        method = await saved(client)
        customer = await client.v1.customers.update_async(
            str(method.customer), {"invoice_settings": {"default_payment_method": method.id}}
        )

        payment = await client.v1.payment_intents.create_async(
            {"amount": 1999, "currency": "eur", "customer": customer.id, "confirm": True,
             "off_session": True, "return_url": "https://shop.example/"}
        )  # fmt: skip

        assert ("succeeded", method.id) == (payment.status, payment.payment_method)
        assert {"invoice_settings": {"default_payment_method": None}} == await last_change(
            client, "customer.updated"
        )


class TestWallet:
    @pytest.mark.parametrize("wallet", ["apple_pay", "google_pay"])
    async def test_a_card_out_of_a_wallet(
        self, client: stripe.StripeClient, control: Control, wallet: str
    ) -> None:
        """
        The method says from which wallet its card is, and so does the charge.
        """
        method = await client.v1.payment_methods.create_async(
            {"type": "card", "card": {"token": "tok_visa"}}
        )

        answer = await control.post(f"/payment_methods/{method.id}/wallet", type=wallet)

        intent = await pay(client, method.id, expand=["latest_charge"])
        charge = intent.latest_charge
        assert isinstance(charge, stripe.Charge)
        assert charge.payment_method_details is not None
        assert charge.payment_method_details.card is not None
        assert charge.payment_method_details.card.wallet is not None
        assert wallet == answer["card"]["wallet"]["type"]
        assert wallet == charge.payment_method_details.card.wallet.type

    async def test_only_cards_are_in_one(
        self, client: stripe.StripeClient, http: httpx.AsyncClient
    ) -> None:
        """
        PayPal is no card, and there is no other wallet.
        """
        paypal = await client.v1.payment_methods.create_async({"type": "paypal"})

        answers = [
            await http.post(f"/_control/payment_methods/{name}/wallet", json={"type": wallet})
            for name, wallet in (
                (paypal.id, "apple_pay"),
                ("pm_nothing", "apple_pay"),
                (paypal.id, "purse"),
            )
        ]

        assert [409, 404, 422] == [answer.status_code for answer in answers]


class TestCardUpdater:
    async def test_replaced_card(self, client: stripe.StripeClient, control: Control) -> None:
        """
        The network replaces a saved card; nobody asked, and an event says what it was.
        """
        method = await saved(client)
        assert method.card is not None

        answer = await control.post(
            f"/payment_methods/{method.id}/automatic_update",
            exp_month=4, exp_year=2041, last4="0077",
        )  # fmt: skip

        after = await client.v1.payment_methods.retrieve_async(method.id)
        assert answer == after.to_dict()
        assert after.card is not None
        assert (4, 2041, "0077") == (after.card.exp_month, after.card.exp_year, after.card.last4)
        assert method.card.fingerprint != after.card.fingerprint
        assert {
            "card": {
                "exp_month": method.card.exp_month,
                "exp_year": method.card.exp_year,
                "fingerprint": method.card.fingerprint,
                "last4": "4242",
            }
        } == await last_change(client, "payment_method.automatically_updated")

    async def test_renewed_card(self, client: stripe.StripeClient, control: Control) -> None:
        """
        A card with the same number keeps its fingerprint.
        """
        method = await saved(client)
        assert method.card is not None

        await control.post(
            f"/payment_methods/{method.id}/automatic_update",
            exp_month=4, exp_year=2041, last4="4242",
        )  # fmt: skip

        after = await client.v1.payment_methods.retrieve_async(method.id)
        assert after.card is not None
        assert method.card.fingerprint == after.card.fingerprint

    @pytest.mark.parametrize(
        ("change", "status"),
        [
            ({"exp_year": 2020}, 409),
            ({"exp_month": 13}, 409),
            ({"last4": "42"}, 422),
            ({"brand": "visa"}, 422),
        ],
    )
    async def test_impossible_card(
        self, client: stripe.StripeClient, http: httpx.AsyncClient, change: Json, status: int
    ) -> None:
        """
        The network does not issue cards that cannot exist.
        """
        method = await saved(client)

        answer = await http.post(
            f"/_control/payment_methods/{method.id}/automatic_update",
            json={"exp_month": 4, "exp_year": 2041, "last4": "0077"} | change,
        )

        assert status == answer.status_code

    async def test_no_saved_card(
        self, client: stripe.StripeClient, http: httpx.AsyncClient
    ) -> None:
        """
        Only saved cards are updated.
        """
        card = {"exp_month": 4, "exp_year": 2041, "last4": "0077"}
        paypal = await client.v1.payment_methods.create_async({"type": "paypal"})

        answers = [
            await http.post(f"/_control/payment_methods/{name}/automatic_update", json=card)
            for name in (paypal.id, "pm_nothing")
        ]

        assert [409, 404] == [answer.status_code for answer in answers]
