"""Reads what was written down for the world, in an order that no late commit disturbs."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Row,
    Select,
    Text,
    cast,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncSession

from paysaga.database.columns import UtcDateTime
from paysaga.database.engine import Sessions, reading
from paysaga.database.tables import EVENTS, OUTBOX_STATE
from paysaga.domain.outbox import OutboxEvent, Place, is_ahead

# The row of `outbox_state` that is about these events.
EVENTS_STATE: Final = "events"


class Forgotten(Exception):
    """Events that follow the place were deleted: who goes on from there would miss them."""


class Outbox:
    """The events of all objects. Who reads on from the last place misses none, and sees no other.

    On PostgreSQL a transaction may commit after one that began later. So events stand in the order
    in which their transactions began, and are shown when none that began before is under way.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def after(
        self,
        place: Place | None,
        limit: int,
        *,
        types: Collection[str] = (),
        object_id: str | None = None,
        since: datetime | None = None,
    ) -> list[OutboxEvent]:
        """The next events, those of one object in the order of their sequence."""
        wanted = _IN_ORDER
        if place is not None:
            wanted = wanted.where(_is_after(place))
        if types:
            wanted = wanted.where(EVENTS.c.type.in_(sorted(types)))
        if object_id is not None:
            wanted = wanted.where(EVENTS.c.object_id == object_id)
        if since is not None:
            wanted = wanted.where(EVENTS.c.created_at >= literal(since, UtcDateTime))
        async with reading(self._sessions) as session:
            rows = await session.execute(wanted.where(_is_settled(session)).limit(limit))
            return [_event(row) for row in rows]

    async def check_kept(self, place: Place) -> None:
        """Ask after reading: what is deleted between the two is found.

        Raises:
            Forgotten: Some events that follow this place may have been deleted.
        """
        state = OUTBOX_STATE.c
        found = select(state.id).where(state.id == EVENTS_STATE, _literal(place) < FORGOTTEN_PLACE)
        async with reading(self._sessions) as session:
            if (await session.execute(found)).first() is not None:
                raise Forgotten

    async def of_object(
        self, object_id: str, sequence: int, until: Place, limit: int
    ) -> list[OutboxEvent]:
        """One object's events from this number on, as far as to this place."""
        wanted = (
            select(EVENTS)
            .where(
                EVENTS.c.object_id == object_id,
                EVENTS.c.sequence >= sequence,
                _literal(until) >= _ORDER,
            )
            .order_by(EVENTS.c.sequence)
            .limit(limit)
        )
        async with reading(self._sessions) as session:
            return [_event(row) for row in await session.execute(wanted)]

    async def is_more(self, place: Place) -> bool:
        """Whether anything follows, be it still unsettled."""
        async with reading(self._sessions) as session:
            found = await session.execute(select(EVENTS.c.id).where(_is_after(place)).limit(1))
            return found.first() is not None

    async def count_after(self, place: Place, most: int) -> int:
        """How many events follow this place; no more than `most` are counted."""
        some = select(EVENTS.c.id).where(_is_after(place)).limit(most).subquery()
        async with reading(self._sessions) as session:
            return (await session.execute(select(func.count()).select_from(some))).scalar_one()

    async def end(self) -> Place:
        """The place behind all that is settled now."""
        async with reading(self._sessions) as session:
            last = _BACKWARDS.where(_is_settled(session)).limit(1)
            row = (await session.execute(last)).first()
        return _place(row) if row is not None else Place()

    async def place_before(self, since: datetime) -> Place:
        """The place before the first event of then or later; the end if there is none yet."""
        later = EVENTS.c.created_at >= literal(since, UtcDateTime)
        async with reading(self._sessions) as session:
            settled = _IN_ORDER.where(later, _is_settled(session))
            row = (await session.execute(settled.limit(1))).first()
        if row is None:
            return await self.end()
        first = _place(row)
        return first.model_copy(update={"position": first.position - 1})


async def hold_kept(session: AsyncSession, place: Place) -> None:
    """Have nothing that follows the place deleted before the transaction ends.

    Raises:
        Forgotten: Some of it may have been deleted.
    """
    state = (await session.execute(HOLD_STATE)).one_or_none()
    if state is not None:
        forgotten = Place(
            epoch=state.forgotten_epoch,
            transaction=state.forgotten_transaction,
            position=state.forgotten_position,
        )
        if is_ahead(forgotten, place):
            raise Forgotten


def _is_settled(session: AsyncSession) -> ColumnElement[bool]:
    """Nothing that began before it is still under way."""
    if session.get_bind().dialect.name == "sqlite":
        return true()
    horizon = func.pg_snapshot_xmin(func.pg_current_snapshot())
    state = OUTBOX_STATE.c
    now = select(func.coalesce(func.max(state.epoch), 0)).where(state.id == EVENTS_STATE)
    return or_(
        # No transaction of a former server is under way any more.
        EVENTS.c.epoch < now.scalar_subquery(),
        EVENTS.c.transaction_id < cast(cast(horizon, Text), BigInteger),
    )


def _literal(place: Place) -> Any:
    return tuple_(literal(place.epoch), literal(place.transaction), literal(place.position))


def _is_after(place: Place) -> ColumnElement[bool]:
    after: ColumnElement[bool] = _literal(place) < _ORDER
    return after


def _place(row: Row[Any]) -> Place:
    return Place(epoch=row.epoch, transaction=row.transaction_id, position=row.position)


def _event(row: Row[Any]) -> OutboxEvent:
    return OutboxEvent.model_validate({**row._asdict(), "place": _place(row)})


IN_ORDER_OF: Final = (EVENTS.c.epoch, EVENTS.c.transaction_id, EVENTS.c.position)
_ORDER: Final = tuple_(*IN_ORDER_OF)
_IN_ORDER: Final[Select[Any]] = select(EVENTS).order_by(*IN_ORDER_OF)
_BACKWARDS: Final[Select[Any]] = select(*IN_ORDER_OF).order_by(
    *(column.desc() for column in IN_ORDER_OF)
)
# Who deletes events, and who goes back to some, waits for the other.
HOLD_STATE: Final = select(OUTBOX_STATE).where(OUTBOX_STATE.c.id == EVENTS_STATE).with_for_update()
# Up to there events may be deleted.
FORGOTTEN_PLACE: Final = tuple_(
    OUTBOX_STATE.c.forgotten_epoch,
    OUTBOX_STATE.c.forgotten_transaction,
    OUTBOX_STATE.c.forgotten_position,
)
