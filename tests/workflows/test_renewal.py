"""A hold that ends too soon: the new one is there before the old one goes, and one is left."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from activities.errors import Trouble
from activities.stripe_orders import CaptureOrder, CloseOrder, ConfirmOrder, IntentOrder
from paysaga.domain import renewals
from paysaga.domain.captures import REMINDER
from paysaga.domain.intent import CaptureMethod, IntentStatus
from paysaga.domain.payment import Payment, PaymentState, PaymentStatus
from paysaga.domain.reasons import Reason
from paysaga.domain.repairs import RepairKind
from tests.fake_holds import FakeHolds
from tests.fakes import PRICE, FakeRecords, a_payment, trouble
from tests.workflows.conftest import House, Running, Start, World
from tests.workflows.desk import repaired
from tests.workflows.exchange import Gate
from tests.workflows.stories import lost_in_renewal
from tests.workflows.test_payment_races import Stage, on_stage

S = PaymentStatus
HELD = "requires_capture"
DAY = timedelta(days=1)


async def wanted(env: WorkflowEnvironment, days: int = 20) -> Payment:
    """A payment that is to be held for so long."""
    until = await env.get_current_time() + days * DAY
    return a_payment(capture_method=CaptureMethod.MANUAL).model_copy(
        update={"renew_hold_until": until}
    )


def ends(state: PaymentState) -> datetime:
    assert state.capture_until is not None
    return state.capture_until


def gateway(running: Running) -> FakeHolds:
    assert isinstance(running.world.gateway, FakeHolds)
    return running.world.gateway


def _holds(world: World) -> FakeHolds:
    assert isinstance(world.gateway, FakeHolds)
    return world.gateway


def _deque(*kinds: Trouble) -> deque[ApplicationError]:
    return deque(trouble(kind) for kind in kinds)


@asynccontextmanager
async def renewing(house: House, world: World, step: str) -> AsyncIterator[tuple[Stage, Gate]]:
    """A payment whose hold is being renewed: this step of that waits at the gate."""
    payment = a_payment(capture_method=CaptureMethod.MANUAL).model_copy(
        update={"renew_hold_until": datetime.now(UTC) + 20 * DAY}
    )
    async with on_stage(house, world, payment) as stage:
        await stage.first_outcome()
        gate = stage.road.close(step)
        passing = asyncio.create_task(stage.sleep(6 * DAY))
        await gate.reached.wait()
        yield stage, gate
        passing.cancel()
        await asyncio.gather(passing, return_exceptions=True)


def reasons(records: FakeRecords) -> list[Reason]:
    """What the history tells, step by step."""
    return [change.reason or change.state.reason for change in records.changes]


class TestRenewing:
    async def test_held_as_long_as_the_shop_wants(
        self, env: WorkflowEnvironment, pay: Start
    ) -> None:
        """Three more holds; each is there before the last one goes, and none is left in the end."""
        payment = await wanted(env)

        async with pay(World(FakeHolds(HELD, HELD, HELD, HELD)), payment) as running:
            result = await running.result()

        told = reasons(running.world.records)
        assert (S.EXPIRED, Reason.AUTHORIZATION_OVER) == (result.status, result.reason)
        assert payment.renew_hold_until == result.capture_until
        assert 3 == told.count(Reason.HOLD_RENEWED) == told.count(Reason.OTHER_HOLD_RELEASED)
        assert 1 == told.count(Reason.HOLD_ENDS_SOON)
        assert {"canceled"} == set(gateway(running).statuses.values())
        assert ["create", "confirm", *["look", "create", "confirm", "close"] * 3, "look"] == (
            gateway(running).calls[:-1]
        )

    async def test_nobody_is_there_to_authenticate(
        self, env: WorkflowEnvironment, pay: Start
    ) -> None:
        """The same method is asked for as much money, in an intent that is marked as a renewal."""
        async with pay(World(FakeHolds(HELD, HELD)), await wanted(env, 10)) as running:
            await running.result()

        orders = gateway(running).orders
        first, again = (order for order in orders if isinstance(order, IntentOrder))
        one, two = (order for order in orders if isinstance(order, ConfirmOrder))
        assert (None, first.money) == (first.renewal, again.money)
        assert (one.method, again.renewal) == (two.method, two.renewal)
        assert again.renewal is not None

    async def test_the_new_hold_is_captured(self, env: WorkflowEnvironment, pay: Start) -> None:
        """The shop ships after ten days, and is paid."""
        async with pay(World(FakeHolds(HELD, HELD)), await wanted(env)) as running:
            await running.first_outcome()
            await running.sleep(10 * DAY)
            result = await running.capture(500)

        [order] = [it for it in gateway(running).orders if isinstance(it, CaptureOrder)]
        assert (S.SUCCEEDED, 500) == (result.status, result.amount_captured)
        assert result.intent_id == order.intent_id != "pi_1"
        assert {"pi_1": "canceled", order.intent_id: "succeeded"} == gateway(running).statuses

    async def test_each_close_has_a_key_of_its_own(
        self, env: WorkflowEnvironment, pay: Start
    ) -> None:
        """The gateway keeps an answer under its key: one intent's is not the other's."""
        async with pay(World(FakeHolds(*[HELD] * 4)), await wanted(env)) as running:
            await running.result()

        keys = [
            (order.decision, order.generation)
            for order in gateway(running).orders
            if isinstance(order, CloseOrder)
        ]
        assert 4 == len(set(keys)) == len(keys)


class TestNotRenewing:
    async def test_a_decline_leaves_the_old_hold(
        self, env: WorkflowEnvironment, pay: Start
    ) -> None:
        """The shop is told a day before the end, once, and may still capture."""
        world = World(FakeHolds(HELD, "insufficient_funds"))

        async with pay(world, await wanted(env)) as running:
            await running.first_outcome()
            await running.sleep(6 * DAY + timedelta(hours=12))
            result = await running.capture()

        told = reasons(world.records)
        [note] = [it.note for it in world.records.changes if it.note is not None]
        assert (S.SUCCEEDED, "pi_1") == (result.status, result.intent_id)
        assert (1, 0) == (told.count(Reason.HOLD_NOT_RENEWED), told.count(Reason.HOLD_ENDS_SOON))
        assert "insufficient_funds" == note
        assert ["succeeded", "canceled"] == list(gateway(running).statuses.values())

    @pytest.mark.parametrize("step", ["create", "confirm"])
    async def test_a_refusal_does_no_harm(
        self, env: WorkflowEnvironment, pay: Start, step: str
    ) -> None:
        """The gateway will not have it at all: the hold ends when it does."""
        world = World(FakeHolds(HELD))

        async with pay(world, await wanted(env)) as running:
            await running.first_outcome()
            gateway(running).troubles[step] = _deque(Trouble.REFUSED)
            result = await running.result()

        told = reasons(world.records)
        assert (S.EXPIRED, Reason.AUTHORIZATION_OVER) == (result.status, result.reason)
        assert (1, 0) == (told.count(Reason.HOLD_NOT_RENEWED), told.count(Reason.HOLD_RENEWED))
        assert HELD not in gateway(running).statuses.values()

    async def test_a_hold_that_is_short_is_not_renewed_for_ever(
        self, env: WorkflowEnvironment, pay: Start
    ) -> None:
        """One that would end with the old one is let go: it would be replaced at once."""
        world = World(FakeHolds(HELD, HELD))
        gateway_ = world.gateway
        gateway_.held_until = await env.get_current_time() + timedelta(hours=20)

        async with pay(world, await wanted(env)) as running:
            result = await running.result()

        assert (S.EXPIRED, "pi_1") == (result.status, result.intent_id)
        assert 2 == gateway_.calls.count("confirm")

    async def test_told_in_time(self, env: WorkflowEnvironment, pay: Start) -> None:
        """The bank does not answer all day: after an hour the shop knows, and can still capture."""
        world = World(FakeHolds(HELD, HELD))

        async with pay(world, await wanted(env)) as running:
            await running.first_outcome()
            gateway(running).troubles["confirm"] = _deque(*[Trouble.UNREACHABLE] * 900)
            await running.sleep(6 * DAY + timedelta(hours=12))
            result = await running.capture()

        told = next(it.state for it in world.records.changes if it.state.renewal_failed)
        begun = ends(told) - REMINDER
        assert begun <= told.updated_at < begun + renewals.GIVE_UP_AFTER + timedelta(minutes=10)
        assert (S.SUCCEEDED, "pi_1") == (result.status, result.intent_id)

    async def test_a_hold_that_cannot_be_let_go_is_a_persons(
        self, env: WorkflowEnvironment, pay: Start
    ) -> None:
        """The new one was declined, and the gateway will not cancel it: it may hold money yet."""
        world = World(FakeHolds(HELD, "insufficient_funds"))

        async with pay(world, await wanted(env)) as running:
            await running.first_outcome()
            gateway(running).troubles["close"] = _deque(*[Trouble.REFUSED] * 9)
            result = await running.result()

        assert (S.NEEDS_OPERATOR, "pi_1", True) == (
            result.status,
            result.intent_id,
            result.other_intent_open,
        )

    async def test_one_that_is_not_over_is_a_persons(
        self, env: WorkflowEnvironment, pay: Start
    ) -> None:
        """The bank has not decided about the new one, so that it cannot be canceled."""
        world = World(FakeHolds(HELD, "processing"))

        async with pay(world, await wanted(env)) as running:
            await running.first_outcome()
            gateway(running).cannot_cancel = IntentStatus.PROCESSING
            result = await running.result()

        assert (S.NEEDS_OPERATOR, "pi_1") == (result.status, result.intent_id)
        assert "the other hold cannot be let go" in str(world.records.evidence)


class TestCapturedByHand:
    async def test_the_one_that_was_captured_counts(self, house: House) -> None:
        """Somebody captures the old hold while the new one is made: that is the payment's money."""
        world = World(FakeHolds(HELD, HELD))

        async with renewing(house, world, "close_intent") as (stage, gate):
            _holds(world).captured_there("pi_1")
            gate.open.set()
            result = await house.result_of(stage.run)

        assert (S.SUCCEEDED, "pi_1", PRICE.minor) == (
            result.status,
            result.intent_id,
            result.amount_captured,
        )
        assert ["succeeded", "canceled"] == list(_holds(world).statuses.values())

    async def test_both_captured_are_a_persons(self, house: House) -> None:
        """Twice the money: nothing is decided without a person, and the repair waits for them."""
        world = World(FakeHolds(HELD, HELD))

        async with renewing(house, world, "close_intent") as (stage, gate):
            for name in list(_holds(world).intents):
                _holds(world).captured_there(name)
            gate.open.set()
            result = await house.result_of(stage.run)

        assert S.NEEDS_OPERATOR is result.status
        assert result.other_intent_open
        assert "both holds were captured" in str(world.records.evidence)
        assert Reason.HOLD_RESTORED not in reasons(world.records)


