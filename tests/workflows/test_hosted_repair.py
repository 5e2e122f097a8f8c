"""Repairs of payments on the gateway's page: no end without a proof that no page takes money."""

from collections import deque
from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest

from activities.errors import Trouble
from activities.stripe_orders import CloseOrder, RefundOrder
from paysaga.domain import transitions as rules
from paysaga.domain.checkout import (
    LIFE,
    LONGER_AT_THE_GATEWAY,
    SessionStatus,
    page_expired,
    page_opened,
)
from paysaga.domain.intent import CaptureMethod, IntentStatus
from paysaga.domain.payment import AttemptStatus, Fulfillment, PaymentStatus
from paysaga.domain.reasons import Reason
from paysaga.domain.repairs import RepairKind
from paysaga.domain.steps import WORKFLOW
from tests.fake_checkout import PAGE, FakeCheckout
from tests.fakes import NOON, PRICE, a_payment, trouble
from tests.simulator.support import until
from tests.workflows.conftest import House, World
from tests.workflows.desk import Desk, Open, repaired
from tests.workflows.stories import OTHER, Story

S = PaymentStatus
K = RepairKind
END = NOON + LIFE + LONGER_AT_THE_GATEWAY
LATER = timedelta(minutes=10)


@pytest.fixture
def opened(house: House) -> Open:
    """Start the repair of the payment that the world's records have."""
    return partial(repaired, house)


class Paying(Story):
    """A payment on the gateway's page."""

    def __init__(
        self, gateway: FakeCheckout, *, manual: bool = False, has_order: bool = False
    ) -> None:
        method = CaptureMethod.MANUAL if manual else CaptureMethod.AUTOMATIC
        super().__init__(
            a_payment(
                f"pay_{uuid4().hex}", page=PAGE, capture_method=method, has_order_service=has_order
            )
        )
        self.gateway = gateway

    def asks(self) -> "Paying":
        """The gateway has opened a page for this attempt, and our books do not know it yet."""
        self.gateway.opens(END, attempt=self.attempt.number)
        return self

    def learns(self) -> "Paying":
        self.then(*page_opened(self.state, self.gateway.session, self.attempt, NOON))
        return self

    def ends(self) -> "Paying":
        """The payment is over, canceled by its customer."""
        self.then(
            *rules.ended(
                self.state,
                self.attempt,
                S.CANCELED,
                Reason.CANCEL_REQUESTED,
                NOON,
                intent=None,
                actor=WORKFLOW,
            )
        )
        return self

    def parked(self) -> "Paying":
        self.parks()
        return self

    def world(self) -> World:
        return self.in_a_world(self.gateway)


def on_the_page(*, manual: bool = False, has_order: bool = False) -> Paying:
    """The customer is on the page, and the payment's run is gone."""
    return Paying(FakeCheckout(), manual=manual, has_order=has_order).asks().learns()


async def parks(desk: Desk) -> str:
    """Wait until the payment needs a person; answers with what was found."""
    await until(lambda: desk.world.records.state.status is S.NEEDS_OPERATOR)
    return str(desk.world.records.evidence)


