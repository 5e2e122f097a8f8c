"""The background work: webhooks to their endpoints, and refunds that settle later."""

import asyncio
import contextlib
import logging
from functools import partial

from paysaga.simulator import deliveries, timers
from paysaga.simulator.deliveries import Due
from paysaga.simulator.posting import post
from paysaga.simulator.signing import signature_header
from paysaga.simulator.simulator import Simulator
from paysaga.simulator.storage import Body, dumps
from paysaga.simulator.webhook_faults import spoiled

_AT_ONCE = 32
_SUCCESS = 2
_LOOK_AHEAD = 128
_EXPONENT_CAP = 20
_log = logging.getLogger(__name__)


class Deliverer:
    """Sends what is due: per object in order, different objects side by side.

    A delivery that failed waits out its back-off without holding up the ones behind it.
    """

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._wake = asyncio.Event()
        self._busy: dict[tuple[str, str], asyncio.Task[None]] = {}

    def wake(self) -> None:
        """Look for due work now."""
        self._wake.set()

    async def abandon(self) -> None:
        """Break off every try that is under way; its delivery stays as it was."""
        tasks = list(self._busy.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def run(self) -> None:
        """Work until canceled."""
        try:
            while True:
                self._wake.clear()
                timers.fire_due(self._simulator)
                self._start_due()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._pause_seconds())
        finally:
            await self.abandon()

    def _pause_seconds(self) -> float | None:
        now = self._simulator.time()
        storage = self._simulator.storage
        moments = [deliveries.next_due_at(storage, now), timers.next_due_at(storage)]
        waits = [moment - now for moment in moments if moment is not None]
        return max(min(waits), 0.001) if waits else None

    def _start_due(self) -> None:
        if len(self._busy) >= _AT_ONCE:
            return
        now = self._simulator.time()
        for delivery in deliveries.due(self._simulator.storage, now, _LOOK_AHEAD):
            key = (delivery.endpoint, delivery.chain)
            if key in self._busy:
                continue
            if len(self._busy) >= _AT_ONCE:
                return
            task = asyncio.create_task(self._deliver(delivery))
            self._busy[key] = task
            task.add_done_callback(partial(self._finished, key))

    def _finished(self, key: tuple[str, str], task: asyncio.Task[None]) -> None:
        del self._busy[key]
        self._wake.set()
        if not task.cancelled() and (error := task.exception()):
            _log.error("a delivery broke", exc_info=error)

    async def _deliver(self, delivery: Due) -> None:
        storage = self._simulator.storage
        endpoint = storage.get("webhook_endpoint", delivery.endpoint)
        event = storage.get("event", delivery.event)
        if not endpoint or not event:
            deliveries.postpone(storage, delivery, due_at=None, status=None, error="removed")
            return
        payload, signature = self._signed(delivery, event.body, endpoint.private["secret"])
        try:
            status = await post(
                endpoint.body["url"],
                payload.encode(),
                signature,
                self._simulator.settings.simulator_webhook_timeout_seconds,
            )
        except (OSError, ValueError) as failure:
            self._failed(delivery, None, f"{type(failure).__name__}: {failure}")
            return
        if status // 100 != _SUCCESS:
            self._failed(delivery, status, f"HTTP {status}")
            return
        with storage.transaction():
            deliveries.settle(storage, delivery, status=status, now=self._simulator.time())

    def _signed(self, delivery: Due, event: Body, secret: str) -> tuple[str, str]:
        """Write the body and its signature, spoiled if this try is one of those to be spoiled."""
        kind, _, spoiled_tries = (delivery.tampering or "").partition(":")
        tampering = kind if kind and delivery.attempts < int(spoiled_tries) else None
        pending = deliveries.pending_of(self._simulator.storage, delivery.event)
        body = event | {"pending_webhooks": pending}
        payload = dumps(spoiled(body, tampering) if tampering else body)
        now = int(self._simulator.time())
        return payload, signature_header(payload, secret, now, tampering)

    def _failed(self, delivery: Due, status: int | None, error: str) -> None:
        due_at = self._retry_at(delivery, self._simulator.time())
        deliveries.postpone(
            self._simulator.storage, delivery, due_at=due_at, status=status, error=error
        )

    def _retry_at(self, delivery: Due, now: float) -> float | None:
        settings = self._simulator.settings
        if delivery.attempts + 1 >= settings.simulator_webhook_max_attempts:
            return None
        doublings = min(delivery.attempts, _EXPONENT_CAP)
        wait = settings.simulator_webhook_retry_base_seconds * 2.0**doublings
        return now + min(wait, settings.simulator_webhook_retry_cap_seconds)
