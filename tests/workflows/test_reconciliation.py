"""How a comparison goes on: second looks, trouble, pages, and what is never told as fine."""

from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.testing import WorkflowEnvironment

from activities.errors import Trouble
from activities.stripe_audit import Movements, Unread
from paysaga.domain.money import Money
from paysaga.domain.reconciliation import (
    DriftKind,
    InWorkflow,
    Side,
)
from paysaga.domain.reports import Report
from paysaga.domain.strangers import Owner
from tests.domain.test_reconciliation import PAID, WAITING, books, shown
from tests.fakes import NOON
from tests.workflows.conftest import House
from tests.workflows.exchange import Exchange
from tests.workflows.sides import Sides, a_worker, moved
from workflows import policies
from workflows.reconciliation import ReconciliationOrder, ReconciliationWorkflow

K = DriftKind
FEE = Money(minor=43, currency="EUR")


class Bench:
    """Runs comparisons of these sides."""

    def __init__(self, env: WorkflowEnvironment, exchange: Exchange) -> None:
        self._env, self._exchange = env, exchange

    async def started(
        self, sides: Sides, queue: str
    ) -> WorkflowHandle[ReconciliationWorkflow, Report]:
        self._exchange.audits[queue] = sides
        order = ReconciliationOrder(
            id="rcn_1", since=NOON - timedelta(days=30), until=NOON, actor="finance:ann"
        )
        return await self._env.client.start_workflow(
            ReconciliationWorkflow.run, order, id=queue, task_queue=queue
        )

    async def compare(self, sides: Sides) -> Report:
        queue = f"reconciliation-{uuid4().hex}"
        async with a_worker(self._env.client, sides, queue):
            run = await self.started(sides, queue)
            assert "rcn_1" == (await run.execute_update(ReconciliationWorkflow.begun)).id
            return await run.result()


@pytest.fixture
def bench(env: WorkflowEnvironment, exchange: Exchange) -> Bench:
    return Bench(env, exchange)


def refused() -> ApplicationError:
    return ApplicationError("the gateway refuses", type=Trouble.REFUSED, non_retryable=True)


class TestLooks:
    async def test_agreement_needs_one_look(self, bench: Bench) -> None:
        """What agrees at once is done, and its fee is booked."""
        sides = Sides([books()])
        sides.gateway = sides.gateway.model_copy(update={"fee": FEE})

        report = await bench.compare(sides)

        assert (1, 1, 1, 1) == (report.compared, report.agreed, report.fees_booked, sides.looks)
        assert [FEE] == [fee.fee for fee in sides.fees[0].fees]
        assert report.finished_at

    async def test_drift_is_seen_twice(self, bench: Bench) -> None:
        """A difference that a second look does not show was a step under way."""
        sides = Sides([books()])
        sides.troubles = 1

        report = await bench.compare(sides)

        assert ([], 2, 1) == (sides.drifts, sides.looks, report.agreed)

    async def test_drift_that_lasts_is_noted(self, bench: Bench) -> None:
        """What two looks show is found, and opens a repair where that is safe."""
        sides = Sides([books()])
        sides.gateway = shown(amount=1)

        report = await bench.compare(sides)

        assert [(K.AMOUNT, Side.GATEWAY), (K.CAPTURED, Side.GATEWAY)] == [
            (drift.kind, drift.wrong) for drift in sides.drifts
        ]
        assert (1, 0, 2) == (report.compared, report.agreed, sides.looks)
        assert [("repair-pay_1", {"payment_id": "pay_1"})] == [
            (start.id, start.argument) for start in sides.repairs
        ]

    async def test_run_that_did_not_hear_is_nudged(self, bench: Bench) -> None:
        """The payment's own run takes it from there."""
        sides = Sides([books(WAITING)])
        sides.run = InWorkflow(payment_id="pay_1", is_known=True, is_open=True)
        sides.gateway = shown(ago=timedelta(days=365))

        await bench.compare(sides)

        assert (["pay_1"], []) == (sides.nudged, sides.repairs)

    async def test_what_has_no_safe_repair_is_left(self, bench: Bench) -> None:
        """A tampered row is found and told, and nothing is done that begins with it."""
        sides = Sides([books(amount=7)])

        await bench.compare(sides)

        assert [K.AMOUNT] == [drift.kind for drift in sides.drifts]
        assert ([], []) == (sides.nudged, sides.repairs)


class TestTrouble:
    async def test_gateway_that_never_answers_is_not_agreement(self, bench: Bench) -> None:
        """A payment that could not be compared is told as that, and counts as nothing else."""
        sides = Sides([books()])
        sides.troubles = 9

        report = await bench.compare(sides)

        assert [K.NOT_COMPARED] == [drift.kind for drift in sides.drifts]
        assert (0, 0, 3) == (report.compared, report.agreed, sides.looks)
        assert not sides.findings[0].clear

    async def test_look_that_fails_as_a_whole(self, bench: Bench) -> None:
        """The same if the look itself comes to nothing."""
        sides = Sides([books()])
        sides.audit_error = refused()

        await bench.compare(sides)

        assert ["the look at the gateway failed"] == [drift.at_gateway for drift in sides.drifts]

    async def test_movements_that_are_not_told(self, bench: Bench) -> None:
        """Blind to unknown money, the comparison says so and ends."""
        sides = Sides([books()])
        sides.movements_error = refused()

        report = await bench.compare(sides)

        assert [("balance_transactions", K.NOT_COMPARED)] == [
            (drift.subject, drift.kind) for drift in sides.drifts
        ]
        assert report.finished_at

    @pytest.mark.parametrize("step", ["audit_payments", "list_movements"])
    async def test_canceled_comparison_ends(self, house: House, step: str) -> None:
        """An operator's cancel is no trouble of the gateway's: nothing is noted about it."""
        sides = Sides([books()])
        queue = f"reconciliation-{uuid4().hex}"
        gate = house.exchange.roads[queue].close(step)
        async with a_worker(house.env.client, sides, queue):
            run = await Bench(house.env, house.exchange).started(sides, queue)
            await gate.reached.wait()
            await run.cancel()
            gate.open.set()
            with pytest.raises(WorkflowFailureError) as failure:
                await run.result()

        assert isinstance(failure.value.cause, CancelledError)
        assert [] == sides.drifts


