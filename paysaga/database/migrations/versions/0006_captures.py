"""Payments whose money is held first and taken later."""

from collections.abc import Mapping, Sequence
from typing import Final

from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_MOMENTS: Final[Mapping[str, str]] = {
    "sqlite": "DATETIME",
    "postgresql": "TIMESTAMP WITH TIME ZONE",
}
# In the order in which they may be added: a rule knows only columns that are there. SQLite forgets
# a column only after those whose rules name it.
_COLUMNS: Final = {
    "capture_method": """VARCHAR NOT NULL DEFAULT 'automatic'
        CONSTRAINT payments_capture_method_is_known
        CHECK (capture_method IN ('automatic', 'manual'))
        CONSTRAINT payments_authorized_is_captured_later
        CHECK (status <> 'authorized' OR capture_method = 'manual')""",
    "amount_authorized": """BIGINT NOT NULL DEFAULT 0
        CONSTRAINT payments_amount_authorized_is_whole
        CHECK (amount_authorized = CAST(amount_authorized AS BIGINT))
        CONSTRAINT payments_authorized_within_amount
        CHECK (amount_authorized = 0 OR amount_authorized BETWEEN 1 AND amount)""",
    "capture_until": """{moment}
        CONSTRAINT payments_authorized_has_deadline
        CHECK (status <> 'authorized' OR capture_until IS NOT NULL)""",
    "amount_to_capture": """BIGINT
        CONSTRAINT payments_amount_to_capture_is_whole
        CHECK (amount_to_capture = CAST(amount_to_capture AS BIGINT))
        CONSTRAINT payments_to_capture_within_authorized
        CHECK (amount_to_capture BETWEEN 1 AND amount_authorized)""",
}


def upgrade() -> None:
    """Add the columns: all payments so far were captured at once."""
    connection = op.get_bind()
    moment = _MOMENTS[connection.dialect.name]
    for name, column in _COLUMNS.items():
        connection.exec_driver_sql(
            f"ALTER TABLE payments ADD COLUMN {name} {column.format(moment=moment)}"
        )


def downgrade() -> None:
    """Forget them, and with them what was held."""
    for name in reversed(_COLUMNS):
        op.get_bind().exec_driver_sql(f"ALTER TABLE payments DROP COLUMN {name}")
