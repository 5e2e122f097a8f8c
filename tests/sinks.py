"""A sink, events for it, and a receiver that remembers what it was given."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from uuid import uuid4

from pydantic import SecretStr

from activities.records import Records
from paysaga.database.engine import Sessions
from paysaga.database.sink_changes import SinkChanges
from paysaga.domain.outbox import Place
from paysaga.domain.payment import Payment
from paysaga.domain.sink import Sink, SinkKind, SinkReason, SinkStatus
from paysaga.events.delivery import Answer, Target, Verdict
from paysaga.events.shapes import Event
from tests.database.payments import batch, payment, succeeded

T = TypeVar("T")

NOON: Final = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TAKEN: Final = Answer(Verdict.TAKEN, "200 OK")
FAILED: Final = Answer(Verdict.FAILED, "500 Internal Server Error")
AWAY: Final = Answer(Verdict.AWAY, "no connection")
PASSED: Final = Answer(Verdict.PASSED, "no mail is sent about this")
REFUSED: Final = Answer(Verdict.REFUSED, "no such mailbox")
GONE: Final = Answer(Verdict.GONE, "410 Gone")


class Receiver:
    """A target that remembers what it has taken, in order; `says` decides what it answers."""

    def __init__(self, says: Callable[[Event], Answer] = lambda _event: TAKEN) -> None:
        self.says = says
        self.asked: list[Event] = []
        self.taken: list[Event] = []
        self.under_way: set[str] = set()

    def of(self, _sink: Sink, _now: datetime) -> Target:
        return self

    async def deliver(self, event: Event) -> Answer:
        assert event.object_id not in self.under_way, "two of one object at once"
        self.under_way.add(event.object_id)
        self.asked.append(event)
        await others_may_go_on()
        answer = self.says(event)
        if answer.verdict is Verdict.TAKEN:
            self.taken.append(event)
        self.under_way.remove(event.object_id)
        return answer

    def first_time(self) -> dict[str, list[int]]:
        """The sequences of each object in the order in which they were taken for the first time."""
        seen: dict[str, list[int]] = defaultdict(list)
        for event in self.taken:
            if event.sequence not in seen[event.object_id]:
                seen[event.object_id].append(event.sequence)
        return seen


async def others_may_go_on() -> None:
    """Let whatever is ready have its turn."""
    loop = asyncio.get_running_loop()
    soon = loop.create_future()
    loop.call_soon(soon.set_result, None)
    await soon


def a_sink(**other: Any) -> Sink:
    """A sink of its own, from the beginning of all events."""
    fields: dict[str, Any] = {
        "id": f"snk_{uuid4().hex}",
        "kind": SinkKind.HTTP,
        "status": SinkStatus.ACTIVE,
        "reason": SinkReason.CREATED,
        "url": "https://shop.example/events",
        "secret": SecretStr(SECRET),
        "place": Place(),
        "created_at": NOON,
        "updated_at": NOON,
    }
    return Sink.model_validate(fields | other)


async def created(opened: Sessions, **other: Any) -> Sink:
    """The same, in the database."""
    sink, _ = await SinkChanges(opened).create(a_sink(**other), "fingerprint")
    return sink


async def configured(opened: Sessions) -> Sink:
    """The exchange's sink that the settings make, from the beginning of all events."""
    return await created(
        opened,
        id="snk_amqp",
        kind=SinkKind.AMQP,
        url=None,
        secret=None,
        exchange="paysaga.events",
        routing_key="{type}",
    )


async def pay(opened: Sessions, count: int = 1) -> list[Payment]:
    """So many payments that succeed: three events each."""
    payments = [payment() for _ in range(count)]
    for paid in payments:
        await Records(opened).record(batch(*succeeded(paid)))
    return payments


async def until(ask: Callable[[], Awaitable[T]], true: Callable[[T], bool]) -> T:
    """What it answers once that is as wanted."""
    async with asyncio.timeout(60):
        while True:
            if true(found := await ask()):
                return found
            await asyncio.sleep(0.05)


def at_random(seed: int, *answers: Answer) -> Callable[[Event], Answer]:
    """One of these, as chance has it."""
    chance = random.Random(seed)
    return lambda _event: chance.choice(answers)
