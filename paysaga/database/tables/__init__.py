"""The tables. What a row must never be, the database itself refuses.

The triggers (append-only tables, numbers without gaps, versions that only grow) stand in the
migrations: neither database lets a table declare them.
"""

from paysaga.database.tables.breakers import BREAKERS, BreakerRow
from paysaga.database.tables.customers import (
    CUSTOMERS,
    PAYMENT_METHODS,
    CustomerRow,
    PaymentMethodRow,
)
from paysaga.database.tables.inbox import (
    EVENT_SWEEPS,
    WEBHOOK_EVENTS,
    EventSweepRow,
    WebhookEventRow,
)
from paysaga.database.tables.payments import ATTEMPTS, PAYMENTS, AttemptRow, PaymentRow
from paysaga.database.tables.reconciliation import (
    DRIFTS,
    RECONCILIATIONS,
    DriftRow,
    ReconciliationRow,
)
from paysaga.database.tables.trail import (
    EVENTS,
    STATUS_HISTORY,
    TRANSFERS,
    EventRow,
    StatusHistoryRow,
    TransferRow,
)

__all__ = [
    "ATTEMPTS",
    "BREAKERS",
    "CUSTOMERS",
    "DRIFTS",
    "EVENTS",
    "EVENT_SWEEPS",
    "PAYMENTS",
    "PAYMENT_METHODS",
    "RECONCILIATIONS",
    "STATUS_HISTORY",
    "TRANSFERS",
    "WEBHOOK_EVENTS",
    "AttemptRow",
    "BreakerRow",
    "CustomerRow",
    "DriftRow",
    "EventRow",
    "EventSweepRow",
    "PaymentMethodRow",
    "PaymentRow",
    "ReconciliationRow",
    "StatusHistoryRow",
    "TransferRow",
    "WebhookEventRow",
]
