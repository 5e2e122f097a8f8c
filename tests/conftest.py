"""What tests of several rooms are given: databases of their own, and a line to the broker."""

import os
from collections.abc import AsyncIterator

import pytest
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from paysaga.database.engine import Sessions, create_engine, sessions
from tests.database.databases import KINDS, Databases
from tests.rabbit import Line, Rabbit, a_line, an_inspector

# A traceback with all its variables takes seconds to draw, in which nobody else is served.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


@pytest.fixture(scope="session")
async def databases(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Databases]:
    """Makes databases, and drops them at the end."""
    made = Databases(tmp_path_factory.mktemp("databases"), os.environ.get("TEST_POSTGRES_URL"))
    yield made
    await made.drop()


@pytest.fixture(params=KINDS)
async def empty_database_url(request: pytest.FixtureRequest, databases: Databases) -> str:
    """A database without a table."""
    return await databases.empty(request.param)


@pytest.fixture(params=KINDS)
async def database_url(request: pytest.FixtureRequest, databases: Databases) -> str:
    """A migrated database of this test's own."""
    return await databases.migrated(request.param)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """The engine of a migrated database."""
    made = create_engine(database_url)
    yield made
    await made.dispose()


@pytest.fixture
def opened(engine: AsyncEngine) -> Sessions:
    """Sessions on a migrated database."""
    return sessions(engine)


@pytest.fixture
async def rabbit() -> AsyncIterator[Rabbit]:
    """The real broker, where everything that the test makes has a name of its own."""
    async with an_inspector() as made:
        yield made


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    """A line to the broker that can be cut and mended."""
    async with a_line() as made:
        yield made
