"""What the gateway's page means for a payment, for every way in which it and its intent stand."""

from datetime import timedelta

import pytest

from paysaga.domain import transitions as rules
from paysaga.domain.checkout import (
    LIFE,
    LONGER_AT_THE_GATEWAY,
    CheckoutSession,
    SessionStatus,
    page_expired,
    page_opened,
    shown_page,
)
from paysaga.domain.declines import decline_for
from paysaga.domain.intent import Intent, IntentStatus, MethodFacts
from paysaga.domain.payment import Attempt, AttemptStatus, PaymentState, PaymentStatus
from paysaga.domain.reasons import Reason
from tests.fake_checkout import PAGE
from tests.fakes import NOON, PRICE, a_payment, begun_by, told

P = PaymentStatus
S = SessionStatus
I = IntentStatus  # noqa: E741 - beside S it reads as what it is
END = NOON + LIFE + LONGER_AT_THE_GATEWAY
# Each page with each intent: does the intent tell what became of the page, and is it proved that
# there is no money of it and will be none?
MEANS = {
    (S.OPEN, None): (False, False),
    (S.OPEN, I.REQUIRES_PAYMENT_METHOD): (False, False),
    (S.OPEN, I.REQUIRES_CONFIRMATION): (False, False),
    (S.OPEN, I.REQUIRES_ACTION): (False, False),
    (S.OPEN, I.PROCESSING): (True, False),
    (S.OPEN, I.REQUIRES_CAPTURE): (True, False),
    (S.OPEN, I.SUCCEEDED): (True, False),
    (S.OPEN, I.CANCELED): (False, False),
    (S.COMPLETE, None): (False, False),
    (S.COMPLETE, I.REQUIRES_PAYMENT_METHOD): (True, True),
    (S.COMPLETE, I.REQUIRES_CONFIRMATION): (True, False),
    (S.COMPLETE, I.REQUIRES_ACTION): (True, False),
    (S.COMPLETE, I.PROCESSING): (True, False),
    (S.COMPLETE, I.REQUIRES_CAPTURE): (True, False),
    (S.COMPLETE, I.SUCCEEDED): (True, False),
    (S.COMPLETE, I.CANCELED): (True, True),
    (S.EXPIRED, None): (False, True),
    (S.EXPIRED, I.REQUIRES_PAYMENT_METHOD): (False, True),
    # The gateway has not let go of it yet: the customer may be at their bank.
    (S.EXPIRED, I.REQUIRES_CONFIRMATION): (False, False),
    (S.EXPIRED, I.REQUIRES_ACTION): (False, False),
    (S.EXPIRED, I.PROCESSING): (True, False),
    (S.EXPIRED, I.REQUIRES_CAPTURE): (True, False),
    (S.EXPIRED, I.SUCCEEDED): (True, False),
    (S.EXPIRED, I.CANCELED): (False, True),
}
CASES = [(page, intent, *meaning) for (page, intent), meaning in MEANS.items()]


def a_page(
    status: SessionStatus = S.OPEN,
    intent: IntentStatus | None = None,
    *,
    customer: str | None = "cus_1",
) -> CheckoutSession:
    return CheckoutSession(
        id="cs_1",
        status=status,
        url="https://gateway.example/c/pay/cs_1" if status is S.OPEN else None,
        expires_at=END,
        customer_id=customer,
        intent=Intent(id="pi_1", status=intent, money=PRICE) if intent else None,
    )


def begun(*, hold: timedelta = timedelta(hours=24)) -> tuple[PaymentState, Attempt]:
    """A payment on the gateway's page whose first attempt is under way."""
    payment = a_payment(page=PAGE, hold=hold)
    first = rules.opened(payment, NOON)
    changes = rules.attempted(first.state, payment.method, NOON, actor=payment.actor)
    change, attempt = begun_by(changes)
    return change.state, attempt


def waiting() -> tuple[PaymentState, Attempt]:
    """The customer is on the page."""
    state, attempt = begun()
    (change,), attempt = told(page_opened(state, a_page(), attempt, NOON), attempt)
    return change.state, attempt


class TestMeaning:
    def test_every_combination_is_thought_of(self) -> None:
        """The gateway may show any page with any intent, or with none."""
        assert {(page, intent) for page in S for intent in (None, *I)} == set(MEANS)

    @pytest.mark.parametrize(("page", "intent", "tells", "_is_proved"), CASES)
    def test_what_the_intent_tells(
        self, page: SessionStatus, intent: IntentStatus | None, *, tells: bool, _is_proved: bool
    ) -> None:
        """Money that moves is the outcome; what goes wrong on an open page is between the two."""
        seen = a_page(page, intent)

        outcome = seen.outcome
        assert tells == (outcome is not None)
        if outcome is not None and seen.intent is not None:
            assert seen.intent.id == outcome.id

    @pytest.mark.parametrize("intent", [I.REQUIRES_ACTION, I.REQUIRES_CONFIRMATION])
    def test_a_voucher_is_money_on_its_way(self, intent: IntentStatus) -> None:
        """The customer has left a complete page: what is left to do is done elsewhere."""
        outcome = a_page(S.COMPLETE, intent).outcome

        assert outcome is not None
        assert I.PROCESSING is outcome.status

    @pytest.mark.parametrize(("page", "intent", "_tells", "is_proved"), CASES)
    def test_what_proves_that_there_is_no_money(
        self, page: SessionStatus, intent: IntentStatus | None, *, _tells: bool, is_proved: bool
    ) -> None:
        """The page is over, and its intent has no way to the money."""
        assert is_proved == a_page(page, intent).is_without_money

    @pytest.mark.parametrize(("page", "intent"), MEANS)
    def test_money_is_never_taken_for_none(
        self, page: SessionStatus, intent: IntentStatus | None
    ) -> None:
        """Whatever the page says of itself: an intent that moves money is the outcome."""
        seen = a_page(page, intent)

        if intent in {I.PROCESSING, I.REQUIRES_CAPTURE, I.SUCCEEDED}:
            assert seen.outcome is not None
            assert not seen.is_without_money


