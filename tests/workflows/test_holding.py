"""Manual capture: money that is held, taken when the shop asks, and let go in time."""

import asyncio
from collections import deque
from datetime import timedelta

import pytest
from temporalio import activity
from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateStage
from temporalio.exceptions import ApplicationError

from activities.errors import Trouble
from activities.stripe_orders import CaptureOrder, CloseOrder, IntentOrder
from paysaga.domain import transitions as rules
from paysaga.domain.intent import CaptureMethod, Intent
from paysaga.domain.payment import AttemptStatus, Fulfillment, Payment, PaymentStatus, RequestMark
from paysaga.domain.reasons import Reason
from tests.fakes import PRICE, FakeGateway, FakeOrders, a_payment, trouble
from tests.workflows.conftest import Running, Start, World
from workflows.payment import PaymentWorkflow
from workflows.requests import CancelRequest, CaptureRequest

S = PaymentStatus
DAY = timedelta(days=1)


def held(*, has_order_service: bool = False) -> Payment:
    return a_payment(capture_method=CaptureMethod.MANUAL, has_order_service=has_order_service)


def a_world(**troubles: list[ApplicationError]) -> World:
    return World(FakeGateway("requires_capture", troubles=troubles))  # type: ignore[arg-type]


async def refusal(payment: Running, amount: int | None = None, key: str = "capture-1") -> str:
    """What a capture that is not taken on is told."""
    with pytest.raises(WorkflowUpdateFailedError) as failure:
        await payment.capture(amount, key)
    cause = failure.value.cause
    assert isinstance(cause, ApplicationError)
    assert "NotNow" == cause.type
    return cause.message


class TestHold:
    async def test_the_first_outcome_is_a_hold(self, pay: Start) -> None:
        """The gateway holds the money, the attempt has done its part, and nothing is booked."""
        world = a_world()

        async with pay(world, held()) as payment:
            first = await payment.first_outcome()
            await payment.cancel()

        [created, *_] = world.gateway.orders
        assert isinstance(created, IntentOrder)
        assert CaptureMethod.MANUAL is created.capture_method
        assert (S.AUTHORIZED, Reason.AUTHORIZED) == (first.status, first.reason)
        assert (PRICE.minor, 0) == (first.amount_authorized, first.amount_captured)
        assert AttemptStatus.SUCCEEDED is world.records.attempts[0].status
        assert () == sum((change.transfers for change in world.records.changes), ())

    async def test_a_hold_that_nobody_asked_for_parks(self, pay: Start) -> None:
        """Money that was to be taken at once and is only held: a person must look."""
        world = a_world()

        async with pay(world) as payment:
            result = await payment.result()

        assert (S.NEEDS_OPERATOR, Reason.GATEWAY_MISMATCH) == (result.status, result.reason)


