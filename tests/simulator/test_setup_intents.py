import httpx
import pytest
import stripe

from tests.simulator.support import (
    PUBLISHABLE_KEY,
    RETURN_URL,
    SECRET_KEY,
    Control,
    Json,
    event_types,
)
from tests.simulator.test_cards import pay, typed

DECLINING_CARDS = [
    ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
    ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
    ("pm_card_chargeDeclinedExpiredCard", "expired_card", None),
    ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", None),
    ("pm_card_threeDSecureRequiredProcessingError", "card_declined", "generic_decline"),
]


async def save(client: stripe.StripeClient, method: str, **more: object) -> stripe.SetupIntent:
    """Set a method up in one call."""
    params: Json = {"confirm": True, "payment_method": method, "return_url": RETURN_URL, **more}
    return await client.v1.setup_intents.create_async(params)  # type: ignore[arg-type]


def enclosed(refused: pytest.ExceptionInfo[stripe.StripeError]) -> stripe.SetupIntent:
    """The intent that a refusal encloses."""
    error = refused.value.error
    assert error is not None
    assert error.setup_intent is not None
    return error.setup_intent


async def waiting(client: stripe.StripeClient, **more: object) -> tuple[stripe.SetupIntent, str]:
    """An intent that waits for its customer, and the page that it sends them to."""
    intent = await save(client, "pm_card_authenticationRequired", **more)
    assert intent.next_action is not None
    assert intent.next_action.redirect_to_url is not None
    return intent, str(intent.next_action.redirect_to_url.url)


