"""Connections, activity instances, and two workers that run until they are told to stop."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any, Final

import httpx
import stripe
import structlog
from temporalio.client import Client
from temporalio.runtime import Runtime
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.budget import Budget
from activities.card_guard import CardGuard
from activities.checkout_calls import CheckoutCalls
from activities.circuit import Circuit
from activities.gateway_http import GuardedClient
from activities.method_records import MethodRecords
from activities.orders import Orders
from activities.reconciling import Reconciling
from activities.records import Records
from activities.run_results import nudge_run, run_results
from activities.runs import start_run
from activities.saved_methods import MethodCalls
from activities.stripe_audit import StripeAudit
from activities.stripe_calls import StripeCalls
from activities.sweeping import EventList, InboxWork, OutboxWork
from paysaga.database.breakers import Breakers
from paysaga.database.customers import Customers
from paysaga.database.declines import Declines
from paysaga.database.engine import Sessions, create_engine, sessions
from paysaga.database.outbox_keeping import OutboxKeeping
from paysaga.incoming import Incoming
from paysaga.nudging import Nudging
from paysaga.orders import OrderService
from paysaga.settings import Settings
from paysaga.temporal import connect
from paysaga.waking import Waking
from paysaga.windows import Windows
from worker.delivering import delivering, keep_configured_sinks, open_sinks
from worker.orders import taking_orders
from worker.reconciling import schedule_reconciliation
from worker.schedules import keep_schedules
from workflows import addresses
from workflows.method_changes import LookAtMethodWorkflow, RemoveMethodWorkflow
from workflows.payment import PaymentWorkflow
from workflows.reconciliation import ReconciliationWorkflow
from workflows.repair import RepairWorkflow
from workflows.saving_method import SavedMethodWorkflow
from workflows.sink import SinkWorkflow
from workflows.sweep import InboxCleanupWorkflow, SweepWorkflow

# Of each read. Below the activity's 30 s, so that one slow answer is ours to judge before Temporal
# judges us; an activity that looks and then acts may still be cut off, which is unknown, too.
GATEWAY_TIMEOUT: Final = httpx.Timeout(25, connect=5)
ORDERS_TIMEOUT: Final = httpx.Timeout(8, connect=3)

Activity = Callable[..., Any]

# Runs of saved methods: each is about one, and short.
SAVED_METHODS: Final = (SavedMethodWorkflow, RemoveMethodWorkflow, LookAtMethodWorkflow)

log: Final = structlog.stdlib.get_logger("worker")


def stripe_client(settings: Settings, http: stripe.HTTPXClient) -> stripe.StripeClient:
    """The official client, at Stripe or at the simulator: only the address differs.

    It repeats nothing by itself: Temporal does, where an operator sees it.
    """
    base = settings.stripe_api_base
    return stripe.StripeClient(
        settings.stripe_secret_key.get_secret_value(),
        http_client=http,
        max_network_retries=0,
        base_addresses={"api": str(base).rstrip("/")} if base else {},
    )


@asynccontextmanager
async def open_gateway(settings: Settings, made: Sessions) -> AsyncIterator[stripe.StripeClient]:
    """The client behind our breaker and within our budget."""
    async with AsyncExitStack() as stack:
        windows = Windows(settings.limits_url)
        stack.push_async_callback(windows.close)
        budget = Budget(
            windows,
            together=settings.stripe_requests_per_second,
            each=settings.stripe_requests_per_second_each,
        )
        http = GuardedClient(GATEWAY_TIMEOUT, Circuit(Breakers(made)), budget)
        stack.push_async_callback(http.close_async)
        yield stripe_client(settings, http)


@asynccontextmanager
async def open_orders(settings: Settings) -> AsyncIterator[OrderService | None]:
    """The shop's order service, when one is configured."""
    if settings.order_service_url is None:
        yield None
        return
    token = settings.order_service_token
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
    async with httpx.AsyncClient(
        base_url=str(settings.order_service_url), timeout=ORDERS_TIMEOUT, headers=headers
    ) as http:
        yield OrderService(http)


