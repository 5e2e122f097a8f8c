"""Events into RabbitMQ, over a line that is cut and mended."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from aio_pika import DeliveryMode
from pamqp import commands, frame
from pydantic import SecretStr
from structlog.testing import capture_logs

from paysaga.domain.payment import PaymentStatus
from paysaga.events.amqp import AmqpTarget
from paysaga.events.broker import Broker
from paysaga.events.delivery import Verdict
from paysaga.events.shapes import Event, published
from tests.api.test_views import a_state
from tests.events.test_shapes import kept
from tests.rabbit import Line, Rabbit, amqp_url, until

PATIENCE = timedelta(seconds=2)


@pytest.fixture
async def broker(line: Line) -> AsyncIterator[Broker]:
    made = Broker(line.url, "test")
    yield made
    await made.close()


def an_event(number: int = 1, payment_id: str = "pay_1") -> Event:
    state = a_state(PaymentStatus.SUCCEEDED, decline=None, id=payment_id)
    event = published(kept(state))
    return event.model_copy(update={"id": f"evn_{payment_id}_{number}", "sequence": number})


def target(broker: Broker, exchange: str, *, must_be_routed: bool = False) -> AmqpTarget:
    return AmqpTarget(
        broker,
        exchange,
        environment="test",
        must_be_routed=must_be_routed,
        patience=PATIENCE,
    )


def unconfirmed(shop: AmqpTarget) -> int:
    """How many are on their way, as the library counts them."""
    channel: Any = shop._exchange._channel
    return len(channel._channel.channel.confirmations)


async def numbers(rabbit: Rabbit, queue: str) -> list[int]:
    return [json.loads(message.body)["sequence"] for message in await rabbit.all_of(queue)]


class TestMessage:
    async def test_it_is_the_event_as_it_is_read_elsewhere(
        self, rabbit: Rabbit, broker: Broker
    ) -> None:
        """Persistent, named by the event, its body as `GET /events` shows it."""
        exchange = await rabbit.exchange()
        queue = await rabbit.queue(exchange.name, "payment.succeeded")
        event = an_event(7)

        answer = await target(broker, exchange.name).deliver(event)

        message = await rabbit.next(queue.name)
        assert Verdict.TAKEN is answer.verdict
        assert event.model_dump(mode="json") == json.loads(message.body)
        assert (DeliveryMode.PERSISTENT, "application/json", event.id, "payment.succeeded") == (
            message.delivery_mode,
            message.content_type,
            message.message_id,
            message.type,
        )
        assert event.created_at.replace(microsecond=0) == message.timestamp
        assert {
            "api_version": "1",
            "object_type": "payment",
            "object_id": "pay_1",
            "sequence": 7,
            "environment": "test",
        } == message.headers

    async def test_the_template_says_where_it_goes(self, rabbit: Rabbit, broker: Broker) -> None:
        """Only the queue that is bound to this key has it."""
        exchange = await rabbit.exchange()
        hit = await rabbit.queue(exchange.name, "test.payment.*")
        missed = await rabbit.queue(exchange.name, "payment.#")
        by_object = AmqpTarget(
            broker, exchange.name, environment="test", template="{environment}.payment.{object_id}"
        )

        await by_object.deliver(an_event())

        assert [1] == await numbers(rabbit, hit.name)
        assert [] == await numbers(rabbit, missed.name)

    def test_a_wrong_template_is_told_at_once(self) -> None:
        """Not when the first event comes."""
        broker = Broker(SecretStr("amqp://127.0.0.1:1"), "test")

        with pytest.raises(ValueError, match="A routing key knows"):
            AmqpTarget(broker, "x", environment="test", template="{state}")


class TestExchange:
    async def test_it_is_made_if_it_is_missing(self, rabbit: Rabbit, broker: Broker) -> None:
        """Durable and of type topic: a second declaration of that kind is no contradiction."""
        name = rabbit.name()

        answer = await target(broker, name).deliver(an_event())

        assert Verdict.TAKEN is answer.verdict
        await rabbit.channel.declare_exchange(name, "topic", durable=True)

    async def test_it_is_used_as_it_is(self, rabbit: Rabbit, broker: Broker) -> None:
        """An exchange of another type is the operator's choice."""
        exchange = await rabbit.exchange("fanout")
        queue = await rabbit.queue(exchange.name)

        answer = await target(broker, exchange.name).deliver(an_event())

        assert Verdict.TAKEN is answer.verdict
        assert [1] == await numbers(rabbit, queue.name)

    async def test_one_that_was_deleted_is_made_again(self, rabbit: Rabbit, broker: Broker) -> None:
        """By the next try."""
        name = rabbit.name()
        shop = target(broker, name)
        await shop.deliver(an_event())
        await rabbit.channel.exchange_delete(name)

        first, second = await shop.deliver(an_event(2)), await shop.deliver(an_event(2))

        assert (Verdict.AWAY, Verdict.TAKEN) == (first.verdict, second.verdict)
        assert "gone at the broker" in first.told

    async def test_nobody_who_wants_it_is_no_failure(self, rabbit: Rabbit, broker: Broker) -> None:
        """Consumers may come later; what they missed they read at `GET /events`."""
        answer = await target(broker, rabbit.name()).deliver(an_event())

        assert Verdict.TAKEN is answer.verdict

    async def test_it_is_one_where_it_must_be_routed(self, rabbit: Rabbit, broker: Broker) -> None:
        """A queue that was forgotten is heard of, by its routing key; others go on."""
        exchange = await rabbit.exchange()
        await rabbit.queue(exchange.name, "payment.failed")
        shop = target(broker, exchange.name, must_be_routed=True)

        lost = await shop.deliver(an_event(1))
        queue = await rabbit.queue(exchange.name, "payment.succeeded")
        found = await shop.deliver(an_event(1))

        assert (Verdict.FAILED, "no queue is bound for payment.succeeded") == lost[:2]
        assert Verdict.TAKEN is found.verdict
        assert [1] == await numbers(rabbit, queue.name)

    async def test_a_full_queue_is_a_failure_of_this_event(
        self, rabbit: Rabbit, broker: Broker
    ) -> None:
        """The broker says no (nack): it is tried again, others may go elsewhere."""
        exchange = await rabbit.exchange()
        full = await rabbit.queue(exchange.name, x_max_length=1, x_overflow="reject-publish")
        shop = target(broker, exchange.name)

        answers = [await shop.deliver(an_event(number)) for number in (1, 2, 3)]

        assert Verdict.FAILED is answers[-1].verdict
        assert "could not keep it" in answers[-1].told
        assert len(await numbers(rabbit, full.name)) == [
            answer.verdict for answer in answers
        ].count(Verdict.TAKEN)


