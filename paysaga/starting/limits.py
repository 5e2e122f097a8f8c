"""How many attempts to pay a customer may make in an hour: who tries more is trying out cards."""

import asyncio
from collections import OrderedDict
from math import ceil
from typing import Final

from limits import RateLimitItemPerHour

from paysaga.starting.refusals import TooManyAttempts
from paysaga.windows import Windows

# Requests whose repeats are known without counting them; the oldest are forgotten.
_REMEMBERED: Final = 10_000


class AttemptLimit:
    """Counts attempts. The hour is a moving one."""

    def __init__(self, windows: Windows, per_hour: int) -> None:
        self._windows = windows
        self._limit = RateLimitItemPerHour(per_hour)
        self._counted: OrderedDict[str, asyncio.Future[bool]] = OrderedDict()

    async def count(self, customer_id: str, request: str) -> None:
        """One more attempt. A repeat of the same request is none, also one at the same time.

        Raises:
            TooManyAttempts: It is one too many; it says when the next may be made.
        """
        counted = self._counted.get(request)
        if counted is None:
            counted = asyncio.ensure_future(self._windows.hit(self._limit, customer_id))
            self._counted[request] = counted
            if len(self._counted) > _REMEMBERED:
                self._counted.popitem(last=False)
        # Nobody's hang-up ends the counting that others wait for.
        if not await asyncio.shield(counted):
            self._counted.pop(request, None)  # it may come again when there is room
            wait = await self._windows.seconds_until_room(self._limit, customer_id)
            raise TooManyAttempts(retry_after=max(1, ceil(wait)))
