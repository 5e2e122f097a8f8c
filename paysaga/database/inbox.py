"""The inbox: each gateway event is stored once, and remembers what became of it."""

import hashlib
from datetime import datetime
from typing import Any, Final

from pydantic import AwareDatetime
from sqlalchemy import bindparam, func, select, update

from paysaga.database.engine import Inserting, Sessions, on_both, reading
from paysaga.database.tables import WEBHOOK_EVENTS
from paysaga.domain.message import Message

_LONGEST_ERROR: Final = 4000


class InboxEvent(Message):
    """A gateway event as it came: the raw bytes that were signed, and what was read from them."""

    id: str
    type: str
    api_version: str | None = None
    livemode: bool
    gateway_object_id: str | None = None
    payment_id: str | None = None
    payload: bytes
    signature_verified: bool
    received_at: AwareDatetime


class Inbox:
    """Keeps gateway events. A copy changes nothing, and what is processed stays processed."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def store(self, event: InboxEvent) -> bool:
        """Keep the event, and answer whether its work is already done."""
        columns = {
            **dict(event),
            "payload_sha256": hashlib.sha256(event.payload).hexdigest(),
            "processed": False,
        }
        async with self._sessions.begin() as session:
            new = await session.execute(_store(session), columns)
            if new.one_or_none() is not None:
                return False
            stored = await session.execute(_IS_PROCESSED, {"this_id": event.id})
            return bool(stored.scalar_one())

    async def mark_processed(self, event_id: str, result: str, at: datetime) -> None:
        """The event has had its effect. The first result stays."""
        await self._mark(event_id, processed=True, processed_at=at, result=result, error=None)

    async def mark_failed(self, event_id: str, error: str, at: datetime) -> None:
        """The event could not have its effect now: it stays for the sweep, with the reason."""
        await self._mark(event_id, failed_at=at, error=(error or "unknown")[:_LONGEST_ERROR])

    async def unprocessed(self, limit: int) -> list[InboxEvent]:
        """Events whose effect is still owed, the longest untried first: none starves another."""
        async with reading(self._sessions) as session:
            rows = await session.execute(_OWED.limit(limit))
            return [InboxEvent.model_validate(row._asdict()) for row in rows]

    async def _mark(self, event_id: str, **columns: Any) -> None:
        async with self._sessions.begin() as session:
            await session.execute(_MARK, {"this_id": event_id, **columns})


@on_both
def _store(insert_into: Inserting) -> Any:
    return insert_into(WEBHOOK_EVENTS).on_conflict_do_nothing().returning(WEBHOOK_EVENTS.c.id)


_THIS: Final = WEBHOOK_EVENTS.c.id == bindparam("this_id")
_IS_PROCESSED: Final = select(WEBHOOK_EVENTS.c.processed).where(_THIS)
_MARK: Final = update(WEBHOOK_EVENTS).where(_THIS, ~WEBHOOK_EVENTS.c.processed)
_OWED: Final = (
    select(WEBHOOK_EVENTS)
    .where(~WEBHOOK_EVENTS.c.processed)
    .order_by(
        func.coalesce(WEBHOOK_EVENTS.c.failed_at, WEBHOOK_EVENTS.c.received_at),
        WEBHOOK_EVENTS.c.id,
    )
)
