"""The less travelled parts of the API, each held to Stripe's document by the way."""

import httpx
import pytest
import stripe

from tests.simulator.support import PUBLISHABLE_KEY, RETURN_URL, SECRET_KEY, Json
from tests.simulator.test_cards import pay, typed

SHIPPING: Json = {"name": "Ada", "address": {"line1": "1 Main St", "country": "PT"}}


class TestCharge:
    async def test_update(self, client: stripe.StripeClient) -> None:
        """
        A charge's description and metadata can be changed after the payment.
        """
        intent = await pay(client, "pm_card_visa", shipping=SHIPPING, receipt_email="a@b.example")

        charge = await client.v1.charges.update_async(
            str(intent.latest_charge), {"description": "Tea", "metadata": {"1": "one"}}
        )

        assert ("Tea", {"1": "one"}, "a@b.example") == (
            charge.description,
            charge.metadata.to_dict(),
            charge.receipt_email,
        )
        assert charge.shipping is not None
        assert "Ada" == charge.shipping.name


class TestBalance:
    async def test_movement_names_its_source(self, client: stripe.StripeClient) -> None:
        """
        A movement leads back to the charge or the refund that caused it.
        """
        intent = await pay(client, "pm_card_visa")
        await client.v1.refunds.create_async({"payment_intent": intent.id})
        movements = (await client.v1.balance_transactions.list_async()).data

        sources = [
            (
                await client.v1.balance_transactions.retrieve_async(
                    movement.id, {"expand": ["source"]}
                )
            ).source
            for movement in movements
        ]

        assert ["refund", "charge"] == [source.object for source in sources]  # type: ignore[union-attr]


class TestEvent:
    async def test_retrieve(self, client: stripe.StripeClient) -> None:
        """
        An event can be read again, and holds the object as it was then.
        """
        customer = await client.v1.customers.create_async({"name": "Ada"})
        await client.v1.customers.update_async(customer.id, {"name": "Grace"})
        updated, created = (await client.v1.events.list_async()).data

        again = await client.v1.events.retrieve_async(created.id)

        assert "Ada" == again.data.object["name"]
        assert updated.data.previous_attributes is not None
        assert "Ada" == updated.data.previous_attributes["name"]


class TestIntent:
    async def test_customer_and_currency_come_later(self, client: stripe.StripeClient) -> None:
        """
        Until it is paid an intent takes another customer, currency and method.
        """
        customer = await client.v1.customers.create_async()
        intent = await client.v1.payment_intents.create_async({"amount": 900, "currency": "eur"})

        changed = await client.v1.payment_intents.update_async(
            intent.id,
            {"customer": customer.id, "currency": "usd", "payment_method": "pm_card_amex"},
        )

        assert (customer.id, "usd", "requires_confirmation") == (
            changed.customer,
            changed.currency,
            changed.status,
        )

    async def test_allowed_types(self, client: stripe.StripeClient) -> None:
        """
        A list of allowed types is kept, and keeps other types out.
        """
        intent = await client.v1.payment_intents.create_async(
            {"amount": 900, "currency": "eur", "allowed_payment_method_types": ["card"]}
        )
        method = await client.v1.payment_methods.create_async({"type": "paypal"})

        with pytest.raises(stripe.InvalidRequestError, match="not allowed"):
            await client.v1.payment_intents.confirm_async(
                intent.id, {"payment_method": method.id, "return_url": RETURN_URL}
            )

        assert (["card"], None) == (
            intent.allowed_payment_method_types,
            intent.automatic_payment_methods,
        )

    async def test_types_or_automatic(self, client: stripe.StripeClient) -> None:
        """
        Allowed types and automatic methods exclude each other.
        """
        with pytest.raises(stripe.InvalidRequestError, match="one of"):
            await client.v1.payment_intents.create_async(
                {
                    "amount": 900,
                    "currency": "eur",
                    "allowed_payment_method_types": ["card"],
                    "automatic_payment_methods": {"enabled": True},
                }
            )

    async def test_mandate_for_later(self, client: stripe.StripeClient) -> None:
        """
        The customer's agreement to later payments is taken along.
        """
        acceptance = {"type": "online", "online": {"ip_address": "1.2.3.4", "user_agent": "x"}}

        intent = await pay(client, "pm_card_visa", mandate_data={"customer_acceptance": acceptance})

        assert "succeeded" == intent.status


