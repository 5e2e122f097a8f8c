"""Parked payments on Temporal's own server: what a person decides, and what the gateway says."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from uuid import uuid4

import pytest
from temporalio.client import (
    WorkflowFailureError,
    WorkflowUpdateFailedError,
    WorkflowUpdateStage,
)
from temporalio.exceptions import ApplicationError

from activities.errors import Trouble
from activities.runs import start_run
from activities.stripe_orders import RefundOrder
from activities.stripe_words import Refund
from paysaga.domain import transitions as rules
from paysaga.domain.intent import IntentStatus
from paysaga.domain.ledger import Account
from paysaga.domain.payment import Fulfillment, PaymentState, PaymentStatus, RequestMark
from paysaga.domain.reasons import Reason
from paysaga.domain.repairs import RepairKind
from tests.fakes import NOON, PRICE, FakeGateway, FakeOrders, a_payment, trouble
from tests.simulator.support import until
from tests.workflows.conftest import House, RepairRun, Run, World, a_worker
from tests.workflows.desk import ALICE, BOB, Desk, Open, repaired
from tests.workflows.stories import (
    OTHER,
    Story,
    gateway_in,
    other_amount,
    paid,
    refund_failed,
    story,
)
from workflows import addresses
from workflows.payment import PaymentWorkflow
from workflows.repair import RepairCase, RepairWorkflow
from workflows.requests import RepairRequest

S = PaymentStatus
K = RepairKind


@pytest.fixture
def opened(house: House) -> Open:
    """Start the repair of the payment that the world's records have."""
    return partial(repaired, house)


@asynccontextmanager
async def paid_for(
    house: House, world: World, *, has_order: bool = False
) -> AsyncIterator[tuple[Run, Desk]]:
    """A payment under way, and the desk for its repair."""
    payment_id = f"pay_{uuid4().hex}"
    payment = a_payment(payment_id, has_order_service=has_order)
    house.exchange.gateways[payment_id] = world.gateway
    world.start_run = start_run
    async with a_worker(house.env, world, payment_id):
        with house.env.with_time_skipping_disabled():
            run = await house.env.client.start_workflow(
                PaymentWorkflow.run, payment, id=payment_id, task_queue=payment_id
            )
        repair: RepairRun = house.env.client.get_workflow_handle(
            addresses.repair_id(payment_id), result_type=PaymentState
        )
        yield run, Desk(house, repair, world)


def balance(world: World, account: Account) -> int:
    transfers = [t for change in world.records.changes for t in change.transfers]
    return sum(t.amount for t in transfers if t.debit is account) - sum(
        t.amount for t in transfers if t.credit is account
    )


class TestHandOver:
    async def test_parked_payment_is_left_to_its_repair(self, house: House) -> None:
        """The payment's run is over, the repair's is open, and goes on when the gateway fits."""
        world = World(FakeGateway("requires_capture"))

        async with paid_for(house, world, has_order=True) as (run, desk):
            parked = await run.result()
            world.gateway.becomes("succeeded")
            await desk.nudge()
            repaired = await desk.result()

        assert (S.NEEDS_OPERATOR, Reason.GATEWAY_MISMATCH) == (parked.status, parked.reason)
        assert (S.SUCCEEDED, Fulfillment.CONFIRMED) == (repaired.status, repaired.fulfillment)
        assert "confirm" == world.orders.calls[-1]

    async def test_canceled_run_leaves_what_it_could_not_undo(self, house: House) -> None:
        """Nobody has to remember it: the repair stays open after the run was canceled."""
        world = World(
            FakeGateway("requires_action", troubles={"close": [trouble(Trouble.REFUSED)]})
        )

        async with paid_for(house, world) as (run, desk):
            await run.execute_update(PaymentWorkflow.first_outcome)
            await run.cancel()
            with pytest.raises(WorkflowFailureError):
                await run.result()
            world.gateway.troubles.clear()
            abandoned = await desk.repair(K.ABANDON)
            result = await desk.result()

        assert (S.CANCELED, Reason.ABANDONED) == (abandoned.status, abandoned.reason)
        assert abandoned == result

    async def test_repair_that_is_open_already_hears_of_the_end(self, house: House) -> None:
        """Both knew of the payment: the run that ends it tells the repair, which ends, too."""
        world = World(FakeGateway("requires_action"))

        async with paid_for(house, world) as (run, desk):
            await run.execute_update(PaymentWorkflow.first_outcome)
            await house.env.client.start_workflow(
                RepairWorkflow.run,
                RepairCase(payment_id=run.id),
                id=desk.run.id,
                task_queue=run.id,
            )
            refused = await desk.refusal(K.REFUND)  # it is parked, and nothing can be given back
            world.gateway.becomes("canceled")
            await run.signal(PaymentWorkflow.nudged)
            ended = await run.result()
            repaired = await desk.result()

        assert refused.endswith("abandon it")
        assert (S.CANCELED, Reason.CANCELED_AT_GATEWAY) == (ended.status, ended.reason)
        assert ended == repaired


