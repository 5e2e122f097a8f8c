"""A search of a whole account's intents that is longer than one activity."""

from datetime import timedelta
from uuid import uuid4

from temporalio import workflow
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.errors import Trouble, not_searched_through
from activities.stripe_orders import FoundIntent, IntentOrder, IntentSearch
from paysaga.domain.payment import PaymentStatus
from tests.fakes import NOON, FakeGateway, trouble
from tests.workflows.conftest import Start, World
from tests.workflows.exchange import Exchange
from workflows.collection import Collection

PLACES = ["pi_1000", "pi_2000"]


class Patient:
    """A bill that is worth any trouble."""

    async def on_trouble(self, trouble: Trouble, again_at: timedelta) -> None:
        raise AssertionError(f"{trouble}, for {again_at}: a search is no trouble")

    def is_over(self) -> bool:
        return False


@workflow.defn(sandboxed=False)
class Finding:
    """Looks for an intent, and for nothing else."""

    @workflow.run
    async def run(self, search: IntentSearch) -> FoundIntent:
        return FoundIntent(intent=await Collection(Patient()).find(search))


def long_list() -> list[ApplicationError]:
    return [not_searched_through(place) for place in PLACES]


class TestLongSearch:
    async def test_intent_is_found_however_far_back(
        self, env: WorkflowEnvironment, exchange: Exchange
    ) -> None:
        """Each part goes on where the one before has ended."""
        queue = f"finding-{uuid4().hex}"
        gateway = FakeGateway(troubles={"find": long_list()})
        exchange.gateways[queue] = gateway
        search = IntentSearch(payment_id="pay_1", gateway_customer_id=None, ordered_at=NOON)

        async with Worker(env.client, task_queue=queue, workflows=[Finding]):
            found = await env.client.execute_workflow(
                Finding.run, search, id=queue, task_queue=queue
            )

        assert gateway.intent == found.intent
        assert [None, *PLACES] == [
            asked.searched_to for asked in gateway.orders if isinstance(asked, IntentSearch)
        ]

    async def test_the_customers_key_is_spent_alone(self, pay: Start) -> None:
        """An error that is kept under the customer's key opens no other key for the intent."""
        troubles = [trouble(Trouble.UNREACHABLE), trouble(Trouble.STICKY_CUSTOMER)]
        world = World(FakeGateway("succeeded", troubles={"create": troubles}))

        async with pay(world) as payment:
            await payment.result()

        assert [(0, 0), (0, 0), (0, 1)] == [
            (order.generation, order.customer_generation)
            for order in world.gateway.orders
            if isinstance(order, IntentOrder)
        ]

    async def test_each_key_needs_a_search_of_its_own(self, pay: Start) -> None:
        """The proof that an earlier key had no effect begins with what is newest."""
        sticky = trouble(Trouble.STICKY)
        troubles = [sticky, *long_list(), trouble(Trouble.UNREACHABLE), sticky]
        world = World(FakeGateway("succeeded", troubles={"create": troubles}))

        async with pay(world) as payment:
            result = await payment.result()

        assert PaymentStatus.SUCCEEDED is result.status
        assert [
            (0, None),
            (1, None),
            (1, PLACES[0]),
            (1, PLACES[1]),
            (1, PLACES[1]),
            (2, None),
        ] == [
            (order.generation, order.searched_to)
            for order in world.gateway.orders
            if isinstance(order, IntentOrder)
        ]
