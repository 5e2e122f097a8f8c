import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from activities.circuit import Circuit
from activities.errors import NotAsked
from paysaga.database.breakers import GATEWAY, Breakers
from paysaga.database.engine import Sessions, create_engine, sessions
from paysaga.domain.breaker import FAILURES, OPEN_FOR, Breaker, BreakerState

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


class Workers:
    """Several workers before the same gateway."""

    def __init__(self, opened: Sessions, count: int = 2) -> None:
        self.clock = Clock()
        self.breakers = Breakers(opened)
        self.all = [Circuit(self.breakers, self.clock) for _ in range(count)]

    async def fail(self, times: int) -> None:
        """Calls of all workers in turn are not answered."""
        for number in range(times):
            circuit = self.all[number % len(self.all)]
            is_trial = await circuit.enter()
            await circuit.failed(is_trial=is_trial)

    async def state(self) -> BreakerState:
        return (await self.breakers.breaker(GATEWAY)).state

    def later(self, time: timedelta) -> None:
        self.clock.now += time


class Silent(Breakers):
    """A database that takes questions and never answers."""

    def __init__(self) -> None:
        self._never = asyncio.Event()

    async def breaker(self, _name: str) -> Breaker:
        await self._never.wait()
        return Breaker()

    async def move(self, _name: str, _after: Breaker) -> bool:
        await self._never.wait()
        return True


class TestCircuit:
    async def test_workers_share_it(self, opened: Sessions) -> None:
        """Five failures in a row, wherever they were, and none of them asks any more."""
        workers = Workers(opened)
        await workers.fail(FAILURES)
        workers.later(timedelta(seconds=2))

        for circuit in workers.all:
            with pytest.raises(NotAsked) as told:
                await circuit.enter()
            assert timedelta(seconds=58) <= told.value.again_in <= timedelta(seconds=63)

    async def test_one_tries_and_the_others_wait(self, opened: Sessions) -> None:
        """After a minute a single call goes through, however many come at once."""
        workers = Workers(opened, 10)
        await workers.fail(FAILURES)
        workers.later(OPEN_FOR)

        came = await asyncio.gather(
            *(circuit.enter() for circuit in workers.all), return_exceptions=True
        )

        assert 1 == came.count(True)
        assert 9 == sum(isinstance(one, NotAsked) for one in came)
        assert BreakerState.HALF_OPEN is await workers.state()

    async def test_its_answer_opens_the_way_for_all(self, opened: Sessions) -> None:
        """The trial was answered: everybody goes on."""
        workers = Workers(opened)
        await workers.fail(FAILURES)
        workers.later(OPEN_FOR)
        one, other = workers.all
        await one.enter()

        await one.answered()
        workers.later(timedelta(seconds=2))

        assert [False, False] == [await one.enter(), await other.enter()]
        assert Breaker(version=7) == await workers.breakers.breaker(GATEWAY)

    async def test_failures_at_once_are_all_counted(self, opened: Sessions) -> None:
        """Of five that fail at the same moment none is lost."""
        workers = Workers(opened, FAILURES)
        for circuit in workers.all:
            await circuit.enter()

        await asyncio.gather(*(circuit.failed(is_trial=False) for circuit in workers.all))

        assert BreakerState.OPEN is await workers.state()

    async def test_answers_cost_nothing(self, opened: Sessions) -> None:
        """While all is well nothing is written."""
        workers = Workers(opened)
        for _ in range(10):
            for circuit in workers.all:
                await circuit.enter()
                await circuit.answered()

        assert Breaker() == await workers.breakers.breaker(GATEWAY)

    async def test_a_silent_database_keeps_nobody_waiting(self) -> None:
        """Neither the call nor its answer waits for a database that says nothing."""
        circuit = Circuit(Silent())

        async with asyncio.timeout(20):
            assert not await circuit.enter()
            await circuit.failed(is_trial=False)

    async def test_without_the_database_calls_go_through(self) -> None:
        """A breaker that cannot be read keeps nobody from paying."""
        engine = create_engine("postgresql://nobody@127.0.0.1:9/none")
        circuit = Circuit(Breakers(sessions(engine)))

        for _ in range(FAILURES + 1):
            assert not await circuit.enter()
            await circuit.failed(is_trial=False)

        await engine.dispose()