class TestLookAgain:
    async def test_what_fits_now_counts(self, opened: Open) -> None:
        """The gateway was put right: the payment is paid, booked once, and the shop hears of it."""
        world = story(has_order=True).parks().in_a_world(gateway_in("succeeded"))

        async with opened(world) as desk:
            state = await desk.repair(K.LOOK_AGAIN)
            result = await desk.result()

        assert S.SUCCEEDED is state.status
        assert Fulfillment.CONFIRMED is result.fulfillment
        assert PRICE.minor == balance(world, Account.GATEWAY_CLEARING)

    async def test_canceled_at_the_gateway_frees_the_order(self, opened: Open) -> None:
        """A proof that no money moves ends it; the shop may sell the order again."""
        world = story(has_order=True).parks().in_a_world(gateway_in("canceled"))

        async with opened(world) as desk:
            await desk.nudge()
            result = await desk.result()

        assert (S.CANCELED, Reason.CANCELED_AT_GATEWAY) == (result.status, result.reason)
        assert ["release"] == world.orders.calls

    async def test_what_does_not_fit_stays_parked(self, opened: Open) -> None:
        """Another amount decides nothing, however often it is looked at; who asked is written."""
        gateway = FakeGateway()
        other_amount(gateway)
        world = story().sees(gateway.intent).in_a_world(gateway)

        async with opened(world) as desk:
            state = await desk.repair(K.LOOK_AGAIN)

        asked, outcome = world.records.changes[-2:]
        assert (S.NEEDS_OPERATOR, Reason.GATEWAY_MISMATCH) == (state.status, state.reason)
        assert Reason.NOTHING_NEW is outcome.reason
        assert (ALICE, Reason.REPAIR_REQUESTED) == (asked.actor, asked.reason)
        assert "look_again: the bank says so" == asked.note

    async def test_what_the_gateway_shows_now_is_told(self, opened: Open) -> None:
        """The evidence follows the gateway: who decides sees what has happened since."""
        gateway = FakeGateway("requires_action")
        gateway.becomes("requires_action")
        gateway.intent = gateway.intent.model_copy(update={"money": OTHER})
        world = story().sees(gateway.intent).in_a_world(gateway)
        other_amount(gateway)

        async with opened(world) as desk:
            await desk.nudge()
            await until(lambda: "succeeded" in str(world.records.evidence))
            await desk.nudge()
            state = await desk.repair(K.LOOK_AGAIN)

        notes = [c.note for c in world.records.changes if c.note and "succeeded" in c.note]
        assert ["the gateway shows pi_1 succeeded: 13.00 EUR of 13.00 EUR, charge ch_1"] == notes
        assert (S.NEEDS_OPERATOR, Reason.GATEWAY_MISMATCH) == (state.status, state.reason)

    async def test_gateway_that_refuses_to_tell_is_said(self, opened: Open) -> None:
        """The caller hears why nothing was learned; a nudge is not lost on it either."""
        world = story().parks().in_a_world(gateway_in("requires_action", refusals=("look",)))
        world.records.changes[:] = story().sees(world.gateway.intent).parks().changes

        async with opened(world) as desk:
            await desk.nudge()
            told = await desk.refusal(K.LOOK_AGAIN)

        assert "the gateway refuses" in told
        assert S.NEEDS_OPERATOR is world.records.state.status

    async def test_intent_that_nobody_heard_of_is_found(self, opened: Open) -> None:
        """Its marks lead to it, and it is attached before it counts."""
        world = story().parks().in_a_world(gateway_in("succeeded"))

        async with opened(world) as desk:
            state = await desk.repair(K.LOOK_AGAIN)

        assert ("pi_1", S.SUCCEEDED) == (state.intent_id, state.status)
        reasons = [change.reason or change.state.reason for change in world.records.changes]
        assert Reason.INTENT_ATTACHED in reasons

    async def test_refund_that_got_through_after_all(self, opened: Open) -> None:
        """The gateway shows the money given back: that is booked, and nobody pays twice."""
        gateway = FakeGateway()
        world = refund_failed(gateway).in_a_world(gateway)
        gateway.refunds.append(Refund(id="re_by_hand", status="succeeded", amount=PRICE.minor))
        gateway.refund_statuses.append("succeeded")

        async with opened(world) as desk:
            state = await desk.repair(K.LOOK_AGAIN)

        assert (S.SUCCEEDED, PRICE.minor, 0) == (
            state.status,
            state.amount_refunded,
            state.amount_refund_pending,
        )

    async def test_refund_that_still_lacks_stays_parked(self, opened: Open) -> None:
        """A failed refund gives nothing back."""
        gateway = FakeGateway()
        world = refund_failed(gateway).in_a_world(gateway)

        async with opened(world) as desk:
            state = await desk.repair(K.LOOK_AGAIN)

        assert (S.NEEDS_OPERATOR, PRICE.minor) == (state.status, state.amount_refund_pending)
        assert "refund" not in gateway.calls


