"""Orders as the shop sends them, and those who take them, each remembering what was asked."""

import json
from collections import deque
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from aio_pika import Message
from aio_pika.abc import AbstractMessage
from aio_pika.message import IncomingMessage
from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic
from pamqp.header import ContentHeader
from temporalio.exceptions import ApplicationError

from activities.records import Records
from paysaga.auth import AuthService
from paysaga.database.declines import Declines
from paysaga.database.engine import Sessions
from paysaga.database.outbox import Outbox
from paysaga.database.reads import Reads
from paysaga.database.saved_methods import SavedMethods
from paysaga.database.sinks import Sinks
from paysaga.domain.outbox import OutboxEvent
from paysaga.domain.payment import Changes, Payment, PaymentState
from paysaga.domain.sink import Repeat
from paysaga.domain.transitions import opened
from paysaga.events.amqp import AmqpTarget
from paysaga.events.broker import Broker, Exchange
from paysaga.events.delivery import Answer, Verdict
from paysaga.events.shapes import Event
from paysaga.orders import OrderService
from paysaga.settings import IN_MEMORY, Environment, Settings
from paysaga.starting.calls import OrderTaken, StartedBefore, TemporalUnavailable
from paysaga.starting.declines import DeclineGuard
from paysaga.starting.limits import AttemptLimit
from paysaga.starting.runs import Starts
from paysaga.windows import Windows
from tests.rabbit import until
from worker.order_taking import Desk, NotYet, OrderTaking

SETTINGS: Final = Settings(environment=Environment.TEST, environment_name="test")
QUEUE: Final = "orders"

TAKEN: Final = Answer(Verdict.TAKEN, "")


def an_event(**changes: object) -> dict[str, Any]:
    """The body of a message that a payment can be started for; `None` leaves a field out."""
    body = {
        "event_id": f"event-{uuid4().hex}",
        "order_id": f"order-{uuid4().hex}",
        "customer_id": "cst_1",
        "amount": 1250,
        "currency": "EUR",
        "payment_method_id": "pm_card_visa",
        "return_url": "https://shop.example/return",
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


def a_message(body: object, **properties: Any) -> IncomingMessage:
    """A message as it is taken off the queue; what is no bytes is sent as JSON."""
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    message = Message(sent, **properties)
    delivered = DeliveredMessage(
        delivery=Basic.Deliver(
            "tag", 1, exchange="shop.events", routing_key="order.stock-confirmed"
        ),
        header=ContentHeader(body_size=len(sent), properties=message.properties),
        body=sent,
        channel=None,  # type: ignore[arg-type]  # nobody acknowledges it
    )
    return IncomingMessage(delivered, no_ack=True)


class FakeStarts(Starts):
    """Temporal, with runs that write their payment's row as soon as they are started.

    While `is_away` nobody answers; while not `writes` runs are there and have written nothing.
    """

    def __init__(self, sessions: Sessions) -> None:
        self.started: list[Payment] = []
        self.tried = 0
        self.looks = 0
        self.is_away = False
        self.writes = True
        self.ended: set[str] = set()
        self._records = Records(sessions)
        self._lost: dict[str, OrderTaken] = {}

    async def begin(self, payment: Payment) -> None:
        self.tried += 1
        if self.is_away:
            raise TemporalUnavailable
        if self._run_of(payment.id):
            raise StartedBefore
        self.started.append(payment)
        if self.writes:
            await self.write(payment)

    async def write(self, payment: Payment) -> None:
        """The run's first step."""
        first = opened(payment, datetime.now(UTC))
        try:
            await self._records.record(Changes(changes=(first,)))
        except ApplicationError as error:
            self._lost[payment.id] = OrderTaken.of(error, first.state)

    async def opened(self, payment_id: str) -> PaymentState | None:
        self.looks += 1
        if self.is_away:
            raise TemporalUnavailable
        if payment_id in self._lost:
            raise self._lost[payment_id]
        payment = self._run_of(payment_id)
        if payment is None or payment_id in self.ended:
            return None
        return opened(payment, datetime.now(UTC)).state

    def _run_of(self, payment_id: str) -> Payment | None:
        return next((each for each in self.started if each.id == payment_id), None)


class FakeExchange(Exchange):
    """An exchange that keeps what was published; `answers` come first, then all is confirmed."""

    def __init__(self) -> None:
        self.published: list[tuple[str, AbstractMessage]] = []
        self.answers: deque[Answer] = deque()

    async def publish(self, message: AbstractMessage, routing_key: str) -> Answer:
        answer = self.answers.popleft() if self.answers else TAKEN
        if answer.verdict is Verdict.TAKEN:
            self.published.append((routing_key, message))
        return answer

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(message.body) for _, message in self.published]

    @property
    def reasons(self) -> list[tuple[object, object]]:
        """Of dead letters."""
        return [
            (message.headers["x-reason"], message.headers["x-detail"])
            for _, message in self.published
        ]


class FakeResults(AmqpTarget):
    """A target that keeps what it was given."""

    def __init__(self) -> None:
        self.given: list[Event] = []
        self.answer = TAKEN

    async def deliver(self, event: Event) -> Answer:
        self.given.append(event)
        return self.answer


class RememberingSinks(Sinks):
    """The sinks, and what was said when somebody asked whether to tell an event again."""

    def __init__(self, sessions: Sessions) -> None:
        super().__init__(sessions)
        self.said: list[Repeat] = []

    async def repeat_of(self, sink_id: str, event: OutboxEvent) -> Repeat:
        self.said.append(await super().repeat_of(sink_id, event))
        return self.said[-1]


class Counter:
    """Where orders are taken, and all who stand around it."""

    def __init__(
        self,
        sessions: Sessions,
        *,
        settings: Settings = SETTINGS,
        orders: OrderService | None = None,
        auth: AuthService | None = None,
    ) -> None:
        windows = Windows(IN_MEMORY)
        self.sinks = RememberingSinks(sessions)
        self.starts = FakeStarts(sessions)
        self.results = FakeResults()
        self.refusals = FakeExchange()
        self.dead = FakeExchange()
        self.records = Records(sessions)
        self.desk = Desk(
            settings=settings,
            reads=Reads(sessions),
            outbox=Outbox(sessions),
            sinks=self.sinks,
            methods=SavedMethods(sessions),
            starts=self.starts,
            attempts=AttemptLimit(windows, settings.payment_attempts_per_hour),
            declines=DeclineGuard(windows, Declines(sessions), settings.decline_limits, "secret"),
            orders=orders,
            auth=auth,
        )
        self.taking = OrderTaking(self.desk, self.results, self.refusals, self.dead, QUEUE)

    def over(self, outgoing: Broker, exchange: str, queue: str) -> OrderTaking:
        """The same desk, with the real broker to tell."""
        return OrderTaking(
            self.desk,
            AmqpTarget(outgoing, exchange, environment="test"),
            Exchange(outgoing, exchange, must_be_routed=False),
            Exchange(outgoing, "", must_be_routed=True),
            queue,
        )

    async def take(self, body: object, **properties: Any) -> None:
        await self.taking.take(a_message(body, **properties))

    async def take_when_shown(self, body: object) -> None:
        """The same, once the payment's events are shown: others' transactions may delay that."""

        async def is_taken() -> bool:
            try:
                await self.take(body)
            except NotYet:
                return False
            return True

        await until(is_taken)

    async def goes_on(self, *changes: Any) -> None:
        """The payment's run writes these steps."""
        assert await self.records.record(Changes(changes=changes)) is None
