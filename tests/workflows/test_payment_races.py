"""Requests, deadlines, outages and restarts that meet in every order.

Whatever comes first, the payment ends as the gateway's intent did, every caller gets an answer and
no run is left failing its workflow tasks.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any, Final, cast
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import (
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateStage,
)
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    TimeoutType,
    is_cancelled_exception,
)
from temporalio.exceptions import TimeoutError as ActivityTimeout
from temporalio.service import RPCError, RPCStatusCode

from activities.errors import Trouble
from activities.records import NOT_WRITABLE, ORDER_TAKEN
from activities.stripe_orders import CloseOrder, ConfirmOrder, RefundOrder
from activities.stripe_words import Refund
from paysaga.domain.intent import CaptureMethod, Intent, IntentStatus
from paysaga.domain.payment import (
    FINAL,
    Change,
    Changes,
    Fulfillment,
    Payment,
    PaymentState,
    PaymentStatus,
    Recorded,
    RequestMark,
)
from paysaga.domain.reasons import Reason
from paysaga.domain.transitions import attempt_after
from tests.fake_checkout import PAGE, FakeCheckout
from tests.fakes import FakeGateway, FakeOrders, FakeRecords, a_payment, trouble
from tests.workers import workflow_worker
from tests.workflows.conftest import House, World, beside_the_gateway
from tests.workflows.exchange import Road
from workflows import asking
from workflows.payment import PaymentWorkflow
from workflows.repair import RepairWorkflow
from workflows.requests import CancelRequest, CaptureRequest, RetryRequest

S = PaymentStatus
SEEDS = 40
CANCELED_SEEDS = 10
QUICK_SEEDS = 10
QUICK_CANCELED_SEEDS = 5
# A local activity that takes longer than this lets the run hear of other things meanwhile.
SHORT = timedelta(seconds=1)
DECIDED = frozenset({IntentStatus.SUCCEEDED, IntentStatus.CANCELED})


class StripeLike(FakeGateway):
    """A gateway that keeps Stripe's promises: one key, one effect; final is final."""

    def __init__(self, *script: str) -> None:
        super().__init__(*script)
        self.refunded = 0
        self.looks_until_decided = 3
        self._answered: dict[tuple[int, int], Intent] = {}

    @activity.defn
    async def confirm_intent(self, order: ConfirmOrder) -> Intent:
        self._called("confirm", order)
        key = (order.attempt, order.generation)
        if key not in self._answered:
            if self.intent.status not in {*DECIDED, IntentStatus.PROCESSING}:
                self.becomes(self.script.popleft())
            self._answered[key] = self.intent
        return self.intent

    @activity.defn
    async def retrieve_intent(self, intent_id: str) -> Intent:
        self._called("look", intent_id)
        if self.intent.status is IntentStatus.PROCESSING:
            self.looks_until_decided -= 1
            if self.looks_until_decided <= 0:
                self.becomes("succeeded")
        return self.intent

    @activity.defn
    async def close_intent(self, order: CloseOrder) -> Intent:
        self._called("close", order)
        if self.intent.status not in {*DECIDED, IntentStatus.PROCESSING}:
            self.becomes("canceled")
        return self.intent

    @activity.defn
    async def refund_intent(self, order: RefundOrder) -> Refund:
        self._called("refund", order)
        assert IntentStatus.SUCCEEDED is self.intent.status
        self.refunded = order.money.minor  # one key: a repeat is the same refund
        return self._refund(order)

    def customer_does(self, word: str) -> None:
        """Only an intent that waits for the customer hears what they do."""
        if self.intent.status is IntentStatus.REQUIRES_ACTION:
            self.becomes(word)


class StrictRecords(FakeRecords):
    """Records that notice when a change is taken for another one of the same version.

    A workflow task that is done again writes the same step at another time: that is no loss.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lost: list[Change] = []

    @activity.defn
    async def record(self, batch: Changes) -> Recorded | None:
        recorded = await super().record(batch)
        for change in batch.changes if recorded is None or recorded.taken else ():
            if _step(change) != _step(self.changes[change.state.version - 1]):
                self.lost.append(change)
        return recorded


def _step(change: Change) -> tuple[object, ...]:
    state = change.state
    return (
        state.status,
        state.reason,
        state.fulfillment,
        state.attempts_used,
        state.amount_captured,
        state.amount_refunded,
        state.amount_refund_pending,
        change.request,
        change.transfers,
    )


@dataclass
class Stage:
    """A payment under way, whose worker can be stopped and whose road can be blocked."""

    house: House
    world: World
    road: Road
    run: WorkflowHandle[PaymentWorkflow, PaymentState]
    queue: str
    cached: int
    worker: AsyncExitStack
    asked: list[asyncio.Task[PaymentState]] = field(default_factory=list)

    async def restart(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Replace the worker, as a deploy does."""
        await self.worker.aclose()
        meanwhile()
        await self.start_worker()

    async def start_worker(self) -> None:
        await self.worker.enter_async_context(
            workflow_worker(
                self.house.env.client,
                task_queue=self.queue,
                workflows=[PaymentWorkflow, RepairWorkflow],
                activities=beside_the_gateway(self.world),
                interceptors=[self.house.exchange],
                max_cached_workflows=self.cached,
            )
        )

    async def sleep(self, time: timedelta | None = None) -> None:
        """Let the run's clock go on; without a time, until the run is over."""
        with suppress(RPCError):  # over already
            await self.house.env.fast_forward(self.run, time)

    def first_outcome(self) -> asyncio.Task[PaymentState]:
        return self._ask(PaymentWorkflow.first_outcome)

    def refresh(self) -> asyncio.Task[PaymentState]:
        return self._ask(PaymentWorkflow.refresh)

    def retry(self) -> asyncio.Task[PaymentState]:
        key = f"retry-{len(self.asked)}"
        mark = RequestMark(key=key, fingerprint=key)
        return self._ask(
            PaymentWorkflow.retry, RetryRequest(method="pm_2", actor="customer:1", request=mark)
        )

    def cancel(self) -> asyncio.Task[PaymentState]:
        return self._ask(PaymentWorkflow.cancel, _cancel_request())

    async def accepted_cancel(self) -> None:
        """The run has heard of it; the answer comes later."""
        await self.run.start_update(
            PaymentWorkflow.cancel,
            _cancel_request(),
            wait_for_stage=WorkflowUpdateStage.ACCEPTED,
        )

    async def accepted_retry(self) -> asyncio.Task[PaymentState]:
        mark = RequestMark(key="retry-accepted", fingerprint="retry-accepted")
        asked = await self.run.start_update(
            PaymentWorkflow.retry,
            RetryRequest(method="pm_2", actor="customer:1", request=mark),
            wait_for_stage=WorkflowUpdateStage.ACCEPTED,
        )
        return asyncio.create_task(asked.result())

    async def accepted_refresh(self) -> asyncio.Task[PaymentState]:
        asked = await self.run.start_update(
            PaymentWorkflow.refresh, wait_for_stage=WorkflowUpdateStage.ACCEPTED
        )
        return asyncio.create_task(asked.result())

    async def accepted_capture(self) -> asyncio.Task[PaymentState]:
        mark = RequestMark(key="capture-accepted", fingerprint="capture-accepted")
        asked = await self.run.start_update(
            PaymentWorkflow.capture,
            CaptureRequest(amount=None, actor="service:shop", request=mark),
            wait_for_stage=WorkflowUpdateStage.ACCEPTED,
        )
        return asyncio.create_task(asked.result())

    async def events(self) -> list[str]:
        history = await self.run.fetch_history()
        return [
            EventType.Name(event.event_type).removeprefix("EVENT_TYPE_") for event in history.events
        ]

    async def bugs(self) -> list[str]:
        """Why workflow tasks failed.

        That something arrived while the run was about to end is no bug: the task is done again.
        """
        history = await self.run.fetch_history()
        told = [
            event.workflow_task_failed_event_attributes
            for event in history.events
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
        ]
        return [
            failed.failure.message
            for failed in told
            if failed.cause != WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND
        ]

    def _ask(self, update: Any, *args: Any) -> asyncio.Task[PaymentState]:
        task = asyncio.create_task(self.run.execute_update(update, *args))
        self.asked.append(task)
        return task


