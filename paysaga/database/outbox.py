"""Reads what was written down for the world, in an order that no late commit disturbs."""

import re
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
    select,
    true,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncSession

from paysaga.database.columns import UtcDateTime
from paysaga.database.engine import Sessions, reading
from paysaga.database.paging import WrongCursor
from paysaga.database.tables import EVENTS
from paysaga.domain.outbox import OutboxEvent

_PLACE: Final = re.compile(r"(?P<transaction>[0-9]{1,18})-(?P<position>[0-9]{1,18})")


class Outbox:
    """The events of all objects. Who reads on from the last place misses none, and sees no other.

    On PostgreSQL a transaction may commit after one that began later. So events stand in the order
    in which their transactions began, and are shown when none that began before is under way.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def after(
        self,
        place: str | None,
        limit: int,
        *,
        types: Collection[str] = (),
        object_id: str | None = None,
        since: datetime | None = None,
    ) -> list[OutboxEvent]:
        """The next events, those of one object in the order of their sequence.

        Raises:
            WrongCursor: `place` is not that of an event.
        """
        wanted = _IN_ORDER
        if place is not None:
            wanted = wanted.where(tuple_(*map(literal, _numbers(place))) < _ORDER)
        if types:
            wanted = wanted.where(EVENTS.c.type.in_(sorted(types)))
        if object_id is not None:
            wanted = wanted.where(EVENTS.c.object_id == object_id)
        if since is not None:
            wanted = wanted.where(EVENTS.c.created_at >= literal(since, UtcDateTime))
        async with reading(self._sessions) as session:
            rows = await session.execute(wanted.where(_is_settled(session)).limit(limit))
            return [_event(row) for row in rows]


def _numbers(place: str) -> tuple[int, int]:
    found = _PLACE.fullmatch(place)
    if found is None:
        raise WrongCursor("the cursor is not one of ours: begin with the first page again")
    return int(found["transaction"]), int(found["position"])


def _is_settled(session: AsyncSession) -> ColumnElement[bool]:
    """Nothing that began before it is still under way."""
    if session.get_bind().dialect.name == "sqlite":
        return true()
    horizon = func.pg_snapshot_xmin(func.pg_current_snapshot())
    return EVENTS.c.transaction_id < cast(cast(horizon, Text), BigInteger)


def _event(row: Row[Any]) -> OutboxEvent:
    place = f"{row.transaction_id}-{row.position}"
    return OutboxEvent.model_validate({**row._asdict(), "place": place})


_ORDER: Final = tuple_(EVENTS.c.transaction_id, EVENTS.c.position)
_IN_ORDER: Final[Select[Any]] = select(EVENTS).order_by(EVENTS.c.transaction_id, EVENTS.c.position)
