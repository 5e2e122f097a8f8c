from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from activities.records import Records
from paysaga.database.balances import Balances, held
from paysaga.database.engine import reading, sessions
from paysaga.domain.fees import fee_booked
from paysaga.domain.ledger import Account
from paysaga.domain.money import Money
from paysaga.domain.payment import Payment
from tests.database.payments import NOON, batch, payment, succeeded

LATER = NOON + timedelta(hours=1)


async def pay(engine: AsyncEngine, paid: Payment) -> None:
    """Paid at noon, its fee known an hour later."""
    steps = succeeded(paid)
    fee = fee_booked(steps[-1].state, Money(minor=43, currency="EUR"), 0, LATER)
    await Records(sessions(engine)).record(batch(*steps, *fee))


class TestBalances:
    async def test_they_are_added_up(self, engine: AsyncEngine) -> None:
        """Each account is the sum of its transfers, and all accounts together are nothing."""
        for _ in range(3):
            await pay(engine, payment())

        balances = await Balances(sessions(engine)).all()

        assert {
            (Account.GATEWAY_CLEARING, 3 * (1250 - 43)),
            (Account.REVENUE, -3 * 1250),
            (Account.FEES, 3 * 43),
        } == {(balance.account, balance.amount) for balance in balances}
        assert 0 == sum(balance.amount for balance in balances)

    async def test_they_are_known_as_of_a_moment(self, engine: AsyncEngine) -> None:
        """The books of yesterday can be read today: nothing in them has changed."""
        await pay(engine, payment())

        balances = await Balances(sessions(engine)).all(as_of=NOON)

        assert {(Account.GATEWAY_CLEARING, 1250), (Account.REVENUE, -1250)} == {
            (balance.account, balance.amount) for balance in balances
        }

    async def test_one_payments_books_are_its_own(self, engine: AsyncEngine) -> None:
        """What a payment brought and cost is told from the others'."""
        paid, other = payment(), payment()
        await pay(engine, paid)
        await pay(engine, other)

        balances = await Balances(sessions(engine)).all(payment_id=paid.id)

        assert {1250 - 43, -1250, 43} == {balance.amount for balance in balances}

    async def test_nothing_is_held_of_what_was_never_paid(self, engine: AsyncEngine) -> None:
        """A payment without transfers has empty accounts."""
        await pay(engine, payment())

        async with reading(sessions(engine)) as session:
            amount = await session.run_sync(held, "pay_none", Account.FEES, "EUR")

        assert 0 == amount
