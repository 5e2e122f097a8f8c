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
from paysaga.database.tables.mails import (
    MAIL_PREFERENCES,
    MAILS,
    MailPreferenceRow,
    MailRow,
)
from paysaga.database.tables.payments import ATTEMPTS, PAYMENTS, AttemptRow, PaymentRow
from paysaga.database.tables.reconciliation import (
    DRIFTS,
    RECONCILIATIONS,
    DriftRow,
    ReconciliationRow,
)
from paysaga.database.tables.refund_policies import REFUND_POLICIES, RefundPolicyRow
from paysaga.database.tables.sinks import (
    DEAD_LETTERS,
    LANES,
    SINK_REQUESTS,
    SINKS,
    DeadLetterRow,
    LaneRow,
    SinkRequestRow,
    SinkRow,
)
from paysaga.database.tables.trail import (
    EVENTS,
    OUTBOX_STATE,
    STATUS_HISTORY,
    TRANSFERS,
    EventRow,
    OutboxStateRow,
    StatusHistoryRow,
    TransferRow,
)

__all__ = [
    "ATTEMPTS",
    "BREAKERS",
    "CUSTOMERS",
    "DEAD_LETTERS",
    "DRIFTS",
    "EVENTS",
    "EVENT_SWEEPS",
    "LANES",
    "MAILS",
    "MAIL_PREFERENCES",
    "OUTBOX_STATE",
    "PAYMENTS",
    "PAYMENT_METHODS",
    "RECONCILIATIONS",
    "REFUND_POLICIES",
    "SINKS",
    "SINK_REQUESTS",
    "STATUS_HISTORY",
    "TRANSFERS",
    "WEBHOOK_EVENTS",
    "AttemptRow",
    "BreakerRow",
    "CustomerRow",
    "DeadLetterRow",
    "DriftRow",
    "EventRow",
    "EventSweepRow",
    "LaneRow",
    "MailPreferenceRow",
    "MailRow",
    "OutboxStateRow",
    "PaymentMethodRow",
    "PaymentRow",
    "ReconciliationRow",
    "RefundPolicyRow",
    "SinkRequestRow",
    "SinkRow",
    "StatusHistoryRow",
    "TransferRow",
    "WebhookEventRow",
]