class TestRunLost:
    async def test_an_open_page_is_a_persons(self, opened: Open) -> None:
        """Somebody may still pay on it; what they do then counts."""
        paying = on_the_page(has_order=True)
        world = paying.world()

        async with opened(world) as desk:
            evidence = await parks(desk)
            paying.gateway.customer_does("succeeded")
            await desk.nudge()
            result = await desk.result()

        assert evidence.endswith("the gateway shows cs_1 open")
        assert (S.SUCCEEDED, "pi_1", Fulfillment.CONFIRMED) == (
            result.status,
            result.intent_id,
            result.fulfillment,
        )
        assert ["confirm"] == world.orders.calls
        [booked] = [move for change in world.records.changes for move in change.transfers]
        assert PRICE.minor == booked.amount

    async def test_a_decline_on_an_open_page_is_told(self, opened: Open) -> None:
        """Its customer may take another card: it decides nothing."""
        paying = on_the_page()
        paying.gateway.customer_does("insufficient_funds", finished=False)

        async with opened(paying.world()) as desk:
            evidence = await parks(desk)
            paying.gateway.expires()
            await desk.nudge()
            result = await desk.result()

        assert evidence.endswith("the gateway shows cs_1 open, pi_1 requires_payment_method")
        assert (S.CANCELED, Reason.CANCELED_AT_GATEWAY) == (result.status, result.reason)

    async def test_an_expired_page_ends_the_payment(self, opened: Open) -> None:
        """Nobody has paid and nobody can: the order is free."""
        paying = on_the_page(has_order=True)
        paying.gateway.expires()
        world = paying.world()

        async with opened(world) as desk:
            result = await desk.result()

        assert (S.CANCELED, Reason.CANCELED_AT_GATEWAY) == (result.status, result.reason)
        assert AttemptStatus.ABANDONED is world.records.attempts[0].status
        assert ["release"] == world.orders.calls

    async def test_a_paid_page_is_paid(self, opened: Open) -> None:
        """The money is booked once and the shop hears of it."""
        paying = on_the_page(has_order=True)
        paying.gateway.customer_does("succeeded")
        world = paying.world()

        async with opened(world) as desk:
            result = await desk.result()

        assert (S.SUCCEEDED, PRICE.minor, "ch_1") == (
            result.status,
            result.amount_captured,
            result.charge_id,
        )
        assert ["confirm"] == world.orders.calls

    async def test_a_bounced_debit_ends_the_payment(self, opened: Open) -> None:
        """The page is complete, so nobody can pay on it again."""
        paying = on_the_page()
        paying.gateway.customer_does("insufficient_funds")

        async with opened(paying.world()) as desk:
            result = await desk.result()

        assert (S.CANCELED, "pi_1") == (result.status, result.intent_id)

    @pytest.mark.parametrize(
        ("word", "status"), [("succeeded", S.SUCCEEDED), ("insufficient_funds", S.CANCELED)]
    )
    async def test_a_debit_under_way_is_waited_for(
        self, opened: Open, word: str, status: PaymentStatus
    ) -> None:
        """Nobody knows yet whether the bank pays."""
        paying = on_the_page()
        paying.gateway.customer_does("processing")

        async with opened(paying.world()) as desk:
            evidence = await parks(desk)
            paying.gateway.becomes(word)
            await desk.nudge()
            result = await desk.result()

        assert "pi_1 processing" in evidence
        assert status is result.status

    async def test_held_money_is_a_persons(self, opened: Open) -> None:
        """Nobody remembers what it was held for: it is let go when they give up."""
        paying = on_the_page(manual=True)
        paying.gateway.customer_does("requires_capture")

        async with opened(paying.world()) as desk:
            evidence = await parks(desk)
            state = await desk.repair(K.ABANDON)
            await desk.result()

        assert "pi_1 requires_capture" in evidence
        assert (S.CANCELED, Reason.ABANDONED) == (state.status, state.reason)
        assert IntentStatus.CANCELED is paying.gateway.intent.status

    async def test_what_the_gateway_will_not_show(self, opened: Open) -> None:
        """It refuses the look for good: a person must see in its dashboard."""
        paying = on_the_page()
        paying.gateway.troubles["look at page"] = deque([trouble(Trouble.REFUSED)])

        async with opened(paying.world()) as desk:
            evidence = await parks(desk)

        assert evidence.startswith("the payment's run is gone; ")

    async def test_a_silent_gateway_is_asked_again(self, opened: Open, house: House) -> None:
        """Nothing is believed before it answers."""
        paying = on_the_page()
        paying.gateway.customer_does("succeeded")
        paying.gateway.troubles["look at page"] = deque([trouble(Trouble.UNREACHABLE)])

        async with opened(paying.world()) as desk:
            await until(lambda: "look at page" in paying.gateway.calls)
            await house.env.fast_forward(desk.run, LATER)
            result = await desk.result()

        assert S.SUCCEEDED is result.status
        assert ["look at page", "look at page"] == paying.gateway.calls[:2]

    async def test_a_page_that_the_books_do_not_know(self, opened: Open) -> None:
        """The run was lost before it heard of its page: our marks lead to it."""
        paying = Paying(FakeCheckout()).asks()
        paying.gateway.customer_does("succeeded")

        async with opened(paying.world()) as desk:
            result = await desk.result()

        assert (S.SUCCEEDED, "pi_1") == (result.status, result.intent_id)
        assert "find page" == paying.gateway.calls[0]

    async def test_no_page_is_believed_after_a_while(self, opened: Open, house: House) -> None:
        """The gateway shows none, nor a while later: then there is nothing to close."""
        paying = Paying(FakeCheckout())

        async with opened(paying.world()) as desk:
            await until(lambda: "find page" in paying.gateway.calls)
            still = desk.world.records.state.status
            await house.env.fast_forward(desk.run, LATER)
            evidence = await parks(desk)
            state = await desk.repair(K.MARK_FAILED, evidence="nobody has paid")
            await desk.result()

        assert S.PROCESSING is still
        assert evidence.endswith("has no page")
        assert (S.FAILED, Reason.MARKED_FAILED) == (state.status, state.reason)
        assert 4 == paying.gateway.calls.count("find page")

    async def test_the_last_attempts_page_is_not_taken_for_this_ones(self, opened: Open) -> None:
        """The first page is over, and the second one open, though nobody wrote it down."""
        paying = on_the_page()
        paying.gateway.expires()
        paying.then(*page_expired(paying.state, paying.attempt, NOON))
        paying.then(*rules.attempted(paying.state, "checkout_session", NOON, actor="service:shop"))
        paying.asks()

        async with opened(paying.world()) as desk:
            evidence = await parks(desk)
            state = await desk.repair(K.ABANDON)
            await desk.result()

        assert evidence.endswith("the gateway shows cs_2 open")
        assert S.CANCELED is state.status
        assert 0 == paying.gateway.open_pages


