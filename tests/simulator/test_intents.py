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


async def create(client: stripe.StripeClient, **more: object) -> stripe.PaymentIntent:
    params: Json = {"amount": 2500, "currency": "usd", **more}
    return await client.v1.payment_intents.create_async(params)  # type: ignore[arg-type]


async def confirm(
    client: stripe.StripeClient, intent: str, method: str = "pm_card_visa", **more: object
) -> stripe.PaymentIntent:
    params: Json = {"payment_method": method, "return_url": RETURN_URL, **more}
    return await client.v1.payment_intents.confirm_async(intent, params)  # type: ignore[arg-type]


class TestCreate:
    async def test_defaults(self, client: stripe.StripeClient) -> None:
        """
        An intent without a method waits for one, with Stripe's defaults and a client secret.
        """
        intent = await create(client, metadata={"payment_id": "pay_1"})

        assert (
            "requires_payment_method",
            "automatic_async",
            "automatic",
            {"enabled": True, "allow_redirects": "always"},
            {"payment_id": "pay_1"},
        ) == (
            intent.status,
            intent.capture_method,
            intent.confirmation_method,
            intent.automatic_payment_methods and intent.automatic_payment_methods.to_dict(),
            intent.metadata.to_dict(),
        )
        assert str(intent.client_secret).startswith(f"{intent.id}_secret_")

    async def test_method_given(self, client: stripe.StripeClient) -> None:
        """
        With a method the intent only waits for its confirmation.
        """
        intent = await create(client, payment_method="pm_card_visa")

        assert "requires_confirmation" == intent.status

    @pytest.mark.parametrize(
        ("params", "code", "param"),
        [
            ({"amount": 49}, "amount_too_small", "amount"),
            ({"amount": 29, "currency": "gbp"}, "amount_too_small", "amount"),
            ({"amount": 100_000_000}, "amount_too_large", "amount"),
            ({"amount": 0}, "parameter_invalid_integer", "amount"),
            ({"amount": -5}, "parameter_invalid_integer", "amount"),
            ({"amount": "12.5"}, "parameter_invalid_integer", "amount"),
            ({"amount": 1245, "currency": "kwd"}, "parameter_invalid_integer", "amount"),
            ({"currency": "xxx"}, None, "currency"),
            ({"customer": "cus_nobody"}, "resource_missing", "customer"),
            ({"payment_method": "pm_nothing"}, "resource_missing", "payment_method"),
            ({"colour": "red"}, "parameter_unknown", "colour"),
            ({"shipping": {"name": "A", "address": {"planet": "x"}}}, "parameter_unknown",
             "shipping[address][planet]"),
            ({"payment_method_types": ["card"]}, "payment_method_types_no_longer_supported",
             "payment_method_types"),
            ({"off_session": True}, None, "off_session"),
            ({"return_url": RETURN_URL}, None, "return_url"),
            ({"capture_method": "sometimes"}, None, "capture_method"),
        ],
    )  # fmt: skip
    async def test_refused(
        self, client: stripe.StripeClient, params: Json, code: str | None, param: str
    ) -> None:
        """
        What Stripe refuses is refused with its code, and the parameter named in brackets.
        """
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await create(client, **params)

        assert (400, code, param) == (
            refused.value.http_status, refused.value.code, refused.value.param,
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("amount", "currency"), [(50, "jpy"), (1240, "kwd"), (50, "EUR"), (99_999_999, "usd")]
    )
    async def test_accepted(self, client: stripe.StripeClient, amount: int, currency: str) -> None:
        """
        Zero- and three-decimal currencies take what Stripe takes; upper case is lowered.
        """
        intent = await create(client, amount=amount, currency=currency)

        assert (amount, currency.lower()) == (intent.amount, intent.currency)

    async def test_missing_parameter(self, http: httpx.AsyncClient) -> None:
        """
        A parameter that is required is named when it is missing.
        """
        answer = await http.post(
            "/v1/payment_intents", data={"currency": "eur"}, auth=(SECRET_KEY, "")
        )

        error = answer.json()["error"]
        assert ("parameter_missing", "amount") == (error["code"], error["param"])

    async def test_old_version_takes_types(self, http: httpx.AsyncClient) -> None:
        """
        A call without a version, such as the Stripe CLI's, may still send the list of types, and
        then needs no return URL.
        """
        form = {
            "amount": "2000",
            "currency": "usd",
            "payment_method_types[]": "card",
            "payment_method": "pm_card_visa",
            "confirm": "true",
        }

        answer = await http.post("/v1/payment_intents", data=form, auth=(SECRET_KEY, ""))

        intent = answer.json()
        assert ("succeeded", ["card"], None) == (
            intent["status"], intent["payment_method_types"], intent["automatic_payment_methods"],
        )  # fmt: skip