class TestMeanwhile:
    async def test_a_capture_waits_for_the_new_hold(self, house: House) -> None:
        """Asked for while the hold is renewed, it takes the one that counts then."""
        world = World(FakeHolds(HELD, HELD))

        async with renewing(house, world, "confirm_intent") as (stage, gate):
            capturing = await stage.accepted_capture()
            gate.open.set()
            result = await capturing

        assert S.SUCCEEDED is result.status
        assert ["canceled", "succeeded"] == list(_holds(world).statuses.values())

    @pytest.mark.parametrize("step", ["create", "confirm"])
    async def test_a_capture_does_not_wait_for_an_answer(self, house: House, step: str) -> None:
        """The bank has not answered so far: the old hold is captured, and nothing else is held."""
        world = World(FakeHolds(HELD, HELD))

        async with renewing(house, world, f"{step}_intent") as (stage, gate):
            stage.road.before[f"{step}_intent"].extend(_deque(*[Trouble.UNREACHABLE] * 900))
            capturing = await stage.accepted_capture()
            gate.open.set()
            result = await capturing

        assert (S.SUCCEEDED, "pi_1") == (result.status, result.intent_id)
        assert HELD not in _holds(world).statuses.values()
        assert Reason.HOLD_NOT_RENEWED not in reasons(world.records)

    @pytest.mark.parametrize("step", ["create", "confirm"])
    async def test_a_cancel_meanwhile_ends_both(self, house: House, step: str) -> None:
        """The gateway does not answer, and the shop gives up: nothing is held by either."""
        world = World(FakeHolds(HELD, HELD))

        async with renewing(house, world, f"{step}_intent") as (stage, gate):
            stage.road.before[f"{step}_intent"].extend(_deque(*[Trouble.UNREACHABLE] * 9))
            await stage.accepted_cancel()
            gate.open.set()
            result = await house.result_of(stage.run)

        assert (S.CANCELED, Reason.CANCEL_REQUESTED) == (result.status, result.reason)
        assert not result.other_intent_open
        assert HELD not in _holds(world).statuses.values()

    @pytest.mark.parametrize("step", ["create_intent", "confirm_intent", "close_intent"])
    async def test_a_canceled_run_holds_nothing(self, house: House, step: str) -> None:
        """Wherever it was: neither hold is left."""
        world = World(FakeHolds(HELD, HELD))

        async with renewing(house, world, step) as (stage, gate):
            await stage.run.cancel()
            gate.open.set()
            with pytest.raises(WorkflowFailureError):
                await house.result_of(stage.run)

        state = world.records.state
        assert (S.CANCELED, Reason.RUN_CANCELED) == (state.status, state.reason)
        assert not state.other_intent_open
        assert HELD not in _holds(world).statuses.values()


