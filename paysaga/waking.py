"""Waking the sinks that rest when there is an event for them."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, Final

import structlog

from paysaga.database.engine import Sessions
from paysaga.database.progress import Rest, SinkProgress
from paysaga.database.sink_changes import SinkChanges
from paysaga.database.sinks import Sinks
from paysaga.domain.sink import Sink
from paysaga.nudging import Nudging

log: Final = structlog.stdlib.get_logger("sinks")

# A payment waits for it, so not longer: the sweep wakes who oversleeps.
_PATIENCE: Final = timedelta(seconds=1)


class Waking:
    """Tells the runs of resting sinks. A busy one is not told: it finds the event by itself.

    The run is told before its rest is marked as over: whoever is killed between the two tells it
    once more.
    """

    def __init__(self, sessions: Sessions, nudging: Nudging) -> None:
        self._sinks = Sinks(sessions)
        self._changes = SinkChanges(sessions)
        self._progress = SinkProgress(sessions)
        self._nudging = nudging

    async def wake(self) -> None:
        """Wake every sink that rests: an event was committed. No payment fails by it."""
        try:
            async with asyncio.timeout(_PATIENCE.total_seconds()):
                await _all_of(*(self._tell(rest) for rest in await self._progress.resting()))
        except Exception as error:  # noqa: BLE001 - whatever it is, the money has been written
            log.warning("a sink could not be woken", error=type(error).__name__)

    async def wake_overslept(self) -> int:
        """Wake those whom nobody has woken, or told of a change; how many.

        Raises:
            NotTold: Temporal is away.
        """
        overslept = await self._progress.overslept()
        untold = await self._sinks.untold()
        await _all_of(
            *(self._tell(rest) for rest in overslept), *(self._tell_change(each) for each in untold)
        )
        return len(overslept) + len(untold)

    async def open_all(self) -> int:
        """Have a run for each sink, whatever has become of the one that it had; how many.

        Raises:
            NotTold: Temporal is away.
        """
        sinks = await self._sinks.all()
        await _all_of(*(self._nudging.sink(sink.id, sink.name) for sink in sinks))
        return len(sinks)

    async def _tell(self, rest: Rest) -> None:
        await self._nudging.sink(rest.sink_id, rest.name)
        await self._progress.is_woken(rest)

    async def _tell_change(self, sink: Sink) -> None:
        await self._nudging.sink(sink.id, sink.name)
        await self._changes.is_told(sink)


async def _all_of(*told: Coroutine[Any, Any, None]) -> None:
    """Whoever cannot be told keeps nobody else from it; the first error is raised in the end."""
    ends = await asyncio.gather(*told, return_exceptions=True)
    for end in ends:
        if isinstance(end, BaseException):
            raise end