def _cancel_request() -> CancelRequest:
    mark = RequestMark(key="cancel-1", fingerprint="c")
    return CancelRequest(actor="customer:1", request=mark)


@asynccontextmanager
async def on_stage(
    house: House,
    world: World,
    payment: Payment | None = None,
    *,
    road: Road | None = None,
    cached: int = 100,
) -> AsyncIterator[Stage]:
    payment = payment or a_payment()
    payment = payment.model_copy(update={"id": f"pay_{uuid4().hex}"})
    queue, road = f"payments-{payment.id}", road or Road()
    house.exchange.gateways[payment.id] = world.gateway
    house.exchange.roads[payment.id] = road
    if isinstance(world.gateway, FakeCheckout):
        house.exchange.checkouts[payment.id] = world.gateway
    with house.env.with_time_skipping_disabled():
        run = await house.env.client.start_workflow(
            PaymentWorkflow.run, payment, id=payment.id, task_queue=queue, task_timeout=SHORT
        )
    async with AsyncExitStack() as worker:
        stage = Stage(house, world, road, run, queue, cached, worker)
        await stage.start_worker()
        yield stage


async def _result(stage: Stage) -> PaymentState:
    """The run's result, with time passing; a canceled run's is what it wrote last."""
    try:
        return await stage.house.result_of(stage.run)
    except WorkflowFailureError as failure:
        if not isinstance(failure.cause, CancelledError):
            raise
        return stage.world.records.state


class TestRequestsBeforeTheAttempt:
    async def test_refresh_while_the_intent_is_opened_is_answered(self, house: House) -> None:
        """Who asks for a look before the first attempt hears its outcome, not the hold's end."""
        world = World(FakeGateway("generic_decline"))
        road = Road()
        create = road.close("create_intent")

        async with on_stage(house, world, road=road) as stage:
            await create.reached.wait()
            asked = await stage.accepted_refresh()
            create.open.set()
            first = await stage.first_outcome()
            done, _ = await asyncio.wait([asked], timeout=2)
            await stage.cancel()
            await asked

        assert S.AWAITING_RETRY is first.status
        assert {asked} == done

    @pytest.mark.parametrize("step", ["reserve", "create_intent"])
    async def test_canceled_before_the_attempt_is_never_charged(
        self, house: House, step: str
    ) -> None:
        """A cancel that the run has taken before the confirm was sent keeps it from being sent."""
        world = World(FakeGateway("succeeded"))
        road = Road()
        gate = road.close(step)

        async with on_stage(house, world, a_payment(has_order_service=True), road=road) as stage:
            await gate.reached.wait()
            await stage.accepted_cancel()
            gate.open.set()
            result = await _result(stage)

        assert (S.CANCELED, Reason.CANCEL_REQUESTED) == (result.status, result.reason)
        assert "confirm" not in world.gateway.calls
        assert "release" == world.orders.calls[-1]

    async def test_a_cancel_that_waits_is_seen_in_the_run(self, house: House) -> None:
        """The gateway has not answered: whoever opens the run sees that it was asked for."""
        world = World(FakeGateway("succeeded"))
        road = Road()
        gate = road.close("create_intent")

        async with on_stage(house, world, road=road) as stage:
            await gate.reached.wait()
            await stage.accepted_cancel()
            told = await stage.run.query(
                "__temporal_workflow_metadata", result_type=WorkflowMetadata
            )
            gate.open.set()
            await _result(stage)

        assert "asked for, and not done yet: cancel, by " in told.current_details

    async def test_hold_that_ends_during_the_reservation_is_not_charged(self, house: House) -> None:
        """The order service was away for longer than the hold: nobody waits for the goods."""
        world = World(FakeGateway("succeeded"), orders=FakeOrders(down={"reserve": 12}))

        async with on_stage(
            house, world, a_payment(has_order_service=True, hold=timedelta(minutes=2))
        ) as stage:
            result = await _result(stage)

        assert (S.EXPIRED, Reason.HOLD_OVER) == (result.status, result.reason)
        assert "confirm" not in world.gateway.calls

    async def test_retry_that_meets_the_end_of_the_hold_is_not_charged(self, house: House) -> None:
        """The order was asked about for longer than the hold: the retry hears that it is over."""
        world = World(
            FakeGateway("generic_decline", "succeeded"), orders=FakeOrders(down={"still_waits": 12})
        )
        road = Road()
        gate = road.close("still_waits")
        payment = a_payment(has_order_service=True, hold=timedelta(minutes=2))

        async with on_stage(house, world, payment, road=road) as stage:
            await stage.first_outcome()
            retried = stage.retry()
            await gate.reached.wait()  # the retry was taken before any time goes by
            gate.open.set()
            result = await _result(stage)
            answer = await retried

        assert S.EXPIRED is result.status is answer.status
        assert 1 == world.gateway.calls.count("confirm")

    async def test_retry_that_meets_a_cancel_is_not_charged(self, house: House) -> None:
        """Canceled while the shop is asked whether the order still waits: no second attempt."""
        world = World(FakeGateway("generic_decline", "succeeded"))
        road = Road()
        gate = road.close("still_waits")

        async with on_stage(house, world, a_payment(has_order_service=True), road=road) as stage:
            await stage.first_outcome()
            retried = stage.retry()
            await gate.reached.wait()
            await stage.accepted_cancel()
            gate.open.set()
            result = await _result(stage)
            answer = await retried

        assert S.CANCELED is result.status is answer.status
        assert 1 == world.gateway.calls.count("confirm")


