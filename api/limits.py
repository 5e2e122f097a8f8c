"""How many attempts to pay a customer may make in an hour: who tries more is trying out cards."""

import asyncio
import time
from collections import OrderedDict
from math import ceil
from typing import Final

import structlog
from limits import RateLimitItemPerHour
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import ConnectionPool

from api.refusals import TooManyAttempts
from paysaga.settings import IN_MEMORY, Settings

# Requests whose repeats are known without counting them; the oldest are forgotten.
_REMEMBERED: Final = 10_000
_REDIS_SECONDS: Final = 1.0

log: Final = structlog.stdlib.get_logger("api")


class AttemptLimit:
    """Counts attempts in this process, or in a Redis that all processes share.

    The hour is a moving one. If Redis is away the attempt is let through: a limit protects the
    shop, and must not close it.
    """

    def __init__(self, settings: Settings) -> None:
        self._limit = RateLimitItemPerHour(settings.payment_attempts_per_hour)
        self._pool = _pool(settings.limits_url)
        self._storage = _storage(settings.limits_url, self._pool)
        self._window = MovingWindowRateLimiter(self._storage)
        self._counted: OrderedDict[str, asyncio.Future[bool]] = OrderedDict()

    async def count(self, customer_id: str, request: str) -> None:
        """One more attempt. A repeat of the same request is none, also one at the same time.

        Raises:
            TooManyAttempts: It is one too many; it says when the next may be made.
        """
        counted = self._counted.get(request)
        if counted is None:
            counted = asyncio.ensure_future(self._hit(customer_id))
            self._counted[request] = counted
            if len(self._counted) > _REMEMBERED:
                self._counted.popitem(last=False)
        # Nobody's hang-up ends the counting that others wait for.
        if not await asyncio.shield(counted):
            self._counted.pop(request, None)  # it may come again when there is room
            raise TooManyAttempts(retry_after=await self._seconds_to_wait(customer_id))

    async def ping(self) -> None:
        """Raise unless what is counted in answers."""
        if not await self._storage.check():
            raise ConnectionError

    async def close(self) -> None:
        """Let go of Redis."""
        if self._pool is not None:
            await self._pool.aclose()

    async def _hit(self, customer_id: str) -> bool:
        try:
            return await self._window.hit(self._limit, customer_id)
        except Exception as error:  # noqa: BLE001 - whatever its driver says: it cannot be counted
            log.warning(
                "attempts are not limited: LIMITS_URL does not answer", error=type(error).__name__
            )
            return True

    async def _seconds_to_wait(self, customer_id: str) -> int:
        try:
            window = await self._window.get_window_stats(self._limit, customer_id)
        except Exception:  # noqa: BLE001 - it was there a moment ago
            return self._limit.get_expiry()
        return max(1, ceil(window.reset_time - time.time()))


def _pool(url: str) -> ConnectionPool | None:
    if url == IN_MEMORY:
        return None
    return ConnectionPool.from_url(
        url, socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS
    )


def _storage(url: str, pool: ConnectionPool | None) -> MemoryStorage | RedisStorage:
    if pool is None:
        return MemoryStorage()
    return RedisStorage(
        f"async+{url}",
        implementation="redispy",
        key_prefix="paysaga",
        connection_pool=pool,  # type: ignore[arg-type]  # handed on as it is
    )