class TestSharing:
    async def test_many_objects_at_once_use_one_connection(
        self, rabbit: Rabbit, broker: Broker, line: Line
    ) -> None:
        """Two targets, 60 events, one connection; each object's are in their order."""
        exchange = await rabbit.exchange()
        queue = await rabbit.queue(exchange.name)
        shops = [target(broker, exchange.name), target(broker, exchange.name)]

        async def in_order(number: int) -> None:
            for sequence in (1, 2, 3):
                event = an_event(sequence, f"pay_{number}")
                assert Verdict.TAKEN is (await shops[number % 2].deliver(event)).verdict

        await asyncio.gather(*(in_order(number) for number in range(20)))

        arrived: dict[str, list[int]] = {}
        for message in await rabbit.all_of(queue.name):
            body = json.loads(message.body)
            arrived.setdefault(body["object_id"], []).append(body["sequence"])
        assert 1 == line.connections
        assert {f"pay_{number}": [1, 2, 3] for number in range(20)} == arrived

    async def test_a_closed_target_takes_no_other_with_it(
        self, rabbit: Rabbit, broker: Broker, line: Line
    ) -> None:
        """The connection is the process's."""
        one, other = target(broker, rabbit.name()), target(broker, rabbit.name())
        await one.deliver(an_event())
        await other.deliver(an_event())

        await one.close()

        assert Verdict.TAKEN is (await other.deliver(an_event(2))).verdict
        assert 1 == line.connections