class TestRequestsDuringTheAttempt:
    async def test_cancel_while_the_confirm_is_tried_again(self, house: House) -> None:
        """The gateway is away; who gives up meanwhile is canceled once that is proved."""
        world = World(FakeGateway(troubles={"confirm": [trouble(Trouble.UNREACHABLE)] * 30}))

        async with on_stage(house, world) as stage:
            while Reason.GATEWAY_UNREACHABLE not in [
                change.state.reason for change in world.records.changes
            ]:
                await stage.sleep(timedelta(seconds=5))
            canceled = stage.cancel()
            result = await _result(stage)
            answer = await canceled

        assert result == answer
        assert S.CANCELED is result.status
        assert "close" == world.gateway.calls[-1]
        assert IntentStatus.CANCELED is world.gateway.intent.status

    async def test_lost_answer_of_a_success_is_found_by_the_cancel(self, house: House) -> None:
        """The money moved and no answer came: the cancel finds it, and the truth wins."""
        world = World(StripeLike("succeeded"))
        road = Road()
        road.after["confirm_intent"].extend([trouble(Trouble.UNREACHABLE)] * 4)
        road.before["confirm_intent"].extend([])
        gate = road.close("confirm_intent")

        async with on_stage(house, world, a_payment(has_order_service=True), road=road) as stage:
            await gate.reached.wait()
            await stage.accepted_cancel()
            gate.open.set()
            result = await _result(stage)

        assert (S.SUCCEEDED, Fulfillment.CONFIRMED) == (result.status, result.fulfillment)
        assert 1 == world.gateway.charges

    async def test_cancel_while_the_attempt_is_under_way_hears_its_outcome(
        self, house: House
    ) -> None:
        """It came too late to stop the charge: the answer says that it is paid."""
        world = World(FakeGateway("succeeded"))
        road = Road()
        gate = road.close("confirm_intent")

        async with on_stage(house, world, road=road) as stage:
            await gate.reached.wait()
            canceled = await stage.run.start_update(
                PaymentWorkflow.cancel,
                _cancel_request(),
                wait_for_stage=WorkflowUpdateStage.ACCEPTED,
            )
            gate.open.set()
            answer = await canceled.result()

        assert (S.SUCCEEDED, 1250) == (answer.status, answer.amount_captured)

    async def test_cancel_of_a_declined_attempt_ends_the_payment(self, house: House) -> None:
        """The attempt that was under way is declined: then the cancel takes its effect."""
        world = World(FakeGateway("generic_decline"))
        road = Road()
        gate = road.close("confirm_intent")

        async with on_stage(house, world, road=road) as stage:
            await gate.reached.wait()
            await stage.accepted_cancel()
            gate.open.set()
            result = await _result(stage)

        assert (S.CANCELED, Reason.CANCEL_REQUESTED) == (result.status, result.reason)

    async def test_retry_and_refresh_at_the_same_moment(self, house: House) -> None:
        """Both callers are answered, and the attempt is made once."""
        world = World(FakeGateway("generic_decline", "succeeded"))

        async with on_stage(house, world) as stage:
            await stage.first_outcome()
            answers = await asyncio.gather(stage.refresh(), stage.retry())

        assert S.SUCCEEDED is answers[1].status
        assert 2 == world.gateway.calls.count("confirm")

    async def test_two_retries_at_once_are_one(self, house: House) -> None:
        """A double click makes one attempt; the second hears that one is under way or over."""
        world = World(FakeGateway("generic_decline", "succeeded"))

        async with on_stage(house, world) as stage:
            await stage.first_outcome()
            answers = await asyncio.gather(stage.retry(), stage.retry(), return_exceptions=True)

        assert 2 == world.gateway.calls.count("confirm")
        assert 1 == sum(isinstance(answer, PaymentState) for answer in answers)

    async def test_look_that_finds_the_money_stops_the_retry(self, house: House) -> None:
        """The customer finished the old 3DS and retries at the same time: one success, no attempt.

        The look comes first, and what it finds is the retry's answer.
        """
        world = World(StripeLike("requires_action", "succeeded"))
        road = Road()

        async with on_stage(house, world, road=road) as stage:
            await stage.first_outcome()
            while world.records.state.status is not S.AWAITING_RETRY:
                await stage.sleep(timedelta(minutes=1))
            look = road.close("retrieve_intent")
            await stage.run.signal(PaymentWorkflow.nudged)
            await look.reached.wait()
            retried = await stage.accepted_retry()
            world.gateway.becomes("succeeded")
            look.open.set()
            answer = await retried
            await _result(stage)

        assert S.SUCCEEDED is answer.status
        assert 1 == world.gateway.calls.count("confirm")
        asked = [change.request for change in world.records.changes[1:] if change.request]
        assert 1 == len(asked)  # the request is known when it comes again

    async def test_retry_during_a_look_that_moves_the_payment_hears_where_it_stands(
        self, house: House
    ) -> None:
        """The gateway is deciding after all: nothing is tried again, and the caller knows."""
        world = World(StripeLike("requires_action"))
        road = Road()

        async with on_stage(house, world, road=road) as stage:
            await stage.first_outcome()
            world.gateway.becomes("payment_intent_authentication_failure")
            await stage.refresh()
            look = road.close("retrieve_intent")
            await stage.run.signal(PaymentWorkflow.nudged)
            await look.reached.wait()
            retried = await stage.accepted_retry()
            world.gateway.becomes("processing")
            look.open.set()
            answer = await retried
            while not world.records.is_final:  # each is a look, without any time to pass
                await stage.refresh()
            result = await stage.run.result()

        assert (S.PROCESSING, Reason.GATEWAY_PROCESSING) == (answer.status, answer.reason)
        assert S.SUCCEEDED is result.status
        assert 1 == world.gateway.calls.count("confirm")


class TestRequestsRefused:
    async def test_cancel_comes_too_late_for_a_paid_order(self, house: House) -> None:
        """Paid, and the shop is being told: a cancel is refused, and the order is confirmed."""
        world = World(FakeGateway("succeeded"))
        road = Road()
        gate = road.close("confirm")

        async with on_stage(house, world, a_payment(has_order_service=True), road=road) as stage:
            await gate.reached.wait()
            with pytest.raises(WorkflowUpdateFailedError) as refused:
                await stage.cancel()
            gate.open.set()
            result = await _result(stage)

        assert isinstance(refused.value.cause, ApplicationError)
        assert "NotNow" == refused.value.cause.type
        assert Fulfillment.CONFIRMED is result.fulfillment

    async def test_no_second_request_while_one_is_under_way(self, house: House) -> None:
        """Who retries while a cancel is under way is told so."""
        world = World(FakeGateway("generic_decline"))
        road = Road()
        gate = road.close("close_intent")

        async with on_stage(house, world, road=road) as stage:
            await stage.first_outcome()
            canceled = stage.cancel()
            await gate.reached.wait()
            with pytest.raises(WorkflowUpdateFailedError) as refused:
                await stage.retry()
            gate.open.set()
            answer = await canceled

        assert "another request" in str(refused.value.cause)
        assert S.CANCELED is answer.status

    async def test_retry_after_the_hold_is_refused(self, house: House) -> None:
        """The hold is over and the gateway's proof still awaited: no attempt any more."""
        world = World(FakeGateway("generic_decline"))
        road = Road()
        gate = road.close("close_intent")

        async with on_stage(house, world, a_payment(hold=timedelta(minutes=1)), road=road) as stage:
            await stage.first_outcome()
            ended = asyncio.create_task(_result(stage))
            await gate.reached.wait()
            with pytest.raises(WorkflowUpdateFailedError) as refused:
                await stage.retry()
            gate.open.set()
            result = await ended

        assert "the time for further attempts is over" in str(refused.value.cause)
        assert S.EXPIRED is result.status


