"""What we ask of the gateway, over real HTTP against the simulator."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
import stripe
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.errors import Trouble
from activities.stripe_calls import StripeCalls
from activities.stripe_orders import (
    CaptureOrder,
    CloseOrder,
    ConfirmOrder,
    IntentOrder,
    IntentSearch,
    RefundOrder,
)
from paysaga.domain.intent import CaptureMethod, Intent, IntentStatus
from paysaga.domain.money import Money
from tests.activities.told import Told
from tests.fakes import PRICE
from tests.simulated import Simulated, gateway, has_real_account

I = IntentStatus  # noqa: E741 - read beside the statuses' own names


STATE_CODE = "payment_intent_unexpected_state"
INTENT = {
    "id": "pi_1",
    "object": "payment_intent",
    "amount": 1250,
    "amount_received": 0,
    "amount_capturable": 0,
    "currency": "eur",
    "customer": "cus_1",
    "latest_charge": None,
    "last_payment_error": None,
    "next_action": None,
    "payment_method": None,
    "metadata": {},
}


class Desk:
    """The activities as a worker would run them, for one payment."""

    def __init__(self, simulated: Simulated) -> None:
        self.calls = StripeCalls(simulated.client)
        self.payment_id = f"pay_{uuid4().hex}"

    async def intent(
        self,
        money: Money = PRICE,
        *,
        generation: int = 0,
        customer_generation: int = 0,
        customer: str | None = None,
        capture_method: CaptureMethod = CaptureMethod.AUTOMATIC,
    ) -> Intent:
        order = IntentOrder(
            payment_id=self.payment_id,
            order_id="order-1",
            customer_id=f"cst_{self.payment_id}",
            gateway_customer_id=customer,
            money=money,
            description="One test product",
            environment="test",
            correlation_id="c",
            ordered_at=datetime.now(UTC),
            generation=generation,
            customer_generation=customer_generation,
            capture_method=capture_method,
        )
        return await ActivityEnvironment().run(self.calls.create_intent, order)

    async def confirm(
        self,
        intent: Intent,
        method: str = "pm_card_visa",
        *,
        attempt: int = 1,
        generation: int = 0,
        is_repeat: bool = False,
    ) -> Intent:
        order = ConfirmOrder(
            payment_id=self.payment_id,
            intent_id=intent.id,
            attempt=attempt,
            method=method,
            return_url="https://pay.example/return",
            seen_status=intent.status,
            seen_charge_id=intent.charge_id,
            is_repeat=is_repeat,
            generation=generation,
        )
        return await ActivityEnvironment().run(self.calls.confirm_intent, order)

    async def held(self) -> Intent:
        """An intent whose money is held."""
        return await self.confirm(await self.intent(capture_method=CaptureMethod.MANUAL))

    async def capture(
        self, intent: Intent, minor: int = PRICE.minor, *, generation: int = 0
    ) -> Intent:
        order = CaptureOrder(
            payment_id=self.payment_id,
            intent_id=intent.id,
            money=Money(minor=minor, currency="EUR"),
            decision=5,
            generation=generation,
        )
        return await ActivityEnvironment().run(self.calls.capture_intent, order)

    async def close(self, intent: Intent, *, generation: int = 0) -> Intent:
        order = CloseOrder(payment_id=self.payment_id, intent_id=intent.id, generation=generation)
        return await ActivityEnvironment().run(self.calls.close_intent, order)

    def refund_order(
        self,
        intent: Intent,
        *,
        generation: int = 0,
        after: tuple[str, ...] = (),
        decision: int = 0,
        money: Money | None = None,
    ) -> RefundOrder:
        return RefundOrder(
            payment_id=self.payment_id,
            intent_id=intent.id,
            money=money or intent.money,
            generation=generation,
            after=after,
            decision=decision,
        )

    async def find(self, customer: str | None, ordered_at: datetime) -> Intent | None:
        search = IntentSearch(
            payment_id=self.payment_id, gateway_customer_id=customer, ordered_at=ordered_at
        )
        found = await ActivityEnvironment().run(self.calls.find_intent, search)
        return found.intent


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def simulated(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Simulated]:
    directory: Path = tmp_path_factory.mktemp("simulator")
    async with gateway(directory) as running:
        yield running


@pytest.fixture
def desk(simulated: Simulated) -> Desk:
    return Desk(simulated)


async def _charges_of(simulated: Simulated, intent: Intent) -> list[str]:
    charges = await simulated.client.v1.charges.list_async({"payment_intent": intent.id})
    return [charge.status for charge in charges.data]


class TestCreate:
    @pytest.mark.stripe
    async def test_intent_moves_no_money(self, desk: Desk, simulated: Simulated) -> None:
        """The new intent is open, of our amount, and leads back to the payment."""
        intent = await desk.intent()

        made = await simulated.client.v1.payment_intents.retrieve_async(intent.id)
        assert (I.REQUIRES_PAYMENT_METHOD, PRICE, 0) == (
            intent.status,
            intent.money,
            intent.received,
        )
        assert desk.payment_id == made.metadata["payment_id"]
        assert intent.customer_id == made.customer

    @pytest.mark.stripe
    async def test_repeat_answers_with_the_same_intent(self, desk: Desk) -> None:
        """However often the step runs, the payment has one intent."""
        assert (await desk.intent()).id == (await desk.intent()).id

    @pytest.mark.stripe
    async def test_customer_deleted_at_the_gateway_may_pay_again(
        self, desk: Desk, simulated: Simulated
    ) -> None:
        """The customer that we remember is gone: they get a new one and their intent."""
        gone = await simulated.client.v1.customers.create_async({})
        await simulated.client.v1.customers.delete_async(gone.id)

        intent = await desk.intent(customer=gone.id)
        again = await desk.intent(customer=gone.id)

        assert intent == again
        assert intent.customer_id not in {None, gone.id}

    async def test_lost_reply_leaves_one_intent(self, desk: Desk, simulated: Simulated) -> None:
        """The intent was made and the answer lost: the repeat finds it under the same key."""
        await simulated.arm("payment_intents.create", "effect_reply_lost")

        with pytest.raises(ApplicationError) as lost:
            await desk.intent()
        intent = await desk.intent()

        listed = await simulated.client.v1.payment_intents.list_async(
            {"customer": intent.customer_id or ""}
        )
        assert Trouble.UNREACHABLE == lost.value.type
        assert [intent.id] == [made.id for made in listed.data]

    async def test_a_customers_spent_key_does_not_spend_the_intents(
        self, desk: Desk, simulated: Simulated
    ) -> None:
        """The intent was never asked for: its key stays, and no new one needs a proof."""
        await simulated.arm("customers.create", "sticky_500", effect=True)

        with pytest.raises(ApplicationError) as sticky:
            await desk.intent()
        await desk.intent(customer_generation=1)

        keys = [
            entry["idempotency_key"]
            for entry in await simulated.journal()
            if entry["kind"] == "request" and desk.payment_id in (entry["idempotency_key"] or "")
        ]
        customer = f"test:cst_{desk.payment_id}:customer"
        assert (Trouble.STICKY_CUSTOMER, True) == (sticky.value.type, sticky.value.non_retryable)
        assert [customer, f"{customer}:1", f"{desk.payment_id}:intent"] == list(dict.fromkeys(keys))

    @pytest.mark.parametrize("kind", ["effect_reply_lost", "refuse_before"])
    async def test_a_lost_intent_and_a_spent_customers_key(
        self, desk: Desk, simulated: Simulated, kind: str
    ) -> None:
        """Nobody knows of the intent, and its customer cannot be had again: still there is one."""
        await simulated.arm("payment_intents.create", kind)
        with pytest.raises(ApplicationError):
            await desk.intent()
        await simulated.arm("customers.create", "refuse_before", status=503)
        with pytest.raises(ApplicationError):
            await desk.intent()

        told = await asyncio.gather(desk.intent(customer_generation=1), return_exceptions=True)
        again = await desk.intent(customer_generation=1, generation=1)

        made = [
            found.id
            for found in (await simulated.client.v1.payment_intents.list_async()).data
            if found.metadata["payment_id"] == desk.payment_id
        ]
        assert [again.id] == made
        # The intent that was made is of the customer of before: its key refuses another.
        failed = isinstance(told[0], ApplicationError) and told[0].type == Trouble.STICKY
        assert failed == (kind == "effect_reply_lost")

    async def test_sticky_error_with_effect_is_found_by_its_metadata(
        self, desk: Desk, simulated: Simulated
    ) -> None:
        """A 500 that made the intent all the same: the next generation finds it."""
        await simulated.arm("payment_intents.create", "sticky_500", effect=True)

        with pytest.raises(ApplicationError) as sticky:
            await desk.intent()
        intent = await desk.intent(generation=1)

        assert (Trouble.STICKY, True) == (sticky.value.type, sticky.value.non_retryable)
        made = [
            found.id
            for found in (await simulated.client.v1.payment_intents.list_async()).data
            if found.metadata["payment_id"] == desk.payment_id
        ]
        assert [intent.id] == made

    @pytest.mark.parametrize(
        ("money", "gateway_amount"),
        [
            (Money(minor=1000, currency="JPY"), 1000),
            (Money(minor=12340, currency="KWD"), 12340),
            (Money(minor=999, currency="ISK"), 99900),
        ],
    )
    async def test_amounts_are_in_the_gateways_units(
        self, desk: Desk, simulated: Simulated, money: Money, gateway_amount: int
    ) -> None:
        """Currencies without and with three decimals arrive as the gateway counts them."""
        intent = await desk.intent(money)

        made = await simulated.client.v1.payment_intents.retrieve_async(intent.id)
        assert gateway_amount == made.amount
        assert money == intent.money


class TestConfirm:
    @pytest.mark.stripe
    async def test_good_card_is_charged(self, desk: Desk) -> None:
        """The answer holds the charge, the sum received and what may be shown of the card."""
        paid = await desk.confirm(await desk.intent())

        assert (I.SUCCEEDED, PRICE.minor) == (paid.status, paid.received)
        assert paid.charge_id is not None
        assert paid.method is not None
        assert ("card", "visa", "4242", "credit") == (
            paid.method.kind,
            paid.method.brand,
            paid.method.last4,
            paid.method.funding,
        )
        assert (None, 12) == (paid.method.wallet, paid.method.exp_month)
        assert paid.method.exp_year is not None
        assert paid.method.fingerprint is not None

    @pytest.mark.stripe
    @pytest.mark.parametrize(
        ("token", "brand", "funding"),
        [
            ("pm_card_visa_debit", "visa", "debit"),
            ("pm_card_mastercard_prepaid", "mastercard", "prepaid"),
        ],
    )
    async def test_debit_and_prepaid_are_told(
        self, desk: Desk, token: str, brand: str, funding: str
    ) -> None:
        """Whose money it is that the card moves: a merchant may care."""
        paid = await desk.confirm(await desk.intent(), token)

        assert paid.method is not None
        assert (brand, funding) == (paid.method.brand, paid.method.funding)

    @pytest.mark.parametrize("wallet", ["apple_pay", "google_pay"])
    async def test_a_wallet_is_told(self, desk: Desk, simulated: Simulated, wallet: str) -> None:
        """A card that a phone gave is a card, and says from which wallet it is."""
        token = await simulated.from_wallet(wallet)

        paid = await desk.confirm(await desk.intent(), token)

        assert paid.method is not None
        assert ("card", wallet, "4242") == (
            paid.method.kind,
            paid.method.wallet,
            paid.method.last4,
        )

    @pytest.mark.stripe
    async def test_decline_is_an_answer(self, desk: Desk) -> None:
        """A declined card is told with its code; nothing is raised."""
        declined = await desk.confirm(
            await desk.intent(), "pm_card_visa_chargeDeclinedInsufficientFunds"
        )

        assert I.REQUIRES_PAYMENT_METHOD is declined.status
        assert declined.decline is not None
        assert "insufficient_funds" == declined.decline.code
        assert declined.method is not None
        assert "9995" == declined.method.last4

    async def test_authentication_comes_with_an_address(
        self, desk: Desk, simulated: Simulated
    ) -> None:
        """3DS asks for the customer at the gateway's page, and succeeds after it."""
        intent = await desk.confirm(await desk.intent(), "pm_card_authenticationRequired")

        await simulated.authenticate(intent.id, "authorize")
        after = await ActivityEnvironment().run(desk.calls.retrieve_intent, intent.id)

        assert I.REQUIRES_ACTION is intent.status
        assert (intent.action_url or "").startswith(simulated.url)
        assert I.SUCCEEDED is after.status

    @pytest.mark.stripe
    @pytest.mark.parametrize("method", ["pm_nobody_knows_this", "cus_not_a_method"])
    async def test_unknown_method_is_the_customers_to_change(self, desk: Desk, method: str) -> None:
        """A token that the gateway does not know is told like a decline."""
        answer = await desk.confirm(await desk.intent(), method)

        assert answer.decline is not None
        assert "payment_method_invalid" == answer.decline.code

    @pytest.mark.stripe
    async def test_second_attempt_reuses_the_intent(self, desk: Desk, simulated: Simulated) -> None:
        """Another card confirms the same intent, which succeeds once."""
        first = await desk.confirm(await desk.intent(), "pm_card_visa_chargeDeclined")

        second = await desk.confirm(first, attempt=2)

        assert (first.id, I.SUCCEEDED) == (second.id, second.status)
        assert ["succeeded", "failed"] == await _charges_of(simulated, second)

    @pytest.mark.parametrize("kind", ["effect_reply_lost", "refuse_before"])
    async def test_lost_call_charges_once(
        self, desk: Desk, simulated: Simulated, kind: str
    ) -> None:
        """Whether or not the lost call took the money, after the repeat it is taken once."""
        intent = await desk.intent()
        await simulated.arm("payment_intents.confirm", kind)

        with pytest.raises(ApplicationError) as lost:
            await desk.confirm(intent)
        paid = await desk.confirm(intent, is_repeat=True)

        assert Trouble.UNREACHABLE == lost.value.type
        assert I.SUCCEEDED is paid.status
        assert ["succeeded"] == await _charges_of(simulated, intent)

    async def test_late_reply_charges_once(self, desk: Desk, simulated: Simulated) -> None:
        """An answer after our time-out is an unknown outcome, settled by looking."""
        intent = await desk.intent()
        await simulated.arm("payment_intents.confirm", "effect_reply_late", seconds=3)

        with pytest.raises(ApplicationError):
            await desk.confirm(intent)
        paid = await desk.confirm(intent, is_repeat=True)

        assert I.SUCCEEDED is paid.status
        assert ["succeeded"] == await _charges_of(simulated, intent)

    @pytest.mark.parametrize("effect", [True, False])
    async def test_sticky_error_charges_once(
        self,
        desk: Desk,
        simulated: Simulated,
        effect: bool,  # noqa: FBT001 - the case
    ) -> None:
        """A remembered 500, with or without effect: one charge, under at most one new key."""
        intent = await desk.intent()
        await simulated.arm("payment_intents.confirm", "sticky_500", effect=effect)

        with pytest.raises(ApplicationError) as sticky:
            await desk.confirm(intent)
        paid = await desk.confirm(intent, is_repeat=True, generation=1)

        assert Trouble.STICKY == sticky.value.type
        assert I.SUCCEEDED is paid.status
        assert ["succeeded"] == await _charges_of(simulated, intent)

    async def test_lost_decline_is_found(self, desk: Desk, simulated: Simulated) -> None:
        """The answer to a decline was lost: the look finds it and asks for no second charge."""
        intent = await desk.intent()
        await simulated.arm("payment_intents.confirm", "effect_reply_lost")

        with pytest.raises(ApplicationError):
            await desk.confirm(intent, "pm_card_visa_chargeDeclined")
        declined = await desk.confirm(intent, "pm_card_visa_chargeDeclined", is_repeat=True)

        assert declined.decline is not None
        assert ["failed"] == await _charges_of(simulated, intent)

    @pytest.mark.parametrize("outcome", ["authorize", "fail"])
    async def test_paypal_asks_its_customer(
        self, desk: Desk, simulated: Simulated, outcome: str
    ) -> None:
        """The customer is sent to PayPal's page; what they do there is what the intent shows."""
        opened = await desk.confirm(await desk.intent(), await simulated.paypal())
        await simulated.authenticate(opened.id, outcome)

        after = await ActivityEnvironment().run(desk.calls.retrieve_intent, opened.id)

        assert (I.REQUIRES_ACTION, True) == (opened.status, "/paypal/" in (opened.action_url or ""))
        assert after.method is not None
        assert ("paypal", None) == (after.method.kind, after.method.last4)
        if outcome == "authorize":
            assert (I.SUCCEEDED, PRICE.minor) == (after.status, after.received)
        else:
            assert after.decline is not None
            assert "payment_method_customer_decline" == after.decline.code

    async def test_rate_limit_tells_when_to_come_back(
        self, desk: Desk, simulated: Simulated
    ) -> None:
        """429 with Retry-After: Temporal is told to wait just so long."""
        intent = await desk.intent()
        await simulated.arm("payment_intents.confirm", "rate_limit", retry_after=7)

        with pytest.raises(ApplicationError) as limited:
            await desk.confirm(intent)

        assert Trouble.LATER == limited.value.type
        assert limited.value.next_retry_delay is not None
        assert 7 == limited.value.next_retry_delay.total_seconds()

    async def test_equal_call_under_way_is_waited_for(
        self, desk: Desk, simulated: Simulated
    ) -> None:
        """409: the same key is in use; it is asked again, never replaced."""
        intent = await desk.intent()
        await simulated.arm("payment_intents.confirm", "key_in_use")

        with pytest.raises(ApplicationError) as busy:
            await desk.confirm(intent)

        assert (Trouble.LATER, False) == (busy.value.type, busy.value.non_retryable)

    async def test_key_with_other_parameters_proves_nothing(
        self, desk: Desk, simulated: Simulated
    ) -> None:
        """The gateway knows the key with other parameters: what that call did must be seen."""
        intent = await desk.intent()
        await simulated.arm("payment_intents.confirm", "parameter_mismatch")

        with pytest.raises(ApplicationError) as refused:
            await desk.confirm(intent)

        assert (Trouble.STICKY, True) == (refused.value.type, refused.value.non_retryable)