class TestLife:
    async def test_new(self, client: stripe.StripeClient) -> None:
        """
        A new intent waits for a method, is for payments that nobody attends, and offers every kind.
        """
        intent = await client.v1.setup_intents.create_async({"metadata": {"setup_id": "set_1"}})

        assert ("requires_payment_method", "off_session", ["card", "paypal"]) == (
            intent.status, intent.usage, intent.payment_method_types,
        )  # fmt: skip
        assert str(intent.client_secret).startswith(f"{intent.id}_secret_")
        assert {"setup_id": "set_1"} == (intent.metadata and intent.metadata.to_dict())

    async def test_step_by_step(self, client: stripe.StripeClient) -> None:
        """
        A method is given, then confirmed, then saved for the customer, in this order of events.
        """
        customer = await client.v1.customers.create_async()
        intent = await client.v1.setup_intents.create_async({"customer": customer.id})
        chosen = await client.v1.setup_intents.update_async(
            intent.id, {"payment_method": "pm_card_visa", "description": "Tea club"}
        )

        done = await client.v1.setup_intents.confirm_async(intent.id, {"return_url": RETURN_URL})

        saved = await client.v1.customers.payment_methods.list_async(customer.id)
        assert ("requires_confirmation", "succeeded") == (chosen.status, done.status)
        assert "Tea club" == done.description
        assert [done.payment_method] == [method.id for method in saved.data]
        assert [
            "customer.created",
            "setup_intent.created",
            "payment_method.attached",
            "setup_intent.succeeded",
        ] == await event_types(client)

    async def test_no_customer(self, client: stripe.StripeClient) -> None:
        """
        Without a customer the method belongs to nobody, and may be attached afterwards.
        """
        intent = await save(client, "pm_card_visa")
        customer = await client.v1.customers.create_async()

        method = await client.v1.payment_methods.attach_async(
            str(intent.payment_method), {"customer": customer.id}
        )

        assert ("succeeded", customer.id) == (intent.status, method.customer)

    async def test_no_money_moves(self, client: stripe.StripeClient, control: Control) -> None:
        """
        Setting up charges nothing.
        """
        await save(client, "pm_card_visa")

        assert [] == (await client.v1.charges.list_async()).data
        assert {"request"} == {entry["kind"] for entry in await control.get("/journal")}

    async def test_confirm_without_method(self, client: stripe.StripeClient) -> None:
        """
        There is nothing to confirm without a method, and the whole intent says so.
        """
        intent = await client.v1.setup_intents.create_async()

        with pytest.raises(stripe.InvalidRequestError) as refused:
            await client.v1.setup_intents.confirm_async(intent.id, {"return_url": RETURN_URL})

        assert "setup_intent_unexpected_state" == refused.value.code
        assert intent.id == enclosed(refused).id

    async def test_decided(self, client: stripe.StripeClient) -> None:
        """
        What succeeded can be described anew, but not confirmed, canceled or changed.
        """
        intent = await save(client, "pm_card_visa")

        renamed = await client.v1.setup_intents.update_async(intent.id, {"metadata": {"a": "b"}})

        attempts = (
            client.v1.setup_intents.confirm_async(intent.id, {"return_url": RETURN_URL}),
            client.v1.setup_intents.cancel_async(intent.id),
            client.v1.setup_intents.update_async(intent.id, {"payment_method": "pm_card_visa"}),
        )
        for attempt in attempts:
            with pytest.raises(stripe.InvalidRequestError) as refused:
                await attempt
            assert "setup_intent_unexpected_state" == refused.value.code
        assert {"a": "b"} == (renamed.metadata and renamed.metadata.to_dict())

    async def test_cancel(self, client: stripe.StripeClient, http: httpx.AsyncClient) -> None:
        """
        An undecided intent can be given up, with a reason, and the customer's page with it.
        """
        intent, url = await waiting(client)

        gone = await client.v1.setup_intents.cancel_async(
            intent.id, {"cancellation_reason": "abandoned", "expand": ["latest_attempt"]}
        )

        assert ("canceled", "abandoned", None) == (
            gone.status, gone.cancellation_reason, gone.next_action,
        )  # fmt: skip
        assert isinstance(gone.latest_attempt, stripe.SetupAttempt)
        assert "abandoned" == gone.latest_attempt.status
        assert "This step is done" in (await http.get(url)).text
        assert "setup_intent.canceled" == (await event_types(client))[-1]

    async def test_lists(self, client: stripe.StripeClient) -> None:
        """
        Intents are listed by customer and by method.
        """
        customer = await client.v1.customers.create_async()
        first = await save(client, "pm_card_visa", customer=customer.id)
        second = await save(client, "pm_card_visa")

        everything = await client.v1.setup_intents.list_async()
        hers = await client.v1.setup_intents.list_async({"customer": customer.id})
        its = await client.v1.setup_intents.list_async(
            {"payment_method": str(second.payment_method)}
        )

        assert [[second.id, first.id], [first.id], [second.id]] == [
            [intent.id for intent in page.data] for page in (everything, hers, its)
        ]

    async def test_expand(self, client: stripe.StripeClient) -> None:
        """
        Method, customer and latest attempt can be expanded.
        """
        customer = await client.v1.customers.create_async()

        intent = await save(
            client,
            "pm_card_visa",
            customer=customer.id,
            expand=["payment_method", "customer", "latest_attempt"],
        )

        assert isinstance(intent.payment_method, stripe.PaymentMethod)
        assert isinstance(intent.customer, stripe.Customer)
        assert isinstance(intent.latest_attempt, stripe.SetupAttempt)
        assert (customer.id, customer.id, "succeeded") == (
            intent.payment_method.customer, intent.customer.id, intent.latest_attempt.status,
        )  # fmt: skip

    async def test_nobody(self, client: stripe.StripeClient) -> None:
        """
        An unknown intent in the path is 404 `resource_missing`.
        """
        with pytest.raises(stripe.InvalidRequestError) as missing:
            await client.v1.setup_intents.retrieve_async("seti_nothing")

        assert (404, "resource_missing") == (missing.value.http_status, missing.value.code)


