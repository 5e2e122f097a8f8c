"""The payment's whole life on the time-skipping server: a day of hold passes in milliseconds."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, timedelta

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError, CancelledError

from activities.errors import NotAsked, Trouble, as_failure
from activities.stripe_orders import ConfirmOrder, IntentOrder
from paysaga.domain.intent import IntentStatus
from paysaga.domain.payment import AttemptStatus, Fulfillment, PaymentStatus, RequestMark
from paysaga.domain.reasons import Reason
from tests.fakes import FakeGateway, FakeOrders, FakeRecords, a_payment, trouble
from tests.workflows.conftest import Start, World
from workflows import addresses, policies
from workflows.payment import PaymentWorkflow
from workflows.requests import CancelRequest

S = PaymentStatus


class TestPaidAtOnce:
    async def test_first_outcome_is_the_paid_payment(self, pay: Start) -> None:
        """A card that is taken at once is answered at once, and the run is over."""
        world = World(FakeGateway("succeeded"))

        async with pay(world) as payment:
            first = await payment.first_outcome()
            result = await payment.result()

        assert S.SUCCEEDED is first.status
        assert first == result == world.records.state
        assert [S.CREATED, S.PROCESSING, S.SUCCEEDED] == world.records.statuses
        assert ["create", "confirm"] == world.gateway.calls

    async def test_attempt_is_written_before_the_gateway_hears_of_it(self, pay: Start) -> None:
        """Row, history and attempt come before the first call to the gateway."""
        world = World(
            FakeGateway("succeeded", troubles={"create": [trouble(Trouble.REFUSED)]}),
        )

        async with pay(world) as payment:
            await payment.result()

        assert [S.CREATED, S.PROCESSING] == world.records.statuses[:2]
        assert AttemptStatus.STARTED is world.records.changes[1].attempt.status  # type: ignore[union-attr]

    async def test_intent_carries_our_ids(self, pay: Start) -> None:
        """The gateway's object leads back to payment, order and customer."""
        world = World(FakeGateway("succeeded"))

        async with pay(world) as payment:
            result = await payment.result()

        order = world.gateway.orders[0]
        assert isinstance(order, IntentOrder)
        assert (result.id, "order-1", "cst_1") == (
            order.payment_id,
            order.order_id,
            order.customer_id,
        )


class TestBreaker:
    @pytest.mark.parametrize(
        ("failure", "is_told"),
        [
            (
                as_failure(NotAsked("the breaker is open", timedelta(seconds=60), is_away=True)),
                True,
            ),
            (as_failure(NotAsked("the budget is spent", timedelta(seconds=3))), False),
            (trouble(Trouble.UNREACHABLE), False),
        ],
    )
    async def test_a_breaker_that_is_open_is_told_at_once(
        self, *, pay: Start, failure: ApplicationError, is_told: bool
    ) -> None:
        """Others have found the gateway away. A fault of our own may pass, and so does a rush."""
        world = World(FakeGateway("succeeded", troubles={"create": [failure]}))

        async with pay(world) as payment:
            await payment.result()

        told = [change.state.reason for change in world.records.changes]
        assert is_told is (Reason.GATEWAY_UNREACHABLE in told)


def _pauses(events: Iterable[HistoryEvent]) -> list[timedelta]:
    """From each activity that failed to the next one."""
    pauses, failed_at = [], None
    for event in events:
        at = event.event_time.ToDatetime(UTC)
        if event.event_type is EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED:
            failed_at = at
        elif event.event_type is EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED and failed_at:
            pauses.append(at - failed_at)
            failed_at = None
    return pauses


