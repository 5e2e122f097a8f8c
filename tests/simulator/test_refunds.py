import pytest
import stripe

from tests.simulator.support import Control, event_types
from tests.simulator.test_cards import pay


async def refund(client: stripe.StripeClient, intent: str, amount: int) -> stripe.Refund:
    return await client.v1.refunds.create_async({"payment_intent": intent, "amount": amount})


class TestRefund:
    async def test_in_parts(self, client: stripe.StripeClient) -> None:
        """
        A charge is refunded in parts up to what was captured, and not a cent more.
        """
        intent = await pay(client, "pm_card_visa", amount=1000)

        first = await refund(client, intent.id, 300)
        with pytest.raises(stripe.InvalidRequestError) as too_much:
            await refund(client, intent.id, 701)
        rest = await client.v1.refunds.create_async({"charge": str(intent.latest_charge)})
        with pytest.raises(stripe.InvalidRequestError) as again:
            await refund(client, intent.id, 1)

        charge = await client.v1.charges.retrieve_async(str(intent.latest_charge))
        assert ("succeeded", 300, 700) == (first.status, first.amount, rest.amount)
        assert ("amount", None) == (too_much.value.param, too_much.value.code)
        assert "charge_already_refunded" == again.value.code
        assert (True, 1000) == (charge.refunded, charge.amount_refunded)
        assert ["refund.created", "charge.refunded"] * 2 == (await event_types(client))[3:]

    async def test_fee_is_not_returned(self, client: stripe.StripeClient) -> None:
        """
        The refund takes its whole amount from the balance; the fee of the charge stays spent.
        """
        intent = await pay(client, "pm_card_visa", amount=1000)

        await refund(client, intent.id, 1000)

        movements = await client.v1.balance_transactions.list_async()
        assert [("refund", -1000, 0), ("charge", 1000, 59)] == [
            (movement.type, movement.amount, movement.fee) for movement in movements.data
        ]

    async def test_fee_may_be_known_later(
        self, client: stripe.StripeClient, control: Control
    ) -> None:
        """
        A charge can have no balance transaction for a while: then `charge.updated` brings it.
        """
        await control.knobs(balance_delay_seconds=3600)
        intent = await pay(client, "pm_card_visa", amount=1000)

        before = await client.v1.charges.retrieve_async(str(intent.latest_charge))
        await control.flush()
        after = await client.v1.charges.retrieve_async(
            str(intent.latest_charge), {"expand": ["balance_transaction"]}
        )

        assert before.balance_transaction is None
        assert isinstance(after.balance_transaction, stripe.BalanceTransaction)
        assert (1000, 59) == (after.balance_transaction.amount, after.balance_transaction.fee)
        assert "charge.updated" in await event_types(client)

    async def test_pending_refund_succeeds_later(
        self, client: stripe.StripeClient, control: Control
    ) -> None:
        """
        A pending refund moves nothing yet, and then succeeds with `refund.updated`.
        """
        await control.knobs(refund_settle_seconds=3600)
        intent = await pay(client, "pm_card_pendingRefund", amount=1000)

        pending = await refund(client, intent.id, 400)
        untouched = await client.v1.charges.retrieve_async(str(intent.latest_charge))
        await control.flush()

        settled = await client.v1.refunds.retrieve_async(pending.id)
        charge = await client.v1.charges.retrieve_async(str(intent.latest_charge))
        assert ("pending", None, 0) == (
            pending.status, pending.balance_transaction, untouched.amount_refunded,
        )  # fmt: skip
        assert ("succeeded", 400) == (settled.status, charge.amount_refunded)
        assert "refund.updated" in await event_types(client)

    async def test_refund_that_fails_later(
        self, client: stripe.StripeClient, control: Control
    ) -> None:
        """
        A refund that succeeded can still fail: the money comes back and `refund.failed` tells.
        """
        await control.knobs(refund_settle_seconds=3600)
        intent = await pay(client, "pm_card_refundFail", amount=1000)

        first = await refund(client, intent.id, 1000)
        await control.flush()

        failed = await client.v1.refunds.retrieve_async(first.id)
        charge = await client.v1.charges.retrieve_async(str(intent.latest_charge))
        assert ("succeeded", "failed") == (first.status, failed.status)
        assert failed.failure_balance_transaction
        assert (False, 0) == (charge.refunded, charge.amount_refunded)
        assert "refund.failed" == (await event_types(client))[-1]
        assert 1000 == (await refund(client, intent.id, 1000)).amount

    async def test_hold_is_canceled_not_refunded(self, client: stripe.StripeClient) -> None:
        """
        An uncaptured charge cannot be refunded.
        """
        intent = await pay(client, "pm_card_visa", capture_method="manual")

        with pytest.raises(stripe.InvalidRequestError, match="Cancel its PaymentIntent"):
            await client.v1.refunds.create_async({"payment_intent": intent.id})

    async def test_nothing_to_refund(self, client: stripe.StripeClient) -> None:
        """
        An intent without a successful charge has nothing to give back.
        """
        intent = await client.v1.payment_intents.create_async({"amount": 500, "currency": "eur"})

        with pytest.raises(stripe.InvalidRequestError, match="successful charge"):
            await client.v1.refunds.create_async({"payment_intent": intent.id})
        with pytest.raises(stripe.InvalidRequestError) as missing:
            await client.v1.refunds.create_async({"payment_intent": "pi_nothing"})

        assert "resource_missing" == missing.value.code

    async def test_cancel_is_refused(self, client: stripe.StripeClient) -> None:
        """
        A card refund cannot be canceled.
        """
        intent = await pay(client, "pm_card_visa")
        made = await client.v1.refunds.create_async({"payment_intent": intent.id})

        with pytest.raises(stripe.InvalidRequestError, match="requires_action"):
            await client.v1.refunds.cancel_async(made.id)

    async def test_metadata(self, client: stripe.StripeClient) -> None:
        """
        A refund's metadata can be changed, and its list filtered by intent.
        """
        intent = await pay(client, "pm_card_visa")
        await pay(client, "pm_card_visa")
        made = await client.v1.refunds.create_async({"payment_intent": intent.id})

        changed = await client.v1.refunds.update_async(made.id, {"metadata": {"a": "b"}})

        listed = await client.v1.refunds.list_async({"payment_intent": intent.id})
        assert {"a": "b"} == (changed.metadata or {}).to_dict()  # type: ignore[union-attr]
        assert [made.id] == [each.id for each in listed.data]