class TestGatewayRefuses:
    @pytest.mark.parametrize("step", ["look", "close", "refund"])
    async def test_what_the_gateway_refuses_for_good_parks(self, house: House, step: str) -> None:
        """A look, cancel or refund that the gateway will never take is left to a person.

        It must not leave a run that fails its workflow task over and over, seen by nobody.
        """
        world = World(
            FakeGateway(
                "succeeded" if step == "refund" else "requires_action",
                troubles={step: [trouble(Trouble.REFUSED)] * 5},
            ),
            orders=FakeOrders(refused={"confirm"}),
        )

        async with on_stage(house, world, a_payment(has_order_service=True)) as stage:
            await stage.first_outcome()
            if step == "close":
                await stage.accepted_cancel()
            elif step == "look":
                await stage.run.signal(PaymentWorkflow.nudged)
            bugs: list[str] = []
            while not bugs and world.records.state.status is not S.NEEDS_OPERATOR:
                bugs = await stage.bugs()
            status = world.records.state.status
            await stage.run.terminate()

        assert [] == bugs
        assert S.NEEDS_OPERATOR is status


class TestFoundByItself:
    async def test_old_attempts_late_decline_is_not_the_new_ones(self, house: House) -> None:
        """What is known before an attempt is what the gateway shows then, not what it once said."""
        world = World(FakeGateway("requires_action", "succeeded"))

        async with on_stage(house, world) as stage:
            await stage.first_outcome()
            while world.records.state.status is not S.AWAITING_RETRY:
                await stage.sleep(timedelta(minutes=1))
            world.gateway.becomes("insufficient_funds")  # late, and its webhook is lost
            answer = await stage.retry()

        confirms = [order for order in world.gateway.orders if isinstance(order, ConfirmOrder)]
        assert S.SUCCEEDED is answer.status
        assert [None, "ch_1"] == [order.seen_charge_id for order in confirms]

    async def test_refresh_hears_what_the_cancel_has_found(self, house: House) -> None:
        """Nobody is sent to the bank's page after the money has moved."""
        world = World(StripeLike("requires_action"))
        road = Road()
        gate = road.close("close_intent")

        async with on_stage(house, world, road=road) as stage:
            await stage.first_outcome()
            await stage.accepted_cancel()
            await gate.reached.wait()
            refreshed = await stage.accepted_refresh()
            world.gateway.becomes("succeeded")
            writing = road.close("record")
            gate.open.set()
            await writing.reached.wait()
            writing.open.set()
            await _result(stage)

        assert S.SUCCEEDED is (await refreshed).status

    async def test_each_cancel_has_a_key_of_its_own(self, house: House) -> None:
        """What the gateway refused once is kept under its key; the next time is asked anew."""
        world = World(FakeGateway("requires_action"))
        world.gateway.cannot_cancel = IntentStatus.REQUIRES_ACTION

        async with on_stage(house, world) as stage:
            await stage.first_outcome()
            await stage.accepted_cancel()
            while world.gateway.calls.count("close") < 3:
                await stage.sleep(timedelta(seconds=30))
            world.gateway.cannot_cancel = None
            await _result(stage)

        closes = [order for order in world.gateway.orders if isinstance(order, CloseOrder)]
        assert list(range(len(closes))) == [order.generation for order in closes]

    async def test_refresh_during_a_slow_cancel_is_answered(self, house: House) -> None:
        """Who asks while the gateway neither cancels nor tells hears how it stands."""
        world = World(FakeGateway("requires_action"))
        world.gateway.cannot_cancel = IntentStatus.REQUIRES_ACTION

        async with on_stage(house, world) as stage:
            await stage.first_outcome()
            canceled = stage.cancel()
            refreshed = stage.refresh()
            while not refreshed.done():
                await stage.sleep(timedelta(seconds=30))
            world.gateway.cannot_cancel = None
            await _result(stage)

        assert S.REQUIRES_ACTION is (await refreshed).status
        assert S.CANCELED is (await canceled).status


class TestKeysOfRetries:
    async def test_retry_of_a_lost_order_is_known_when_it_comes_again(self, house: House) -> None:
        """The order is gone: no attempt is made, and the key stays the request's."""
        world = World(StripeLike("generic_decline"), orders=FakeOrders(refused={"still_waits"}))

        async with on_stage(house, world, a_payment(has_order_service=True)) as stage:
            await stage.first_outcome()
            answer = await stage.retry()
            await _result(stage)

        asked = [change.request for change in world.records.changes[1:] if change.request]
        assert (S.CANCELED, Reason.ORDER_REFUSED) == (answer.status, answer.reason)
        assert 1 == len(asked)


class TestDatabaseOutage:
    async def test_long_outage_does_not_fill_the_history(self, house: House) -> None:
        """When the local tries have come to their end, an activity waits for the database."""
        world = World(StripeLike("succeeded"))
        road = Road()
        road.before["record"].append(ApplicationError("no local try is left", non_retryable=True))
        road.before["record"].extend([ConnectionError("the database is away")] * 40)

        async with on_stage(house, world, road=road) as stage:
            result = await _result(stage)
            events = await stage.events()

        assert S.SUCCEEDED is result.status
        assert [S.CREATED, S.PROCESSING, S.SUCCEEDED] == world.records.statuses
        assert 100 > len(events)


class OnceAStrangers(FakeRecords):
    """At first another payment has the id."""

    was_asked_first = False

    @activity.defn
    async def record(self, batch: Changes) -> Recorded | None:
        if self.was_asked_first:
            return await super().record(batch)
        self.was_asked_first = True
        stranger = batch.changes[0].model_copy(update={"actor": "service:another"})
        return Recorded(state=stranger.state, attempt=attempt_after(batch.changes), taken=False)