class TestAway:
    async def test_nobody_there(self) -> None:
        """It answers, and says what it found: whoever gave the event decides what then."""
        nowhere = Broker(SecretStr("amqp://guest:s3cret-word@127.0.0.1:1/"), "test")

        with capture_logs() as logs:
            answer = await target(nowhere, "x").deliver(an_event())

        assert Verdict.AWAY is answer.verdict
        assert "the broker is not there" in answer.told
        assert "s3cret" not in f"{answer}{logs}"

    @pytest.mark.parametrize(
        ("url", "told"),
        [
            ("amqp://guest:s3cret-word@{place}/", "refuses the user or the password of AMQP_URL"),
            ("amqp://guest:guest@{place}/nowhere", "the virtual host of AMQP_URL"),
        ],
    )
    async def test_no_way_in(self, url: str, told: str) -> None:
        """An operator reads what to put right, and no password."""
        place = amqp_url().partition("@")[2].partition("/")[0]
        broker = Broker(SecretStr(url.format(place=place)), "test")

        answer = await target(broker, "x").deliver(an_event())

        assert Verdict.AWAY is answer.verdict
        assert told in answer.told
        assert "s3cret" not in answer.told

    async def test_what_may_not_be_published_to(self, rabbit: Rabbit, broker: Broker) -> None:
        """An exchange of the broker's own, say: the broker's words are told."""
        answer = await target(broker, "amq.rabbitmq.trace").deliver(an_event())

        assert Verdict.AWAY is answer.verdict
        assert "the user of AMQP_URL may not: ACCESS_REFUSED" in answer.told

    async def test_it_finds_back_by_itself(
        self, rabbit: Rabbit, broker: Broker, line: Line
    ) -> None:
        """After the broker's restart: no event is lost, none comes that was not delivered."""
        exchange = await rabbit.exchange()
        queue = await rabbit.queue(exchange.name)
        shop = target(broker, exchange.name)
        before = await shop.deliver(an_event(1))

        await line.cut()
        away = await shop.deliver(an_event(2))
        await line.mend()
        after = [await shop.deliver(an_event(number)) for number in (2, 3)]

        assert (Verdict.TAKEN, Verdict.AWAY) == (before.verdict, away.verdict)
        assert [Verdict.TAKEN, Verdict.TAKEN] == [answer.verdict for answer in after]
        assert [1, 2, 3] == await numbers(rabbit, queue.name)

    async def test_a_cut_before_the_confirm_is_not_delivered(
        self, rabbit: Rabbit, broker: Broker, line: Line
    ) -> None:
        """The broker may have it, and may not: it comes again, never behind our back."""
        exchange = await rabbit.exchange()
        queue = await rabbit.queue(exchange.name)
        shop = target(broker, exchange.name)
        await shop.deliver(an_event(1))
        line.hold("back")
        asked = asyncio.create_task(shop.deliver(an_event(2)))
        assert 1 == json.loads((await rabbit.next(queue.name)).body)["sequence"]
        assert 2 == json.loads((await rabbit.next(queue.name)).body)["sequence"]

        await line.cut()
        answer = await asked
        await line.mend()
        again = await shop.deliver(an_event(2))

        assert (Verdict.AWAY, Verdict.TAKEN) == (answer.verdict, again.verdict)
        assert [2] == await numbers(rabbit, queue.name)

    async def test_what_did_not_get_out_is_not_sent_later(
        self, rabbit: Rabbit, broker: Broker, line: Line
    ) -> None:
        """Nothing is kept for the next connection: the next event is the first to arrive."""
        exchange = await rabbit.exchange()
        queue = await rabbit.queue(exchange.name)
        shop = target(broker, exchange.name)
        await shop.deliver(an_event(1, "pay_0"))
        line.hold("out")
        waiting = [
            asyncio.create_task(shop.deliver(an_event(1, f"pay_{number}"))) for number in range(30)
        ]

        await until(lambda: 30 == unconfirmed(shop))
        await line.cut()
        answers = await asyncio.gather(*waiting)
        await line.mend()
        after = await shop.deliver(an_event(2, "pay_0"))

        assert {Verdict.AWAY} == {answer.verdict for answer in answers}
        assert Verdict.TAKEN is after.verdict
        assert [1, 2] == await numbers(rabbit, queue.name)

    async def test_a_line_that_is_dead_without_a_word(
        self, rabbit: Rabbit, broker: Broker, line: Line
    ) -> None:
        """The library finds out by its heartbeat, and cancels who waits: that is an answer, too."""
        shop = target(broker, rabbit.name())
        await shop.deliver(an_event(1))
        line.hold("out")
        asked = asyncio.create_task(shop.deliver(an_event(2)))
        await until(lambda: 1 == unconfirmed(shop))

        connection: Any = broker._connection
        connection.transport.connection._reader_task.cancel()  # as the heartbeat does
        answer = await asked
        line.resume()

        assert Verdict.AWAY is answer.verdict
        assert Verdict.TAKEN is (await shop.deliver(an_event(2))).verdict

    async def test_an_answer_too_late_is_no_confirm_and_the_order_holds(
        self, rabbit: Rabbit, broker: Broker, line: Line
    ) -> None:
        """A slow line: each object's events arrive in order, some of them twice."""
        exchange = await rabbit.exchange()
        queue = await rabbit.queue(exchange.name)
        shop = target(broker, exchange.name)
        await shop.deliver(an_event(1))
        line.hold("out")

        late = await shop.deliver(an_event(2))
        line.resume()
        again = [await shop.deliver(an_event(number)) for number in (2, 3)]

        assert (Verdict.AWAY, "the broker does not answer in time") == late[:2]
        assert {Verdict.TAKEN} == {answer.verdict for answer in again}
        assert [1, 2, 2, 3] == await numbers(rabbit, queue.name)
        assert 1 == line.connections

    async def test_a_broker_that_takes_nothing_is_sent_nothing(
        self, rabbit: Rabbit, broker: Broker, line: Line
    ) -> None:
        """With its memory full it says so: repeats would only pile up before it."""
        exchange = await rabbit.exchange()
        queue = await rabbit.queue(exchange.name)
        shop = target(broker, exchange.name)
        await shop.deliver(an_event(1))
        connection: Any = broker._connection
        unblocked: asyncio.Event = connection.transport.connection._Connection__connection_unblocked
        line.say(frame.marshal(commands.Connection.Blocked(reason="low on memory"), 0))
        await until(lambda: not unblocked.is_set())

        full = await shop.deliver(an_event(2))
        line.say(frame.marshal(commands.Connection.Unblocked(), 0))
        after = await shop.deliver(an_event(2))

        assert (Verdict.AWAY, Verdict.TAKEN) == (full.verdict, after.verdict)
        assert [1, 2] == await numbers(rabbit, queue.name)

    async def test_whoever_stops_it_is_obeyed(
        self, rabbit: Rabbit, broker: Broker, line: Line
    ) -> None:
        """A cancellation of ours is none of the library's: it is not told as an answer."""
        shop = target(broker, rabbit.name())
        await shop.deliver(an_event(1))
        line.hold("back")
        asked = asyncio.create_task(shop.deliver(an_event(2)))
        await until(lambda: 1 == unconfirmed(shop))

        asked.cancel()

        with pytest.raises(asyncio.CancelledError):
            await asked
