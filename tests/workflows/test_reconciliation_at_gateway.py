"""Database, gateway and workflow results compared, with everything real around the comparison."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import WorkflowHandle

from activities.orders import Orders
from activities.reconciling import Reconciling
from activities.records import Records
from activities.stripe_audit import StripeAudit
from activities.stripe_calls import StripeCalls
from activities.stripe_words import as_intent
from paysaga.database.balances import Balances
from paysaga.database.engine import create_engine, sessions
from paysaga.database.migrations import migrate
from paysaga.database.reads import Reads
from paysaga.database.reconciliation import NotedDrift, Reconciliations
from paysaga.database.tables import PAYMENTS
from paysaga.domain import transitions as rules
from paysaga.domain.ledger import Account
from paysaga.domain.payment import Changes, PaymentState, PaymentStatus
from paysaga.domain.reasons import Reason
from paysaga.domain.reconciliation import DriftKind, Remedy, Side
from paysaga.domain.reports import Report
from paysaga.simulator.clock import Clock, utc_now
from tests.fakes import a_payment
from tests.simulated import Simulated, running_simulator
from tests.workers import workflow_worker
from tests.workflows.conftest import House, Run
from worker.main import beside_the_gateway
from workflows import addresses
from workflows.payment import PaymentWorkflow
from workflows.reconciliation import ReconciliationOrder, ReconciliationWorkflow
from workflows.repair import RepairWorkflow

K = DriftKind
DAY = timedelta(days=1)
PATIENCE = 90
FOUND = tuple[DriftKind, Side, Remedy]


@dataclass
class Office:
    """A shop's payments, and the comparison of them."""

    house: House
    engine: AsyncEngine
    simulated: Simulated
    gateway_file: Path
    queue: str = field(default_factory=lambda: f"office-{uuid4().hex}")

    async def paid(self, method: str = "pm_card_visa") -> PaymentState:
        """A payment whose run is over."""
        run = await self.begun(method)
        async with asyncio.timeout(PATIENCE):
            return await run.result()

    async def begun(self, method: str) -> Run:
        """A payment that waits for its customer, if the method wants that."""
        name = uuid4().hex
        payment = a_payment(f"pay_{name}").model_copy(
            update={"order_id": f"order-{name}", "customer_id": f"cst_{name}", "method": method}
        )
        self.house.exchange.gateways[payment.id] = StripeCalls(self.simulated.client)
        with self.house.env.with_time_skipping_disabled():
            run = await self.house.env.client.start_workflow(
                PaymentWorkflow.run, payment, id=payment.id, task_queue=self.queue
            )
            await run.execute_update(PaymentWorkflow.first_outcome)
        return run

    async def reconciled(
        self, order: ReconciliationOrder | None = None
    ) -> tuple[Report, list[NotedDrift]]:
        """Compare all that there is."""
        now = datetime.now(UTC)
        run_id = f"reconciliation-{uuid4().hex}"
        self.house.exchange.audits[run_id] = StripeAudit(self.simulated.client, "test")
        run: WorkflowHandle[
            ReconciliationWorkflow, Report
        ] = await self.house.env.client.start_workflow(
            ReconciliationWorkflow.run,
            order or ReconciliationOrder(since=now - DAY, until=now + DAY),
            id=run_id,
            task_queue=self.queue,
        )
        report = await self.house.result_of(run)
        return report, await Reconciliations(sessions(self.engine)).drifts(report.id)

    async def found(self, payment_id: str) -> list[FOUND]:
        """What the comparison says of this payment; the others all agree."""
        _, drifts = await self.reconciled()
        assert {payment_id} == {drift.subject for drift in drifts}
        return [(drift.kind, drift.wrong, drift.remedy) for drift in drifts]

    async def tamper(self, payment_id: str, **columns: object) -> None:
        """Change the row past our code, as somebody with the database's password can."""
        row = update(PAYMENTS).where(PAYMENTS.c.id == payment_id)
        async with self.engine.begin() as connection:
            await connection.execute(row.values(version=PAYMENTS.c.version + 1, **columns))

    def gateway_shows(self, object_id: str, **facts: object) -> None:
        """Change what the gateway says of an object."""
        paths = [part for name, value in facts.items() for part in (f"$.{name}", value)]
        marks = ", ?" * len(paths)
        with closing(sqlite3.connect(self.gateway_file)) as file, file:
            file.execute(
                f"UPDATE objects SET body = json_set(body{marks}) WHERE id = ?", (*paths, object_id)
            )

    async def state(self, payment_id: str) -> PaymentState:
        state = await Reads(sessions(self.engine)).payment(payment_id)
        assert state is not None
        return state

    async def repaired(self, payment_id: str) -> PaymentState:
        """How the payment stands once its repair has looked."""
        repair = self.house.env.client.get_workflow_handle(addresses.repair_id(payment_id))

        async def parked() -> bool:
            return (await self.state(payment_id)).status is PaymentStatus.NEEDS_OPERATOR

        await until(parked)
        await repair.terminate()
        return await self.state(payment_id)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110 - it happens in other processes
            await asyncio.sleep(0.05)