class TestAttemptAfterAttempt:
    async def test_late_end_of_the_last_attempt_is_not_this_ones(
        self, desk: Desk, simulated: Simulated
    ) -> None:
        """Whatever came of the old 3DS: the new card is tried, and its own outcome told."""
        method = "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds"
        first = await desk.confirm(await desk.intent(), method)
        await simulated.authenticate(first.id, "authorize")  # declined late, and not yet seen
        await simulated.arm("payment_intents.confirm", "refuse_before")
        with pytest.raises(ApplicationError) as lost:
            await desk.confirm(first, "pm_card_visa", attempt=2)

        second = await desk.confirm(first, "pm_card_visa", attempt=2, is_repeat=True)

        assert Trouble.UNREACHABLE == lost.value.type
        assert I.SUCCEEDED is second.status
        assert ["succeeded", "failed"] == await _charges_of(simulated, first)

    async def test_repeat_tells_what_the_intent_is_now(
        self, desk: Desk, simulated: Simulated
    ) -> None:
        """The same key's answer is as old as the first try; the customer may have gone on."""
        opened = await desk.intent()
        asked = await desk.confirm(opened, "pm_card_authenticationRequired")
        await simulated.authenticate(asked.id, "authorize")

        again = await desk.confirm(opened, "pm_card_authenticationRequired", is_repeat=True)

        assert (I.REQUIRES_ACTION, I.SUCCEEDED) == (asked.status, again.status)

    async def test_page_for_the_customer_is_an_effect(
        self, desk: Desk, simulated: Simulated
    ) -> None:
        """A 500 that asks the customer all the same: no second key is sent."""
        opened = await desk.intent()
        await simulated.arm("payment_intents.confirm", "sticky_500", effect=True)
        with pytest.raises(ApplicationError):
            await desk.confirm(opened, "pm_card_authenticationRequired")

        found = await desk.confirm(
            opened, "pm_card_authenticationRequired", is_repeat=True, generation=1
        )

        path = f"/v1/payment_intents/{opened.id}/confirm"
        sent = [entry for entry in await simulated.journal() if entry.get("path") == path]
        assert I.REQUIRES_ACTION is found.status
        assert 1 == len({entry["idempotency_key"] for entry in sent if entry["kind"] == "request"})