class TestDeclines:
    async def test_another_card_succeeds(self, pay: Start) -> None:
        """A decline keeps the order for the customer; the same intent takes the next card."""
        world = World(FakeGateway("insufficient_funds", "succeeded"))

        async with pay(world) as payment:
            first = await payment.first_outcome()
            second = await payment.retry("pm_other")
            await payment.result()

        assert (S.AWAITING_RETRY, 2) == (first.status, first.attempts_left)
        assert first.decline is not None
        assert "insufficient_funds" == first.decline.code
        assert S.SUCCEEDED is second.status
        assert ["create", "confirm", "confirm"] == world.gateway.calls
        assert [AttemptStatus.DECLINED, AttemptStatus.SUCCEEDED] == [
            attempt.status for attempt in world.records.attempts
        ]

    async def test_each_attempt_is_told_what_was_known_before(self, pay: Start) -> None:
        """The last known charge goes along, so that a newer one proves the attempt's effect."""
        world = World(FakeGateway("generic_decline", "succeeded"))

        async with pay(world) as payment:
            await payment.first_outcome()
            await payment.retry()

        confirms = [order for order in world.gateway.orders if isinstance(order, ConfirmOrder)]
        assert [(1, None), (2, "ch_1")] == [
            (order.attempt, order.seen_charge_id) for order in confirms
        ]

    async def test_three_declines_end_the_payment(self, pay: Start) -> None:
        """When the last attempt is declined the intent is canceled and the payment has failed."""
        world = World(FakeGateway("generic_decline", "generic_decline", "generic_decline"))

        async with pay(world) as payment:
            await payment.first_outcome()
            await payment.retry(key="retry-1")
            last = await payment.retry(key="retry-2")
            result = await payment.result()

        assert S.FAILED is last.status
        assert (S.FAILED, Reason.ATTEMPTS_USED_UP) == (result.status, result.reason)
        assert "close" == world.gateway.calls[-1]
        assert IntentStatus.CANCELED is world.gateway.intent.status

    async def test_unused_hold_expires(self, pay: Start) -> None:
        """Nobody tries again: after the hold the intent is canceled and the order free."""
        world = World(FakeGateway("generic_decline"), orders=FakeOrders())

        async with pay(world, a_payment(has_order_service=True)) as payment:
            result = await payment.result()

        assert (S.EXPIRED, Reason.HOLD_OVER) == (result.status, result.reason)
        assert timedelta(hours=24) <= result.updated_at - result.created_at
        assert ["create", "confirm", "close"] == world.gateway.calls
        assert ["reserve", "release"] == world.orders.calls

    async def test_retry_is_refused_unless_it_is_awaited(self, pay: Start) -> None:
        """While the customer is at 3DS no second attempt may start."""
        world = World(FakeGateway("requires_action"))

        async with pay(world) as payment:
            await payment.first_outcome()
            with pytest.raises(WorkflowUpdateFailedError) as refused:
                await payment.retry()
            await payment.cancel()

        assert isinstance(refused.value.cause, ApplicationError)
        assert "NotNow" == refused.value.cause.type
        assert 1 == world.gateway.calls.count("confirm")

    async def test_refused_method_costs_an_attempt_and_no_money(self, pay: Start) -> None:
        """What the gateway refuses as a request of ours is told and may be tried again."""
        world = World(
            FakeGateway("succeeded", troubles={"confirm": [trouble(Trouble.REFUSED)]}),
        )

        async with pay(world) as payment:
            first = await payment.first_outcome()
            world.gateway.troubles.clear()
            second = await payment.retry()

        assert (S.AWAITING_RETRY, Reason.GATEWAY_REFUSED) == (first.status, first.reason)
        assert S.SUCCEEDED is second.status

    async def test_retry_of_an_order_that_waits_no_longer_cancels(self, pay: Start) -> None:
        """The order service is asked before another attempt; its no ends the payment unpaid."""
        world = World(FakeGateway("generic_decline"), orders=FakeOrders(refused={"still_waits"}))

        async with pay(world, a_payment(has_order_service=True)) as payment:
            await payment.first_outcome()
            second = await payment.retry()

        assert (S.CANCELED, Reason.ORDER_REFUSED) == (second.status, second.reason)
        assert 1 == world.gateway.calls.count("confirm")