@asynccontextmanager
async def an_office(house: House, directory: Path, clock: Clock = utc_now) -> AsyncIterator[Office]:
    url = f"sqlite:///{directory / 'paysaga.db'}"
    await migrate(url)
    engine = create_engine(url)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(engine.dispose)
        simulated = await stack.enter_async_context(running_simulator(directory, clock))
        office = Office(house, engine, simulated, directory / "simulator.db")
        records, reconciling = Records(sessions(engine)), Reconciling(sessions(engine))
        await stack.enter_async_context(
            workflow_worker(
                house.env.client,
                task_queue=office.queue,
                workflows=[PaymentWorkflow, RepairWorkflow, ReconciliationWorkflow],
                activities=beside_the_gateway(records, reconciling, Orders(None)),
            )
        )
        yield office


@pytest.fixture
async def office(house: House, tmp_path: Path) -> AsyncIterator[Office]:
    async with an_office(house, tmp_path) as open_:
        yield open_


class TestAgreement:
    async def test_every_payment_agrees(self, office: Office) -> None:
        """Paid or declined and waiting: nothing to report, and the fees are in the books."""
        first, second = await office.paid(), await office.paid()
        waiting = await office.begun("pm_card_visa_chargeDeclined")

        report, drifts = await office.reconciled()

        assert [] == drifts
        assert (3, 3, 0, 2, 2) == (
            report.compared,
            report.agreed,
            report.without_run,
            report.movements,
            report.fees_booked,
        )
        assert report.finished_at
        books = {b.account: b.amount for b in await Balances(sessions(office.engine)).all()}
        fees = 2 * 66  # 2.9 % and 30 cents
        assert {
            Account.GATEWAY_CLEARING: 2500 - fees,
            Account.REVENUE: -2500,
            Account.FEES: fees,
        } == books
        assert first.version + 1 == (await office.state(first.id)).version
        assert second.version + 1 == (await office.state(second.id)).version
        await waiting.terminate()

    async def test_a_second_comparison_books_nothing_again(self, office: Office) -> None:
        """Whoever compares twice has the same books."""
        await office.paid()
        await office.reconciled()

        report, drifts = await office.reconciled()

        assert ([], 0, 1) == (drifts, report.fees_booked, report.agreed)

    async def test_payment_whose_fee_is_booked_is_compared_once(
        self, house: House, tmp_path: Path
    ) -> None:
        """Up to now, as the schedule wants it: a step that the comparison makes is none to look at.

        Another comparison of the same time finds all of it again, by its money.
        """
        behind = timedelta(minutes=10)
        async with an_office(house, tmp_path, lambda: datetime.now(UTC) - behind) as it:
            await it.paid()
            await it.paid()

            first, drifts = await it.reconciled(ReconciliationOrder())
            again, _ = await it.reconciled(
                ReconciliationOrder(since=first.since, until=first.until)
            )

        assert [] == drifts
        assert (2, 2, 2, 2) == (first.compared, first.agreed, first.movements, first.fees_booked)
        assert (2, 2, 2, 0) == (again.compared, again.agreed, again.movements, again.fees_booked)

    async def test_fee_is_booked_when_it_is_known(self, office: Office) -> None:
        """The gateway may settle an hour after the charge: the next comparison books the fee."""
        await office.simulated.control.patch("/knobs", json={"balance_delay_seconds": 3600})
        await office.paid()

        early, _ = await office.reconciled()
        await office.simulated.control.post("/webhooks/flush")
        late, drifts = await office.reconciled()

        assert (0, 1, []) == (early.fees_booked, late.fees_booked, drifts)

    async def test_a_run_past_retention_is_compared_two_ways(self, office: Office) -> None:
        """Without its run database and gateway are compared, and the report says so."""
        await _paid_long_ago(office)

        report, drifts = await office.reconciled()

        assert ([], 1, 1) == (drifts, report.agreed, report.without_run)


