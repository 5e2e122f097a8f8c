import pytest
import stripe

from tests.simulator.support import Control, Receiver, event_types, served, until
from tests.simulator.test_cards import pay

PAID = ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]


class TestDelivery:
    async def test_signed_and_in_order(
        self, client: stripe.StripeClient, receiver: Receiver
    ) -> None:
        """
        Events arrive on their own, in order, and the SDK accepts their signature.
        """
        intent = await pay(client, "pm_card_visa")

        await until(lambda: len(receiver.received) == 3)

        events = [
            client.construct_event(each.body, each.signature, receiver.secret)
            for each in receiver.received
        ]
        assert PAID == [event.type for event in events]
        assert intent.id == events[-1].data.object["id"]
        assert 1 == events[0].pending_webhooks

    async def test_retried_until_taken(
        self, client: stripe.StripeClient, receiver: Receiver
    ) -> None:
        """
        What is not answered with 2xx is sent again, with a fresh signature, until it is.
        """
        refusals = iter([500, 302])
        receiver.answer = lambda _delivery: next(refusals, 200)

        await client.v1.customers.create_async()
        await until(lambda: len(receiver.received) == 3)

        assert 1 == len({delivery.event["id"] for delivery in receiver.received})

    async def test_given_up(self, client: stripe.StripeClient, receiver: Receiver) -> None:
        """
        A failing event is still listed, with nothing delivered.
        """
        receiver.answer = lambda _delivery: 500
        await client.v1.customers.create_async()
        await until(lambda: len(receiver.received) > 1)

        lost = await client.v1.events.list_async({"delivery_success": False})

        assert ["customer.created"] == [event.type for event in lost.data]
        assert 1 == lost.data[0].pending_webhooks

    async def test_only_what_is_wanted(self, client: stripe.StripeClient, control: Control) -> None:
        """
        An endpoint gets the events it is registered for; a disabled one nothing.
        """
        wanted, unwanted = Receiver(), Receiver()
        async with served(lambda _u: wanted) as first, served(lambda _u: unwanted) as second:
            await client.v1.webhook_endpoints.create_async(
                {"url": first, "enabled_events": ["payment_intent.succeeded"]}
            )
            off = await client.v1.webhook_endpoints.create_async(
                {"url": second, "enabled_events": ["*"]}
            )
            await client.v1.webhook_endpoints.update_async(off.id, {"disabled": True})
            await pay(client, "pm_card_visa")
            pending = await control.flush()

        assert (0, ["payment_intent.succeeded"], []) == (pending, wanted.types, unwanted.types)

    async def test_endpoint_down(self, client: stripe.StripeClient, control: Control) -> None:
        """
        An endpoint that cannot be reached is tried again; `pending_webhooks` counts it.
        """
        await client.v1.webhook_endpoints.create_async(
            {"url": "http://127.0.0.1:9", "enabled_events": ["*"]}
        )

        await client.v1.customers.create_async()
        event = (await client.v1.events.list_async()).data[0]
        deliveries = await control.get("/deliveries")

        assert 1 == event.pending_webhooks
        assert ["pending"] == [delivery["state"] for delivery in deliveries]


class TestEndpoint:
    async def test_secret_is_shown_once(self, client: stripe.StripeClient) -> None:
        """
        Only the answer to the creation carries the secret.
        """
        made = await client.v1.webhook_endpoints.create_async(
            {"url": "https://a.example", "enabled_events": ["*"], "metadata": {"env": "t"}}
        )
        read = await client.v1.webhook_endpoints.retrieve_async(made.id)
        listed = await client.v1.webhook_endpoints.list_async()

        assert str(made.secret).startswith("whsec_")
        assert ["secret" in read, "secret" in listed.data[0]] == [False, False]

    @pytest.mark.parametrize("url", ["shop.example", "ftp://a", "http://", "http://a:b"])
    async def test_unusable_url(self, client: stripe.StripeClient, url: str) -> None:
        """
        An endpoint has an http or https URL.
        """
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await client.v1.webhook_endpoints.create_async({"url": url, "enabled_events": ["*"]})

        assert "url" == refused.value.param

    async def test_deleted(self, client: stripe.StripeClient) -> None:
        """
        A deleted endpoint is gone.
        """
        made = await client.v1.webhook_endpoints.create_async(
            {"url": "https://a.example", "enabled_events": ["*"]}
        )

        await client.v1.webhook_endpoints.delete_async(made.id)

        with pytest.raises(stripe.InvalidRequestError):
            await client.v1.webhook_endpoints.retrieve_async(made.id)


class TestDeliveryRate:
    async def test_none(
        self, client: stripe.StripeClient, receiver: Receiver, control: Control
    ) -> None:
        """
        With a rate of 0 no webhook ever arrives, and the events are listed all the same.
        """
        await control.knobs(webhook_delivery_rate=0)

        await pay(client, "pm_card_visa")

        assert (0, []) == (await control.flush(), receiver.types)
        assert PAID == await event_types(client)
        await control.knobs(webhook_delivery_rate=1)