class TestAttach:
    async def test_intent_of_the_payment_is_attached(self, opened: Open) -> None:
        """From then on it is the payment's intent, and counts."""
        world = story().parks().in_a_world(gateway_in("succeeded"))
        ours = {"payment_id": world.records.state.id}
        world.gateway.intent = world.gateway.intent.model_copy(update=ours)

        async with opened(world) as desk:
            state = await desk.repair(K.ATTACH_INTENT, gateway_id="pi_1")
            await desk.result()

        assert ("pi_1", S.SUCCEEDED) == (state.intent_id, state.status)

    @pytest.mark.parametrize("can_cancel", [True, False])
    async def test_intent_before_is_canceled_first(self, opened: Open, can_cancel: bool) -> None:  # noqa: FBT001
        """Else its customer could pay twice: if it is not proved canceled, nothing is attached."""
        gateway = gateway_in("requires_action")
        gateway.cannot_cancel = None if can_cancel else IntentStatus.PROCESSING
        world = story().sees(gateway.intent).parks().in_a_world(gateway)
        paid_by_hand = gateway_in("succeeded").intent.model_copy(update={"id": "pi_hand"})
        gateway.others["pi_hand"] = paid_by_hand

        async with opened(world) as desk:
            if can_cancel:
                await desk.repair(K.ATTACH_INTENT, gateway_id="pi_hand")
            else:
                told = await desk.refusal(K.ATTACH_INTENT, gateway_id="pi_hand")
                assert "not canceled" in told

        state = world.records.state
        assert can_cancel == (state.intent_id == "pi_hand")
        assert can_cancel == (gateway.intent.status is IntentStatus.CANCELED)

    async def test_attached_twice_is_attached_once(self, opened: Open) -> None:
        """The second time it is only looked at."""
        gateway = FakeGateway()
        other_amount(gateway)
        world = story().sees(gateway.intent).in_a_world(gateway)
        gateway.intent = gateway.intent.model_copy(
            update={"money": PRICE, "status": IntentStatus.PROCESSING, "received": 0}
        )

        async with opened(world) as desk:
            state = await desk.repair(K.ATTACH_INTENT, gateway_id="pi_1")

        reasons = [change.reason for change in world.records.changes]
        assert S.NEEDS_OPERATOR is state.status
        assert Reason.INTENT_ATTACHED not in reasons

    @pytest.mark.parametrize("way", ["metadata", "database"])
    async def test_intent_of_another_payment_is_not(self, opened: Open, way: str) -> None:
        """Whichever way it shows: somebody else's money is not this payment's."""
        world = story().parks().in_a_world(gateway_in("succeeded"))
        if way == "metadata":
            marked = {"payment_id": "pay_other"}
            world.gateway.intent = world.gateway.intent.model_copy(update=marked)
        else:
            world.records.owners["pi_1"] = "pay_other"

        async with opened(world) as desk:
            told = await desk.refusal(K.ATTACH_INTENT, gateway_id="pi_1")

        assert "pi_1 belongs to pay_other" == told
        assert world.records.state.intent_id is None

    async def test_intent_of_another_customer_is_not(self, opened: Open) -> None:
        """Without our marks nobody knows whose it is: their payments would follow it."""
        gateway = gateway_in("requires_action")
        world = story().sees(gateway.intent).parks().in_a_world(gateway)
        paid_by_hand = gateway_in("succeeded").intent.model_copy(
            update={"id": "pi_hand", "customer_id": "cus_stranger"}
        )
        gateway.others["pi_hand"] = paid_by_hand

        async with opened(world) as desk:
            told = await desk.refusal(K.ATTACH_INTENT, gateway_id="pi_hand")

        assert "cus_stranger" in told
        assert ("pi_1", "cus_1") == (
            world.records.state.intent_id,
            world.records.state.gateway_customer_id,
        )

    async def test_intent_of_another_amount_is_not(self, opened: Open) -> None:
        """It is not what the payment asked for."""
        gateway = FakeGateway()
        other_amount(gateway)
        world = story().parks().in_a_world(gateway)

        async with opened(world) as desk:
            told = await desk.refusal(K.ATTACH_INTENT, gateway_id="pi_1")

        assert "pi_1 is of 13.00 EUR, the payment of 12.50 EUR" == told


class TestMarkSucceeded:
    async def test_evidence_counts_where_the_gateway_refuses_to_tell(self, opened: Open) -> None:
        """Booked once, by the name of who decided, and the shop hears of it."""
        before = story(has_order=True).sees(gateway_in("requires_action").intent).parks()
        world = before.in_a_world(gateway_in("succeeded", refusals=("look",)))

        async with opened(world) as desk:
            state = await desk.repair(K.MARK_SUCCEEDED, evidence="dashboard, ch_1, 12.50")
            result = await desk.result()

        marked = next(c for c in world.records.changes if c.state.reason is Reason.MARKED_SUCCEEDED)
        assert (S.SUCCEEDED, PRICE.minor) == (state.status, state.amount_captured)
        assert (ALICE, "dashboard, ch_1" in str(marked.note)) == (marked.actor, True)
        assert Fulfillment.CONFIRMED is result.fulfillment
        assert PRICE.minor == balance(world, Account.GATEWAY_CLEARING)

    async def test_proof_is_better_than_a_word(self, opened: Open) -> None:
        """The gateway shows it paid: that is what is written."""
        world = story().parks().in_a_world(gateway_in("succeeded"))

        async with opened(world) as desk:
            state = await desk.repair(K.MARK_SUCCEEDED, evidence="dashboard")

        assert (S.SUCCEEDED, Reason.PAID) == (state.status, state.reason)

    async def test_gateway_that_shows_no_money_is_believed(self, opened: Open) -> None:
        """No evidence makes an unpaid intent paid."""
        world = story().parks().in_a_world(gateway_in("requires_action"))

        async with opened(world) as desk:
            told = await desk.refusal(K.MARK_SUCCEEDED, evidence="a mail")

        assert told.endswith("no money has moved")
        assert 0 == world.records.state.amount_captured

    async def test_other_amount_is_not_marked(self, opened: Open) -> None:
        """What came in is not what was asked for: it goes back instead."""
        gateway = FakeGateway()
        other_amount(gateway)
        world = story().parks(Reason.GATEWAY_MISMATCH).in_a_world(gateway)

        async with opened(world) as desk:
            told = await desk.refusal(K.MARK_SUCCEEDED, evidence="a mail")

        assert told.endswith("it is not what was asked for; refund it")

    async def test_paid_payment_stands_and_is_booked_once(self, opened: Open) -> None:
        """It was parked after it was paid: its books have it already."""
        gateway = FakeGateway()
        world = paid(gateway).parks(Reason.GATEWAY_MISMATCH).in_a_world(gateway)

        async with opened(world) as desk:
            state = await desk.repair(K.MARK_SUCCEEDED, evidence="dashboard")

        assert (S.SUCCEEDED, Reason.MARKED_SUCCEEDED) == (state.status, state.reason)
        assert PRICE.minor == balance(world, Account.GATEWAY_CLEARING)


class TestMarkFailed:
    async def test_evidence_counts_where_the_gateway_refuses_to_cancel(self, opened: Open) -> None:
        """A person has shown that no money can move; the order is free."""
        before = story(has_order=True).sees(gateway_in("requires_action").intent).parks()
        world = before.in_a_world(gateway_in("requires_action", refusals=("close",)))

        async with opened(world) as desk:
            state = await desk.repair(K.MARK_FAILED, evidence="support ticket 17")
            await desk.result()

        assert (S.FAILED, Reason.MARKED_FAILED) == (state.status, state.reason)
        assert ["release"] == world.orders.calls

    async def test_money_that_moved_is_not_marked_away(self, opened: Open) -> None:
        """The cancel finds the money: nothing is written."""
        world = story().parks().in_a_world(gateway_in("succeeded"))

        async with opened(world) as desk:
            told = await desk.refusal(K.MARK_FAILED, evidence="a mail")

        assert told.endswith("the money has moved, or is about to")
        assert S.NEEDS_OPERATOR is world.records.state.status

    async def test_no_intent_at_all_is_a_proof(self, opened: Open) -> None:
        """The list does not show one, also not a while later."""
        gateway = FakeGateway()
        gateway.is_lost = True
        world = story().parks().in_a_world(gateway)

        async with opened(world) as desk:
            state = await desk.repair(K.MARK_FAILED, evidence="none")

        assert S.FAILED is state.status
        assert ["find", "find"] == gateway.calls


