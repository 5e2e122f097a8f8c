"""`make bench`: a payment beside the engine's floor, on the same server, in the same run."""

import asyncio
import json
import os
import socket
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any, Final
from uuid import uuid4

import httpx
from rich.console import Console
from rich.table import Table
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

from benchmarks.actions import billable_actions
from benchmarks.bare import QUEUE, BareWorkflow
from benchmarks.draining import drain
from benchmarks.measure import Measured, closed_loop
from paysaga.demo import programs
from paysaga.demo.programs import ORDER_SERVICE_TOKEN, Program
from paysaga.demo.settings import DemoSettings
from paysaga.demo.shop.catalog import PRODUCTS
from paysaga.demo.supervisor import Supervisor
from paysaga.settings import Settings
from paysaga.temporal import connect, exit_cleanly
from paysaga.tokens import Role, issue_token

CUSTOMERS: Final = (1, 10, 50, 100)
SECONDS: Final = float(os.environ.get("BENCH_SECONDS", "8"))
SAMPLE: Final = 25


@dataclass(frozen=True)
class Stack:
    """Every process of a deployment, as the benchmark reaches them."""

    temporal: Client
    api: httpx.AsyncClient
    shop: httpx.AsyncClient
    worker_pid: int


@asynccontextmanager
async def running(console: Console, *, with_orders: bool) -> AsyncIterator[Stack]:
    """Start everything in a fresh directory, with a gateway that does not dawdle."""
    with tempfile.TemporaryDirectory(prefix="paysaga-bench-") as directory:
        ports = _free_ports()
        settings = DemoSettings(state=Path(directory), **ports)
        async with Supervisor(settings.state, console.print) as supervisor:
            first = _told(programs.migrations(settings), with_orders=with_orders)
            await supervisor.start(programs.temporal(settings), first=first)
            bench_worker = replace(
                programs.worker(settings),
                command=(programs.worker(settings).command[0], "-m", "benchmarks.worker"),
            )
            started = [
                bench_worker,
                programs.simulator(settings),
                programs.api(settings),
                programs.shop(settings),
            ]
            await supervisor.start(*(_told(one, with_orders=with_orders) for one in started))
            ours = Settings(temporal_address=settings.temporal_address)
            token = issue_token(ours, "bench", Role.SERVICE, timedelta(hours=1))
            async with (
                httpx.AsyncClient(
                    base_url=f"{settings.api_url}/api/v1",
                    headers={"Authorization": f"Bearer {token}"},
                    timeout=60,
                    limits=httpx.Limits(max_connections=200, max_keepalive_connections=200),
                ) as api,
                httpx.AsyncClient(
                    base_url=settings.shop_url,
                    headers={"Authorization": f"Bearer {ORDER_SERVICE_TOKEN}"},
                    timeout=60,
                ) as shop,
            ):
                pids = json.loads((settings.state / "processes.json").read_text())
                yield Stack(await connect(ours), api, shop, pids["worker"])


def _told(program: Program, *, with_orders: bool) -> Program:
    """The program without the demo's delays, and without an order service unless it is wanted."""
    environment = dict(program.environment) | {
        "PAYMENT_PROCESSING_DELAY_MIN": "0",
        "PAYMENT_PROCESSING_DELAY_MAX": "0",
        "STRIPE_REQUESTS_PER_SECOND": "100000",
        "STRIPE_REQUESTS_PER_SECOND_EACH": "100000",
        "LOG_LEVEL": "WARNING",
    }
    environment.pop("SMTP_URL", None)  # mails are no part of a checkout
    if not with_orders:
        environment.pop("ORDER_SERVICE_URL", None)
    return replace(program, environment=environment)


def _free_ports() -> dict[str, Any]:
    names = [
        f"{name}_port" for name in ("shop", "api", "temporal", "temporal_ui", "simulator", "mail")
    ]
    held = [socket.create_server(("127.0.0.1", 0)) for _ in names]
    ports = {name: server.getsockname()[1] for name, server in zip(names, held, strict=True)}
    for server in held:
        server.close()
    return ports


async def check_out(stack: Stack) -> str | None:
    """One customer pays one order with a good card; the payment's id if it is paid at once."""
    return await _pay(
        stack,
        {
            "order_id": f"order-{uuid4().hex[:12]}",
            "amount": 1250,
            "currency": "EUR",
            "customer_id": f"cst_{uuid4().hex[:12]}",
        },
    )


async def check_out_an_order(stack: Stack) -> str | None:
    """The same for an order of the shop, which reserves and confirms it."""
    customer = f"cst_{uuid4().hex[:12]}"
    answer = await stack.shop.post(
        "/orders", json={"customer_id": customer, "product": next(iter(PRODUCTS))}
    )
    order_id = answer.raise_for_status().json()["order_id"]
    return await _pay(stack, {"order_id": order_id, "customer_id": customer})