class TestCapture:
    @pytest.mark.parametrize(("asked", "taken"), [(None, PRICE.minor), (500, 500)])
    async def test_all_or_a_part_is_taken(self, pay: Start, asked: int | None, taken: int) -> None:
        """What was asked for is booked, and it is the end of the hold."""
        world = a_world()

        async with pay(world, held()) as payment:
            await payment.first_outcome()
            answer = await payment.capture(asked)
            result = await payment.result()

        assert answer == result
        assert (S.SUCCEEDED, taken) == (result.status, result.amount_captured)
        [booked] = [move for change in world.records.changes for move in change.transfers]
        assert taken == booked.amount
        assert ["create", "confirm", "capture"] == world.gateway.calls

    async def test_the_shop_hears_that_it_is_paid(self, pay: Start) -> None:
        """The order is reserved while the money is held, and confirmed when it is there."""
        world = a_world()

        async with pay(world, held(has_order_service=True)) as payment:
            await payment.first_outcome()
            assert ["reserve"] == world.orders.calls
            await payment.capture()
            result = await payment.result()

        assert ["reserve", "confirm"] == world.orders.calls
        assert Fulfillment.CONFIRMED is result.fulfillment

    async def test_a_refused_order_gets_its_part_back(self, pay: Start) -> None:
        """The shop has no use for the money any more: what was taken goes back, and no more."""
        world = a_world()
        world.orders = FakeOrders(refused=["confirm"])

        async with pay(world, held(has_order_service=True)) as payment:
            await payment.first_outcome()
            await payment.capture(500)
            result = await payment.result()

        assert (500, 500, 0) == (
            result.amount_captured,
            result.amount_refunded,
            result.amount_refund_pending,
        )

    async def test_a_lost_answer_takes_nothing_twice(self, pay: Start) -> None:
        """Nobody knows what the first call did: it is asked until it is known."""
        lost = [trouble(Trouble.UNREACHABLE), trouble(Trouble.STICKY)]
        world = a_world(capture=lost)

        async with pay(world, held()) as payment:
            await payment.first_outcome()
            captured = asyncio.create_task(payment.capture(500))
            # Whoever waits for an update lets no time pass.
            await payment.pass_time_until(captured.done)
            result = await captured

        asked = [order for order in world.gateway.orders if isinstance(order, CaptureOrder)]
        assert (S.SUCCEEDED, 500) == (result.status, result.amount_captured)
        assert [0, 0, 1] == [order.generation for order in asked]
        assert 1 == len({order.decision for order in asked})

    async def test_more_than_is_held_is_refused(self, pay: Start) -> None:
        """And nothing has happened."""
        world = a_world()

        async with pay(world, held()) as payment:
            await payment.first_outcome()
            message = await refusal(payment, PRICE.minor + 1)
            await payment.cancel()

        assert "more than is held cannot be captured" == message
        assert "capture" not in world.gateway.calls

    async def test_what_is_not_held_is_not_captured(self, pay: Start) -> None:
        """A payment that awaits another card has nothing to take."""
        world = World(FakeGateway("insufficient_funds"))

        async with pay(world, held()) as payment:
            await payment.first_outcome()
            message = await refusal(payment)
            await payment.cancel()

        assert "awaiting_retry" in message

    async def test_a_refusal_leaves_the_hold(self, pay: Start) -> None:
        """The gateway will not take it now: the shop hears so, and may ask again."""
        world = a_world(capture=[trouble(Trouble.REFUSED)])

        async with pay(world, held()) as payment:
            await payment.first_outcome()
            refused = await payment.capture()
            again = await payment.capture(key="capture-2")

        assert (S.AUTHORIZED, Reason.CAPTURE_REFUSED) == (refused.status, refused.reason)
        assert refused.amount_to_capture is None
        assert S.SUCCEEDED is again.status
        decisions = {o.decision for o in world.gateway.orders if isinstance(o, CaptureOrder)}
        assert 2 == len(decisions)

    async def test_a_capture_in_the_dashboard_is_booked(self, pay: Start) -> None:
        """Somebody has captured a part at the gateway: that is what was taken."""
        world = a_world()

        async with pay(world, held()) as payment:
            await payment.first_outcome()
            world.gateway.captured_by_hand(700)
            await payment.nudge()
            result = await payment.result()

        assert (S.SUCCEEDED, 700) == (result.status, result.amount_captured)

    async def test_other_money_than_asked_for_parks(self, pay: Start) -> None:
        """We asked for a part and somebody took another at the same moment: a person must look."""
        world = a_world(capture=[trouble(Trouble.UNREACHABLE)])

        async with pay(world, held()) as payment:
            await payment.first_outcome()
            world.gateway.captured_by_hand(700)
            await payment.capture(500)
            result = await payment.result()

        assert (S.NEEDS_OPERATOR, Reason.GATEWAY_MISMATCH) == (result.status, result.reason)


class TestRace:
    @pytest.mark.parametrize("first", ["capture", "cancel"])
    async def test_of_capture_and_cancel_one_wins(self, pay: Start, first: str) -> None:
        """The other is refused at once, and the money follows the winner."""
        troubles = {"capture": [trouble(Trouble.UNREACHABLE)], "close": [trouble(Trouble.LATER)]}
        world = a_world(**troubles)

        async with pay(world, held()) as payment:
            await payment.first_outcome()
            calls = [payment.capture(), payment.cancel()]
            if first == "cancel":
                calls.reverse()
            answers = await asyncio.gather(*calls, return_exceptions=True)
            result = await payment.result()

        refused = [one for one in answers if isinstance(one, WorkflowUpdateFailedError)]
        assert 1 == len(refused)
        assert result.status in {S.SUCCEEDED, S.CANCELED}
        assert (result.status is S.SUCCEEDED) == ("capture" in world.gateway.calls)
        assert (result.status is S.CANCELED) == ("close" in world.gateway.calls)

    async def test_a_cancel_that_finds_the_money_taken(self, pay: Start) -> None:
        """Somebody has captured it in the dashboard a moment before: the truth wins."""
        world = a_world()

        async with pay(world, held()) as payment:
            await payment.first_outcome()
            world.gateway.captured_by_hand(PRICE.minor)
            answer = await payment.cancel()

        assert (S.SUCCEEDED, PRICE.minor) == (answer.status, answer.amount_captured)