class TestAbandon:
    async def test_open_intent_is_canceled_and_the_payment_over(self, opened: Open) -> None:
        """The gateway's cancel is the proof."""
        world = story().parks().in_a_world(gateway_in("requires_action"))

        async with opened(world) as desk:
            state = await desk.repair(K.ABANDON)

        assert (S.CANCELED, Reason.ABANDONED) == (state.status, state.reason)
        assert IntentStatus.CANCELED is world.gateway.intent.status

    async def test_refusal_to_cancel_is_told(self, opened: Open) -> None:
        """Without a proof nothing is abandoned: somebody may still pay."""
        world = story().parks().in_a_world(gateway_in("requires_action", refusals=("close",)))

        async with opened(world) as desk:
            told = await desk.refusal(K.ABANDON)

        assert "the gateway refuses" in told
        assert S.NEEDS_OPERATOR is world.records.state.status

    async def test_refund_settled_by_other_means_is_over(self, opened: Open) -> None:
        """Nothing is owed any more; what the gateway holds stays in the books."""
        gateway = FakeGateway()
        world = refund_failed(gateway).in_a_world(gateway)

        async with opened(world) as desk:
            state = await desk.repair(K.ABANDON)
            result = await desk.result()

        assert (S.SUCCEEDED, Reason.REFUND_ABANDONED) == (state.status, state.reason)
        assert (0, 0) == (result.amount_refunded, result.amount_refund_pending)
        assert PRICE.minor == balance(world, Account.GATEWAY_CLEARING)
        assert ["release"] == world.orders.calls


class TestRefund:
    async def test_failed_refund_is_made_again(self, opened: Open) -> None:
        """The one that came to nothing is named, so that another is made."""
        gateway = FakeGateway()
        world = refund_failed(gateway).in_a_world(gateway)

        async with opened(world) as desk:
            state = await desk.repair(K.REFUND)
            await desk.result()

        [order] = [order for order in gateway.orders if isinstance(order, RefundOrder)]
        assert ("re_1",) == order.after
        assert (S.SUCCEEDED, PRICE.minor) == (state.status, state.amount_refunded)
        assert 0 == balance(world, Account.GATEWAY_CLEARING)

    async def test_refund_that_fails_again_parks_again(self, opened: Open) -> None:
        """The next decision is a person's, too."""
        gateway = FakeGateway()
        world = refund_failed(gateway).in_a_world(gateway)
        gateway.refund_statuses.clear()
        gateway.refund_statuses.extend(["failed", "succeeded"])

        async with opened(world) as desk:
            state = await desk.repair(K.REFUND)
            again = await desk.repair(K.REFUND)

        assert (S.NEEDS_OPERATOR, Reason.REFUND_FAILED) == (state.status, state.reason)
        assert (S.SUCCEEDED, PRICE.minor) == (again.status, again.amount_refunded)

    async def test_other_amount_goes_back_as_it_came(self, opened: Open) -> None:
        """All that the gateway received, though it was never ours; the books stay as they were."""
        gateway = FakeGateway()
        other_amount(gateway)
        gateway.refund_statuses.extendleft(["pending"])
        world = story().parks(Reason.GATEWAY_MISMATCH).in_a_world(gateway)

        async with opened(world) as desk:
            state = await desk.repair(K.REFUND)

        [order] = [order for order in gateway.orders if isinstance(order, RefundOrder)]
        assert OTHER == order.money
        assert (S.CANCELED, Reason.REFUNDED, 0) == (
            state.status,
            state.reason,
            state.amount_captured,
        )
        assert 0 == balance(world, Account.GATEWAY_CLEARING)

    async def test_other_amount_that_does_not_go_back_is_told(self, opened: Open) -> None:
        """The payment stays parked, and the caller hears why."""
        gateway = FakeGateway()
        other_amount(gateway)
        gateway.troubles["refund"] = deque([trouble(Trouble.REFUSED)])
        world = story().parks(Reason.GATEWAY_MISMATCH).in_a_world(gateway)

        async with opened(world) as desk:
            told = await desk.refusal(K.REFUND)

        assert told.startswith("the refund came to nothing")
        assert S.NEEDS_OPERATOR is world.records.state.status

    async def test_no_money_is_not_given_back(self, opened: Open) -> None:
        """The gateway holds none of this payment."""
        world = story().parks().in_a_world(gateway_in("requires_action"))

        async with opened(world) as desk:
            told = await desk.refusal(K.REFUND)

        assert told.endswith("abandon it")
        assert "refund" not in world.gateway.calls


