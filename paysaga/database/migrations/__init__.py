"""How a database gets from one release's tables to the next one's, and back."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from paysaga.database.engine import create_engine, database_address

_HERE: Final = str(Path(__file__).parent)
# Any number will do, as long as nobody else in this PostgreSQL database locks by it.
_LOCK: Final = 0x70617973616761


async def migrate(database_url: str, revision: str = "head") -> None:
    """Bring the database up to `revision`, in one transaction; a SQLite file is made if missing.

    Processes that start together wait for each other: the first one migrates.
    """
    url = database_address(database_url)
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    await _run(database_url, lambda config: command.upgrade(config, revision))


async def downgrade(database_url: str, revision: str = "base") -> None:
    """Bring the database back to `revision`. What only newer releases know is lost."""
    await _run(database_url, lambda config: command.downgrade(config, revision))


async def check(database_url: str) -> None:
    """Compare the database with the tables in the code.

    Raises:
        alembic.util.CommandError: They differ; the message says in what.
    """
    await _run(database_url, command.check)


async def current(database_url: str) -> str | None:
    """The revision that the database is at, None before the first."""
    async with _connected(database_url) as connection:
        return await connection.run_sync(
            lambda bound: MigrationContext.configure(bound).get_current_revision()
        )


async def _run(database_url: str, step: Callable[[Config], None]) -> None:
    def run(connection: Connection) -> None:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        config = Config()
        config.set_main_option("script_location", _HERE)
        config.attributes["connection"] = connection
        step(config)

    async with _connected(database_url) as connection:
        await connection.run_sync(run)


@asynccontextmanager
async def _connected(database_url: str) -> AsyncIterator[AsyncConnection]:
    url = database_address(database_url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").parent.is_dir():
        raise FileNotFoundError(f"{url.database} cannot be: it has no directory")
    engine = create_engine(database_url)
    try:
        async with engine.begin() as connection:
            yield connection
    finally:
        await engine.dispose()