class TestCapture:
    @pytest.mark.stripe
    async def test_a_hold_says_how_much_and_until_when(self, desk: Desk) -> None:
        """Nothing is received yet; a card's hold ends about a week later."""
        held = await desk.held()

        assert (I.REQUIRES_CAPTURE, PRICE.minor, 0) == (
            held.status,
            held.capturable,
            held.received,
        )
        assert held.capture_before is not None
        assert timedelta(days=4) < held.capture_before - datetime.now(UTC) < timedelta(days=32)

    async def test_paypal_does_not_say_until_when(self, desk: Desk, simulated: Simulated) -> None:
        """It is held all the same, and known since when."""
        opened = await desk.intent(capture_method=CaptureMethod.MANUAL)
        await desk.confirm(opened, await simulated.paypal())
        await simulated.authenticate(opened.id, "authorize")

        held = await ActivityEnvironment().run(desk.calls.retrieve_intent, opened.id)

        assert (I.REQUIRES_CAPTURE, PRICE.minor) == (held.status, held.capturable)
        assert (None, True) == (held.capture_before, held.charged_at is not None)

    @pytest.mark.stripe
    @pytest.mark.parametrize("minor", [PRICE.minor, 500])
    async def test_all_or_a_part_is_taken(self, desk: Desk, minor: int) -> None:
        """What was asked for is received, and nothing is held any more."""
        captured = await desk.capture(await desk.held(), minor)

        assert (I.SUCCEEDED, minor, 0) == (
            captured.status,
            captured.received,
            captured.capturable,
        )

    @pytest.mark.stripe
    async def test_a_second_capture_takes_nothing(self, desk: Desk) -> None:
        """A hold is captured once, whatever the second asks for."""
        held = await desk.held()
        first = await desk.capture(held, 500)

        assert first == await desk.capture(held, 700, generation=1)

    @pytest.mark.stripe
    async def test_what_was_let_go_is_not_taken(self, desk: Desk) -> None:
        """A canceled hold is answered as it is."""
        held = await desk.held()
        await desk.close(held)

        assert I.CANCELED is (await desk.capture(held)).status

    @pytest.mark.parametrize(
        ("kind", "type_"),
        [
            ("effect_reply_lost", Trouble.UNREACHABLE),
            ("refuse_before", Trouble.UNREACHABLE),
            ("sticky_500", Trouble.STICKY),
            ("key_in_use", Trouble.LATER),
        ],
    )
    async def test_a_lost_capture_is_taken_once(
        self, desk: Desk, simulated: Simulated, kind: str, type_: Trouble
    ) -> None:
        """Whatever became of the first call, the next one knows or does it."""
        held = await desk.held()
        await simulated.arm("payment_intents.capture", kind)
        with pytest.raises(ApplicationError) as lost:
            await desk.capture(held, 500)

        again = await desk.capture(held, 500, generation=int(type_ is Trouble.STICKY))

        taken = [entry for entry in await simulated.charged() if entry["amount"] == 500]
        mine = [entry for entry in taken if entry["payment_intent"] == held.id]
        assert type_ == lost.value.type
        assert (I.SUCCEEDED, 500, 1) == (again.status, again.received, len(mine))

    async def test_a_hold_that_ends_between_look_and_capture(self) -> None:
        """The gateway refuses the capture for the intent's state: a look tells which."""
        held = {**INTENT, "status": "requires_capture", "amount_capturable": 1250}
        refusal = {"error": {"type": "invalid_request_error", "code": STATE_CODE, "message": ""}}
        told = Told((200, held), (400, refusal), (200, {**INTENT, "status": "canceled"}))
        calls = StripeCalls(stripe.StripeClient("sk_test_1", http_client=told))

        seen = await calls.capture_intent(
            CaptureOrder(payment_id="pay_1", intent_id="pi_1", money=PRICE, decision=1)
        )

        assert I.CANCELED is seen.status

    async def test_a_refused_capture_is_refused(self) -> None:
        """Any other refusal changes nothing at the gateway, and is told as one."""
        held = {**INTENT, "status": "requires_capture", "amount_capturable": 1250}
        refusal = {"error": {"type": "invalid_request_error", "code": "amount_too_large"}}
        told = Told((200, held), (400, refusal))
        calls = StripeCalls(stripe.StripeClient("sk_test_1", http_client=told))

        with pytest.raises(ApplicationError) as refused:
            await calls.capture_intent(
                CaptureOrder(payment_id="pay_1", intent_id="pi_1", money=PRICE, decision=1)
            )

        assert Trouble.REFUSED == refused.value.type


