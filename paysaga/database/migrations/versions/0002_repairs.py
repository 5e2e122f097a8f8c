"""A step of a payment may carry a note: the evidence of a parked one, an operator's words."""

from collections.abc import Sequence

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Add the note. A column may be added to an append-only table: no row changes."""
    op.get_bind().exec_driver_sql(
        "ALTER TABLE payment_status_history ADD COLUMN note VARCHAR"
        " CONSTRAINT payment_status_history_note_length CHECK (length(note) BETWEEN 1 AND 2000)"
    )


def downgrade() -> None:
    """Forget the notes."""
    op.get_bind().exec_driver_sql("ALTER TABLE payment_status_history DROP COLUMN note")
