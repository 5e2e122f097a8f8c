"""Mails that were sent, what customers want to be written about, and in what language."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from alembic import op

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# A blank line stands between two.
_STATEMENTS: Final = Path(__file__).with_suffix(".sql")
_MOMENTS: Final[Mapping[str, str]] = {
    "sqlite": "DATETIME",
    "postgresql": "TIMESTAMP WITH TIME ZONE",
}
_LANGUAGE: Final = """ALTER TABLE customers ADD COLUMN language VARCHAR
    CONSTRAINT customers_language_length CHECK (length(language) BETWEEN 1 AND 35)"""


def upgrade() -> None:
    """Make the tables; of those who are there no language is known."""
    connection = op.get_bind()
    moment = _MOMENTS[connection.dialect.name]
    for statement in _STATEMENTS.read_text("utf-8").strip().split("\n\n"):
        connection.exec_driver_sql(statement.replace("{moment}", moment))
    connection.exec_driver_sql(_LANGUAGE)


def downgrade() -> None:
    """Forget what was sent: an event that comes again is told again."""
    for statement in (
        "ALTER TABLE customers DROP COLUMN language",
        "DROP TABLE mail_preferences",
        "DROP TABLE mails",
    ):
        op.get_bind().exec_driver_sql(statement)