class TestAuthentication:
    async def test_success_is_read_from_the_gateway(self, pay: Start) -> None:
        """A nudge says only that there is something to see; the intent says what."""
        world = World(FakeGateway("requires_action"))

        async with pay(world) as payment:
            first = await payment.first_outcome()
            world.gateway.becomes("succeeded")
            await payment.nudge()
            result = await payment.result()

        assert (S.REQUIRES_ACTION, "https://gateway.example/3ds") == (
            first.status,
            first.action_url,
        )
        assert S.SUCCEEDED is result.status
        assert result.action_url is None
        assert [
            S.CREATED,
            S.PROCESSING,
            S.REQUIRES_ACTION,
            S.PROCESSING,
            S.SUCCEEDED,
        ] == world.records.statuses

    async def test_nudge_without_news_changes_nothing(self, pay: Start) -> None:
        """Twenty copies of a webhook about nothing new leave the payment as it is."""
        world = World(FakeGateway("requires_action"))

        async with pay(world) as payment:
            await payment.first_outcome()
            before = len(world.records.changes)
            for _ in range(20):
                await payment.nudge()
            await payment.refresh()
            after = len(world.records.changes)
            await payment.cancel()

        assert before == after

    async def test_looks_on_request_are_bounded(self, pay: Start) -> None:
        """A page that asks without end cannot fill the run's history; a webhook still counts."""
        world = World(FakeGateway("requires_action"))

        async with pay(world) as payment:
            await payment.first_outcome()
            for _ in range(policies.REFRESHES_AT_WILL):
                await payment.refresh()
            with pytest.raises(WorkflowUpdateFailedError):
                await payment.refresh()
            await payment.sleep(policies.REFRESH_PAUSE)
            await payment.refresh()
            world.gateway.becomes("succeeded")
            await payment.nudge()
            result = await payment.result()

        assert S.SUCCEEDED is result.status

    async def test_failed_authentication_is_a_decline(self, pay: Start) -> None:
        """A failed 3DS keeps the order and tells the customer what to do."""
        world = World(FakeGateway("requires_action", "succeeded"))

        async with pay(world) as payment:
            await payment.first_outcome()
            world.gateway.becomes("payment_intent_authentication_failure")
            looked = await payment.refresh()
            await payment.retry()
            result = await payment.result()

        assert (S.AWAITING_RETRY, Reason.DECLINED) == (looked.status, looked.reason)
        assert S.SUCCEEDED is result.status

    async def test_deadline_ends_the_attempt(self, pay: Start) -> None:
        """After 15 minutes the attempt is over and the customer may choose another card."""
        world = World(FakeGateway("requires_action"))

        async with pay(world) as payment:
            await payment.first_outcome()
            await payment.pass_time_until(lambda: world.records.state.status is S.AWAITING_RETRY)
            state = world.records.state
            await payment.cancel()

        assert (Reason.AUTHENTICATION_TIMEOUT, 2) == (state.reason, state.attempts_left)
        assert AttemptStatus.TIMED_OUT is world.records.attempts[0].status
        assert timedelta(minutes=15) <= state.updated_at - state.created_at

    async def test_late_success_inside_the_hold_counts(self, pay: Start) -> None:
        """It is the same intent: who finishes 3DS an hour late has paid."""
        world = World(FakeGateway("requires_action"))

        async with pay(world) as payment:
            await payment.first_outcome()
            await payment.pass_time_until(lambda: world.records.state.status is S.AWAITING_RETRY)
            world.gateway.becomes("succeeded")
            await payment.nudge()
            result = await payment.result()

        assert S.SUCCEEDED is result.status

    async def test_deadline_looks_before_it_judges(self, pay: Start) -> None:
        """With every webhook lost, a finished 3DS is found at its deadline."""
        world = World(FakeGateway("requires_action"))

        async with pay(world) as payment:
            await payment.first_outcome()
            world.gateway.becomes("succeeded")
            result = await payment.result()

        assert S.SUCCEEDED is result.status
        assert result.updated_at - result.created_at < timedelta(minutes=16)

    async def test_hold_bounds_the_time_for_authentication(self, pay: Start) -> None:
        """A hold shorter than the 3DS window ends both."""
        world = World(FakeGateway("requires_action"))

        async with pay(world, a_payment(hold=timedelta(minutes=2))) as payment:
            first = await payment.first_outcome()
            result = await payment.result()

        assert first.retry_until == first.action_until
        assert S.EXPIRED is result.status