class TestConfirm:
    async def test_success(self, client: stripe.StripeClient) -> None:
        """
        A confirmed intent has its whole amount and a charge with Stripe's fee of 2.9 % + 30.
        """
        intent = await create(client)

        paid = await confirm(client, intent.id, expand=["latest_charge.balance_transaction"])

        charge = paid.latest_charge
        assert isinstance(charge, stripe.Charge)
        assert isinstance(charge.balance_transaction, stripe.BalanceTransaction)
        movement = charge.balance_transaction
        assert ("succeeded", 2500, 2500, 103, 2397) == (
            paid.status, paid.amount_received, charge.amount_captured, movement.fee, movement.net,
        )  # fmt: skip
        assert [
            "payment_intent.created",
            "charge.succeeded",
            "payment_intent.succeeded",
        ] == await event_types(client)

    async def test_twice(self, client: stripe.StripeClient) -> None:
        """
        An intent succeeds once; the second confirm is refused and encloses the intent.
        """
        intent = await create(client)
        await confirm(client, intent.id)

        with pytest.raises(stripe.InvalidRequestError) as refused:
            await confirm(client, intent.id)

        assert "payment_intent_unexpected_state" == refused.value.code
        assert refused.value.error is not None
        assert refused.value.error.payment_intent is not None
        assert (intent.id, "succeeded") == (
            refused.value.error.payment_intent.id, refused.value.error.payment_intent.status,
        )  # fmt: skip

    async def test_without_method(self, client: stripe.StripeClient) -> None:
        """
        There must be something to charge.
        """
        intent = await create(client)

        with pytest.raises(stripe.InvalidRequestError, match="missing a payment method"):
            await client.v1.payment_intents.confirm_async(intent.id, {"return_url": RETURN_URL})

    async def test_needs_return_url(self, client: stripe.StripeClient) -> None:
        """
        With methods that might redirect a return URL is required; without them it is not.
        """
        automatic = {"enabled": True, "allow_redirects": "never"}
        intent = await create(client)
        local = await create(client, automatic_payment_methods=automatic)
        method: Json = {"payment_method": "pm_card_visa"}

        with pytest.raises(stripe.InvalidRequestError, match="return_url"):
            await client.v1.payment_intents.confirm_async(intent.id, method)  # type: ignore[arg-type]
        paid = await client.v1.payment_intents.confirm_async(local.id, method)  # type: ignore[arg-type]

        assert "succeeded" == paid.status

    async def test_decline_then_success(self, client: stripe.StripeClient) -> None:
        """
        After a decline the same intent takes another method; the last error stays to be read.
        """
        intent = await create(client)
        with pytest.raises(stripe.CardError):
            await confirm(client, intent.id, "pm_card_chargeDeclined")

        paid = await confirm(client, intent.id)

        assert "succeeded" == paid.status
        assert paid.last_payment_error is not None
        assert "card_declined" == paid.last_payment_error.code
        assert [
            "payment_intent.created",
            "charge.failed",
            "payment_intent.payment_failed",
            "charge.succeeded",
            "payment_intent.succeeded",
        ] == await event_types(client)

    async def test_customers_default(self, client: stripe.StripeClient) -> None:
        """
        Without a method of its own the intent is paid with the customer's default.
        """
        customer = await client.v1.customers.create_async()
        method = await client.v1.payment_methods.attach_async(
            "pm_card_visa", {"customer": customer.id}
        )
        await client.v1.customers.update_async(
            customer.id, {"invoice_settings": {"default_payment_method": method.id}}
        )
        intent = await create(client, customer=customer.id)

        paid = await client.v1.payment_intents.confirm_async(
            intent.id, {"return_url": RETURN_URL, "off_session": True}
        )

        assert ("succeeded", method.id) == (paid.status, paid.payment_method)

    async def test_somebody_elses_method(self, client: stripe.StripeClient) -> None:
        """
        An attached method is charged only together with its own customer.
        """
        owner = await client.v1.customers.create_async()
        other = await client.v1.customers.create_async()
        method = await client.v1.payment_methods.attach_async(
            "pm_card_visa", {"customer": owner.id}
        )

        with pytest.raises(stripe.InvalidRequestError) as alone:
            await create(client, payment_method=method.id)
        with pytest.raises(stripe.InvalidRequestError) as foreign:
            await create(client, payment_method=method.id, customer=other.id)

        assert ("parameter_missing", None) == (alone.value.code, foreign.value.code)

    async def test_unattached_method_works_once(self, client: stripe.StripeClient) -> None:
        """
        A method that is not attached is used up by its first payment.
        """
        first = await confirm(client, (await create(client)).id)

        with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
            await confirm(client, (await create(client)).id, str(first.payment_method))

    async def test_setting_up_off_session(self, client: stripe.StripeClient) -> None:
        """
        A set-up for later needs the customer now.
        """
        customer = await client.v1.customers.create_async()
        intent = await create(client, customer=customer.id, setup_future_usage="off_session")

        with pytest.raises(stripe.InvalidRequestError, match="setup_future_usage"):
            await confirm(client, intent.id, off_session=True)

    async def test_manual_confirmation(self, client: stripe.StripeClient, control: Control) -> None:
        """
        With manual confirmation the server confirms again after the customer's act.
        """
        intent = await create(client, confirmation_method="manual")
        waiting = await confirm(client, intent.id, "pm_card_authenticationRequired")
        acted = await control.act(intent.id, "authorize")

        paid = await client.v1.payment_intents.confirm_async(intent.id, {"return_url": RETURN_URL})

        assert ["requires_action", "requires_confirmation", "succeeded"] == [
            waiting.status, acted["status"], paid.status,
        ]  # fmt: skip


