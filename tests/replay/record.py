"""`python -m tests.replay.record [name …]`: run the scenarios and write their histories anew.

Do this when a scenario is new, and after a named patch has changed what new runs do. It is not the
way to silence a replay that fails: runs that are under way have the old history.
"""

import asyncio
import json
import logging
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final
from uuid import NAMESPACE_URL, uuid5

from temporalio.client import WorkflowFailureError, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from paysaga.temporal import exit_cleanly
from tests.fake_checkout import FakeCheckout
from tests.replay.methods import MethodScenario, saved_methods
from tests.replay.scenarios import (
    NAMES,
    RepairScenario,
    Scenario,
    comparisons,
    repairs,
    scenarios,
    sinks,
    sweeps,
)
from tests.workflows.conftest import Running, a_worker
from tests.workflows.conftest import _register_search_attributes as register_search_attributes
from tests.workflows.drains import Drains
from tests.workflows.exchange import Exchange
from tests.workflows.inbox import FakeInbox
from tests.workflows.sides import Sides
from tests.workflows.sides import a_worker as comparing
from worker.main import SAVED_METHODS, methods_beside_the_gateway
from workflows import addresses
from workflows.payment import PaymentWorkflow
from workflows.reconciliation import ReconciliationOrder, ReconciliationWorkflow
from workflows.repair import RepairCase, RepairWorkflow
from workflows.sink import SinkOrder, SinkWorkflow
from workflows.sweep import InboxCleanupWorkflow, KeepingTime, SweepWorkflow

HISTORIES: Final = Path(__file__).parent / "histories"

_UUID: Final = re.compile(r"[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}")
_IDENTITY: Final = re.compile(r'"\d+@[^"]*"')
_STACK: Final = re.compile(r'"stackTrace": "(?:[^"\\]|\\.)*"')


async def record(name: str, scenario: Scenario) -> WorkflowHistory:
    """The history of one scenario, with nothing in it of this machine."""
    payment = scenario.payment.model_copy(update={"id": f"pay_{name}"})
    async with _server() as env:
        exchange = Exchange()
        exchange.gateways[payment.id] = scenario.world.gateway
        if isinstance(scenario.world.gateway, FakeCheckout):
            exchange.checkouts[payment.id] = scenario.world.gateway
        worker = a_worker(env, scenario.world, addresses.PAYMENTS)
        async with worker, exchange.worker(env.client):
            run = await env.client.start_workflow(
                PaymentWorkflow.run, payment, id=payment.id, task_queue=addresses.PAYMENTS
            )
            await scenario.play(Running(env, run, scenario.world))
            history = await run.fetch_history()
    return WorkflowHistory.from_json(payment.id, _scrubbed(name, history.to_json()))


async def record_repair(name: str, scenario: RepairScenario) -> WorkflowHistory:
    """The history of one repair."""
    payment_id = f"pay_{name}"
    async with _server() as env:
        exchange = Exchange()
        exchange.gateways[payment_id] = scenario.world.gateway
        if isinstance(scenario.world.gateway, FakeCheckout):
            exchange.checkouts[payment_id] = scenario.world.gateway
        worker = a_worker(env, scenario.world, addresses.PAYMENTS)
        async with worker, exchange.worker(env.client):
            run = await env.client.start_workflow(
                RepairWorkflow.run,
                RepairCase(payment_id=payment_id),
                id=addresses.repair_id(payment_id),
                task_queue=addresses.PAYMENTS,
            )
            await scenario.play(run, scenario.world.gateway)
            await run.result()
            history = await run.fetch_history()
    return WorkflowHistory.from_json(run.id, _scrubbed(name, history.to_json()))


async def record_sweep(name: str, inbox: FakeInbox) -> WorkflowHistory:
    """The history of one sweep, or clean-up if the gateway's list is not in the script."""
    async with _server() as env:
        exchange = Exchange()
        exchange.lists[name] = inbox
        worker = Worker(
            env.client,
            task_queue=addresses.PAYMENTS,
            workflows=[SweepWorkflow, InboxCleanupWorkflow],
            activities=inbox.beside_the_gateway,
        )
        async with worker, exchange.worker(env.client):
            start = partial(env.client.start_workflow, id=name, task_queue=addresses.PAYMENTS)
            if inbox.pages:
                run = await start(SweepWorkflow.run)
            else:
                run = await start(
                    InboxCleanupWorkflow.run, KeepingTime(days=90, event_days=inbox.event_days)
                )
            await run.result()
            history = await run.fetch_history()
    return WorkflowHistory.from_json(name, _scrubbed(name, history.to_json()))


