"""Saved methods: their steps, the questions behind GET, and which one is the default."""

from typing import Any, Final

from sqlalchemy import Row, Select, String, bindparam, literal, or_, select, tuple_, update
from sqlalchemy.orm import Session

from paysaga.database.columns import UtcDateTime
from paysaga.database.customers import hold, meet, name_customer
from paysaga.database.engine import Insert, Inserting, Sessions, on_both, reading
from paysaga.database.paging import cursor, place
from paysaga.database.steps import StepMissing
from paysaga.database.tables import PAYMENT_METHODS
from paysaga.domain.intent import MethodFacts
from paysaga.domain.message import Message
from paysaga.domain.saved_method import SavedMethod, SavedMethodStatus

_FACTS: Final = tuple(MethodFacts.model_fields)
_TOLD_APART: Final = frozenset({"facts", "decline", "gateway_method_id"})


class AlreadySaved(Exception):
    """Another of our methods is this one of the gateway's already: it is named."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


class MethodPage(Message):
    """Some methods, newest first, and where the next page begins (None after the last)."""

    methods: tuple[SavedMethod, ...]
    next: str | None = None


class SavedMethods:
    """Reads saved methods, and keeps which one is a customer's default."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def method(self, method_id: str) -> SavedMethod | None:
        """The method as it stands; `None` if there is none of this id."""
        return await self._first(_METHOD, method_id)

    async def saved_as(self, gateway_method_id: str) -> SavedMethod | None:
        """The active method that is this one of the gateway's."""
        return await self._first(_SAVED_AS, gateway_method_id)

    async def of_gateway(self, gateway_id: str) -> SavedMethod | None:
        """The method that this SetupIntent or payment method of the gateway belongs to."""
        return await self._first(_OF_GATEWAY, gateway_id)

    async def methods(
        self,
        *,
        customer_id: str | None,
        status: SavedMethodStatus,
        after: str | None = None,
        limit: int = 20,
    ) -> MethodPage:
        """A page of methods, newest first. New ones do not shift the pages that follow.

        Raises:
            WrongCursor: `after` is not the `next` of an earlier page.
        """
        wanted = _NEWEST_FIRST.where(PAYMENT_METHODS.c.status == status)
        if customer_id is not None:
            wanted = wanted.where(PAYMENT_METHODS.c.customer_id == customer_id)
        if after is not None:
            at, method_id = place(after)
            shown = tuple_(literal(at, UtcDateTime), literal(method_id))
            wanted = wanted.where(
                tuple_(PAYMENT_METHODS.c.created_at, PAYMENT_METHODS.c.id) < shown
            )
        async with reading(self._sessions) as session:
            rows = (await session.execute(wanted.limit(limit + 1))).all()
        methods = tuple(saved_method(row) for row in rows[:limit])
        more = len(rows) > limit
        return MethodPage(
            methods=methods, next=cursor(methods[-1].created_at, methods[-1].id) if more else None
        )

    async def make_default(self, method: SavedMethod) -> SavedMethod:
        """Have it be its customer's default, instead of any other, if it is still active."""
        async with self._sessions.begin() as session:
            return await session.run_sync(_make_default, method)

    async def _first(self, question: Select[Any], this: str) -> SavedMethod | None:
        async with reading(self._sessions) as session:
            row = (await session.execute(question, {"this": this})).first()
        return saved_method(row) if row is not None else None


def write(session: Session, step: SavedMethod) -> SavedMethod:
    """Take the method's next step, unless it, or another of that number, was taken before.

    Answers with how the method stands then.

    Raises:
        AlreadySaved: It would become active beside another that is the same at the gateway.
        StepMissing: A step is missing before this one.
    """
    if step.version == 1:
        meet(session, step.customer_id, step.created_at)
        name_customer(session, step.customer_id, step.gateway_customer_id, None)
        session.execute(_begin(session), _columns(step))
    else:
        hold(session, step.customer_id)
        before = session.execute(_STANDING, {"this": step.id}).one_or_none()
        if before is None or before.version < step.version - 1:
            raise StepMissing(f"{step.id} cannot go on with step {step.version}")
        if before.version == step.version - 1:
            _move(session, step, before)
    return saved_method(session.execute(_METHOD, {"this": step.id}).one())