class TestJournal:
    async def test_tells_what_really_happened(
        self, client: stripe.StripeClient, control: Control
    ) -> None:
        """
        The journal has every movement of money with its amount, metadata and idempotency key.
        """
        intent = await client.v1.payment_intents.create_async(
            {
                "amount": 900,
                "currency": "eur",
                "confirm": True,
                "payment_method": "pm_card_visa",
                "return_url": "https://shop.example",
                "metadata": {"payment_id": "pay_1"},
            },
            {"idempotency_key": "key-1"},
        )
        await refund(client, intent.id, 200)
        with pytest.raises(stripe.CardError):
            await pay(client, "pm_card_chargeDeclined")

        kinds = ("charge.authorized", "charge.captured", "charge.failed", "refund.succeeded")
        entries = await control.entries(*kinds)

        assert [
            ("charge.authorized", 900),
            ("charge.captured", 900),
            ("refund.succeeded", 200),
            ("charge.failed", 1999),
        ] == [(entry["kind"], entry["amount"]) for entry in entries]
        assert (intent.id, {"payment_id": "pay_1"}, "key-1", "eur") == (
            entries[0]["payment_intent"], entries[0]["metadata"],
            entries[0]["idempotency_key"], entries[0]["currency"],
        )  # fmt: skip
        assert ["200", "200", "402"] == [
            entry["outcome"] for entry in await control.entries("request")
        ]
