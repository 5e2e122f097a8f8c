"""A service of the shop's that follows our events through all of it, page by page."""

import asyncio
from contextlib import suppress

import httpx

from paysaga.demo.world import asked
from tests.chaos.customer import PAUSE_SECONDS, until
from tests.chaos.evidence import Row

_PAGE = "100"


class Follower:
    """Goes on from where it was, whatever is killed meanwhile; keeps what it has heard."""

    def __init__(self, api: httpx.AsyncClient) -> None:
        self.heard: list[Row] = []
        self._api = api
        self._place: str | None = None

    async def follow(self) -> None:
        """Read on without end."""
        while True:
            await until(self._read_on, PAUSE_SECONDS)

    async def has_heard(self, count: int, seconds: float) -> bool:
        """Read on until so many were heard, if that comes to be in time."""

        async def enough() -> bool:
            await self._read_on()
            return len(self.heard) >= count

        return await until(enough, seconds)

    async def _read_on(self) -> bool:
        """Whether there was something new."""
        place = {"after": self._place} if self._place is not None else {}
        answer = await asked(lambda: self._api.get("/events", params={"limit": _PAGE, **place}))
        page = answer.json()
        self.heard += page["items"]
        self._place = page["next_after"]
        return bool(page["items"])


async def stopped(following: asyncio.Task[None]) -> None:
    """End it; if it ended by itself, say why."""
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following