class TestPageOpened:
    def test_the_customer_is_to_go_there(self) -> None:
        """They have half an hour by our clock; the gateway closes it a little later."""
        state, attempt = begun()

        (change,), after = told(page_opened(state, a_page(), attempt, NOON), attempt)

        assert (P.REQUIRES_ACTION, Reason.CHECKOUT_OPEN) == (
            change.state.status,
            change.state.reason,
        )
        assert ("https://gateway.example/c/pay/cs_1", NOON + LIFE) == (
            change.state.action_url,
            change.state.action_until,
        )
        assert ("cs_1", "cus_1", None) == (
            change.state.session_id,
            change.state.gateway_customer_id,
            change.state.intent_id,
        )
        assert AttemptStatus.REQUIRES_ACTION is after.status
        assert change.attempt == after

    def test_no_longer_than_the_order_is_kept(self) -> None:
        """The hold's end is the page's end."""
        state, attempt = begun(hold=timedelta(minutes=10))

        (change,) = page_opened(state, a_page(), attempt, NOON)

        assert state.retry_until == change.state.action_until == NOON + timedelta(minutes=10)

    def test_an_earlier_pages_money_is_not_this_ones(self) -> None:
        """A bounced debit's page, intent, charge and account are forgotten with the attempt."""
        state, attempt = waiting()
        known = {
            "intent_id": "pi_1",
            "charge_id": "ch_1",
            "method": MethodFacts(kind="sepa_debit", last4="3000"),
        }
        *_, over = page_expired(state.model_copy(update=known), attempt, NOON + LIFE)

        (again,) = rules.attempted(over.state, "checkout_session", NOON + LIFE, actor="a")

        after = again.state
        assert "cs_1" == over.state.session_id
        assert (None, None, None, None) == (
            after.session_id,
            after.intent_id,
            after.charge_id,
            after.method,
        )
        assert "cus_1" == after.gateway_customer_id

    def test_the_customer_stays_who_they_are(self) -> None:
        """A page that names no customer does not make the gateway's one forgotten."""
        state, attempt = begun()
        known = state.model_copy(update={"gateway_customer_id": "cus_0"})

        (change,) = page_opened(known, a_page(customer=None), attempt, NOON)

        assert "cus_0" == change.state.gateway_customer_id

    def test_nothing_new_if_it_is_known(self) -> None:
        """A page is opened for an attempt that is under way, once."""
        state, attempt = waiting()

        assert () == page_opened(state, a_page(), attempt, NOON)


class TestPageExpired:
    def test_the_attempt_is_over(self) -> None:
        """Nobody paid: the customer may try again on a new page."""
        state, attempt = waiting()

        changes, over = told(page_expired(state, attempt, NOON + LIFE), attempt)

        last = changes[-1].state
        assert [P.PROCESSING, P.AWAITING_RETRY] == [change.state.status for change in changes]
        assert (Reason.CHECKOUT_EXPIRED, None, None, 2) == (
            last.reason,
            last.action_url,
            last.action_until,
            last.attempts_left,
        )
        assert (AttemptStatus.TIMED_OUT, NOON + LIFE) == (over.status, over.ended_at)

    def test_only_where_a_page_is_waited_for(self) -> None:
        """What is over, or not begun, does not expire again."""
        state, attempt = waiting()
        *_, last = page_expired(state, attempt, NOON + LIFE)

        assert () == page_expired(last.state, attempt, NOON + LIFE)

    def test_our_clock_closes_no_page(self) -> None:
        """The time for a page is over when the gateway has closed it, and shows that."""
        state, attempt = waiting()
        decline = decline_for("authentication_timeout")

        assert () == rules.timed_out(state, attempt, decline, NOON + timedelta(days=1))


class TestEvidence:
    def test_a_page_that_nobody_paid_on(self) -> None:
        """There is no intent to be told."""
        assert "the gateway shows cs_1 open" == shown_page(a_page())

    def test_a_page_with_its_intent(self) -> None:
        """Both are told: the page may be over, and its money on its way."""
        seen = a_page(S.COMPLETE, I.PROCESSING)

        assert "the gateway shows cs_1 complete, pi_1 processing" == shown_page(seen)
