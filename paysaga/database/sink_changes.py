"""Changes of sinks by people: made, paused, removed, replayed. Each is done once, by its key."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from pydantic import SecretStr
from sqlalchemy import bindparam, delete, exists, func, literal, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from paysaga.database.engine import Insert, Inserting, Sessions, on_both
from paysaga.database.outbox import IN_ORDER_OF, hold_kept
from paysaga.database.sinks import place_columns, sink_of
from paysaga.database.tables import DEAD_LETTERS, EVENTS, LANES, SINK_REQUESTS, SINKS
from paysaga.domain.outbox import Place, is_ahead
from paysaga.domain.sink import Sink, SinkReason, SinkStatus

_SECRETS: Final = ("secret", "previous_secret")


class Ahead(Exception):
    """The sink has not come that far: events in between would be passed over."""


class OtherRequest(Exception):
    """The key was used for another request."""


class Request(NamedTuple):
    """What a request is known by, and what it asks for."""

    key: str
    fingerprint: str


class SinkChanges:
    """Changes sinks. A batch that is under way meanwhile is not noted: it begins anew.

    In the same transaction stands that the sink's run is to hear of it.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def create(
        self, sink: Sink, request_fingerprint: str, *, is_whole: bool = False
    ) -> tuple[Sink, str]:
        """Write the sink, unless there is one of its id: as it stands, and who asked for it.

        Raises:
            Forgotten: It `is_whole`, and some events that follow its place may have been deleted.
        """
        columns = _columns(sink) | {
            "request_fingerprint": request_fingerprint,
            "rests": 0,
            "woken": 0,
            "is_untold": True,
        }
        async with self._sessions.begin() as session:
            if is_whole:
                await hold_kept(session, sink.place)
            await session.execute(_create(session), columns)
            row = (await session.execute(_SINK, {"this_id": sink.id})).one()
        return sink_of(row), row.request_fingerprint

    async def begin_again(self, sink: Sink) -> None:
        """Have a sink that was removed work as this one says, from its place on."""
        async with self._sessions.begin() as session:
            values = {**_columns(sink), **_CALM, **_ANEW}
            await session.execute(_BEGIN_AGAIN.values(values), {"this_id": sink.id})

    async def change(self, sink_id: str, changes: Mapping[str, Any], at: datetime) -> Sink | None:
        """Set these columns, unless it is removed; as it stands then. Its place is not one.

        What waits there is tried at once: whoever changes it has mended something.
        """
        async with self._sessions.begin() as session:
            row = (
                await session.execute(
                    _CHANGE.values({**_CALM, **changes, **_ANEW, "updated_at": at}).returning(
                        *SINKS.c
                    ),
                    {"this_id": sink_id},
                )
            ).one_or_none()
            if row is not None:
                await session.execute(_CALM_LANES, {"this_id": sink_id, "at": at})
        return sink_of(row) if row is not None else None

    async def remove(self, sink_id: str, at: datetime) -> Sink | None:
        """Be done with it. What waits there waits no longer."""
        removed = {
            "status": SinkStatus.REMOVED.value,
            "reason": SinkReason.REMOVED.value,
            "previous_secret": None,
            "previous_secret_until": None,
        }
        async with self._sessions.begin() as session:
            values = {**_CALM, **removed, **_ANEW, "updated_at": at}
            changed = _CHANGE.values(values).returning(*SINKS.c)
            row = (await session.execute(changed, {"this_id": sink_id})).one_or_none()
            for nothing in (_NO_LANES, _NO_DEAD_LETTERS, _NO_REQUESTS):
                await session.execute(nothing, {"this_id": sink_id})
        return sink_of(row) if row is not None else None

    async def roll_secret(
        self, sink_id: str, secret: SecretStr, request: Request, until: datetime, at: datetime
    ) -> Sink | None:
        """Sign with this secret from now on, and with the one before until then. A repeat does not.

        What waits there is tried at once, as after any change.

        Raises:
            OtherRequest: The key was used for something else.
        """
        async with self._sessions.begin() as session:
            held = (await session.execute(_HELD, {"this_id": sink_id})).one_or_none()
            if held is None or await _is_done(session, sink_id, request, at):
                return sink_of(held) if held is not None else None
            rolled = {
                "secret": secret.get_secret_value(),
                "previous_secret": held.secret,
                "previous_secret_until": until,
                "updated_at": at,
            }
            changed = _CHANGE.values({**_CALM, **rolled, **_ANEW}).returning(*SINKS.c)
            row = (await session.execute(changed, {"this_id": sink_id})).one()
            await session.execute(_CALM_LANES, {"this_id": sink_id, "at": at})
            return sink_of(row)

    async def replay(
        self,
        sink_id: str,
        to: Place | None,
        request: Request,
        at: datetime,
        *,
        is_whole: bool = False,
    ) -> Sink | None:
        """Go back to another place; without one, give every dead letter another chance.

        What waits, or was given up, from before that place stays as it is, and so does a dead
        letter whose event is not kept any more. A repeat does nothing.

        Raises:
            Ahead: The sink has not come that far.
            Forgotten: It `is_whole`, and some events that follow the place may have been deleted.
            OtherRequest: The key was used for something else.
        """
        async with self._sessions.begin() as session:
            held = (await session.execute(_HELD, {"this_id": sink_id})).one_or_none()
            if held is None or await _is_done(session, sink_id, request, at):
                return sink_of(held) if held is not None else None
            moved: dict[str, Any] = {}
            if to is None:
                await _revive(session, sink_id, at)
                await session.execute(_NO_DEAD_LETTERS.where(_IS_KEPT), {"this_id": sink_id})
            else:
                if is_ahead(to, sink_of(held).place):
                    raise Ahead
                if is_whole:
                    await hold_kept(session, to)
                await _forget_what_comes_again(session, sink_id, to)
                moved = place_columns(to)
            again = {**_CALM, **moved, **_ANEW, "updated_at": at}
            changed = _CHANGE.values(again).returning(*SINKS.c)
            return sink_of((await session.execute(changed, {"this_id": sink_id})).one())

    async def is_told(self, sink: Sink) -> None:
        """Its run has heard of it as it stands here. What was changed since, it has not."""
        told = {"this_id": sink.id, "this_turn": sink.turn}
        async with self._sessions.begin() as session:
            await session.execute(_TOLD, told)


