"""The queue that orders come from: what is taken off it is done with, or goes back."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

import structlog
from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue
from aiormq.exceptions import ChannelNotFoundEntity
from sqlalchemy.exc import DBAPIError

from paysaga.auth import AuthServiceUnavailable
from paysaga.database.away import NOT_CONNECTED, is_away
from paysaga.events.broker import Broker, is_canceled, quietly, refusal
from paysaga.orders import OrderServiceUnavailable
from paysaga.starting.calls import NoAnswerYet, RunOver, TemporalUnavailable
from worker.order_messages import STOCK_CONFIRMED, NotAnOrder
from worker.order_taking import NotYet

# Seconds before an order is taken up again while somebody is away. In all it stays in hand for ten
# minutes, then it goes back: a broker gives up on whoever holds one for half an hour.
PAUSES: Final = (1, 2, 4, 8, 16, 30, *(60,) * 9)
# A mistake of ours is no reason to keep others waiting: so often, then it is put aside.
_TRIES: Final = 3
_OPENING_SECONDS: Final = 10

# Whoever is away comes back: the same order may be taken a moment later.
_PASSING: Final = (
    NotYet,
    NoAnswerYet,
    RunOver,
    TemporalUnavailable,
    OrderServiceUnavailable,
    AuthServiceUnavailable,
    *NOT_CONNECTED,
)

Take = Callable[[AbstractIncomingMessage], Awaitable[None]]
PutAside = Callable[[AbstractIncomingMessage, NotAnOrder], Awaitable[None]]

log: Final = structlog.stdlib.get_logger("orders")


class Topology(NamedTuple):
    """The names at the broker. What is there is used as it is, what is missing is made."""

    queue: str
    exchange: str
    prefetch: int
    routing_key: str = STOCK_CONFIRMED

    @property
    def dead(self) -> str:
        """The queue of what cannot be taken."""
        return f"{self.queue}.dead"


class OrderQueue:
    """Takes messages off the queue, up to `prefetch` at once, until it is told to stop.

    A message is acknowledged when `take` has returned. Whatever happens before, it comes again.
    """

    def __init__(
        self,
        broker: Broker,
        topology: Topology,
        take: Take,
        put_aside: PutAside,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._broker = broker
        self._topology = topology
        self._take = take
        self._put_aside = put_aside
        self._pauses = pauses
        self._in_hand: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()

    async def run(self, drain: timedelta) -> None:
        """Work until `stop`, also through restarts of the broker; then finish what is in hand.

        Args:
            drain: How long that may take; what is not finished then goes back.
        """
        tries = 0
        while not self._stop.is_set():
            lost = asyncio.Event()
            try:
                async with asyncio.timeout(_OPENING_SECONDS):
                    channel, queue, tag = await self._consume(lost)
            except (Exception, asyncio.CancelledError) as error:
                if is_canceled():
                    raise
                told, pause = refusal(error), self._pauses[min(tries, len(self._pauses) - 1)]
                log.warning("orders cannot be taken", why=told, again_in_seconds=pause)
                tries += 1
                await self._pause(pause)
                continue
            tries = 0
            log.info("orders are taken", queue=self._topology.queue)
            await self._until_lost_or_stopped(lost)
            if self._stop.is_set():
                await self._finish(queue, tag, drain)
            else:
                log.warning("the broker has ended the connection, or the queue is gone")
            await quietly(channel.close())

    def stop(self) -> None:
        """Take nothing new."""
        self._stop.set()

    async def _consume(self, lost: asyncio.Event) -> tuple[AbstractChannel, AbstractQueue, str]:
        await self._make_what_is_missing()
        channel = await self._broker.channel()
        channel.close_callbacks.add(lambda *_: lost.set())
        # The broker says so when the queue is deleted; the channel stays open.
        underlay = await channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(lambda _frame: lost.set())
        await channel.set_qos(prefetch_count=self._topology.prefetch)
        queue = await channel.get_queue(self._topology.queue, ensure=False)
        await queue.bind(self._topology.exchange, self._topology.routing_key)
        return channel, queue, await queue.consume(self._hold)

    async def _make_what_is_missing(self) -> None:
        """A question for something that is not there closes the channel: each has its own."""
        queue, dead, exchange = self._topology.queue, self._topology.dead, self._topology.exchange
        for name in (queue, dead):
            channel = await self._broker.channel()
            try:
                await channel.get_queue(name)
            except ChannelNotFoundEntity:
                channel = await self._broker.channel()
                await channel.declare_queue(name, durable=True)
            await channel.close()
        channel = await self._broker.channel()
        try:
            await channel.get_exchange(exchange)
        except ChannelNotFoundEntity:
            channel = await self._broker.channel()
            await channel.declare_exchange(exchange, ExchangeType.TOPIC, durable=True)
        await channel.close()

    async def _hold(self, message: AbstractIncomingMessage) -> None:
        """One message, in a task of its own that ends with the channel."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - the library's own
        self._in_hand.add(task)
        try:
            await self._settle(message)
        finally:
            self._in_hand.discard(task)

    async def _settle(self, message: AbstractIncomingMessage) -> None:
        mistakes = 0
        for pause in self._pauses:
            try:
                await self._take(message)
            except Exception as error:
                if not _is_passing(error):
                    mistakes += 1
                    log.exception("an order cannot be taken by a mistake of ours")
                if mistakes == _TRIES:
                    await self._give_up(message)
                    return
                log.warning("an order waits", why=_why(error), again_in_seconds=pause)
            else:
                await _answered(message.ack())
                return
            await self._pause(pause)
            if self._stop.is_set():
                return  # it goes back with the channel
        await _answered(message.nack(requeue=True))

    async def _give_up(self, message: AbstractIncomingMessage) -> None:
        told = "Something went wrong on our side; the worker's log has it. Send it again later."
        try:
            await self._put_aside(message, NotAnOrder("internal_error", told))
        except Exception as error:  # noqa: BLE001 - it is not put aside, so it comes again
            log.warning("an order goes back", why=_why(error))
            await _answered(message.nack(requeue=True))
        else:
            await _answered(message.ack())

    async def _finish(self, queue: AbstractQueue, tag: str, drain: timedelta) -> None:
        await quietly(queue.cancel(tag))
        if self._in_hand:
            log.info("orders in hand are finished", count=len(self._in_hand))
            await asyncio.wait(self._in_hand, timeout=drain.total_seconds())

    async def _until_lost_or_stopped(self, lost: asyncio.Event) -> None:
        waiting = [asyncio.create_task(event.wait()) for event in (lost, self._stop)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)


def _is_passing(error: Exception) -> bool:
    return isinstance(error, _PASSING) or (isinstance(error, DBAPIError) and is_away(error))


def _why(error: Exception) -> str:
    """For operators: our own words, or the error's kind; what it says may hold anything."""
    return str(error) if isinstance(error, NotYet) else type(error).__name__


async def _answered(answer: Awaitable[None]) -> None:
    """Tell the broker. If it does not hear it, the message comes again, which does no harm."""
    if not await quietly(answer):
        log.info("an order will come again: the broker did not hear what became of it")
