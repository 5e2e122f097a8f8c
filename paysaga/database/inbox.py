"""The inbox: each gateway event is stored once, and remembers what became of it."""

import hashlib
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from pydantic import AwareDatetime
from sqlalchemy import bindparam, delete, func, select, update

from paysaga.database.engine import Inserting, Sessions, on_both, reading
from paysaga.database.tables import WEBHOOK_EVENTS
from paysaga.domain.message import Message

_LONGEST_ERROR: Final = 4000


class Source(StrEnum):
    """How we came by an event: the gateway sent it, or we found it in its list."""

    WEBHOOK = "webhook"
    SWEEP = "sweep"


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
    source: Source = Source.WEBHOOK
    received_at: AwareDatetime


class Result(Message):
    """What came of an event: one word, the payment it is about, and the run that was told."""

    word: str
    payment_id: str | None = None
    run_id: str | None = None


class Inbox:
    """Keeps gateway events. A copy changes nothing, and what is processed stays processed."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def store(self, event: InboxEvent) -> InboxEvent | None:
        """Keep the event. Answers with it as it is kept, or `None` if its work is already done."""
        digest = hashlib.sha256(event.payload).hexdigest()
        columns = {**dict(event), "payload_sha256": digest, "processed": False}
        async with self._sessions.begin() as session:
            new = await session.execute(_store(session), columns)
            if new.one_or_none() is not None:
                return event
            found = await session.execute(_THE_OWED_ONE, {"this_id": event.id})
            row = found.one_or_none()
            return InboxEvent.model_validate(row._asdict()) if row else None

    async def known(self, event_ids: list[str]) -> set[str]:
        """Those of these events that are here already."""
        async with reading(self._sessions) as session:
            return set(await session.scalars(_KNOWN, {"these_ids": event_ids}))

    async def mark_processed(self, event_id: str, result: Result, at: datetime) -> None:
        """The event has had its effect. The first result stays."""
        await self._mark(_OWED_MARK, event_id, _processed(result, at))

    async def mark_again(self, event_id: str, result: Result, at: datetime) -> None:
        """The event was processed once more, because somebody asked for it."""
        await self._mark(_ANY_MARK, event_id, _processed(result, at))

    async def mark_failed(self, event_id: str, error: str, at: datetime) -> None:
        """The event could not have its effect now: it stays for the sweep, with the reason."""
        told = (error or "unknown")[:_LONGEST_ERROR]
        await self._mark(_OWED_MARK, event_id, {"failed_at": at, "error": told})

    async def unprocessed(self, limit: int, before: datetime | None = None) -> list[InboxEvent]:
        """Events whose effect is still owed, the longest untried first: none starves another.

        `before` leaves those out that came, or were tried, later.
        """
        owed = _OWED if before is None else _OWED.where(before > _TRIED_AT)
        async with reading(self._sessions) as session:
            rows = await session.execute(owed.limit(limit))
            return [InboxEvent.model_validate(row._asdict()) for row in rows]

    async def forget(self, before: datetime, limit: int) -> int:
        """Delete some of what was processed before this moment; how many. What is owed stays."""
        async with self._sessions.begin() as session:
            gone = await session.execute(_FORGET, {"before": before, "most": limit})
            return len(gone.all())

    async def _mark(self, mark: Any, event_id: str, columns: dict[str, Any]) -> None:
        async with self._sessions.begin() as session:
            await session.execute(mark, {"this_id": event_id, **columns})


def _processed(result: Result, at: datetime) -> dict[str, Any]:
    found = {"payment_id": result.payment_id} if result.payment_id else {}
    return {
        "processed": True,
        "processed_at": at,
        "result": result.word,
        "run_id": result.run_id,
        "error": None,
        **found,
    }


@on_both
def _store(insert_into: Inserting) -> Any:
    return insert_into(WEBHOOK_EVENTS).on_conflict_do_nothing().returning(WEBHOOK_EVENTS.c.id)


_THIS: Final = WEBHOOK_EVENTS.c.id == bindparam("this_id")
_KNOWN: Final = select(WEBHOOK_EVENTS.c.id).where(
    WEBHOOK_EVENTS.c.id.in_(bindparam("these_ids", expanding=True))
)
_THE_OWED_ONE: Final = select(WEBHOOK_EVENTS).where(_THIS, ~WEBHOOK_EVENTS.c.processed)
_ANY_MARK: Final = update(WEBHOOK_EVENTS).where(_THIS)
_OWED_MARK: Final = _ANY_MARK.where(~WEBHOOK_EVENTS.c.processed)
_TRIED_AT: Final = func.coalesce(WEBHOOK_EVENTS.c.failed_at, WEBHOOK_EVENTS.c.received_at)
_OWED: Final = (
    select(WEBHOOK_EVENTS)
    .where(~WEBHOOK_EVENTS.c.processed)
    .order_by(_TRIED_AT, WEBHOOK_EVENTS.c.id)
)
_FORGET: Final = (
    delete(WEBHOOK_EVENTS)
    .where(
        WEBHOOK_EVENTS.c.id.in_(
            select(WEBHOOK_EVENTS.c.id)
            .where(WEBHOOK_EVENTS.c.processed, WEBHOOK_EVENTS.c.processed_at < bindparam("before"))
            .order_by(WEBHOOK_EVENTS.c.received_at, WEBHOOK_EVENTS.c.id)
            .limit(bindparam("most"))
        )
    )
    .returning(WEBHOOK_EVENTS.c.id)
)