class TestGivingUp:
    async def test_cancel_proves_the_gateway_first(self, pay: Start) -> None:
        """`canceled` is written after the intent's cancel was seen."""
        world = World(FakeGateway("generic_decline"))

        async with pay(world) as payment:
            await payment.first_outcome()
            answer = await payment.cancel()

        assert (S.CANCELED, Reason.CANCEL_REQUESTED) == (answer.status, answer.reason)
        assert IntentStatus.CANCELED is world.gateway.intent.status
        assert "customer:cst_1" == world.records.changes[-1].actor
        assert world.records.changes[-1].request is not None

    async def test_money_found_while_giving_up_is_honored(self, pay: Start) -> None:
        """The cancel finds that the customer paid in the last second: the order is confirmed."""
        world = World(FakeGateway("requires_action"))

        async with pay(world, a_payment(has_order_service=True)) as payment:
            await payment.first_outcome()
            world.gateway.becomes("succeeded")
            answer = await payment.cancel()
            result = await payment.result()

        assert S.SUCCEEDED is answer.status
        assert Fulfillment.CONFIRMED is result.fulfillment
        assert ["reserve", "confirm"] == world.orders.calls

    async def test_money_found_for_a_refused_order_goes_back(self, pay: Start) -> None:
        """Money found while giving up, and an order that is gone: it is refunded in full."""
        world = World(FakeGateway("requires_action"), orders=FakeOrders(refused={"confirm"}))

        async with pay(world, a_payment(has_order_service=True)) as payment:
            await payment.first_outcome()
            world.gateway.becomes("succeeded")
            await payment.cancel()
            result = await payment.result()

        assert Fulfillment.REFUSED is result.fulfillment
        assert (1250, 1250, 0) == (
            result.amount_captured,
            result.amount_refunded,
            result.amount_refund_pending,
        )

    async def test_hold_ends_the_tries_of_a_confirm(self, pay: Start) -> None:
        """The gateway puts us off beyond the hold's end: after it no confirm is sent any more."""
        later = ApplicationError(
            "scripted", type=Trouble.LATER, next_retry_delay=timedelta(minutes=10)
        )
        world = World(FakeGateway("succeeded", troubles={"confirm": [later] * 100}))

        async with pay(world, a_payment(hold=timedelta(minutes=2))) as payment:
            result = await payment.result()

        assert S.EXPIRED is result.status
        assert "close" == world.gateway.calls[-1]

    async def test_key_of_the_start_cancels_nothing(self, pay: Start) -> None:
        """One Idempotency-Key is one request: the database would refuse the second for ever."""
        world = World(FakeGateway("requires_action"))

        async with pay(world) as payment:
            await payment.first_outcome()
            start = a_payment().request
            misuse = CancelRequest(
                actor="customer:cst_1",
                request=RequestMark(key=start.key, fingerprint="another request"),
            )
            with pytest.raises(WorkflowUpdateFailedError):
                await payment.run.execute_update(PaymentWorkflow.cancel, misuse)
            await payment.cancel()

        assert S.CANCELED is world.records.state.status

    async def test_second_cancel_hears_the_same(self, pay: Start) -> None:
        """Two cancels at once are one: both hear how it ended."""
        world = World(FakeGateway("generic_decline"))

        async with pay(world) as payment:
            await payment.first_outcome()
            answers = await asyncio.gather(payment.cancel(), payment.cancel())

        assert [S.CANCELED, S.CANCELED] == [answer.status for answer in answers]
        assert 1 == world.gateway.calls.count("close")

    async def test_intent_canceled_at_the_gateway_ends_the_payment(self, pay: Start) -> None:
        """Somebody canceled the intent in the dashboard: the payment says so."""
        world = World(FakeGateway("requires_action"), orders=FakeOrders())

        async with pay(world, a_payment(has_order_service=True)) as payment:
            await payment.first_outcome()
            world.gateway.becomes("canceled")
            await payment.nudge()
            result = await payment.result()

        assert (S.CANCELED, Reason.CANCELED_AT_GATEWAY) == (result.status, result.reason)
        assert ["reserve", "release"] == world.orders.calls

    async def test_gateway_that_cannot_cancel_is_waited_for(self, pay: Start) -> None:
        """Money on its way cannot be called back: its outcome decides."""
        world = World(FakeGateway("requires_action"))
        world.gateway.cannot_cancel = IntentStatus.PROCESSING

        async with pay(world) as payment:
            await payment.first_outcome()
            canceling = asyncio.create_task(payment.cancel())
            await payment.pass_time_until(
                lambda: world.records.state.reason is Reason.GATEWAY_PROCESSING
            )
            world.gateway.becomes("succeeded")
            await payment.nudge()
            answer = await canceling

        assert S.SUCCEEDED is answer.status

    async def test_canceled_run_puts_everything_back(self, pay: Start) -> None:
        """Cancel in the Temporal UI: the intent is canceled, the order released, the row final."""
        world = World(FakeGateway("requires_action"), orders=FakeOrders())

        async with pay(world, a_payment(has_order_service=True)) as payment:
            await payment.first_outcome()
            await payment.run.cancel()
            with pytest.raises(WorkflowFailureError) as ended:
                await payment.result()

        assert isinstance(ended.value.cause, CancelledError)
        assert (S.CANCELED, Reason.RUN_CANCELED) == (
            world.records.state.status,
            world.records.state.reason,
        )
        assert IntentStatus.CANCELED is world.gateway.intent.status
        assert "release" in world.orders.calls

    async def test_canceled_run_gives_found_money_back(self, pay: Start) -> None:
        """The run is canceled while the customer pays: what was taken is refunded."""
        world = World(FakeGateway("requires_action"))

        async with pay(world) as payment:
            await payment.first_outcome()
            world.gateway.becomes("succeeded")
            await payment.run.cancel()
            with pytest.raises(WorkflowFailureError):
                await payment.result()

        state = world.records.state
        assert (1250, 1250) == (state.amount_captured, state.amount_refunded)
        assert "refund" in world.gateway.calls