class TestDatabaseRefuses:
    async def test_bug_stops_the_run_until_it_is_mended(self, house: House) -> None:
        """What the database never takes fails the workflow task, and gives no money back."""
        world = World(StripeLike("succeeded"))
        road = Road()
        road.before["record"].append(ApplicationError("a check fails", type=NOT_WRITABLE))

        async with on_stage(house, world, road=road) as stage:
            result = await _result(stage)

        assert S.SUCCEEDED is result.status
        assert ["create", "confirm"] == world.gateway.calls

    async def test_another_payment_of_the_id_stops_the_run(self, house: House) -> None:
        """What cannot be is no failure of the run: it waits until the stranger is gone."""
        records = OnceAStrangers()
        world = World(StripeLike("succeeded"), records=records)

        async with on_stage(house, world) as stage:
            result = await _result(stage)

        assert S.SUCCEEDED is result.status
        assert records.was_asked_first
        assert ["create", "confirm"] == world.gateway.calls

    async def test_taken_order_is_told_also_after_an_outage(self, house: House) -> None:
        """Whichever way it was written: the run fails by the same name."""
        world = World(StripeLike())
        road = Road()
        taken = ApplicationError("taken", "pay_first", type=ORDER_TAKEN, non_retryable=True)
        road.before["record"].append(ApplicationError("no local try is left", non_retryable=True))
        road.before["record"].append(taken)

        async with on_stage(house, world, road=road) as stage:
            with pytest.raises(WorkflowFailureError) as failed:
                await stage.run.result()

        assert isinstance(failed.value.cause, ApplicationError)
        assert ORDER_TAKEN == failed.value.cause.type
        assert [] == world.gateway.calls


class TestGatewayOutage:
    async def test_silence_for_a_week_is_asked_by_the_hour(self, house: House) -> None:
        """A cancel that has no proof for a week is asked again every hour, under new keys."""
        world = World(FakeGateway("generic_decline"))
        road = Road()
        silence = [*[_told_to_wait(timedelta(days=2))] * 4, trouble(Trouble.UNREACHABLE)]
        road.before["close_intent"].extend(silence)

        async with on_stage(house, world, road=road) as stage:
            await stage.first_outcome()
            await stage.accepted_cancel()
            result = await _result(stage)

        (order,) = [order for order in world.gateway.orders if isinstance(order, CloseOrder)]
        assert S.CANCELED is result.status
        assert timedelta(days=8, hours=1) <= result.updated_at - result.created_at
        assert 3 < order.generation

    def test_call_that_nobody_finished_is_asked_again(self) -> None:
        """A worker that went away in the middle of a call leaves nothing but a timeout."""
        error = ActivityError(
            "timed out",
            scheduled_event_id=1,
            started_event_id=2,
            identity="",
            activity_type="confirm_intent",
            activity_id="1",
            retry_state=None,
        )
        error.__cause__ = ActivityTimeout(
            "timed out", type=TimeoutType.START_TO_CLOSE, last_heartbeat_details=[]
        )
        killed = asking._trouble(error)
        error.__cause__ = ApplicationError("shutting down", type="WorkerShutdown")
        stopped = asking._trouble(error)

        assert Trouble.UNREACHABLE is killed is stopped

    async def test_cancel_does_not_wait_for_a_look(self, house: House) -> None:
        """Who gives up while a look finds no gateway hears as soon as the cancel is proved."""
        world = World(FakeGateway("requires_action"))
        road = Road()

        async with on_stage(house, world, road=road) as stage:
            await stage.first_outcome()
            road.before["retrieve_intent"].extend([trouble(Trouble.STICKY)] * 50)
            stage.refresh()
            while len(road.before["retrieve_intent"]) > 48:
                await stage.sleep(timedelta(seconds=5))
            canceled = stage.cancel()
            result = await _result(stage)
            await asyncio.gather(*stage.asked)

        assert S.CANCELED is canceled.result().status is result.status
        assert "look" not in world.gateway.calls

    async def test_gateway_that_neither_cancels_nor_tells_is_not_pressed(
        self, house: House
    ) -> None:
        """It is asked again, less and less often, until it does."""
        world = World(FakeGateway("requires_action"))
        world.gateway.cannot_cancel = IntentStatus.REQUIRES_ACTION

        async with on_stage(house, world) as stage:
            await stage.first_outcome()
            await stage.accepted_cancel()
            await stage.sleep(timedelta(minutes=10))
            asked = world.gateway.calls.count("close")
            world.gateway.cannot_cancel = None
            result = await _result(stage)

        assert 3 <= asked <= 8
        assert S.CANCELED is result.status


def _told_to_wait(time: timedelta) -> ApplicationError:
    return ApplicationError("later", type=Trouble.LATER, next_retry_delay=time)


