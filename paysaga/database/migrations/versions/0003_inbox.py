"""The inbox tells whence an event came and whom it told; the sweep remembers how far it read."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_HERE: Final = Path(__file__).parent
_MOMENT: Final[Mapping[str, str]] = {"sqlite": "DATETIME", "postgresql": "TIMESTAMP WITH TIME ZONE"}
_TRIGGERS: Final = (
    "webhook_events_as_they_came",
    "webhook_events_stay_processed",
    "webhook_events_are_owed",
)


def upgrade() -> None:
    """Add columns, the sweep's table and the rules that only a trigger can hold."""
    connection = op.get_bind()
    dialect = connection.dialect.name
    for statement in _statements("0003_inbox.sql"):
        connection.exec_driver_sql(statement.format(moment=_MOMENT[dialect]))
    for statement in _statements(f"0003_triggers_{dialect}.sql"):
        connection.exec_driver_sql(statement)


def downgrade() -> None:
    """As it was before. The sweep's trigger goes with its table."""
    connection = op.get_bind()
    on_table = " ON webhook_events" if connection.dialect.name == "postgresql" else ""
    for trigger in _TRIGGERS:
        connection.exec_driver_sql(f"DROP TRIGGER {trigger}{on_table}")
    op.drop_table("event_sweeps")
    connection.exec_driver_sql("DROP INDEX webhook_events_by_received_at_id")
    connection.exec_driver_sql("ALTER TABLE webhook_events DROP COLUMN run_id")
    connection.exec_driver_sql("ALTER TABLE webhook_events DROP COLUMN source")


def _statements(file: str) -> Iterator[str]:
    """The file's statements: a blank line stands between two."""
    yield from (_HERE / file).read_text("utf-8").strip().split("\n\n")