class TestClose:
    @pytest.mark.stripe
    async def test_open_intent_is_canceled(self, desk: Desk) -> None:
        """What a look shows afterwards is the proof."""
        closed = await desk.close(await desk.intent())

        assert I.CANCELED is closed.status

    @pytest.mark.stripe
    async def test_taken_money_stays_taken(self, desk: Desk) -> None:
        """An intent that succeeded is answered as it is."""
        paid = await desk.confirm(await desk.intent())

        closed = await desk.close(paid)

        assert (I.SUCCEEDED, PRICE.minor) == (closed.status, closed.received)

    @pytest.mark.stripe
    async def test_refused_cancel_of_an_open_intent_is_no_proof(self) -> None:
        """It could not be canceled for a moment: it is told as open, and asked with a new key."""
        open_intent = {**INTENT, "status": "requires_action"}
        refusal = {"error": {"type": "invalid_request_error", "code": STATE_CODE, "message": ""}}
        told = Told((200, open_intent), (400, refusal), (200, open_intent))
        calls = StripeCalls(stripe.StripeClient("sk_test_1", http_client=told))

        closed = await calls.close_intent(CloseOrder(payment_id="pay_1", intent_id="pi_1"))

        assert I.REQUIRES_ACTION is closed.status
        assert ["get", "post", "get"] == told.asked

    async def test_second_close_is_as_good(self, desk: Desk) -> None:
        """A canceled intent counts as canceled."""
        intent = await desk.intent()
        await desk.close(intent)

        assert I.CANCELED is (await desk.close(intent)).status

    async def test_lost_cancel_is_proved_by_the_repeat(
        self, desk: Desk, simulated: Simulated
    ) -> None:
        """The cancel's answer is lost; the repeat sees that it happened."""
        intent = await desk.intent()
        await simulated.arm("payment_intents.cancel", "effect_reply_lost")

        with pytest.raises(ApplicationError):
            await desk.close(intent)

        assert I.CANCELED is (await desk.close(intent)).status