def saved_method(row: Row[Any]) -> SavedMethod:
    """The method as its row has it."""
    columns = row._asdict()
    decline = {part: columns[f"decline_{part}"] for part in ("code", "kind", "message")}
    facts = {fact: columns[fact] for fact in _FACTS}
    return SavedMethod.model_validate(
        {
            **columns,
            "gateway_method_id": columns["gateway_payment_method_id"],
            "decline": decline if decline["code"] is not None else None,
            "facts": facts if facts["kind"] is not None else None,
        }
    )


def _columns(method: SavedMethod) -> dict[str, Any]:
    decline, facts = method.decline, method.facts
    return {
        **{field: value for field, value in method if field not in _TOLD_APART},
        "gateway_payment_method_id": method.gateway_method_id,
        "decline_code": decline and decline.code,
        "decline_kind": decline and decline.kind,
        "decline_message": decline and decline.message,
        **{fact: facts and getattr(facts, fact) for fact in _FACTS},
    }


def _move(session: Session, step: SavedMethod, before: Row[*tuple[Any, ...]]) -> None:
    if step.gateway_customer_id != before.gateway_customer_id:
        name_customer(
            session, step.customer_id, step.gateway_customer_id, before.gateway_customer_id
        )
    columns = _columns(step)
    del columns["is_default"]  # no part of a step: it may have changed meanwhile
    if step.status is SavedMethodStatus.ACTIVE != before.status:
        _make_room(session, step, is_default=before.is_default)
    elif step.status in {SavedMethodStatus.FAILED, SavedMethodStatus.REMOVED}:
        columns["is_default"] = False
    session.execute(_THIS.values(columns), {"this": step.id})


def _make_room(session: Session, step: SavedMethod, *, is_default: bool) -> None:
    """Before it becomes active: it is not there already, and there is one default."""
    holder = session.execute(_SAVED_AS, {"this": step.gateway_method_id}).one_or_none()
    if holder is not None:
        raise AlreadySaved(holder.id)
    if is_default:
        session.execute(_NO_DEFAULT, {"this": step.customer_id})


def _make_default(session: Session, method: SavedMethod) -> SavedMethod:
    hold(session, method.customer_id)
    now = saved_method(session.execute(_METHOD, {"this": method.id}).one())
    if now.status is not SavedMethodStatus.ACTIVE or now.is_default:
        return now
    session.execute(_NO_DEFAULT, {"this": method.customer_id})
    session.execute(_THIS.values(is_default=True), {"this": method.id})
    return now.model_copy(update={"is_default": True})


_ACTIVE: Final = PAYMENT_METHODS.c.status == SavedMethodStatus.ACTIVE.value
_IT: Final = bindparam("this", type_=String())
_METHOD: Final = select(PAYMENT_METHODS).where(PAYMENT_METHODS.c.id == _IT)
_SAVED_AS: Final = select(PAYMENT_METHODS).where(
    _ACTIVE, PAYMENT_METHODS.c.gateway_payment_method_id == _IT
)
_NEWEST_FIRST: Final = select(PAYMENT_METHODS).order_by(
    PAYMENT_METHODS.c.created_at.desc(), PAYMENT_METHODS.c.id.desc()
)
# A token may have been tried more than once: the one that is active, or else the newest.
_OF_GATEWAY: Final = (
    select(PAYMENT_METHODS)
    .where(
        or_(
            PAYMENT_METHODS.c.setup_intent_id == _IT,
            PAYMENT_METHODS.c.gateway_payment_method_id == _IT,
        )
    )
    .order_by(_ACTIVE.desc(), PAYMENT_METHODS.c.created_at.desc())
    .limit(1)
)
_STANDING: Final = (
    select(
        PAYMENT_METHODS.c.version,
        PAYMENT_METHODS.c.status,
        PAYMENT_METHODS.c.is_default,
        PAYMENT_METHODS.c.gateway_customer_id,
    )
    .where(PAYMENT_METHODS.c.id == _IT)
    .with_for_update(key_share=True)
)
_THIS: Final = update(PAYMENT_METHODS).where(PAYMENT_METHODS.c.id == _IT)
_NO_DEFAULT: Final = (
    update(PAYMENT_METHODS)
    .where(PAYMENT_METHODS.c.customer_id == _IT, _ACTIVE, PAYMENT_METHODS.c.is_default)
    .values(is_default=False)
)


@on_both
def _begin(insert_into: Inserting) -> Insert:
    return insert_into(PAYMENT_METHODS).on_conflict_do_nothing(index_elements=["id"])