class TestApproval:
    async def test_second_person_agrees(self, opened: Open) -> None:
        """Both stand in the history, and only then is it done."""
        world = story().parks().in_a_world(gateway_in("requires_action"))

        async with opened(world) as desk:
            proposed = await desk.repair(K.ABANDON, needs_approval=True)
            closed = "close" in world.gateway.calls
            done = await desk.approve()

        written = world.records.changes
        reasons = [change.reason for change in written if change.reason]
        assert (S.NEEDS_OPERATOR, False) == (proposed.status, closed)
        assert S.CANCELED is done.status
        assert [Reason.REPAIR_PROPOSED, Reason.REPAIR_REQUESTED] == [
            reason for reason in reasons if reason is not Reason.INTENT_ATTACHED
        ]
        assert BOB == written[-1].actor
        assert f"by {ALICE}; I agree" in str(written[-1].note)

    async def test_nobody_approves_what_they_proposed(self, opened: Open) -> None:
        """Four eyes are those of two."""
        world = story().parks().in_a_world(gateway_in("requires_action"))

        async with opened(world) as desk:
            await desk.repair(K.ABANDON, needs_approval=True)
            with pytest.raises(WorkflowUpdateFailedError) as refused:
                await desk.approve(by=ALICE)

        assert "somebody else must agree" in str(refused.value.cause)
        assert "close" not in world.gateway.calls

    async def test_there_must_be_a_proposal(self, opened: Open) -> None:
        """Nothing is done that nobody asked for."""
        world = story().parks().in_a_world(gateway_in("requires_action"))

        async with opened(world) as desk:
            with pytest.raises(WorkflowUpdateFailedError) as refused:
                await desk.approve()

        assert "there is no proposal" in str(refused.value.cause)

    async def test_later_repair_takes_the_proposals_place(self, opened: Open) -> None:
        """What was proposed before is not approved by accident."""
        world = story().parks().in_a_world(gateway_in("processing"))

        async with opened(world) as desk:
            await desk.repair(K.ABANDON, needs_approval=True)
            await desk.repair(K.LOOK_AGAIN)
            with pytest.raises(WorkflowUpdateFailedError):
                await desk.approve()

        assert "close" not in world.gateway.calls


class TestRequests:
    async def test_request_that_makes_no_sense_is_refused(self, opened: Open) -> None:
        """A refund is owed: the payment is not marked failed."""
        gateway = FakeGateway()
        world = refund_failed(gateway).in_a_world(gateway)

        async with opened(world) as desk:
            told = await desk.refusal(K.MARK_FAILED, evidence="none")

        assert "does not take mark_failed" in told

    async def test_key_belongs_to_one_request(self, opened: Open) -> None:
        """The same key with another body is a mistake."""
        world = story().parks().in_a_world(gateway_in("processing"))

        async with opened(world) as desk:
            await desk.repair(K.LOOK_AGAIN)
            request = RepairRequest(
                kind=K.ABANDON,
                why="other",
                actor=ALICE,
                request=RequestMark(key="repair-0", fingerprint="another"),
            )
            with pytest.raises(WorkflowUpdateFailedError) as refused:
                await desk.run.execute_update(RepairWorkflow.repair, request)

        assert isinstance(refused.value.cause, ApplicationError)
        assert "KeyReused" == refused.value.cause.type

    async def test_request_behind_the_one_that_settles_it_is_refused(
        self, house: House, opened: Open
    ) -> None:
        """Two decide at once: the first is carried out, the second hears that it came too late."""
        world = story().parks().in_a_world(gateway_in("requires_action"))
        closing = house.exchange.roads[world.records.state.id].close("close_intent")

        async with opened(world) as desk:
            first = asyncio.create_task(desk.repair(K.ABANDON))
            await closing.reached.wait()
            second = await desk.run.start_update(
                RepairWorkflow.repair,
                RepairRequest(
                    kind=K.LOOK_AGAIN,
                    why="the bank says so",
                    actor=BOB,
                    request=RequestMark(key="second", fingerprint="second"),
                ),
                wait_for_stage=WorkflowUpdateStage.ACCEPTED,
            )
            closing.open.set()
            state = await first
            with pytest.raises(WorkflowUpdateFailedError) as refused:
                await second.result()

        assert S.CANCELED is state.status
        assert "needs no operator any more" in str(refused.value.cause)

    async def test_news_during_the_end_is_looked_at(self, house: House, opened: Open) -> None:
        """A webhook that comes while the refund is made is not lost with the run's end."""
        gateway = FakeGateway()
        world = refund_failed(gateway).in_a_world(gateway, orders=FakeOrders())
        road = house.exchange.roads[world.records.state.id]

        async with opened(world) as desk:
            refunding = road.close("refund_intent")
            asked = asyncio.create_task(desk.repair(K.REFUND))
            await refunding.reached.wait()
            await desk.nudge()
            refunding.open.set()
            await asked
            result = await desk.result()

        assert PRICE.minor == result.amount_refunded
        assert gateway.calls.index("refund") < len(gateway.calls) - 1
        assert "refunds" == gateway.calls[-1]

    async def test_news_that_the_gateway_refuses_to_show_changes_nothing(
        self, house: House, opened: Open
    ) -> None:
        """A webhook came, and the look is refused: the payment stays parked, for a repair."""
        gateway = gateway_in("succeeded", refusals=("find",))
        world = story().parks().in_a_world(gateway)
        finding = house.exchange.roads[world.records.state.id].close("find_intent")

        async with opened(world) as desk:
            await desk.nudge()
            await finding.reached.wait()
            finding.open.set()
            await desk.refusal(K.LOOK_AGAIN)
            gateway.troubles.clear()
            state = await desk.repair(K.LOOK_AGAIN)

        assert 3 == gateway.calls.count("find")
        assert S.SUCCEEDED is state.status

    @pytest.mark.parametrize("is_known", [True, False])
    async def test_refund_that_the_gateway_cannot_make_parks_again(
        self,
        opened: Open,
        is_known: bool,  # noqa: FBT001
    ) -> None:
        """Paid on evidence, the shop refuses, and there is nothing to refund with: it is said."""
        gateway = gateway_in("succeeded", refusals=("look", "find", "refunds"))
        gateway.is_lost = not is_known
        past = story(has_order=True)
        past = past.sees(gateway.intent.model_copy(update={"money": OTHER})) if is_known else past
        world = past.parks().in_a_world(gateway, orders=FakeOrders(refused={"confirm"}))
        if not is_known:
            gateway.troubles.clear()

        async with opened(world) as desk:
            await desk.repair(K.MARK_SUCCEEDED, evidence="the bank's letter")
            await until(lambda: world.records.state.reason is Reason.REFUND_FAILED)
            told = await desk.refusal(K.REFUND)

        state = world.records.state
        assert (S.NEEDS_OPERATOR, Reason.REFUND_FAILED) == (state.status, state.reason)
        assert PRICE.minor == state.amount_refund_pending
        assert ("no intent" in told) != is_known

    @pytest.mark.parametrize("by_hand", [250, PRICE.minor - 250])
    async def test_what_others_gave_back_is_not_given_twice(
        self, opened: Open, by_hand: int
    ) -> None:
        """A part was refunded by hand: only the rest is asked for, and all is booked as back."""
        gateway = FakeGateway()
        world = refund_failed(gateway).in_a_world(gateway)
        gateway.refunds.append(Refund(id="re_hand", status="succeeded", amount=by_hand))

        async with opened(world) as desk:
            await desk.repair(K.REFUND)
            result = await desk.result()

        assert PRICE.minor - by_hand == gateway.refunds[-1].amount
        assert (PRICE.minor, 0) == (result.amount_refunded, result.amount_refund_pending)

    async def test_order_that_the_shop_no_longer_takes_is_refunded(self, opened: Open) -> None:
        """The repair finds the money, and the shop refuses: it goes back, and the order is free."""
        gateway, orders = gateway_in("succeeded"), FakeOrders(refused={"confirm"})
        world = story(has_order=True).parks().in_a_world(gateway, orders=orders)

        async with opened(world) as desk:
            await desk.nudge()
            result = await desk.result()

        assert (PRICE.minor, PRICE.minor) == (result.amount_captured, result.amount_refunded)
        assert ["confirm", "release"] == orders.calls
        assert 0 == balance(world, Account.GATEWAY_CLEARING)

    async def test_refund_of_another_amount_that_fails_is_told(self, opened: Open) -> None:
        """The bank does not take it back: nothing is concluded, and the payment stays parked."""
        gateway = FakeGateway()
        other_amount(gateway)
        gateway.refund_statuses.clear()
        gateway.refund_statuses.append("failed")
        world = story().sees(gateway.intent).in_a_world(gateway)

        async with opened(world) as desk:
            told = await desk.refusal(K.REFUND)

        assert "re_1 is failed" in told
        assert S.NEEDS_OPERATOR is world.records.state.status

    async def test_look_is_repeated_until_the_gateway_answers(self, opened: Open) -> None:
        """Nothing is concluded from silence."""
        world = story().parks().in_a_world(gateway_in("succeeded"))
        world.records.changes[-1] = world.records.changes[-1].model_copy(
            update={"state": world.records.state.model_copy(update={"intent_id": "pi_1"})}
        )
        world.gateway.troubles["look"] = deque([trouble(Trouble.UNREACHABLE)] * 3)

        async with opened(world) as desk:
            state = await desk.repair(K.LOOK_AGAIN)

        assert S.SUCCEEDED is state.status

    async def test_gateway_that_is_away_is_asked_until_it_answers(self, opened: Open) -> None:
        """A repair waits for its proof."""
        world = story().parks().in_a_world(gateway_in("requires_action"))
        world.gateway.troubles["close"] = deque([trouble(Trouble.UNREACHABLE)] * 4)

        async with opened(world) as desk:
            state = await desk.repair(K.ABANDON)

        assert S.CANCELED is state.status

    async def test_order_service_that_is_away_is_asked_until_it_answers(self, opened: Open) -> None:
        """A repaired payment is the shop's to hear of, however long that takes."""
        world = (
            story(has_order=True)
            .parks()
            .in_a_world(gateway_in("succeeded"), orders=FakeOrders(down={"confirm": 3}))
        )

        async with opened(world) as desk:
            await desk.repair(K.LOOK_AGAIN)
            result = await desk.result()

        assert Fulfillment.CONFIRMED is result.fulfillment


