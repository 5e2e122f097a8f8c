"""The saga by itself: what is undone, in which order, and what nothing stops."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.testing import WorkflowEnvironment

from tests.workers import workflow_worker
from tests.workflows.conftest import House
from workflows.saga import Saga, to_the_end, unbroken

QUICK = timedelta(seconds=10)
Steps = WorkflowHandle["ThreeSteps", None]


@dataclass
class Trip:
    """Three steps, of which some break when they are undone."""

    then: str = "done"
    stuck: tuple[str, ...] = ()


@workflow.defn
class ThreeSteps:
    """Books a flight, a hotel and a car, and then ends as it is told."""

    @workflow.run
    async def run(self, trip: Trip) -> None:
        async with Saga() as saga:
            for step in ("flight", "hotel", "car"):
                saga.undo_with(step, _undo(step, trip))
                await _call(step)
            match trip.then:
                case "refused":
                    raise ApplicationError("refused", non_retryable=True)
                case "bug":
                    raise RuntimeError("a bug")
                case "unwound":
                    await saga.unwind()
                    await saga.unwind()
                case "waits":
                    await workflow.wait_condition(lambda: False)
                case _:
                    pass


@workflow.defn
class Unbroken:
    """Waits for one step in one of the two ways, and tells what it learnt."""

    @workflow.run
    async def run(self, way: str) -> str:
        wait = {"to the end": to_the_end, "unbroken": unbroken}[way]
        try:
            told = await wait(_call("step"))
        except asyncio.CancelledError:
            return "canceled afterwards"
        return f"told {told}"


def _undo(step: str, trip: Trip) -> Callable[[], Awaitable[object]]:
    async def undo() -> None:
        await _call(f"undo {step}")
        if step in trip.stuck:
            raise ApplicationError(f"{step} is stuck", non_retryable=True)

    return undo


async def _call(step: str) -> str:
    called: str = await workflow.execute_activity("call", step, start_to_close_timeout=QUICK)
    return called


class Agency:
    """Remembers every call; a call can be held, and one can fail for good."""

    def __init__(self, *, broken: str | None = None) -> None:
        self.calls: list[str] = []
        self.broken = broken
        self.held: str | None = None
        self.reached = asyncio.Event()
        self.let_go = asyncio.Event()

    @activity.defn(name="call")
    async def call(self, step: str) -> str:
        self.calls.append(step)
        if step == self.held:
            self.reached.set()
            await self.let_go.wait()
        if step == self.broken:
            raise ApplicationError(f"no {step}", non_retryable=True)
        return step


@asynccontextmanager
async def working(env: WorkflowEnvironment, agency: Agency) -> AsyncIterator[str]:
    queue = f"saga-{uuid4().hex}"
    async with workflow_worker(
        env.client,
        task_queue=queue,
        workflows=[ThreeSteps, Unbroken],
        activities=[agency.call],
    ):
        yield queue


async def _start(env: WorkflowEnvironment, queue: str, trip: Trip) -> Steps:
    return await env.client.start_workflow(ThreeSteps.run, trip, id=queue, task_queue=queue)


class TestUndo:
    async def test_nothing_is_undone_when_all_went_well(self, env: WorkflowEnvironment) -> None:
        """Leaving the saga in peace keeps what was done."""
        agency = Agency()

        async with working(env, agency) as queue:
            await (await _start(env, queue, Trip())).result()

        assert ["flight", "hotel", "car"] == agency.calls

    async def test_newest_first(self, env: WorkflowEnvironment) -> None:
        """A failure puts every step back, the last one first."""
        agency = Agency()

        async with working(env, agency) as queue:
            with pytest.raises(WorkflowFailureError, match="execution failed"):
                await (await _start(env, queue, Trip(then="refused"))).result()

        assert ["undo car", "undo hotel", "undo flight"] == agency.calls[3:]

    async def test_step_that_failed_is_undone_too(self, env: WorkflowEnvironment) -> None:
        """The undo is registered before its step: a half-done step is put back as well."""
        agency = Agency(broken="hotel")

        async with working(env, agency) as queue:
            with pytest.raises(WorkflowFailureError):
                await (await _start(env, queue, Trip())).result()

        assert ["flight", "hotel", "undo hotel", "undo flight"] == agency.calls

    async def test_each_step_is_undone_once(self, env: WorkflowEnvironment) -> None:
        """Who unwinds by hand, and again, undoes nothing twice."""
        agency = Agency()

        async with working(env, agency) as queue:
            await (await _start(env, queue, Trip(then="unwound"))).result()

        assert ["undo car", "undo hotel", "undo flight"] == agency.calls[3:]

    async def test_bug_undoes_nothing(self, house: House) -> None:
        """A bug waits to be mended: it must not give the money back."""
        agency = Agency()

        async with working(house.env, agency) as queue:
            run = await _start(house.env, queue, Trip(then="bug"))
            while "EVENT_TYPE_WORKFLOW_TASK_FAILED" not in await _events(run):
                await run.describe()
            await run.terminate()

        assert ["flight", "hotel", "car"] == agency.calls


class TestCancellation:
    async def test_puts_everything_back(self, house: House) -> None:
        """A canceled run ends as canceled, with nothing left behind."""
        agency = Agency()

        async with working(house.env, agency) as queue:
            run = await _start(house.env, queue, Trip(then="waits"))
            while "car" not in agency.calls:
                await run.describe()
            await run.cancel()
            with pytest.raises(WorkflowFailureError) as ended:
                await run.result()

        assert isinstance(ended.value.cause, CancelledError)
        assert ["undo car", "undo hotel", "undo flight"] == agency.calls[3:]

    async def test_does_not_stop_an_undo(self, house: House) -> None:
        """Canceled while it is being put back: the undo goes on to its end."""
        agency = Agency()
        agency.held = "undo hotel"

        async with working(house.env, agency) as queue:
            run = await _start(house.env, queue, Trip(then="refused"))
            await agency.reached.wait()
            await run.cancel()
            agency.let_go.set()
            with pytest.raises(WorkflowFailureError) as ended:
                await run.result()

        assert isinstance(ended.value.cause, ApplicationError)
        assert ["undo car", "undo hotel", "undo flight"] == agency.calls[3:]


class TestStuckUndo:
    async def test_ends_loudly_naming_its_steps(self, env: WorkflowEnvironment) -> None:
        """What could not be put back is named, after everything else was put back."""
        agency = Agency()

        async with working(env, agency) as queue:
            with pytest.raises(WorkflowFailureError) as ended:
                await (
                    await _start(env, queue, Trip(then="refused", stuck=("car", "flight")))
                ).result()

        cause = ended.value.cause
        assert isinstance(cause, ApplicationError)
        assert ("NotCompensated", ("car", "flight")) == (cause.type, tuple(cause.details))
        assert ["undo car", "undo hotel", "undo flight"] == agency.calls[3:]


class TestWaits:
    @pytest.mark.parametrize(
        ("way", "told"), [("to the end", "told step"), ("unbroken", "canceled afterwards")]
    )
    async def test_step_is_finished_before_the_cancellation_counts(
        self, env: WorkflowEnvironment, way: str, told: str
    ) -> None:
        """Neither wait is broken by a cancellation; only one of the two passes it on."""
        agency = Agency()
        agency.held = "step"

        async with working(env, agency) as queue:
            run = await env.client.start_workflow(Unbroken.run, way, id=queue, task_queue=queue)
            await agency.reached.wait()
            await run.cancel()
            while "EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED" not in await _events(run):
                await run.describe()
            agency.let_go.set()
            result = await run.result()

        assert told == result

    async def test_failed_step_hides_the_cancellation(self, env: WorkflowEnvironment) -> None:
        """The step's own failure says more than the cancellation that came meanwhile."""
        agency = Agency(broken="step")
        agency.held = "step"

        async with working(env, agency) as queue:
            run = await env.client.start_workflow(
                Unbroken.run, "unbroken", id=queue, task_queue=queue
            )
            await agency.reached.wait()
            await run.cancel()
            agency.let_go.set()
            with pytest.raises(WorkflowFailureError) as ended:
                await run.result()

        assert "Activity task failed" == str(ended.value.cause)


async def _events(run: WorkflowHandle[Any, Any]) -> list[str]:
    history = await run.fetch_history()
    return [EventType.Name(event.event_type) for event in history.events]
