"""Orders off a real queue, over a line that is cut and mended; who takes them is ours."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import pytest
from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractIncomingMessage
from structlog.testing import capture_logs

from paysaga.events.broker import Broker
from tests.rabbit import Line, Rabbit, until
from worker.order_messages import NotAnOrder
from worker.order_queue import OrderQueue, Topology
from worker.order_taking import NotYet

QUICK: Final = (0.05,) * 100
DRAIN: Final = timedelta(seconds=5)


class Taker:
    """Takes orders and remembers them. What `does` says happens to each, by default nothing."""

    def __init__(self) -> None:
        self.begun: Counter[str] = Counter()
        self.taken: list[str] = []
        self.aside: list[tuple[str, str]] = []
        self.at_once = 0
        self.most_at_once = 0
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.raises: Exception | None = None

    async def take(self, message: AbstractIncomingMessage) -> None:
        order = message.body.decode()
        self.begun[order] += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.may_end.wait()
        finally:
            self.at_once -= 1
        if self.raises is not None:
            raise self.raises
        self.taken.append(order)

    async def put_aside(self, message: AbstractIncomingMessage, why: NotAnOrder) -> None:
        self.aside.append((message.body.decode(), why.code))


class Post:
    """A queue of the test's own, and the shop that sends orders there."""

    def __init__(self, rabbit: Rabbit, line: Line) -> None:
        self.rabbit = rabbit
        self.line = line
        self.taker = Taker()
        self.names = Topology(rabbit.name(), rabbit.name(), prefetch=20)

    async def send(self, *orders: object) -> None:
        """As the shop would, to its own exchange."""
        exchange = await self.rabbit.channel.get_exchange(self.names.exchange, ensure=False)
        for order in orders:
            message = Message(str(order).encode(), delivery_mode=DeliveryMode.PERSISTENT)
            await exchange.publish(message, "order.stock-confirmed")

    async def left(self) -> list[str]:
        """What lies in the queue, taken from it."""
        return [message.body.decode() for message in await self.rabbit.all_of(self.names.queue)]

    @asynccontextmanager
    async def open(
        self, *, prefetch: int = 20, drain: timedelta = DRAIN
    ) -> AsyncIterator[OrderQueue]:
        """Orders are taken while the context lasts."""
        broker = Broker(self.line.url, "test")
        names = self.names._replace(prefetch=prefetch)
        queue = OrderQueue(broker, names, self.taker.take, self.taker.put_aside, QUICK)
        working = asyncio.create_task(queue.run(drain))
        try:
            await until(self._is_bound)
            yield queue
        finally:
            queue.stop()
            await working
            await broker.close()

    async def _is_bound(self) -> bool:
        """Somebody listens: on a queue that is missing, asking would close the channel."""
        async with self.rabbit.channel._connection.channel() as channel:  # type: ignore[attr-defined]
            with contextlib.suppress(Exception):
                queue = await channel.declare_queue(self.names.queue, passive=True)
                return bool(queue.declaration_result.consumer_count)
        return False


@pytest.fixture
def post(rabbit: Rabbit, line: Line) -> Post:
    return Post(rabbit, line)


class TestTopology:
    async def test_what_is_missing_is_made(self, post: Post, rabbit: Rabbit) -> None:
        """Queue, dead letters and exchange, all durable: a second declaration is no surprise."""
        async with post.open():
            await post.send("order-1")
            await until(lambda: ["order-1"] == post.taker.taken)

        for queue in (post.names.queue, post.names.dead):
            await rabbit.channel.declare_queue(queue, durable=True)
        await rabbit.channel.declare_exchange(post.names.exchange, "topic", durable=True)

    async def test_what_is_there_is_used_as_it_is(self, post: Post, rabbit: Rabbit) -> None:
        """An operator may have chosen a quorum queue, a limit, or another type of exchange."""
        await rabbit.channel.declare_queue(
            post.names.queue, durable=True, arguments={"x-queue-type": "quorum"}
        )
        await rabbit.channel.declare_queue(
            post.names.dead, durable=True, arguments={"x-max-length": 9}
        )
        await rabbit.channel.declare_exchange(post.names.exchange, "fanout")

        async with post.open():
            await post.send("order-1")
            await until(lambda: ["order-1"] == post.taker.taken)

        assert [] == await post.left()

    async def test_a_queue_that_is_deleted_is_made_again(self, post: Post, rabbit: Rabbit) -> None:
        """Nobody listens to a queue that is gone without noticing."""
        async with post.open():
            await rabbit.channel.queue_delete(post.names.queue)
            await until(post._is_bound)
            await post.send("order-1")
            await until(lambda: ["order-1"] == post.taker.taken)


class TestAcknowledging:
    async def test_only_what_is_taken_is_gone(self, post: Post) -> None:
        """While an order is in hand the broker keeps it."""
        async with post.open(drain=timedelta()):
            post.taker.may_end.clear()
            await post.send("order-1")
            await until(lambda: 1 == post.taker.at_once)

        assert ["order-1"] == await post.left()

    async def test_what_is_taken_is_not_left(self, post: Post) -> None:
        """A hundred orders, each once."""
        async with post.open():
            await post.send(*range(100))
            await until(lambda: 100 == len(post.taker.taken))

        assert [] == await post.left()
        assert {1} == set(post.taker.begun.values())

    async def test_no_more_are_in_hand_than_the_prefetch(self, post: Post) -> None:
        """A worker that is slow leaves the rest to others."""
        async with post.open(prefetch=3):
            post.taker.may_end.clear()
            await post.send(*range(10))
            await until(lambda: 3 == post.taker.at_once)
            waiting = await post.rabbit.count(post.names.queue)
            post.taker.may_end.set()
            await until(lambda: 10 == len(post.taker.taken))

        assert 7 == waiting
        assert 3 == post.taker.most_at_once


