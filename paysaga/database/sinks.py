"""Sinks as they are configured, and what waits there."""

from typing import Any, Final

from pydantic import AwareDatetime
from sqlalchemy import Row, bindparam, func, literal, select, tuple_

from paysaga.database.columns import UtcDateTime
from paysaga.database.engine import Sessions, reading
from paysaga.database.paging import cursor, place
from paysaga.database.tables import DEAD_LETTERS, LANES, SINKS
from paysaga.domain.message import Message
from paysaga.domain.outbox import OutboxEvent, Place, is_ahead
from paysaga.domain.sink import DeadLetter, Repeat, Sink, SinkStatus


class Waiting(Message):
    """How many objects' events wait at a sink, and how many events are dead letters."""

    lanes: int
    dead_letters: int
    next_try_at: AwareDatetime | None = None


class SinkPage(Message):
    """Some sinks, newest first, and where the next page begins (None after the last)."""

    sinks: tuple[Sink, ...]
    next: str | None = None


class DeadLetterPage(Message):
    """Some dead letters, newest first, and where the next page begins (None after the last)."""

    dead_letters: tuple[DeadLetter, ...]
    next: str | None = None


class Sinks:
    """Reads sinks. Nothing here writes."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def sink(self, sink_id: str) -> Sink | None:
        """The sink as it stands, also if it is removed."""
        async with reading(self._sessions) as session:
            row = (await session.execute(_SINK, {"this_id": sink_id})).one_or_none()
        return sink_of(row) if row is not None else None

    async def all(self) -> list[Sink]:
        """All sinks that are not removed."""
        async with reading(self._sessions) as session:
            return [sink_of(row) for row in await session.execute(_NEWEST_FIRST)]

    async def page(self, after: str | None, limit: int) -> SinkPage:
        """Sinks that are not removed, newest first.

        Raises:
            WrongCursor: `after` is not the `next` of an earlier page.
        """
        wanted = _NEWEST_FIRST
        if after is not None:
            at, sink_id = place(after)
            seen = tuple_(literal(at, UtcDateTime), literal(sink_id))
            wanted = wanted.where(tuple_(SINKS.c.created_at, SINKS.c.id) < seen)
        async with reading(self._sessions) as session:
            rows = (await session.execute(wanted.limit(limit + 1))).all()
        sinks = tuple(sink_of(row) for row in rows[:limit])
        more = len(rows) > limit
        return SinkPage(
            sinks=sinks, next=cursor(sinks[-1].created_at, sinks[-1].id) if more else None
        )

    async def asked_for(self, sink_id: str) -> tuple[Sink, str] | None:
        """The sink, and the fingerprint of the request that made it."""
        async with reading(self._sessions) as session:
            row = (await session.execute(_SINK, {"this_id": sink_id})).one_or_none()
        return (sink_of(row), row.request_fingerprint) if row is not None else None

    async def untold(self) -> list[Sink]:
        """Those whose run has still to hear of a change, also of their removal."""
        async with reading(self._sessions) as session:
            return [sink_of(row) for row in await session.execute(_UNTOLD)]

    async def repeat_of(self, sink_id: str, event: OutboxEvent) -> Repeat:
        """Whether another copy of the event overtakes nothing.

        Now, if the sink has handed it over, or if there never was one: nobody else tells then.
        Never, if it is paused or removed, or does not want it.
        """
        sink = await self.sink(sink_id)
        if sink is None:
            return Repeat.NOW
        if sink.status is not SinkStatus.ACTIVE or not sink.wants(event.type):
            return Repeat.NEVER
        if is_ahead(event.place, sink.place):
            return Repeat.LATER
        lane = {"this_id": sink_id, "this_object": event.object_id}
        async with reading(self._sessions) as session:
            waits = (await session.execute(_LANE, lane)).first() is not None
        return Repeat.LATER if waits else Repeat.NOW

    async def waiting(self, sink_id: str) -> Waiting:
        """What does not go its way at a sink."""
        async with reading(self._sessions) as session:
            lanes = await session.execute(_COUNT_LANES, {"this_id": sink_id})
            letters = await session.execute(_COUNT_DEAD_LETTERS, {"this_id": sink_id})
            first = lanes.one()
            return Waiting(
                lanes=first.count, next_try_at=first.next_try_at, dead_letters=letters.scalar_one()
            )

    async def dead_letters(self, sink_id: str, after: str | None, limit: int) -> DeadLetterPage:
        """What a sink is not given any more, newest first.

        Raises:
            WrongCursor: `after` is not the `next` of an earlier page.
        """
        wanted = _LETTERS
        if after is not None:
            at, event_id = place(after)
            seen = tuple_(literal(at, UtcDateTime), literal(event_id))
            wanted = wanted.where(tuple_(DEAD_LETTERS.c.at, DEAD_LETTERS.c.event_id) < seen)
        async with reading(self._sessions) as session:
            rows = (await session.execute(wanted.limit(limit + 1), {"this_id": sink_id})).all()
        letters = tuple(DeadLetter.model_validate(row._asdict()) for row in rows[:limit])
        more = len(rows) > limit
        return DeadLetterPage(
            dead_letters=letters,
            next=cursor(letters[-1].at, letters[-1].event_id) if more else None,
        )


def sink_of(row: Row[Any]) -> Sink:
    """The sink as its row has it."""
    columns = row._asdict()
    at = {part: columns[f"place_{part}"] for part in ("epoch", "transaction", "position")}
    return Sink.model_validate({**columns, "place": at})


def place_columns(at: Place) -> dict[str, int]:
    """The place, column by column."""
    return {f"place_{part}": value for part, value in at}


_THIS: Final = SINKS.c.id == bindparam("this_id")
_THERE: Final = SINKS.c.status != SinkStatus.REMOVED.value
_SINK: Final = select(SINKS).where(_THIS)
_NEWEST_FIRST: Final = (
    select(SINKS).where(_THERE).order_by(SINKS.c.created_at.desc(), SINKS.c.id.desc())
)
_UNTOLD: Final = select(SINKS).where(SINKS.c.is_untold)
_OF_SINK: Final = DEAD_LETTERS.c.sink_id == bindparam("this_id")
_LETTERS: Final = (
    select(DEAD_LETTERS)
    .where(_OF_SINK)
    .order_by(DEAD_LETTERS.c.at.desc(), DEAD_LETTERS.c.event_id.desc())
)
_LANE: Final = select(LANES.c.sequence).where(
    LANES.c.sink_id == bindparam("this_id"), LANES.c.object_id == bindparam("this_object")
)
_COUNT_LANES: Final = (
    select(func.count().label("count"), func.min(LANES.c.next_try_at).label("next_try_at"))
    .select_from(LANES)
    .where(LANES.c.sink_id == bindparam("this_id"))
)
_COUNT_DEAD_LETTERS: Final = select(func.count()).select_from(DEAD_LETTERS).where(_OF_SINK)
