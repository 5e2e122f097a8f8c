"""Circuit breakers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from alembic import op

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_STATEMENTS: Final = Path(__file__).with_suffix(".sql")
_MOMENTS: Final[Mapping[str, str]] = {
    "sqlite": "DATETIME",
    "postgresql": "TIMESTAMP WITH TIME ZONE",
}


def upgrade() -> None:
    """Make the table."""
    connection = op.get_bind()
    moment = _MOMENTS[connection.dialect.name]
    connection.exec_driver_sql(_STATEMENTS.read_text("utf-8").format(moment=moment))


def downgrade() -> None:
    """All are closed again."""
    op.drop_table("breakers")
