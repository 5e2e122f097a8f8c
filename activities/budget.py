"""What we may ask of the gateway in a second: it refuses more, and so we do not ask for more."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from limits import RateLimitItemPerSecond

from activities.errors import NotAsked
from paysaga.windows import Windows

# Who has waited so long makes room for others, and comes again: an activity has its own time.
_LONGEST_SECONDS: Final = 8.0
_SHORTEST_SECONDS: Final = 0.01
_AGAIN_IN: Final = timedelta(seconds=3)


class Budget:
    """So many requests in any second, all together and of each kind."""

    def __init__(
        self,
        windows: Windows,
        *,
        together: int,
        each: int,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._windows = windows
        self._sleep = sleep
        self._together = RateLimitItemPerSecond(together)
        self._each = RateLimitItemPerSecond(each)

    async def spend(self, method: str, url: str) -> None:
        """Wait until there is room for this request.

        Raises:
            NotAsked: There is too little room for now; it says when to come again.
        """
        waited = 0.0
        for limit, about in ((self._each, _endpoint(method, url)), (self._together, "all")):
            while not await self._windows.hit(limit, "gateway", about):
                if waited > _LONGEST_SECONDS:
                    raise NotAsked("our own budget at the gateway is spent", _AGAIN_IN)
                left = await self._windows.seconds_until_room(limit, "gateway", about)
                pause = max(left, _SHORTEST_SECONDS)
                await self._sleep(pause)
                waited += pause


def _endpoint(method: str, url: str) -> str:
    """The kind of request, whichever object it is about: `POST payment_intents confirm`."""
    _version, *parts = [part for part in urlsplit(url).path.split("/") if part]
    resource, which, step = parts[:1], parts[1:2], parts[2:]
    return " ".join([method.upper(), *resource, *(step or ["one" for _ in which])])
