"""A payment: the words it is told in, its states, and the ways that lead from one to the next."""

from collections.abc import Mapping
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime, Field

from paysaga.domain.declines import Decline
from paysaga.domain.intent import CaptureMethod, MethodFacts
from paysaga.domain.ledger import Transfer
from paysaga.domain.message import Message
from paysaga.domain.money import Money
from paysaga.domain.reasons import Reason
from paysaga.domain.refund_policy import RefundPolicy


class PaymentStatus(StrEnum):
    """Where a payment stands. The last four of the money's way are final."""

    CREATED = "created"
    PROCESSING = "processing"
    REQUIRES_ACTION = "requires_action"
    AWAITING_RETRY = "awaiting_retry"
    AUTHORIZED = "authorized"
    NEEDS_OPERATOR = "needs_operator"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELED = "canceled"


# The story is over, and no money was taken.
WITHOUT_MONEY: Final = frozenset(
    {PaymentStatus.FAILED, PaymentStatus.EXPIRED, PaymentStatus.CANCELED}
)
FINAL: Final = WITHOUT_MONEY | {PaymentStatus.SUCCEEDED}

# The order's slot is taken while one of these is true of its payment.
HOLDS_ORDER: Final = frozenset(PaymentStatus) - WITHOUT_MONEY

_S = PaymentStatus
MOVES: Final[Mapping[PaymentStatus, frozenset[PaymentStatus]]] = {
    _S.CREATED: frozenset({_S.PROCESSING, _S.CANCELED, _S.NEEDS_OPERATOR}),
    _S.PROCESSING: frozenset(
        {
            _S.REQUIRES_ACTION,
            _S.AWAITING_RETRY,
            _S.AUTHORIZED,
            _S.SUCCEEDED,
            _S.CANCELED,
            _S.NEEDS_OPERATOR,
        }
    ),
    _S.REQUIRES_ACTION: frozenset({_S.PROCESSING, _S.CANCELED, _S.NEEDS_OPERATOR}),
    _S.AWAITING_RETRY: frozenset(
        {
            _S.PROCESSING,
            _S.FAILED,
            _S.EXPIRED,
            _S.SUCCEEDED,
            _S.AUTHORIZED,
            _S.CANCELED,
            _S.NEEDS_OPERATOR,
        }
    ),
    _S.AUTHORIZED: frozenset({_S.SUCCEEDED, _S.CANCELED, _S.EXPIRED, _S.NEEDS_OPERATOR}),
    _S.NEEDS_OPERATOR: frozenset({_S.PROCESSING, _S.SUCCEEDED, _S.FAILED, _S.EXPIRED, _S.CANCELED}),
    _S.SUCCEEDED: frozenset({_S.NEEDS_OPERATOR}),
    _S.FAILED: frozenset({_S.NEEDS_OPERATOR}),
    _S.EXPIRED: frozenset({_S.NEEDS_OPERATOR}),
    _S.CANCELED: frozenset({_S.NEEDS_OPERATOR}),
}


class Fulfillment(StrEnum):
    """What the order service has said of the paid order."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    REFUSED = "refused"


class AttemptStatus(StrEnum):
    """How one attempt to take the money stands."""

    STARTED = "started"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    TIMED_OUT = "timed_out"
    ABANDONED = "abandoned"


class Policy(Message):
    """The limits of one payment, pinned when it starts."""

    attempts: int = 3
    hold: timedelta = timedelta(hours=24)
    action_window: timedelta = timedelta(minutes=15)


class RequestMark(Message):
    """The client's request behind a change: a repeat is known by its key, a misuse by its body."""

    key: str
    fingerprint: str


class HostedPage(Message):
    """Where the gateway's page sends the customer: paid, or back without having paid."""

    success_url: str
    cancel_url: str


class Payment(Message):
    """One order to be paid once: all that a run needs to know. Holds no personal data.

    The gateway sends the customer back to `gateway_return_url`, which is ours; from there they go
    on to the shop's `return_url` with nothing but the payment's id. With `page` they choose and
    enter their means of payment at the gateway, and there is no `method` before.

    `refund_policy` are the terms that it is made under. Their id is handed over beside them: a
    later release may spell the same terms in another way, and a run must not change its mind.
    """

    id: str
    order_id: str
    customer_id: str
    gateway_customer_id: str | None = None
    money: Money
    method: str
    page: HostedPage | None = None
    capture_method: CaptureMethod = CaptureMethod.AUTOMATIC
    renew_hold_until: AwareDatetime | None = None
    service_date: date | None = None
    refund_policy: RefundPolicy | None = None
    refund_policy_id: str | None = None
    description: str | None = None
    statement_descriptor_suffix: str | None = None
    return_url: str
    gateway_return_url: str
    metadata: dict[str, str] = Field(default_factory=dict)
    environment: str
    policy: Policy = Policy()
    has_order_service: bool = False
    actor: str
    request: RequestMark
    correlation_id: str


