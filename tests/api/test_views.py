"""What the customer is told of a payment, state by state."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.views import MethodView, message_for
from paysaga.domain.declines import decline_for
from paysaga.domain.intent import MethodFacts
from paysaga.domain.money import Money
from paysaga.domain.payment import FINAL, Fulfillment, PaymentState, PaymentStatus
from paysaga.domain.reasons import UNREACHABLE, Reason

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ADVICE = decline_for("insufficient_funds").message


def a_state(status: PaymentStatus, **facts: Any) -> PaymentState:
    """A payment that was declined once, if nothing else is said."""
    good: dict[str, Any] = {
        "id": "pay_1",
        "version": 3,
        "order_id": "order-1",
        "customer_id": "cst_1",
        "money": Money(minor=1250, currency="EUR"),
        "status": status,
        "reason": Reason.DECLINED,
        "return_url": "https://shop.example/",
        "request_fingerprint": "f",
        "correlation_id": "c",
        "attempts_used": 1,
        "attempts_allowed": 3,
        "retry_until": NOW + timedelta(hours=1),
        "decline": decline_for("insufficient_funds"),
        "created_at": NOW,
        "updated_at": NOW,
    }
    return PaymentState.model_validate(good | facts)


class TestMethod:
    @pytest.mark.parametrize(
        ("facts", "shown"),
        [
            (
                {"brand": "visa", "last4": "5556", "funding": "debit", "exp_month": 12},
                {"brand": "visa", "last4": "5556", "funding": "debit", "exp_month": 12},
            ),
            (
                {"brand": "visa", "last4": "4242", "funding": "credit", "wallet": "apple_pay"},
                {"brand": "visa", "last4": "4242", "funding": "credit", "wallet": "apple_pay"},
            ),
            ({"kind": "paypal"}, {"kind": "paypal"}),
        ],
    )
    def test_each_means_shows_what_there_is(
        self, facts: dict[str, Any], shown: dict[str, Any]
    ) -> None:
        """Every field is always there; what does not apply is null, and no fingerprint is shown."""
        method = MethodFacts.model_validate({"kind": "card", "fingerprint": "f", **facts})
        empty = dict.fromkeys(("brand", "last4", "funding", "wallet", "exp_month", "exp_year"))

        view = MethodView.of(method)

        assert view is not None
        assert {**empty, "kind": "card", **shown} == view.model_dump()


class TestMessage:
    @pytest.mark.parametrize(("kind", "where"), [("paypal", "PayPal"), ("card", "your bank")])
    def test_who_waits_for_a_step_hears_where(self, kind: str, where: str) -> None:
        """A bank's customer is not sent to PayPal, nor the other way round."""
        told = message_for(
            a_state(PaymentStatus.REQUIRES_ACTION, method=MethodFacts(kind=kind), decline=None)
        )

        assert where in told

    def test_a_decline_tells_what_may_help(self) -> None:
        """Who may try again hears with what."""
        assert ADVICE == message_for(a_state(PaymentStatus.AWAITING_RETRY))

    def test_the_last_decline_sends_nobody_for_another_card(self) -> None:
        """Between the last decline and the end there is nothing to try."""
        told = message_for(a_state(PaymentStatus.AWAITING_RETRY, attempts_used=3))

        assert "no attempt left" in told
        assert "another card" not in told

    @pytest.mark.parametrize(
        ("status", "words"),
        [
            (PaymentStatus.FAILED, "no attempt left. You have not been charged."),
            (PaymentStatus.EXPIRED, "time to pay is over. You have not been charged."),
            (PaymentStatus.CANCELED, "was canceled. You have not been charged."),
            (PaymentStatus.SUCCEEDED, "was successful."),
        ],
    )
    def test_what_is_over_says_how_it_ended(self, status: PaymentStatus, words: str) -> None:
        """After the end no decline's advice is repeated, however the payment got there."""
        told = message_for(a_state(status))

        assert told.endswith(words)
        assert "another card" not in told

    def test_each_end_has_its_own_words(self) -> None:
        """Nobody has to guess which end it was."""
        assert len(FINAL) == len({message_for(a_state(status)) for status in FINAL})

    @pytest.mark.parametrize(
        ("facts", "told"),
        [
            (
                {"amount_refund_pending": 1250, "fulfillment": Fulfillment.REFUSED},
                "The shop could not take the order. Your money is on its way back to you.",
            ),
            (
                {"amount_refunded": 1250, "fulfillment": Fulfillment.REFUSED},
                "The shop could not take the order. Your money has been paid back to you.",
            ),
            (
                {"amount_refunded": 1250},
                "The payment was undone. Your money has been paid back to you.",
            ),
        ],
    )
    def test_money_that_goes_back_is_told_with_its_reason(
        self, facts: dict[str, Any], told: str
    ) -> None:
        """Only where there is an order service can it have refused."""
        assert told == message_for(a_state(PaymentStatus.SUCCEEDED, **facts))

    @pytest.mark.parametrize("reason", sorted(UNREACHABLE))
    def test_waiting_for_others_is_told(self, reason: Reason) -> None:
        """Whoever it is that does not answer: the customer is not to pay twice."""
        told = message_for(a_state(PaymentStatus.PROCESSING, reason=reason))

        assert "please do not pay again" in told

    def test_a_refund_that_failed_promises_nothing(self) -> None:
        """Money that could not be given back is not on its way."""
        parked = a_state(
            PaymentStatus.NEEDS_OPERATOR, reason=Reason.REFUND_FAILED, amount_refund_pending=1250
        )

        told = message_for(parked)

        assert "on its way" not in told
        assert "We are checking your payment" in told
