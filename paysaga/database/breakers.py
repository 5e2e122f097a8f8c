"""Circuit breakers, which all workers share: one row for each other side."""

from typing import Any, Final

from sqlalchemy import bindparam, select, update

from paysaga.database.engine import Inserting, Sessions, on_both, reading
from paysaga.database.tables import BREAKERS
from paysaga.domain.breaker import Breaker

GATEWAY: Final = "gateway"


class Breakers:
    """Reads and moves breakers. Of two who move one at once only the first does."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def breaker(self, name: str) -> Breaker:
        """As it stands; closed if nobody has ever moved it."""
        async with reading(self._sessions) as session:
            row = (await session.execute(_BREAKER, {"this_id": name})).one_or_none()
        return Breaker.model_validate(row._asdict()) if row is not None else Breaker()

    async def move(self, name: str, after: Breaker) -> bool:
        """Whether it is the next version."""
        values = {**dict(after), "id": name}
        async with self._sessions.begin() as session:
            if after.version == 1:
                made: Any = await session.execute(_begin(session), values)
            else:
                where = {"this_id": name, "this_version": after.version - 1}
                made = await session.execute(_MOVE, {**values, **where})
        return bool(made.rowcount == 1)


@on_both
def _begin(insert_into: Inserting) -> Any:
    return insert_into(BREAKERS).on_conflict_do_nothing()


_BREAKER: Final = select(BREAKERS).where(BREAKERS.c.id == bindparam("this_id"))
_MOVE: Final = update(BREAKERS).where(
    BREAKERS.c.id == bindparam("this_id"), BREAKERS.c.version == bindparam("this_version")
)