class PaymentState(Message):
    """A payment as it stands after its `version`-th change: one row, one answer, one event.

    With `is_hosted` each attempt is a page of the gateway's: `session_id` names the last one.

    With manual capture `amount_authorized` is held: it is captured before `capture_until`, or let
    go then. `amount_to_capture` of it was asked for. A hold that would end before
    `renew_hold_until` is replaced: `other_intent_id` is the new one until it holds the money, and
    the former one from then on. While `other_intent_open` that one, too, may hold money. With
    `renewal_failed` this hold is the last one.

    `service_date` is the day that is paid for, if there is one. At `paid_at` the customer paid, by
    the gateway's word; with manual capture it is when we learned that the money was taken. Payments
    of older releases may lack that one, and the terms of refunds.
    """

    id: str
    version: int
    order_id: str
    customer_id: str
    money: Money
    status: PaymentStatus
    reason: Reason
    description: str | None = None
    return_url: str
    metadata: dict[str, str] = Field(default_factory=dict)
    request_fingerprint: str
    correlation_id: str
    attempts_used: int = 0
    attempts_allowed: int
    retry_until: AwareDatetime
    action_url: str | None = None
    action_until: AwareDatetime | None = None
    decline: Decline | None = None
    method: MethodFacts | None = None
    is_hosted: bool = False
    session_id: str | None = None
    intent_id: str | None = None
    gateway_customer_id: str | None = None
    charge_id: str | None = None
    fulfillment: Fulfillment | None = None
    capture_method: CaptureMethod = CaptureMethod.AUTOMATIC
    amount_authorized: int = 0
    capture_until: AwareDatetime | None = None
    amount_to_capture: int | None = None
    renew_hold_until: AwareDatetime | None = None
    other_intent_id: str | None = None
    other_intent_open: bool = False
    renewal_failed: bool = False
    service_date: date | None = None
    refund_policy_id: str | None = None
    paid_at: AwareDatetime | None = None
    amount_captured: int = 0
    amount_refunded: int = 0
    amount_refund_pending: int = 0
    created_at: AwareDatetime
    updated_at: AwareDatetime

    @property
    def attempts_left(self) -> int:
        """How many more attempts the customer may make; none once the money is held or final."""
        if self.status in FINAL or self.status is PaymentStatus.AUTHORIZED:
            return 0
        return max(0, self.attempts_allowed - self.attempts_used)

    @property
    def is_final(self) -> bool:
        """Whether the payment's own story is over (a refund may still follow)."""
        return self.status in FINAL

    @property
    def is_over(self) -> bool:
        """Whether nothing happens any more unless a person acts."""
        return self.is_final or self.status is PaymentStatus.NEEDS_OPERATOR

    @property
    def is_settled(self) -> bool:
        """Whether there is an answer for the customer: an outcome, a next step, or a next try."""
        match self.status:
            case PaymentStatus.PROCESSING:
                return self.reason is Reason.GATEWAY_PROCESSING
            case PaymentStatus.CREATED:
                return False
            case PaymentStatus.AWAITING_RETRY:
                return self.attempts_left > 0
            case _:
                return True


class Attempt(Message):
    """One try to take the money, written down before the gateway hears of it."""

    number: int
    method: str
    status: AttemptStatus
    decline_code: str | None = None
    charge_id: str | None = None
    card_fingerprint: str | None = None
    started_at: AwareDatetime
    ended_at: AwareDatetime | None = None


class Change(Message):
    """One step of a payment: everything that is written in its transaction.

    `reason` is the step's own, where the payment's does not change; `note` is for the shop's eyes:
    the evidence of a parked payment, an operator's words. A payment's first step brings the terms
    of its refunds along.
    """

    state: PaymentState
    actor: str
    reason: Reason | None = None
    note: str | None = None
    attempt: Attempt | None = None
    transfers: tuple[Transfer, ...] = ()
    request: RequestMark | None = None
    refund_policy: RefundPolicy | None = None


class Changes(Message):
    """Steps that are written together, in one transaction."""

    changes: tuple[Change, ...]


class Recorded(Message):
    """How a payment stands in the database, when some of what was to be written was there before.

    `taken` says whether it was these very steps: a repeat. Otherwise the payment has gone another
    way, and nothing was written. `evidence` is what a parked payment was found with last.
    """

    state: PaymentState
    attempt: Attempt | None
    taken: bool
    evidence: str | None = None
