import pytest
import stripe

from tests.simulator.support import Json
from tests.simulator.test_cards import pay


@pytest.fixture
async def customers(client: stripe.StripeClient) -> list[str]:
    """The ids of seven customers, newest first."""
    made = [await client.v1.customers.create_async() for _ in range(7)]
    return [customer.id for customer in reversed(made)]


class TestCursor:
    async def test_pages_cover_everything_once(
        self, client: stripe.StripeClient, customers: list[str]
    ) -> None:
        """
        Paging gives every object once, newest first.
        """
        page = await client.v1.customers.list_async({"limit": 3})

        seen = [customer.id async for customer in page.auto_paging_iter()]

        assert customers == seen
        assert (True, "/v1/customers") == (page.has_more, page.url)

    async def test_backwards(self, client: stripe.StripeClient, customers: list[str]) -> None:
        """
        `ending_before` gives the page right before the cursor, still newest first.
        """
        page = await client.v1.customers.list_async({"limit": 2, "ending_before": customers[5]})

        assert customers[3:5] == [customer.id for customer in page.data]
        assert page.has_more

    @pytest.mark.parametrize(
        ("params", "code", "param"),
        [
            ({"starting_after": "cus_x"}, "resource_missing", "starting_after"),
            ({"starting_after": "cus_x", "ending_before": "cus_y"}, None, None),
            ({"limit": 0}, "parameter_invalid_integer", "limit"),
            ({"limit": 101}, "parameter_invalid_integer", "limit"),
        ],
    )
    async def test_wrong(
        self, client: stripe.StripeClient, params: Json, code: str | None, param: str | None
    ) -> None:
        """
        Cursors that lead nowhere and pages too large are refused.
        """
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await client.v1.customers.list_async(params)  # type: ignore[arg-type]

        assert (400, code, param) == (
            refused.value.http_status, refused.value.code, refused.value.param,
        )  # fmt: skip


class TestFilters:
    async def test_intents_by_customer(self, client: stripe.StripeClient) -> None:
        """
        Intents and charges can be listed by customer, and charges by intent.
        """
        customer = await client.v1.customers.create_async()
        mine = await pay(client, "pm_card_visa", customer=customer.id)
        await pay(client, "pm_card_visa")

        intents = await client.v1.payment_intents.list_async({"customer": customer.id})
        charges = await client.v1.charges.list_async({"payment_intent": mine.id})

        assert [mine.id] == [intent.id for intent in intents.data]
        assert [mine.latest_charge] == [charge.id for charge in charges.data]

    async def test_created(self, client: stripe.StripeClient) -> None:
        """
        `created` takes a range or an exact second.
        """
        intent = await pay(client, "pm_card_visa")
        exact = await client.v1.payment_intents.list_async({"created": intent.created})
        after = await client.v1.payment_intents.list_async({"created": {"gt": intent.created}})
        since = await client.v1.payment_intents.list_async({"created": {"gte": intent.created}})

        assert (1, 0, 1) == (len(exact.data), len(after.data), len(since.data))

    async def test_events_by_type(self, client: stripe.StripeClient) -> None:
        """
        Events can be listed by one type, several types or a pattern.
        """
        await pay(client, "pm_card_visa")
        wanted = ["charge.succeeded", "payment_intent.succeeded"]

        one = await client.v1.events.list_async({"type": "charge.succeeded"})
        several = await client.v1.events.list_async({"types": wanted})
        pattern = await client.v1.events.list_async({"type": "payment_intent.*"})

        intents = ["payment_intent.succeeded", "payment_intent.created"]
        assert [wanted[:1], wanted[::-1], intents] == [
            [event.type for event in page.data] for page in (one, several, pattern)
        ]


class TestExpand:
    async def test_nested(self, client: stripe.StripeClient) -> None:
        """
        Ids become objects along a path, also in every item of a list.
        """
        customer = await client.v1.customers.create_async()
        intent = await pay(client, "pm_card_visa", customer=customer.id)

        page = await client.v1.payment_intents.list_async(
            {"expand": ["data.latest_charge.balance_transaction", "data.customer"]}
        )
        charge = await client.v1.charges.retrieve_async(
            str(intent.latest_charge), {"expand": ["payment_intent", "refunds"]}
        )

        found = page.data[0]
        assert isinstance(found.latest_charge, stripe.Charge)
        assert isinstance(found.latest_charge.balance_transaction, stripe.BalanceTransaction)
        assert isinstance(found.customer, stripe.Customer)
        assert isinstance(charge.payment_intent, stripe.PaymentIntent)
        assert charge.refunds is not None
        assert [] == charge.refunds.data

    async def test_nowhere(self, client: stripe.StripeClient) -> None:
        """
        A property that cannot be expanded is refused, and nothing happens.
        """
        with pytest.raises(stripe.InvalidRequestError, match="cannot be expanded"):
            await pay(client, "pm_card_visa", expand=["metadata"])

        assert [] == (await client.v1.payment_intents.list_async()).data
