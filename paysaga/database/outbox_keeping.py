"""Looks after the outbox as a whole: old events go, and another server's numbers begin anew."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, delete, exists, literal, select, text, tuple_, update

from paysaga.database.columns import UtcDateTime
from paysaga.database.engine import Insert, Inserting, Sessions, on_both
from paysaga.database.outbox import EVENTS_STATE, FORGOTTEN_PLACE, HOLD_STATE, IN_ORDER_OF
from paysaga.database.tables import EVENTS, LANES, MAILS, OUTBOX_STATE, SINKS
from paysaga.domain.outbox import Place
from paysaga.domain.sink import SinkStatus


class OutboxKeeping:
    """What is done about the outbox but writing and reading it."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def know_server(self) -> None:
        """Begin a new epoch if another PostgreSQL server numbers the transactions now.

        That is so where a dump was restored elsewhere: its numbers may be smaller than those of the
        events that are there, and would put what comes before what was.
        """
        async with self._sessions.begin() as session:
            if session.get_bind().dialect.name == "sqlite":
                return
            server = str(await session.scalar(_SERVER))
            await session.execute(_first_state(session), {"server": server})
            await session.execute(_SAME_EPOCH, {"this_server": server})
            await session.execute(_NEXT_EPOCH, {"this_server": server})

    async def forget(
        self, before: datetime, limit: int, after: Place | None = None
    ) -> tuple[int, Place | None]:
        """Delete some of the events from before this moment; how many, and where to go on.

        The last one of each object stays, and so do what any sink has still to hand over, and the
        one before that.
        """
        async with self._sessions.begin() as session:
            await session.execute(_first_state(session), {"server": None})
            await session.execute(HOLD_STATE)
            is_next = [
                _NEXT.c.object_id == EVENTS.c.object_id,
                _NEXT.c.sequence == EVENTS.c.sequence + 1,
            ]
            slowest = (await session.execute(_SLOWEST_SINK)).first()
            if slowest is not None:
                # Whoever is given an event may want to know the one before.
                its = tuple_(_NEXT.c.epoch, _NEXT.c.transaction_id, _NEXT.c.position)
                is_next.append(its <= tuple_(*map(literal, slowest)))
            wanted = _OLD.where(
                EVENTS.c.created_at < literal(before, UtcDateTime), exists().where(*is_next)
            )
            if after is not None:
                wanted = wanted.where(tuple_(*IN_ORDER_OF) > _literal(after))
            rows = (await session.execute(wanted.limit(limit))).all()
            if not rows:
                return 0, after
            await session.execute(_FORGET_MAILS, {"these": [row.id for row in rows]})
            await session.execute(_FORGET, {"these": [row.position for row in rows]})
            last = Place(
                epoch=rows[-1].epoch,
                transaction=rows[-1].transaction_id,
                position=rows[-1].position,
            )
            forgotten = {f"forgotten_{part}": value for part, value in last}
            await session.execute(_STATE.where(_literal(last) > FORGOTTEN_PLACE).values(forgotten))
            return len(rows), last


def _literal(place: Place) -> Any:
    return tuple_(literal(place.epoch), literal(place.transaction), literal(place.position))


_SERVER: Final = text("SELECT system_identifier FROM pg_control_system()")
_STATE: Final = update(OUTBOX_STATE).where(OUTBOX_STATE.c.id == EVENTS_STATE)
# Before the first look nobody knows whose numbers there are: they can only be ours.
_SAME_EPOCH: Final = _STATE.where(OUTBOX_STATE.c.server.is_(None)).values(
    server=bindparam("this_server")
)
_NEXT_EPOCH: Final = _STATE.where(OUTBOX_STATE.c.server != bindparam("this_server")).values(
    epoch=OUTBOX_STATE.c.epoch + 1, server=bindparam("this_server")
)

_NEXT: Final = EVENTS.alias("next_one")
_OLD: Final = (
    select(*IN_ORDER_OF, EVENTS.c.id)
    .where(
        ~exists().where(LANES.c.object_id == EVENTS.c.object_id),
    )
    .order_by(*IN_ORDER_OF)
)
_PLACES: Final = (SINKS.c.place_epoch, SINKS.c.place_transaction, SINKS.c.place_position)
_SLOWEST_SINK: Final = (
    select(*_PLACES).where(SINKS.c.status != SinkStatus.REMOVED.value).order_by(*_PLACES).limit(1)
)
# What is not there is not sent twice.
_FORGET_MAILS: Final = delete(MAILS).where(MAILS.c.event_id.in_(bindparam("these", expanding=True)))
_FORGET: Final = delete(EVENTS).where(EVENTS.c.position.in_(bindparam("these", expanding=True)))


@on_both
def _first_state(insert_into: Inserting) -> Insert:
    """Nobody has said anything of it yet."""
    state = insert_into(OUTBOX_STATE).values(
        id=EVENTS_STATE,
        epoch=0,
        forgotten_epoch=0,
        forgotten_transaction=0,
        forgotten_position=0,
    )
    return state.on_conflict_do_nothing(index_elements=["id"])
