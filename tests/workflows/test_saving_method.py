"""A means of payment on its way to being saved, on the time-skipping server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from activities.errors import Trouble, before_the_attempt
from activities.method_orders import CancelSetUpOrder, SetUpOrder
from paysaga.domain.saved_method import (
    MethodOrder,
    SavedMethod,
    SavedMethodStatus,
    SaveReason,
    Setup,
    SetupStatus,
)
from tests.fakes import trouble
from tests.saved import PAGE, WINDOW, FakeMethodRecords, FakeMethods, an_order
from tests.workers import workflow_worker
from tests.workflows.exchange import Exchange
from worker.main import SAVED_METHODS, methods_beside_the_gateway
from workflows import addresses, policies
from workflows.saving_method import SavedMethodWorkflow

S = SavedMethodStatus
R = SaveReason
ANY = 10_000
Run = WorkflowHandle[SavedMethodWorkflow, SavedMethod]


@dataclass
class World:
    """Everything around one method."""

    gateway: FakeMethods
    records: FakeMethodRecords = field(default_factory=FakeMethodRecords)


@dataclass
class Saving:
    """A method under way."""

    env: WorkflowEnvironment
    run: Run
    world: World

    async def first_outcome(self) -> SavedMethod:
        return await self.run.execute_update(SavedMethodWorkflow.first_outcome)

    async def refresh(self) -> SavedMethod:
        return await self.run.execute_update(SavedMethodWorkflow.refresh)

    async def nudge(self) -> None:
        await self.run.signal(SavedMethodWorkflow.nudged)

    async def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(ANY):
            if condition():
                return
            await self.env.sleep(timedelta(seconds=30))
        raise AssertionError("it never came true")

    async def saved(self) -> SavedMethod:
        """Go on to the end, whatever time that takes."""
        return await self.run.result()


Start = Callable[..., AbstractAsyncContextManager[Saving]]


@pytest.fixture
def save(env: WorkflowEnvironment, exchange: Exchange) -> Start:
    """Start saving a method in a world of its own."""

    @asynccontextmanager
    async def start(world: World, order: MethodOrder | None = None) -> AsyncIterator[Saving]:
        order = (order or an_order()).model_copy(update={"id": f"mtd_{uuid4().hex}"})
        queue = f"methods-{order.id}"
        exchange.methods[order.id] = world.gateway
        async with workflow_worker(
            env.client,
            task_queue=queue,
            workflows=SAVED_METHODS,
            activities=methods_beside_the_gateway(world.records),
        ):
            run = await env.client.start_workflow(
                SavedMethodWorkflow.run, order, id=order.id, task_queue=queue
            )
            try:
                yield Saving(env, run, world)
            finally:
                with suppress(RPCError):
                    await run.terminate()

    return start


class TestSavedAtOnce:
    async def test_first_outcome_is_the_saved_method(self, save: Start) -> None:
        """A card that its bank takes is active in the first answer, and the run is over."""
        world = World(FakeMethods())

        async with save(world) as saving:
            first = await saving.first_outcome()
            result = await saving.saved()

        assert (S.ACTIVE, R.SAVED) == (first.status, first.reason)
        assert first == result == world.records.method
        assert ["set up"] == world.gateway.calls

    async def test_row_comes_first(self, save: Start) -> None:
        """It is written down before the gateway hears of it, with all that leads back to it."""
        world = World(FakeMethods(troubles={"set up": [trouble(Trouble.REFUSED)]}))

        async with save(world) as saving:
            await saving.saved()

        order = world.gateway.orders[0]
        assert isinstance(order, SetUpOrder)
        assert (world.records.method.id, "cst_1", "pm_card_visa", "test") == (
            order.method_id,
            order.customer_id,
            order.token,
            order.environment,
        )
        assert ["started", "gateway_refused"] == world.records.reasons

    async def test_run_is_found_by_the_gateways_name(self, save: Start) -> None:
        """Operators find the run in the Temporal UI, and read there what it does."""
        async with save(World(FakeMethods())) as saving:
            await saving.saved()
            told = await saving.run.describe()

        assert "seti_1" == told.typed_search_attributes[addresses.GATEWAY_ID]

    async def test_decline_is_told(self, save: Start) -> None:
        """A card that its bank refuses is not saved, and says why."""
        world = World(FakeMethods("expired_card"))

        async with save(world) as saving:
            first = await saving.first_outcome()
            await saving.saved()

        assert (S.FAILED, R.DECLINED) == (first.status, first.reason)
        assert first.decline is not None
        assert "expired_card" == first.decline.code

    async def test_what_is_saved_already_is_not_saved_twice(self, save: Start) -> None:
        """The same card of the gateway has one method of ours, and keeps it."""
        world = World(FakeMethods(), FakeMethodRecords(doubles="mtd_first"))

        async with save(world) as saving:
            method = await saving.saved()

        assert (S.FAILED, R.ALREADY_SAVED) == (method.status, method.reason)
        assert "pm_1" == method.gateway_method_id

    async def test_lost_task_goes_on_from_what_is_written(self, save: Start) -> None:
        """If the database knows more than the run, the run takes that over."""
        world = World(FakeMethods())
        async with save(world) as saving:
            done = await saving.saved()
        again = World(FakeMethods(), FakeMethodRecords(*world.records.steps))

        async with save(again) as saving:
            result = await saving.saved()

        assert (done, []) == (result, again.gateway.calls)


class TestAuthentication:
    async def waiting(self, saving: Saving) -> SavedMethod:
        first = await saving.first_outcome()
        assert (S.REQUIRES_ACTION, PAGE) == (first.status, first.action_url)
        return first

    @pytest.mark.parametrize("how", ["nudge", "refresh"])
    async def test_finished_in_time(self, save: Start, how: str) -> None:
        """A webhook or the customer's return makes the run look, and the card is saved."""
        world = World(FakeMethods("requires_action"))

        async with save(world) as saving:
            await self.waiting(saving)
            world.gateway.becomes("succeeded")
            await (saving.nudge() if how == "nudge" else saving.refresh())
            method = await saving.saved()

        assert S.ACTIVE is method.status
        assert (method.action_url, method.action_until) == (None, None)
        assert ["set up", "look"] == world.gateway.calls

    async def test_failed(self, save: Start) -> None:
        """A customer who did not confirm hears so at once."""
        world = World(FakeMethods("requires_action"))

        async with save(world) as saving:
            await self.waiting(saving)
            world.gateway.becomes("setup_intent_authentication_failure")
            method = await saving.refresh()
            await saving.saved()

        assert (S.FAILED, R.DECLINED) == (method.status, method.reason)

    async def test_webhook_that_is_only_noise(self, save: Start) -> None:
        """A look that shows nothing new changes nothing: the customer's time is the same."""
        world = World(FakeMethods("requires_action"))

        async with save(world) as saving:
            first = await self.waiting(saving)
            same = await saving.refresh()
            world.gateway.becomes("succeeded")
            await saving.saved()

        assert first == same

    async def test_not_finished_in_time(self, save: Start) -> None:
        """When the time is over it is canceled at the gateway, and only that proof ends it."""
        world = World(FakeMethods("requires_action"))

        async with save(world) as saving:
            first = await self.waiting(saving)
            method = await saving.saved()

        assert (S.FAILED, R.AUTHENTICATION_TIMEOUT) == (method.status, method.reason)
        assert method.decline is not None
        assert "authentication_timeout" == method.decline.code
        assert ["set up", "look", "cancel"] == world.gateway.calls
        assert timedelta() <= method.updated_at - first.updated_at - WINDOW < timedelta(minutes=1)

    async def test_lost_webhook_is_made_up_for(self, save: Start) -> None:
        """What succeeded without a word to us is found when the time is over."""
        world = World(FakeMethods("requires_action"))

        async with save(world) as saving:
            await self.waiting(saving)
            world.gateway.becomes("succeeded")
            method = await saving.saved()

        assert S.ACTIVE is method.status
        assert "cancel" not in world.gateway.calls

    async def test_finished_in_the_last_moment(self, save: Start) -> None:
        """If the cancel finds that it succeeded, it is saved."""
        world = World(FakeMethods("requires_action"))
        world.gateway.cannot_cancel = "succeeded"

        async with save(world) as saving:
            await self.waiting(saving)
            method = await saving.saved()

        assert S.ACTIVE is method.status

    async def test_cancel_that_does_nothing_is_asked_again(self, save: Start) -> None:
        """Each with a key of its own, since the gateway keeps its refusals; and not in a hurry."""
        world = World(FakeMethods("requires_action"))
        world.gateway.cannot_cancel = "requires_action"

        async with save(world) as saving:
            await self.waiting(saving)
            await saving.until(lambda: world.gateway.calls.count("cancel") == 3)
            world.gateway.cannot_cancel = None
            method = await saving.saved()

        cancels = [order for order in world.gateway.orders if isinstance(order, CancelSetUpOrder)]
        assert [0, 1, 2, 3] == [order.generation for order in cancels]
        assert R.AUTHENTICATION_TIMEOUT is method.reason

    async def test_second_page_has_no_time_of_its_own(self, save: Start) -> None:
        """However often the bank asks, the customer's time ends when it was to end."""
        world = World(FakeMethods("requires_action"))

        async with save(world) as saving:
            first = await self.waiting(saving)
            world.gateway.setup = Setup(
                id="seti_1",
                status=SetupStatus.REQUIRES_ACTION,
                customer_id="cus_1",
                action_url=f"{PAGE}/2",
            )
            second = await saving.refresh()
            await saving.saved()

        assert (f"{PAGE}/2", first.action_until) == (second.action_url, second.action_until)


