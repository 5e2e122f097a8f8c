"""Holds that are replaced before they end, and the intent that may hold money beside."""

from collections.abc import Mapping, Sequence
from typing import Final

from alembic import op

revision: str = "0010"
down_revision: str | None = "0009"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_MOMENTS: Final[Mapping[str, str]] = {
    "sqlite": "DATETIME",
    "postgresql": "TIMESTAMP WITH TIME ZONE",
}
# In the order in which they may be added: a rule knows only columns that are there. SQLite forgets
# a column only after those whose rules name it.
_COLUMNS: Final = {
    "renew_hold_until": """{moment}
        CONSTRAINT payments_only_held_is_renewed
        CHECK (renew_hold_until IS NULL OR capture_method = 'manual')""",
    "other_intent_id": """VARCHAR
        CONSTRAINT payments_other_intent_id_length
        CHECK (length(other_intent_id) BETWEEN 1 AND 255)
        CONSTRAINT payments_intents_differ CHECK (other_intent_id <> intent_id)""",
    "other_intent_open": """BOOLEAN NOT NULL DEFAULT FALSE
        CONSTRAINT payments_open_other_is_known
        CHECK (other_intent_id IS NOT NULL OR NOT other_intent_open)""",
    "renewal_failed": """BOOLEAN NOT NULL DEFAULT FALSE
        CONSTRAINT payments_only_wanted_renewal_fails
        CHECK (renew_hold_until IS NOT NULL OR NOT renewal_failed)""",
}


def upgrade() -> None:
    """Add the columns: no hold so far was replaced."""
    connection = op.get_bind()
    moment = _MOMENTS[connection.dialect.name]
    for name, column in _COLUMNS.items():
        connection.exec_driver_sql(
            f"ALTER TABLE payments ADD COLUMN {name} {column.format(moment=moment)}"
        )


def downgrade() -> None:
    """Forget them, and with them which hold is to be let go."""
    for name in reversed(_COLUMNS):
        op.get_bind().exec_driver_sql(f"ALTER TABLE payments DROP COLUMN {name}")
