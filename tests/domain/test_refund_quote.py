"""What of a payment would go back now, in its own currency."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paysaga.domain import repairs
from paysaga.domain import transitions as rules
from paysaga.domain.intent import CaptureMethod, Intent, IntentStatus
from paysaga.domain.money import Money, percent_of, to_gateway
from paysaga.domain.payment import Attempt, AttemptStatus, PaymentState, PaymentStatus
from paysaga.domain.reasons import Reason
from paysaga.domain.refund_policy import STANDARD, Asker, RefundPolicy, RefundRule
from paysaga.domain.refund_quote import RefundQuote, quoted
from paysaga.domain.repairs import Said
from tests.fakes import NOON, a_payment, begun_by

LATER = NOON + timedelta(days=40)
HALF = RefundPolicy(name="half-1", without_service_date=(RefundRule(percent=50),))


def paid(amount: int, currency: str = "EUR", **changes: Any) -> PaymentState:
    """A payment whose money was taken at noon."""
    money = Money(minor=amount, currency=currency)
    state = rules.opened(a_payment(), NOON).state
    return state.model_copy(
        update={
            "status": PaymentStatus.SUCCEEDED,
            "money": money,
            "amount_captured": amount,
            "paid_at": NOON,
            **changes,
        }
    )


def half_of(state: PaymentState) -> RefundQuote:
    """What goes back of it if half of a payment does."""
    return quoted(state, HALF, Asker.CUSTOMER, NOON)


class TestAmount:
    @pytest.mark.parametrize(
        ("amount", "currency", "half"),
        [
            (1250, "EUR", 625),
            (1251, "EUR", 626),
            (1001, "JPY", 501),
            (1000, "JPY", 500),
            (51, "JPY", 26),
            (1230, "KWD", 620),  # the last digit is 0 at the gateway
            (1240, "KWD", 620),
            (1250, "KWD", 630),
            (100, "ISK", 50),
        ],
    )
    def test_it_is_rounded_up_to_what_can_be_moved(
        self, amount: int, currency: str, half: int
    ) -> None:
        """Never less than was promised, and nothing that the gateway would refuse."""
        quote = half_of(paid(amount, currency))

        assert Money(minor=half, currency=currency) == quote.money
        assert to_gateway(quote.money) > 0

    def test_what_is_gone_is_taken_off(self) -> None:
        """Half of it is half of it, in one refund or in several."""
        quote = half_of(paid(1000, amount_refunded=200, amount_refund_pending=100))

        assert (200, 700, 50) == (quote.money.minor, quote.left.minor, quote.percent)
        assert quote.why == (
            "50 %, at any time. 3.00 EUR of it have been given back or are on their way."
        )

    def test_more_than_promised_is_not_asked_back(self) -> None:
        """Who got more than the terms give gets nothing more, and owes nothing."""
        quote = half_of(paid(1000, amount_refunded=800))

        assert (0, 200) == (quote.money.minor, quote.left.minor)

    def test_what_was_captured_counts(self) -> None:
        """Of a hold that was captured in part no more than that goes back."""
        assert 300 == half_of(paid(1000, amount_captured=600)).money.minor

    @given(
        captured=st.integers(1, 99_999_999),
        currency=st.sampled_from(["EUR", "JPY", "KWD", "ISK", "UGX", "HUF"]),
        percent=st.integers(0, 100),
        gone=st.integers(0, 100),
    )
    def test_it_is_never_more_than_is_left(
        self, captured: int, currency: str, percent: int, gone: int
    ) -> None:
        """Whatever the terms: what goes back and what is gone are no more than was taken."""
        whole = percent_of(Money(minor=captured, currency=currency), 100)
        policy = RefundPolicy(name="any-1", without_service_date=(RefundRule(percent=percent),))
        refunded = percent_of(whole, gone).minor
        state = paid(whole.minor, currency, amount_refunded=refunded)

        quote = quoted(state, policy, Asker.SHOP, NOON)

        assert 0 <= quote.money.minor <= quote.left.minor == whole.minor - refunded
        assert refunded + quote.money.minor >= min(whole.minor * percent / 100, whole.minor)


class TestNothing:
    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"status": PaymentStatus.PROCESSING, "amount_captured": 0}, "no money was taken"),
            ({"status": PaymentStatus.EXPIRED, "amount_captured": 0}, "no money was taken"),
            ({"status": PaymentStatus.AUTHORIZED, "amount_captured": 0}, "Cancel the payment"),
            ({"status": PaymentStatus.NEEDS_OPERATOR}, "we are checking"),
            ({"amount_refunded": 1000}, "all of it has been given back"),
            ({"amount_refunded": 400, "amount_refund_pending": 600}, "is on its way"),
        ],
    )
    def test_where_nothing_can_go_back(self, changes: dict[str, Any], why: str) -> None:
        """It says so, whatever the terms are."""
        quote = half_of(paid(1000, **changes))

        assert (0, 0, None) == (quote.money.minor, quote.percent, quote.until)
        assert why in quote.why

    def test_what_was_settled_in_another_way_is_not_offered_again(self) -> None:
        """The customer has been paid by bank transfer, and nobody here knows how much."""
        quote = quoted(paid(1000), HALF, Asker.CUSTOMER, NOON, settled_elsewhere=True)

        assert (0, 1000) == (quote.money.minor, quote.left.minor)
        assert "settled in another way" in quote.why

    def test_terms_that_give_nothing_say_so(self) -> None:
        """What could go back without them is told all the same."""
        quote = quoted(paid(1000), STANDARD, Asker.CUSTOMER, LATER)

        assert (0, 1000, 0) == (quote.money.minor, quote.left.minor, quote.percent)


class TestWhenPaid:
    @pytest.mark.parametrize(
        ("charged", "paid_at"),
        [
            (None, LATER),
            (NOON + timedelta(seconds=30), NOON + timedelta(seconds=30)),
            (NOON - timedelta(seconds=1), NOON),  # the gateway's clock has whole seconds
            (LATER + timedelta(days=1), LATER),  # or is wrong
        ],
    )
    def test_it_is_when_the_customer_paid(
        self, charged: datetime | None, paid_at: datetime
    ) -> None:
        """Found out weeks later, it is still what the gateway says, inside of what can be."""
        assert paid_at == self._found_later(charged).paid_at

    def test_of_what_was_held_it_is_when_we_learned_of_it(self) -> None:
        """The charge is from when it was held: nobody says when it was captured."""
        held = self._found_later(NOON, capture_method=CaptureMethod.MANUAL)

        assert held.paid_at == LATER

    def _found_later(self, charged: datetime | None, **changes: Any) -> PaymentState:
        payment = a_payment(**changes)
        opened = rules.opened(payment, NOON).state
        begun, attempt = begun_by(rules.attempted(opened, payment.method, NOON, actor="x"))
        intent = Intent(
            id="pi_1",
            status=IntentStatus.SUCCEEDED,
            money=payment.money,
            received=payment.money.minor,
            charged_at=charged,
        )
        return rules.observed(begun.state, intent, attempt, LATER, timedelta(hours=1))[-1].state

    def test_a_repair_of_what_was_booked_leaves_it_alone(self) -> None:
        """Parked after it was paid, and put right weeks later: the customer paid when they did."""
        parked = rules.parked(paid(1000, paid_at=None), Reason.GATEWAY_MISMATCH, NOON)[-1].state
        attempt = Attempt(number=1, method="pm_1", status=AttemptStatus.SUCCEEDED, started_at=NOON)

        said = Said(actor="operator:1", note="the bank statement")
        [again] = repairs.marked_succeeded(parked, attempt, LATER, said)

        assert again.state.paid_at is None

    def test_days_count_from_the_money(self) -> None:
        """Held for a week and captured then: the customer's two weeks begin with the capture."""
        state = paid(1000, created_at=NOON - timedelta(days=7))

        quote = quoted(state, STANDARD, Asker.CUSTOMER, NOON + timedelta(days=14))

        assert 1000 == quote.money.minor
        assert quote.until == datetime(NOON.year, NOON.month, NOON.day, tzinfo=UTC) + timedelta(15)

    def test_a_payment_of_an_older_release_counts_from_its_start(self) -> None:
        """It was not written down then when it was paid."""
        state = paid(1000, paid_at=None)

        assert 1000 == quoted(state, STANDARD, Asker.SHOP, NOON).money.minor
        assert 0 == quoted(state, STANDARD, Asker.SHOP, LATER).money.minor
