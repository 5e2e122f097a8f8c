"""The breaker before the gateway: while it does not answer, it is not asked."""

import asyncio
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError
from temporalio import activity

from activities.errors import NotAsked
from paysaga.database.breakers import GATEWAY, Breakers
from paysaga.domain.breaker import DURING_TRIAL, Breaker, BreakerState

# A worker that has just looked need not look again: what others did meanwhile it learns soon.
_FRESH_FOR: Final = timedelta(seconds=1)
# A database that says nothing must not keep a call, nor its answer, from those who wait for it.
_DATABASE_SECONDS: Final = 1.0
# All who wait come again at different moments.
_SPREAD_MILLISECONDS: Final = 5_000

log: Final = structlog.stdlib.get_logger("gateway")


class Circuit:
    """One breaker for all workers: its state is a row. Without the database calls go through."""

    def __init__(
        self, breakers: Breakers, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._breakers = breakers
        self._clock = clock
        self._seen = Breaker()
        self._seen_at: datetime | None = None

    async def enter(self) -> bool:
        """Ask whether a call may go through; whether it is the one that tries.

        Raises:
            NotAsked: It may not; it says when to come again.
        """
        now = self._clock()
        breaker = await self._look(now)
        pause = breaker.pause(now)
        if pause is None:
            return False
        if not pause and await self._move(breaker, breaker.tried(now)):
            return True
        again_in = _spread(pause or DURING_TRIAL)
        raise NotAsked("the gateway does not answer", again_in, is_away=True)

    async def answered(self) -> None:
        """The gateway has answered, whatever it said."""
        if self._seen.answered() is not self._seen:
            await self._change(lambda breaker: breaker.answered())

    async def failed(self, *, is_trial: bool) -> None:
        """The gateway has not answered, or only with an error of its own."""
        await self._change(lambda breaker: breaker.failed(self._clock(), is_trial=is_trial))

    async def _change(self, rule: Callable[[Breaker], Breaker]) -> None:
        """Others change it at the same time: one that came first is looked at again."""
        for _ in range(10):
            breaker = await self._read()
            after = rule(breaker)
            if after is breaker or await self._move(breaker, after):
                return

    async def _look(self, now: datetime) -> Breaker:
        if self._seen_at is None or now - self._seen_at > _FRESH_FOR:
            return await self._read()
        return self._seen

    async def _read(self) -> Breaker:
        try:
            async with asyncio.timeout(_DATABASE_SECONDS):
                self._see(await self._breakers.breaker(GATEWAY))
        except (SQLAlchemyError, OSError) as error:
            log.warning("the breaker cannot be read", error=type(error).__name__)
            self._see(Breaker())
        return self._seen

    async def _move(self, before: Breaker, after: Breaker) -> bool:
        try:
            async with asyncio.timeout(_DATABASE_SECONDS):
                is_moved = await self._breakers.move(GATEWAY, after)
        except (SQLAlchemyError, OSError) as error:
            log.warning("the breaker cannot be moved", error=type(error).__name__)
            return True
        if is_moved:
            self._see(after)
            _tell(before.state, after)
        return is_moved

    def _see(self, breaker: Breaker) -> None:
        self._seen, self._seen_at = breaker, self._clock()


def _tell(before: BreakerState, breaker: Breaker) -> None:
    after = breaker.state
    if after is before:
        return
    log.warning("the gateway's breaker has changed", state=after.value, failures=breaker.failures)
    if activity.in_activity():
        activity.metric_meter().create_counter(
            "paysaga_breaker_changes", "how often the breaker before the gateway changed"
        ).add(1, {"state": after.value})


def _spread(pause: timedelta) -> timedelta:
    return pause + timedelta(milliseconds=secrets.randbelow(_SPREAD_MILLISECONDS))
