"""What happens to a saved method later: removals, and news of the gateway."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from activities.errors import Trouble
from activities.method_orders import DetachOrder
from paysaga.domain import saving as rules
from paysaga.domain.saved_method import SavedMethod, SavedMethodStatus, SaveReason
from tests.fakes import NOON, trouble
from tests.saved import (
    WINDOW,
    FakeMethodRecords,
    FakeMethods,
    attached,
    processing,
    saved,
    setup_in,
)
from tests.workers import workflow_worker
from tests.workflows.conftest import House
from tests.workflows.exchange import Exchange
from worker.main import SAVED_METHODS, methods_beside_the_gateway
from workflows import addresses
from workflows.method_changes import LookAtMethodWorkflow, MethodRef, RemoveMethodWorkflow

S = SavedMethodStatus
R = SaveReason


@dataclass
class Shop:
    """One saved method, and the runs about it."""

    env: WorkflowEnvironment
    exchange: Exchange
    gateway: FakeMethods = field(default_factory=FakeMethods)
    method_id: str = field(default_factory=lambda: f"mtd_{uuid4().hex}")

    def __post_init__(self) -> None:
        self.records = FakeMethodRecords(processing(self.method_id), saved(self.method_id))
        self.exchange.methods[self.method_id] = self.gateway
        self.queue = f"methods-{self.method_id}"
        self.ref = MethodRef(method_id=self.method_id)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """With a worker of its own."""
        async with workflow_worker(
            self.env.client,
            task_queue=self.queue,
            workflows=SAVED_METHODS,
            activities=methods_beside_the_gateway(self.records),
        ):
            try:
                yield
            finally:
                for name in (
                    addresses.removal_id(self.method_id),
                    addresses.look_id(self.method_id),
                ):
                    with suppress(RPCError):
                        await self.env.client.get_workflow_handle(name).terminate()

    async def remove(self, ref: MethodRef | None = None) -> SavedMethod:
        run = await self.env.client.start_workflow(
            RemoveMethodWorkflow.run,
            ref or self.ref,
            id=addresses.removal_id(self.method_id),
            task_queue=self.queue,
        )
        told, result = await asyncio.gather(
            run.execute_update(RemoveMethodWorkflow.outcome), run.result(), return_exceptions=True
        )
        if isinstance(result, BaseException):
            assert isinstance(told, WorkflowUpdateFailedError)
            raise result
        assert told == result
        return result

    async def look(self) -> SavedMethod:
        return await self.env.client.execute_workflow(
            LookAtMethodWorkflow.run,
            self.ref,
            id=addresses.look_id(self.method_id),
            task_queue=self.queue,
            start_signal="nudged",
        )


@pytest.fixture
def shop(env: WorkflowEnvironment, exchange: Exchange) -> Shop:
    return Shop(env, exchange)


class TestRemoval:
    async def test_detached_it_is_removed(self, shop: Shop) -> None:
        """The wish is written first, and the end only when the gateway shows it."""
        async with shop.open():
            method = await shop.remove()

        assert ["removal_requested", "removed"] == shop.records.reasons[-2:]
        assert (S.REMOVED, "pm_1") == (method.status, method.gateway_method_id)
        assert method.removed_at is not None
        [order] = shop.gateway.orders
        assert isinstance(order, DetachOrder)
        assert (shop.method_id, "pm_1") == (order.method_id, order.gateway_method_id)

    async def test_again_is_the_same(self, shop: Shop) -> None:
        """What is removed stays removed, and the gateway is not asked again."""
        async with shop.open():
            first = await shop.remove()
            again = await shop.remove()

        assert first == again
        assert ["detach"] == shop.gateway.calls

    async def test_gateway_away(self, env: WorkflowEnvironment, exchange: Exchange) -> None:
        """It is asked until it answers; meanwhile nobody can pay with the method."""
        troubles = [trouble(Trouble.UNREACHABLE)] * 4
        shop = Shop(env, exchange, FakeMethods(troubles={"detach": troubles}))

        async with shop.open():
            method = await shop.remove()

        assert S.REMOVED is method.status
        assert 5 == shop.gateway.calls.count("detach")

    async def test_gateway_that_refuses(self, env: WorkflowEnvironment, exchange: Exchange) -> None:
        """The run fails, for everybody to see; the next one goes on from there."""
        shop = Shop(env, exchange, FakeMethods(troubles={"detach": [trouble(Trouble.REFUSED)]}))

        async with shop.open():
            with pytest.raises(WorkflowFailureError):
                await shop.remove()
            waiting = shop.records.method
            method = await shop.remove()

        assert (S.ACTIVE, R.REMOVAL_REQUESTED) == (waiting.status, waiting.reason)
        assert (S.REMOVED, R.REMOVED) == (method.status, method.reason)

    async def test_run_canceled(self, house: House) -> None:
        """Whoever waits for it is told, and the row says what is still wanted."""
        shop = Shop(house.env, house.exchange)
        gate = house.exchange.roads[shop.method_id].close("detach_method")

        async with shop.open():
            removing = asyncio.create_task(shop.remove())
            run = house.env.client.get_workflow_handle(addresses.removal_id(shop.method_id))
            await gate.reached.wait()
            await run.cancel()
            with pytest.raises(WorkflowFailureError):
                await removing
            gate.open.set()

        assert R.REMOVAL_REQUESTED is shop.records.method.reason

    async def test_what_there_is_not(self, shop: Shop) -> None:
        """A run about no method fails, and asks nobody."""
        async with shop.open():
            with pytest.raises(WorkflowFailureError):
                await shop.remove(MethodRef(method_id="mtd_none"))

        assert [] == shop.gateway.calls

    async def test_run_that_ended_too_early(
        self, env: WorkflowEnvironment, exchange: Exchange
    ) -> None:
        """Whoever detaches it then, a look finds that, and it is the removal that was wanted."""
        troubles = {"detach": [trouble(Trouble.REFUSED)]}
        shop = Shop(env, exchange, FakeMethods(troubles=troubles))

        async with shop.open():
            with pytest.raises(WorkflowFailureError):
                await shop.remove()
            shop.gateway.attached = attached(None)
            method = await shop.look()

        assert (S.REMOVED, R.REMOVED) == (method.status, method.reason)

    @pytest.mark.parametrize("owner", ["cus_1", None])
    async def test_look_meanwhile_does_no_harm(self, house: House, owner: str | None) -> None:
        """Whichever run writes what first: both know in the end that it is removed."""
        shop = Shop(house.env, house.exchange)
        gate = house.exchange.roads[shop.method_id].close("detach_method")
        shop.gateway.attached = attached(owner, exp_year=2031)

        async with shop.open():
            removing = asyncio.create_task(shop.remove())
            await gate.reached.wait()
            await shop.look()
            gate.open.set()
            method = await removing

        assert (S.REMOVED, R.REMOVED) == (method.status, method.reason)
        assert method == shop.records.method


class TestNews:
    async def test_new_card_is_shown(self, shop: Shop) -> None:
        """The card updater's news is what the row shows."""
        shop.gateway.attached = attached(last4="9999", exp_year=2031)

        async with shop.open():
            method = await shop.look()

        assert (S.ACTIVE, R.UPDATED_AT_GATEWAY) == (method.status, method.reason)
        assert method.facts is not None
        assert ("9999", 2031) == (method.facts.last4, method.facts.exp_year)

    async def test_detached_there_is_removed_here(self, shop: Shop) -> None:
        """Somebody has taken it from its customer in the gateway's dashboard."""
        shop.gateway.attached = attached(None)

        async with shop.open():
            method = await shop.look()

        assert (S.REMOVED, R.DETACHED_AT_GATEWAY) == (method.status, method.reason)

    async def test_no_news_changes_nothing(self, shop: Shop) -> None:
        """An event that tells what is known leaves the row as it is."""
        before = shop.records.method

        async with shop.open():
            method = await shop.look()

        assert before == method == shop.records.method

    async def test_what_is_gone_is_not_looked_at(self, shop: Shop) -> None:
        """A late event about a removed method asks nothing."""
        gone = rules.seen(shop.records.method, attached(None), NOON)
        assert gone is not None
        shop.records.steps.append(gone)

        async with shop.open():
            assert gone == await shop.look()

        assert [] == shop.gateway.calls

    @pytest.mark.parametrize("is_known", [True, False])
    @pytest.mark.parametrize(
        ("word", "status", "reason"),
        [
            ("succeeded", S.ACTIVE, R.SAVED),
            ("expired_card", S.FAILED, R.DECLINED),
            ("canceled", S.FAILED, R.CANCELED_AT_GATEWAY),
        ],
    )
    async def test_saving_whose_run_is_lost_ends(
        self, shop: Shop, word: str, status: S, reason: R, *, is_known: bool
    ) -> None:
        """The row becomes what the SetupIntent shows, also if it was lost before it knew that."""
        shop.records.steps = [processing(shop.method_id)]
        if is_known:
            waiting = rules.set_up(shop.records.method, setup_in("requires_action"), NOON, WINDOW)
            assert waiting is not None
            shop.records.steps.append(waiting)
        else:
            shop.ref = MethodRef(method_id=shop.method_id, setup_id="seti_1")
        shop.gateway.becomes(word)

        async with shop.open():
            method = await shop.look()

        assert (status, reason, None) == (method.status, method.reason, method.action_url)
        assert (["look"], ["seti_1"]) == (shop.gateway.calls, shop.gateway.orders)

    async def test_what_is_saved_is_not_saved_twice(self, shop: Shop) -> None:
        """Another method is this one at the gateway already: the row says so."""
        shop.records.steps = [processing(shop.method_id)]
        shop.records.doubles = "mtd_first"
        shop.ref = MethodRef(method_id=shop.method_id, setup_id="seti_1")
        shop.gateway.becomes("succeeded")

        async with shop.open():
            method = await shop.look()

        assert (S.FAILED, R.ALREADY_SAVED) == (method.status, method.reason)

    async def test_saving_of_which_nothing_is_known_stays(self, shop: Shop) -> None:
        """Without a SetupIntent there is nothing to look at."""
        shop.records.steps = [processing(shop.method_id)]

        async with shop.open():
            assert processing(shop.method_id) == await shop.look()

        assert [] == shop.gateway.calls

    async def test_gateway_away(self, env: WorkflowEnvironment, exchange: Exchange) -> None:
        """It is asked until it answers."""
        troubles = [trouble(Trouble.UNREACHABLE)] * 4
        shop = Shop(env, exchange, FakeMethods(troubles={"look at method": troubles}))
        shop.gateway.attached = attached(None)

        async with shop.open():
            assert S.REMOVED is (await shop.look()).status

    async def test_news_during_a_look_is_looked_at(
        self, env: WorkflowEnvironment, exchange: Exchange
    ) -> None:
        """What was seen may be old by then."""
        shop = Shop(env, exchange)
        gate = exchange.roads[shop.method_id].close("retrieve_method")

        async with shop.open():
            looking = asyncio.create_task(shop.look())
            await gate.reached.wait()
            run = env.client.get_workflow_handle(addresses.look_id(shop.method_id))
            await run.signal(LookAtMethodWorkflow.nudged)
            gate.open.set()
            await looking

        assert ["look at method"] * 2 == shop.gateway.calls