def _columns(sink: Sink) -> dict[str, Any]:
    shown = {
        name: secret.get_secret_value()
        for name in _SECRETS
        if (secret := getattr(sink, name)) is not None
    }
    told = {name: value for name, value in sink if name not in {*_SECRETS, "place"}}
    return {**told, **shown, "types": list(sink.types), **place_columns(sink.place)}


async def _is_done(session: AsyncSession, sink_id: str, request: Request, at: datetime) -> bool:
    asked = {"sink_id": sink_id, **request._asdict(), "at": at}
    first = await session.execute(_note_request(session), asked)
    if first.one_or_none() is not None:
        return False
    known = await session.scalar(_REQUEST, {"this_id": sink_id, "this_key": request.key})
    if known != request.fingerprint:
        raise OtherRequest
    return True


async def _forget_what_comes_again(session: AsyncSession, sink_id: str, to: Place) -> None:
    """Lanes and dead letters whose events lie behind the place: they are met on the way.

    So is what comes after an object's last event, for which a lane may wait, too.
    """
    place = tuple_(literal(to.epoch), literal(to.transaction), literal(to.position))
    behind = tuple_(*IN_ORDER_OF) > place
    its_before = exists().where(
        EVENTS.c.object_id == LANES.c.object_id,
        EVENTS.c.sequence == LANES.c.sequence,
        tuple_(*IN_ORDER_OF) <= place,
    )
    await session.execute(_NO_LANES.where(~its_before), {"this_id": sink_id})
    its = exists().where(EVENTS.c.id == DEAD_LETTERS.c.event_id, behind)
    await session.execute(_NO_DEAD_LETTERS.where(its), {"this_id": sink_id})


