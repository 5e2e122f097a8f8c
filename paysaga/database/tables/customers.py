"""Customers and their saved means of payment."""

from datetime import datetime
from typing import Final

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlmodel import Field

from paysaga.database.columns import (
    MINOR,
    Row,
    UtcDateTime,
    check,
    digits,
    id_of,
    lengths,
    one_of,
    quoted,
    table_of,
    together,
)
from paysaga.domain.ids import METHOD
from paysaga.domain.saved_method import OPEN, SavedMethodStatus

_TEXT: Final = 255
_EMAIL: Final = 320
_LANGUAGE: Final = 35
_LINK: Final = 8192
_OPEN: Final = quoted(OPEN)
_PAYABLE: Final = " AND ".join(
    f"{column} IS NOT NULL"
    for column in ("gateway_payment_method_id", "gateway_customer_id", "kind")
)


def _one_active(name: str, column: str, more: str = "") -> Index:
    """Among active methods there is one at most."""
    rule = text(f"status = 'active'{more}")
    return Index(name, column, unique=True, sqlite_where=rule, postgresql_where=rule)


class CustomerRow(Row, table=True):
    """Whom the gateway knows this customer as, where they are written to, and in what language.

    The address is the only personal data that is kept, and it is kept nowhere else: no run, history
    or event holds it.
    """

    __tablename__ = "customers"
    __table_args__ = (
        *id_of("cst"),
        *lengths(gateway_customer_id=_TEXT, email=_EMAIL, language=_LANGUAGE),
        UniqueConstraint("gateway_customer_id"),
    )

    id: str = Field(primary_key=True)
    gateway_customer_id: str | None = None
    email: str | None = None
    language: str | None = None
    created_at: datetime = Field(sa_type=UtcDateTime)


class PaymentMethodRow(Row, table=True):
    """A saved means of payment: `SavedMethod`, column by column."""

    __tablename__ = "payment_methods"
    __table_args__ = (
        *id_of(METHOD),
        *lengths(gateway_payment_method_id=_TEXT, gateway_customer_id=_TEXT, setup_intent_id=_TEXT),
        *lengths(kind=64, brand=64, funding=64, wallet=64, fingerprint=_TEXT, reason=64),
        *lengths(return_url=_LINK, action_url=_LINK, request_fingerprint=_TEXT),
        *lengths(correlation_id=_TEXT, decline_code=_TEXT, decline_kind=64, decline_message=1000),
        digits("last4", 4),
        check("exp_month_is_a_month", "exp_month BETWEEN 1 AND 12"),
        check("version_counts_from_1", "version >= 1"),
        one_of("status", SavedMethodStatus),
        check("active_can_be_paid_with", f"status <> 'active' OR ({_PAYABLE})"),
        check("action_has_deadline", "status <> 'requires_action' OR action_until IS NOT NULL"),
        check("settled_asks_nothing", f"status IN ({_OPEN}) OR action_url IS NULL"),
        check("default_is_there", "status NOT IN ('failed', 'removed') OR NOT is_default"),
        check("removed_has_its_time", "(status = 'removed') = (removed_at IS NOT NULL)"),
        check("removal_comes_later", "removed_at >= created_at"),
        check("updated_after_created", "updated_at >= created_at"),
        together("decline_is_whole", "decline_code", "decline_kind", "decline_message"),
        ForeignKeyConstraint(["customer_id"], ["customers.id"]),
        _one_active("payment_methods_one_is_saved", "gateway_payment_method_id"),
        _one_active("payment_methods_one_default", "customer_id", " AND is_default"),
        Index(None, "customer_id", "created_at", "id"),
        Index(None, "created_at", "id"),
        Index(None, "setup_intent_id"),
        Index(None, "gateway_payment_method_id"),
        Index(
            None,
            "updated_at",
            "fingerprint",
            sqlite_where=text("reason = 'declined'"),
            postgresql_where=text("reason = 'declined'"),
        ),
    )

    id: str = Field(primary_key=True)
    version: int = Field(sa_type=MINOR)
    customer_id: str
    gateway_customer_id: str | None = None
    gateway_payment_method_id: str | None = None
    setup_intent_id: str | None = None
    kind: str | None = None
    brand: str | None = None
    last4: str | None = None
    funding: str | None = None
    wallet: str | None = None
    exp_month: int | None = None
    exp_year: int | None = None
    fingerprint: str | None = None
    status: str
    reason: str
    decline_code: str | None = None
    decline_kind: str | None = None
    decline_message: str | None = None
    action_url: str | None = None
    action_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    return_url: str
    is_default: bool
    request_fingerprint: str
    correlation_id: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)
    removed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


CUSTOMERS: Final = table_of(CustomerRow)
PAYMENT_METHODS: Final = table_of(PaymentMethodRow)
