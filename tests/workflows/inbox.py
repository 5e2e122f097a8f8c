"""The activities of a sweep, which do as the script says."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from temporalio import activity

from activities.errors import Trouble
from activities.sweeping import Batch, Moment, PageRead
from tests.fakes import trouble


@dataclass
class FakeInbox:
    """The activities of a sweep and a clean-up; each batch is as the script says.

    Ours of the events are forgotten, too, if `event_days` says after how many days.
    """

    pages: deque[PageRead | Trouble] = field(default_factory=deque)
    batches: deque[Batch] = field(default_factory=deque)
    asked: list[Moment] = field(default_factory=list)
    event_days: int | None = None
    woken: int = 0
    sinks_are_away: bool = False
    forgotten: list[Moment] = field(default_factory=list)

    @activity.defn
    async def read_page(self) -> PageRead:
        page = self.pages.popleft()
        if isinstance(page, Trouble):
            raise trouble(page)
        return page

    @activity.defn
    async def work_off(self, moment: Moment) -> Batch:
        self.asked.append(moment)
        return self.batches.popleft()

    @activity.defn
    async def forget(self, moment: Moment) -> Batch:
        self.asked.append(moment)
        return self.batches.popleft()

    @activity.defn
    async def forget_events(self, moment: Moment) -> Batch:
        self.forgotten.append(moment)
        return Batch(count=1, more=len(self.forgotten) == 1)

    @activity.defn
    async def wake_overslept(self) -> int:
        self.woken += 1
        if self.sinks_are_away:
            raise trouble(Trouble.STICKY)
        return 1

    @activity.defn
    async def open_sinks(self) -> int:
        self.woken += 1
        return 1

    @property
    def beside_the_gateway(self) -> list[Any]:
        """All activities but the one of the gateway's queue."""
        return [
            self.work_off,
            self.forget,
            self.forget_events,
            self.wake_overslept,
            self.open_sinks,
        ]


def pages(*stored: int | Trouble, more: bool = False) -> deque[PageRead | Trouble]:
    """So many new events on each page, or trouble; after the last one there are more, or none."""
    last = len(stored) - 1
    return deque(
        n if isinstance(n, Trouble) else PageRead(stored=n, more=more or i < last)
        for i, n in enumerate(stored)
    )


def batches(*counts: int, failed: int = 0, more: bool = False) -> deque[Batch]:
    """So many rows, and failures, in each batch; after the last one there are more, or none."""
    last = len(counts) - 1
    return deque(Batch(count=n, failed=failed, more=more or i < last) for i, n in enumerate(counts))