async def _revive(session: AsyncSession, sink_id: str, at: datetime) -> None:
    """Each object goes on from its first dead letter, in the order of its events."""
    first = await session.execute(_FIRST_LETTERS, {"this_id": sink_id})
    lanes = [
        {
            "sink_id": sink_id,
            "object_id": row.object_id,
            "sequence": row.sequence,
            "failures": 0,
            "next_try_at": at,
        }
        for row in first
    ]
    if lanes:
        await session.execute(_revived(session), lanes)


_THIS: Final = SINKS.c.id == bindparam("this_id")
_BEGIN_AGAIN: Final = update(SINKS).where(_THIS, SINKS.c.status == SinkStatus.REMOVED.value)
_THERE: Final = SINKS.c.status != SinkStatus.REMOVED.value
_SINK: Final = select(SINKS).where(_THIS)
_HELD: Final = _SINK.where(_THERE).with_for_update()
_CHANGE: Final = update(SINKS).where(_THIS, _THERE)
# Whatever was wrong, it is tried at once.
_CALM: Final = {"failures": 0, "failing_since": None, "next_try_at": None}
# A batch that is under way notices, and the run is to hear of it.
_ANEW: Final[Mapping[str, Any]] = {"turn": SINKS.c.turn + 1, "is_untold": True}
_TOLD: Final = (
    update(SINKS).where(_THIS, SINKS.c.turn == bindparam("this_turn")).values(is_untold=False)
)
_NO_REQUESTS: Final = delete(SINK_REQUESTS).where(SINK_REQUESTS.c.sink_id == bindparam("this_id"))
_REQUEST: Final = select(SINK_REQUESTS.c.fingerprint).where(
    SINK_REQUESTS.c.sink_id == bindparam("this_id"), SINK_REQUESTS.c.key == bindparam("this_key")
)
_CALM_LANES: Final = (
    update(LANES)
    .where(LANES.c.sink_id == bindparam("this_id"))
    .values(
        failures=0,
        failing_since=None,
        next_try_at=bindparam("at", type_=LANES.c.next_try_at.type),
    )
)
_OF_SINK: Final = DEAD_LETTERS.c.sink_id == bindparam("this_id")
_NO_LANES: Final = delete(LANES).where(LANES.c.sink_id == bindparam("this_id"))
_NO_DEAD_LETTERS: Final = delete(DEAD_LETTERS).where(_OF_SINK)
_IS_KEPT: Final = exists().where(EVENTS.c.id == DEAD_LETTERS.c.event_id)
_FIRST_LETTERS: Final = (
    select(DEAD_LETTERS.c.object_id, func.min(DEAD_LETTERS.c.sequence).label("sequence"))
    .where(_OF_SINK, _IS_KEPT)
    .group_by(DEAD_LETTERS.c.object_id)
)


@on_both
def _create(insert_into: Inserting) -> Insert:
    return insert_into(SINKS).on_conflict_do_nothing(index_elements=["id"])


@on_both
def _note_request(insert_into: Inserting) -> Any:
    asked = insert_into(SINK_REQUESTS).on_conflict_do_nothing(index_elements=["sink_id", "key"])
    return asked.returning(SINK_REQUESTS.c.key)


@on_both
def _revived(insert_into: Inserting) -> Insert:
    """A lane that is there already goes back to the dead letter, which is before it."""
    lane = insert_into(LANES)
    again = ("sequence", "failures", "failing_since", "next_try_at")
    return lane.on_conflict_do_update(
        index_elements=["sink_id", "object_id"],
        set_={column: lane.excluded[column] for column in again},
    )
