"""Payments as they stand, and their attempts."""

from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlmodel import Field

from paysaga.database.columns import (
    DOCUMENT,
    MINOR,
    Row,
    UtcDateTime,
    check,
    currency_code,
    id_of,
    lengths,
    one_of,
    quoted,
    table_of,
    together,
    whole,
)
from paysaga.domain.ids import PAYMENT
from paysaga.domain.intent import CaptureMethod
from paysaga.domain.payment import FINAL, HOLDS_ORDER, AttemptStatus, Fulfillment, PaymentStatus

_TEXT: Final = 255
_LINK: Final = 8192
_FINAL: Final = quoted(FINAL)
_UNPAID: Final = quoted(FINAL - {PaymentStatus.SUCCEEDED})


class PaymentRow(Row, table=True):
    """A payment as it stands: `PaymentState`, column by column."""

    __tablename__ = "payments"
    __table_args__ = (
        *id_of(PAYMENT),
        *lengths(order_id=_TEXT, reason=64, request_fingerprint=_TEXT, correlation_id=_TEXT),
        *lengths(return_url=_LINK, action_url=_LINK, intent_id=_TEXT, charge_id=_TEXT),
        *lengths(session_id=_TEXT, other_intent_id=_TEXT),
        *lengths(gateway_customer_id=_TEXT, decline_code=_TEXT, decline_kind=64),
        *lengths(decline_message=1000),
        *lengths(0, description=1000),
        check("version_counts_from_1", "version >= 1"),
        currency_code(),
        one_of("status", PaymentStatus),
        one_of("fulfillment", Fulfillment),
        one_of("capture_method", CaptureMethod),
        *whole("amount", "amount_captured", "amount_refunded", "amount_refund_pending"),
        check("amount_not_negative", "amount >= 0"),
        check("captured_within_amount", "amount_captured BETWEEN 0 AND amount"),
        *whole("amount_authorized", "amount_to_capture"),
        check(
            "authorized_within_amount",
            "amount_authorized = 0 OR amount_authorized BETWEEN 1 AND amount",
        ),
        check("to_capture_within_authorized", "amount_to_capture BETWEEN 1 AND amount_authorized"),
        check("authorized_has_deadline", "status <> 'authorized' OR capture_until IS NOT NULL"),
        check(
            "authorized_is_captured_later", "status <> 'authorized' OR capture_method = 'manual'"
        ),
        check("only_held_is_renewed", "renew_hold_until IS NULL OR capture_method = 'manual'"),
        check("only_wanted_renewal_fails", "renew_hold_until IS NOT NULL OR NOT renewal_failed"),
        check("intents_differ", "other_intent_id <> intent_id"),
        check("open_other_is_known", "other_intent_id IS NOT NULL OR NOT other_intent_open"),
        check("refunded_not_negative", "amount_refunded >= 0 AND amount_refund_pending >= 0"),
        check(
            "refunds_within_captured", "amount_refunded + amount_refund_pending <= amount_captured"
        ),
        check("paid_after_created", "paid_at >= created_at"),
        check("only_paid_has_moment", "paid_at IS NULL OR amount_captured > 0"),
        check("attempts_within_allowed", "attempts_used BETWEEN 0 AND attempts_allowed"),
        check("succeeded_means_captured", "status <> 'succeeded' OR amount_captured > 0"),
        check("unpaid_means_nothing_captured", f"status NOT IN ({_UNPAID}) OR amount_captured = 0"),
        check("final_asks_nothing", f"status NOT IN ({_FINAL}) OR action_url IS NULL"),
        check("action_has_deadline", "status <> 'requires_action' OR action_until IS NOT NULL"),
        together("decline_is_whole", "decline_code", "decline_kind", "decline_message"),
        check("only_hosted_has_session", "session_id IS NULL OR is_hosted"),
        check("updated_after_created", "updated_at >= created_at"),
        ForeignKeyConstraint(["customer_id"], ["customers.id"]),
        ForeignKeyConstraint(["refund_policy_id"], ["refund_policies.id"]),
        UniqueConstraint("intent_id"),
        Index(
            "payments_one_holds_order",
            "order_id",
            unique=True,
            sqlite_where=text(f"status IN ({quoted(HOLDS_ORDER)})"),
            postgresql_where=text(f"status IN ({quoted(HOLDS_ORDER)})"),
        ),
        Index(None, "order_id", "created_at", "id"),
        Index(None, "customer_id", "created_at", "id"),
        Index(None, "status", "created_at", "id"),
        Index(None, "created_at", "id"),
        Index(None, "updated_at", "id"),
        Index(None, "charge_id"),
        Index(None, "session_id", unique=True),
    )

    id: str = Field(primary_key=True)
    version: int = Field(sa_type=MINOR)
    order_id: str
    customer_id: str
    amount: int = Field(sa_type=MINOR)
    currency: str
    status: str
    reason: str
    description: str | None = None
    return_url: str
    metadata_: dict[str, str] = Field(sa_type=DOCUMENT, sa_column_kwargs={"name": "metadata"})
    request_fingerprint: str
    correlation_id: str
    attempts_used: int
    attempts_allowed: int
    retry_until: datetime = Field(sa_type=UtcDateTime)
    action_url: str | None = None
    action_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    decline_code: str | None = None
    decline_kind: str | None = None
    decline_message: str | None = None
    method: dict[str, Any] | None = Field(default=None, sa_type=DOCUMENT)
    is_hosted: bool
    session_id: str | None = None
    intent_id: str | None = None
    gateway_customer_id: str | None = None
    charge_id: str | None = None
    fulfillment: str | None = None
    capture_method: str
    amount_authorized: int = Field(sa_type=MINOR)
    capture_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    amount_to_capture: int | None = Field(default=None, sa_type=MINOR)
    renew_hold_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    other_intent_id: str | None = None
    other_intent_open: bool
    renewal_failed: bool
    service_date: date | None = None
    refund_policy_id: str | None = None
    paid_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    amount_captured: int = Field(sa_type=MINOR)
    amount_refunded: int = Field(sa_type=MINOR)
    amount_refund_pending: int = Field(sa_type=MINOR)
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)


class AttemptRow(Row, table=True):
    """One try to take the money, written before the gateway hears of it."""

    __tablename__ = "payment_attempts"
    __table_args__ = (
        *lengths(method=_TEXT, decline_code=_TEXT, charge_id=_TEXT, card_fingerprint=_TEXT),
        check("number_counts_from_1", "number >= 1"),
        one_of("status", AttemptStatus),
        check("end_comes_later", "ended_at >= started_at"),
        ForeignKeyConstraint(["payment_id"], ["payments.id"]),
        Index(None, "charge_id"),
        Index(
            None,
            "ended_at",
            "card_fingerprint",
            sqlite_where=text("status = 'declined'"),
            postgresql_where=text("status = 'declined'"),
        ),
        Index(
            None,
            "method",
            "started_at",
            sqlite_where=text("card_fingerprint IS NOT NULL"),
            postgresql_where=text("card_fingerprint IS NOT NULL"),
        ),
    )

    payment_id: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    method: str
    status: str
    decline_code: str | None = None
    charge_id: str | None = None
    card_fingerprint: str | None = None
    started_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


PAYMENTS: Final = table_of(PaymentRow)
ATTEMPTS: Final = table_of(AttemptRow)
