"""Requests that wait until a payment has moved: one question to the database for all of them."""

import asyncio
import contextlib
from collections import defaultdict
from typing import Final

import structlog

from paysaga.database.reads import Reads
from paysaga.domain.payment import Fulfillment, PaymentState, PaymentStatus

_LOOK_SECONDS: Final = 0.25
# Each costs little; whoever comes when so many are here is answered at once.
_MOST: Final = 2000

log: Final = structlog.stdlib.get_logger("api")


class Waiting:
    """All waiting requests of this process. While there is none, nothing is asked."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self._waiters: defaultdict[str, dict[asyncio.Event, int]] = defaultdict(dict)
        self._count = 0
        self._looking: asyncio.Task[None] | None = None
        self._is_over = False

    async def awaited(
        self, payment: PaymentState, seen: int | None, seconds: float
    ) -> PaymentState:
        """The payment once it has gone beyond the version `seen`, or as it stands when time is up.

        Without a `seen` version: beyond where it stands. What nothing will move is told at once.
        """
        seen = payment.version if seen is None else seen
        if not seconds or payment.version > seen or not _may_move(payment):
            return payment
        await self._until_moved(payment.id, seen, seconds)
        return await self._reads.payment(payment.id) or payment

    def end(self) -> None:
        """The process is to stop: everybody is answered now, and nobody waits any more."""
        self._is_over = True
        for waiters in self._waiters.values():
            for moved in waiters:
                moved.set()

    async def _until_moved(self, payment_id: str, version: int, seconds: float) -> None:
        if self._is_over or self._count >= _MOST:
            return
        moved = asyncio.Event()
        self._waiters[payment_id][moved] = version
        self._count += 1
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await moved.wait()
        finally:
            self._leave(payment_id, moved)

    def _leave(self, payment_id: str, moved: asyncio.Event) -> None:
        self._count -= 1
        del self._waiters[payment_id][moved]
        if not self._waiters[payment_id]:
            del self._waiters[payment_id]

    async def _look(self) -> None:
        while self._waiters:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                versions = await self._reads.versions(list(self._waiters))
            except Exception as error:  # noqa: BLE001 - whoever waits will read it again, and tell
                log.warning("cannot see whether payments moved", error=type(error).__name__)
                continue
            for payment_id, version in versions.items():
                for moved, seen in self._waiters.get(payment_id, {}).items():
                    if version > seen:
                        moved.set()
        self._looking = None


def _may_move(payment: PaymentState) -> bool:
    """Whether something is still to come, by itself or by somebody's decision."""
    awaits_the_shop = (
        payment.status is PaymentStatus.SUCCEEDED and payment.fulfillment is Fulfillment.PENDING
    )
    return not payment.is_final or awaits_the_shop or payment.amount_refund_pending > 0
