"""Saved means of payment: how each came to be, and where it stands."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from alembic import op

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_HERE: Final = Path(__file__).parent
_MOMENTS: Final[Mapping[str, str]] = {
    "sqlite": "DATETIME",
    "postgresql": "TIMESTAMP WITH TIME ZONE",
}
_TABLE: Final = "payment_methods"


def upgrade() -> None:
    """Make the table anew: no release has written to it yet, and SQLite changes no rule."""
    op.drop_table(_TABLE)
    _run(_statements("0007_saved_methods.sql"))


def downgrade() -> None:
    """Forget what was saved, and make the table as the first revision had it."""
    op.drop_table(_TABLE)
    _run(part for part in _statements("0001_payments.sql") if f" {_TABLE} (" in part)


def _statements(file: str) -> list[str]:
    """The file's statements: a blank line stands between two."""
    return (_HERE / file).read_text("utf-8").strip().split("\n\n")


def _run(statements: Iterable[str]) -> None:
    connection = op.get_bind()
    moment = _MOMENTS[connection.dialect.name]
    for statement in statements:
        connection.exec_driver_sql(statement.replace("{moment}", moment))
