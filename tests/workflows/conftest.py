"""Servers that skip time, one for each module, and a world in which one payment runs."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.runs import RunStart
from paysaga.domain.payment import Payment, PaymentState, RequestMark
from tests.fake_checkout import FakeCheckout
from tests.fakes import FakeGateway, FakeOrders, FakeRecords, FakeRuns, a_payment
from tests.workers import workflow_worker
from tests.workflows.exchange import Exchange, Road
from workflows import addresses, policies
from workflows.payment import PaymentWorkflow
from workflows.repair import RepairWorkflow
from workflows.requests import CancelRequest, CaptureRequest, RetryRequest

T = TypeVar("T")
Run = WorkflowHandle[PaymentWorkflow, PaymentState]
RepairRun = WorkflowHandle[RepairWorkflow, PaymentState]

SERVER = (
    "frontend.WorkflowTimeSkippingEnabled=true",
    'history.timerProcessorMaxTimeShift="1ms"',
    "history.timerProcessorMaxPollRPS=1000",
    "history.transferProcessorMaxPollRPS=1000",
    "history.visibilityProcessorMaxPollRPS=100",
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
)


@pytest.fixture(autouse=True)
def _quick_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A local activity's pauses pass in earnest, whoever skips time: they need not be long here."""
    usual = policies.DATABASE["retry_policy"]
    assert usual is not None
    quick = replace(usual, maximum_interval=usual.initial_interval)
    monkeypatch.setitem(policies.DATABASE, "retry_policy", quick)


@dataclass
class World:
    """Everything around one payment's run; with `start_run` it opens other runs in earnest."""

    gateway: FakeGateway
    records: FakeRecords = field(default_factory=FakeRecords)
    orders: FakeOrders = field(default_factory=FakeOrders)
    runs: FakeRuns = field(default_factory=FakeRuns)
    start_run: Callable[[RunStart], Awaitable[None]] | None = None
    road: Road = field(default_factory=Road)


@dataclass
class Running:
    """A payment under way."""

    env: WorkflowEnvironment
    run: Run
    world: World

    async def first_outcome(self) -> PaymentState:
        return await self.run.execute_update(PaymentWorkflow.first_outcome)

    async def retry(self, method: str = "pm_card_mastercard", key: str = "retry-1") -> PaymentState:
        return await self.run.execute_update(
            PaymentWorkflow.retry,
            RetryRequest(
                method=method,
                actor="customer:cst_1",
                request=RequestMark(key=key, fingerprint=key),
            ),
        )

    async def cancel(self) -> PaymentState:
        return await self.run.execute_update(
            PaymentWorkflow.cancel,
            CancelRequest(
                actor="customer:cst_1", request=RequestMark(key="cancel-1", fingerprint="c")
            ),
        )

    async def capture(self, amount: int | None = None, key: str = "capture-1") -> PaymentState:
        mark = RequestMark(key=key, fingerprint=key)
        request = CaptureRequest(amount=amount, actor="service:shop", request=mark)
        return await self.run.execute_update(PaymentWorkflow.capture, request)

    async def refresh(self) -> PaymentState:
        return await self.run.execute_update(PaymentWorkflow.refresh)

    async def nudge(self) -> None:
        await self.run.signal(PaymentWorkflow.nudged)

    async def result(self) -> PaymentState:
        return await self.run.result()

    async def sleep(self, time: timedelta) -> None:
        """Let the run's clock go on."""
        await self.env.sleep(time)

    async def pass_time_until(
        self, condition: Callable[[], bool], step: timedelta = timedelta(seconds=30)
    ) -> None:
        """Let the run's clock go on until the condition holds."""
        for _ in range(1000):
            if condition():
                return
            await self.env.sleep(step)
        raise AssertionError("it never came true")


