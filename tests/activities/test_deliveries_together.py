"""Two drains of one sink at once, while its owner changes it and the receiver has moods."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities.deliveries import Deliveries
from activities.sink_orders import Drained, DrainOrder, Standing
from paysaga.database.engine import Sessions
from paysaga.database.outbox import Outbox
from paysaga.database.sink_changes import Ahead, Request, SinkChanges
from paysaga.domain.payment import Payment
from paysaga.domain.sink import Sink, SinkReason, SinkStatus
from paysaga.events.delivery import Answer, Target, Verdict
from paysaga.events.shapes import Event
from tests.sinks import AWAY, FAILED, NOON, TAKEN, created, others_may_go_on, pay

EARLY = Answer(Verdict.NOT_YET, "too early", timedelta(seconds=1))


class Moody:
    """Notes what it takes, and what it is given before its turn."""

    def __init__(self, chance: random.Random) -> None:
        self.is_calm = False
        self.highest: dict[str, int] = {}
        self.overtaking: list[Event] = []
        self._chance = chance

    def of(self, _sink: Sink, _now: object) -> Target:
        return self

    async def deliver(self, event: Event) -> Answer:
        await others_may_go_on()
        if not self.is_calm:
            [answer] = self._chance.choices([TAKEN, FAILED, AWAY, EARLY], [80, 14, 3, 3])
            if answer is not TAKEN:
                return answer
        highest = self.highest.get(event.object_id, 0)
        if event.sequence > highest + 1:
            self.overtaking.append(event)
        self.highest[event.object_id] = max(highest, event.sequence)
        return TAKEN


class Owner:
    """Replays, pauses and changes a sink."""

    def __init__(self, opened: Sessions, sink: Sink, chance: random.Random) -> None:
        self._changes = SinkChanges(opened)
        self._outbox = Outbox(opened)
        self._id = sink.id
        self._chance = chance
        self._requests = 0

    async def meddle(self) -> None:
        self._requests += 1
        request = Request(f"request-{self._requests}", "fingerprint")
        match self._chance.randrange(4):
            case 0:
                await self._changes.replay(self._id, None, request, NOON)
            case 1:
                with suppress(Ahead, IndexError):
                    place = self._chance.choice(await self._outbox.after(None, 100)).place
                    await self._changes.replay(self._id, place, request, NOON)
            case 2:
                for status, reason in (
                    (SinkStatus.PAUSED, SinkReason.REQUESTED),
                    (SinkStatus.ACTIVE, SinkReason.RESUMED),
                ):
                    await self._changes.change(self._id, {"status": status, "reason": reason}, NOON)
            case _:
                await self._changes.change(self._id, {"description": request.key}, NOON)


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(n, marks=pytest.mark.full) for n in (2, 3))])
async def test_nothing_is_lost_and_nothing_overtakes(opened: Sessions, seed: int) -> None:
    """Whoever drains, replays, pauses or fails at the same time: in order, whole, and at rest."""
    chance = random.Random(seed)
    sink = await created(opened)
    receiver, owner = Moody(chance), Owner(opened, sink, chance)
    activity = Deliveries(opened, receiver, budget_seconds=0.3)
    now, payments = NOON, list[Payment]()

    async def drain() -> Drained:
        nonlocal now
        now += timedelta(seconds=chance.choice([1, 5, 31]))
        drained: Drained = await ActivityEnvironment().run(
            activity.drain, DrainOrder(sink_id=sink.id, now=now)
        )
        return drained

    async def again_and_again(what: Callable[[], object], times: int) -> None:
        for _ in range(times):
            await what()  # type: ignore[misc]

    async def write() -> None:
        payments.extend(await pay(opened, 2))

    await asyncio.gather(
        again_and_again(drain, 12),
        again_and_again(drain, 12),
        again_and_again(owner.meddle, 12),
        again_and_again(write, 25),
    )
    receiver.is_calm = True
    await owner._changes.change(sink.id, {"status": SinkStatus.ACTIVE}, now)
    while (drained := await drain()).standing is not Standing.RESTING or drained.lanes:
        now += timedelta(hours=13)

    assert [] == receiver.overtaking
    assert {paid.id: 3 for paid in payments} == receiver.highest