class TestEnd:
    async def test_a_hold_is_let_go_before_its_end(self, pay: Start) -> None:
        """The shop is reminded a day before; then the hold is canceled, and the order released."""
        world = a_world()

        async with pay(world, held(has_order_service=True)) as payment:
            first = await payment.first_outcome()
            result = await payment.result()

        told = [change.state.reason for change in world.records.changes]
        reminded = next(
            change.state
            for change in world.records.changes
            if change.state.reason is Reason.HOLD_ENDS_SOON
        )
        assert first.capture_until is not None
        assert (S.EXPIRED, Reason.AUTHORIZATION_OVER) == (result.status, result.reason)
        assert 1 == told.count(Reason.HOLD_ENDS_SOON)
        assert DAY - timedelta(minutes=1) <= first.capture_until - reminded.updated_at <= DAY
        assert timedelta() <= result.updated_at - first.capture_until < timedelta(minutes=1)
        assert timedelta(days=6, hours=22) < first.capture_until - first.created_at < 7 * DAY
        assert "close" == world.gateway.calls[-1]
        assert ["reserve", "release"] == world.orders.calls

    async def test_the_gateways_own_end_counts(self, pay: Start) -> None:
        """Where the gateway says until when it holds the money, that is what is kept."""
        world = a_world()

        async with pay(world, held()) as payment:
            now = await payment.env.get_current_time()
            world.gateway.held_until = now + timedelta(days=4)
            first = await payment.first_outcome()
            await payment.cancel()

        assert now + timedelta(days=3, hours=23) == first.capture_until

    async def test_a_hold_that_the_gateway_ended(self, pay: Start) -> None:
        """It was canceled there: nothing is held, and nothing was taken."""
        world = a_world()

        async with pay(world, held()) as payment:
            await payment.first_outcome()
            world.gateway.becomes("canceled")
            await payment.nudge()
            result = await payment.result()

        assert (S.CANCELED, Reason.CANCELED_AT_GATEWAY) == (result.status, result.reason)

    async def test_canceling_the_run_lets_go(self, pay: Start) -> None:
        """No hold is left behind that nobody would capture."""
        world = a_world()

        async with pay(world, held()) as payment:
            await payment.first_outcome()
            await payment.run.cancel()
            with pytest.raises(Exception, match="Workflow execution failed"):
                await payment.result()

        assert (S.CANCELED, Reason.RUN_CANCELED) == (
            world.records.state.status,
            world.records.state.reason,
        )
        assert "close" == world.gateway.calls[-1]


class TestSlowCapture:
    async def test_a_capture_that_takes_its_time(self, pay: Start) -> None:
        """The gateway has it in its hands: nothing else is taken on, and its outcome counts."""
        world = a_world()
        world.gateway.captures = deque(["processing"])

        async with pay(world, held()) as payment:
            await payment.first_outcome()
            answer = await payment.capture(500)
            another = await refusal(payment, key="capture-2")
            with pytest.raises(WorkflowUpdateFailedError):
                await payment.cancel()
            world.gateway.captured_by_hand(500)
            result = await payment.result()

        assert (S.AUTHORIZED, Reason.CAPTURE_REQUESTED) == (answer.status, answer.reason)
        assert "another capture of this payment is under way" == another
        assert (S.SUCCEEDED, 500) == (result.status, result.amount_captured)

    async def test_a_capture_that_comes_to_nothing(self, pay: Start) -> None:
        """The gateway holds the money as before: the shop hears so, and may ask again."""
        world = a_world()
        world.gateway.captures = deque(["processing"])

        async with pay(world, held()) as payment:
            await payment.first_outcome()
            await payment.capture(500)
            world.gateway.becomes("requires_capture")
            await payment.nudge()
            await payment.pass_time_until(
                lambda: world.records.state.reason is Reason.CAPTURE_REFUSED
            )
            again = await payment.capture(700, key="capture-2")

        assert (S.SUCCEEDED, 700) == (again.status, again.amount_captured)

    async def test_a_capture_that_finds_the_hold_gone(self, pay: Start) -> None:
        """It was canceled at the gateway before we heard: nothing was taken."""
        world = a_world()

        async with pay(world, held()) as payment:
            await payment.first_outcome()
            world.gateway.becomes("canceled")
            answer = await payment.capture()

        assert (S.CANCELED, Reason.CANCELED_AT_GATEWAY) == (answer.status, answer.reason)

    async def test_a_hold_that_fell_back_parks(self, pay: Start) -> None:
        """What is held cannot ask for a card again: a person must look."""
        world = a_world()

        async with pay(world, held()) as payment:
            await payment.first_outcome()
            world.gateway.becomes("generic_decline")
            await payment.nudge()
            result = await payment.result()

        assert (S.NEEDS_OPERATOR, Reason.GATEWAY_MISMATCH) == (result.status, result.reason)


