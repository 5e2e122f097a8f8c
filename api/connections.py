"""What the routes work with: opened with the process, closed with it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final

import httpx
from fastapi import Depends, Request

from api.identity import TokenCheck
from api.runs import Runs
from paysaga.database.engine import create_engine, sessions
from paysaga.database.inbox import Inbox
from paysaga.database.reads import Reads
from paysaga.orders import OrderService
from paysaga.settings import Settings
from paysaga.temporal import connect

# A customer waits for the answer.
_ORDERS_TIMEOUT: Final = httpx.Timeout(4, connect=2)


@dataclass(frozen=True)
class Connections:
    """One of each. None of them connects before it is used, and each finds back by itself."""

    settings: Settings
    tokens: TokenCheck
    reads: Reads
    inbox: Inbox
    runs: Runs
    orders: OrderService | None
    orders_http: httpx.AsyncClient | None


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
        yield Connections(
            settings=settings,
            tokens=TokenCheck(settings),
            reads=Reads(made),
            inbox=Inbox(made),
            runs=Runs(client, timedelta(seconds=settings.api_wait_seconds)),
            orders=OrderService(http) if http else None,
            orders_http=http,
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
