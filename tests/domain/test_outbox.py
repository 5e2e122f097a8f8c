"""What a change is called."""

import pytest

from paysaga.domain.outbox import Before, event_type
from paysaga.domain.payment import PaymentStatus
from tests.api.test_views import a_state

S = PaymentStatus


class TestType:
    @pytest.mark.parametrize("status", PaymentStatus)
    def test_a_new_status_names_the_event(self, status: PaymentStatus) -> None:
        """Also the first one, and one that comes with a refund."""
        refunded = a_state(status, amount_captured=1250, amount_refunded=1250)
        another = S.CREATED if status is not S.CREATED else S.PROCESSING

        assert f"payment.{status}" == event_type(a_state(status), None)
        assert f"payment.{status}" == event_type(refunded, Before(another, 0))

    def test_money_that_went_back(self) -> None:
        """The status stays, and yet it is the news."""
        refunded = a_state(S.SUCCEEDED, amount_captured=1250, amount_refunded=400)

        assert "payment.refunded" == event_type(refunded, Before(S.SUCCEEDED, 0))

    def test_everything_else(self) -> None:
        """A refund that was told already, or was lost again, and a mere remark."""
        refunded = a_state(S.SUCCEEDED, amount_captured=1250, amount_refunded=400)

        assert "payment.updated" == event_type(refunded, Before.of(refunded))
        assert "payment.updated" == event_type(refunded, Before(S.SUCCEEDED, 1250))
