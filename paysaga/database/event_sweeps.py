"""How far the gateway's list of events was read. One row, which only goes on."""

from datetime import datetime
from typing import Any, Final

from pydantic import AwareDatetime
from sqlalchemy import bindparam, func, select, update

from paysaga.database.engine import Inserting, Sessions, on_both
from paysaga.database.tables import EVENT_SWEEPS
from paysaga.domain.message import Message

_GATEWAY: Final = "gateway"


class Place(Message):
    """All events before `since` are in the inbox; below `after` the reading goes on to there.

    `until` is the newest event's moment when the reading began: once it has come to its end, it is
    the new `since`.
    """

    since: AwareDatetime
    until: AwareDatetime | None = None
    after: str | None = None


class EventSweeps:
    """Keeps the place. Of two who read at once only one moves it, and the other one reads again."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def place(self, now: datetime) -> Place:
        """Where to go on; a first reading begins now."""
        async with self._sessions.begin() as session:
            await session.execute(_begin(session), {"id": _GATEWAY, "since": now})
            row = (await session.execute(_PLACE)).one()
            return Place.model_validate(row._asdict())

    async def move(self, before: Place, place: Place) -> None:
        """Go on from `before`, unless somebody else has."""
        where = {"this_since": before.since, "this_after": before.after or ""}
        async with self._sessions.begin() as session:
            await session.execute(_MOVE, {**dict(place), **where})


@on_both
def _begin(insert_into: Inserting) -> Any:
    return insert_into(EVENT_SWEEPS).on_conflict_do_nothing()


_PLACE: Final = select(EVENT_SWEEPS).where(EVENT_SWEEPS.c.id == _GATEWAY)
_MOVE: Final = update(EVENT_SWEEPS).where(
    EVENT_SWEEPS.c.id == _GATEWAY,
    EVENT_SWEEPS.c.since == bindparam("this_since", type_=EVENT_SWEEPS.c.since.type),
    func.coalesce(EVENT_SWEEPS.c.after, "") == bindparam("this_after"),
)