class TestRefund:
    async def test_money_goes_back_once(self, desk: Desk, simulated: Simulated) -> None:
        """Repeats and lost answers: the customer gets the money back once."""
        paid = await desk.confirm(await desk.intent())
        await simulated.arm("refunds.create", "effect_reply_lost")
        order = desk.refund_order(paid)

        with pytest.raises(ApplicationError):
            await ActivityEnvironment().run(desk.calls.refund_intent, order)
        refund = await ActivityEnvironment().run(desk.calls.refund_intent, order)
        again = await ActivityEnvironment().run(
            desk.calls.refund_intent, desk.refund_order(paid, generation=1)
        )

        assert "succeeded" == refund.status
        assert refund == again
        refunds = await simulated.client.v1.refunds.list_async({"payment_intent": paid.id})
        assert [PRICE.minor] == [made.amount for made in refunds.data]

    @pytest.mark.stripe
    async def test_refund_made_by_hand_counts(self, desk: Desk, simulated: Simulated) -> None:
        """Somebody refunded in the dashboard: nothing is given back a second time."""
        paid = await desk.confirm(await desk.intent())
        by_hand = await simulated.client.v1.refunds.create_async({"payment_intent": paid.id})

        refund = await ActivityEnvironment().run(desk.calls.refund_intent, desk.refund_order(paid))

        assert (by_hand.id, "succeeded") == (refund.id, refund.status)

    @pytest.mark.stripe
    async def test_refund_can_be_looked_at(self, desk: Desk) -> None:
        """A refund that is pending is read again by its id."""
        paid = await desk.confirm(await desk.intent(), "pm_card_pendingRefund")

        refund = await ActivityEnvironment().run(desk.calls.refund_intent, desk.refund_order(paid))
        looked = await ActivityEnvironment().run(desk.calls.retrieve_refund, refund.id)

        assert "pending" == refund.status
        assert refund.id == looked.id

    @pytest.mark.stripe
    async def test_all_refunds_are_told(self, desk: Desk, simulated: Simulated) -> None:
        """Whoever made them: what has gone back, and nothing of other payments."""
        paid = await desk.confirm(await desk.intent())
        params: stripe.params.RefundCreateParams = {"payment_intent": paid.id, "amount": 250}
        by_hand = await simulated.client.v1.refunds.create_async(params)

        refunds = await ActivityEnvironment().run(desk.calls.list_refunds, paid.id)

        assert [(by_hand.id, 250)] == [(refund.id, refund.amount) for refund in refunds.refunds]
        assert (250, ()) == (refunds.given_back, refunds.lost)

    async def test_refund_after_one_that_came_to_nothing(
        self, desk: Desk, simulated: Simulated
    ) -> None:
        """It is made anew, under a key of its own, once; the lost one is not taken for it."""
        paid = await desk.confirm(await desk.intent(), "pm_card_refundFail")
        first = await ActivityEnvironment().run(desk.calls.refund_intent, desk.refund_order(paid))
        await simulated.flush()
        refunds = await ActivityEnvironment().run(desk.calls.list_refunds, paid.id)

        order = desk.refund_order(paid, after=refunds.lost, decision=5)
        again = [await ActivityEnvironment().run(desk.calls.refund_intent, order) for _ in range(2)]

        assert (first.id,) == refunds.lost
        assert (0, again[0].id) == (refunds.given_back, again[1].id)
        assert again[0].id != first.id

    @pytest.mark.stripe
    async def test_refund_of_the_rest_is_not_what_was_there(
        self, desk: Desk, simulated: Simulated
    ) -> None:
        """More than half was given back by hand: the rest is a refund of its own."""
        paid = await desk.confirm(await desk.intent())
        most = {"payment_intent": paid.id, "amount": PRICE.minor - 100}
        await simulated.client.v1.refunds.create_async(most)  # type: ignore[arg-type]
        seen = await ActivityEnvironment().run(desk.calls.list_refunds, paid.id)

        rest = PRICE.model_copy(update={"minor": 100})
        order = desk.refund_order(paid, after=seen.ids, decision=5, money=rest)
        made = [await ActivityEnvironment().run(desk.calls.refund_intent, order) for _ in range(2)]

        refunds = await ActivityEnvironment().run(desk.calls.list_refunds, paid.id)
        assert ("succeeded", made[0].id) == (made[0].status, made[1].id)
        assert PRICE.minor == refunds.given_back

    async def test_each_decision_makes_a_refund_of_its_own(
        self, desk: Desk, simulated: Simulated
    ) -> None:
        """One after the other fails: none is taken for the answer to the next decision."""
        paid = await desk.confirm(await desk.intent(), "pm_card_refundFail")
        made = set()
        for decision in (0, 5, 9):
            lost = (await ActivityEnvironment().run(desk.calls.list_refunds, paid.id)).lost
            order = desk.refund_order(paid, after=lost, decision=decision)
            made.add((await ActivityEnvironment().run(desk.calls.refund_intent, order)).id)
            await simulated.flush()

        assert 3 == len(made)


