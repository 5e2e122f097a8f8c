"""The terms that each payment's refund is under, the day that is paid for, and when it was paid."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from alembic import op

revision: str = "0014"
down_revision: str | None = "0013"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# A blank line stands between two.
_STATEMENTS: Final = Path(__file__).with_suffix(".sql")
_TYPES: Final[Mapping[str, Mapping[str, str]]] = {
    "sqlite": {"{moment}": "DATETIME", "{document}": "JSON"},
    "postgresql": {"{moment}": "TIMESTAMP WITH TIME ZONE", "{document}": "JSONB"},
}
_NEVER_CHANGED: Final[Mapping[str, Sequence[str]]] = {
    "sqlite": (
        """CREATE TRIGGER refund_policies_not_changed BEFORE UPDATE ON refund_policies
        BEGIN SELECT RAISE(ABORT, 'refund_policies: rows are never changed'); END""",
        """CREATE TRIGGER refund_policies_not_deleted BEFORE DELETE ON refund_policies
        BEGIN SELECT RAISE(ABORT, 'refund_policies: rows are never changed'); END""",
    ),
    "postgresql": (
        """CREATE TRIGGER refund_policies_append_only
        BEFORE UPDATE OR DELETE OR TRUNCATE ON refund_policies
        FOR EACH STATEMENT EXECUTE FUNCTION paysaga_refuse('rows are never changed')""",
    ),
}


def upgrade() -> None:
    """Make the table and the columns: of payments that are there none of this is known."""
    connection = op.get_bind()
    statements = _STATEMENTS.read_text("utf-8").strip()
    for placeholder, kind in _TYPES[connection.dialect.name].items():
        statements = statements.replace(placeholder, kind)
    for statement in statements.split("\n\n"):
        connection.exec_driver_sql(statement)
    for trigger in _NEVER_CHANGED[connection.dialect.name]:
        connection.exec_driver_sql(trigger)


def downgrade() -> None:
    """Forget the terms that payments were made under."""
    for statement in (
        "ALTER TABLE payments DROP COLUMN paid_at",
        "ALTER TABLE payments DROP COLUMN refund_policy_id",
        "ALTER TABLE payments DROP COLUMN service_date",
        "DROP TABLE refund_policies",
    ):
        op.get_bind().exec_driver_sql(statement)