class TestComparison:
    async def test_payment_that_agrees_is_left_alone(self, opened: Open) -> None:
        """Opened for a payment that needs nobody, it ends without a change."""
        gateway = FakeGateway()
        world = paid(gateway).in_a_world(gateway)
        before = len(world.records.changes)

        async with opened(world) as desk:
            result = await desk.result()

        assert S.SUCCEEDED is result.status
        assert before == len(world.records.changes)

    async def test_paid_payment_that_the_gateway_denies_parks(self, opened: Open) -> None:
        """Row and gateway disagree about money: a person decides."""
        gateway = FakeGateway()
        world = paid(gateway).in_a_world(gateway)
        gateway.becomes("canceled")

        async with opened(world) as desk:
            state = await desk.repair(K.LOOK_AGAIN)

        assert (S.NEEDS_OPERATOR, Reason.GATEWAY_MISMATCH) == (state.status, state.reason)

    async def test_refund_that_failed_later_is_found(self, opened: Open) -> None:
        """The books take the money back, and a person decides."""
        gateway = FakeGateway()
        before = paid(gateway, has_order=True)
        before.then(*rules.owed_back(before.state, Reason.ORDER_REFUSED, NOON))
        before.then(*rules.given_back(before.state, NOON))
        gateway.refunds.append(Refund(id="re_1", status="failed", amount=PRICE.minor))
        world = before.in_a_world(gateway)

        async with opened(world) as desk:
            state = await desk.repair(K.LOOK_AGAIN)

        assert (S.NEEDS_OPERATOR, Reason.REFUND_FAILED) == (state.status, state.reason)
        assert (0, PRICE.minor) == (state.amount_refunded, state.amount_refund_pending)
        assert PRICE.minor == balance(world, Account.GATEWAY_CLEARING)

    async def test_money_of_a_closed_payment_is_a_persons(self, opened: Open) -> None:
        """It ended without money, and there is some: it goes back if somebody says so."""
        world = self._ended().in_a_world(gateway_in("succeeded"))

        async with opened(world) as desk:
            state = await desk.repair(K.REFUND)

        parked = [
            c.state.reason for c in world.records.changes if c.state.status is S.NEEDS_OPERATOR
        ]
        assert Reason.LATE_MONEY == parked[0]
        assert (S.CANCELED, Reason.REFUNDED) == (state.status, state.reason)

    async def test_late_money_waits_for_a_person(self, opened: Open) -> None:
        """A webhook does not make a payment of it that had ended; somebody's look does."""
        world = self._ended().in_a_world(gateway_in("succeeded"))

        async with opened(world) as desk:
            await desk.refusal(K.ATTACH_INTENT, gateway_id="pi_none")  # parked by now
            await desk.nudge()
            await until(lambda: world.gateway.calls.count("refunds") > 1)
            await desk.refusal(K.ATTACH_INTENT, gateway_id="pi_none")
            before = world.records.state
            state = await desk.repair(K.LOOK_AGAIN)

        assert (S.NEEDS_OPERATOR, Reason.LATE_MONEY) == (before.status, before.reason)
        assert (S.SUCCEEDED, PRICE.minor) == (state.status, state.amount_captured)

    @pytest.mark.parametrize("reason", [None, Reason.GATEWAY_REFUSED])
    async def test_money_that_has_gone_back_is_not_taken_for_paid(
        self, opened: Open, reason: Reason | None
    ) -> None:
        """Refunded in the dashboard before we knew of it: nothing is booked, and it is over."""
        gateway, orders = gateway_in("succeeded"), FakeOrders()
        gateway.refunds.append(Refund(id="re_hand", status="succeeded", amount=PRICE.minor))
        past = story(has_order=True).parks(reason) if reason else story(has_order=True)
        world = past.in_a_world(gateway, orders=orders)

        async with opened(world) as desk:
            if reason:
                await desk.nudge()
            result = await desk.result()

        assert (S.CANCELED, Reason.REFUNDED) == (result.status, result.reason)
        assert 0 == balance(world, Account.GATEWAY_CLEARING)
        assert ["release"] == orders.calls

    async def test_payment_that_ended_and_was_refunded_is_left_alone(self, opened: Open) -> None:
        """The money came and went: both agree that there is none."""
        gateway = gateway_in("succeeded")
        gateway.refunds.append(Refund(id="re_hand", status="succeeded", amount=PRICE.minor))
        world = self._ended().in_a_world(gateway)
        before = len(world.records.changes)

        async with opened(world) as desk:
            result = await desk.result()

        assert S.EXPIRED is result.status
        assert before == len(world.records.changes)

    async def test_money_that_has_gone_back_in_part_is_a_persons(self, opened: Open) -> None:
        """Neither paid nor refunded; what is left goes back if two say so."""
        gateway = gateway_in("succeeded")
        gateway.refunds.append(Refund(id="re_hand", status="succeeded", amount=250))
        world = story().in_a_world(gateway)

        async with opened(world) as desk:
            state = await desk.repair(K.REFUND)

        parked = [change for change in world.records.changes if change.note]
        assert "2.50 EUR given back" in str(parked[1].note)
        assert [250, PRICE.minor - 250] == [refund.amount for refund in gateway.refunds]
        assert (S.CANCELED, Reason.REFUNDED) == (state.status, state.reason)

    async def test_news_of_our_own_refund_does_not_undo_it(
        self, house: House, opened: Open
    ) -> None:
        """The gateway's event for the refund comes while it is made: it stays refunded."""
        gateway = FakeGateway()
        other_amount(gateway)
        world = story().sees(gateway.intent).in_a_world(gateway)
        refunding = house.exchange.roads[world.records.state.id].close("refund_intent")

        async with opened(world) as desk:
            asked = asyncio.create_task(desk.repair(K.REFUND))
            await refunding.reached.wait()
            await desk.nudge()
            refunding.open.set()
            await asked
            result = await desk.result()

        assert (S.CANCELED, Reason.REFUNDED) == (result.status, result.reason)
        assert 1 == gateway.calls.count("refund")

    @pytest.mark.parametrize("by_hand", [0, 250])
    async def test_late_money_of_an_order_that_is_paid_goes_back(
        self, opened: Open, by_hand: int
    ) -> None:
        """Another payment has the order: what is left of this one can only be given back."""
        gateway = gateway_in("succeeded")
        if by_hand:
            gateway.refunds.append(Refund(id="re_hand", status="succeeded", amount=by_hand))
        world = self._ended().in_a_world(gateway)
        world.records.order_taken_by = "pay_other"

        async with opened(world) as desk:
            result = await desk.result()

        assert (S.EXPIRED, Reason.REFUNDED) == (result.status, result.reason)
        assert PRICE.minor - by_hand == gateway.refunds[-1].amount

    async def test_late_money_that_the_bank_sent_back_is_not_sent_again(self, opened: Open) -> None:
        """It would come back for ever: once it has, a person must find another way."""
        gateway = gateway_in("succeeded")
        gateway.refunds.append(Refund(id="re_lost", status="failed", amount=PRICE.minor))
        world = self._ended().in_a_world(gateway)
        world.records.order_taken_by = "pay_other"

        async with opened(world) as desk:
            with pytest.raises(WorkflowFailureError):
                await desk.result()

        told = world.records.changes[-1]
        assert "refund" not in gateway.calls
        assert (Reason.LATE_MONEY, S.EXPIRED) == (told.reason, told.state.status)
        assert "re_lost came to nothing" in str(told.note)

    async def test_refund_that_two_have_decided_is_not_taken_for_paid_when_it_fails(
        self, opened: Open
    ) -> None:
        """Late money stays a person's, also after the bank has sent it back."""
        gateway = gateway_in("succeeded")
        gateway.refund_statuses.clear()
        gateway.refund_statuses.extend(["pending", "failed"])
        world = self._ended().in_a_world(gateway)

        async with opened(world) as desk:
            refused = await desk.refusal(K.REFUND)
            looks = gateway.calls.count("refunds")
            await desk.nudge()
            await until(lambda: gateway.calls.count("refunds") > looks)
            await desk.refusal(K.ATTACH_INTENT, gateway_id="pi_none")

        state = world.records.state
        assert "re_1 is failed" in refused
        assert (S.NEEDS_OPERATOR, Reason.LATE_MONEY) == (state.status, state.reason)
        assert Reason.REFUND_PENDING in [change.reason for change in world.records.changes]
        assert 0 == balance(world, Account.GATEWAY_CLEARING)

    async def test_paid_order_that_the_shop_has_not_heard_of(self, opened: Open) -> None:
        """The run was lost before it told the shop: the repair does."""
        gateway = FakeGateway()
        world = paid(gateway, has_order=True).in_a_world(gateway)

        async with opened(world) as desk:
            result = await desk.result()

        assert Fulfillment.CONFIRMED is result.fulfillment
        assert ["confirm"] == world.orders.calls

    async def test_paid_order_whose_money_has_gone_back(self, opened: Open) -> None:
        """Refunded in the dashboard before the shop heard of it: the order is free again."""
        gateway = FakeGateway()
        world = paid(gateway, has_order=True).in_a_world(gateway)
        gateway.refunds.append(Refund(id="re_hand", status="succeeded", amount=PRICE.minor))

        async with opened(world) as desk:
            result = await desk.result()

        assert (Fulfillment.REFUSED, PRICE.minor) == (result.fulfillment, result.amount_refunded)
        assert ["release"] == world.orders.calls

    async def test_refund_by_others_is_booked(self, opened: Open) -> None:
        """A part was given back in the dashboard: the books follow the gateway."""
        gateway = FakeGateway()
        world = paid(gateway).in_a_world(gateway)
        gateway.refunds.append(Refund(id="re_hand", status="succeeded", amount=250))

        async with opened(world) as desk:
            result = await desk.result()

        assert (S.SUCCEEDED, 250) == (result.status, result.amount_refunded)
        assert PRICE.minor - 250 == balance(world, Account.GATEWAY_CLEARING)

    async def test_lost_payment_that_the_gateway_will_not_show_is_a_persons(
        self, opened: Open
    ) -> None:
        """Its run is gone, and nobody can say what has become of the money."""
        gateway = gateway_in("requires_action", refusals=("look",))
        world = story().sees(gateway.intent).in_a_world(gateway)

        async with opened(world) as desk:
            await desk.refusal(K.ATTACH_INTENT, gateway_id="pi_none")

        state = world.records.state
        assert (S.NEEDS_OPERATOR, Reason.RUN_LOST) == (state.status, state.reason)

    @pytest.mark.parametrize("is_refused", [True, False])
    async def test_late_money_that_cannot_go_back_is_loud(
        self,
        opened: Open,
        is_refused: bool,  # noqa: FBT001
    ) -> None:
        """Nobody's row can hold it: the run fails by name, and says what to do."""
        gateway = gateway_in("succeeded", refusals=("refund",) if is_refused else ())
        gateway.refund_statuses.clear()
        gateway.refund_statuses.append("failed")
        world = self._ended().in_a_world(gateway)
        world.records.order_taken_by = "pay_other"

        async with opened(world) as desk:
            with pytest.raises(WorkflowFailureError) as failed:
                await desk.result()

        assert isinstance(failed.value.cause, ApplicationError)
        assert "LateMoneyStuck" == failed.value.cause.type

    async def test_open_intent_of_a_closed_payment_is_canceled(self, opened: Open) -> None:
        """Nobody can pay for it any more."""
        world = self._ended().in_a_world(gateway_in("requires_action"))

        async with opened(world) as desk:
            await desk.result()

        assert IntentStatus.CANCELED is world.gateway.intent.status

    async def test_canceled_intent_of_a_closed_payment_is_right(self, opened: Open) -> None:
        """Nothing is done."""
        world = self._ended().in_a_world(gateway_in("canceled"))

        async with opened(world) as desk:
            await desk.result()

        assert ["look"] == world.gateway.calls

    async def test_lost_run_of_an_open_payment_is_a_persons(self, opened: Open) -> None:
        """Nothing is done at the gateway: the customer may be about to pay."""
        gateway = gateway_in("requires_action")
        world = story().sees(gateway.intent).in_a_world(gateway)

        async with opened(world) as desk:
            state = await desk.repair(K.LOOK_AGAIN)

        assert (S.NEEDS_OPERATOR, Reason.RUN_LOST) == (state.status, state.reason)
        assert IntentStatus.REQUIRES_ACTION is gateway.intent.status

    async def test_lost_run_without_an_intent_is_a_persons(self, opened: Open) -> None:
        """There is nothing at the gateway, and the customer waits for an answer."""
        gateway = FakeGateway()
        gateway.is_lost = True
        world = story().in_a_world(gateway)

        async with opened(world) as desk:
            state = await desk.repair(K.LOOK_AGAIN)

        assert (S.NEEDS_OPERATOR, Reason.RUN_LOST) == (state.status, state.reason)

    async def test_unknown_payment_fails(self, house: House) -> None:
        """There is nothing to repair."""
        world = World(FakeGateway())
        run_id = addresses.repair_id("pay_nobody")

        async with a_worker(house.env, world, run_id):
            with pytest.raises(WorkflowFailureError) as failed:
                await house.env.client.execute_workflow(
                    RepairWorkflow.run,
                    RepairCase(payment_id="pay_nobody"),
                    id=run_id,
                    task_queue=run_id,
                )

        assert isinstance(failed.value.cause, ApplicationError)
        assert "UnknownPayment" == failed.value.cause.type

    def _ended(self) -> Story:
        gateway = gateway_in("canceled")
        before = story().sees(gateway_in("generic_decline").intent)
        return before.then(
            *rules.ended(
                before.state,
                before.attempt,
                S.EXPIRED,
                Reason.HOLD_OVER,
                NOON,
                intent=gateway.intent,
                actor="workflow",
            )
        )