class TestCapture:
    async def test_part(self, client: stripe.StripeClient) -> None:
        """
        Capturing a part takes the part, once, and releases the rest.
        """
        intent = await create(client, capture_method="manual")
        held = await confirm(client, intent.id)

        paid = await client.v1.payment_intents.capture_async(
            intent.id, {"amount_to_capture": 2000, "expand": ["latest_charge"]}
        )
        with pytest.raises(stripe.InvalidRequestError) as again:
            await client.v1.payment_intents.capture_async(intent.id, {"amount_to_capture": 500})

        assert ("requires_capture", 2500) == (held.status, held.amount_capturable)
        assert isinstance(paid.latest_charge, stripe.Charge)
        assert ("succeeded", 2000, 0, 2000) == (
            paid.status, paid.amount_received, paid.amount_capturable,
            paid.latest_charge.amount_captured,
        )  # fmt: skip
        assert "payment_intent_unexpected_state" == again.value.code
        assert [
            "payment_intent.created",
            "charge.succeeded",
            "payment_intent.amount_capturable_updated",
            "charge.captured",
            "payment_intent.succeeded",
        ] == await event_types(client)

    @pytest.mark.parametrize(
        ("amount", "code"), [(2501, "amount_too_large"), (0, "parameter_invalid_integer")]
    )
    async def test_wrong_amount(self, client: stripe.StripeClient, amount: int, code: str) -> None:
        """
        No more than what is held, and no nothing, can be captured.
        """
        intent = await create(client, capture_method="manual")
        await confirm(client, intent.id)

        with pytest.raises(stripe.InvalidRequestError) as refused:
            await client.v1.payment_intents.capture_async(intent.id, {"amount_to_capture": amount})

        assert code == refused.value.code


class TestCancel:
    @pytest.mark.parametrize("capture_method", ["automatic", "manual"])
    async def test_open_intent(self, client: stripe.StripeClient, capture_method: str) -> None:
        """
        An open intent and a hold can be canceled, once; nothing is captured.
        """
        intent = await create(client, capture_method=capture_method)
        if capture_method == "manual":
            await confirm(client, intent.id)

        gone = await client.v1.payment_intents.cancel_async(
            intent.id, {"cancellation_reason": "abandoned"}
        )
        with pytest.raises(stripe.InvalidRequestError) as again:
            await client.v1.payment_intents.cancel_async(intent.id)

        assert ("canceled", "abandoned", 0, 0) == (
            gone.status, gone.cancellation_reason, gone.amount_received, gone.amount_capturable,
        )  # fmt: skip
        assert "payment_intent_unexpected_state" == again.value.code
        assert "payment_intent.canceled" == (await event_types(client))[-1]

    async def test_paid_intent(self, client: stripe.StripeClient) -> None:
        """
        Money that moved stays moved: a succeeded intent is not canceled but refunded.
        """
        intent = await create(client)
        await confirm(client, intent.id)

        with pytest.raises(stripe.InvalidRequestError) as refused:
            await client.v1.payment_intents.cancel_async(intent.id)

        assert "payment_intent_unexpected_state" == refused.value.code


