"""Blows to a running deployment: processes killed and frozen, the database taken away."""

import asyncio
import signal
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import make_url

from paysaga.demo.child import READY_SECONDS
from tests.chaos.customer import until
from tests.chaos.plan import Blow, Strike
from tests.chaos.stack import WORKERS, Stack

_KILLED: Final = {
    Blow.KILL_BOTH_WORKERS: WORKERS,
    Blow.KILL_API: ("API",),
    Blow.KILL_TEMPORAL: ("Temporal",),
    Blow.KILL_GATEWAY: ("simulator",),
    Blow.KILL_SHOP: ("shop",),
}
_PIECE: Final = 65_536


class Line:
    """The processes' line to PostgreSQL, which can be cut, or go silent."""

    def __init__(self, host: str, port: int) -> None:
        self._there = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._is_cut = False
        self._speaks = asyncio.Event()
        self._speaks.set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        """The port that leads to the database, while the context lasts."""
        server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        try:
            yield int(server.sockets[0].getsockname()[1])
        finally:
            server.close()
            self._cut()

    async def gone(self, stop: asyncio.Event, seconds: float) -> None:
        """Every connection is lost, some in mid-commit, and none can be made."""
        self._is_cut = True
        self._cut()
        await passing(stop, seconds)
        self._is_cut = False

    async def silent(self, stop: asyncio.Event, seconds: float) -> None:
        """Nothing is answered for a while; what was asked comes late."""
        self._speaks.clear()
        await passing(stop, seconds)
        self._speaks.set()

    def _cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        with suppress(OSError):
            there_reader, there_writer = await asyncio.open_connection(*self._there)
            both = {writer, there_writer}
            self._writers |= both
            await asyncio.gather(self._pass(reader, there_writer), self._pass(there_reader, writer))
            self._writers -= both

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(_PIECE):
                await self._speaks.wait()
                writer.write(piece)
                await writer.drain()
        writer.close()


class Locked:
    """SQLite has no line: somebody holds the file's write lock."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def gone(self, stop: asyncio.Event, seconds: float) -> None:
        """Nobody writes for a while."""
        with closing(
            sqlite3.connect(self._path, timeout=10, isolation_level=None, check_same_thread=False)
        ) as held:
            with suppress(sqlite3.OperationalError):
                await asyncio.to_thread(held.execute, "BEGIN IMMEDIATE")
            await passing(stop, seconds)
            if held.in_transaction:
                held.execute("ROLLBACK")

    async def silent(self, stop: asyncio.Event, seconds: float) -> None:
        """For longer than anybody waits for the lock."""
        await self.gone(stop, seconds + 6)


Database = Line | Locked


def line_to(database_url: str) -> Line:
    """A line to that PostgreSQL."""
    url = make_url(database_url)
    return Line(url.host or "127.0.0.1", url.port or 5432)


@dataclass
class Havoc:
    """Strikes until it is stopped, and then leaves everything running."""

    stack: Stack
    database: Database
    strikes: Iterator[Strike]
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    dealt: Counter[str] = field(default_factory=Counter)

    async def rage(self) -> None:
        """One blow after the other; those that last, last beside those that follow.

        Nobody is struck down again before they are up: on a slow machine they never would be.
        """
        async with asyncio.TaskGroup() as lasting:
            for strike in self.strikes:
                await passing(self.stop, strike.after)
                if self.stop.is_set():
                    return
                self.dealt[strike.blow] += 1
                if names := self._killed(strike):
                    await self._up(names)
                    for name in names:
                        self.stack.signal(name, signal.SIGKILL)
                else:
                    lasting.create_task(self._last(strike))

    async def _up(self, names: tuple[str, ...]) -> None:
        async def are_up() -> bool:
            return all(map(self.stack.supervisor.works, names))

        await until(are_up, READY_SECONDS)

    def _killed(self, strike: Strike) -> tuple[str, ...]:
        if strike.blow is Blow.KILL_WORKER:
            return (WORKERS[strike.victim],)
        return _KILLED.get(strike.blow, ())

    async def _last(self, strike: Strike) -> None:
        match strike.blow:
            case Blow.FREEZE_WORKER:
                await self._freeze(WORKERS[strike.victim], strike.seconds)
            case Blow.DATABASE_GONE:
                await self.database.gone(self.stop, strike.seconds)
            case _:
                await self.database.silent(self.stop, strike.seconds)

    async def _freeze(self, name: str, seconds: float) -> None:
        pid = self.stack.signal(name, signal.SIGSTOP)
        await passing(self.stop, seconds)
        if pid is not None and self.stack.pids.get(name) == pid:
            self.stack.signal(name, signal.SIGCONT)


async def passing(stop: asyncio.Event, seconds: float) -> None:
    """Let the time pass, unless it is all over before."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