async def record_sink(name: str, drains: Drains) -> WorkflowHistory:
    """The history of one sink, up to its removal."""
    async with _server() as env:
        queue = addresses.PAYMENTS
        async with (
            Worker(env.client, task_queue=queue, workflows=[SinkWorkflow]),
            Worker(env.client, task_queue=addresses.DELIVERIES, activities=[drains.drain]),
        ):
            order = SinkOrder(sink_id=f"snk_{name}", name="the shop")
            run = await env.client.start_workflow(
                SinkWorkflow.run, order, id=order.sink_id, task_queue=queue
            )
            await asyncio.gather(drains.play(run), run.result())
            history = await run.fetch_history()
    return WorkflowHistory.from_json(run.id, _scrubbed(name, history.to_json()))


async def record_comparison(name: str, sides: Sides) -> WorkflowHistory:
    """The history of one reconciliation."""
    async with _server() as env:
        exchange = Exchange()
        exchange.audits[name] = sides
        worker = comparing(env.client, sides, addresses.PAYMENTS)
        async with worker, exchange.worker(env.client):
            run = await env.client.start_workflow(
                ReconciliationWorkflow.run,
                ReconciliationOrder(),
                id=name,
                task_queue=addresses.PAYMENTS,
            )
            await run.result()
            history = await run.fetch_history()
    return WorkflowHistory.from_json(name, _scrubbed(name, history.to_json()))


async def record_method(name: str, scenario: MethodScenario) -> WorkflowHistory:
    """The history of one run of a saved method."""
    method_id = f"mtd_{name}"
    given, run_id = scenario.begins_with(method_id)
    async with _server() as env:
        exchange = Exchange()
        exchange.methods[method_id] = scenario.gateway
        worker = Worker(
            env.client,
            task_queue=addresses.PAYMENTS,
            workflows=SAVED_METHODS,
            activities=methods_beside_the_gateway(scenario.records),
        )
        async with worker, exchange.worker(env.client):
            run = await env.client.start_workflow(
                scenario.workflow.run, given, id=run_id, task_queue=addresses.PAYMENTS
            )
            await scenario.play(run, scenario.gateway)
            with suppress(WorkflowFailureError):  # one ends that way
                await run.result()
            history = await run.fetch_history()
    return WorkflowHistory.from_json(run_id, _scrubbed(name, history.to_json()))


def write(name: str, history: WorkflowHistory) -> None:
    """One event to a line, so that a change is seen in its diff."""
    events = json.loads(history.to_json())["events"]
    lines = ",\n".join(json.dumps(event, sort_keys=True) for event in events)
    (HISTORIES / f"{name}.json").write_text(f'{{"events": [\n{lines}\n]}}\n')


def _scrubbed(name: str, history: str) -> str:
    """Run ids follow from the scenario; processes, hosts and folders are nobody's."""
    for number, found in enumerate(dict.fromkeys(_UUID.findall(history))):
        history = history.replace(found, str(uuid5(NAMESPACE_URL, f"{name}/{number}")))
    return _STACK.sub('"stackTrace": ""', _IDENTITY.sub('"recorder"', history))


@asynccontextmanager
async def _server() -> AsyncIterator[WorkflowEnvironment]:
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(Path(sys.executable).parent / "temporal-test-server"),
        data_converter=pydantic_data_converter,
    ) as env:
        await register_search_attributes(env)
        yield env


async def main(names: list[str]) -> int:
    """Exit code 2 if there is no scenario of such a name."""
    if unknown := set(names) - set(NAMES):
        sys.stderr.write(f"no scenario: {', '.join(sorted(unknown))}\n")
        return 2
    logging.disable()  # the scenarios fail on purpose
    HISTORIES.mkdir(exist_ok=True)
    recordings: dict[str, Callable[[], Awaitable[WorkflowHistory]]] = {
        **{name: partial(record, name, it) for name, it in scenarios().items()},
        **{name: partial(record_repair, name, it) for name, it in repairs().items()},
        **{name: partial(record_sweep, name, it) for name, it in sweeps().items()},
        **{name: partial(record_sink, name, it) for name, it in sinks().items()},
        **{name: partial(record_comparison, name, it) for name, it in comparisons().items()},
        **{name: partial(record_method, name, it) for name, it in saved_methods().items()},
    }
    for name, recorded in recordings.items():
        if not names or name in names:
            write(name, await recorded())
            sys.stdout.write(f"recorded {name}\n")
    for left in HISTORIES.glob("*.json"):
        if left.stem not in NAMES:
            left.unlink()
    return 0


if __name__ == "__main__":
    exit_cleanly()
    raise SystemExit(asyncio.run(main(sys.argv[1:])))