class SlowToTell(FakeGateway):
    """A gateway that answers a look only when it may."""

    def __init__(self) -> None:
        super().__init__("requires_capture")
        self.is_asked, self.may_tell = asyncio.Event(), asyncio.Event()

    @activity.defn
    async def retrieve_intent(self, intent_id: str) -> Intent:
        self.is_asked.set()
        await self.may_tell.wait()
        return await super().retrieve_intent(intent_id)


class TestTooLate:
    async def test_a_capture_after_the_end(self, pay: Start) -> None:
        """While the hold is being let go nothing is captured any more."""
        world = a_world(close=[trouble(Trouble.UNREACHABLE)] * 6)

        async with pay(world, held()) as payment:
            await payment.first_outcome()
            await payment.pass_time_until(
                lambda: "close" in world.gateway.calls, step=timedelta(hours=1)
            )
            message = await refusal(payment)
            result = await payment.result()

        assert "the time to capture is over" == message
        assert S.EXPIRED is result.status

    async def test_a_capture_during_a_look_that_ends_the_hold(self, pay: Start) -> None:
        """It was accepted, and the look shows that nothing is held: the caller hears that."""
        gateway = SlowToTell()
        world = World(gateway)

        async with pay(world, held()) as payment:
            await payment.first_outcome()
            await payment.nudge()
            await gateway.is_asked.wait()
            mark = RequestMark(key="capture-1", fingerprint="capture-1")
            asked = await payment.run.start_update(
                PaymentWorkflow.capture,
                CaptureRequest(actor="service:shop", request=mark),
                wait_for_stage=WorkflowUpdateStage.ACCEPTED,
            )
            gateway.becomes("canceled")
            gateway.may_tell.set()
            answer = await asked.result()
            await payment.result()

        assert S.CANCELED is answer.status
        assert "capture" not in gateway.calls
        assert mark == world.records.changes[-1].request

    async def test_the_database_knows_that_it_is_over(self, pay: Start) -> None:
        """A task that was lost has let go of the hold: the capture takes nothing."""
        world = a_world()

        async with pay(world, held()) as payment:
            await payment.first_outcome()
            state, attempt = world.records.state, world.records.attempts[-1]
            now = await payment.env.get_current_time()
            world.records.changes += rules.ended(
                state,
                attempt,
                S.CANCELED,
                Reason.CANCEL_REQUESTED,
                now,
                intent=None,
                actor="customer:cst_1",
            )
            answer = await payment.capture()
            await payment.result()

        assert (S.CANCELED, 0) == (answer.status, answer.amount_captured)
        assert "capture" not in world.gateway.calls

    async def test_a_capture_that_outlived_its_hold(self, pay: Start) -> None:
        """The gateway was still at it when the hold ended, and let it go: nothing was taken."""
        world = a_world()
        world.gateway.captures = deque(["processing"])

        async with pay(world, held()) as payment:
            await payment.first_outcome()
            await payment.capture(500)
            await payment.sleep(timedelta(days=8))
            world.gateway.becomes("canceled")
            await payment.nudge()
            result = await payment.result()

        assert (S.EXPIRED, Reason.AUTHORIZATION_OVER) == (result.status, result.reason)


class SlowToClose(FakeGateway):
    """A gateway that cancels only when it may."""

    def __init__(self) -> None:
        super().__init__("requires_capture")
        self.may_close = asyncio.Event()

    @activity.defn
    async def close_intent(self, order: CloseOrder) -> Intent:
        await self.may_close.wait()
        return await super().close_intent(order)


async def test_no_capture_while_a_cancel_is_under_way(pay: Start) -> None:
    """Who was first is heard; the other is told why."""
    gateway = SlowToClose()

    async with pay(World(gateway), held()) as payment:
        await payment.first_outcome()
        mark = RequestMark(key="cancel-1", fingerprint="cancel-1")
        await payment.run.start_update(
            PaymentWorkflow.cancel,
            CancelRequest(actor="customer:cst_1", request=mark),
            wait_for_stage=WorkflowUpdateStage.ACCEPTED,
        )
        message = await refusal(payment)
        gateway.may_close.set()
        result = await payment.result()

    assert "the payment is being canceled" == message
    assert S.CANCELED is result.status
