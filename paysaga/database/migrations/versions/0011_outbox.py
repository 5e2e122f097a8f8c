"""Which transaction wrote an event, so that readers miss none that is committed late."""

from collections.abc import Mapping, Sequence
from typing import Final

from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_UP: Final = (
    "ALTER TABLE events ADD COLUMN transaction_id BIGINT NOT NULL DEFAULT 0",
    "CREATE INDEX events_by_transaction_id_position ON events (transaction_id, position)",
    "CREATE INDEX events_by_created_at ON events (created_at)",
)
_DOWN: Final = (
    "DROP INDEX events_by_created_at",
    "DROP INDEX events_by_transaction_id_position",
    "ALTER TABLE events DROP COLUMN transaction_id",
)
# SQLite has one writer at a time: there the position is the order of commits.
_THEN: Final[Mapping[str, Sequence[str]]] = {
    "sqlite": (),
    "postgresql": (
        """ALTER TABLE events ALTER COLUMN transaction_id
            SET DEFAULT (pg_current_xact_id()::text::bigint)""",
    ),
}


def upgrade() -> None:
    """Add the column: what is there was committed long ago."""
    connection = op.get_bind()
    for statement in (*_UP, *_THEN[connection.dialect.name]):
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    """Forget who wrote what."""
    for statement in _DOWN:
        op.get_bind().exec_driver_sql(statement)
