"""What the routes work with: opened with the process, closed with it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final

import httpx
from fastapi import Depends, Request
from temporalio.common import MetricMeter
from temporalio.runtime import Runtime

from api.identity import TokenCheck
from api.introspection import Introspection
from api.method_runs import MethodRuns
from api.runs import Runs
from api.waiting import Waiting
from paysaga.auth import AuthService
from paysaga.database.balances import Balances
from paysaga.database.breakers import Breakers
from paysaga.database.customers import Customers
from paysaga.database.declines import Declines
from paysaga.database.engine import create_engine, sessions
from paysaga.database.inbox_reads import InboxReads
from paysaga.database.outbox import Outbox
from paysaga.database.reads import Reads
from paysaga.database.reconciliation import Reconciliations
from paysaga.database.saved_methods import SavedMethods
from paysaga.database.sink_changes import SinkChanges
from paysaga.database.sinks import Sinks
from paysaga.incoming import Incoming
from paysaga.nudging import Nudging
from paysaga.orders import OrderService
from paysaga.settings import Settings
from paysaga.starting.declines import DeclineGuard
from paysaga.starting.limits import AttemptLimit
from paysaga.temporal import connect
from paysaga.windows import Windows
from workflows import addresses

# A customer waits for the answer.
_ORDERS_TIMEOUT: Final = httpx.Timeout(4, connect=2)
_AUTH_TIMEOUT: Final = httpx.Timeout(3, connect=2)


@dataclass(frozen=True)
class Connections:
    """One of each. None of them connects before it is used, and each finds back by itself."""

    settings: Settings
    tokens: TokenCheck
    reads: Reads
    customers: Customers
    waiting: Waiting
    balances: Balances
    reconciliations: Reconciliations
    incoming: Incoming
    inbox: InboxReads
    outbox: Outbox
    sinks: Sinks
    sink_changes: SinkChanges
    nudging: Nudging
    runs: Runs
    methods: SavedMethods
    method_runs: MethodRuns
    windows: Windows
    attempts: AttemptLimit
    declines: DeclineGuard
    breakers: Breakers
    orders: OrderService | None
    orders_http: httpx.AsyncClient | None
    auth: AuthService | None


@asynccontextmanager
async def opened(settings: Settings, runtime: Runtime | None = None) -> AsyncIterator[Connections]:
    """All connections, while the context lasts."""
    async with AsyncExitStack() as stack:
        engine = create_engine(settings.database_url)
        stack.push_async_callback(engine.dispose)
        made = sessions(engine)
        client = await connect(settings, lazy=True, runtime=runtime)
        http = None
        if settings.order_service_url is not None:
            http = await stack.enter_async_context(_orders_http(settings))
        auth = None
        if settings.auth_service_url is not None:
            auth = AuthService(await stack.enter_async_context(_auth_http(settings)))
        windows = Windows(settings.limits_url)
        stack.push_async_callback(windows.close)
        reads = Reads(made)
        nudging = Nudging(client, addresses.PAYMENTS, addresses.repair_id, addresses.look_id)
        yield Connections(
            settings=settings,
            tokens=TokenCheck(
                settings, Introspection(auth) if auth and settings.introspects else None
            ),
            reads=reads,
            customers=Customers(made),
            breakers=Breakers(made),
            waiting=Waiting(reads),
            balances=Balances(made),
            reconciliations=Reconciliations(made),
            incoming=Incoming(made, nudging, settings),
            inbox=InboxReads(made),
            outbox=Outbox(made),
            sinks=Sinks(made),
            sink_changes=SinkChanges(made),
            nudging=nudging,
            runs=Runs(client, timedelta(seconds=settings.api_wait_seconds)),
            methods=SavedMethods(made),
            method_runs=MethodRuns(client, timedelta(seconds=settings.api_wait_seconds)),
            windows=windows,
            attempts=AttemptLimit(windows, settings.payment_attempts_per_hour),
            declines=DeclineGuard(
                windows,
                Declines(made),
                settings.decline_limits,
                # Of the secrets that each process of the API has; a roll only begins a new count.
                settings.stripe_webhook_secret.get_secret_value(),
                runtime.metric_meter if runtime else MetricMeter.noop,
            ),
            orders=OrderService(http) if http else None,
            orders_http=http,
            auth=auth,
        )


def _auth_http(settings: Settings) -> httpx.AsyncClient:
    token = settings.auth_service_token
    return httpx.AsyncClient(
        base_url=str(settings.auth_service_url),
        timeout=_AUTH_TIMEOUT,
        headers={"Authorization": f"Bearer {token.get_secret_value()}"} if token else {},
    )


def _orders_http(settings: Settings) -> httpx.AsyncClient:
    token = settings.order_service_token
    return httpx.AsyncClient(
        base_url=str(settings.order_service_url),
        timeout=_ORDERS_TIMEOUT,
        headers={"Authorization": f"Bearer {token.get_secret_value()}"} if token else {},
    )


def _connections(request: Request) -> Connections:
    connections: Connections = request.app.state.connections
    return connections


Here = Annotated[Connections, Depends(_connections)]