class TestGatewayTrouble:
    async def test_passing_fault_is_not_seen(self, pay: Start) -> None:
        """Two lost calls are tried again under the same step; the customer hears nothing."""
        world = World(
            FakeGateway("succeeded", troubles={"confirm": [trouble(Trouble.UNREACHABLE)] * 2})
        )

        async with pay(world) as payment:
            result = await payment.result()

        assert S.SUCCEEDED is result.status
        assert [S.CREATED, S.PROCESSING, S.SUCCEEDED] == world.records.statuses
        assert [(0, False), (0, True), (0, True)] == [
            (order.generation, order.is_repeat)
            for order in world.gateway.orders
            if isinstance(order, ConfirmOrder)
        ]

    async def test_bug_gives_no_money_back(self, pay: Start) -> None:
        """Our code breaks after the money moved: nothing is undone, the mended code goes on."""
        bug = ApplicationError("'NoneType' has no attribute", type="AttributeError")
        world = World(FakeGateway("succeeded", troubles={"confirm": [bug] * 6}))

        async with pay(world) as payment:
            result = await payment.result()

        assert S.SUCCEEDED is result.status
        assert {"create", "confirm"} == set(world.gateway.calls)

    async def test_outage_is_told_and_outlived(self, pay: Start) -> None:
        """A gateway that is away for minutes: the payment says so, waits, and is paid."""
        world = World(
            FakeGateway("succeeded", troubles={"create": [trouble(Trouble.UNREACHABLE)] * 17})
        )

        async with pay(world) as payment:
            result = await payment.result()

        assert S.SUCCEEDED is result.status
        assert Reason.GATEWAY_UNREACHABLE in [c.state.reason for c in world.records.changes]
        assert [S.CREATED, S.PROCESSING, S.SUCCEEDED] == world.records.statuses

    @pytest.mark.parametrize("step", ["create", "confirm", "look", "close", "refund"])
    async def test_outcome_is_known_soon_after_the_gateway_is_back(
        self, pay: Start, step: str
    ) -> None:
        """Looked at within 30 s; afterwards there are never five minutes without a look."""
        word = "requires_action" if step in {"look", "close"} else "succeeded"
        orders = FakeOrders(refused={"confirm"} if step == "refund" else ())
        away = [trouble(Trouble.UNREACHABLE) for _ in range(100)]  # for six hours
        world = World(FakeGateway(word, troubles={step: away}), orders=orders)
        payment = a_payment(has_order_service=True, hold=timedelta(days=1))

        async with pay(world, payment) as running:
            if word == "requires_action":
                await running.first_outcome()
                world.gateway.becomes("succeeded" if step == "look" else word)
            if step == "look":
                await running.nudge()
            canceling = [asyncio.create_task(running.cancel())] if step == "close" else []
            await running.result()
            await asyncio.gather(*canceling)
            pauses = _pauses((await running.run.fetch_history()).events)

        assert 100 <= len(pauses)
        assert timedelta(seconds=30) >= pauses[0]
        assert timedelta(minutes=5) >= max(pauses) + timedelta(seconds=30)  # a call's own time

    async def test_sticky_error_gets_a_new_key_only_after_a_wait(self, pay: Start) -> None:
        """The gateway keeps a 500 under its key: a new one comes only after a settling time."""
        world = World(FakeGateway("succeeded", troubles={"confirm": [trouble(Trouble.STICKY)]}))

        async with pay(world) as payment:
            result = await payment.result()

        confirms = [order for order in world.gateway.orders if isinstance(order, ConfirmOrder)]
        assert S.SUCCEEDED is result.status
        assert [0, 1] == [order.generation for order in confirms]
        assert timedelta(seconds=20) <= result.updated_at - result.created_at

    async def test_hold_ends_while_the_gateway_is_away(self, pay: Start) -> None:
        """The bill is over before the gateway answers: the end is written after its proof."""
        away = [trouble(Trouble.UNREACHABLE)] * 40
        world = World(FakeGateway(troubles={"confirm": away}))

        async with pay(world, a_payment(hold=timedelta(minutes=3))) as payment:
            result = await payment.result()

        assert (S.EXPIRED, Reason.HOLD_OVER) == (result.status, result.reason)
        assert IntentStatus.CANCELED is world.gateway.intent.status

    async def test_hold_ends_before_there_is_an_intent(self, pay: Start) -> None:
        """Nobody knows what the gateway has made of an unanswered call: its cancel is the proof."""
        world = World(FakeGateway(troubles={"create": [trouble(Trouble.UNREACHABLE)] * 20}))

        async with pay(world, a_payment(hold=timedelta(minutes=2))) as payment:
            result = await payment.result()

        assert S.EXPIRED is result.status
        assert ("pi_1", IntentStatus.CANCELED) == (
            result.intent_id,
            world.gateway.intent.status,
        )
        assert "confirm" not in world.gateway.calls

    async def test_refused_intent_ends_the_payment(self, pay: Start) -> None:
        """An intent that the gateway will never make: canceled, the order released."""
        world = World(
            FakeGateway(troubles={"create": [trouble(Trouble.REFUSED)]}), orders=FakeOrders()
        )

        async with pay(world, a_payment(has_order_service=True)) as payment:
            first = await payment.first_outcome()
            await payment.result()

        assert (S.CANCELED, Reason.GATEWAY_REFUSED) == (first.status, first.reason)
        assert ["reserve", "release"] == world.orders.calls

    async def test_money_on_its_way_is_looked_after(self, pay: Start) -> None:
        """A method that takes its time is looked at again without any webhook."""
        world = World(FakeGateway("processing"))

        async with pay(world) as payment:
            first = await payment.first_outcome()
            world.gateway.becomes("succeeded")
            result = await payment.result()

        assert (S.PROCESSING, Reason.GATEWAY_PROCESSING) == (first.status, first.reason)
        assert S.SUCCEEDED is result.status

    async def test_page_that_has_just_come_gets_its_time(self, pay: Start) -> None:
        """The run's own look finds that the bank asks the customer: their time begins then."""
        world = World(FakeGateway("processing"))

        async with pay(world, a_payment(attempts=1)) as payment:
            await payment.first_outcome()
            world.gateway.becomes("requires_action")
            await payment.pass_time_until(
                lambda: world.records.state.reason is not Reason.GATEWAY_PROCESSING
            )
            await payment.sleep(timedelta(minutes=10))
            waiting = world.records.state
            world.gateway.becomes("succeeded")
            result = await payment.result()

        assert S.REQUIRES_ACTION is waiting.status
        assert S.SUCCEEDED is result.status

    async def test_money_on_its_way_outlives_the_hold(self, pay: Start) -> None:
        """The hold does not end what the gateway is still deciding."""
        world = World(FakeGateway("processing"))

        async with pay(world, a_payment(hold=timedelta(minutes=1))) as payment:
            await payment.first_outcome()
            await payment.sleep(timedelta(hours=5))
            state = world.records.state
            world.gateway.becomes("succeeded")
            result = await payment.result()

        assert S.PROCESSING is state.status
        assert S.SUCCEEDED is result.status

    @pytest.mark.parametrize("step", ["look", "close"])
    async def test_refusal_to_tell_parks(self, pay: Start, step: str) -> None:
        """A gateway that will neither show nor cancel the intent proves nothing: a person looks."""
        world = World(FakeGateway("requires_action", troubles={step: [trouble(Trouble.REFUSED)]}))

        async with pay(world) as payment:
            await payment.first_outcome()
            parked = await (payment.refresh() if step == "look" else payment.cancel())
            result = await payment.result()

        assert (S.NEEDS_OPERATOR, Reason.GATEWAY_REFUSED) == (parked.status, parked.reason)
        assert parked == result
        assert [addresses.repair_id(result.id)] == [start.id for start in world.runs.started]
        assert "GatewayRefused" in str(world.records.changes[-1].note)

    async def test_other_amount_than_ours_parks(self, pay: Start) -> None:
        """An intent of another amount decides nothing: a person must look."""
        world = World(FakeGateway("requires_action"))

        async with pay(world) as payment:
            await payment.first_outcome()
            ours = world.gateway.intent.money
            other = ours.model_copy(update={"minor": 1})
            world.gateway.becomes("succeeded")
            world.gateway.intent = world.gateway.intent.model_copy(update={"money": other})
            parked = await payment.refresh()
            result = await payment.result()

        assert (S.NEEDS_OPERATOR, Reason.GATEWAY_MISMATCH) == (parked.status, parked.reason)
        assert 0 == parked.amount_captured
        assert parked == result
        assert "12.50 EUR of 0.01 EUR" in str(world.records.changes[-1].note)