@asynccontextmanager
async def running_workers(client: Client, settings: Settings) -> AsyncIterator[None]:
    """Both workers, with their connections, while the context lasts; leaving it drains them.

    The workflows run outside the sandbox, which costs half of the worker's time; the tests replay
    the history of every scenario inside it.
    """
    drain = timedelta(seconds=settings.worker_drain_seconds)
    async with AsyncExitStack() as stack:
        engine = create_engine(settings.database_url)
        stack.push_async_callback(engine.dispose)
        made = sessions(engine)
        gateway = await stack.enter_async_context(open_gateway(settings, made))
        shop = await stack.enter_async_context(open_orders(settings))
        nudging = Nudging(client, addresses.PAYMENTS, addresses.repair_id, addresses.look_id)
        waking = Waking(made, nudging)
        outbox_work = OutboxWork(OutboxKeeping(made), waking)
        inbox_work = InboxWork(made, Incoming(made, nudging, settings))
        await stack.enter_async_context(
            Worker(
                client,
                task_queue=addresses.GATEWAY,
                activities=_at_stripe(gateway, made, settings),
                graceful_shutdown_timeout=drain,
                max_task_queue_activities_per_second=settings.stripe_requests_per_second,
            )
        )
        await stack.enter_async_context(
            Worker(
                client,
                task_queue=addresses.PAYMENTS,
                workflows=[
                    PaymentWorkflow,
                    RepairWorkflow,
                    ReconciliationWorkflow,
                    *SAVED_METHODS,
                    SinkWorkflow,
                    SweepWorkflow,
                    InboxCleanupWorkflow,
                ],
                activities=[
                    *beside_the_gateway(Records(made, waking), Reconciling(made), Orders(shop)),
                    *methods_beside_the_gateway(MethodRecords(made)),
                    inbox_work.work_off,
                    inbox_work.forget,
                    outbox_work.wake_overslept,
                    outbox_work.forget_events,
                    outbox_work.open_sinks,
                ],
                workflow_runner=UnsandboxedWorkflowRunner(),
                graceful_shutdown_timeout=drain,
            )
        )
        await stack.enter_async_context(delivering(client, made, settings))
        await keep_configured_sinks(made, settings)
        await open_sinks(waking)
        await stack.enter_async_context(taking_orders(client, settings, made, shop))
        yield


def _at_stripe(gateway: stripe.StripeClient, made: Sessions, settings: Settings) -> list[Activity]:
    guard = CardGuard(gateway, Declines(made), settings.payment_declines_per_card_day)
    return [
        *at_the_gateway(
            StripeCalls(gateway, guard),
            CheckoutCalls(gateway, Customers(made)),
            StripeAudit(gateway, settings.environment_name),
        ),
        *methods_at_the_gateway(MethodCalls(gateway, guard)),
        EventList(gateway, made).read_page,
    ]


def at_the_gateway(calls: Any, checkout: Any, audit: Any) -> list[Activity]:
    """The activities of the gateway's queue that payments and their comparison need.

    Args:
        calls: `StripeCalls`, or a stand-in for it.
        checkout: `CheckoutCalls`, or a stand-in for it.
        audit: `StripeAudit`, or a stand-in for it.
    """
    return [
        calls.create_intent,
        calls.confirm_intent,
        calls.retrieve_intent,
        calls.capture_intent,
        calls.close_intent,
        calls.refund_intent,
        calls.retrieve_refund,
        calls.list_refunds,
        calls.find_intent,
        checkout.open_session,
        checkout.retrieve_session,
        checkout.close_session,
        checkout.find_session,
        audit.audit_payments,
        audit.list_movements,
    ]


def methods_at_the_gateway(calls: Any) -> list[Activity]:
    """The activities of the gateway's queue that saved methods need.

    Args:
        calls: `MethodCalls`, or a stand-in for it.
    """
    return [
        calls.set_up_method,
        calls.retrieve_set_up,
        calls.cancel_set_up,
        calls.detach_method,
        calls.retrieve_method,
    ]


def methods_beside_the_gateway(records: Any) -> list[Activity]:
    """The activities of the payments' own queue that saved methods need.

    Args:
        records: `MethodRecords`, or a stand-in for it.
    """
    return [records.record_method, records.method_standing]


def beside_the_gateway(
    records: Records, reconciling: Reconciling, orders: Orders
) -> list[Activity]:
    """The activities of the payments' own queue, but for the inbox's."""
    return [
        records.record,
        records.standing,
        records.payment_of,
        start_run,
        run_results,
        nudge_run,
        reconciling.begin_reconciliation,
        reconciling.read_changed,
        reconciling.read_books,
        reconciling.owners_of,
        reconciling.book_fees,
        reconciling.note_findings,
        orders.reserve,
        orders.still_waits,
        orders.is_taken,
        orders.confirm,
        orders.release,
    ]


async def serve(settings: Settings, runtime: Runtime | None = None) -> None:
    """Work until SIGTERM or SIGINT, then finish what is under way and return."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    client = await _connected(settings, runtime, stop)
    if client is None:
        return
    async with running_workers(client, settings):
        log.info("the worker is ready", temporal=settings.temporal_address)
        await stop.wait()
        log.info("draining", seconds=settings.worker_drain_seconds)
    log.info("drained")


async def _connected(
    settings: Settings, runtime: Runtime | None, stop: asyncio.Event
) -> Client | None:
    """Keep trying while Temporal is away: a worker that starts first must not fail."""
    while not stop.is_set():
        try:
            client = await connect(settings, runtime=runtime)
            await keep_schedules(client, settings)
            await schedule_reconciliation(client)
        except (RuntimeError, RPCError) as error:
            log.warning(
                "Temporal does not answer as it must; trying again in a second", error=str(error)
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), timeout=1)
        else:
            return client
    return None