class TestDrift:
    async def test_tampered_status(self, office: Office) -> None:
        """A row that says something else than its history is found: the database is wrong."""
        paid = await office.paid()
        await office.paid()
        await office.tamper(paid.id, status="canceled", amount_captured=0, paid_at=None)

        assert [
            (K.CAPTURED, Side.DATABASE, Remedy.NONE),
            (K.STATUS, Side.DATABASE, Remedy.NONE),
        ] == await office.found(paid.id)

    async def test_tampered_amount(self, office: Office) -> None:
        """A larger amount in the row fools nobody."""
        paid = await office.paid()
        await office.tamper(paid.id, amount=999_999, currency="XXX")

        assert [
            (K.AMOUNT, Side.DATABASE, Remedy.NONE),
            (K.CURRENCY, Side.DATABASE, Remedy.NONE),
        ] == await office.found(paid.id)

    async def test_drift_is_closed_when_it_is_gone(self, office: Office) -> None:
        """Once the row is put right the next comparison closes what was open."""
        paid = await office.paid()
        await office.tamper(paid.id, amount=2000)
        await office.found(paid.id)
        await office.tamper(paid.id, amount=1250)

        report, drifts = await office.reconciled()

        assert ([], 1) == (drifts, report.agreed)
        assert 1 == await _count(office, "drifts WHERE resolved_at IS NOT NULL")

    async def test_drift_that_lasts_is_one(self, office: Office) -> None:
        """What is found every day is one open row, seen last today."""
        paid = await office.paid()
        await office.tamper(paid.id, amount=2000)
        await office.found(paid.id)

        await office.found(paid.id)

        assert 1 == await _count(office, "drifts")

    async def test_refund_behind_our_back(self, office: Office) -> None:
        """Somebody refunds in the gateway's dashboard: a repair books it, and all agree again."""
        paid = await office.paid()
        await office.simulated.client.v1.refunds.create_async(
            {"payment_intent": str(paid.intent_id), "amount": 400}
        )

        assert [(K.REFUNDED, Side.GATEWAY, Remedy.REPAIR_OPENED)] == await office.found(paid.id)
        repair = office.house.env.client.get_workflow_handle(addresses.repair_id(paid.id))
        async with asyncio.timeout(PATIENCE):
            await repair.result()
        _, drifts = await office.reconciled()
        assert ([], 400) == (drifts, (await office.state(paid.id)).amount_refunded)

    async def test_refund_of_a_payment_that_is_long_over(self, office: Office) -> None:
        """The payment was not changed in the period, but its money moved: it is compared."""
        paid = await office.paid()
        long_ago = datetime(2025, 1, 1, tzinfo=UTC)
        await office.tamper(paid.id, updated_at=long_ago, created_at=long_ago)
        await office.simulated.client.v1.refunds.create_async(
            {"payment_intent": str(paid.intent_id)}
        )

        assert [(K.REFUNDED, Side.GATEWAY, Remedy.REPAIR_OPENED)] == await office.found(paid.id)

    async def test_charge_of_a_canceled_payment_is_left_to_a_repair(self, office: Office) -> None:
        """Money that moved although the payment had ended without: its repair parks it."""
        run = await office.begun("pm_card_visa_chargeDeclined")
        await run.cancel()
        await _settled(run)
        canceled = await office.state(run.id)
        office.gateway_shows(str(canceled.intent_id), status="succeeded", amount_received=1250)

        found = await office.found(run.id)

        assert [
            (K.CAPTURED, Side.GATEWAY, Remedy.REPAIR_OPENED),
            (K.STATUS, Side.GATEWAY, Remedy.REPAIR_OPENED),
        ] == found
        parked = await office.repaired(run.id)
        assert Reason.LATE_MONEY is parked.reason
        report, drifts = await office.reconciled()
        assert ([], 0, 1) == (drifts, report.agreed, report.parked)

    async def test_money_that_nobody_knows(self, office: Office) -> None:
        """A charge with our mark whose payment no row has is named by its intent."""
        intent = await _charge(office, payment_id="pay_nobody", environment="test")
        await _charge(office, environment="another")

        _, [drift] = await office.reconciled()

        assert (intent, K.UNKNOWN_MONEY, Side.GATEWAY) == (drift.subject, drift.kind, drift.wrong)
        assert "7.00 EUR" in str(drift.at_gateway)

    async def test_row_that_was_lost(self, office: Office) -> None:
        """The run knows the payment, the gateway has its money: the database lost the row."""
        paid = await office.paid()
        intent = await _charge(office, payment_id=paid.id, environment="test")

        _, drifts = await office.reconciled()

        assert [(intent, Side.DATABASE)] == [(drift.subject, drift.wrong) for drift in drifts]