class TestFind:
    @pytest.mark.stripe
    async def test_intent_is_found_by_what_we_wrote_on_it(self, desk: Desk) -> None:
        """With or without the customer's id; the payment that it names is told."""
        began = datetime.now(UTC)
        made = await desk.intent()

        found = [await desk.find(customer, began) for customer in (made.customer_id, None)]

        assert [made.id] * 2 == [intent and intent.id for intent in found]
        assert desk.payment_id == (found[0] and found[0].payment_id)

    async def test_there_is_none(self, desk: Desk) -> None:
        """Other payments' intents are not taken for it."""
        began = datetime.now(UTC)
        other = await desk.intent()
        desk.payment_id = "pay_other"

        assert await desk.find(other.customer_id, began) is None


class TestLongSearch:
    def _pages(self, count: int, mark: str) -> list[tuple[int, Mapping[str, object]]]:
        """So many pages of one intent each; the last one's carries the mark."""
        intents = [INTENT | {"id": f"pi_{n}", "status": "canceled"} for n in range(count)]
        intents[-1] = intents[-1] | {"metadata": {"payment_id": mark}}
        return [
            (200, {"object": "list", "url": "/", "has_more": n < count - 1, "data": [intent]})
            for n, intent in enumerate(intents)
        ]

    def _search(self, searched_to: str | None = None, customer: str | None = None) -> IntentSearch:
        return IntentSearch(
            payment_id="pay_1",
            gateway_customer_id=customer,
            ordered_at=datetime.now(UTC),
            searched_to=searched_to,
        )

    async def test_account_with_many_intents_is_read_in_parts(self) -> None:
        """An activity reads no more than it has time for, and says how far it has come."""
        told = Told(*self._pages(12, "pay_1"))
        calls = StripeCalls(stripe.StripeClient("sk_test_1", http_client=told))

        with pytest.raises(ApplicationError) as part:
            await ActivityEnvironment().run(calls.find_intent, self._search())
        place = part.value.details[0]["searched_to"]
        found = await ActivityEnvironment().run(calls.find_intent, self._search(place))

        assert (Trouble.SEARCHING, "pi_9") == (part.value.type, place)
        assert "pi_11" == (found.intent and found.intent.id)
        assert 12 == len(told.asked)
        assert ["pi_9"] == told.began_after[10:11]

    async def test_customers_own_list_is_read_at_once(self) -> None:
        """However long it is: a customer's intents are few."""
        told = Told(*self._pages(12, "pay_other"))
        calls = StripeCalls(stripe.StripeClient("sk_test_1", http_client=told))

        found = await ActivityEnvironment().run(
            calls.find_intent, self._search("pi_9", customer="cus_1")
        )

        assert found.intent is None
        assert [None, "pi_0"] == told.began_after[:2]


class TestOurMistakes:
    @pytest.mark.stripe
    async def test_wrong_key_says_what_to_do(self, desk: Desk, simulated: Simulated) -> None:
        """A refused API key is for operations to mend: the payment waits for it."""
        http = stripe.HTTPXClient()
        desk.calls = StripeCalls(
            stripe.StripeClient(
                "sk_test_somebody_else",
                http_client=http,
                base_addresses={} if has_real_account() else {"api": simulated.url},
            )
        )

        with pytest.raises(ApplicationError) as refused:
            await desk.intent()
        await http.close_async()  # type: ignore[no-untyped-call]

        assert (Trouble.MISCONFIGURED, False) == (refused.value.type, refused.value.non_retryable)
        assert "STRIPE_SECRET_KEY" in refused.value.message