class TestPaymentIsOver:
    async def test_an_open_page_is_closed(self, opened: Open) -> None:
        """Nobody pays for what was canceled."""
        paying = on_the_page().ends()

        async with opened(paying.world()) as desk:
            result = await desk.result()

        assert (S.CANCELED, Reason.CANCEL_REQUESTED) == (result.status, result.reason)
        assert SessionStatus.EXPIRED is paying.gateway.session.status

    async def test_a_page_that_will_not_close_is_a_persons(self, opened: Open) -> None:
        """Somebody could pay for an order that is not theirs any more."""
        paying = on_the_page().ends()
        paying.gateway.cannot_expire = True

        async with opened(paying.world()) as desk:
            evidence = await parks(desk)
            paying.gateway.cannot_expire = False
            state = await desk.repair(K.ABANDON)
            await desk.result()

        assert evidence.endswith("the gateway shows cs_1 open")
        assert (S.CANCELED, 0) == (state.status, paying.gateway.open_pages)

    async def test_held_money_is_let_go(self, opened: Open) -> None:
        """It came after the end: nobody will capture it."""
        paying = on_the_page(manual=True).ends()
        paying.gateway.customer_does("requires_capture")

        async with opened(paying.world()) as desk:
            result = await desk.result()

        assert S.CANCELED is result.status
        assert IntentStatus.CANCELED is paying.gateway.intent.status

    async def test_late_money_is_a_persons(self, opened: Open) -> None:
        """They may accept it."""
        paying = on_the_page().ends()
        paying.gateway.customer_does("succeeded")

        async with opened(paying.world()) as desk:
            await parks(desk)
            parked = desk.world.records.state
            state = await desk.repair(K.LOOK_AGAIN)
            await desk.result()

        assert (Reason.LATE_MONEY, "pi_1") == (parked.reason, parked.intent_id)
        assert (S.SUCCEEDED, PRICE.minor) == (state.status, state.amount_captured)

    async def test_a_page_that_never_was_is_not_missed(self, opened: Open, house: House) -> None:
        """The payment ended before a page was opened."""
        paying = Paying(FakeCheckout()).ends()

        async with opened(paying.world()) as desk:
            await until(lambda: "find page" in paying.gateway.calls)
            await house.env.fast_forward(desk.run, LATER)
            result = await desk.result()

        assert S.CANCELED is result.status
        assert ["find page", "find page"] == paying.gateway.calls

    async def test_a_payment_that_was_marked_paid_is_not_canceled(self, opened: Open) -> None:
        """The gateway would not tell, and a person has shown the money; now it shows none."""
        paying = on_the_page().parked()
        paying.gateway.troubles["look at page"] = deque([trouble(Trouble.REFUSED)])
        world = paying.world()

        async with opened(world) as desk:
            marked = await desk.repair(K.MARK_SUCCEEDED, evidence="a bank statement")
            await desk.result()
        paying.gateway.expires()
        async with opened(world) as desk:
            evidence = await parks(desk)

        assert (S.SUCCEEDED, Reason.MARKED_SUCCEEDED) == (marked.status, marked.reason)
        assert Reason.GATEWAY_MISMATCH is world.records.state.reason
        assert "the gateway shows cs_1 expired" == evidence