@dataclass
class House:
    """The server of this module and the worker of its gateway queue: what all stages share."""

    env: WorkflowEnvironment
    exchange: Exchange

    async def result_of(self, run: WorkflowHandle[Any, T]) -> T:
        """The run's result, with time passing."""
        async with asyncio.timeout(100):
            result = asyncio.create_task(run.result())
            while not result.done():
                # A busy server may miss a call of this kind, or its end: then it is made again.
                passing = asyncio.create_task(self._until_over(run))
                await asyncio.wait({passing, result}, timeout=20)
            return result.result()

    async def _until_over(self, run: WorkflowHandle[Any, Any]) -> None:
        with suppress(RPCError):  # over already
            await self.env.fast_forward(run)


Start = Callable[..., AbstractAsyncContextManager[Running]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house() -> AsyncIterator[House]:
    """Temporal's own server, where each run has a clock of its own that a test moves on.

    The server for time-skipping alone refuses to cancel an activity that ends at the same moment,
    and its one clock stops for an activity that outlives its run.
    """
    exchange = Exchange()
    async with (
        await WorkflowEnvironment.start_time_skipping_v2(
            dev_server_existing_path=str(Path(sys.executable).parent / "temporal"),
            dev_server_log_level="error",
            dev_server_extra_args=[
                argument for value in SERVER for argument in ("--dynamic-config-value", value)
            ],
            search_attributes=addresses.SEARCH_ATTRIBUTES,
            data_converter=pydantic_data_converter,
        ) as env,
        exchange.worker(env.client),
    ):
        yield House(env, exchange)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def env() -> AsyncIterator[WorkflowEnvironment]:
    """The server for time-skipping alone, with one clock for all runs.

    The clock stops for good if a run ends while an activity of it is under way, or with a task
    that failed: whoever comes next would wait in earnest. A test that wants that has a `house`.
    """
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(Path(sys.executable).parent / "temporal-test-server"),
        data_converter=pydantic_data_converter,
    ) as started:
        await _register_search_attributes(started)
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def exchange(env: WorkflowEnvironment) -> AsyncIterator[Exchange]:
    exchange = Exchange()
    async with exchange.worker(env.client):
        yield exchange


@pytest.fixture
def pay(env: WorkflowEnvironment, exchange: Exchange) -> Start:
    """Start a payment in a world of its own, with a worker of its own."""

    @asynccontextmanager
    async def start(world: World, payment: Payment | None = None) -> AsyncIterator[Running]:
        payment = payment or a_payment()
        payment = payment.model_copy(update={"id": f"pay_{uuid4().hex}"})
        queue = f"payments-{payment.id}"
        exchange.gateways[payment.id] = world.gateway
        exchange.roads[payment.id] = world.road
        if isinstance(world.gateway, FakeCheckout):
            exchange.checkouts[payment.id] = world.gateway
        async with a_worker(env, world, queue):
            run = await env.client.start_workflow(
                PaymentWorkflow.run, payment, id=payment.id, task_queue=queue
            )
            try:
                yield Running(env, run, world)
            finally:
                # What a test leaves under way would stop the clock of all that follow.
                with suppress(RPCError):
                    await run.terminate()

    return start


def a_worker(env: WorkflowEnvironment, world: World, queue: str) -> Worker:
    """Runs the payment's workflow, and what is beside it but the gateway."""
    return workflow_worker(
        env.client,
        task_queue=queue,
        workflows=[PaymentWorkflow, RepairWorkflow],
        activities=beside_the_gateway(world),
    )


def beside_the_gateway(world: World) -> list[Callable[..., Any]]:
    """The activities of the payments' own queue."""
    records, orders = world.records, world.orders
    return [
        records.record,
        records.standing,
        records.payment_of,
        world.start_run or world.runs.start_run,
        orders.reserve,
        orders.still_waits,
        orders.is_taken,
        orders.confirm,
        orders.release,
    ]


async def _register_search_attributes(env: WorkflowEnvironment) -> None:
    await env.client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace=env.client.namespace,
            search_attributes={
                key.name: IndexedValueType.ValueType(key.indexed_value_type)
                for key in addresses.SEARCH_ATTRIBUTES
            },
        )
    )
