from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paysaga.domain.ledger import Account, Transfer, balances, captured, fee_changed, refunded
from paysaga.domain.money import Money

Booking = Callable[[str, Money], tuple[Transfer, ...]]

amounts = st.builds(
    Money,
    minor=st.integers(min_value=1, max_value=10**12),
    currency=st.sampled_from(["EUR", "JPY", "KWD"]),
)
bookings = st.lists(
    st.tuples(st.sampled_from([captured, refunded, fee_changed]), amounts), max_size=20
)


class TestBookings:
    @pytest.mark.parametrize(
        ("book", "debit", "credit"),
        [
            (captured, Account.GATEWAY_CLEARING, Account.REVENUE),
            (refunded, Account.REFUNDS, Account.GATEWAY_CLEARING),
            (fee_changed, Account.FEES, Account.GATEWAY_CLEARING),
        ],
    )
    def test_money_goes_from_one_account_to_another(
        self, book: Booking, debit: Account, credit: Account
    ) -> None:
        """A capture turns revenue into a claim on the gateway; a refund takes the claim away."""
        (transfer,) = book("pay_1", Money(minor=1240, currency="KWD"))

        assert ("pay_1", debit, credit, 1240, "KWD") == (
            transfer.payment_id,
            transfer.debit,
            transfer.credit,
            transfer.amount,
            transfer.currency,
        )

    @given(bookings)
    def test_books_always_balance(self, booked: list[tuple[Booking, Money]]) -> None:
        """Whatever is booked, per currency the debits equal the credits."""
        transfers = [transfer for book, money in booked for transfer in book("pay_1", money)]

        held = balances(transfers)

        for currency in ("EUR", "JPY", "KWD"):
            assert 0 == sum(held.get((currency, account), 0) for account in Account)

    @given(bookings)
    def test_accounts_say_what_was_booked(self, booked: list[tuple[Booking, Money]]) -> None:
        """Revenue is what was captured, refunds what went back, fees what the gateway kept."""
        held = balances(t for book, money in booked for t in book("pay_1", money))

        for account, book, sign in (
            (Account.REVENUE, captured, -1),
            (Account.REFUNDS, refunded, 1),
            (Account.FEES, fee_changed, 1),
        ):
            told = sum(m.minor for b, m in booked if b is book and m.currency == "EUR")
            assert sign * told == held.get(("EUR", account), 0)

    @given(amounts)
    def test_refund_of_all_leaves_nothing_at_the_gateway(self, money: Money) -> None:
        """What was captured and given back in full is nobody's claim any more."""
        transfers = (*captured("pay_1", money), *refunded("pay_1", money))

        gained = sum(t.amount for t in transfers if t.debit is Account.GATEWAY_CLEARING)
        lost = sum(t.amount for t in transfers if t.credit is Account.GATEWAY_CLEARING)

        assert gained == lost

    @pytest.mark.parametrize("book", [captured, refunded])
    @pytest.mark.parametrize("minor", [0, -1])
    def test_nothing_is_not_booked(self, book: Booking, minor: int) -> None:
        """A transfer moves something, and only forwards: its direction is in its accounts."""
        with pytest.raises(ValueError, match="greater than 0"):
            book("pay_1", Money(minor=minor, currency="EUR"))