class TestLostWebhook:
    async def test_it_is_found_and_the_run_is_nudged(self, house: House, tmp_path: Path) -> None:
        """The customer has paid long ago and nobody told the run: it is made to look."""
        behind = timedelta(minutes=10)
        async with an_office(house, tmp_path, lambda: datetime.now(UTC) - behind) as it:
            run = await it.begun("pm_card_authenticationRequired")
            waiting = await it.state(run.id)
            await it.simulated.authenticate(str(waiting.intent_id), "authorize")

            found = await it.found(run.id)
            async with asyncio.timeout(PATIENCE):
                result = await run.result()

        assert [(K.STATUS, Side.DATABASE, Remedy.NUDGED)] == found
        assert PaymentStatus.SUCCEEDED is result.status


async def _paid_long_ago(office: Office) -> str:
    """A payment that all sides know, but for its run."""
    name = uuid4().hex
    payment = a_payment(f"pay_{name}")
    intent_id = await _charge(office, amount=1250, payment_id=payment.id, environment="test")
    intent = as_intent(await office.simulated.client.v1.payment_intents.retrieve_async(intent_id))
    now = datetime.now(UTC)
    first = rules.opened(payment, now)
    begun = rules.attempted(first.state, payment.method, now, actor=payment.actor)
    won = rules.observed(begun[-1].state, intent, rules.attempt_after(begun), now, DAY)
    await Records(sessions(office.engine)).record(Changes(changes=(first, *begun, *won)))
    return payment.id


async def _settled(run: Run) -> None:
    async def ended() -> bool:
        return (await run.describe()).close_time is not None

    await until(ended)


async def _charge(office: Office, amount: int = 700, **marks: str) -> str:
    intent = await office.simulated.client.v1.payment_intents.create_async(
        {
            "amount": amount,
            "currency": "eur",
            "confirm": True,
            "payment_method": "pm_card_visa",
            "return_url": "https://shop.example/return",
            "metadata": marks,
        }
    )
    return intent.id


async def _count(office: Office, what: str) -> int:
    async with office.engine.connect() as connection:
        return int(await connection.scalar(text(f"SELECT count(*) FROM {what}")) or 0)
