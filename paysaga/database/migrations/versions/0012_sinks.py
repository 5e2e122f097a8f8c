"""Sinks: where events go. Events may be deleted after a while, and know whose server wrote them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from alembic import op

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_HERE: Final = Path(__file__).parent
_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "sqlite": {"{moment}": "DATETIME", "{document}": "JSON"},
    "postgresql": {"{moment}": "TIMESTAMP WITH TIME ZONE", "{document}": "JSONB"},
}
_DOWN: Final = (
    "DROP INDEX events_by_epoch_transaction_id_position",
    "ALTER TABLE events DROP COLUMN epoch",
    "CREATE INDEX events_by_transaction_id_position ON events (transaction_id, position)",
    "DROP TABLE dead_letters",
    "DROP TABLE sink_lanes",
    "DROP TABLE sink_requests",
    "DROP TABLE sinks",
    "DROP TABLE outbox_state",
)
# As the first revision had it: no event is ever deleted.
_DOWN_AT_FIRST: Final[Mapping[str, Sequence[str]]] = {
    "sqlite": ("DROP TRIGGER events_last_is_kept", "DROP TRIGGER events_are_kept"),
    "postgresql": (
        "DROP TRIGGER events_last_is_kept ON events",
        "DROP FUNCTION paysaga_keep_last_event",
        "DROP TRIGGER events_are_kept ON events",
        "DROP TRIGGER events_append_only ON events",
        "ALTER TABLE events ALTER COLUMN epoch SET DEFAULT 0",
        "DROP FUNCTION paysaga_outbox_epoch",
    ),
}
_DELETES_NOTHING: Final = {
    "sqlite": " events_not_deleted ",
    "postgresql": "TRIGGER events_append_only",
}


def upgrade() -> None:
    """Make the tables, and let old events go."""
    dialect = op.get_bind().dialect.name
    for statement in (*_statements("0012_sinks"), *_statements(f"0012_{dialect}")):
        for word, meant in _WORDS[dialect].items():
            statement = statement.replace(word, meant)  # noqa: PLW2901 - word by word
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Forget the sinks, and keep every event for ever."""
    dialect = op.get_bind().dialect.name
    again = _DELETES_NOTHING[dialect]
    kept = [part for part in _statements(f"0001_triggers_{dialect}") if again in part]
    for statement in (*_DOWN_AT_FIRST[dialect], *_DOWN, *kept):
        op.get_bind().exec_driver_sql(statement)


def _statements(file: str) -> Iterator[str]:
    """The file's statements: a blank line stands between two."""
    yield from (_HERE / f"{file}.sql").read_text("utf-8").strip().split("\n\n")
