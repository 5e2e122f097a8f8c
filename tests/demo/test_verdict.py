from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from paysaga.demo import verdict
from paysaga.domain.money import Money
from paysaga.domain.payment import PaymentState, PaymentStatus
from paysaga.domain.reasons import Reason

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
PAID = PaymentState(
    id="pay_1",
    version=4,
    order_id="ord_1",
    customer_id="cst_1",
    money=Money(minor=1290, currency="EUR"),
    status=PaymentStatus.SUCCEEDED,
    reason=Reason.ORDER_CONFIRMED,
    return_url="http://shop/return",
    request_fingerprint="f",
    correlation_id="c",
    attempts_allowed=3,
    retry_until=NOW,
    intent_id="pi_1",
    amount_captured=1290,
    created_at=NOW,
    updated_at=NOW,
)
AT_GATEWAY = {"status": "succeeded", "amount": 1290, "currency": "eur", "amount_received": 1290}


def _intent(**changes: Any) -> stripe.PaymentIntent:
    return stripe.PaymentIntent.construct_from({"id": "pi_1", **AT_GATEWAY, **changes}, "sk_test_x")


class TestAgreement:
    def test_all_agree(self) -> None:
        """
        Equal words of database, workflow and gateway are no complaint.
        """
        assert () == verdict.differences(PaymentStatus.SUCCEEDED, PAID, PAID)
        assert () == verdict.at_gateway(PAID, _intent())

    @pytest.mark.parametrize(
        "change",
        [
            {"status": PaymentStatus.CANCELED},
            {"money": Money(minor=1291, currency="EUR")},
            {"intent_id": "pi_2"},
            {"amount_captured": 0},
        ],
    )
    def test_a_workflow_that_says_otherwise_is_told(self, change: dict[str, object]) -> None:
        """
        Any difference between database and workflow fails the demo.
        """
        told = verdict.differences(PaymentStatus.SUCCEEDED, PAID, PAID.model_copy(update=change))

        assert 1 == len(told)
        assert next(iter(change)) in told[0]

    def test_another_end_than_expected_is_told(self) -> None:
        """
        All may agree, and yet the purchase ended wrongly.
        """
        [told] = verdict.differences(PaymentStatus.FAILED, PAID, PAID)

        assert "expected failed, the database says succeeded" in told

    @pytest.mark.parametrize(
        "change",
        [
            {"status": "requires_capture"},
            {"amount": 1},
            {"currency": "usd"},
            {"amount_received": 0},
        ],
    )
    def test_a_gateway_that_says_otherwise_is_told(self, change: dict[str, object]) -> None:
        """
        Status, amount, currency and what was received: each must fit.
        """
        [told] = verdict.at_gateway(PAID, _intent(**change))

        assert next(iter(change)) in told

    @pytest.mark.parametrize("status", PaymentStatus)
    def test_payment_without_an_intent_is_told(self, status: PaymentStatus) -> None:
        """No end is proved without the gateway's word."""
        row = PAID.model_copy(update={"status": status, "intent_id": None})

        assert ("the gateway was never asked",) == verdict.at_gateway(row, None)

    def test_money_taken_for_an_unpaid_order_is_told(self) -> None:
        """
        A payment that ended without money has a canceled intent that received nothing.
        """
        canceled = PAID.model_copy(update={"status": PaymentStatus.CANCELED})

        assert 2 == len(verdict.at_gateway(canceled, _intent()))
