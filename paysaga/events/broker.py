"""RabbitMQ as we reach it: a connection that finds back, and messages that are confirmed."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Final

from aio_pika import Connection, ExchangeType
from aio_pika.abc import AbstractChannel, AbstractExchange, AbstractMessage
from aio_pika.connection import make_url
from aio_pika.exceptions import DeliveryError, PublishError
from aiormq.exceptions import (
    AMQPError,
    AuthenticationError,
    ChannelAccessRefused,
    ChannelNotFoundEntity,
    ConnectionNotAllowed,
    InvalidFrameError,
    ProbableAuthenticationError,
)
from pydantic import SecretStr

from paysaga.events.delivery import Answer, Verdict, in_short

# For each message: to connect if need be, and to be confirmed.
PATIENCE: Final = timedelta(seconds=10)
# A line that is cut without a word is found dead after three of these.
_HEARTBEAT_SECONDS: Final = 10
_CLOSING_SECONDS: Final = 5


class Broker:
    """A connection that is opened when it is needed, and anew when it was lost.

    It is none of the library's "robust" ones: nothing reconnects, or waits to be sent then, behind
    our back. What was not sent goes with the connection.
    """

    def __init__(self, url: SecretStr, name: str) -> None:
        """Make it ready to connect.

        Args:
            url: `AMQP_URL`.
            name: What the broker's own pages call the connection.
        """
        asked = make_url(url.get_secret_value())
        ours = {"name": name, "heartbeat": str(_HEARTBEAT_SECONDS)}
        self._url = asked.with_query({**ours, **asked.query})
        self._connection: Connection | None = None
        self._opening = asyncio.Lock()

    async def channel(self) -> AbstractChannel:
        """A new channel with confirms. The caller bounds the time, and knows what may be raised."""
        async with self._opening:
            if self._connection is None or not self._connection.connected.is_set():
                await self.close()
                self._connection = await _connected(Connection(self._url))
            connection = self._connection
        await self.ready()
        return await connection.channel(on_return_raises=True)

    async def ready(self) -> None:
        """Wait while the broker takes nothing since its memory or its disk is full.

        What is sent meanwhile would wait in its line, and every repeat behind it.
        """
        if self._connection is not None and self._connection.transport is not None:
            await self._connection.transport.ready()

    async def close(self) -> None:
        """Let go of the connection, with all its channels."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await quietly(connection.close())


class Exchange:
    """Where messages are published, on a channel of its own. Only what is confirmed is delivered.

    A message that is not confirmed in time may still arrive, but before whatever is published
    after it: its channel is kept, and a channel keeps the order.
    """

    def __init__(
        self, broker: Broker, name: str, *, must_be_routed: bool, patience: timedelta = PATIENCE
    ) -> None:
        """Make it ready: it is looked for when the first message is published.

        Args:
            broker: Whose connection is used.
            name: The exchange; a durable one of type `topic` is made if there is none. With an
                empty name the broker's own, which routes by the queue's name.
            must_be_routed: Whether a message that reaches no queue has failed.
            patience: How long one message may take, the connection included.
        """
        self._broker = broker
        self._name = name
        self._must_be_routed = must_be_routed
        self._patience = patience
        self._channel: AbstractChannel | None = None
        self._exchange: AbstractExchange | None = None
        self._opening = asyncio.Lock()

    async def publish(self, message: AbstractMessage, routing_key: str) -> Answer:
        """Have the broker keep this message, where a queue wants it. No error is raised."""
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                exchange = await self._opened()
                await self._broker.ready()
                await exchange.publish(message, routing_key, mandatory=self._must_be_routed)
        except PublishError:
            return Answer(Verdict.FAILED, in_short(f"no queue is bound for {routing_key}"))
        except DeliveryError:
            told = "the broker could not keep it: a queue is full, or its disk does not answer"
            return Answer(Verdict.FAILED, told)
        except asyncio.CancelledError as error:
            if is_canceled():
                raise
            return Answer(Verdict.AWAY, refusal(error))
        except Exception as error:  # noqa: BLE001 - whatever the library says, it is not confirmed
            return Answer(Verdict.AWAY, refusal(error))
        return Answer(Verdict.TAKEN, "confirmed by the broker")

    async def close(self) -> None:
        """Let go of the channel."""
        channel, self._channel, self._exchange = self._channel, None, None
        if channel is not None:
            await quietly(channel.close())

    async def _opened(self) -> AbstractExchange:
        async with self._opening:
            if self._exchange is None or self._channel is None or self._channel.is_closed:
                self._exchange = None
                self._channel = await self._broker.channel()
                self._exchange = await self._found(self._channel)
            return self._exchange

    async def _found(self, channel: AbstractChannel) -> AbstractExchange:
        """The exchange as it is; made only if it is missing."""
        if not self._name:
            return channel.default_exchange
        try:
            return await channel.get_exchange(self._name)
        except ChannelNotFoundEntity:  # which has closed the channel
            self._channel = await self._broker.channel()
            return await self._channel.declare_exchange(
                self._name, ExchangeType.TOPIC, durable=True
            )


def refusal(error: BaseException) -> str:
    """What operators are told of an error of the library's. It never holds the password."""
    match error:
        case TimeoutError():
            return "the broker does not answer in time"
        case ProbableAuthenticationError() | AuthenticationError():
            return "the broker refuses the user or the password of AMQP_URL"
        case InvalidFrameError() | ConnectionNotAllowed():
            return "the broker lets this user not into the virtual host of AMQP_URL"
        case ChannelAccessRefused():
            return in_short(f"the user of AMQP_URL may not: {error}")
        case ChannelNotFoundEntity():
            return in_short(f"gone at the broker, and made anew at the next try: {error}")
        case AMQPError() | OSError():
            return in_short(f"the broker is not there: {error}")
        case _:
            return f"the connection to the broker is lost ({type(error).__name__})"


def is_canceled() -> bool:
    """Whether somebody wants this task to end; the library cancels what waits for a lost line."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def quietly(work: Awaitable[object]) -> bool:
    """Whether this came to its end in time, where nothing depends on it."""
    try:
        async with asyncio.timeout(_CLOSING_SECONDS):
            await work
    except asyncio.CancelledError:
        if is_canceled():
            raise
        return False
    except Exception:  # noqa: BLE001 - nothing depends on it
        return False
    return True


async def _connected(connection: Connection) -> Connection:
    try:
        await connection.connect()
    except BaseException:
        await quietly(connection.close())
        raise
    return connection
