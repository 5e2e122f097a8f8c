import pytest
from hypothesis import given
from hypothesis import strategies as st

from paysaga.domain.fees import fee_booked
from paysaga.domain.ledger import Account, Transfer, balances
from paysaga.domain.money import Money
from paysaga.domain.payment import PaymentState, PaymentStatus
from paysaga.domain.reasons import Reason
from paysaga.domain.repairs import Said, refund_abandoned
from paysaga.domain.transitions import parked
from tests.database.payments import NOON, payment, started, succeeded

FEE = Money(minor=43, currency="EUR")


def paid() -> PaymentState:
    return succeeded(payment())[-1].state


class TestFeeBooked:
    def test_it_is_a_step_that_changes_nothing_else(self) -> None:
        """The fee is a numbered change of its own: status, reason and amounts stay."""
        before = paid()

        (change,) = fee_booked(before, FEE, 0, NOON)

        told = change.state.model_copy(update={"version": before.version, "updated_at": NOON})
        assert before == told
        assert (before.version + 1, Reason.FEE_BOOKED) == (change.state.version, change.reason)

    def test_gateway_keeps_it(self) -> None:
        """What the gateway keeps for its service it no longer holds for us."""
        (change,) = fee_booked(paid(), FEE, 0, NOON)

        assert {("EUR", Account.FEES): 43, ("EUR", Account.GATEWAY_CLEARING): -43} == balances(
            change.transfers
        )

    def test_it_is_booked_once(self) -> None:
        """Whoever looks again finds nothing to book."""
        assert () == fee_booked(paid(), FEE, FEE.minor, NOON)

    @given(st.lists(st.integers(min_value=0, max_value=10_000), max_size=10))
    def test_books_follow_the_gateway(self, fees: list[int]) -> None:
        """However often the gateway changes its fee, the books hold the last one."""
        state, booked = paid(), 0
        transfers: list[Transfer] = []
        for fee in fees:
            for change in fee_booked(state, Money(minor=fee, currency="EUR"), booked, NOON):
                state = change.state
                transfers += change.transfers
            booked = balances(transfers).get(("EUR", Account.FEES), 0)
            assert fee == booked

    def test_gateway_may_settle_in_another_currency(self) -> None:
        """A fee is booked in the currency in which the gateway takes it."""
        (change,) = fee_booked(paid(), Money(minor=50, currency="USD"), 0, NOON)

        assert {"USD"} == {transfer.currency for transfer in change.transfers}

    def test_what_is_not_over_is_left_alone(self) -> None:
        """A run, or a person, is at it: nobody else writes between."""
        begun, _ = started(payment())
        (waits,) = parked(paid(), Reason.REFUND_FAILED, NOON)

        assert () == fee_booked(begun[-1].state, FEE, 0, NOON)
        assert () == fee_booked(waits.state, FEE, 0, NOON)

    @pytest.mark.parametrize("reason", [Reason.REFUND_FAILED])
    def test_it_is_booked_after_a_repair(self, reason: Reason) -> None:
        """Once a person has decided, the payment is over like any other."""
        (waits,) = parked(paid(), reason, NOON)
        (over,) = refund_abandoned(waits.state, NOON, Said(actor="admin:ann", note="by bank"))

        assert PaymentStatus.SUCCEEDED is over.state.status
        assert fee_booked(over.state, FEE, 0, NOON)