class TestMovements:
    async def test_money_that_nobody_knows(self, bench: Bench) -> None:
        """It is named by its intent, or by its charge if it has none."""
        sides = Sides()
        sides.run = InWorkflow(payment_id="pay_9")
        sides.movements = [
            Movements(movements=(moved(), moved()), count=3, next="1"),
            Movements(movements=(moved(None, None),), count=1),
        ]

        report = await bench.compare(sides)

        assert [("pi_9", Side.GATEWAY), ("ch_9", Side.GATEWAY)] == [
            (drift.subject, drift.wrong) for drift in sides.drifts
        ]
        assert "ch_9: 7.00 EUR, ch_9: 7.00 EUR" == sides.drifts[0].at_gateway
        assert 4 == report.movements

    async def test_movement_that_cannot_be_read(self, bench: Bench) -> None:
        """It is told as not compared; the others are looked at, and clear what was told of them."""
        unread = Unread(id="txn_7", why="the gateway's answer cannot be read")
        sides = Sides()
        sides.movements = [Movements(movements=(), count=2, read=("txn_6",), unread=(unread,))]

        report = await bench.compare(sides)

        assert [("txn_7", K.NOT_COMPARED, unread.why)] == [
            (drift.subject, drift.kind, drift.at_gateway) for drift in sides.drifts
        ]
        assert ("txn_6", "balance_transactions") == sides.findings[-1].clear
        assert 2 == report.movements

    async def test_payment_whose_money_moved_behind_us_is_compared(self, bench: Bench) -> None:
        """Nothing was written about it in the period, yet its money moved at the gateway."""
        sides = Sides([], [books()])
        sides.pages = [(), (books(),)]
        sides.movements = [Movements(movements=(moved("pi_1", "pay_1"),), count=1)]
        sides.owners = (
            Owner(intent_id="pi_1", payment_id="pay_1", updated_at=NOON - timedelta(days=90)),
        )
        sides.gateway = shown(refunded=100)

        await bench.compare(sides)

        assert K.REFUNDED in {drift.kind for drift in sides.drifts}

    async def test_known_money_closes_what_was_open(self, bench: Bench) -> None:
        """An intent that a row has by now is clear."""
        sides = Sides()
        sides.movements = [Movements(movements=(moved("pi_1", "pay_1"),), count=1)]
        sides.owners = (
            Owner(intent_id="pi_1", payment_id="pay_1", updated_at=NOON - timedelta(days=1)),
        )

        await bench.compare(sides)

        assert "pi_1" in sides.findings[-1].clear
        assert [] == sides.drifts

    @pytest.mark.parametrize(
        ("refunded", "troubles", "found"),
        [
            (1250, 0, []),
            (0, 0, [(K.UNKNOWN_MONEY, Side.GATEWAY)]),
            (1250, 1, [(K.NOT_COMPARED, Side.UNCLEAR)]),
        ],
    )
    async def test_money_beside_the_intent_that_counts(
        self,
        bench: Bench,
        refunded: int,
        troubles: int,
        found: list[tuple[DriftKind, Side]],
    ) -> None:
        """Both holds of a payment were captured: it is clear when one of them was given back."""
        sides = Sides()
        sides.movements = [Movements(movements=(moved("pi_2", "pay_1"),), count=1)]
        sides.owners = (
            Owner(
                intent_id="pi_2",
                payment_id="pay_1",
                updated_at=NOON - timedelta(days=1),
                is_beside=True,
            ),
        )
        sides.gateway = shown(refunded=refunded)
        sides.troubles = troubles

        await bench.compare(sides)

        assert found == [(drift.kind, drift.wrong) for drift in sides.drifts]
        assert {"pi_2"} >= {drift.subject for drift in sides.drifts}
        assert ("pi_2" in sides.findings[-1].clear) is not bool(found)


class TestLength:
    async def test_long_period_makes_many_runs(
        self, env: WorkflowEnvironment, bench: Bench
    ) -> None:
        """The run goes on as a new one, and counts on where it was."""
        count = policies.PAGES_PER_RUN + 2
        sides = Sides(*([books()] for _ in range(count)))
        queue = f"reconciliation-{uuid4().hex}"

        async with a_worker(env.client, sides, queue):
            run = await bench.started(sides, queue)
            report = await run.result()

        assert (count, count) == (report.compared, report.agreed)
        assert PAID == books().row

    async def test_schedule_names_no_period(
        self, env: WorkflowEnvironment, bench: Bench, exchange: Exchange
    ) -> None:
        """Without a period it is the last two days, under an id that follows from the run's."""
        sides, queue = Sides(), f"reconciliation-{uuid4().hex}"
        exchange.audits[queue] = sides

        async with a_worker(env.client, sides, queue):
            report = await env.client.execute_workflow(
                ReconciliationWorkflow.run, ReconciliationOrder(), id=queue, task_queue=queue
            )

        assert timedelta(days=2) == report.until - report.since
        assert report.id.startswith("rcn_")
        assert "schedule" == report.actor
