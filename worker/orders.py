"""Orders from the message broker, taken in the worker's own process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Final

import httpx
from temporalio.client import Client
from temporalio.common import MetricMeter

from paysaga.auth import AuthService
from paysaga.database.declines import Declines
from paysaga.database.engine import Sessions
from paysaga.database.outbox import Outbox
from paysaga.database.reads import Reads
from paysaga.database.saved_methods import SavedMethods
from paysaga.database.sinks import Sinks
from paysaga.events.amqp import AmqpTarget
from paysaga.events.broker import Broker, Exchange
from paysaga.orders import OrderService
from paysaga.settings import Settings
from paysaga.starting.declines import DeclineGuard
from paysaga.starting.limits import AttemptLimit
from paysaga.starting.runs import Starts
from paysaga.windows import Windows
from worker.order_queue import OrderQueue, Topology
from worker.order_taking import Desk, OrderTaking

# For orders in hand when the worker is told to stop; one takes much less, and goes back if not.
_DRAIN: Final = timedelta(seconds=5)
# Of one call to Temporal.
_START_WAIT: Final = timedelta(seconds=5)
_AUTH_TIMEOUT: Final = httpx.Timeout(3, connect=2)


@asynccontextmanager
async def taking_orders(
    client: Client, settings: Settings, made: Sessions, shop: OrderService | None
) -> AsyncIterator[None]:
    """Take orders off the queue while the context lasts, if there is one to take them from.

    Leaving it finishes those in hand; it must be left while the workers still run.
    """
    if settings.amqp_url is None or settings.amqp_orders_queue is None:
        yield
        return
    async with AsyncExitStack() as stack:
        # A broker whose memory is full reads nothing from whoever publishes: who consumes has a
        # line of their own, so that orders which are done can be acknowledged.
        incoming = Broker(settings.amqp_url, "paysaga worker: orders")
        stack.push_async_callback(incoming.close)
        outgoing = Broker(settings.amqp_url, "paysaga worker: results")
        stack.push_async_callback(outgoing.close)
        desk = await stack.enter_async_context(_open_desk(client, settings, made, shop))
        queue, exchange = settings.amqp_orders_queue, settings.amqp_exchange
        taking = OrderTaking(
            desk,
            AmqpTarget(outgoing, exchange, environment=settings.environment_name),
            Exchange(outgoing, exchange, must_be_routed=False),
            Exchange(outgoing, "", must_be_routed=True),
            queue,
        )
        names = Topology(queue, settings.amqp_orders_exchange, settings.amqp_prefetch)
        orders = OrderQueue(incoming, names, taking.take, taking.put_aside)
        working = asyncio.create_task(orders.run(_DRAIN))
        try:
            yield
        finally:
            orders.stop()
            await working


@asynccontextmanager
async def _open_desk(
    client: Client, settings: Settings, made: Sessions, shop: OrderService | None
) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        runtime = client.service_client.config.runtime
        windows = Windows(settings.limits_url)
        stack.push_async_callback(windows.close)
        yield Desk(
            settings=settings,
            reads=Reads(made),
            outbox=Outbox(made),
            sinks=Sinks(made),
            methods=SavedMethods(made),
            starts=Starts(client, _START_WAIT),
            attempts=AttemptLimit(windows, settings.payment_attempts_per_hour),
            declines=DeclineGuard(
                windows,
                Declines(made),
                settings.decline_limits,
                settings.stripe_webhook_secret.get_secret_value(),
                runtime.metric_meter if runtime else MetricMeter.noop,
            ),
            orders=shop,
            auth=await _auth(stack, settings),
        )


async def _auth(stack: AsyncExitStack, settings: Settings) -> AuthService | None:
    if settings.auth_service_url is None:
        return None
    token = settings.auth_service_token
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
    base = str(settings.auth_service_url)
    http = httpx.AsyncClient(base_url=base, timeout=_AUTH_TIMEOUT, headers=headers)
    return AuthService(await stack.enter_async_context(http))