class TestCanceledRun:
    @pytest.mark.parametrize(
        "step", ["reserve", "create_intent", "confirm_intent", "retrieve_intent"]
    )
    async def test_cancel_during_any_call_puts_everything_back(
        self, house: House, step: str
    ) -> None:
        """Cancel in the Temporal UI during any call: nothing is kept, and the row says so."""
        word = "requires_action" if step == "retrieve_intent" else "succeeded"
        world = World(StripeLike(word), records=StrictRecords())
        road = Road()
        gate = road.close(step)

        async with on_stage(
            house,
            world,
            a_payment(has_order_service=True),
            road=road,
        ) as stage:
            if step == "retrieve_intent":
                await stage.first_outcome()
                await stage.run.signal(PaymentWorkflow.nudged)
            await gate.reached.wait()
            await stage.run.cancel()
            if step == "reserve":  # local activities hear of it a task later
                await _workflow_tasks_pass(stage, 2)
            ended = asyncio.create_task(_result(stage))
            await asyncio.wait([ended], timeout=0.2)
            gate.open.set()
            state = await ended

        gateway = world.gateway
        assert isinstance(gateway, StripeLike)
        assert state.amount_captured == state.amount_refunded == gateway.refunded
        assert state.is_final
        assert "release" == world.orders.calls[-1]

    async def test_a_page_that_is_opened_meanwhile_is_closed(self, house: House) -> None:
        """Nobody has heard of the page when the run is canceled: it is learned of, then closed."""
        gateway = FakeCheckout()
        road = Road()
        gate = road.close("open_session")

        async with on_stage(
            house, World(gateway, records=StrictRecords()), a_payment(page=PAGE), road=road
        ) as stage:
            await gate.reached.wait()
            await stage.run.cancel()
            gate.open.set()
            state = await _result(stage)

        assert (S.CANCELED, Reason.RUN_CANCELED) == (state.status, state.reason)
        assert (1, 0) == (len(gateway.sessions), gateway.open_pages)

    async def test_what_a_page_holds_is_let_go(self, house: House) -> None:
        """The cancel is proved, so nobody is called: it is the run's own end."""
        gateway = FakeCheckout()
        payment = a_payment(page=PAGE, capture_method=CaptureMethod.MANUAL)

        async with on_stage(house, World(gateway, records=StrictRecords()), payment) as stage:
            await stage.first_outcome()
            gateway.customer_does("requires_capture")
            held = await (await stage.accepted_refresh())
            await stage.run.cancel()
            state = await _result(stage)

        assert S.AUTHORIZED is held.status
        assert (S.CANCELED, Reason.RUN_CANCELED) == (state.status, state.reason)
        assert IntentStatus.CANCELED is gateway.intent.status

    @pytest.mark.parametrize("finished", [True, False])
    async def test_a_page_that_may_still_be_paid_is_a_persons(
        self, house: House, *, finished: bool
    ) -> None:
        """A voucher, or a customer at the bank: the order stays theirs until that is known."""
        gateway = FakeCheckout()
        world = World(gateway, records=StrictRecords())
        payment = a_payment(page=PAGE, has_order_service=True)

        async with on_stage(house, world, payment) as stage:
            await stage.first_outcome()
            gateway.customer_does("requires_action", finished=finished)
            await (await stage.accepted_refresh())
            await stage.run.cancel()
            state = await _result(stage)

        assert (S.NEEDS_OPERATOR, 0, 0) == (
            state.status,
            state.amount_captured,
            gateway.open_pages,
        )
        assert "release" not in world.orders.calls

    @pytest.mark.parametrize("refused", [set(), {"confirm"}])
    async def test_cancel_while_the_shop_is_told_waits_for_its_word(
        self, house: House, refused: set[str]
    ) -> None:
        """Nobody gives money back for an order that the shop may have taken that moment."""
        world = World(StripeLike("succeeded"), orders=FakeOrders(refused=refused))
        road = Road()
        gate = road.close("confirm")

        async with on_stage(house, world, a_payment(has_order_service=True), road=road) as stage:
            await gate.reached.wait()
            await stage.run.cancel()
            await _workflow_tasks_pass(stage, 2)
            gate.open.set()
            state = await _result(stage)

        back = 1250 if refused else 0
        assert (Fulfillment.REFUSED if refused else Fulfillment.CONFIRMED) is state.fulfillment
        assert (1250, back, 0) == (
            state.amount_captured,
            state.amount_refunded,
            state.amount_refund_pending,
        )
        assert ("release" in world.orders.calls) is bool(refused)

    @pytest.mark.parametrize("word", ["requires_action", "generic_decline", "succeeded"])
    async def test_cancel_while_a_slow_database_writes_loses_no_change(
        self, house: House, word: str
    ) -> None:
        """What was written counts: the next change gets the next version, and ends the row."""
        records = StrictRecords()
        world = World(StripeLike(word), records=records)
        road = Road()
        opened = road.close("record")
        confirmed = road.close("confirm_intent")

        async with on_stage(house, world, road=road) as stage:
            opened.open.set()
            await confirmed.reached.wait()
            writing = road.close("record")
            confirmed.open.set()
            await writing.reached.wait()
            await stage.run.cancel()
            await _workflow_tasks_pass(stage, 2)
            writing.open.set()
            state = await _result(stage)

        assert [] == records.lost
        assert state.is_final
        assert state.amount_captured == state.amount_refunded

    async def test_waiting_callers_hear_of_it(self, house: House) -> None:
        """Whoever waits for an outcome of a run that is canceled is told, not left waiting."""
        world = World(StripeLike("succeeded"))
        road = Road()
        gate = road.close("create_intent")

        async with on_stage(house, world, road=road) as stage:
            await gate.reached.wait()
            first = await stage.run.start_update(
                PaymentWorkflow.first_outcome, wait_for_stage=WorkflowUpdateStage.ACCEPTED
            )
            await stage.run.cancel()
            gate.open.set()
            state = await _result(stage)
            told = await first.result()

        assert state.version == told.version
        assert (S.CANCELED, Reason.RUN_CANCELED) == (told.status, told.reason)

    @pytest.mark.parametrize("word", ["requires_capture", "processing"])
    async def test_what_cannot_be_put_back_parks(self, house: House, word: str) -> None:
        """The gateway neither cancels nor tells: a person must look, the run says canceled."""
        world = World(FakeGateway("requires_action"))

        async with on_stage(house, world) as stage:
            await stage.first_outcome()
            world.gateway.cannot_cancel = IntentStatus(word)
            await stage.run.cancel()
            state = await _result(stage)

        assert S.NEEDS_OPERATOR is state.status
        assert 0 == state.amount_captured


class TestCanceledRunTells:
    async def test_run_canceled_while_a_retry_is_written_ends(self, house: House) -> None:
        """The key is in the database then: nothing that follows is written with it again."""
        world = World(StripeLike("generic_decline", "succeeded"), StrictRecords())
        road = Road()

        async with on_stage(house, world, road=road) as stage:
            await stage.first_outcome()
            writing = road.close("record")
            retried = stage.retry()
            await writing.reached.wait()
            await stage.run.cancel()
            writing.open.set()
            state = await _result(stage)
            await asyncio.wait([retried])

        assert (S.CANCELED, Reason.RUN_CANCELED) == (state.status, state.reason)
        assert 1 == world.gateway.calls.count("confirm")

    async def test_order_of_an_intent_that_may_be_paid_is_kept(self, house: House) -> None:
        """The gateway refuses to cancel: nobody else gets the order while somebody may pay."""
        world = World(FakeGateway("requires_action"))

        async with on_stage(house, world, a_payment(has_order_service=True)) as stage:
            await stage.first_outcome()
            world.gateway.troubles["close"] = deque([trouble(Trouble.REFUSED)])
            await stage.run.cancel()
            with suppress(WorkflowFailureError):
                await _result(stage)

        assert S.NEEDS_OPERATOR is world.records.state.status
        assert "release" not in world.orders.calls

    async def test_silent_order_service_does_not_keep_the_news_back(self, house: House) -> None:
        """The intent is canceled: that is told, and no retry taken, while the order is let go."""
        world = World(FakeGateway("generic_decline"), orders=FakeOrders(down={"release": 10**9}))

        async with on_stage(house, world, a_payment(has_order_service=True)) as stage:
            await stage.first_outcome()
            await stage.run.cancel()
            while world.records.state.status is not S.CANCELED:
                await stage.sleep(timedelta(seconds=1))
            with pytest.raises(WorkflowUpdateFailedError):
                await stage.retry()
            world.orders.down.clear()
            await _result(stage)

        assert Reason.RUN_CANCELED is world.records.state.reason
        assert "release" == world.orders.calls[-1]

    @pytest.mark.parametrize("has_it", [True, False])
    async def test_shop_is_asked_before_a_refund(self, house: House, *, has_it: bool) -> None:
        """A lost task may have confirmed the order: what the shop has taken stays paid."""
        world = World(StripeLike("succeeded"))
        world.orders.paid = has_it
        road = Road()
        confirmed = road.close("confirm_intent")

        async with on_stage(house, world, a_payment(has_order_service=True), road=road) as stage:
            await confirmed.reached.wait()
            writing = road.close("record")
            confirmed.open.set()
            await writing.reached.wait()
            await stage.run.cancel()
            await _workflow_tasks_pass(stage, 2)
            writing.open.set()
            state = await _result(stage)

        assert (Fulfillment.CONFIRMED if has_it else Fulfillment.REFUSED) is state.fulfillment
        assert (0 if has_it else 1250) == state.amount_refunded
        assert "confirm" not in world.orders.calls
        assert ("release" in world.orders.calls) is not has_it

    async def test_intent_that_the_gateway_refuses_leaves_nothing_to_put_back(
        self, house: House
    ) -> None:
        """The run is canceled before the intent is known, and there will never be one."""
        world = World(StripeLike())
        road = Road()
        gate = road.close("create_intent")
        road.before["create_intent"].extend([trouble(Trouble.REFUSED)] * 2)

        async with on_stage(house, world, a_payment(has_order_service=True), road=road) as stage:
            await gate.reached.wait()
            await stage.run.cancel()
            gate.open.set()
            state = await _result(stage)

        assert (S.CANCELED, Reason.GATEWAY_REFUSED) == (state.status, state.reason)
        assert "release" in world.orders.calls
        assert [] == world.gateway.calls


