"""Payments that are made on the gateway's own page, and where customers are written to."""

from collections.abc import Sequence

from alembic import op

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_UPGRADE = (
    "ALTER TABLE payments ADD COLUMN is_hosted BOOLEAN NOT NULL DEFAULT FALSE",
    """ALTER TABLE payments ADD COLUMN session_id VARCHAR
        CONSTRAINT payments_session_id_length CHECK (length(session_id) BETWEEN 1 AND 255)
        CONSTRAINT payments_only_hosted_has_session CHECK (session_id IS NULL OR is_hosted)""",
    "CREATE UNIQUE INDEX payments_by_session_id ON payments (session_id)",
    """ALTER TABLE customers ADD COLUMN email VARCHAR
        CONSTRAINT customers_email_length CHECK (length(email) BETWEEN 1 AND 320)""",
)
_DOWNGRADE = (
    "ALTER TABLE customers DROP COLUMN email",
    "DROP INDEX payments_by_session_id",
    "ALTER TABLE payments DROP COLUMN session_id",
    "ALTER TABLE payments DROP COLUMN is_hosted",
)


def upgrade() -> None:
    """Add the columns: no payment so far was made there, and no address is known."""
    for statement in _UPGRADE:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Forget them, and with them which pages are open."""
    for statement in _DOWNGRADE:
        op.get_bind().exec_driver_sql(statement)
