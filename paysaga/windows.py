"""Counting within moving windows: in this process, or in a Redis that all processes share."""

import time
from typing import Final

import structlog
from limits import RateLimitItem
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.util import WindowStats
from redis.asyncio import ConnectionPool

from paysaga.settings import IN_MEMORY

_REDIS_SECONDS: Final = 1.0

log: Final = structlog.stdlib.get_logger("limits")


class Windows:
    """While Redis is away each process counts for itself: a limit must not close the shop."""

    def __init__(self, url: str) -> None:
        """Make it ready to count; it connects as late as it can.

        Args:
            url: `LIMITS_URL`.
        """
        self._alone = MovingWindowRateLimiter(MemoryStorage())
        self._pool: ConnectionPool | None = None
        self._shared: MovingWindowRateLimiter | None = None
        if url != IN_MEMORY:
            self._pool = ConnectionPool.from_url(
                url, socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS
            )
            self._shared = MovingWindowRateLimiter(_redis(url, self._pool))

    async def hit(self, limit: RateLimitItem, *about: str) -> bool:
        """Count one more; whether there was room for it."""
        if self._shared is not None:
            try:
                return await self._shared.hit(limit, *about)
            except Exception as error:  # noqa: BLE001 - whatever its driver says
                log.warning("LIMITS_URL does not answer", error=type(error).__name__)
        return await self._alone.hit(limit, *about)

    async def has_room(self, limit: RateLimitItem, *about: str) -> bool:
        """Whether there is room for one more. It is not counted."""
        if self._shared is not None:
            try:
                return await self._shared.test(limit, *about)
            except Exception as error:  # noqa: BLE001 - whatever its driver says
                log.warning("LIMITS_URL does not answer", error=type(error).__name__)
        return await self._alone.test(limit, *about)

    async def seconds_until_room(self, limit: RateLimitItem, *about: str) -> float:
        """How long until the oldest that was counted no longer counts."""
        window = await self._stats(limit, *about)
        return max(0.0, window.reset_time - time.time())

    async def ping(self) -> None:
        """Raise unless what is counted in answers."""
        if self._shared is not None and not await self._shared.storage.check():
            raise ConnectionError

    async def close(self) -> None:
        """Let go of Redis."""
        if self._pool is not None:
            await self._pool.aclose()

    async def _stats(self, limit: RateLimitItem, *about: str) -> WindowStats:
        if self._shared is not None:
            try:
                return await self._shared.get_window_stats(limit, *about)
            except Exception as error:  # noqa: BLE001 - whatever its driver says
                log.warning("LIMITS_URL does not answer", error=type(error).__name__)
        return await self._alone.get_window_stats(limit, *about)


def _redis(url: str, pool: ConnectionPool) -> RedisStorage:
    return RedisStorage(
        f"async+{url}",
        implementation="redispy",
        key_prefix="paysaga",
        connection_pool=pool,  # type: ignore[arg-type]  # handed on as it is
    )
