import asyncio
import time

import httpx
import pytest
import stripe

from tests.simulator.support import RETURN_URL, SECRET_KEY, Control, Json

CREATE = "payment_intents.create"
CONFIRM = "payment_intents.confirm"


async def open_intent(client: stripe.StripeClient, **metadata: str) -> str:
    intent = await client.v1.payment_intents.create_async(
        {"amount": 1200, "currency": "eur", "metadata": metadata}
    )
    return intent.id


async def confirm(client: stripe.StripeClient, intent: str, key: str) -> stripe.PaymentIntent:
    return await client.v1.payment_intents.confirm_async(
        intent,
        {"payment_method": "pm_card_visa", "return_url": RETURN_URL},
        {"idempotency_key": key},
    )


async def status(client: stripe.StripeClient, intent: str) -> str:
    return (await client.v1.payment_intents.retrieve_async(intent)).status


class TestWithoutEffect:
    async def test_connection_refused(self, client: stripe.StripeClient, control: Control) -> None:
        """
        The connection closes before anything happened; the next try works.
        """
        intent = await open_intent(client)
        await control.fault(CONFIRM, "refuse_before")

        with pytest.raises(stripe.APIConnectionError):
            await confirm(client, intent, "k")

        assert "requires_payment_method" == await status(client, intent)
        assert "succeeded" == (await confirm(client, intent, "k")).status

    async def test_not_a_byte(self, control: Control, http: httpx.AsyncClient) -> None:
        """
        A closed connection carries no reply at all, not even a broken one.
        """
        await control.fault("customers.list", "refuse_before")

        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            await http.get("/v1/customers", auth=(SECRET_KEY, ""))

    async def test_unavailable(self, client: stripe.StripeClient, control: Control) -> None:
        """
        503 without an effect, and not kept under the key.
        """
        intent = await open_intent(client)
        await control.fault(CONFIRM, "refuse_before", status=503)

        with pytest.raises(stripe.APIError) as refused:
            await confirm(client, intent, "k")

        assert 503 == refused.value.http_status
        assert "succeeded" == (await confirm(client, intent, "k")).status

    async def test_rate_limit(self, client: stripe.StripeClient, control: Control) -> None:
        """
        429 with `Retry-After`, as often as armed.
        """
        intent = await open_intent(client)
        await control.fault(CONFIRM, "rate_limit", times=2, retry_after=7)

        for _ in range(2):
            with pytest.raises(stripe.RateLimitError) as refused:
                await confirm(client, intent, "k")

        assert refused.value.headers is not None
        assert "7" == refused.value.headers["retry-after"]
        assert "succeeded" == (await confirm(client, intent, "k")).status

    async def test_key_in_use(self, client: stripe.StripeClient, control: Control) -> None:
        """
        409 tells that the first request with the key is still running.
        """
        intent = await open_intent(client)
        await control.fault(CONFIRM, "key_in_use")

        with pytest.raises(stripe.APIError) as refused:
            await confirm(client, intent, "k")

        assert refused.value.error is not None
        assert (409, "idempotency_key_in_use") == (
            refused.value.http_status, refused.value.error.code,
        )  # fmt: skip

    async def test_parameter_mismatch(self, client: stripe.StripeClient, control: Control) -> None:
        """
        400 tells that the key was used with other parameters.
        """
        intent = await open_intent(client)
        await control.fault(CONFIRM, "parameter_mismatch")

        with pytest.raises(stripe.IdempotencyError):
            await confirm(client, intent, "k")

        assert "requires_payment_method" == await status(client, intent)

    async def test_hang(
        self, client: stripe.StripeClient, control: Control, http: httpx.AsyncClient
    ) -> None:
        """
        The call hangs until the caller gives up, and has no effect.
        """
        intent = await open_intent(client)
        await control.fault(CONFIRM, "hang", seconds=60)

        with pytest.raises(httpx.ReadTimeout):
            await http.post(
                f"/v1/payment_intents/{intent}/confirm", auth=(SECRET_KEY, ""), timeout=0.1
            )

        assert "requires_payment_method" == await status(client, intent)

    async def test_hang_ends(self, client: stripe.StripeClient, control: Control) -> None:
        """
        After its time a hanging call is closed.
        """
        intent = await open_intent(client)
        await control.fault(CONFIRM, "hang", seconds=0.05)

        with pytest.raises(stripe.APIConnectionError):
            await confirm(client, intent, "k")

    async def test_decline(self, client: stripe.StripeClient, control: Control) -> None:
        """
        A good card declines with the scripted code, and pays the next time.
        """
        intent = await open_intent(client)
        await control.fault(CONFIRM, "decline", decline_code="do_not_honor")

        with pytest.raises(stripe.CardError) as declined:
            await confirm(client, intent, "k1")

        assert declined.value.error is not None
        assert "do_not_honor" == declined.value.error.decline_code
        assert "succeeded" == (await confirm(client, intent, "k2")).status


