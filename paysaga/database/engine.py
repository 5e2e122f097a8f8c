"""The way to the database: one engine for each process, the same promises on both databases."""

import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection, Table, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session

T = TypeVar("T")
Sessions = async_sessionmaker[AsyncSession]
Insert = sqlite.Insert | postgresql.Insert
Inserting = Callable[[Table], Insert]

_DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
}
_BUSY_SECONDS: Final = 10
_PRAGMAS: Final = (
    # What was committed survives a power cut, not only a crash.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    # Without it INSERT OR REPLACE would delete a row past the append-only triggers.
    "PRAGMA recursive_triggers = ON",
)
_POSTGRES_SETTINGS: Final = {
    "application_name": "paysaga",
    "timezone": "UTC",
    "lock_timeout": "5s",
    # A worker that is stopped in mid-transaction must not keep its locks.
    "idle_in_transaction_session_timeout": "15s",
}
_READING: Final = "paysaga_reading"


def create_engine(database_url: str) -> AsyncEngine:
    """Connect to `sqlite:///…` (a file) or `postgresql://…`; the async drivers are understood."""
    url = database_address(database_url)
    if url.get_backend_name() == "sqlite":
        return _sqlite(url)
    return create_async_engine(
        url,
        hide_parameters=True,
        pool_size=10,
        max_overflow=10,
        pool_timeout=10,
        pool_recycle=1800,
        pool_pre_ping=True,
        connect_args={
            "timeout": 10,
            "command_timeout": 15,
            "server_settings": _POSTGRES_SETTINGS,
        },
    )


def database_address(database_url: str) -> URL:
    """The URL with the driver that we use.

    Raises:
        ValueError: This is neither SQLite nor PostgreSQL.
    """
    try:
        url = make_url(database_url)
        return url.set(drivername=_DRIVERS[url.get_backend_name()])
    except (KeyError, ArgumentError):
        # The URL may hold a password: it is not repeated.
        raise ValueError("DATABASE_URL must be sqlite:///… or postgresql://…") from None


def sessions(engine: AsyncEngine) -> Sessions:
    """Sessions of this engine. One that begins without `reading` may write."""
    return async_sessionmaker(engine, expire_on_commit=False)


@asynccontextmanager
async def reading(sessions: Sessions) -> AsyncIterator[AsyncSession]:
    """A session for single questions: outside of a transaction, so it makes no writer wait."""
    async with sessions() as session:
        options: dict[str, Any] = {_READING: True}
        if session.get_bind().dialect.name != "sqlite":
            options["isolation_level"] = "AUTOCOMMIT"
        await session.connection(execution_options=options)
        yield session


def on_both(build: Callable[[Inserting], T]) -> Callable[[Session | AsyncSession], T]:
    """Build an INSERT that says what to do `ON CONFLICT` in either dialect, and choose by session.

    Statements are built once: building costs more than running.
    """
    built = {"sqlite": build(sqlite.insert), "postgresql": build(postgresql.insert)}

    def chosen(session: Session | AsyncSession) -> T:
        return built[session.get_bind().dialect.name]

    return chosen


def _sqlite(url: URL) -> AsyncEngine:
    engine = create_async_engine(
        url,
        hide_parameters=True,
        pool_size=8,
        max_overflow=0,
        # The driver must not begin transactions of its own accord: `_begin` does.
        connect_args={"timeout": _BUSY_SECONDS, "isolation_level": None},
    )
    event.listen(engine.sync_engine, "connect", _configure)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _configure(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    _into_wal(cursor)
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    """Take the write lock at once: two readers that both come to write would wait for ever."""
    if not connection.get_execution_options().get(_READING):
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _into_wal(cursor: Any) -> None:
    """Let readers and one writer work at the same time.

    The first connection changes the file for good, and SQLite does not wait for the lock that
    this takes: processes that start together would fail.
    """
    give_up = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.01)
        else:
            return
