"""Payments with their attempts, history, ledger and events; customers, methods and the inbox."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_HERE: Final = Path(__file__).parent
_TYPES: Final[Mapping[str, Mapping[str, str]]] = {
    "sqlite": {
        "moment": "DATETIME",
        "document": "JSON",
        "bytes": "BLOB",
        "numbered": "INTEGER",
        "unprocessed": "processed = 0",
    },
    "postgresql": {
        "moment": "TIMESTAMP WITH TIME ZONE",
        "document": "JSONB",
        "bytes": "BYTEA",
        "numbered": "BIGSERIAL",
        "unprocessed": "NOT processed",
    },
}
_TABLES: Final = (
    "customers",
    "payment_methods",
    "payments",
    "payment_attempts",
    "payment_status_history",
    "ledger_transfers",
    "events",
    "webhook_events",
)
_FUNCTIONS: Final = ("paysaga_refuse", "paysaga_follow_in_history", "paysaga_follow_in_events")


def upgrade() -> None:
    """Create everything."""
    connection = op.get_bind()
    dialect = connection.dialect.name
    for statement in _statements("0001_payments.sql"):
        connection.exec_driver_sql(statement.format_map(_TYPES[dialect]))
    for statement in _statements(f"0001_triggers_{dialect}.sql"):
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    """Leave nothing behind. The triggers go with their tables."""
    connection = op.get_bind()
    for table in reversed(_TABLES):
        op.drop_table(table)
    if connection.dialect.name == "postgresql":
        for function in _FUNCTIONS:
            connection.exec_driver_sql(f"DROP FUNCTION {function}()")


def _statements(file: str) -> Iterator[str]:
    """The file's statements: a blank line stands between two."""
    yield from (_HERE / file).read_text("utf-8").strip().split("\n\n")