class TestGivingUp:
    @pytest.mark.parametrize(
        ("kind", "status"), [(K.MARK_FAILED, S.FAILED), (K.ABANDON, S.CANCELED)]
    )
    async def test_the_page_is_closed_first(
        self, opened: Open, kind: RepairKind, status: PaymentStatus
    ) -> None:
        """The gateway's own word that it is over is the proof."""
        paying = on_the_page(has_order=True).parked()
        world = paying.world()

        async with opened(world) as desk:
            state = await desk.repair(kind, evidence="support ticket 17")
            await desk.result()

        assert (status, 0) == (state.status, paying.gateway.open_pages)
        assert "expire" in paying.gateway.calls
        assert ["release"] == world.orders.calls

    @pytest.mark.parametrize("kind", [K.MARK_FAILED, K.ABANDON])
    async def test_a_paid_page_is_not_given_up(self, opened: Open, kind: RepairKind) -> None:
        """The close finds the money: nothing is written."""
        paying = on_the_page().parked()
        paying.gateway.customer_does("succeeded")

        async with opened(paying.world()) as desk:
            told = await desk.refusal(kind, evidence="a mail")
            state = desk.world.records.state

        assert told.endswith("the money has moved, or is about to")
        assert S.NEEDS_OPERATOR is state.status

    @pytest.mark.parametrize("kind", [K.MARK_FAILED, K.ABANDON])
    async def test_a_page_that_will_not_close_is_not_given_up(
        self, opened: Open, kind: RepairKind
    ) -> None:
        """Somebody may still pay."""
        paying = on_the_page().parked()
        paying.gateway.cannot_expire = True

        async with opened(paying.world()) as desk:
            told = await desk.refusal(kind, evidence="a mail")

        assert told.startswith("the gateway shows cs_1 open")

    @pytest.mark.parametrize("kind", [K.MARK_FAILED, K.ABANDON])
    async def test_a_voucher_that_may_still_be_paid_is_not_given_up(
        self, opened: Open, kind: RepairKind
    ) -> None:
        """The gateway cancels no intent of a page that holds nothing: that is no proof of ours."""
        paying = on_the_page().parked()
        paying.gateway.customer_does("requires_action")

        async with opened(paying.world()) as desk:
            told = await desk.refusal(kind, evidence="a mail")

        assert told.endswith("the money has moved, or is about to")
        assert "close" not in paying.gateway.calls

    async def test_a_debit_under_way_is_not_given_up(self, opened: Open) -> None:
        """It cannot be called back."""
        paying = on_the_page().parked()
        paying.gateway.customer_does("processing")
        paying.gateway.cannot_cancel = IntentStatus.PROCESSING

        async with opened(paying.world()) as desk:
            told = await desk.refusal(K.ABANDON)

        assert "pi_1 processing" in told

    async def test_a_bounced_debit_is_given_up(self, opened: Open) -> None:
        """The row knows its intent: there is nothing to cancel on a page that is over."""
        paying = on_the_page()
        paying.gateway.customer_does("insufficient_funds")
        paying.sees(paying.gateway.intent).parks()

        async with opened(paying.world()) as desk:
            state = await desk.repair(K.ABANDON)
            await desk.result()

        assert S.CANCELED is state.status
        assert "close" not in paying.gateway.calls


class TestMarkSucceeded:
    async def test_an_unpaid_page_is_believed(self, opened: Open) -> None:
        """No evidence makes an open page paid."""
        paying = on_the_page().parked()

        async with opened(paying.world()) as desk:
            told = await desk.refusal(K.MARK_SUCCEEDED, evidence="a mail")

        assert "the gateway shows cs_1 open: no money has moved" == told

    async def test_money_on_its_way_is_not_there(self, opened: Open) -> None:
        """The bank may still send the debit back."""
        paying = on_the_page().parked()
        paying.gateway.customer_does("processing")

        async with opened(paying.world()) as desk:
            told = await desk.refusal(K.MARK_SUCCEEDED, evidence="a mail")

        assert told.endswith("no money has moved")

    async def test_proof_is_better_than_a_word(self, opened: Open) -> None:
        """The gateway shows the page paid: that is what is written."""
        paying = on_the_page().parked()
        paying.gateway.customer_does("succeeded")

        async with opened(paying.world()) as desk:
            state = await desk.repair(K.MARK_SUCCEEDED, evidence="dashboard")
            await desk.result()

        assert (S.SUCCEEDED, Reason.PAID) == (state.status, state.reason)

    async def test_evidence_counts_where_there_is_no_page(self, opened: Open) -> None:
        """The customer has paid by other means; there is no page on which they could again."""
        paying = Paying(FakeCheckout()).parked()

        async with opened(paying.world()) as desk:
            state = await desk.repair(K.MARK_SUCCEEDED, evidence="a bank statement")
            await desk.result()

        assert (S.SUCCEEDED, Reason.MARKED_SUCCEEDED) == (state.status, state.reason)


