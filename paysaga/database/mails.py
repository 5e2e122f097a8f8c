"""Keeps how far each mail has come: of several who would send it, one may."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, exists, select, update

from paysaga.database.engine import Inserting, Sessions, on_both, reading
from paysaga.database.tables import EVENTS, MAILS
from paysaga.domain.mails import NOT_SENT, KnownMail, MailRef, MailStatus

# A note that changes no status does not make a mail about the status superfluous.
_NO_CHANGE: Final = "%.updated"


class Mails:
    """The rows of mails, and what of the outbox decides about them."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def known(self, mail: MailRef) -> KnownMail | None:
        """How far it has come; `None` if nobody has looked at it."""
        async with reading(self._sessions) as session:
            row = (await session.execute(_MAIL, _key(mail))).one_or_none()
        return KnownMail.model_validate(row._asdict()) if row is not None else None

    async def begin(self, mail: MailRef, at: datetime) -> int | None:
        """Take it on: nobody else will. Answers with its number of tries; `None`: others have."""
        async with self._sessions.begin() as session:
            row = _row(mail, MailStatus.SENDING, "it is being handed over", at)
            begun = await session.execute(_begin(session), row)
            tries: int | None = begun.scalar_one_or_none()
        return tries

    async def end(
        self, mail: MailRef, tries: int, status: MailStatus, told: str, at: datetime
    ) -> None:
        """What came of this try. That it was sent counts also when it was thought to be unknown."""
        async with self._sessions.begin() as session:
            came_of_it = {"status": status, "told": told, "updated_at": at}
            await session.execute(_END, {**_key(mail), "this_tries": tries, **came_of_it})

    async def note(self, mail: MailRef, status: MailStatus, told: str, at: datetime) -> None:
        """Nothing was handed over, and this is why."""
        async with self._sessions.begin() as session:
            await session.execute(_note(session), _row(mail, status, told, at))

    async def before(self, object_id: str, sequence: int) -> dict[str, Any] | None:
        """The object as the event before this one had it."""
        async with reading(self._sessions) as session:
            found = await session.execute(
                _DATA, {"this_object": object_id, "this_sequence": sequence - 1}
            )
            data: dict[str, Any] | None = found.scalar_one_or_none()
        return data

    async def has_moved_on(self, object_id: str, sequence: int) -> bool:
        """Whether the object's status has changed since this event."""
        async with reading(self._sessions) as session:
            found = await session.execute(
                _LATER, {"this_object": object_id, "this_sequence": sequence}
            )
            return bool(found.scalar_one())


def _row(mail: MailRef, status: MailStatus, told: str, at: datetime) -> dict[str, Any]:
    return {**dict(mail), "status": status, "told": told, "created_at": at, "updated_at": at}


def _key(mail: MailRef) -> dict[str, Any]:
    return {
        "this_event": mail.event_id,
        "this_kind": mail.kind,
        "this_recipient": mail.recipient,
    }


_KEY: Final = ("event_id", "kind", "recipient")
_IS_THIS: Final = (
    MAILS.c.event_id == bindparam("this_event"),
    MAILS.c.kind == bindparam("this_kind"),
    MAILS.c.recipient == bindparam("this_recipient"),
)
_MAIL: Final = select(MAILS).where(*_IS_THIS)
_WAS_NOT_SENT: Final = MAILS.c.status.in_(sorted(NOT_SENT))
_END: Final = (
    update(MAILS)
    .where(
        *_IS_THIS,
        MAILS.c.tries == bindparam("this_tries"),
        MAILS.c.status.in_([MailStatus.SENDING.value, MailStatus.UNKNOWN.value]),
    )
    .values({name: bindparam(name) for name in ("status", "told", "updated_at")})
)
_DATA: Final = select(EVENTS.c.data).where(
    EVENTS.c.object_id == bindparam("this_object"),
    EVENTS.c.sequence == bindparam("this_sequence"),
)
_LATER: Final = select(
    exists().where(
        EVENTS.c.object_id == bindparam("this_object"),
        EVENTS.c.sequence > bindparam("this_sequence"),
        EVENTS.c.type.not_like(_NO_CHANGE),
    )
)


@on_both
def _begin(insert_into: Inserting) -> Any:
    mail = insert_into(MAILS).values(tries=1)
    taken = ("status", "told", "message_id", "updated_at")
    return mail.on_conflict_do_update(
        index_elements=_KEY,
        set_={"tries": MAILS.c.tries + 1, **{name: mail.excluded[name] for name in taken}},
        where=_WAS_NOT_SENT,
    ).returning(MAILS.c.tries)


@on_both
def _note(insert_into: Inserting) -> Any:
    mail = insert_into(MAILS).values(tries=1)
    told = ("status", "told", "updated_at")
    return mail.on_conflict_do_update(
        index_elements=_KEY,
        set_={name: mail.excluded[name] for name in told},
        where=_WAS_NOT_SENT,
    )
