"""A sink's whole life on Temporal's own server, with time passing, on both databases."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from starlette.responses import Response
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.deliveries import Deliveries, Targets
from activities.targets import SinkTargets
from paysaga.database.engine import Sessions
from paysaga.database.sink_changes import Request, SinkChanges
from paysaga.domain.outbox import Place
from paysaga.domain.sink import Sink, SinkReason, SinkStatus
from paysaga.events.delivery import Target
from paysaga.events.http import Http
from paysaga.events.shapes import Event
from tests.receiving import receiving
from tests.sinks import AWAY, FAILED, GONE, REFUSED, TAKEN, Receiver, created, pay, until
from tests.workers import workflow_worker
from tests.workflows.conftest import House
from workflows import addresses, sink
from workflows.sink import SinkOrder, SinkWorkflow

ALL = [1, 2, 3]

Run = WorkflowHandle[SinkWorkflow, None]


class Clocked(Receiver):
    """A receiver that knows what time the run has."""

    def __init__(self) -> None:
        super().__init__()
        self.began: datetime | None = None
        self.passed = timedelta()

    def of(self, sink: Sink, now: datetime) -> Target:
        self.began = self.began or now
        self.passed = now - self.began
        return super().of(sink, now)


@pytest.fixture
def env(house: House) -> WorkflowEnvironment:
    return house.env


@asynccontextmanager
async def running(
    env: WorkflowEnvironment, opened: Sessions, targets: Targets, sink_id: str
) -> AsyncIterator[Run]:
    """The sink's run with its workers, until the test is over."""
    queue = f"sinks-{uuid4().hex}"
    deliveries = Deliveries(opened, targets)
    async with (
        workflow_worker(
            env.client,
            task_queue=queue,
            workflows=[SinkWorkflow],
        ),
        Worker(env.client, task_queue=addresses.DELIVERIES, activities=[deliveries.drain]),
    ):
        run = await env.client.start_workflow(
            SinkWorkflow.run,
            SinkOrder(sink_id=sink_id, name="the shop"),
            id=sink_id,
            task_queue=queue,
        )
        try:
            yield run
        finally:
            await env.client.get_workflow_handle(sink_id).terminate()


async def events_of(run: Run) -> list[str]:
    """What the run's history holds, by name."""
    return [str(event.WhichOneof("attributes")) async for event in run.fetch_history_events()]


async def details_of(run: Run) -> str:
    """What the run shows now."""
    metadata: Any = await run.query("__temporal_workflow_metadata")
    text: str = metadata.current_details
    return text


