"""Databases for tests: each migrated one is a copy of one that was migrated once."""

import asyncio
import os
import shutil
from itertools import count
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from paysaga.database.migrations import migrate

KINDS: Final = ("sqlite", "postgresql")
DROPPED_AT_ONCE: Final = 10


class Databases:
    """Makes databases whose names no other process uses."""

    def __init__(self, directory: Path, postgres_url: str | None) -> None:
        self._directory = directory
        self._postgres_url = postgres_url
        self._numbers = count(1)
        self._templates: dict[str, str] = {}
        self._made: list[str] = []

    async def empty(self, kind: str) -> str:
        """The URL of a database without a table."""
        return await self._create(kind, None)

    async def migrated(self, kind: str) -> str:
        """The URL of a database at the newest revision."""
        if kind not in self._templates:
            template = await self.empty(kind)
            await migrate(template)
            self._templates[kind] = template
        return await self._create(kind, self._templates[kind])

    async def drop(self) -> None:
        """Leave nothing behind. The files go with their directory.

        For each the server writes all to its disk; for several at once it does so once.
        """
        room = asyncio.Semaphore(DROPPED_AT_ONCE)

        async def drop(name: str) -> None:
            async with room:
                await self._administer(f'DROP DATABASE "{name}" WITH (FORCE)')

        await asyncio.gather(*map(drop, self._made))

    async def _create(self, kind: str, template: str | None) -> str:
        name = f"paysaga_{os.getpid()}_{next(self._numbers)}"
        if kind == "sqlite":
            file = self._directory / f"{name}.db"
            if template is not None:
                shutil.copyfile(make_url(template).database or "", file)
            return f"sqlite:///{file}"
        like = f' TEMPLATE "{make_url(template).database}"' if template else ""
        await self._administer(f'CREATE DATABASE "{name}"{like}')
        self._made.append(name)
        url = make_url(self._postgres_url or "").set(database=name)
        return url.render_as_string(hide_password=False)

    async def _administer(self, statement: str) -> None:
        if self._postgres_url is None:
            missing = "TEST_POSTGRES_URL is not set: nothing was tried on PostgreSQL"
            if os.environ.get("CI") == "true":
                pytest.fail(missing)
            pytest.skip(missing)
        engine = create_async_engine(
            self._postgres_url, isolation_level="AUTOCOMMIT", poolclass=NullPool
        )
        async with engine.connect() as connection:
            await connection.execute(text(statement))
        await engine.dispose()
