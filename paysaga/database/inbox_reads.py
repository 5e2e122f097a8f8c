"""What people ask about the inbox: some events, newest first, or one with all that is known."""

from typing import Final

from pydantic import AwareDatetime
from sqlalchemy import ColumnElement, bindparam, func, literal, select, tuple_

from paysaga.database.columns import UtcDateTime
from paysaga.database.engine import Sessions, reading
from paysaga.database.inbox import InboxEvent
from paysaga.database.paging import cursor, place
from paysaga.database.tables import WEBHOOK_EVENTS
from paysaga.domain.gateway_event import Flag
from paysaga.domain.message import Message


class KeptEvent(InboxEvent):
    """An event as it came, and what became of it."""

    payload_sha256: str
    processed: bool
    processed_at: AwareDatetime | None
    result: str | None
    run_id: str | None
    failed_at: AwareDatetime | None
    error: str | None

    @property
    def flagged(self) -> bool:
        """Whether it says something that is not ours: other money, another account or mode."""
        return self.result in set(Flag)


class EventPage(Message):
    """Some events, newest first, and where the next page begins (None after the last)."""

    events: tuple[KeptEvent, ...]
    next: str | None = None


class InboxReads:
    """Reads the inbox. Nothing here writes or locks."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def event(self, event_id: str) -> KeptEvent | None:
        """The event, with its payload."""
        async with reading(self._sessions) as session:
            row = (await session.execute(_EVENT, {"this_id": event_id})).one_or_none()
        return KeptEvent.model_validate(row._asdict()) if row is not None else None

    async def events(
        self,
        *,
        processed: bool | None = None,
        kind: str | None = None,
        payment_id: str | None = None,
        flagged: bool | None = None,
        after: str | None = None,
        limit: int = 20,
    ) -> EventPage:
        """A page of events, newest first, without their payloads.

        Raises:
            WrongCursor: `after` is not the `next` of an earlier page.
        """
        wanted = _EVENTS.where(
            *_wanted(processed=processed, kind=kind, payment_id=payment_id, flagged=flagged)
        )
        if after is not None:
            at, event_id = place(after)
            seen = tuple_(literal(at, UtcDateTime), literal(event_id))
            wanted = wanted.where(tuple_(_COLUMNS.received_at, _COLUMNS.id) < seen)
        async with reading(self._sessions) as session:
            rows = (await session.execute(wanted.limit(limit + 1))).all()
        events = tuple(KeptEvent.model_validate(row._asdict()) for row in rows[:limit])
        more = len(rows) > limit
        return EventPage(
            events=events, next=cursor(events[-1].received_at, events[-1].id) if more else None
        )


_COLUMNS: Final = WEBHOOK_EVENTS.c
_EVENT: Final = select(WEBHOOK_EVENTS).where(_COLUMNS.id == bindparam("this_id"))
# A page of payloads could be 25 MB.
_EVENTS: Final = select(
    *(column for column in _COLUMNS if column.name != "payload"),
    literal(b"").label("payload"),
).order_by(_COLUMNS.received_at.desc(), _COLUMNS.id.desc())


def _wanted(
    *, processed: bool | None, kind: str | None, payment_id: str | None, flagged: bool | None
) -> list[ColumnElement[bool]]:
    known: list[ColumnElement[bool]] = []
    if processed is not None:
        known.append(_COLUMNS.processed if processed else ~_COLUMNS.processed)
    if kind is not None:
        known.append(_COLUMNS.type == kind)
    if payment_id is not None:
        known.append(_COLUMNS.payment_id == payment_id)
    if flagged is not None:
        is_flagged = func.coalesce(_COLUMNS.result, "").in_([flag.value for flag in Flag])
        known.append(is_flagged if flagged else ~is_flagged)
    return known