class TestOutcome:
    @pytest.mark.parametrize(("method", "code", "decline_code"), DECLINING_CARDS)
    async def test_declining_card(
        self, client: stripe.StripeClient, method: str, code: str, decline_code: str | None
    ) -> None:
        """
        A declining card answers 402; the intent tells why and is open for another method.
        """
        with pytest.raises(stripe.CardError) as declined:
            await save(client, method)

        error = declined.value.error
        assert error is not None
        assert (402, code) == (declined.value.http_status, declined.value.code)
        assert decline_code == getattr(error, "decline_code", None)
        intent = await client.v1.setup_intents.retrieve_async(enclosed(declined).id)
        assert ("requires_payment_method", None) == (intent.status, intent.payment_method)
        assert intent.last_setup_error is not None
        assert code == intent.last_setup_error.code
        assert ["setup_intent.created", "setup_intent.setup_failed"] == await event_types(client)

    async def test_another_try(self, client: stripe.StripeClient) -> None:
        """
        After a decline the same intent takes another card.
        """
        customer = await client.v1.customers.create_async()
        with pytest.raises(stripe.CardError) as declined:
            await save(client, "pm_card_chargeDeclined", customer=customer.id)

        intent = await client.v1.setup_intents.confirm_async(
            enclosed(declined).id,
            {"payment_method": "pm_card_visa", "return_url": RETURN_URL},
        )

        assert "succeeded" == intent.status

    async def test_card_that_declines_only_charges(self, client: stripe.StripeClient) -> None:
        """
        The dunning card is set up without complaint and declines every payment.
        """
        customer = await client.v1.customers.create_async()
        intent = await save(client, "pm_card_chargeCustomerFail", customer=customer.id)

        with pytest.raises(stripe.CardError):
            await pay(client, str(intent.payment_method), customer=customer.id, off_session=True)

        assert "succeeded" == intent.status

    async def test_random_decline(
        self, client: stripe.StripeClient, http: httpx.AsyncClient, control: Control
    ) -> None:
        """
        A card that the table does not name is refused as often as the success rate says.
        """
        await control.knobs(payment_success_rate=0, payment_failure_scenarios=["card_declined"])
        method = (await typed(http, "4111111111111111")).json()

        with pytest.raises(stripe.CardError):
            await save(client, method["id"])

    async def test_foreign_method(self, client: stripe.StripeClient) -> None:
        """
        Another customer's method is not set up again.
        """
        owner = await client.v1.customers.create_async()
        other = await client.v1.customers.create_async()
        method = await client.v1.payment_methods.attach_async(
            "pm_card_visa", {"customer": owner.id}
        )

        with pytest.raises(stripe.InvalidRequestError, match="different Customer"):
            await save(client, method.id, customer=other.id)


class TestParameters:
    async def test_types_of_methods(self, client: stripe.StripeClient) -> None:
        """
        The list of types can no longer be sent.
        """
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await client.v1.setup_intents.create_async(
                {"payment_method_types": ["card"]}  # type: ignore[arg-type]
            )

        assert "payment_method_types_no_longer_supported" == refused.value.code

    async def test_allowed_types(self, client: stripe.StripeClient) -> None:
        """
        Only the allowed types are taken.
        """
        with pytest.raises(stripe.InvalidRequestError, match="not allowed") as refused:
            await client.v1.setup_intents.create_async(
                {
                    "allowed_payment_method_types": ["card"],
                    "payment_method_data": {"type": "paypal"},
                }
            )

        assert "payment_method" == refused.value.param

    async def test_two_ways_to_choose(self, client: stripe.StripeClient) -> None:
        """
        Automatic methods and a list of allowed ones exclude each other.
        """
        with pytest.raises(stripe.InvalidRequestError, match="only specify one"):
            await client.v1.setup_intents.create_async(
                {
                    "automatic_payment_methods": {"enabled": True},
                    "allowed_payment_method_types": ["card"],
                }
            )

    async def test_way_back_is_needed(self, client: stripe.StripeClient) -> None:
        """
        Where a method might redirect, a confirmation needs a return_url; where none may, it does
        not.
        """
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await client.v1.setup_intents.create_async(
                {"confirm": True, "payment_method": "pm_card_visa"}
            )

        intent = await client.v1.setup_intents.create_async(
            {
                "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
                "confirm": True,
                "payment_method": "pm_card_visa",
            }
        )

        assert ("return_url", "succeeded") == (refused.value.param, intent.status)

    async def test_return_url_belongs_to_confirm(self, client: stripe.StripeClient) -> None:
        """
        A return_url without `confirm` is refused.
        """
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await client.v1.setup_intents.create_async({"return_url": RETURN_URL})

        assert "return_url" == refused.value.param

    async def test_unknown_customer(self, client: stripe.StripeClient) -> None:
        """
        An unknown customer is refused.
        """
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await client.v1.setup_intents.create_async({"customer": "cus_nobody"})

        assert ("resource_missing", "customer") == (refused.value.code, refused.value.param)