class TestRefund:
    async def test_money_beside_the_books_goes_back(self, opened: Open) -> None:
        """The page was paid while nobody looked, and the shop does not want it."""
        paying = on_the_page().parked()
        paying.gateway.customer_does("succeeded")

        async with opened(paying.world()) as desk:
            state = await desk.repair(K.REFUND)
            await desk.result()

        [order] = [each for each in paying.gateway.orders if isinstance(each, RefundOrder)]
        assert (PRICE, "pi_1") == (order.money, order.intent_id)
        assert (S.CANCELED, Reason.REFUNDED, 0) == (
            state.status,
            state.reason,
            state.amount_captured,
        )

    async def test_an_open_page_has_nothing_to_give_back(self, opened: Open) -> None:
        """Give it up instead."""
        paying = on_the_page().parked()

        async with opened(paying.world()) as desk:
            told = await desk.refusal(K.REFUND)

        assert told.endswith("abandon it")


class TestAttach:
    def _paid_by_hand(self, gateway: FakeCheckout, status: str = "succeeded") -> None:
        other = FakeCheckout()
        other.becomes(status)
        gateway.others["pi_hand"] = other.intent.model_copy(update={"id": "pi_hand"})

    async def test_the_page_is_closed_first(self, opened: Open) -> None:
        """The customer has paid by hand, and cannot pay on the page as well."""
        paying = on_the_page().parked()
        self._paid_by_hand(paying.gateway)

        async with opened(paying.world()) as desk:
            state = await desk.repair(K.ATTACH_INTENT, gateway_id="pi_hand")
            await desk.result()

        assert (S.SUCCEEDED, "pi_hand") == (state.status, state.intent_id)
        assert 0 == paying.gateway.open_pages

    async def test_nothing_beside_a_paid_page(self, opened: Open) -> None:
        """The customer has paid there: what came by hand is a second payment."""
        paying = on_the_page().parked()
        paying.gateway.customer_does("succeeded")
        self._paid_by_hand(paying.gateway)

        async with opened(paying.world()) as desk:
            told = await desk.refusal(K.ATTACH_INTENT, gateway_id="pi_hand")

        assert told.endswith("its customer could pay twice")
        assert desk.world.records.state.intent_id is None

    async def test_the_pages_own_intent(self, opened: Open) -> None:
        """It is the payment's from then on, and its money stays."""
        paying = on_the_page().parked()
        paying.gateway.customer_does("succeeded")

        async with opened(paying.world()) as desk:
            state = await desk.repair(K.ATTACH_INTENT, gateway_id="pi_1")
            await desk.result()

        assert (S.SUCCEEDED, "pi_1") == (state.status, state.intent_id)
        assert "close" not in paying.gateway.calls

    async def test_what_was_attached_is_canceled_with_the_page(self, opened: Open) -> None:
        """Whoever gives the payment up gives up both ways to pay."""
        paying = on_the_page().parked()
        self._paid_by_hand(paying.gateway, "requires_action")

        async with opened(paying.world()) as desk:
            await desk.repair(K.ATTACH_INTENT, gateway_id="pi_hand")
            state = await desk.repair(K.ABANDON)
            await desk.result()

        closed = [each.intent_id for each in paying.gateway.orders if isinstance(each, CloseOrder)]
        assert (S.CANCELED, ["pi_hand"]) == (state.status, closed)

    async def test_an_intent_of_another_amount_is_not(self, opened: Open) -> None:
        """The page stays open: nothing was decided."""
        paying = on_the_page().parked()
        self._paid_by_hand(paying.gateway)
        other = paying.gateway.others["pi_hand"]
        paying.gateway.others["pi_hand"] = other.model_copy(update={"money": OTHER})

        async with opened(paying.world()) as desk:
            told = await desk.refusal(K.ATTACH_INTENT, gateway_id="pi_hand")

        assert "pi_hand is of 13.00 EUR, the payment of 12.50 EUR" == told
        assert 1 == paying.gateway.open_pages
