from typing import Any, Final

import pytest
from sqlalchemy import Table, delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from paysaga.database.tables import (
    EVENT_SWEEPS,
    EVENTS,
    PAYMENTS,
    REFUND_POLICIES,
    STATUS_HISTORY,
    TRANSFERS,
    WEBHOOK_EVENTS,
)
from tests.database.rows import EARLIER, NOON, another, insert_good

APPEND_ONLY: Final = [STATUS_HISTORY, TRANSFERS, EVENTS, REFUND_POLICIES]


def _name(table: object) -> str | None:
    return table.name if isinstance(table, Table) else None


@pytest.fixture
async def written(engine: AsyncEngine) -> AsyncEngine:
    """A database with one good row in each table."""
    async with engine.begin() as connection:
        await insert_good(connection)
    return engine


class TestAppendOnly:
    @pytest.mark.parametrize("table", APPEND_ONLY, ids=_name)
    async def test_a_row_is_not_updated(self, written: AsyncEngine, table: Table) -> None:
        """
        What history, ledger and outbox say, they say for ever.
        """
        same = list(table.c)[-1]

        with pytest.raises(IntegrityError, match=f"{table.name}: rows are never changed"):
            async with written.begin() as connection:
                await connection.execute(update(table).values({same.name: same}))

    @pytest.mark.parametrize("table", APPEND_ONLY, ids=_name)
    async def test_a_row_is_not_deleted(self, written: AsyncEngine, table: Table) -> None:
        """
        Nothing is taken out of history and ledger, and of the outbox nothing that is young.
        """
        refusal = f"{table.name}: (rows are never changed|rows are kept|the last one)"
        with pytest.raises(IntegrityError, match=refusal):
            async with written.begin() as connection:
                await connection.execute(delete(table))

    @pytest.mark.parametrize("table", APPEND_ONLY, ids=_name)
    async def test_no_back_door_replaces_a_row(self, written: AsyncEngine, table: Table) -> None:
        """
        Neither TRUNCATE (PostgreSQL) nor INSERT OR REPLACE (SQLite) gets past the triggers.
        """
        back_door = {
            "sqlite": f"INSERT OR REPLACE INTO {table.name} SELECT * FROM {table.name}",
            "postgresql": f"TRUNCATE {table.name} CASCADE",
        }

        with pytest.raises(IntegrityError, match=r"rows are never changed|have no gap"):
            async with written.begin() as connection:
                await connection.execute(text(back_door[written.dialect.name]))

        async with written.connect() as connection:
            assert 1 == len((await connection.execute(select(table))).all())


class TestNumbers:
    @pytest.mark.parametrize("number", [0, 1, 3])
    async def test_history_has_no_gap(self, written: AsyncEngine, number: int) -> None:
        """
        After step 1 comes step 2, whatever the code thinks.
        """
        row = another(STATUS_HISTORY, number=number)

        with pytest.raises(IntegrityError, match="payment_status_history: numbers have no gap"):
            async with written.begin() as connection:
                await connection.execute(insert(STATUS_HISTORY), row)

    @pytest.mark.parametrize("sequence", [0, 1, 3])
    async def test_events_of_an_object_have_no_gap(
        self, written: AsyncEngine, sequence: int
    ) -> None:
        """
        A reader that misses a number knows that it missed an event.
        """
        row = another(EVENTS, sequence=sequence)

        with pytest.raises(IntegrityError, match="events: sequences have no gap"):
            async with written.begin() as connection:
                await connection.execute(insert(EVENTS), row)


class TestVersion:
    @pytest.mark.parametrize("columns", [{"version": 1}, {"version": 0}, {"reason": "declined"}])
    async def test_a_version_only_grows(
        self, written: AsyncEngine, columns: dict[str, Any]
    ) -> None:
        """
        A payment goes forward: no write without a new version, none of an old one.
        """
        with pytest.raises(IntegrityError, match="payments: the version only grows"):
            async with written.begin() as connection:
                await connection.execute(update(PAYMENTS).values(columns))

    async def test_the_next_version_is_taken(self, written: AsyncEngine) -> None:
        """
        The trigger stands in nobody's way.
        """
        async with written.begin() as connection:
            await connection.execute(update(PAYMENTS).values(version=2, reason="declined"))

        async with written.connect() as connection:
            assert 2 == await connection.scalar(select(PAYMENTS.c.version))


_DONE: Final[dict[str, Any]] = {"processed": True, "processed_at": NOON, "result": "kept"}


class TestInbox:
    @pytest.mark.parametrize("column", ["payload", "payload_sha256", "source", "received_at"])
    async def test_an_event_stays_as_it_came(self, written: AsyncEngine, column: str) -> None:
        """
        What was signed is there byte for byte as long as the row is.
        """
        same = WEBHOOK_EVENTS.c[column]

        with pytest.raises(IntegrityError, match="an event stays as it came"):
            async with written.begin() as connection:
                await connection.execute(update(WEBHOOK_EVENTS).values({column: same}))

    async def test_what_is_owed_is_not_deleted(self, written: AsyncEngine) -> None:
        """
        An event without its effect cannot be cleaned away; one that is done can.
        """
        with pytest.raises(IntegrityError, match="what is owed is not deleted"):
            async with written.begin() as connection:
                await connection.execute(delete(WEBHOOK_EVENTS))

        async with written.begin() as connection:
            await connection.execute(update(WEBHOOK_EVENTS).values(_DONE))
            await connection.execute(delete(WEBHOOK_EVENTS))

    async def test_what_is_processed_stays_so(self, written: AsyncEngine) -> None:
        """
        An effect cannot be taken back by forgetting it.
        """
        undone = {"processed": False, "processed_at": None, "result": None}
        async with written.begin() as connection:
            await connection.execute(update(WEBHOOK_EVENTS).values(_DONE))

        with pytest.raises(IntegrityError, match="what is processed stays so"):
            async with written.begin() as connection:
                await connection.execute(update(WEBHOOK_EVENTS).values(undone))

    async def test_a_sweep_does_not_go_back(self, written: AsyncEngine) -> None:
        """
        Of two sweeps the slower one does not undo what the other has done.
        """
        with pytest.raises(IntegrityError, match="a sweep does not go back"):
            async with written.begin() as connection:
                await connection.execute(update(EVENT_SWEEPS).values(since=EARLIER))
