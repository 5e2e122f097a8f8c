"""What the routes work with: opened with the process, closed with it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final

import httpx
from fastapi import Depends, Request

from api.identity import TokenCheck
from api.introspection import Introspection
from api.limits import AttemptLimit
from api.runs import Runs
from api.waiting import Waiting
from paysaga.auth import AuthService
from paysaga.database.balances import Balances
from paysaga.database.breakers import Breakers
from paysaga.database.engine import create_engine, sessions
from paysaga.database.inbox_reads import InboxReads
from paysaga.database.reads import Reads
from paysaga.database.reconciliation import Reconciliations
from paysaga.incoming import Incoming
from paysaga.nudging import Nudging
from paysaga.orders import OrderService
from paysaga.settings import Settings
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
    waiting: Waiting
    balances: Balances
    reconciliations: Reconciliations
    incoming: Incoming
    inbox: InboxReads
    runs: Runs
    windows: Windows
    attempts: AttemptLimit
    breakers: Breakers
    orders: OrderService | None
    orders_http: httpx.AsyncClient | None
    auth: AuthService | None


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Connections]:
    """All connections, while the context lasts."""
    async with AsyncExitStack() as stack:
        engine = create_engine(settings.database_url)
        stack.push_async_callback(engine.dispose)
        made = sessions(engine)
        client = await connect(settings, lazy=True)
        http = None
        if settings.order_service_url is not None:
            http = await stack.enter_async_context(_orders_http(settings))
        auth = None
        if settings.auth_service_url is not None:
            auth = AuthService(await stack.enter_async_context(_auth_http(settings)))
        windows = Windows(settings.limits_url)
        stack.push_async_callback(windows.close)
        reads = Reads(made)
        yield Connections(
            settings=settings,
            tokens=TokenCheck(
                settings, Introspection(auth) if auth and settings.introspects else None
            ),
            reads=reads,
            breakers=Breakers(made),
            waiting=Waiting(reads),
            balances=Balances(made),
            reconciliations=Reconciliations(made),
            incoming=Incoming(
                made, Nudging(client, addresses.PAYMENTS, addresses.repair_id), settings
            ),
            inbox=InboxReads(made),
            runs=Runs(client, timedelta(seconds=settings.api_wait_seconds)),
            windows=windows,
            attempts=AttemptLimit(windows, settings.payment_attempts_per_hour),
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
