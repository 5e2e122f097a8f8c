"""A bank takes a charge back, or asks about it; the seller answers, and the bank decides."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import stripe

from paysaga.simulator.app import create_app
from tests.simulator.support import Control, event_types, gateway, served, settings
from tests.simulator.test_cards import pay
from tests.simulator.test_refunds import refund

FRAUD, NOT_RECEIVED, INQUIRY = (
    "pm_card_createDispute",
    "pm_card_createDisputeProductNotReceived",
    "pm_card_createDisputeInquiry",
)


async def disputed(client: stripe.StripeClient, card: str = FRAUD) -> stripe.Dispute:
    """The dispute of a payment of 10.00."""
    intent = await pay(client, card, amount=1000)
    [found] = (await client.v1.disputes.list_async({"payment_intent": intent.id})).data
    return found


async def answered(client: stripe.StripeClient, dispute: stripe.Dispute, words: str) -> None:
    await client.v1.disputes.update_async(dispute.id, {"evidence": {"uncategorized_text": words}})


async def movements(client: stripe.StripeClient) -> list[tuple[str, int, int]]:
    """What the balance has seen, oldest first: what it was, how much, and the fee."""
    listed = await client.v1.balance_transactions.list_async()
    return [(it.reporting_category, it.amount, it.fee) for it in reversed(listed.data)]


class TestChargeback:
    @pytest.mark.parametrize(
        ("card", "reason"), [(FRAUD, "fraudulent"), (NOT_RECEIVED, "product_not_received")]
    )
    async def test_the_money_goes_at_once(
        self, client: stripe.StripeClient, card: str, reason: str
    ) -> None:
        """
        The payment succeeds, then its bank takes all of it back, and a fee with it.
        """
        dispute = await disputed(client, card)

        assert ("needs_response", reason, 1000) == (dispute.status, dispute.reason, dispute.amount)
        assert not dispute.is_charge_refundable
        assert [("charge", 1000, 59), ("dispute", -1000, 1500)] == await movements(client)
        [moved] = dispute.balance_transactions
        assert (-2500, dispute.id) == (moved.net, moved.source)
        assert [
            "payment_intent.succeeded",
            "charge.dispute.created",
            "charge.dispute.funds_withdrawn",
        ] == (await event_types(client))[-3:]

    async def test_nothing_of_it_says_whose_it_is(self, client: stripe.StripeClient) -> None:
        """
        A dispute has none of its payment's metadata: it is known by its intent or its charge.
        """
        dispute = await disputed(client)

        charge = await client.v1.charges.retrieve_async(
            str(dispute.charge), {"expand": ["payment_intent"]}
        )
        assert {} == dispute.metadata.to_dict()
        assert isinstance(charge.payment_intent, stripe.PaymentIntent)
        assert (True, dispute.payment_intent) == (charge.disputed, charge.payment_intent.id)

    async def test_it_may_come_later(self, client: stripe.StripeClient, control: Control) -> None:
        """
        Cardholders read their statements weeks after they have bought.
        """
        await control.knobs(dispute_open_seconds=3600)
        intent = await pay(client, FRAUD)
        before = await client.v1.disputes.list_async({"payment_intent": intent.id})

        await control.flush()

        after = await client.v1.disputes.list_async({"payment_intent": intent.id})
        assert [0, 1] == [len(before.data), len(after.data)]

    async def test_a_hold_is_disputed_when_it_is_captured(
        self, client: stripe.StripeClient
    ) -> None:
        """
        Of money that was not taken there is nothing to take back; then it is what was taken.
        """
        intent = await pay(client, FRAUD, amount=1000, capture_method="manual")
        before = await client.v1.disputes.list_async()
        await client.v1.payment_intents.capture_async(intent.id, {"amount_to_capture": 600})

        [dispute] = (await client.v1.disputes.list_async()).data

        assert ([], 600) == (before.data, dispute.amount)

    async def test_what_the_bank_has_is_not_refunded(self, client: stripe.StripeClient) -> None:
        """
        The customer has their money back already.
        """
        dispute = await disputed(client)

        with pytest.raises(stripe.InvalidRequestError) as refused:
            await refund(client, str(dispute.payment_intent), 1)

        assert "charge_disputed" == refused.value.code

    async def test_a_refund_on_its_way_is_lost(
        self, client: stripe.StripeClient, control: Control
    ) -> None:
        """
        A pending refund fails, since the bank takes the money; later it does not succeed either.
        """
        await control.knobs(refund_settle_seconds=3600)
        intent = await pay(client, "pm_card_pendingRefund", amount=1000)
        pending = await refund(client, intent.id, 400)

        await control.post(f"/charges/{intent.latest_charge}/dispute")
        await control.flush()

        lost = await client.v1.refunds.retrieve_async(pending.id)
        assert ("failed", "charge_for_pending_refund_disputed") == (
            lost.status,
            lost.failure_reason,
        )
        assert "failure_balance_transaction" not in lost
        assert [("charge", 1000, 59), ("dispute", -1000, 1500)] == await movements(client)
        assert "refund.failed" in await event_types(client)

    async def test_after_a_refund_it_takes_what_it_wants(
        self, client: stripe.StripeClient, control: Control
    ) -> None:
        """
        A bank may dispute what was given back: the seller has to show that.
        """
        intent = await pay(client, "pm_card_visa", amount=1000)
        await refund(client, intent.id, 1000)

        told = await control.post(
            f"/charges/{intent.latest_charge}/dispute", reason="credit_not_processed", amount=300
        )

        assert ("credit_not_processed", 300) == (told["reason"], told["amount"])
        assert [1000, -1000, -300] == [amount for _, amount, _ in await movements(client)]


class TestEvidence:
    async def test_it_is_reviewed(self, client: stripe.StripeClient) -> None:
        """
        What is sent in goes to the bank, which says nothing for now.
        """
        dispute = await disputed(client)

        sent = await client.v1.disputes.update_async(
            dispute.id, {"evidence": {"customer_name": "Ada", "product_description": "a kettle"}}
        )

        assert ("under_review", 1) == (sent.status, sent.evidence_details.submission_count)
        assert ("Ada", None) == (sent.evidence.customer_name, sent.evidence.receipt)
        assert sent.evidence_details.has_evidence
        event = (await client.v1.events.list_async({"limit": 1})).data[0]
        assert "charge.dispute.updated" == event.type
        assert "needs_response" == event.data["previous_attributes"]["status"]

    async def test_a_draft_is_kept(self, client: stripe.StripeClient) -> None:
        """
        With `submit=false` the bank does not see it yet; sent is then what was kept.
        """
        dispute = await disputed(client)

        draft = await client.v1.disputes.update_async(
            dispute.id, {"evidence": {"customer_name": "Ada"}, "submit": False}
        )
        sent = await client.v1.disputes.update_async(dispute.id, {"submit": True})

        assert ["needs_response", "under_review"] == [draft.status, sent.status]
        assert ("Ada", 1) == (sent.evidence.customer_name, sent.evidence_details.submission_count)

    async def test_nothing_is_not_sent(self, client: stripe.StripeClient) -> None:
        """
        There must be something to read.
        """
        dispute = await disputed(client)

        with pytest.raises(stripe.InvalidRequestError, match="no evidence"):
            await client.v1.disputes.update_async(dispute.id, {"submit": True})

    async def test_notes_of_ones_own_send_nothing(self, client: stripe.StripeClient) -> None:
        """
        Metadata is not the bank's.
        """
        dispute = await disputed(client)

        noted = await client.v1.disputes.update_async(dispute.id, {"metadata": {"case": "7"}})

        assert ("needs_response", {"case": "7"}) == (noted.status, noted.metadata.to_dict())

    async def test_a_file_must_be_there(self, client: stripe.StripeClient) -> None:
        """
        A document is named by its id, and has to be uploaded before.
        """
        dispute = await disputed(client)

        with pytest.raises(stripe.InvalidRequestError) as refused:
            await client.v1.disputes.update_async(dispute.id, {"evidence": {"receipt": "file_1"}})

        assert ("resource_missing", "evidence[receipt]") == (
            refused.value.code,
            refused.value.param,
        )


class TestDecision:
    async def test_won(self, client: stripe.StripeClient, control: Control) -> None:
        """
        The money comes back, the fee does not, and the charge can be refunded again.
        """
        dispute = await disputed(client)

        await answered(client, dispute, "winning_evidence")
        await control.flush()

        won = await client.v1.disputes.retrieve_async(dispute.id)
        assert ("won", [-1000, 1000]) == (
            won.status,
            [it.amount for it in won.balance_transactions],
        )
        assert ("dispute_reversal", 1000, 0) == (await movements(client))[-1]
        assert [
            "charge.dispute.updated",
            "charge.updated",
            "charge.dispute.funds_reinstated",
            "charge.dispute.closed",
        ] == (await event_types(client))[-4:]
        assert 1000 == (await refund(client, str(dispute.payment_intent), 1000)).amount

    async def test_lost(self, client: stripe.StripeClient, control: Control) -> None:
        """
        The money stays where it is, for good: nothing more can be said.
        """
        dispute = await disputed(client)

        await answered(client, dispute, "losing_evidence")
        await control.flush()

        lost = await client.v1.disputes.retrieve_async(dispute.id)
        assert ("lost", 1) == (lost.status, len(lost.balance_transactions))
        assert "charge.dispute.closed" == (await event_types(client))[-1]
        with pytest.raises(stripe.InvalidRequestError, match="already closed"):
            await answered(client, dispute, "winning_evidence")
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await refund(client, str(dispute.payment_intent), 1)
        assert "charge_disputed" == refused.value.code

    async def test_accepted(self, client: stripe.StripeClient, control: Control) -> None:
        """
        Who closes a dispute has lost it, whatever was under review.
        """
        dispute = await disputed(client)
        await answered(client, dispute, "winning_evidence")

        closed = await client.v1.disputes.close_async(dispute.id)
        await control.flush()

        assert "lost" == closed.status
        assert "lost" == (await client.v1.disputes.retrieve_async(dispute.id)).status
        with pytest.raises(stripe.InvalidRequestError, match="already closed"):
            await client.v1.disputes.close_async(dispute.id)


class TestInquiry:
    async def test_no_money_moves(self, client: stripe.StripeClient) -> None:
        """
        The bank only asks, and the charge is the seller's to refund.
        """
        dispute = await disputed(client, INQUIRY)

        refunded = await refund(client, str(dispute.payment_intent), 400)

        assert ("warning_needs_response", True, []) == (
            dispute.status,
            dispute.is_charge_refundable,
            dispute.balance_transactions,
        )
        assert "succeeded" == refunded.status

    @pytest.mark.parametrize("words", ["winning_evidence", "losing_evidence"])
    async def test_it_is_closed(
        self, client: stripe.StripeClient, control: Control, words: str
    ) -> None:
        """
        Nothing was taken, so nothing comes back.
        """
        dispute = await disputed(client, INQUIRY)

        await answered(client, dispute, words)
        under_review = await client.v1.disputes.retrieve_async(dispute.id)
        await control.flush()

        closed = await client.v1.disputes.retrieve_async(dispute.id)
        assert ["warning_under_review", "warning_closed"] == [under_review.status, closed.status]
        assert [("charge", 1000, 59)] == await movements(client)

    async def test_it_becomes_a_chargeback(
        self, client: stripe.StripeClient, control: Control
    ) -> None:
        """
        Then the money goes, as far as it was not refunded, and an answer is due anew.
        """
        dispute = await disputed(client, INQUIRY)
        await refund(client, str(dispute.payment_intent), 400)

        await answered(client, dispute, "escalate_inquiry_evidence")
        await control.flush()

        now = await client.v1.disputes.retrieve_async(dispute.id)
        assert ("needs_response", False) == (now.status, now.is_charge_refundable)
        assert ("dispute", -600, 1500) == (await movements(client))[-1]
        assert ["charge.dispute.updated", "charge.dispute.funds_withdrawn"] == (
            await event_types(client)
        )[-2:]

    async def test_what_was_refunded_is_not_taken_again(
        self, client: stripe.StripeClient, control: Control
    ) -> None:
        """
        Who has given all of it back loses no more.
        """
        dispute = await disputed(client, INQUIRY)
        await refund(client, str(dispute.payment_intent), 1000)

        await answered(client, dispute, "escalate_inquiry_evidence")
        await control.flush()

        now = await client.v1.disputes.retrieve_async(dispute.id)
        assert ("needs_response", []) == (now.status, now.balance_transactions)


class TestDeadline:
    async def test_who_says_nothing_has_lost(self, state: Path) -> None:
        """
        Nine days; an inquiry is closed then. What was answered in time waits for the bank.
        """
        now = datetime.now(UTC)
        app = create_app(settings(simulator_state=state), clock=lambda: now)
        async with (
            served(lambda _url: app) as url,
            gateway(url) as client,
            httpx.AsyncClient(base_url=url) as http,
        ):
            silent, asked, told = [await disputed(client, card) for card in (FRAUD, INQUIRY, FRAUD)]
            await answered(client, told, "it was delivered")

            now += timedelta(days=9) - timedelta(seconds=5)
            await Control(http).flush()
            before = await self._statuses(client, silent, asked, told)
            now += timedelta(seconds=6)
            await Control(http).flush()
            after = await self._statuses(client, silent, asked, told)

        assert ["needs_response", "warning_needs_response", "under_review"] == before
        assert ["lost", "warning_closed", "under_review"] == after

    async def test_an_inquiry_that_became_more_is_due_anew(self, state: Path) -> None:
        """
        The first deadline is nobody's any more.
        """
        now = datetime.now(UTC)
        app = create_app(settings(simulator_state=state), clock=lambda: now)
        async with (
            served(lambda _url: app) as url,
            gateway(url) as client,
            httpx.AsyncClient(base_url=url) as http,
        ):
            dispute = await disputed(client, INQUIRY)
            now += timedelta(days=5)
            await answered(client, dispute, "escalate_inquiry_evidence")
            await Control(http).flush()

            now += timedelta(days=5)
            await Control(http).flush()
            before = await self._statuses(client, dispute)
            now += timedelta(days=5)
            await Control(http).flush()
            after = await self._statuses(client, dispute)

        assert (["needs_response"], ["lost"]) == (before, after)

    async def _statuses(self, client: stripe.StripeClient, *those: stripe.Dispute) -> list[str]:
        return [(await client.v1.disputes.retrieve_async(it.id)).status for it in those]


class TestBank:
    async def test_it_decides_about_words_of_ones_own(
        self, client: stripe.StripeClient, control: Control
    ) -> None:
        """
        Weeks later, and not before there is something to read.
        """
        dispute = await disputed(client)
        await answered(client, dispute, "delivered, and signed for")
        await control.flush()
        before = await client.v1.disputes.retrieve_async(dispute.id)

        told = await control.post(f"/disputes/{dispute.id}/decide", by="winning_evidence")

        assert ["under_review", "won"] == [before.status, told["status"]]

    async def test_it_decides_once(
        self, client: stripe.StripeClient, http: httpx.AsyncClient
    ) -> None:
        """
        What nobody has answered, or is decided, is not decided.
        """
        dispute = await disputed(client)
        path, by = f"/_control/disputes/{dispute.id}/decide", {"by": "losing_evidence"}

        unanswered = await http.post(path, json=by)
        await answered(client, dispute, "delivered")
        answers = [await http.post(path, json=by) for _ in range(2)]

        assert [409, 200, 409] == [answer.status_code for answer in (unanswered, *answers)]

    async def test_it_takes_no_money_twice(
        self, client: stripe.StripeClient, http: httpx.AsyncClient
    ) -> None:
        """
        Of one charge there may be several disputes, in all of what was captured.
        """
        intent = await pay(client, "pm_card_visa", amount=1000)
        path = f"/_control/charges/{intent.latest_charge}/dispute"

        answers = [await http.post(path, json={"amount": 600}) for _ in range(2)]
        rest = await http.post(path, json={})
        nothing = await http.post(path, json={})

        assert [201, 409, 201, 409] == [it.status_code for it in (*answers, rest, nothing)]
        assert 400 == rest.json()["amount"]

    async def test_an_inquiry_of_nothing_reinstates_nothing(
        self, client: stripe.StripeClient, control: Control
    ) -> None:
        """
        What was refunded was never withdrawn: nothing comes back.
        """
        dispute = await disputed(client, INQUIRY)
        await refund(client, str(dispute.payment_intent), 1000)
        await answered(client, dispute, "escalate_inquiry_evidence")
        await control.flush()

        await answered(client, dispute, "winning_evidence")
        await control.flush()

        won = await client.v1.disputes.retrieve_async(dispute.id)
        assert ("won", []) == (won.status, won.balance_transactions)
        assert "charge.dispute.funds_reinstated" not in await event_types(client)


class TestLists:
    async def test_by_charge_and_by_intent(self, client: stripe.StripeClient) -> None:
        """
        Each is found by what was disputed, and nothing else is.
        """
        first, second = await disputed(client), await disputed(client, INQUIRY)

        everything = await client.v1.disputes.list_async()
        by_charge = await client.v1.disputes.list_async({"charge": str(first.charge)})
        whole = await client.v1.disputes.list_async(
            {"payment_intent": str(second.payment_intent), "expand": ["data.charge"]}
        )

        assert [second.id, first.id] == [it.id for it in everything.data]
        assert [first.id] == [it.id for it in by_charge.data]
        [it] = whole.data
        assert isinstance(it.charge, stripe.Charge)

    async def test_nobody_s(self, client: stripe.StripeClient) -> None:
        """
        One that there is not is 404.
        """
        with pytest.raises(stripe.InvalidRequestError) as missing:
            await client.v1.disputes.retrieve_async("du_nothing")

        assert "resource_missing" == missing.value.code


class TestControl:
    async def test_more_than_was_taken_is_not_disputed(
        self, client: stripe.StripeClient, http: httpx.AsyncClient
    ) -> None:
        """
        Neither a hold, nor more than its payment.
        """
        held = await pay(client, "pm_card_visa", amount=1000, capture_method="manual")
        paid = await pay(client, "pm_card_visa", amount=1000)

        answers = [
            await http.post(f"/_control/charges/{intent.latest_charge}/dispute", json=body)
            for intent, body in ((held, {}), (paid, {"amount": 1001}), (paid, {"amount": 1000}))
        ]

        assert [409, 409, 201] == [answer.status_code for answer in answers]

    async def test_paypal(self, client: stripe.StripeClient, control: Control) -> None:
        """
        What has no card is disputed, too.
        """
        intent = await client.v1.payment_intents.create_async(
            {
                "amount": 1000,
                "currency": "eur",
                "confirm": True,
                "return_url": "https://shop.example/return",
                "payment_method_data": {"type": "paypal"},
            }
        )
        await control.act(intent.id, "authorize")
        paid = await client.v1.payment_intents.retrieve_async(intent.id)

        told = await control.post(f"/charges/{paid.latest_charge}/dispute")
        found = await client.v1.disputes.retrieve_async(told["id"])

        assert found.payment_method_details is not None
        assert "paypal" == found.payment_method_details.type

    async def test_an_inquiry_of_any_card(
        self, client: stripe.StripeClient, control: Control
    ) -> None:
        """
        What the test cards do on their own, any other does when told to.
        """
        intent = await pay(client, "pm_card_mastercard")

        told = await control.post(f"/charges/{intent.latest_charge}/dispute", inquiry=True)

        assert ("warning_needs_response", "mastercard") == (
            told["status"],
            told["payment_method_details"]["card"]["brand"],
        )
