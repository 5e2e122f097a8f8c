"""How far a sink has come: what its run moves, and how whoever writes an event wakes it."""

from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import Row, bindparam, delete, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from paysaga.database.engine import Insert, Inserting, Sessions, on_both, reading
from paysaga.database.outbox import IN_ORDER_OF
from paysaga.database.sinks import place_columns
from paysaga.database.tables import DEAD_LETTERS, EVENTS, LANES, SINKS
from paysaga.domain.sink import Lane, Sink, SinkStatus, Step, sink_name


class Moved(Exception):
    """Somebody else has moved the sink meanwhile: begin anew from where it stands now."""


class Rest(NamedTuple):
    """A sink that rests, what it is called, and how often it has rested by now."""

    sink_id: str
    name: str
    number: int


class SinkProgress:
    """Moves sinks. Of two who move one at once only one does: the other is told `Moved`."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def lanes(self, sink_id: str) -> dict[str, Lane]:
        """All lanes, by their objects."""
        async with reading(self._sessions) as session:
            rows = await session.execute(_LANES, {"this_id": sink_id})
            lanes = [Lane.model_validate(row._asdict()) for row in rows]
        return {lane.object_id: lane for lane in lanes}

    async def next_due(self, sink_id: str) -> datetime | None:
        """When the first lane's rest is over; `None` if there is no lane."""
        async with reading(self._sessions) as session:
            found: datetime | None = await session.scalar(_NEXT_DUE, {"this_id": sink_id})
        return found

    async def note(self, sink: Sink, step: Step) -> None:
        """Write down what a round has come to, all or nothing.

        Raises:
            Moved: The sink does not stand where `sink` says any more, or was removed.
        """
        async with self._sessions.begin() as session:
            moved = _MOVE.values(_moved(sink, step)).returning(SINKS.c.id)
            row = (
                await session.execute(moved, {"this_id": sink.id, "this_turn": sink.turn})
            ).one_or_none()
            if row is None:
                raise Moved
            await _note_lanes(session, sink.id, step)

    async def rest(self, sink: Sink) -> None:
        """Have the sink rest: from now on it is woken. Whoever rests looks once more after it."""
        async with self._sessions.begin() as session:
            await session.execute(_REST, {"this_id": sink.id})

    async def resting(self) -> list[Rest]:
        """The sinks that rest and are not paused."""
        async with reading(self._sessions) as session:
            return [_rest(row) for row in await session.execute(_RESTING)]

    async def overslept(self) -> list[Rest]:
        """Those that rest though there are events for them: nobody has woken them."""
        async with reading(self._sessions) as session:
            return [_rest(row) for row in await session.execute(_OVERSLEPT)]

    async def is_woken(self, rest: Rest) -> None:
        """Say that this rest is over, unless it is already. A later one is not."""
        over = {"this_id": rest.sink_id, "this_rest": rest.number}
        async with self._sessions.begin() as session:
            await session.execute(_WOKEN, over)


def _rest(row: Row[*tuple[Any, ...]]) -> Rest:
    return Rest(row.id, sink_name(row.kind, row.description, row.url, row.exchange), row.rests)


def _moved(sink: Sink, step: Step) -> dict[str, Any]:
    told = (
        {}
        if step.last_answer is None
        else {"last_answer": step.last_answer, "last_answer_at": step.at}
    )
    paused = (
        {}
        if step.paused is None
        else {"status": SinkStatus.PAUSED.value, "reason": step.paused.value, "updated_at": step.at}
    )
    return {
        **place_columns(step.place),
        "turn": sink.turn + 1,
        "delivered": SINKS.c.delivered + step.delivered,
        "failures": step.failures,
        "failing_since": step.failing_since,
        "next_try_at": step.next_try_at,
        **({} if step.alive_at is None else {"alive_at": step.alive_at}),
        **told,
        **paused,
    }


async def _note_lanes(session: AsyncSession, sink_id: str, step: Step) -> None:
    this: dict[str, Any] = {"sink_id": sink_id}
    if step.lanes:
        await session.execute(_lane(session), [this | dict(lane) for lane in step.lanes])
    if step.freed:
        await session.execute(_FREE, {"this_id": sink_id, "these_ids": step.freed})
    if step.hurried:
        hurried = {"this_id": sink_id, "these_ids": step.hurried, "at": step.at}
        await session.execute(_HURRY, hurried)
    if step.dead_letters:
        letters = [this | dict(letter) for letter in step.dead_letters]
        await session.execute(_letter(session), letters)


_THIS: Final = SINKS.c.id == bindparam("this_id")
_MOVE: Final = update(SINKS).where(
    _THIS, SINKS.c.turn == bindparam("this_turn"), SINKS.c.status != SinkStatus.REMOVED.value
)
_REST: Final = update(SINKS).where(_THIS).values(rests=SINKS.c.rests + 1)
# Without the secrets, and without words that only a newer release knows.
_RESTING: Final = select(
    SINKS.c.id, SINKS.c.kind, SINKS.c.description, SINKS.c.url, SINKS.c.exchange, SINKS.c.rests
).where(SINKS.c.rests > SINKS.c.woken, SINKS.c.status == SinkStatus.ACTIVE.value)
_OVERSLEPT: Final = _RESTING.where(
    select(EVENTS.c.position)
    .where(
        tuple_(*IN_ORDER_OF)
        > tuple_(SINKS.c.place_epoch, SINKS.c.place_transaction, SINKS.c.place_position)
    )
    .exists()
)
_WOKEN: Final = (
    update(SINKS)
    .where(_THIS, SINKS.c.woken < bindparam("this_rest"))
    .values(woken=bindparam("this_rest"))
)

_LANE_OF: Final = LANES.c.sink_id == bindparam("this_id")
_LANES: Final = select(LANES).where(_LANE_OF)
_NEXT_DUE: Final = select(func.min(LANES.c.next_try_at)).where(_LANE_OF)
_THESE: Final = LANES.c.object_id.in_(bindparam("these_ids", expanding=True))
_FREE: Final = delete(LANES).where(_LANE_OF, _THESE)
_HURRY: Final = (
    update(LANES)
    .where(_LANE_OF, _THESE)
    .values(next_try_at=bindparam("at", type_=LANES.c.next_try_at.type))
)


@on_both
def _lane(insert_into: Inserting) -> Insert:
    lane = insert_into(LANES)
    now = ("sequence", "failures", "failing_since", "next_try_at", "last_answer")
    return lane.on_conflict_do_update(
        index_elements=["sink_id", "object_id"],
        set_={column: lane.excluded[column] for column in now},
    )


@on_both
def _letter(insert_into: Inserting) -> Insert:
    return insert_into(DEAD_LETTERS).on_conflict_do_nothing()
