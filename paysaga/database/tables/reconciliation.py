"""Comparisons of database, gateway and workflow results, and what they found."""

from datetime import datetime
from typing import Final

from sqlalchemy import ForeignKeyConstraint, Index, text
from sqlmodel import Field

from paysaga.database.columns import (
    MINOR,
    Row,
    UtcDateTime,
    check,
    id_of,
    lengths,
    one_of,
    table_of,
)
from paysaga.domain.ids import DRIFT, RECONCILIATION
from paysaga.domain.reconciliation import DriftKind, Remedy, Side

_TEXT: Final = 255
_LONGEST_WORD: Final = 1000


class ReconciliationRow(Row, table=True):
    """One comparison of a period, and how far it has come. `finished_at` closes it."""

    __tablename__ = "reconciliations"
    __table_args__ = (
        *id_of(RECONCILIATION),
        *lengths(actor=_TEXT, request_fingerprint=_TEXT),
        check("begins_before_its_end", "since < until"),
        check(
            "counts_not_negative",
            "compared >= 0 AND agreed >= 0 AND parked >= 0 AND without_run >= 0"
            " AND movements >= 0 AND fees_booked >= 0",
        ),
        check("agreed_were_compared", "agreed + parked <= compared"),
        Index(None, "started_at", "id"),
    )

    id: str = Field(primary_key=True)
    since: datetime = Field(sa_type=UtcDateTime)
    until: datetime = Field(sa_type=UtcDateTime)
    actor: str
    request_fingerprint: str | None = None
    compared: int = Field(sa_type=MINOR)
    agreed: int = Field(sa_type=MINOR)
    parked: int = Field(sa_type=MINOR)
    without_run: int = Field(sa_type=MINOR)
    movements: int = Field(sa_type=MINOR)
    fees_booked: int = Field(sa_type=MINOR)
    started_at: datetime = Field(sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class DriftRow(Row, table=True):
    """A disagreement. It is open until a later comparison no longer finds it.

    `subject` is our payment, or the gateway's object that no payment of ours knows.
    """

    __tablename__ = "drifts"
    __table_args__ = (
        *id_of(DRIFT),
        *lengths(subject=_TEXT, in_database=_LONGEST_WORD, in_history=_LONGEST_WORD),
        *lengths(in_ledger=_LONGEST_WORD, at_gateway=_LONGEST_WORD, in_workflow=_LONGEST_WORD),
        one_of("kind", DriftKind),
        one_of("wrong", Side),
        one_of("remedy", Remedy),
        check("seen_after_found", "seen_at >= found_at"),
        check("resolved_after_seen", "resolved_at >= seen_at"),
        ForeignKeyConstraint(["reconciliation_id"], ["reconciliations.id"]),
        Index(
            "drifts_one_open",
            "subject",
            "kind",
            unique=True,
            sqlite_where=text("resolved_at IS NULL"),
            postgresql_where=text("resolved_at IS NULL"),
        ),
        Index(None, "reconciliation_id"),
    )

    id: str = Field(primary_key=True)
    subject: str
    kind: str
    wrong: str
    in_database: str | None = None
    in_history: str | None = None
    in_ledger: str | None = None
    at_gateway: str | None = None
    in_workflow: str | None = None
    remedy: str
    reconciliation_id: str
    found_at: datetime = Field(sa_type=UtcDateTime)
    seen_at: datetime = Field(sa_type=UtcDateTime)
    resolved_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


RECONCILIATIONS: Final = table_of(ReconciliationRow)
DRIFTS: Final = table_of(DriftRow)