class TestCalls:
    async def test_browser(self, client: stripe.StripeClient, http: httpx.AsyncClient) -> None:
        """
        The browser sees the public part of an intent, and only with its client secret.
        """
        intent = await client.v1.setup_intents.create_async({"metadata": {"secret": "1"}})
        key = {"authorization": f"Bearer {PUBLISHABLE_KEY}"}
        url = f"/v1/setup_intents/{intent.id}"

        seen = await http.get(url, headers=key, params={"client_secret": str(intent.client_secret)})
        refused = await http.get(url, headers=key, params={"client_secret": "guess"})

        assert (200, 404) == (seen.status_code, refused.status_code)
        assert "requires_payment_method" == seen.json()["status"]
        assert {"metadata", "customer"}.isdisjoint(seen.json())

    async def test_same_key(self, client: stripe.StripeClient) -> None:
        """
        The same idempotency key gives the first answer again and sets up once.
        """
        params: Json = {
            "confirm": True, "payment_method": "pm_card_visa", "return_url": RETURN_URL,
        }  # fmt: skip
        first, again = [
            await client.v1.setup_intents.create_async(
                params,  # type: ignore[arg-type]
                {"idempotency_key": "k"},
            )
            for _ in range(2)
        ]

        assert first.to_dict() == again.to_dict()
        assert 1 == (await event_types(client)).count("setup_intent.succeeded")

    async def test_lost_reply(self, client: stripe.StripeClient, control: Control) -> None:
        """
        A fault of `setup_intents.create` loses the answer and keeps the effect.
        """
        await control.fault("setup_intents.create", "effect_reply_lost")

        with pytest.raises(stripe.APIConnectionError):
            await save(client, "pm_card_visa")

        left = await client.v1.setup_intents.list_async()
        assert ["succeeded"] == [intent.status for intent in left.data]

    @pytest.mark.parametrize("operation", ["retrieve", "confirm", "cancel"])
    async def test_refused_call(
        self, client: stripe.StripeClient, control: Control, operation: str
    ) -> None:
        """
        Every operation has a name for faults.
        """
        intent = await client.v1.setup_intents.create_async()
        await control.fault(f"setup_intents.{operation}", "refuse_before", status=503)

        with pytest.raises(stripe.APIError) as refused:
            await getattr(client.v1.setup_intents, f"{operation}_async")(intent.id)

        assert 503 == refused.value.http_status

    async def test_scripted_decline(self, client: stripe.StripeClient, control: Control) -> None:
        """
        A scripted decline refuses a good card.
        """
        await control.fault("setup_intents.create", "decline", decline_code="stolen_card")

        with pytest.raises(stripe.CardError) as declined:
            await save(client, "pm_card_visa")

        assert declined.value.error is not None
        assert "stolen_card" == declined.value.error.decline_code

    async def test_older_version(
        self, client: stripe.StripeClient, http: httpx.AsyncClient
    ) -> None:
        """
        A caller without a version may still send the types of methods.
        """
        answer = await http.post(
            "/v1/setup_intents",
            headers={"authorization": f"Bearer {SECRET_KEY}"},
            data={"payment_method_types[0]": "card"},
        )

        assert (200, ["card"]) == (answer.status_code, answer.json()["payment_method_types"])