class TestRunLost:
    @pytest.mark.parametrize("captured", [None, "pi_1", "pi_2"])
    async def test_the_repair_lets_go_of_the_other(
        self, house: House, captured: str | None
    ) -> None:
        """The run is gone in mid-renewal: of two holds none is left, or the one with the money."""
        world = lost_in_renewal(FakeHolds())
        if captured:
            _holds(world).captured_there(captured)

        async with repaired(house, world) as desk:
            if captured:
                result = await desk.result()
            else:
                result = await desk.repair(RepairKind.ABANDON)

        statuses = _holds(world).statuses
        assert not result.other_intent_open
        if captured:
            assert (S.SUCCEEDED, captured) == (result.status, result.intent_id)
            assert ["canceled", "succeeded"] == sorted(statuses.values())
        else:
            assert S.CANCELED is result.status
            assert {"canceled"} == set(statuses.values())


class TestBothCaptured:
    @pytest.mark.parametrize("refunded", ["pi_1", "pi_2"])
    async def test_one_of_them_refunded_the_other_counts(self, house: House, refunded: str) -> None:
        """The way out that the evidence names: refund one by hand, and look again."""
        world = both_captured()
        [kept] = {"pi_1", "pi_2"} - {refunded}

        async with repaired(house, world) as desk:
            refusal = await desk.refusal(RepairKind.LOOK_AGAIN)
            _holds(world).refunded_there(refunded)
            result = await desk.repair(RepairKind.LOOK_AGAIN)

        assert "refund one of them at the gateway, then look again" in refusal
        assert (S.SUCCEEDED, kept, PRICE.minor) == (
            result.status,
            result.intent_id,
            result.amount_captured,
        )
        assert not result.other_intent_open

    async def test_it_is_not_judged_before(self, house: House) -> None:
        """While both have money, no look books either, and none changes which of them counts."""
        world = both_captured()

        async with repaired(house, world) as desk:
            for kind in RepairKind:
                if kind is not RepairKind.ATTACH_INTENT:
                    refusal = await desk.refusal(kind, evidence="the bank's letter")
                    assert "both holds were captured" in refusal

        state = world.records.state
        assert (S.NEEDS_OPERATOR, "pi_1", 0) == (
            state.status,
            state.intent_id,
            state.amount_captured,
        )

    async def test_the_second_capture_comes_last(self, house: House) -> None:
        """A payment that is paid, and a hold beside it that nobody could let go: no silence."""
        world = lost_in_renewal(FakeHolds(), is_parked=True)
        gateway_ = _holds(world)
        gateway_.captured_there("pi_1")
        gateway_.troubles["close"] = _deque(*[Trouble.REFUSED] * 9)

        async with repaired(house, world) as desk:
            paid = await desk.repair(RepairKind.MARK_SUCCEEDED, evidence="the bank's letter")
        gateway_.troubles.clear()
        gateway_.captured_there("pi_2")
        async with repaired(house, world) as desk:
            desk.asked.append("the one before")  # each repair has a key of its own
            refusal = await desk.refusal(RepairKind.LOOK_AGAIN)

        assert (S.SUCCEEDED, True) == (paid.status, paid.other_intent_open)
        assert (S.NEEDS_OPERATOR, Reason.GATEWAY_MISMATCH) in [
            (it.state.status, it.state.reason) for it in world.records.changes
        ]
        assert "both holds were captured" in refusal

    async def test_a_hold_that_cannot_be_let_go_does_not_stop_evidence(self, house: House) -> None:
        """The gateway refuses to cancel: what a person can show ends the payment all the same."""
        world = lost_in_renewal(FakeHolds(), is_parked=True)
        _holds(world).troubles["close"] = _deque(*[Trouble.REFUSED] * 9)

        async with repaired(house, world) as desk:
            refusal = await desk.refusal(RepairKind.ABANDON)
            result = await desk.repair(RepairKind.MARK_FAILED, evidence="the bank's letter")

        assert "the gateway refuses" in refusal
        assert (S.FAILED, Reason.MARKED_FAILED) == (result.status, result.reason)
        assert result.other_intent_open


class TestAttaching:
    async def test_the_other_hold_is_not_attached(self, house: House) -> None:
        """Nor is the hold that counts canceled for it: somebody took an old id."""
        world = lost_in_renewal(FakeHolds(), is_parked=True)
        _holds(world).becomes("canceled")

        async with repaired(house, world) as desk:
            refusal = await desk.refusal(RepairKind.ATTACH_INTENT, gateway_id="pi_2")

        assert "pi_2 is the payment's other hold" in refusal
        assert HELD == _holds(world).statuses["pi_1"]


def both_captured() -> World:
    """Parked, and somebody has captured both holds by hand."""
    world = lost_in_renewal(FakeHolds(), is_parked=True)
    for name in ("pi_1", "pi_2"):
        _holds(world).captured_there(name)
    return world
