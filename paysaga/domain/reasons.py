"""Why a payment stands where it stands: the words of its history, its run and its events."""

from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """Why a payment stands where it stands, in one stable word."""

    STARTED = "started"
    RETRIED = "retried"
    GATEWAY_UNREACHABLE = "gateway_unreachable"
    GATEWAY_PROCESSING = "gateway_processing"
    GATEWAY_REFUSED = "gateway_refused"
    GATEWAY_MISMATCH = "gateway_mismatch"
    AUTHENTICATION_REQUIRED = "authentication_required"
    AUTHENTICATION_TIMEOUT = "authentication_timeout"
    CHECKOUT_OPEN = "checkout_open"
    CHECKOUT_EXPIRED = "checkout_expired"
    ACTION_ENDED = "action_ended"
    DECLINED = "declined"
    PAID = "paid"
    AUTHORIZED = "authorized"
    HOLD_ENDS_SOON = "hold_ends_soon"
    HOLD_RENEWING = "hold_renewing"
    HOLD_RENEWED = "hold_renewed"
    HOLD_NOT_RENEWED = "hold_not_renewed"
    HOLD_RESTORED = "hold_restored"
    OTHER_HOLD_RELEASED = "other_hold_released"
    CAPTURE_REQUESTED = "capture_requested"
    CAPTURE_REFUSED = "capture_refused"
    AUTHORIZATION_OVER = "authorization_over"
    ATTEMPTS_USED_UP = "attempts_used_up"
    HOLD_OVER = "hold_over"
    CANCEL_REQUESTED = "cancel_requested"
    CANCELED_AT_GATEWAY = "canceled_at_gateway"
    ORDER_UNREACHABLE = "order_unreachable"
    ORDER_REFUSED = "order_refused"
    ORDER_CONFIRMED = "order_confirmed"
    REFUND_PENDING = "refund_pending"
    REFUNDED = "refunded"
    REFUND_FAILED = "refund_failed"
    RUN_CANCELED = "run_canceled"
    RUN_LOST = "run_lost"
    LATE_MONEY = "late_money"
    REPAIR_REQUESTED = "repair_requested"
    REPAIR_PROPOSED = "repair_proposed"
    REPAIR_REFUSED = "repair_refused"
    NOTHING_NEW = "nothing_new"
    INTENT_ATTACHED = "intent_attached"
    MARKED_SUCCEEDED = "marked_succeeded"
    MARKED_FAILED = "marked_failed"
    ABANDONED = "abandoned"
    REFUND_ABANDONED = "refund_abandoned"
    FEE_BOOKED = "fee_booked"


# Somebody does not answer, and is asked again.
UNREACHABLE: Final = frozenset({Reason.GATEWAY_UNREACHABLE, Reason.ORDER_UNREACHABLE})