class TestOrders:
    async def test_paid_order_is_confirmed(self, pay: Start) -> None:
        """Reserve, take the money, confirm - in this order."""
        world = World(FakeGateway("succeeded"))

        async with pay(world, a_payment(has_order_service=True)) as payment:
            first = await payment.first_outcome()
            result = await payment.result()

        assert S.SUCCEEDED is first.status
        assert (Fulfillment.CONFIRMED, ["reserve", "confirm"]) == (
            result.fulfillment,
            world.orders.calls,
        )

    async def test_refused_reservation_touches_no_gateway(self, pay: Start) -> None:
        """No order, no money: the gateway hears nothing."""
        world = World(FakeGateway(), orders=FakeOrders(refused={"reserve"}))

        async with pay(world, a_payment(has_order_service=True)) as payment:
            result = await payment.result()

        assert (S.CANCELED, Reason.ORDER_REFUSED) == (result.status, result.reason)
        assert [] == world.gateway.calls

    async def test_refused_order_gives_the_money_back(self, pay: Start) -> None:
        """The shop refuses the paid order: everything is undone, newest first."""
        world = World(FakeGateway("succeeded"), orders=FakeOrders(refused={"confirm"}))

        async with pay(world, a_payment(has_order_service=True)) as payment:
            result = await payment.result()

        assert ["create", "confirm", "refund"] == world.gateway.calls
        assert ["reserve", "confirm", "release"] == world.orders.calls
        assert (Fulfillment.REFUSED, 1250, 1250) == (
            result.fulfillment,
            result.amount_captured,
            result.amount_refunded,
        )
        transfers = [t for change in world.records.changes for t in change.transfers]
        assert [("gateway_clearing", "revenue", 1250), ("refunds", "gateway_clearing", 1250)] == [
            (t.debit, t.credit, t.amount) for t in transfers
        ]

    @pytest.mark.parametrize("is_told", [True, False])
    async def test_news_while_the_shop_is_told_is_not_lost(
        self,
        pay: Start,
        is_told: bool,  # noqa: FBT001
    ) -> None:
        """Somebody refunds by hand while the shop is silent: a repair looks at it afterwards."""
        orders = FakeOrders(down={"confirm": 10**9})
        world = World(FakeGateway("succeeded"), orders=orders)

        async with pay(world, a_payment(has_order_service=True)) as payment:
            await payment.first_outcome()
            if is_told:
                await payment.nudge()
            orders.down.clear()
            result = await payment.result()

        assert Fulfillment.CONFIRMED is result.fulfillment
        assert is_told == bool(world.runs.started)

    async def test_slow_refund_is_waited_for(self, pay: Start) -> None:
        """A pending refund is told as such and looked at until the gateway has decided."""
        world = World(FakeGateway("succeeded"), orders=FakeOrders(refused={"confirm"}))
        world.gateway.refund_statuses.extendleft(["pending", "pending"])

        async with pay(world, a_payment(has_order_service=True)) as payment:
            result = await payment.result()

        assert Reason.REFUND_PENDING in [c.state.reason for c in world.records.changes]
        assert 1250 == result.amount_refunded

    async def test_pending_refund_is_looked_at_when_asked(self, pay: Start) -> None:
        """A webhook about the refund, or the shop's refresh, makes the run look at once."""
        world = World(FakeGateway("succeeded"), orders=FakeOrders(refused={"confirm"}))
        world.gateway.refund_statuses.extendleft(["pending", "pending"])

        async with pay(world, a_payment(has_order_service=True)) as payment:
            await payment.first_outcome()
            with payment.env.auto_time_skipping_disabled():
                pending = await payment.refresh()
                await payment.nudge()
                result = await payment.result()

        assert (1250, 0) == (pending.amount_refund_pending, pending.amount_refunded)
        assert 1250 == result.amount_refunded

    async def test_failed_refund_parks(self, pay: Start) -> None:
        """What could not be given back is a person's to decide; the order is free again."""
        world = World(FakeGateway("succeeded"), orders=FakeOrders(refused={"confirm"}))
        world.gateway.refund_statuses.clear()
        world.gateway.refund_statuses.append("failed")

        async with pay(world, a_payment(has_order_service=True)) as payment:
            state = await payment.result()

        assert (S.NEEDS_OPERATOR, Reason.REFUND_FAILED) == (state.status, state.reason)
        assert (0, 1250) == (state.amount_refunded, state.amount_refund_pending)
        assert "release" == world.orders.calls[-1]

    async def test_refused_refund_parks(self, pay: Start) -> None:
        """A charge that was refunded by hand cannot be refunded again: a person decides."""
        world = World(
            FakeGateway("succeeded", troubles={"refund": [trouble(Trouble.REFUSED)]}),
            orders=FakeOrders(refused={"confirm"}),
        )

        async with pay(world, a_payment(has_order_service=True)) as payment:
            state = await payment.result()

        assert (S.NEEDS_OPERATOR, Reason.REFUND_FAILED) == (state.status, state.reason)
        assert "release" == world.orders.calls[-1]

    async def test_canceled_run_that_cannot_be_undone_parks(self, pay: Start) -> None:
        """The run is canceled and the gateway refuses the cancel: nothing is called canceled."""
        world = World(
            FakeGateway("requires_action", troubles={"close": [trouble(Trouble.REFUSED)]})
        )

        async with pay(world) as payment:
            await payment.first_outcome()
            await payment.run.cancel()
            with pytest.raises(WorkflowFailureError):
                await payment.result()

        assert S.NEEDS_OPERATOR is world.records.state.status

    async def test_order_service_outage_is_outlived(self, pay: Start) -> None:
        """The quick try fails, the activity asks until it hears."""
        world = World(
            FakeGateway("succeeded"), orders=FakeOrders(down={"reserve": 4, "confirm": 6})
        )

        async with pay(world, a_payment(has_order_service=True)) as payment:
            result = await payment.result()

        assert Fulfillment.CONFIRMED is result.fulfillment
        assert ["reserve", "confirm"] == world.orders.calls

    async def test_silent_order_service_is_told_of(self, pay: Start) -> None:
        """Where the customer and the operators look, it says what the payment waits for."""
        world = World(FakeGateway("succeeded"), orders=FakeOrders(down={"confirm": 6}))

        async with pay(world, a_payment(has_order_service=True)) as payment:
            await payment.result()

        assert [Reason.PAID, Reason.ORDER_UNREACHABLE, Reason.ORDER_CONFIRMED] == [
            change.state.reason for change in world.records.changes[-3:]
        ]

    async def test_cancel_does_not_wait_for_a_silent_order_service(self, pay: Start) -> None:
        """Who gives up while the order cannot be reserved is heard at once, and charged nothing."""
        world = World(FakeGateway(), orders=FakeOrders(down={"reserve": 10_000, "release": 4}))

        async with pay(world, a_payment(has_order_service=True)) as payment:
            await payment.pass_time_until(
                lambda: (
                    bool(world.records.changes)
                    and world.records.state.reason is Reason.ORDER_UNREACHABLE
                )
            )
            answer = await payment.cancel()
            calls = [*world.orders.calls]
            await payment.result()

        assert (S.CANCELED, Reason.CANCEL_REQUESTED) == (answer.status, answer.reason)
        assert [] == world.gateway.calls
        assert ([], ["release"]) == (calls, world.orders.calls)

    @pytest.mark.parametrize("step", ["reserve", "still_waits"])
    async def test_hold_ends_while_the_order_service_is_silent(self, pay: Start, step: str) -> None:
        """A shop that is away does not keep a payment open for ever."""
        world = World(FakeGateway("insufficient_funds"), orders=FakeOrders(down={step: 10_000}))
        payment = a_payment(has_order_service=True, hold=timedelta(minutes=30))

        async with pay(world, payment) as running:
            first = asyncio.create_task(running.first_outcome())
            if step == "still_waits":
                await first
                retried = asyncio.create_task(running.retry())
                await running.pass_time_until(
                    lambda: world.records.state.reason is Reason.ORDER_UNREACHABLE
                )
            result = await running.result()
            await (first if step == "reserve" else retried)

        assert (S.EXPIRED, Reason.HOLD_OVER) == (result.status, result.reason)
        assert world.gateway.calls.count("confirm") == (1 if step == "still_waits" else 0)

    async def test_taken_order_stores_nothing(self, pay: Start) -> None:
        """Two payments of one order raced: the second leaves nothing and says whose it is."""
        world = World(FakeGateway(), records=FakeRecords(order_taken_by="pay_first"))

        async with pay(world) as payment:
            with pytest.raises(WorkflowUpdateFailedError):
                await payment.first_outcome()
            with pytest.raises(WorkflowFailureError):
                await payment.result()

        assert [] == world.gateway.calls
        assert [] == world.records.changes
