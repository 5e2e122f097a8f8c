import asyncio
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncEngine

from paysaga.database.engine import create_engine, database_address, reading, sessions
from paysaga.database.tables import CUSTOMERS
from tests.database.databases import Databases
from tests.database.payments import NOON


class TestAddress:
    @pytest.mark.parametrize(
        ("given", "driver"),
        [
            ("sqlite:///paysaga.db", "sqlite+aiosqlite"),
            ("sqlite+aiosqlite:///paysaga.db", "sqlite+aiosqlite"),
            ("postgresql://me:secret@db/paysaga", "postgresql+asyncpg"),
            ("postgres://me:secret@db/paysaga", "postgresql+asyncpg"),
            ("postgresql+asyncpg://me:secret@db/paysaga", "postgresql+asyncpg"),
        ],
    )
    def test_every_usual_spelling_is_understood(self, given: str, driver: str) -> None:
        """
        A URL from a hosting provider works as it is.
        """
        assert driver == database_address(given).drivername

    @pytest.mark.parametrize("given", ["", "paysaga.db", "mysql://me:secret@db/paysaga"])
    def test_another_database_is_refused(self, given: str) -> None:
        """
        The sentence names the variable and does not repeat the password.
        """
        with pytest.raises(ValueError, match="DATABASE_URL must be") as refusal:
            database_address(given)

        assert "secret" not in str(refusal.value)


class TestSqlite:
    @pytest.mark.parametrize(
        ("pragma", "value"),
        [
            ("journal_mode", "wal"),
            ("synchronous", 2),
            ("foreign_keys", 1),
            ("recursive_triggers", 1),
            ("busy_timeout", 10_000),
        ],
    )
    async def test_it_is_as_careful_as_postgresql(
        self, databases: Databases, pragma: str, value: object
    ) -> None:
        """
        Committed is on the disk, foreign keys hold, and a busy file is waited for.
        """
        engine = create_engine(await databases.migrated("sqlite"))
        async with engine.connect() as connection:
            told = await connection.scalar(text(f"PRAGMA {pragma}"))
        await engine.dispose()

        assert value == told

    async def test_writers_queue_and_do_not_deadlock(self, databases: Databases) -> None:
        """
        Two that read before they write would each wait for the other: here the second one waits.
        """
        engine = create_engine(await databases.migrated("sqlite"))
        opened = sessions(engine)

        async def count_up(number: int) -> None:
            async with opened.begin() as session:
                await session.execute(select(CUSTOMERS.c.id))
                await session.execute(
                    insert(CUSTOMERS), {"id": f"cst_{number}", "created_at": NOON}
                )

        await asyncio.gather(*(count_up(number) for number in range(12)))

        async with reading(opened) as session:
            counted = (await session.execute(text("SELECT count(*) FROM customers"))).scalar_one()
        await engine.dispose()
        assert 12 == counted


class TestMoments:
    async def test_a_moment_without_zone_is_refused(self, engine: AsyncEngine) -> None:
        """
        Nobody knows when noon was without knowing where.
        """
        naive = NOON.replace(tzinfo=None)

        with pytest.raises(StatementError, match="needs its time zone"):
            async with engine.begin() as connection:
                await connection.execute(insert(CUSTOMERS), {"id": "cst_1", "created_at": naive})

    async def test_a_moment_of_any_zone_is_the_same_moment(self, engine: AsyncEngine) -> None:
        """
        What was written in one zone is read in UTC.
        """
        there = datetime(2026, 11, 21, 17, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
        async with engine.begin() as connection:
            await connection.execute(insert(CUSTOMERS), {"id": "cst_1", "created_at": there})

        async with engine.connect() as connection:
            read = await connection.scalar(select(CUSTOMERS.c.created_at))

        assert "2026-11-21T12:00:00+00:00" == (read and read.isoformat())


class TestLostConnection:
    async def test_a_dead_connection_is_replaced(self, databases: Databases) -> None:
        """
        After a restart of PostgreSQL the pool's old connections fail nobody.
        """
        url = await databases.migrated("postgresql")
        engine, other = create_engine(url), create_engine(url)
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
        async with other.connect() as connection:
            await connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )

        async with engine.connect() as connection:
            answer = await connection.scalar(text("SELECT 1"))

        await engine.dispose()
        await other.dispose()
        assert 1 == answer
