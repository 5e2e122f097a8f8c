"""The product's writer on a database that fails at the worst moments."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy.exc import OperationalError
from temporalio import activity

from activities.records import Records
from paysaga.database.engine import Sessions
from paysaga.domain.payment import Changes, Recorded

GONE: Final = "gone"
GONE_FOR_LONG: Final = "gone for long"
DEADLOCK: Final = "deadlock"
COMMIT_LOST: Final = "answer to COMMIT lost"
ROLLED_BACK: Final = "lost before COMMIT"

# How often a write fails. Beyond 8 tries the run leaves it to an activity of its own.
TROUBLES: Final[Mapping[str, int]] = {
    GONE: 3,
    GONE_FOR_LONG: 10,
    DEADLOCK: 1,
    ROLLED_BACK: 1,
    COMMIT_LOST: 1,
}


class TroubledRecords(Records):
    """Writes like the product, but for the payments in `disturbed`: there one write goes wrong."""

    def __init__(self, sessions: Sessions, disturbed: Mapping[str, tuple[int, str]]) -> None:
        super().__init__(sessions)
        self._disturbed = disturbed
        self._written: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()

    @property
    def disturbed(self) -> set[str]:
        """The payments that have met their trouble."""
        return set(self._failed)

    @activity.defn
    async def record(self, batch: Changes) -> Recorded | None:
        payment_id = batch.changes[-1].state.id
        number, trouble = self._disturbed.get(payment_id, (0, ""))
        is_now = number == self._written[payment_id] + 1
        if not is_now or self._failed[payment_id] >= TROUBLES[trouble]:
            recorded = await super().record(batch)
            self._written[payment_id] += 1
            return recorded
        self._failed[payment_id] += 1
        if trouble == COMMIT_LOST:
            await super().record(batch)
        if trouble == ROLLED_BACK:
            await self._begin_and_lose()
        raise OperationalError(trouble, None, ConnectionError(trouble))

    async def _begin_and_lose(self) -> Any:
        """A transaction that was begun, and of which nobody ever hears again."""
        async with self._sessions() as session:
            await session.connection()
            await session.rollback()
