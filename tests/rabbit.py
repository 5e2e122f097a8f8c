"""The real RabbitMQ for tests: names of their own, what lies in its queues, and a line to cut."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from aio_pika import connect
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractIncomingMessage, AbstractQueue
from pydantic import SecretStr
from yarl import URL


def amqp_url() -> str:
    """The broker's address; without one the test is skipped, or fails in CI."""
    url = os.environ.get("TEST_AMQP_URL")
    if url is None:
        missing = "TEST_AMQP_URL is not set: nothing was sent through RabbitMQ"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return url


async def until(is_so: Callable[[], bool | Awaitable[bool]], seconds: float = 45) -> None:
    """Wait for what others bring about."""
    async with asyncio.timeout(seconds):
        while True:
            seen = is_so()
            if await seen if isinstance(seen, Awaitable) else seen:
                return
            await asyncio.sleep(0.01)


class Rabbit:
    """A connection of the test's own. What it has named is deleted at the end."""

    def __init__(self, channel: AbstractChannel) -> None:
        self.channel = channel
        self._exchanges: list[str] = []
        self._queues: list[str] = []

    def name(self) -> str:
        """A name for an exchange and a queue that nobody else has; the dead letters' goes, too."""
        name = f"test.{uuid4().hex}"
        self._exchanges.append(name)
        self._queues += [name, f"{name}.dead"]
        return name

    async def exchange(self, kind: str = "topic") -> AbstractExchange:
        return await self.channel.declare_exchange(self.name(), kind, durable=True)

    async def queue(self, exchange: str, key: str = "#", **arguments: object) -> AbstractQueue:
        """A queue that gets what the exchange routes by this key."""
        queue = await self.channel.declare_queue(
            self.name(),
            durable=True,
            arguments={name.replace("_", "-"): value for name, value in arguments.items()},  # type: ignore[misc]
        )
        await queue.bind(exchange, key)
        return queue

    async def next(self, queue: str, seconds: float = 45) -> AbstractIncomingMessage:
        """The next message of this queue, taken from it."""
        found = await self.channel.get_queue(queue, ensure=False)

        messages: list[AbstractIncomingMessage | None] = []

        async def is_there() -> bool:
            messages.append(await found.get(no_ack=True, fail=False))
            return messages[-1] is not None

        await until(is_there, seconds)
        assert messages[-1] is not None
        return messages[-1]

    async def all_of(self, queue: str) -> list[AbstractIncomingMessage]:
        """Whatever lies in this queue, taken from it."""
        found = await self.channel.get_queue(queue, ensure=False)
        messages = []
        while (message := await found.get(no_ack=True, fail=False)) is not None:
            messages.append(message)
        return messages

    async def count(self, queue: str) -> int:
        """How many messages wait there, those aside that somebody has in hand."""
        told = await self.channel.declare_queue(queue, passive=True)
        return told.declaration_result.message_count or 0

    async def clean_up(self) -> None:
        for queue in self._queues:
            await self.channel.queue_delete(queue)
        for exchange in self._exchanges:
            await self.channel.exchange_delete(exchange)


class Line:
    """The line to the broker, which can be cut and mended: to us, its restart looks the same."""

    def __init__(self) -> None:
        self._broker = URL(amqp_url())
        self._server: asyncio.Server | None = None
        self._port = 0
        self._ends: list[asyncio.StreamWriter] = []
        self._to_us: list[asyncio.StreamWriter] = []
        self._passing = {"out": asyncio.Event(), "back": asyncio.Event()}
        self.connections = 0
        self.resume()

    @property
    def url(self) -> SecretStr:
        """Where the broker is reached over this line."""
        return SecretStr(str(self._broker.with_host("127.0.0.1").with_port(self._port)))

    async def mend(self) -> None:
        """It can be used, and at the same address as before."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Nobody gets through any more, whoever was connected least of all."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._ends:
            writer.transport.abort()
        self._ends, self._to_us = [], []
        self.resume()

    def hold(self, way: str) -> None:
        """Nothing is passed on this way: `out` to the broker, `back` from it."""
        self._passing[way].clear()

    def resume(self) -> None:
        """What was held goes on."""
        for passing in self._passing.values():
            passing.set()

    def say(self, frame: bytes) -> None:
        """The broker would say this now."""
        for writer in self._to_us:
            writer.write(frame)

    async def _connected(self, ours: asyncio.StreamReader, to_us: asyncio.StreamWriter) -> None:
        self.connections += 1
        host, port = self._broker.host or "", self._broker.port or 5672
        theirs, to_them = await asyncio.open_connection(host, port)
        self._ends += [to_us, to_them]
        self._to_us.append(to_us)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._pass(ours, to_them, self._passing["out"]))
            both.create_task(self._pass(theirs, to_us, self._passing["back"]))

    async def _pass(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, passing: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                await passing.wait()
                sink.write(data)
                await sink.drain()
        sink.close()


@asynccontextmanager
async def an_inspector() -> AsyncIterator[Rabbit]:
    """The broker, as a test looks at it."""
    connection = await connect(amqp_url())
    async with connection, connection.channel() as channel:
        made = Rabbit(channel)
        yield made
        await made.clean_up()


@asynccontextmanager
async def a_line() -> AsyncIterator[Line]:
    """A line to the broker of the test's own."""
    line = Line()
    await line.mend()
    yield line
    await line.cut()