class TestWithEffect:
    async def test_reply_lost(self, client: stripe.StripeClient, control: Control) -> None:
        """
        The money moves and the caller never hears of it; the same key tells.
        """
        intent = await open_intent(client)
        await control.fault(CONFIRM, "effect_reply_lost")

        with pytest.raises(stripe.APIConnectionError):
            await confirm(client, intent, "k")

        assert "succeeded" == await status(client, intent)
        assert "succeeded" == (await confirm(client, intent, "k")).status
        assert 1 == len(await control.entries("charge.captured"))

    async def test_reply_late(self, client: stripe.StripeClient, control: Control) -> None:
        """
        The reply comes after the effect by the scripted time.
        """
        intent = await open_intent(client)
        await control.fault(CONFIRM, "effect_reply_late", seconds=0.1)
        started = time.monotonic()

        paid = await confirm(client, intent, "k")

        assert time.monotonic() - started >= 0.1
        assert "succeeded" == paid.status

    @pytest.mark.parametrize(
        ("effect", "end"), [(True, "succeeded"), (False, "requires_payment_method")]
    )
    async def test_sticky_500(
        self, client: stripe.StripeClient, control: Control, end: str, *, effect: bool
    ) -> None:
        """
        A 500 is kept under its key, whether or not it had an effect; reading back tells.
        """
        intent = await open_intent(client)
        await control.fault(CONFIRM, "sticky_500", effect=effect)

        for _ in range(3):
            with pytest.raises(stripe.APIError) as broken:
                await confirm(client, intent, "k")

        assert 500 == broken.value.http_status
        assert end == await status(client, intent)

    async def test_kept_answer_does_not_break(
        self, client: stripe.StripeClient, control: Control
    ) -> None:
        """
        What a key has answered it keeps answering, whatever fails later.
        """
        intent = await open_intent(client)
        await confirm(client, intent, "k")
        await control.fault(CONFIRM, "sticky_500", effect=False)

        assert "succeeded" == (await confirm(client, intent, "k")).status

    async def test_reply_lost_twice(self, client: stripe.StripeClient, control: Control) -> None:
        """
        The reply to the repeat can be lost as well; the effect happens once.
        """
        intent = await open_intent(client)
        await control.fault(CONFIRM, "effect_reply_lost", times=2)

        for _ in range(2):
            with pytest.raises(stripe.APIConnectionError):
                await confirm(client, intent, "k")

        assert "succeeded" == (await confirm(client, intent, "k")).status
        assert 1 == len(await control.entries("charge.captured"))