class TestTaskDoneAgain:
    async def test_end_that_a_lost_task_has_written_lets_the_order_go(self, house: House) -> None:
        """The repeat finds the payment over, and does what comes after the end."""
        world = World(FakeGateway(), orders=FakeOrders(refused={"reserve"}))
        payment = a_payment(has_order_service=True)
        async with on_stage(house, world, payment) as stage:
            await _result(stage)
        again = World(FakeGateway(), records=world.records)

        async with on_stage(house, again, payment) as stage:
            result = await _result(stage)

        assert S.CANCELED is result.status
        assert ["release"] == again.orders.calls
        assert [] == again.gateway.calls

    @pytest.mark.parametrize("word", ["succeeded", "generic_decline"])
    async def test_what_was_written_stands_when_its_repeat_decides_otherwise(
        self, house: House, word: str
    ) -> None:
        """A local activity's effect stays although its workflow task is done again.

        The last step is written, the task that wrote it is refused since the run was canceled
        meanwhile, and the repeat would take another way. What everybody could read by then counts.
        """
        records = StrictRecords()
        world = World(StripeLike(word), records)
        road = Road()
        payment = a_payment(attempts=1, has_order_service=word == "succeeded")
        before = road.close("confirm" if word == "succeeded" else "close_intent")

        async with on_stage(house, world, payment, road=road) as stage:
            await before.reached.wait()
            writing = road.close("record")
            before.open.set()
            await writing.reached.wait()
            await stage.run.cancel()
            writing.open.set()
            state = await _result(stage)

        assert [] == records.lost
        assert 1 == len([status for status in records.statuses if status in FINAL])
        assert (S.SUCCEEDED if word == "succeeded" else S.FAILED) is state.status
        assert (0, 0) == (state.amount_refunded, state.amount_refund_pending)

    async def test_money_written_by_a_lost_task_goes_back_once(self, house: House) -> None:
        """The payment is written as paid, the task is refused, the run is canceled: one refund."""
        records = StrictRecords()
        world = World(StripeLike("succeeded"), records)
        road = Road()
        before = road.close("confirm_intent")

        async with on_stage(house, world, road=road) as stage:
            await before.reached.wait()
            writing = road.close("record")
            before.open.set()
            await writing.reached.wait()
            await stage.run.cancel()
            writing.open.set()
            state = await _result(stage)

        assert [] == records.lost
        assert [S.CREATED, S.PROCESSING, S.SUCCEEDED] == records.statuses
        assert state.amount_refunded in {0, 1250}  # the task may have been in time
        assert state.amount_refunded == cast("StripeLike", world.gateway).refunded

    async def test_no_end_is_written_on_a_request_that_may_be_lost(self, house: House) -> None:
        """A request is in the history once its workflow task is done; until then it may be lost.

        A cancel ends the payment while a webhook arrives: the server refuses the task that was to
        end the run, and forgets the cancel. The run goes on, so nobody may have read or been sent
        that the payment is canceled: it is paid a minute later.
        """
        records = StrictRecords()
        world = World(StripeLike("succeeded"), records)
        road = Road()
        road.before["create_intent"].extend([trouble(Trouble.UNREACHABLE)] * 4)

        async with on_stage(house, world, road=road) as stage:
            while not records.changes or records.state.reason is not Reason.GATEWAY_UNREACHABLE:
                await stage.sleep(timedelta(seconds=1))
            writing = road.close("record")
            canceled = stage.cancel()
            await writing.reached.wait()
            await stage.run.signal(PaymentWorkflow.nudged)
            writing.open.set()
            state = await _result(stage)
            await asyncio.wait([canceled])

        assert [] == records.lost
        assert state.status is records.state.status
        assert [state.status] == [status for status in records.statuses if status in FINAL]


async def _workflow_tasks_pass(stage: Stage, count: int) -> None:
    """Wait until the worker has gone on with the run so often: it has heard what came before."""
    seen = (await stage.events()).count("WORKFLOW_TASK_COMPLETED")
    while (await stage.events()).count("WORKFLOW_TASK_COMPLETED") < seen + count:
        await asyncio.wait([asyncio.create_task(stage.run.describe())])


class TestRestart:
    @pytest.mark.parametrize("cached", [0, 100])
    async def test_run_goes_on_where_it_stood(self, house: House, cached: int) -> None:
        """The worker is replaced at every wait; the customer notices nothing."""
        world = World(StripeLike("insufficient_funds", "requires_action"), records=StrictRecords())

        async with on_stage(
            house, world, a_payment(has_order_service=True), cached=cached
        ) as stage:
            first = await stage.first_outcome()
            await stage.restart()
            second = await stage.retry()
            await stage.restart(lambda: world.gateway.becomes("succeeded"))
            third = await stage.refresh()
            result = await _result(stage)
            bugs = await stage.bugs()

        assert [S.AWAITING_RETRY, S.REQUIRES_ACTION, S.SUCCEEDED] == [
            first.status,
            second.status,
            third.status,
        ]
        assert Fulfillment.CONFIRMED is result.fulfillment
        assert [] == bugs
        assert ["create", "confirm", "confirm", "look"] == world.gateway.calls

    async def test_deploy_in_the_middle_of_putting_back(self, house: House) -> None:
        """The worker goes away between the steps of an undo: the next one finishes it, once."""
        world = World(
            StripeLike("succeeded"),
            records=StrictRecords(),
            orders=FakeOrders(refused={"confirm"}),
        )
        world.gateway.refund_statuses.extendleft(["pending"] * 3)

        async with on_stage(house, world, a_payment(has_order_service=True), cached=0) as stage:
            await stage.first_outcome()
            while Reason.REFUND_PENDING not in [c.state.reason for c in world.records.changes]:
                await stage.sleep(timedelta(seconds=1))
            await stage.restart()
            result = await _result(stage)
            bugs = await stage.bugs()

        assert (1250, 1250) == (result.amount_captured, result.amount_refunded)
        assert 1 == world.gateway.calls.count("refund")
        assert ["reserve", "confirm", "release"] == world.orders.calls
        assert [] == bugs


