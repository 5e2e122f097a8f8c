import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.util import CommandError
from sqlalchemy import Connection, Inspector, inspect, text
from sqlalchemy.engine.interfaces import ReflectedForeignKeyConstraint, ReflectedIndex

from paysaga.database import migrations
from paysaga.database.__main__ import main
from paysaga.database.columns import Row
from paysaga.database.engine import create_engine
from paysaga.database.migrations import check, current, downgrade, migrate
from paysaga.database.tables import PAYMENTS
from tests.database.databases import KINDS, Databases

HEAD = max(path.name[:4] for path in Path(migrations.__path__[0]).glob("versions/0*.py"))


async def _seen(url: str, look: Callable[[Connection], Any]) -> Any:
    engine = create_engine(url)
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(look)
    finally:
        await engine.dispose()


def _rules(connection: Connection) -> dict[str, object]:
    """Everything that a database says of its tables, but for the triggers."""
    seen: Inspector = inspect(connection)
    return {
        table: (
            {
                str(rule["name"]): _plain(rule["sqltext"])
                for rule in seen.get_check_constraints(table)
            },
            sorted(str(rule) for rule in seen.get_unique_constraints(table)),
            sorted(
                _foreign_key(rule, connection.dialect.name) for rule in seen.get_foreign_keys(table)
            ),
            sorted(_index(rule) for rule in seen.get_indexes(table)),
            str(seen.get_pk_constraint(table)),
            {
                column["name"]: (str(column["type"]), column["nullable"])
                for column in seen.get_columns(table)
            },
        )
        for table in seen.get_table_names()
        if table != "alembic_version"
    }


def _foreign_key(rule: ReflectedForeignKeyConstraint, dialect: str) -> str:
    """SQLite has no name for one: what is read there comes from the words of CREATE TABLE alone."""
    return str({**rule, "name": rule["name"] if dialect == "postgresql" else None})


def _index(rule: ReflectedIndex) -> str:
    where = {name: str(option) for name, option in rule.get("dialect_options", {}).items()}
    return str({**rule, "dialect_options": where})


def _plain(sql: str) -> str:
    return "".join(sql.split()).lower()


_OURS = {
    "sqlite": "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'",
    "postgresql": """
        SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
        UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        UNION ALL SELECT tgname FROM pg_trigger WHERE NOT tgisinternal
    """,
}


def _everything(connection: Connection) -> set[str]:
    return set(connection.scalars(text(_OURS[connection.dialect.name])))


class TestMigrations:
    async def test_they_make_the_tables_of_the_code(self, database_url: str) -> None:
        """
        Alembic finds nothing that a revision still has to do.
        """
        await check(database_url)

        assert HEAD == await current(database_url)

    @pytest.mark.parametrize("kind", KINDS)
    async def test_they_make_the_rules_of_the_code(self, databases: Databases, kind: str) -> None:
        """
        Not only columns agree: each CHECK, key, index and foreign key is word for word the same.
        """
        created = await databases.empty(kind)
        await _seen(created, Row.metadata.create_all)

        declared = await _seen(created, _rules)
        migrated = await _seen(await databases.migrated(kind), _rules)

        assert declared == migrated

    async def test_they_are_noticed_when_missing(self, database_url: str) -> None:
        """
        A column that no revision knows of fails the check.
        """
        drop = text("ALTER TABLE customers DROP COLUMN created_at")
        await _seen(database_url, lambda connection: connection.execute(drop))

        with pytest.raises(CommandError, match="created_at"):
            await check(database_url)

    async def test_a_repeat_changes_nothing(self, database_url: str) -> None:
        """
        Every start of every process may migrate.
        """
        before = await _seen(database_url, _everything)

        await migrate(database_url)

        assert before == await _seen(database_url, _everything)

    async def test_the_way_down_leaves_nothing_behind(self, empty_database_url: str) -> None:
        """
        Down and up again is as new; below the first revision only Alembic's own table is left.
        """
        await migrate(empty_database_url)
        made = await _seen(empty_database_url, _everything)

        await downgrade(empty_database_url)
        left = await _seen(empty_database_url, _everything)
        await migrate(empty_database_url)

        assert {name for name in left if not name.startswith("alembic_version")} == set()
        assert made == await _seen(empty_database_url, _everything)

    async def test_processes_that_start_together_migrate_once(
        self, empty_database_url: str
    ) -> None:
        """
        API and workers may all start at once on an empty database.
        """
        await asyncio.gather(*(migrate(empty_database_url) for _ in range(4)))

        assert HEAD == await current(empty_database_url)

    async def test_a_missing_directory_is_made(self, tmp_path: Path) -> None:
        """
        The default database needs no preparation.
        """
        url = f"sqlite:///{tmp_path}/not/there/paysaga.db"

        await migrate(url)

        assert HEAD == await current(url)


class TestCommand:
    @pytest.fixture
    def file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        file = tmp_path / "paysaga.db"
        monkeypatch.setenv("DATABASE_URL", f"sqlite:///{file}")
        return file

    async def test_it_goes_up_and_down(
        self, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """
        `python -m paysaga.database` is all that a deployment needs.
        """
        for step in ("upgrade", "check", "current", "downgrade", "current"):
            await asyncio.to_thread(main, [step])

        assert [HEAD, "base"] == capsys.readouterr().out.split()[-2:]

    @pytest.mark.parametrize(
        ("url", "sentence"),
        [
            ("sqlite:////not/there/paysaga.db", "it has no directory"),
            ("mysql://localhost/paysaga", "must be sqlite"),
        ],
    )
    async def test_what_is_wrong_is_one_sentence(
        self, monkeypatch: pytest.MonkeyPatch, url: str, sentence: str
    ) -> None:
        """
        A wrong DATABASE_URL is told without a traceback.
        """
        monkeypatch.setenv("DATABASE_URL", url)

        with pytest.raises(SystemExit, match=sentence):
            await asyncio.to_thread(main, ["current"])


def test_the_tables_are_found() -> None:
    """
    The metadata that is compared is not empty.
    """
    assert PAYMENTS.name in Row.metadata.tables