class TestTrouble:
    @pytest.mark.parametrize("kind", [Trouble.UNREACHABLE, Trouble.STICKY, Trouble.LATER])
    async def test_lost_answer_is_asked_again(self, save: Start, kind: Trouble) -> None:
        """What an unanswered call did is found by the next: with the same key, or after a look."""
        world = World(FakeMethods(lost={"set up": [trouble(kind)]}))

        async with save(world) as saving:
            method = await saving.saved()

        first, second = world.gateway.orders
        assert isinstance(first, SetUpOrder)
        assert isinstance(second, SetUpOrder)
        assert S.ACTIVE is method.status
        assert (False, True) == (first.is_repeat, second.is_repeat)
        assert (0, int(kind is Trouble.STICKY)) == (first.generation, second.generation)

    async def test_a_card_that_was_not_seen_is_looked_at_again(self, save: Start) -> None:
        """Nothing was sent, so the next try is none of a repeat: no card goes by unseen."""
        unseen = before_the_attempt(trouble(Trouble.NOT_ASKED))
        world = World(FakeMethods(troubles={"set up": [unseen, trouble(Trouble.UNREACHABLE)]}))

        async with save(world) as saving:
            await saving.saved()

        assert [False, False, True] == [
            order.is_repeat for order in world.gateway.orders if isinstance(order, SetUpOrder)
        ]

    async def test_spent_key_of_the_customer(self, save: Start) -> None:
        """The SetupIntent was not asked for: its key stays, the customer gets a new one."""
        world = World(FakeMethods(troubles={"set up": [trouble(Trouble.STICKY_CUSTOMER)]}))

        async with save(world) as saving:
            await saving.saved()

        order = world.gateway.orders[-1]
        assert isinstance(order, SetUpOrder)
        assert (0, 1) == (order.generation, order.customer_generation)

    async def test_gateway_away_for_an_hour(self, save: Start) -> None:
        """The method says so meanwhile, and is saved when the gateway is back."""
        troubles = [trouble(Trouble.UNREACHABLE) for _ in range(20)]
        world = World(FakeMethods(troubles={"set up": troubles}))

        async with save(world) as saving:
            await saving.until(lambda: R.GATEWAY_UNREACHABLE in world.records.reasons)
            method = await saving.saved()

        assert ["started", "gateway_unreachable", "saved"] == world.records.reasons
        assert S.ACTIVE is method.status

    async def test_gateway_refuses_to_tell(self, save: Start) -> None:
        """What cannot be looked at is not saved."""
        refusals = {"look": [trouble(Trouble.REFUSED)]}
        world = World(FakeMethods("requires_action", troubles=refusals))

        async with save(world) as saving:
            await saving.nudge()
            method = await saving.saved()

        assert (S.FAILED, R.GATEWAY_REFUSED) == (method.status, method.reason)

    async def test_gateway_takes_its_time(self, save: Start) -> None:
        """That is an answer; the run looks again until there is an outcome."""
        world = World(FakeMethods("processing"))

        async with save(world) as saving:
            first = await saving.first_outcome()
            await saving.until(lambda: world.gateway.calls.count("look") >= 3)
            world.gateway.becomes("succeeded")
            method = await saving.saved()

        assert R.GATEWAY_PROCESSING is first.reason
        assert S.ACTIVE is method.status

    async def test_database_away(self, save: Start) -> None:
        """Nothing is asked of the gateway before the row is there."""
        world = World(FakeMethods())
        world.records.away = 12

        async with save(world) as saving:
            method = await saving.saved()

        assert S.ACTIVE is method.status

    async def test_what_the_database_refuses_is_a_bug(self, save: Start) -> None:
        """It fails the workflow task, for everybody to see; mended, the run goes on."""
        world = World(FakeMethods())
        world.records.broken = 1

        async with save(world) as saving:
            method = await saving.saved()

        assert S.ACTIVE is method.status

    async def test_double_is_known_also_after_an_outage(self, save: Start) -> None:
        """The patient activity says the same as the quick one."""
        world = World(FakeMethods("requires_action"), FakeMethodRecords(doubles="mtd_first"))

        async with save(world) as saving:
            await saving.first_outcome()
            world.records.away = 9
            world.gateway.becomes("succeeded")
            await saving.nudge()
            method = await saving.saved()

        assert R.ALREADY_SAVED is method.reason


