"""Where things are found: task queues, run ids and the one list of search attributes."""

from typing import Final

from temporalio.common import SearchAttributeKey

PAYMENTS: Final = "payments"
# Calls to Stripe have a queue of their own: its server-side rate limit is the outbound
# budget shared by all workers.
GATEWAY: Final = "gateway"
# Events are handed over on a queue of their own: who is slow to take them delays no payment.
DELIVERIES: Final = "deliveries"


def repair_id(payment_id: str) -> str:
    """The run that repairs a payment. The payment's own run has the payment's own id."""
    return f"repair-{payment_id}"


def removal_id(method_id: str) -> str:
    """The run that removes a saved method. The one that saves it has the method's own id."""
    return f"remove-{method_id}"


def look_id(method_id: str) -> str:
    """The run that looks at a saved method again."""
    return f"look-{method_id}"


def reconciliation_run(reconciliation_id: str) -> str:
    """The run of a reconciliation that somebody has asked for."""
    return f"reconciliation-{reconciliation_id}"


# Schedules, one of each for all workers. Their runs are named after them, and the time.
SWEEP: Final = "sweep-gateway-events"
INBOX_CLEANUP: Final = "clean-up-inbox"

PAYMENT_STATUS: Final = SearchAttributeKey.for_keyword("PaymentStatus")
ORDER_ID: Final = SearchAttributeKey.for_keyword("OrderId")
CUSTOMER_ID: Final = SearchAttributeKey.for_keyword("CustomerId")
GATEWAY_ID: Final = SearchAttributeKey.for_keyword("GatewayId")
CURRENCY: Final = SearchAttributeKey.for_keyword("Currency")
REASON: Final = SearchAttributeKey.for_keyword("Reason")
AMOUNT: Final = SearchAttributeKey.for_int("Amount")
NEXT_ACTION_AT: Final = SearchAttributeKey.for_datetime("NextActionAt")

SEARCH_ATTRIBUTES: Final = (
    PAYMENT_STATUS,
    ORDER_ID,
    CUSTOMER_ID,
    GATEWAY_ID,
    CURRENCY,
    REASON,
    AMOUNT,
    NEXT_ACTION_AT,
)