class TestLife:
    async def test_a_new_event_wakes_it(self, env: WorkflowEnvironment, opened: Sessions) -> None:
        """It hands over what there is, rests, and goes on when it is nudged."""
        sink = await created(opened)
        receiver = Clocked()
        [first] = await pay(opened)
        async with running(env, opened, receiver, sink.id) as run:
            await until_taken(receiver, 3)
            [second] = await pay(opened)
            await run.signal(SinkWorkflow.nudged)
            await until_taken(receiver, 6)

        assert {first.id: ALL, second.id: ALL} == receiver.first_time()

    async def test_it_does_nothing_while_it_rests(
        self, env: WorkflowEnvironment, opened: Sessions
    ) -> None:
        """No timer, no activity: an idle sink costs nothing, for however long."""
        sink = await created(opened)
        async with running(env, opened, Clocked(), sink.id) as run:
            await until(lambda: details_of(run), lambda told: "### resting" in told)
            names = await events_of(run)

        assert "timer_started_event_attributes" not in names
        assert 1 == names.count("activity_task_scheduled_event_attributes")

    async def test_it_ends_when_it_is_removed(
        self, env: WorkflowEnvironment, opened: Sessions
    ) -> None:
        """The run is over, and stays over."""
        sink = await created(opened)
        async with running(env, opened, Clocked(), sink.id) as run:
            await SinkChanges(opened).change(
                sink.id, {"status": SinkStatus.REMOVED}, sink.created_at
            )
            await run.signal(SinkWorkflow.nudged)
            await asyncio.wait_for(run.result(), 30)
            status = (await run.describe()).status
            await env.client.start_workflow(
                SinkWorkflow.run,
                SinkOrder(sink_id=sink.id),
                id=sink.id,
                task_queue="nobody's",
            )

        assert WorkflowExecutionStatus.COMPLETED is status

    async def test_its_history_stays_small(
        self, env: WorkflowEnvironment, opened: Sessions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It goes on as a new run, and loses nothing by that."""
        monkeypatch.setattr(sink, "_DRAINS_PER_RUN", 3)
        made = await created(opened)
        receiver = Clocked()
        paid = 0
        async with running(env, opened, receiver, made.id) as run:
            began = env.client.get_workflow_handle(made.id, run_id=run.first_execution_run_id)
            # How many payments one drain finds is chance, so it is paid until the run went on.
            while WorkflowExecutionStatus.RUNNING is (await began.describe()).status:
                paid += 1
                await paid_and_taken(env, opened, receiver, made.id, paid)
            paid += 1
            await paid_and_taken(env, opened, receiver, made.id, paid)
            first = (await began.describe()).status

        assert paid == len(receiver.first_time())
        assert WorkflowExecutionStatus.CONTINUED_AS_NEW is first


async def paid_and_taken(
    env: WorkflowEnvironment, opened: Sessions, receiver: Receiver, sink_id: str, paid: int
) -> None:
    assert paid < 50, "the run goes on for ever"
    await pay(opened)
    await env.client.get_workflow_handle(sink_id).signal(SinkWorkflow.nudged)
    await until_taken(receiver, 3 * paid)


async def until_taken(receiver: Receiver, count: int) -> None:
    async def taken() -> int:
        return len(receiver.taken)

    await until(taken, lambda found: found >= count)


class TestTrouble:
    async def test_down_for_six_hours(self, env: WorkflowEnvironment, opened: Sessions) -> None:
        """Nobody is there, then some events fail: in the end each sequence is whole."""
        payments = await pay(opened, 12)
        made = await created(opened)
        receiver = Clocked()
        chance = random.Random(6)

        def says(_event: Event) -> Any:
            if receiver.passed < timedelta(hours=6):
                return AWAY
            return chance.choice([TAKEN, TAKEN, FAILED])

        receiver.says = says
        async with running(env, opened, receiver, made.id) as run:
            await until_taken(receiver, 36)
            await until(lambda: details_of(run), lambda told: "### resting" in told)

        assert {paid.id: ALL for paid in payments} == receiver.first_time()
        assert timedelta(hours=6) <= receiver.passed

    async def test_a_receiver_that_does_everything_wrong(
        self, env: WorkflowEnvironment, opened: Sessions
    ) -> None:
        """Over HTTP: errors at random, redirects, answers that come too late or break off."""
        payments = await pay(opened, 10)
        http = Http(is_open=True)
        chance = random.Random(7)
        async with receiving() as hook:
            made = await created(opened, url=hook.url)

            async def says(_event: dict[str, Any]) -> Response:
                match chance.randrange(7):
                    case 0:
                        return Response(status_code=500)
                    case 1:
                        return Response(status_code=503, headers={"retry-after": "120"})
                    case 2:
                        return Response(status_code=302, headers={"location": "/else"})
                    case 3:
                        return Response(status_code=307, headers={"location": "/else"})
                    case 4:
                        raise ConnectionResetError
                    case _:
                        return Response(status_code=200)

            hook.says = says
            async with running(env, opened, SinkTargets(http, None, None, "test"), made.id):

                async def whole() -> bool:
                    return {paid.id: ALL for paid in payments} == hook.first_time()

                await until(whole, bool)
        await http.close()

    async def test_paused_and_resumed(self, env: WorkflowEnvironment, opened: Sessions) -> None:
        """It waits without end for somebody to resume it, then hands over all that has come."""
        await pay(opened)
        made = await created(opened)
        receiver = Clocked()
        receiver.says = lambda _event: GONE
        async with running(env, opened, receiver, made.id) as run:
            told = await until(lambda: details_of(run), lambda told: "### paused" in told)
            receiver.says = lambda _event: TAKEN
            resumed = {"status": SinkStatus.ACTIVE, "reason": SinkReason.RESUMED}
            await SinkChanges(opened).change(
                made.id, resumed | {"failures": 0, "failing_since": None}, made.created_at
            )
            await run.signal(SinkWorkflow.nudged)
            await until_taken(receiver, 3)

        assert "`payment-cli sinks resume`" in told
        assert ALL == next(iter(receiver.first_time().values()))

    async def test_one_that_is_stuck_delays_no_other(
        self, env: WorkflowEnvironment, opened: Sessions
    ) -> None:
        """Each has a run, a place and a pace of its own."""
        stuck, other = await created(opened), await created(opened)
        never = asyncio.Event()
        hears = Clocked()

        class Both:
            def of(self, sink: Sink, now: datetime) -> Target:
                return hears.of(sink, now) if sink.id == other.id else Hanging()

        class Hanging:
            async def deliver(self, _event: Event) -> Any:
                await never.wait()
                return TAKEN

        payments = await pay(opened, 3)
        async with running(env, opened, Both(), stuck.id) as run:
            await env.client.start_workflow(
                SinkWorkflow.run,
                SinkOrder(sink_id=other.id),
                id=other.id,
                task_queue=(await run.describe()).task_queue,
            )
            await until_taken(hears, 9)
            never.set()
            await env.client.get_workflow_handle(other.id).terminate()

        assert {paid.id: ALL for paid in payments} == hears.first_time()


class TestTold:
    async def test_what_a_person_reads(self, env: WorkflowEnvironment, opened: Sessions) -> None:
        """How far behind it is, what the last answer was, when it tries next, what it gave up."""
        await pay(opened, 2)
        made = await created(opened)
        receiver = Clocked()
        receiver.says = refuses_the_second_then_nobody(receiver)
        async with running(env, opened, receiver, made.id) as run:
            await until(lambda: details_of(run), lambda told: "dead letters" in told)
            await pay(opened)
            await run.signal(SinkWorkflow.nudged)
            told = await until(lambda: details_of(run), lambda told: "nobody there" in told)
            found = (await run.describe()).search_attributes["Reason"]

        assert "the shop" in told
        assert "last answer: no connection" in told
        assert "next try at" in told
        assert "1 dead letters" in told
        assert ["sink_failing"] == found

    async def test_replayed_from_the_beginning(
        self, env: WorkflowEnvironment, opened: Sessions
    ) -> None:
        """A replay reaches a run that rests."""
        await pay(opened)
        made = await created(opened)
        receiver = Clocked()
        async with running(env, opened, receiver, made.id) as run:
            await until_taken(receiver, 3)
            await until(lambda: details_of(run), lambda told: "### resting" in told)
            await SinkChanges(opened).replay(
                made.id, Place(), Request("key", "replay"), made.created_at
            )
            await run.signal(SinkWorkflow.nudged)
            await until_taken(receiver, 6)

        assert [1, 2, 3, 1, 2, 3] == [event.sequence for event in receiver.taken]


def refuses_the_second_then_nobody(receiver: Receiver) -> Callable[[Event], Any]:
    def says(event: Event) -> Any:
        if len(receiver.asked) > 3:
            return AWAY
        return REFUSED if event.sequence == 1 and len(receiver.asked) == 2 else TAKEN

    return says
