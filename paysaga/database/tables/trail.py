"""What every step of a payment leaves behind: history, ledger, event. All are append-only."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index, UniqueConstraint
from sqlmodel import Field

from paysaga.database.columns import (
    DOCUMENT,
    MINOR,
    NUMBERED,
    Row,
    UtcDateTime,
    check,
    currency_code,
    id_of,
    lengths,
    one_of,
    table_of,
    together,
    whole,
)
from paysaga.domain.ids import EVENT
from paysaga.domain.ledger import Account
from paysaga.domain.payment import PaymentStatus

_TEXT: Final = 255
_LONGEST_NOTE: Final = 2000


class StatusHistoryRow(Row, table=True):
    """Who moved a payment where, and why. Append-only; its numbers are the payment's versions."""

    __tablename__ = "payment_status_history"
    __table_args__ = (
        *lengths(reason=64, actor=_TEXT, request_key=_TEXT, request_fingerprint=_TEXT),
        *lengths(note=_LONGEST_NOTE),
        check("number_counts_from_1", "number >= 1"),
        one_of("status", PaymentStatus),
        together("request_is_whole", "request_key", "request_fingerprint"),
        ForeignKeyConstraint(["payment_id"], ["payments.id"]),
        UniqueConstraint("payment_id", "request_key"),
    )

    payment_id: str = Field(primary_key=True)
    number: int = Field(primary_key=True, sa_type=MINOR)
    status: str
    reason: str
    actor: str
    at: datetime = Field(sa_type=UtcDateTime)
    request_key: str | None = None
    request_fingerprint: str | None = None
    note: str | None = None


class TransferRow(Row, table=True):
    """An amount that left one account for another, by one step of a payment. Append-only."""

    __tablename__ = "ledger_transfers"
    __table_args__ = (
        check("position_counts_from_1", "position >= 1"),
        one_of("debit", Account),
        one_of("credit", Account),
        check("accounts_differ", "debit <> credit"),
        *whole("amount"),
        check("amount_positive", "amount > 0"),
        currency_code(),
        ForeignKeyConstraint(
            ["payment_id", "version"],
            ["payment_status_history.payment_id", "payment_status_history.number"],
        ),
    )

    payment_id: str = Field(primary_key=True)
    version: int = Field(primary_key=True, sa_type=MINOR)
    position: int = Field(primary_key=True)
    debit: str
    credit: str
    amount: int = Field(sa_type=MINOR)
    currency: str
    at: datetime = Field(sa_type=UtcDateTime)


class EventRow(Row, table=True):
    """The outbox: what the world is told, in each object's own order. Append-only."""

    __tablename__ = "events"
    __table_args__ = (
        *id_of(EVENT),
        *lengths(object_id=64, object_type=64, type=128),
        check("sequence_counts_from_1", "sequence >= 1"),
        UniqueConstraint("id"),
        UniqueConstraint("object_id", "sequence"),
        Index(None, "epoch", "transaction_id", "position"),
        Index(None, "created_at"),
    )

    # The order of insertion, which is not that of commits.
    position: int | None = Field(default=None, primary_key=True, sa_type=NUMBERED)
    # Which transaction of which server wrote it (PostgreSQL): readers stop before those that are
    # under way, and another server numbers its transactions anew.
    epoch: int = Field(sa_type=BigInteger)
    transaction_id: int = Field(sa_type=BigInteger)
    id: str
    object_id: str
    object_type: str
    type: str
    sequence: int = Field(sa_type=MINOR)
    data: dict[str, Any] = Field(sa_type=DOCUMENT)
    created_at: datetime = Field(sa_type=UtcDateTime)


class OutboxStateRow(Row, table=True):
    """The outbox as a whole (`id` is its table's name): whose numbers count, and what is gone.

    `server` is PostgreSQL's own word for itself. Events up to the forgotten place may be deleted.
    """

    __tablename__ = "outbox_state"
    __table_args__ = (
        *lengths(id=64, server=_TEXT),
        check("epoch_not_negative", "epoch >= 0"),
    )

    id: str = Field(primary_key=True)
    epoch: int = Field(sa_type=BigInteger)
    server: str | None = None
    forgotten_epoch: int = Field(sa_type=BigInteger)
    forgotten_transaction: int = Field(sa_type=BigInteger)
    forgotten_position: int = Field(sa_type=BigInteger)


STATUS_HISTORY: Final = table_of(StatusHistoryRow)
TRANSFERS: Final = table_of(TransferRow)
EVENTS: Final = table_of(EventRow)
OUTBOX_STATE: Final = table_of(OutboxStateRow)