class TestAway:
    async def test_an_order_waits_until_somebody_is_back(self, post: Post) -> None:
        """It is tried again, with pauses between, and stays the broker's meanwhile."""
        post.taker.raises = NotYet("Temporal does not answer")
        async with post.open():
            with capture_logs() as logs:
                await post.send("order-1")
                await until(lambda: 3 <= post.taker.begun["order-1"])
            post.taker.raises = None
            await until(lambda: ["order-1"] == post.taker.taken)

        assert [] == await post.left()
        told = {line["why"] for line in logs if line["event"] == "an order waits"}
        assert {"Temporal does not answer"} == told

    async def test_pauses_keep_the_tries_apart(self, post: Post) -> None:
        """No hot loop: so many tries need so many pauses."""
        post.taker.raises = ConnectionError("database")
        async with post.open():
            began = asyncio.get_running_loop().time()
            await post.send("order-1")
            await until(lambda: 6 <= post.taker.begun["order-1"])
            took = asyncio.get_running_loop().time() - began

        assert 5 * 0.05 <= took
        assert ["order-1"] == await post.left()

    async def test_after_all_its_pauses_it_goes_back(self, post: Post) -> None:
        """A broker gives up on whoever holds a message too long: it goes back in time."""
        post.taker.raises = NotYet("away")
        broker = Broker(post.line.url, "test")
        queue = OrderQueue(
            broker, post.names, post.taker.take, post.taker.put_aside, pauses=(0.01, 0.01)
        )
        working = asyncio.create_task(queue.run(DRAIN))
        await until(post._is_bound)

        await post.send("order-1")
        await until(lambda: 5 <= post.taker.begun["order-1"])
        queue.stop()
        await working
        await broker.close()

        assert ["order-1"] == await post.left()

    async def test_a_stop_does_not_wait_for_those_who_are_away(self, post: Post) -> None:
        """What waits goes back at once."""
        post.taker.raises = NotYet("away")
        async with post.open() as queue:
            queue._pauses = (3600,)
            await post.send("order-1")
            await until(lambda: 1 == post.taker.begun["order-1"])

        assert ["order-1"] == await post.left()

    async def test_the_broker_restarts(self, post: Post) -> None:
        """Whatever was in hand comes again, and what was sent meanwhile comes, too."""
        async with post.open():
            await post.send("before")
            await until(lambda: ["before"] == post.taker.taken)
            post.taker.may_end.clear()
            await post.send("in hand")
            await until(lambda: 1 == post.taker.at_once)

            await post.line.cut()
            await until(lambda: 0 == post.taker.at_once)
            await post.send("meanwhile")
            post.taker.may_end.set()
            await post.line.mend()
            await until(lambda: 3 == len(post.taker.taken))

        assert {"before": 1, "in hand": 2, "meanwhile": 1} == post.taker.begun
        assert [] == await post.left()

    async def test_an_acknowledgement_that_is_lost_brings_the_order_again(self, post: Post) -> None:
        """Killed between the start and the acknowledgement: it is only asked twice."""
        async with post.open():
            post.line.hold("out")
            await post.send("order-1")
            await until(lambda: 1 == len(post.taker.taken))

            await post.line.cut()
            await post.line.mend()
            await until(lambda: 2 == len(post.taker.taken))

        assert {"order-1": 2} == post.taker.begun
        assert [] == await post.left()

    async def test_a_broker_that_is_not_there_yet(self, post: Post) -> None:
        """The worker starts without it, and says what it waits for."""
        await post.line.cut()
        broker = Broker(post.line.url, "test")
        queue = OrderQueue(broker, post.names, post.taker.take, post.taker.put_aside, QUICK)
        with capture_logs() as logs:
            working = asyncio.create_task(queue.run(DRAIN))
            await until(lambda: 2 <= len(logs))

        await post.line.mend()
        await until(post._is_bound)
        queue.stop()
        await working
        await broker.close()

        assert "orders cannot be taken" == logs[0]["event"]
        assert "the broker is not there" in logs[0]["why"]


class TestMistakes:
    async def test_after_three_it_is_put_aside(self, post: Post) -> None:
        """An order that nobody can take does not keep the others waiting for ever."""
        post.taker.raises = KeyError("ours")
        async with post.open():
            await post.send("order-1")
            await until(lambda: [("order-1", "internal_error")] == post.taker.aside)

        assert 3 == post.taker.begun["order-1"]
        assert [] == await post.left()


class TestStop:
    async def test_what_is_in_hand_is_finished(self, post: Post) -> None:
        """And nothing new is taken."""
        post.taker.may_end.clear()
        async with post.open(prefetch=2) as queue:
            await post.send(*range(5))
            await until(lambda: 2 == post.taker.at_once)
            queue.stop()
            await until(self._nobody_listens(post))
            post.taker.may_end.set()

        assert 2 == len(post.taker.taken)
        assert 3 == len(await post.left())

    async def test_what_is_not_finished_in_time_goes_back(self, post: Post) -> None:
        """Whoever is next has it at once."""
        post.taker.may_end.clear()
        async with post.open(drain=timedelta(milliseconds=50)):
            await post.send("order-1", "order-2")
            await until(lambda: 2 == post.taker.at_once)

        assert {"order-1", "order-2"} == set(await post.left())
        assert [] == post.taker.taken

    def _nobody_listens(self, post: Post) -> Callable[[], Awaitable[bool]]:
        async def look() -> bool:
            return not await post._is_bound()

        return look
