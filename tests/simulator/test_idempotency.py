import asyncio

import httpx
import pytest
import stripe

from tests.simulator.support import RETURN_URL, SECRET_KEY, Control, Json

PAYMENT: Json = {
    "amount": 1500,
    "currency": "eur",
    "confirm": True,
    "payment_method": "pm_card_visa",
    "return_url": RETURN_URL,
}


async def pay(client: stripe.StripeClient, key: str, **more: object) -> stripe.PaymentIntent:
    return await client.v1.payment_intents.create_async(
        {**PAYMENT, **more},  # type: ignore[typeddict-item]
        {"idempotency_key": key},
    )


class TestReplay:
    async def test_same_answer(self, client: stripe.StripeClient, control: Control) -> None:
        """
        The same key and parameters give the first answer again; the money moves once.
        """
        first = await pay(client, "k")
        again = await pay(client, "k")

        assert first.to_dict() == again.to_dict()
        assert again.last_response is not None
        assert first.last_response is not None
        assert "true" == again.last_response.headers["idempotent-replayed"]
        assert first.last_response.request_id == again.last_response.headers["original-request"]
        assert 1 == len(await control.entries("charge.captured"))

    async def test_decline_is_kept(self, client: stripe.StripeClient, control: Control) -> None:
        """
        A decline is an answer: the same key declines again without another try.
        """
        for _ in range(2):
            with pytest.raises(stripe.CardError):
                await pay(client, "k", payment_method="pm_card_chargeDeclined")

        assert 1 == len(await control.entries("charge.failed"))

    async def test_other_parameters(self, client: stripe.StripeClient) -> None:
        """
        A key belongs to its parameters.
        """
        await pay(client, "k")

        with pytest.raises(stripe.IdempotencyError) as refused:
            await pay(client, "k", amount=1501)

        assert 400 == refused.value.http_status

    async def test_other_endpoint(self, client: stripe.StripeClient) -> None:
        """
        A key belongs to its endpoint.
        """
        await pay(client, "k")

        with pytest.raises(stripe.IdempotencyError, match="same endpoint"):
            await client.v1.customers.create_async({}, {"idempotency_key": "k"})

    async def test_validation_failure_is_not_kept(self, client: stripe.StripeClient) -> None:
        """
        A call that failed validation can be repeated, corrected, under its key.
        """
        with pytest.raises(stripe.InvalidRequestError):
            await pay(client, "k", colour="red")

        assert "succeeded" == (await pay(client, "k")).status

    async def test_too_long(self, client: stripe.StripeClient) -> None:
        """
        A key has at most 255 characters.
        """
        with pytest.raises(stripe.InvalidRequestError, match="255"):
            await pay(client, "k" * 256)

    async def test_twenty_at_once(
        self, client: stripe.StripeClient, http: httpx.AsyncClient, control: Control
    ) -> None:
        """
        While the first call runs, others with its key are refused with 409, and those that come
        later get its answer; one payment is made.
        """
        delay = {"payment_processing_delay_min": 300, "payment_processing_delay_max": 300}
        await http.patch("/_control/knobs", json=delay)
        http_client = {"auth": (SECRET_KEY, ""), "headers": {"idempotency-key": "k"}}
        form = {k: "true" if v is True else str(v) for k, v in PAYMENT.items()}

        answers = await asyncio.gather(
            *(http.post("/v1/payment_intents", data=form, **http_client) for _ in range(20))  # type: ignore[arg-type]
        )

        paid = {answer.json()["id"] for answer in answers if answer.status_code == 200}
        conflict = next(answer for answer in answers if answer.status_code == 409)
        assert 1 == len(paid)
        assert "idempotency_key_in_use" == conflict.json()["error"]["code"]
        assert 1 == len(await control.entries("charge.captured"))

    async def test_key_stands_in_the_event(self, client: stripe.StripeClient) -> None:
        """
        An event names the key of the call that caused it.
        """
        await pay(client, "my-key")

        events = (await client.v1.events.list_async()).data

        assert {"my-key"} == {event.request and event.request.idempotency_key for event in events}