class TestUpdate:
    async def test_before_payment(self, client: stripe.StripeClient) -> None:
        """
        Amount and metadata change before the payment; an empty value removes a key.
        """
        intent = await create(client, metadata={"a": "1", "b": "2"})

        changed = await client.v1.payment_intents.update_async(
            intent.id, {"amount": 3000, "metadata": {"b": "", "c": "3"}, "description": "Tea"}
        )

        assert (3000, {"a": "1", "c": "3"}, "Tea") == (
            changed.amount, changed.metadata.to_dict(), changed.description,
        )  # fmt: skip

    async def test_after_payment(self, client: stripe.StripeClient) -> None:
        """
        After the payment the amount is fixed; the metadata is not.
        """
        intent = await create(client)
        await confirm(client, intent.id)

        with pytest.raises(stripe.InvalidRequestError):
            await client.v1.payment_intents.update_async(intent.id, {"amount": 3000})
        changed = await client.v1.payment_intents.update_async(
            intent.id, {"metadata": {"late": "yes"}}
        )

        assert {"late": "yes"} == changed.metadata.to_dict()


class TestKeys:
    async def test_browser_sees_its_own_intent(
        self, client: stripe.StripeClient, http: httpx.AsyncClient
    ) -> None:
        """
        The publishable key reads an intent only with its client secret, and not all of it.
        """
        intent = await create(client, metadata={"internal": "x"})
        headers = {"authorization": f"Bearer {PUBLISHABLE_KEY}"}
        path = f"/v1/payment_intents/{intent.id}"

        seen = await http.get(
            path, params={"client_secret": str(intent.client_secret)}, headers=headers
        )
        guessed = await http.get(path, params={"client_secret": "x"}, headers=headers)

        assert (200, 404) == (seen.status_code, guessed.status_code)
        assert "metadata" not in seen.json()

    async def test_browser_may_not_charge(self, http: httpx.AsyncClient) -> None:
        """
        The publishable key moves no money.
        """
        answer = await http.post(
            "/v1/payment_intents",
            data={"amount": "2000", "currency": "eur"},
            headers={"authorization": f"Bearer {PUBLISHABLE_KEY}"},
        )

        assert (403, "secret_key_required") == (
            answer.status_code, answer.json()["error"]["code"],
        )  # fmt: skip

    @pytest.mark.parametrize("authorization", ["", "Bearer sk_test_wrong", "Basic ???"])
    async def test_wrong_key(self, http: httpx.AsyncClient, authorization: str) -> None:
        """
        Without the right key the answer is 401, as Stripe's.
        """
        answer = await http.get("/v1/customers", headers={"authorization": authorization})

        assert (401, "invalid_request_error") == (
            answer.status_code, answer.json()["error"]["type"],
        )  # fmt: skip

    async def test_every_answer_names_its_request(self, client: stripe.StripeClient) -> None:
        """
        Answers carry the request id and the version that was spoken.
        """
        intent = await create(client)

        response = intent.last_response
        assert response is not None
        assert "2026-10-28.endive" == response.headers["stripe-version"]
        assert str(response.request_id).startswith("req_")

    async def test_unknown_url(self, http: httpx.AsyncClient) -> None:
        """
        A path that Stripe does not have is 404.
        """
        answer = await http.get("/v1/unicorns", auth=(SECRET_KEY, ""))

        assert 404 == answer.status_code

    async def test_browsers_are_let_in(self, http: httpx.AsyncClient) -> None:
        """
        A browser on the shop's page may call: the preflight is answered.
        """
        answer = await http.options("/v1/payment_methods")

        assert "*" == answer.headers["access-control-allow-origin"]