class TestAiming:
    async def test_skip(self, client: stripe.StripeClient, control: Control) -> None:
        """
        A fault lets the first calls pass.
        """
        await control.fault(CREATE, "refuse_before", skip=2)

        for _ in range(2):
            await open_intent(client)
        with pytest.raises(stripe.APIConnectionError):
            await open_intent(client)

        fault = (await control.get("/faults"))[0]
        assert (3, 1) == (fault["seen"], fault["fired"])

    async def test_metadata(self, client: stripe.StripeClient, control: Control) -> None:
        """
        A fault meets only calls that carry, or concern an object that carries, the metadata.
        """
        mine = await open_intent(client, payment_id="pay_1")
        other = await open_intent(client, payment_id="pay_2")
        await control.fault(CONFIRM, "refuse_before", match={"payment_id": "pay_1"})

        assert "succeeded" == (await confirm(client, other, "k1")).status
        with pytest.raises(stripe.APIConnectionError):
            await confirm(client, mine, "k2")

    async def test_object(self, client: stripe.StripeClient, control: Control) -> None:
        """
        A fault can be aimed at one object, also where a parameter names it.
        """
        intent = await open_intent(client)
        await confirm(client, intent, "k")
        await control.fault("refunds.create", "rate_limit", match={"object": intent})

        with pytest.raises(stripe.RateLimitError):
            await client.v1.refunds.create_async({"payment_intent": intent})

        assert (
            "succeeded" == (await client.v1.refunds.create_async({"payment_intent": intent})).status
        )

    async def test_any_operation(self, client: stripe.StripeClient, control: Control) -> None:
        """
        `*` meets every call, reading ones too, and is gone when cleared.
        """
        await control.fault("*", "refuse_before", status=500, times=None)
        with pytest.raises(stripe.APIError):
            await client.v1.customers.list_async()

        await control.delete("/faults")

        assert [] == (await client.v1.customers.list_async()).data

    async def test_journal_tells(self, client: stripe.StripeClient, control: Control) -> None:
        """
        The journal notes which request a fault met and how that request ended.
        """
        intent = await open_intent(client)
        await control.fault(CONFIRM, "effect_reply_lost")
        with pytest.raises(stripe.APIConnectionError):
            await confirm(client, intent, "k")

        fault, *_ = await control.entries("fault")
        outcomes = [entry["outcome"] for entry in await control.entries("request")]
        assert "effect_reply_lost" == fault["fault_kind"]
        assert ["200", "200", "connection closed"] == outcomes


class TestInput:
    @pytest.mark.parametrize(
        ("path", "body", "detail"),
        [
            ("/faults", {"operation": "unicorns.fly", "kind": "hang"}, "unicorns.fly"),
            ("/faults", {"operation": CONFIRM, "kind": "explode"}, "kind"),
            ("/faults", {"operation": CONFIRM, "kind": "hang", "x": 1}, "x"),
            ("/faults", {"operation": "refunds.create", "kind": "decline"}, "decline"),
            ("/faults", {"operation": CONFIRM, "kind": "hang", "fired": 3}, "fired"),
            ("/webhook_faults", {"kind": "lose"}, "kind"),
            ("/webhook_faults", {"kind": "copies", "copies": 1}, "copies"),
        ],
    )
    async def test_problem(
        self, http: httpx.AsyncClient, path: str, body: Json, detail: str
    ) -> None:
        """
        A fault that makes no sense is refused with a problem document that names the field.
        """
        answer = await http.post(f"/_control{path}", json=body)

        assert 422 == answer.status_code
        assert "application/problem+json" == answer.headers["content-type"]
        assert detail in answer.json()["detail"]

    async def test_not_json(self, http: httpx.AsyncClient) -> None:
        """
        A body that is not JSON is 400.
        """
        answer = await http.post("/_control/faults", content=b"hang, please")

        assert 400 == answer.status_code


class TestRate:
    async def test_calls_too_many_are_refused(
        self, client: stripe.StripeClient, control: Control
    ) -> None:
        """
        So many in a second; the next ones hear 429 and when to come again, and have no effect.
        """
        await control.knobs(requests_per_second=3)

        told = await asyncio.gather(
            *(open_intent(client) for _ in range(30)), return_exceptions=True
        )

        await control.knobs(requests_per_second=0)
        refused = [one for one in told if isinstance(one, stripe.RateLimitError)]
        made = (await client.v1.payment_intents.list_async({"limit": 100})).data
        assert refused
        assert {"1"} == {(one.headers or {}).get("retry-after") for one in refused}
        assert 30 - len(refused) == len(made)
