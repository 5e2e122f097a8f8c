"""Which card each attempt was made with, and where declines are found."""

from collections.abc import Sequence
from typing import Final

from alembic import op

revision: str = "0009"
down_revision: str | None = "0008"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_UP: Final = (
    """ALTER TABLE payment_attempts ADD COLUMN card_fingerprint VARCHAR
        CONSTRAINT payment_attempts_card_fingerprint_length
        CHECK (length(card_fingerprint) BETWEEN 1 AND 255)""",
    """CREATE INDEX payment_attempts_by_ended_at_card_fingerprint
        ON payment_attempts (ended_at, card_fingerprint) WHERE status = 'declined'""",
    """CREATE INDEX payment_attempts_by_method_started_at
        ON payment_attempts (method, started_at) WHERE card_fingerprint IS NOT NULL""",
    """CREATE INDEX payment_methods_by_updated_at_fingerprint
        ON payment_methods (updated_at, fingerprint) WHERE reason = 'declined'""",
)
_DOWN: Final = (
    "DROP INDEX payment_methods_by_updated_at_fingerprint",
    "DROP INDEX payment_attempts_by_method_started_at",
    "DROP INDEX payment_attempts_by_ended_at_card_fingerprint",
    "ALTER TABLE payment_attempts DROP COLUMN card_fingerprint",
)


def upgrade() -> None:
    """Add the column: of earlier attempts no card is known."""
    for statement in _UP:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Forget which cards they were."""
    for statement in _DOWN:
        op.get_bind().exec_driver_sql(statement)