def _seeds(seeds: range, quick: int) -> list[Any]:
    """All of them; those behind the first ones belong to the long runs."""
    return [*seeds[:quick], *(pytest.param(seed, marks=pytest.mark.full) for seed in seeds[quick:])]


class TestAnyOrder:
    @pytest.mark.parametrize("seed", _seeds(range(SEEDS), QUICK_SEEDS))
    async def test_payment_ends_as_the_intent_did(self, house: House, seed: int) -> None:
        """Requests, webhooks, outages, restarts and waits in any order: one truth at the end."""
        chance = Random(seed)
        world, payment = _world(chance)
        cached = chance.choice([0, 100])

        async with on_stage(house, world, payment, road=_road(chance), cached=cached) as stage:
            stage.first_outcome()
            for step in chance.choices(STEPS, k=chance.randint(3, 12)):
                await step(stage, chance)
            await _check(stage, await _result(stage))

    @pytest.mark.parametrize(
        "seed", _seeds(range(SEEDS, SEEDS + CANCELED_SEEDS), QUICK_CANCELED_SEEDS)
    )
    async def test_canceled_run_keeps_nothing(self, house: House, seed: int) -> None:
        """Whenever the run itself is canceled: what was taken is back, and nobody is left waiting.

        What cannot be put back because the gateway is still deciding waits for a person.
        """
        chance = Random(seed)
        world, payment = _world(chance)
        world.orders.down.clear()
        world.gateway.refund_statuses = deque(["succeeded"])

        async with on_stage(house, world, payment) as stage:
            stage.first_outcome()
            for step in chance.choices(QUICK_STEPS, k=chance.randint(0, 8)):
                await step(stage, chance)
            await stage.run.cancel()
            state = await _result(stage)
            await _check(stage, state, run_canceled=True)


def _world(chance: Random) -> tuple[World, Payment]:
    payment = a_payment(
        has_order_service=chance.random() < 0.6,
        attempts=chance.randint(1, 3),
        hold=chance.choice([timedelta(minutes=5), timedelta(hours=24)]),
    )
    return World(_gateway(chance), StrictRecords(), _orders(chance)), payment


def _gateway(chance: Random) -> StripeLike:
    words = ["succeeded", "requires_action", "processing", "generic_decline", "insufficient_funds"]
    gateway = StripeLike(*chance.choices(words, k=12))
    gateway.refund_statuses = deque([*["pending"] * chance.randint(0, 2), *["succeeded"] * 20])
    return gateway


def _orders(chance: Random) -> FakeOrders:
    steps = ["reserve", "still_waits", "confirm"]
    return FakeOrders(
        refused=[step for step in steps if chance.random() < 0.15],
        down={step: chance.randint(0, 4) for step in [*steps, "release"]},
    )


def _road(chance: Random) -> Road:
    road = Road()
    for name in ("create_intent", "confirm_intent", "retrieve_intent", "close_intent"):
        for errors in (road.before[name], road.after[name]):
            for _ in range(chance.choice([0, 0, 1, 3, 9])):
                kinds = [Trouble.UNREACHABLE, Trouble.LATER, Trouble.STICKY, Trouble.MISCONFIGURED]
                errors.append(trouble(chance.choice(kinds)))
    return road


async def _nudge(stage: Stage, _chance: Random) -> None:
    with suppress(RPCError):  # over already
        await stage.run.signal(PaymentWorkflow.nudged)


async def _refresh(stage: Stage, _chance: Random) -> None:
    stage.refresh()


async def _retry(stage: Stage, _chance: Random) -> None:
    stage.retry()


async def _cancel(stage: Stage, _chance: Random) -> None:
    stage.cancel()


async def _customer(stage: Stage, chance: Random) -> None:
    gateway = stage.world.gateway
    assert isinstance(gateway, StripeLike)
    gateway.customer_does(
        chance.choice(["succeeded", "payment_intent_authentication_failure", "canceled"])
    )


async def _restart(stage: Stage, _chance: Random) -> None:
    await stage.restart()


async def _wait(stage: Stage, chance: Random) -> None:
    await stage.sleep(chance.choice([1, 10, 60, 900]) * timedelta(seconds=1))


async def _breathe(stage: Stage, chance: Random) -> None:
    for _ in range(chance.randint(1, 20)):
        await stage.run.describe()


QUICK_STEPS: Final = (_nudge, _refresh, _customer, _retry, *[_breathe] * 3)
STEPS: Final = (
    *[_nudge, _refresh, _customer, _restart, _cancel],
    *[_retry] * 3,
    *[_wait] * 4,
)


async def _check(stage: Stage, state: PaymentState, *, run_canceled: bool = False) -> None:
    records, gateway = stage.world.records, stage.world.gateway
    assert isinstance(records, StrictRecords)
    assert isinstance(gateway, StripeLike)
    assert run_canceled or [] == records.lost  # TestTaskDoneAgain tells of canceled runs
    assert [] == await stage.bugs()
    for answer in await asyncio.gather(*stage.asked, return_exceptions=True):
        _check_answer(answer, run_canceled=run_canceled)
    _check_end(state, gateway, stage.world.orders, run_canceled=run_canceled)


def _check_answer(answer: PaymentState | BaseException, *, run_canceled: bool) -> None:
    match answer:
        case PaymentState():
            assert answer.is_settled or answer.attempts_left == 0  # a look at the last decline
        case WorkflowUpdateFailedError(cause=ApplicationError() as cause):
            assert "NotNow" == cause.type
        case WorkflowUpdateFailedError(cause=BaseException() as cause):
            assert run_canceled
            assert is_cancelled_exception(cause)
        case RPCError():
            # The run is over; or it was about to be, so that the server tells to ask again.
            assert answer.status in {RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION}
        case _:
            raise AssertionError(f"no answer: {answer!r}")


def _check_end(
    state: PaymentState, gateway: StripeLike, orders: FakeOrders, *, run_canceled: bool
) -> None:
    if run_canceled and state.status is S.NEEDS_OPERATOR:
        assert IntentStatus.PROCESSING is gateway.intent.status
        return
    assert state.is_final
    paid = gateway.intent.status is IntentStatus.SUCCEEDED
    assert paid is (state.status is S.SUCCEEDED)
    assert (1250 if paid else 0) == state.amount_captured
    assert gateway.refunded == state.amount_refunded
    assert 0 == state.amount_refund_pending
    assert paid or gateway.intent.status is IntentStatus.CANCELED or "confirm" not in gateway.calls
    if "confirm" in orders.calls:
        assert paid
    if state.fulfillment is Fulfillment.REFUSED or (run_canceled and state.amount_refunded):
        assert state.amount_captured == state.amount_refunded
    if state.fulfillment is not Fulfillment.CONFIRMED and "reserve" in orders.calls:
        assert "release" in orders.calls