class TestMethod:
    async def test_made_of_a_token(self, http: httpx.AsyncClient) -> None:
        """
        A method can be made of a card token, by server and browser.
        """
        answers = [
            await http.post(
                "/v1/payment_methods", data={"type": "card", "card[token]": "tok_visa"}, auth=auth
            )
            for auth in ((SECRET_KEY, ""), (PUBLISHABLE_KEY, ""))
        ]

        assert ["4242", "4242"] == [answer.json()["card"]["last4"] for answer in answers]

    @pytest.mark.parametrize(
        ("form", "code", "param"),
        [
            ({"type": "card"}, "parameter_missing", "card"),
            ({"type": "card", "card[number]": "4242424242424242"}, "parameter_missing",
             "card[exp_month]"),
            ({"type": "card", "card[token]": "tok_nothing"}, "resource_missing", "card[token]"),
            ({"type": "cheque"}, None, "type"),
        ],
    )  # fmt: skip
    async def test_incomplete(
        self, http: httpx.AsyncClient, form: dict[str, str], code: str | None, param: str
    ) -> None:
        """
        What a method lacks is named.
        """
        answer = await http.post("/v1/payment_methods", data=form, auth=(PUBLISHABLE_KEY, ""))

        error = answer.json()["error"]
        assert (400, code, param) == (answer.status_code, error.get("code"), error["param"])

    async def test_brands_of_cards_outside_the_table(self, http: httpx.AsyncClient) -> None:
        """
        Any valid number has a brand.
        """
        numbers = ["4111111111111111", "5454545454545454", "341111111111111", "6221260000000000"]

        brands = [(await typed(http, number)).json()["card"]["brand"] for number in numbers]

        assert ["visa", "mastercard", "amex", "discover"] == brands

    async def test_list_by_type(self, client: stripe.StripeClient) -> None:
        """
        A customer's methods can be listed by type.
        """
        customer = await client.v1.customers.create_async({"payment_method": "pm_card_visa"})

        cards = await client.v1.customers.payment_methods.list_async(customer.id, {"type": "card"})
        wallets = await client.v1.payment_methods.list_async(
            {"customer": customer.id, "type": "paypal"}
        )

        assert (1, 0) == (len(cards.data), len(wallets.data))


class TestParameters:
    @pytest.mark.parametrize(
        ("metadata", "valid"),
        [
            ({"k" * 40: "v" * 500}, True),
            ({"k" * 41: "v"}, False),
            ({"k": "v" * 501}, False),
            ({f"k{number}": "v" for number in range(51)}, False),
        ],
    )
    async def test_metadata_limits(
        self, client: stripe.StripeClient, metadata: dict[str, str], *, valid: bool
    ) -> None:
        """
        Metadata takes 50 keys of 40 characters with values of 500.
        """
        if valid:
            assert (
                metadata
                == (await client.v1.customers.create_async({"metadata": metadata})).to_dict()[
                    "metadata"
                ]
            )
            return
        with pytest.raises(stripe.InvalidRequestError):
            await client.v1.customers.create_async({"metadata": metadata})

    async def test_clearing_metadata(self, client: stripe.StripeClient) -> None:
        """
        An empty whole removes all keys.
        """
        customer = await client.v1.customers.create_async({"metadata": {"a": "1"}})

        cleared = await client.v1.customers.update_async(customer.id, {"metadata": ""})

        assert {} == cleared.to_dict()["metadata"]

    @pytest.mark.parametrize("value", ["yes", "1", "True"])
    async def test_flags_are_words(self, http: httpx.AsyncClient, value: str) -> None:
        """
        A flag is `true` or `false`.
        """
        answer = await http.post(
            "/v1/payment_intents",
            data={"amount": "900", "currency": "eur", "confirm": value},
            auth=(SECRET_KEY, ""),
        )

        assert (400, "confirm") == (answer.status_code, answer.json()["error"]["param"])

    async def test_version_must_be_one(self, http: httpx.AsyncClient) -> None:
        """
        A version that is none is refused.
        """
        answer = await http.get(
            "/v1/customers", auth=(SECRET_KEY, ""), headers={"stripe-version": "latest"}
        )

        assert 400 == answer.status_code