class TestFault:
    async def test_drop(
        self, client: stripe.StripeClient, receiver: Receiver, control: Control
    ) -> None:
        """
        A dropped event never arrives; the others do.
        """
        await control.webhook_fault("drop", event_type="charge.succeeded")

        await pay(client, "pm_card_visa")
        pending = await control.flush()

        assert (0, [PAID[0], PAID[2]]) == (pending, receiver.types)

    @pytest.mark.parametrize(("kind", "copies"), [("double", 2), ("copies", 20)])
    async def test_several(
        self,
        client: stripe.StripeClient,
        receiver: Receiver,
        control: Control,
        kind: str,
        copies: int,
    ) -> None:
        """
        One event arrives twice, or twenty times at once.
        """
        await control.webhook_fault(kind, event_type="payment_intent.succeeded", copies=20)

        await pay(client, "pm_card_visa")
        await control.flush()

        assert copies == receiver.types.count("payment_intent.succeeded")
        assert 3 == len({delivery.event["id"] for delivery in receiver.received})

    async def test_delay(
        self, client: stripe.StripeClient, receiver: Receiver, control: Control
    ) -> None:
        """
        A delayed event waits for its time, unless it is flushed; others overtake it.
        """
        await control.webhook_fault("delay", event_type="charge.succeeded", seconds=3600)
        await pay(client, "pm_card_visa")
        await until(lambda: len(receiver.received) == 2)

        await control.flush()

        assert [PAID[0], PAID[2], PAID[1]] == receiver.types

    async def test_terminal_first(
        self, client: stripe.StripeClient, receiver: Receiver, control: Control
    ) -> None:
        """
        The terminal event of the next payment arrives before all of its earlier ones; the payment
        after that is not touched.
        """
        await control.webhook_fault("terminal_first")
        first = await pay(client, "pm_card_visa")
        await until(lambda: len(receiver.received) == 3)
        await pay(client, "pm_card_visa")
        await until(lambda: len(receiver.received) == 6)

        assert [PAID[2], *PAID[:2], *PAID] == receiver.types
        assert first.id == receiver.received[0].event["data"]["object"]["id"]

    @pytest.mark.parametrize("kind", ["forged", "stale", "wrong_secret"])
    async def test_not_to_be_trusted(
        self, client: stripe.StripeClient, receiver: Receiver, control: Control, kind: str
    ) -> None:
        """
        A forged, stale or foreign signature is refused by the SDK; the retry is genuine.
        """
        await control.webhook_fault(kind)
        receiver.answer = lambda _delivery: 400 if len(receiver.received) == 1 else 200

        await client.v1.customers.create_async()
        await until(lambda: len(receiver.received) == 2)

        bad, good = receiver.received
        with pytest.raises(stripe.SignatureVerificationError):
            client.construct_event(bad.body, bad.signature, receiver.secret)
        event = client.construct_event(good.body, good.signature, receiver.secret)
        assert "customer.created" == event.type

    async def test_future(
        self, client: stripe.StripeClient, receiver: Receiver, control: Control
    ) -> None:
        """
        A timestamp from the future is well signed.
        """
        await control.webhook_fault("future")

        await client.v1.customers.create_async()
        await until(lambda: len(receiver.received) == 1)

        one = receiver.received[0]
        client.construct_event(one.body, one.signature, receiver.secret)
        assert int(one.signature[2:12]) > one.event["created"] + 500

    @pytest.mark.parametrize(
        ("kind", "amount", "currency"),
        [("wrong_amount", 2000, "eur"), ("wrong_currency", 1999, "usd")],
    )
    async def test_false_but_signed(
        self,
        client: stripe.StripeClient,
        receiver: Receiver,
        control: Control,
        kind: str,
        amount: int,
        currency: str,
    ) -> None:
        """
        A well-signed event may tell another amount or currency than the gateway's own books.
        """
        await control.webhook_fault(kind, event_type="payment_intent.succeeded")

        await pay(client, "pm_card_visa")
        await until(lambda: len(receiver.received) == 3)

        one = receiver.received[-1]
        told = client.construct_event(one.body, one.signature, receiver.secret).data.object
        assert (amount, currency) == (told["amount"], told["currency"])

    async def test_chance(
        self, client: stripe.StripeClient, receiver: Receiver, control: Control
    ) -> None:
        """
        A fault without an end fires with its probability, and counts how often.
        """
        await control.webhook_fault("drop", times=None, probability=0.5)

        for _ in range(30):
            await client.v1.customers.create_async()
        await control.flush()

        fault = (await control.get("/webhook_faults"))[0]
        assert 30 == fault["fired"] + len(receiver.received)
        assert 0 < fault["fired"] < 30
