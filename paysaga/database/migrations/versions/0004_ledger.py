"""Accounts for receivables, fees and disputes; reconciliations, and the drifts that they find."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from alembic import op
from sqlalchemy import text

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_STATEMENTS: Final = Path(__file__).with_suffix(".sql")
_MOMENTS: Final[Mapping[str, str]] = {
    "sqlite": "DATETIME",
    "postgresql": "TIMESTAMP WITH TIME ZONE",
}
_BEFORE: Final = "'gateway_clearing', 'refunds', 'revenue'"
_AFTER: Final = "'disputes', 'fees', 'gateway_clearing', 'receivable', 'refunds', 'revenue'"
_TRIGGERS: Final = text(
    "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'ledger_transfers'"
)
_TABLE: Final = text("SELECT sql FROM sqlite_master WHERE name = 'ledger_transfers'")


def upgrade() -> None:
    """Let the ledger have more accounts, and make the new tables."""
    connection = op.get_bind()
    _know_accounts(_BEFORE, _AFTER)
    moment = _MOMENTS[connection.dialect.name]
    for statement in _STATEMENTS.read_text("utf-8").strip().split("\n\n"):
        connection.exec_driver_sql(statement.format(moment=moment))


def downgrade() -> None:
    """Forget the new tables, and the transfers of accounts that only this release knows."""
    op.drop_index("payments_by_updated_at_id", "payments")
    op.drop_table("drifts")
    op.drop_table("reconciliations")
    _know_accounts(_AFTER, _BEFORE)


def _know_accounts(before: str, after: str) -> None:
    if op.get_bind().dialect.name == "sqlite":
        _know_in_a_new_table(before, after)
    else:
        _know_in_place(after)


def _know_in_a_new_table(before: str, after: str) -> None:
    """SQLite cannot change a rule: the table is made anew, its triggers with it."""
    connection = op.get_bind()
    triggers = connection.scalars(_TRIGGERS).all()
    _, columns = str(connection.scalar(_TABLE)).split("(", 1)
    known = f"SELECT * FROM ledger_transfers WHERE debit IN ({after}) AND credit IN ({after})"  # noqa: S608 - our own words
    for statement in (
        f"CREATE TABLE ledger_made_anew ({columns.replace(before, after)}",
        f"INSERT INTO ledger_made_anew {known}",
        "DROP TABLE ledger_transfers",
        "ALTER TABLE ledger_made_anew RENAME TO ledger_transfers",
        *triggers,
    ):
        connection.exec_driver_sql(statement)


def _know_in_place(after: str) -> None:
    connection = op.get_bind()
    trigger = "TRIGGER ledger_transfers_append_only"
    unknown = f"debit NOT IN ({after}) OR credit NOT IN ({after})"
    for statement in (
        f"ALTER TABLE ledger_transfers DISABLE {trigger}",
        f"DELETE FROM ledger_transfers WHERE {unknown}",  # noqa: S608 - our own words
        f"ALTER TABLE ledger_transfers ENABLE {trigger}",
    ):
        connection.exec_driver_sql(statement)
    for side in ("debit", "credit"):
        rule = f"ledger_transfers_{side}_is_known"
        connection.exec_driver_sql(f"ALTER TABLE ledger_transfers DROP CONSTRAINT {rule}")
        connection.exec_driver_sql(
            f"ALTER TABLE ledger_transfers ADD CONSTRAINT {rule} CHECK ({side} IN ({after}))"
        )