class TestRefresh:
    async def test_one_look_at_a_time(self, save: Start, exchange: Exchange) -> None:
        """Who asks while it is being looked at is told so."""
        world = World(FakeMethods("requires_action"))

        async with save(world) as saving:
            await saving.first_outcome()
            gate = exchange.roads[saving.run.id].close("retrieve_set_up")
            looking = asyncio.create_task(saving.refresh())
            await gate.reached.wait()
            with pytest.raises(WorkflowUpdateFailedError):
                await saving.refresh()
            world.gateway.becomes("succeeded")
            gate.open.set()
            method = await looking
            await saving.saved()

        assert S.ACTIVE is method.status

    async def test_not_too_often(self, save: Start) -> None:
        """An owner who asks without end does not fill the history."""
        world = World(FakeMethods("requires_action"))

        async with save(world) as saving:
            await saving.first_outcome()
            for _ in range(policies.REFRESHES_AT_WILL):
                await saving.refresh()
            with pytest.raises(WorkflowUpdateFailedError) as refused:
                await saving.refresh()
            world.gateway.becomes("succeeded")
            await saving.nudge()
            await saving.saved()

        assert isinstance(refused.value.cause, ApplicationError)
        assert "NotNow" == refused.value.cause.type


class TestRunCanceled:
    async def canceled(self, saving: Saving) -> None:
        await saving.run.cancel()
        with pytest.raises(WorkflowFailureError):
            await saving.run.result()

    async def test_what_waits_is_closed(self, save: Start) -> None:
        """Nothing can succeed behind our back."""
        world = World(FakeMethods("requires_action"))

        async with save(world) as saving:
            await saving.first_outcome()
            await self.canceled(saving)

        assert ["set up", "cancel"] == world.gateway.calls
        assert (S.FAILED, R.RUN_CANCELED) == (
            world.records.method.status,
            world.records.method.reason,
        )

    async def test_what_has_succeeded_is_saved(self, save: Start) -> None:
        """The truth wins."""
        world = World(FakeMethods("requires_action"))

        async with save(world) as saving:
            await saving.first_outcome()
            world.gateway.becomes("succeeded")
            await self.canceled(saving)

        assert S.ACTIVE is world.records.method.status

    async def test_what_the_gateway_decides_yet_stays_open(self, save: Start) -> None:
        """It takes no cancel then, and may still save the method: nobody may say that it failed."""
        world = World(FakeMethods("requires_action"))

        async with save(world) as saving:
            await saving.first_outcome()
            world.gateway.cannot_cancel = "processing"
            await self.canceled(saving)

        assert S.PROCESSING is world.records.method.status

    async def test_what_is_unknown_is_found_out(self, save: Start) -> None:
        """The gateway may have done what it did not answer to."""
        lost = [trouble(Trouble.UNREACHABLE) for _ in range(9)]
        world = World(FakeMethods(lost={"set up": lost}))

        async with save(world) as saving:
            await saving.until(lambda: len(world.gateway.calls) >= 2)
            await self.canceled(saving)

        assert S.ACTIVE is world.records.method.status

    async def test_who_waits_is_told(self, save: Start, exchange: Exchange) -> None:
        """Nobody waits for an outcome that nobody works for any more."""
        world = World(FakeMethods())

        async with save(world) as saving:
            gate = exchange.roads[saving.run.id].close("set_up_method")
            waiting = asyncio.create_task(saving.first_outcome())
            await gate.reached.wait()
            await saving.run.cancel()
            with pytest.raises(WorkflowUpdateFailedError):
                await waiting
            gate.open.set()
            with pytest.raises(WorkflowFailureError):
                await saving.run.result()

        assert S.ACTIVE is world.records.method.status

    async def test_gateway_that_refuses_to_cancel(self, save: Start) -> None:
        """The row says that the run was canceled, and the log what could not be done."""
        refusals = {"cancel": [trouble(Trouble.REFUSED)]}
        world = World(FakeMethods("requires_action", troubles=refusals))

        async with save(world) as saving:
            await saving.first_outcome()
            await self.canceled(saving)

        assert R.RUN_CANCELED is world.records.method.reason
