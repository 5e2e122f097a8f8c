"""What the gateway shows of many payments, over real HTTP against the simulator."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import stripe
from structlog.testing import capture_logs
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.errors import Trouble
from activities.stripe_audit import (
    AuditOrder,
    AuditRef,
    Movements,
    MovementsOrder,
    StripeAudit,
)
from paysaga.domain.money import Money
from paysaga.domain.reconciliation import AtGateway
from tests.simulated import Simulated, running_simulator

PAGE = 10  # so many refunds a charge shows by itself
CHARGED = 88  # 2.9 % of 20.00 and 30 cents
HOUR = timedelta(hours=1)


@dataclass
class Account:
    """An account at the gateway, with what is charged and given back there."""

    simulated: Simulated
    file: Path

    async def paid(self, **marks: str) -> stripe.PaymentIntent:
        return await self.simulated.client.v1.payment_intents.create_async(
            {
                "amount": 2000,
                "currency": "eur",
                "confirm": True,
                "payment_method": "pm_card_visa",
                "return_url": "https://shop.example/return",
                "metadata": marks,
            }
        )

    async def refunded(self, intent: stripe.PaymentIntent) -> stripe.Refund:
        return await self.simulated.client.v1.refunds.create_async(
            {"payment_intent": intent.id, "amount": 100}
        )

    def shows(self, object_id: object, field: str, value: object) -> None:
        """Change what the gateway says of an object."""
        with closing(sqlite3.connect(self.file)) as file, file:
            file.execute(
                "UPDATE objects SET body = json_set(body, ?, ?) WHERE id = ?",
                (f"$.{field}", value, str(object_id)),
            )

    async def audit(self, intent: stripe.PaymentIntent) -> AtGateway:
        order = AuditOrder(payments=(AuditRef(payment_id="pay_1", intent_id=intent.id),))
        audit = StripeAudit(self.simulated.client, "here").audit_payments
        [shown] = (await ActivityEnvironment().run(audit, order)).payments
        return shown

    async def movements(self, heard: list[object] | None = None) -> Movements:
        now = datetime.now(UTC)
        environment = ActivityEnvironment()
        environment.on_heartbeat = (heard if heard is not None else []).append
        return await environment.run(
            StripeAudit(self.simulated.client, "here").list_movements,
            MovementsOrder(since=now - HOUR, until=now + HOUR),
        )


@pytest.fixture
async def account(tmp_path: Path) -> AsyncIterator[Account]:
    async with running_simulator(tmp_path) as simulated:
        yield Account(simulated, tmp_path / "simulator.db")


class TestFees:
    @pytest.mark.parametrize("count", [1, PAGE + 1])
    async def test_refunds_cost_what_they_cost(self, account: Account, count: int) -> None:
        """However many there are: with those that the charge itself does not show any more."""
        intent = await account.paid()
        for _ in range(count):
            refund = await account.refunded(intent)
            account.shows(refund.balance_transaction, "fee", 5)

        shown = await account.audit(intent)

        assert 100 * count == shown.refunded
        assert Money(minor=CHARGED + 5 * count, currency="EUR") == shown.fee

    async def test_refund_may_settle_in_another_currency(self, account: Account) -> None:
        """The payment is compared: its fee is in its charge's currency, and the rest is told."""
        intent = await account.paid()
        for fee in (0, 7):
            refund = await account.refunded(intent)
            account.shows(refund.balance_transaction, "currency", "usd")
            account.shows(refund.balance_transaction, "fee", fee)

        with capture_logs() as logs:
            shown = await account.audit(intent)

        assert (None, Money(minor=CHARGED, currency="EUR")) == (shown.trouble, shown.fee)
        assert [("pay_1", refund.id, "0.07 USD")] == [
            (line["payment_id"], line["refund_id"], line["fee"]) for line in logs
        ]


class TestMovements:
    async def test_one_that_cannot_be_read_does_not_hide_the_others(self, account: Account) -> None:
        """A currency that we have no word for is told by its balance transaction."""
        odd, fine = await account.paid(), await account.paid()
        [strange] = await _moved_by(account, odd)
        account.shows(strange, "currency", "zzz")

        page = await account.movements()

        assert [fine.id] == [movement.intent_id for movement in page.movements]
        assert [strange] == [unread.id for unread in page.unread]
        assert "the gateway's answer cannot be read" in page.unread[0].why
        assert (2, tuple(await _moved_by(account, fine))) == (page.count, page.read)

    async def test_refund_whose_intent_is_gone(self, account: Account) -> None:
        """The gateway refuses to show the intent: that one is told, the others are seen."""
        gone, fine = await account.paid(), await account.paid(environment="here")
        refund = await account.refunded(gone)
        account.shows(gone.latest_charge, "metadata.environment", "elsewhere")
        account.shows(refund.id, "payment_intent", "pi_gone")

        page = await account.movements()

        assert [fine.id] == [movement.intent_id for movement in page.movements]
        assert ["the gateway refuses the request"] == [unread.why for unread in page.unread]

    async def test_it_shows_that_it_goes_on(self, account: Account) -> None:
        """Each row may need a call: a worker that is lost meanwhile is missed soon."""
        for _ in range(2):
            await account.refunded(await account.paid())
        heard: list[object] = []

        page = await account.movements(heard)

        assert 4 == page.count
        assert set(page.read) == set(heard)

    async def test_internal_error_is_asked_again(self, account: Account) -> None:
        """Nothing is kept under a read: another try may find the gateway well."""
        await account.simulated.arm("balance_transactions.list", "sticky_500")

        with pytest.raises(ApplicationError) as failure:
            await account.movements()

        assert (Trouble.STICKY, False) == (failure.value.type, failure.value.non_retryable)


async def _moved_by(account: Account, intent: stripe.PaymentIntent) -> list[str]:
    moved = await account.simulated.client.v1.balance_transactions.list_async(
        {"source": str(intent.latest_charge)}
    )
    return [transaction.id for transaction in moved.data]
