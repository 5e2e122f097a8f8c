"""Migrate the database of `DATABASE_URL`: `python -m paysaga.database upgrade`."""

import argparse
import asyncio
import sys

from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError

from paysaga.database.engine import create_engine, sessions
from paysaga.database.migrations import check, current, downgrade, migrate
from paysaga.database.outbox_keeping import OutboxKeeping
from paysaga.settings import WrongSettings, load_settings


def main(arguments: list[str] | None = None) -> None:
    """Do as told. What went wrong is one sentence and a non-zero exit."""
    parser = argparse.ArgumentParser(prog="python -m paysaga.database", description=__doc__)
    parser.add_argument("step", choices=["upgrade", "downgrade", "check", "current"])
    parser.add_argument("revision", nargs="?", help="head to upgrade to, base to downgrade to")
    asked = parser.parse_args(arguments)
    try:
        url = load_settings().database_url
        asyncio.run(_run(asked.step, url, asked.revision))
    except (CommandError, WrongSettings, OSError, ValueError) as error:
        sys.exit(str(error))
    except DBAPIError as error:
        sys.exit(f"the database of DATABASE_URL: {error.orig}")


async def _run(step: str, url: str, revision: str | None) -> None:
    match step:
        case "upgrade":
            await migrate(url, revision or "head")
            if revision is None:
                await _know_server(url)
        case "downgrade":
            await downgrade(url, revision or "base")
        case "check":
            await check(url)
        case _:
            print(await current(url) or "base")  # noqa: T201 - the answer


async def _know_server(url: str) -> None:
    """A dump that was restored elsewhere is met here, before anybody writes to it."""
    engine = create_engine(url)
    try:
        await OutboxKeeping(sessions(engine)).know_server()
    finally:
        await engine.dispose()


if __name__ == "__main__":
    main()
