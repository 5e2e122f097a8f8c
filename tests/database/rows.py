"""One good row of each table. What a test changes in it is what makes it wrong."""

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Table, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from paysaga.database.tables import (
    ATTEMPTS,
    BREAKERS,
    CUSTOMERS,
    DRIFTS,
    EVENT_SWEEPS,
    EVENTS,
    PAYMENT_METHODS,
    PAYMENTS,
    RECONCILIATIONS,
    STATUS_HISTORY,
    TRANSFERS,
    WEBHOOK_EVENTS,
)

NOON: Final = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
EARLIER: Final = datetime(2026, 11, 21, 11, 59, tzinfo=UTC)

GOOD: Final[dict[str, dict[str, Any]]] = {
    CUSTOMERS.name: {"id": "cst_1", "gateway_customer_id": "cus_1", "created_at": NOON},
    PAYMENT_METHODS.name: {
        "id": "mtd_1",
        "version": 2,
        "customer_id": "cst_1",
        "gateway_customer_id": "cus_1",
        "gateway_payment_method_id": "pm_1",
        "setup_intent_id": "seti_1",
        "kind": "card",
        "brand": "visa",
        "last4": "4242",
        "funding": "credit",
        "exp_month": 12,
        "exp_year": 2030,
        "fingerprint": "fingerprint",
        "status": "active",
        "reason": "saved",
        "decline_code": "expired_card",
        "decline_kind": "needs_new_card",
        "decline_message": "Your card has expired.",
        "return_url": "https://shop.example/cards",
        "is_default": True,
        "request_fingerprint": "fingerprint",
        "correlation_id": "correlation",
        "created_at": NOON,
        "updated_at": NOON,
    },
    PAYMENTS.name: {
        "id": "pay_1",
        "version": 1,
        "order_id": "order-1",
        "customer_id": "cst_1",
        "amount": 1000,
        "currency": "EUR",
        "status": "processing",
        "reason": "started",
        "return_url": "https://shop.example/return",
        "metadata": {},
        "request_fingerprint": "fingerprint",
        "correlation_id": "correlation",
        "attempts_used": 1,
        "attempts_allowed": 3,
        "retry_until": NOON,
        "decline_code": "insufficient_funds",
        "decline_kind": "needs_new_card",
        "decline_message": "Your card has insufficient funds.",
        "is_hosted": True,
        "session_id": "cs_1",
        "intent_id": "pi_1",
        "capture_method": "automatic",
        "amount_authorized": 0,
        "amount_captured": 0,
        "amount_refunded": 0,
        "amount_refund_pending": 0,
        "created_at": NOON,
        "updated_at": NOON,
    },
    ATTEMPTS.name: {
        "payment_id": "pay_1",
        "number": 1,
        "method": "pm_1",
        "status": "started",
        "started_at": NOON,
    },
    STATUS_HISTORY.name: {
        "payment_id": "pay_1",
        "number": 1,
        "status": "created",
        "reason": "started",
        "actor": "service:shop",
        "at": NOON,
        "request_key": "key-1",
        "request_fingerprint": "fingerprint-1",
    },
    TRANSFERS.name: {
        "payment_id": "pay_1",
        "version": 1,
        "position": 1,
        "debit": "gateway_clearing",
        "credit": "revenue",
        "amount": 1000,
        "currency": "EUR",
        "at": NOON,
    },
    EVENTS.name: {
        "id": "evn_1",
        "object_id": "pay_1",
        "object_type": "payment",
        "type": "payment.created",
        "sequence": 1,
        "data": {},
        "created_at": NOON,
    },
    WEBHOOK_EVENTS.name: {
        "id": "evt_1",
        "type": "payment_intent.succeeded",
        "livemode": False,
        "payload": b"{}",
        "payload_sha256": "0" * 64,
        "signature_verified": True,
        "received_at": NOON,
        "processed": False,
        "source": "webhook",
    },
    RECONCILIATIONS.name: {
        "id": "rcn_1",
        "since": EARLIER,
        "until": NOON,
        "actor": "finance:ann",
        "request_fingerprint": "fingerprint",
        "compared": 2,
        "agreed": 1,
        "parked": 0,
        "without_run": 0,
        "movements": 3,
        "fees_booked": 1,
        "started_at": NOON,
    },
    DRIFTS.name: {
        "id": "drf_1",
        "subject": "pay_1",
        "kind": "captured",
        "wrong": "database",
        "in_database": "1",
        "in_history": "1000",
        "in_ledger": "1000",
        "at_gateway": "1000",
        "in_workflow": "1000",
        "remedy": "none",
        "reconciliation_id": "rcn_1",
        "found_at": EARLIER,
        "seen_at": NOON,
    },
    EVENT_SWEEPS.name: {"id": "gateway", "since": NOON},
    BREAKERS.name: {"id": "gateway", "version": 1, "failures": 0},
}

# What a second good row has to have of its own beside the first.
ANOTHER: Final[dict[str, dict[str, Any]]] = {
    CUSTOMERS.name: {"id": "cst_2", "gateway_customer_id": "cus_2"},
    PAYMENT_METHODS.name: {
        "id": "mtd_2",
        "gateway_payment_method_id": "pm_2",
        "is_default": False,
    },
    PAYMENTS.name: {
        "id": "pay_2",
        "order_id": "order-2",
        "intent_id": "pi_2",
        "session_id": "cs_2",
    },
    ATTEMPTS.name: {"number": 2},
    STATUS_HISTORY.name: {"number": 2, "request_key": "key-2"},
    TRANSFERS.name: {"position": 2},
    EVENTS.name: {"id": "evn_2", "sequence": 2},
    WEBHOOK_EVENTS.name: {"id": "evt_2"},
    RECONCILIATIONS.name: {"id": "rcn_2"},
    DRIFTS.name: {"id": "drf_2", "kind": "refunded"},
    EVENT_SWEEPS.name: {"id": "another"},
    BREAKERS.name: {"id": "another"},
}


def another(table: Table, **columns: Any) -> dict[str, Any]:
    """A second row of this table, good but for these columns."""
    return GOOD[table.name] | ANOTHER[table.name] | columns


async def insert_good(connection: AsyncConnection) -> None:
    """Insert one good row into each table, the referenced ones first."""
    for table in PAYMENTS.metadata.sorted_tables:
        await connection.execute(insert(table), GOOD[table.name])