async def _pay(stack: Stack, order: dict[str, object]) -> str | None:
    answer = await stack.api.post(
        "/payments",
        json={
            **order,
            "payment_method_id": "pm_card_visa",
            "return_url": "https://shop.example/return",
        },
        headers={"Idempotency-Key": uuid4().hex},
    )
    told = answer.json()
    return str(told["id"]) if told.get("status") == "succeeded" else None


async def bare(stack: Stack) -> bool:
    """One durable answer with nothing in it."""
    workflow_id = f"bare-{uuid4().hex}"
    start = WithStartWorkflowOperation(
        BareWorkflow.run,
        id=workflow_id,
        task_queue=QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    await stack.temporal.execute_update_with_start_workflow(
        BareWorkflow.answer, id="answer", start_workflow_operation=start
    )
    return True


async def _events(stack: Stack, payment_id: str) -> list[HistoryEvent]:
    handle = stack.temporal.get_workflow_handle(payment_id)
    await handle.result()
    return list((await handle.fetch_history()).events)


def gateway_ms(events: list[HistoryEvent]) -> float:
    """How long the gateway's activities ran: what is the gateway's time, and not ours."""
    started: dict[int, int] = {}
    total = 0
    for event in events:
        now = event.event_time.ToNanoseconds()
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            started[event.event_id] = now
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            completed = event.activity_task_completed_event_attributes
            total += now - started[completed.started_event_id]
    return total / 1e6


async def actions_of(stack: Stack, payment_id: str) -> tuple[Counter[str], int, int]:
    """Billable actions by kind, number of events and bytes of one payment's history."""
    events = await _events(stack, payment_id)
    return billable_actions(events), len(events), sum(event.ByteSize() for event in events)


async def compare(stack: Stack, console: Console) -> None:
    """Print payments beside the floor, for a growing number of customers."""
    table = Table(title="First answer: a payment beside a bare one-activity workflow")
    for heading in (
        "customers", "what", "p50 ms", "p95 ms", "p99 ms", "per s", "worker CPU ms", "failed",
    ):  # fmt: skip
        table.add_column(heading, justify="left" if heading == "what" else "right")
    for customers in CUSTOMERS:
        floor = await closed_loop(lambda: bare(stack), customers, SECONDS, stack.worker_pid)
        paid: list[str] = []

        async def step(paid: list[str] = paid) -> bool:
            payment_id = await check_out(stack)
            if payment_id:
                paid.append(payment_id)
            return payment_id is not None

        payments = await closed_loop(step, customers, SECONDS, stack.worker_pid)
        sample = paid[:: max(1, len(paid) // SAMPLE)]
        gateway = median([gateway_ms(await _events(stack, each)) for each in sample])
        _add(table, "bare", floor)
        _add(table, "payment", payments)
        table.add_row(
            "",
            f"ratio (the gateway's {gateway:.0f} ms taken out)",
            *(
                f"{(payments.percentile_ms(p) - gateway) / floor.percentile_ms(p):.2f}"
                for p in (50, 95, 99)
            ),
            f"{payments.per_second / floor.per_second:.2f}",
            f"{payments.worker_ms / floor.worker_ms:.2f}",
            "",
            end_section=True,
        )
    console.print(table)


def _add(table: Table, what: str, measured: Measured) -> None:
    table.add_row(
        str(measured.customers),
        what,
        *(f"{measured.percentile_ms(p):.0f}" for p in (50, 95, 99)),
        f"{measured.per_second:.1f}",
        f"{measured.worker_ms:.1f}",
        str(measured.failures),
    )


async def count_actions(
    stack: Stack, console: Console, what: str, pay: Callable[[Stack], Awaitable[str | None]]
) -> None:
    """Print what one payment is billed, action by action."""
    payment_id = await pay(stack)
    if payment_id is None:
        raise SystemExit(f"{what}: the payment was not paid at once")
    actions, events, size = await actions_of(stack, payment_id)
    told = ", ".join(f"{kind} {number}" for kind, number in actions.items() if number)
    console.print(
        f"[bold]{what}[/]: {actions.total()} billable actions ({told});"
        f" {events} events, {size} bytes of history"
    )


async def main() -> None:
    """Both deployments, one after the other; then a backlog of events."""
    console = Console()
    async with running(console, with_orders=False) as stack:
        await asyncio.gather(*(check_out(stack) for _ in range(10)))  # everything is warm
        await count_actions(stack, console, "Checkout without 3DS", check_out)
        await compare(stack, console)
    async with running(console, with_orders=True) as stack:
        await asyncio.gather(*(check_out_an_order(stack) for _ in range(5)))
        await count_actions(stack, console, "With the order service", check_out_an_order)
    await drain(console)


if __name__ == "__main__":
    exit_cleanly()
    asyncio.run(main())
