"""A payment: the words it is told in, its states, and the only ways from one to the next.

Everything here is a pure function of what is known: the workflow asks what a new fact means and
gets the changes to record; it never sets a status itself.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime, Field

from paysaga.domain.declines import Decline
from paysaga.domain.ledger import Transfer, captured, refunded
from paysaga.domain.message import Message
from paysaga.domain.money import Money


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


FINAL: Final = frozenset(
    {
        PaymentStatus.SUCCEEDED,
        PaymentStatus.FAILED,
        PaymentStatus.EXPIRED,
        PaymentStatus.CANCELED,
    }
)

_WITHOUT_MONEY: Final = FINAL - {PaymentStatus.SUCCEEDED}

# The order's slot is taken while one of these is true of its payment.
HOLDS_ORDER: Final = frozenset(PaymentStatus) - _WITHOUT_MONEY

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
    ACTION_ENDED = "action_ended"
    DECLINED = "declined"
    PAID = "paid"
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


class IntentStatus(StrEnum):
    """Stripe's own words for a PaymentIntent (its API reference, `status`)."""

    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_CONFIRMATION = "requires_confirmation"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    REQUIRES_CAPTURE = "requires_capture"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


class MethodFacts(Message):
    """What may be shown of the means of payment."""

    kind: str
    brand: str | None = None
    last4: str | None = None
    funding: str | None = None


class Intent(Message):
    """What the gateway says of our PaymentIntent: amounts already in our units."""

    id: str
    status: IntentStatus
    money: Money
    received: int = 0
    customer_id: str | None = None
    charge_id: str | None = None
    action_url: str | None = None
    decline: Decline | None = None
    method: MethodFacts | None = None


class Policy(Message):
    """The limits of one payment, pinned when it starts."""

    attempts: int = 3
    hold: timedelta = timedelta(hours=24)
    action_window: timedelta = timedelta(minutes=15)


class RequestMark(Message):
    """The client's request behind a change: a repeat is known by its key, a misuse by its body."""

    key: str
    fingerprint: str


class Payment(Message):
    """One order to be paid once: all that a run needs to know. Holds no personal data.

    The gateway sends the customer back to `gateway_return_url`, which is ours; from there they go
    on to the shop's `return_url` with nothing but the payment's id.
    """

    id: str
    order_id: str
    customer_id: str
    gateway_customer_id: str | None = None
    money: Money
    method: str
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
    """A payment as it stands after its `version`-th change: one row, one answer, one event."""

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
    intent_id: str | None = None
    gateway_customer_id: str | None = None
    charge_id: str | None = None
    fulfillment: Fulfillment | None = None
    amount_captured: int = 0
    amount_refunded: int = 0
    amount_refund_pending: int = 0
    created_at: AwareDatetime
    updated_at: AwareDatetime

    @property
    def attempts_left(self) -> int:
        """How many more attempts the customer may make; none once the payment is final."""
        if self.status in FINAL:
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
    started_at: AwareDatetime
    ended_at: AwareDatetime | None = None


class Change(Message):
    """One step of a payment: everything that is written in its transaction."""

    state: PaymentState
    actor: str
    attempt: Attempt | None = None
    transfers: tuple[Transfer, ...] = ()
    request: RequestMark | None = None


class Changes(Message):
    """Steps that are written together, in one transaction."""

    changes: tuple[Change, ...]


class Recorded(Message):
    """How a payment stands in the database, when some of what was to be written was there before.

    `taken` says whether it was these very steps: a repeat. Otherwise the payment has gone another
    way, and nothing was written.
    """

    state: PaymentState
    attempt: Attempt | None
    taken: bool


class IllegalMove(ValueError):
    """A bug: the state machine has no such step."""


def opened(payment: Payment, at: datetime) -> Change:
    """The payment's first row: nothing has been asked of anybody yet."""
    state = PaymentState(
        id=payment.id,
        version=1,
        order_id=payment.order_id,
        customer_id=payment.customer_id,
        money=payment.money,
        status=PaymentStatus.CREATED,
        reason=Reason.STARTED,
        description=payment.description,
        return_url=payment.return_url,
        metadata=payment.metadata,
        request_fingerprint=payment.request.fingerprint,
        correlation_id=payment.correlation_id,
        attempts_allowed=payment.policy.attempts,
        retry_until=at + payment.policy.hold,
        gateway_customer_id=payment.gateway_customer_id,
        fulfillment=Fulfillment.PENDING if payment.has_order_service else None,
        created_at=at,
        updated_at=at,
    )
    return Change(state=state, actor=payment.actor, request=payment.request)


def attempted(
    state: PaymentState,
    method: str,
    at: datetime,
    *,
    actor: str,
    request: RequestMark | None = None,
) -> tuple[Change, Attempt]:
    """The next attempt begins: one more is used, and the last one's decline is forgotten."""
    if state.attempts_left == 0:
        raise IllegalMove(f"{state.id} has no attempt left")
    attempt = Attempt(
        number=state.attempts_used + 1, method=method, status=AttemptStatus.STARTED, started_at=at
    )
    first = attempt.number == 1
    moved = _moved(
        state,
        PaymentStatus.PROCESSING,
        Reason.STARTED if first else Reason.RETRIED,
        at,
        attempts_used=attempt.number,
        decline=None,
        action_url=None,
        action_until=None,
    )
    return Change(state=moved, actor=actor, attempt=attempt, request=request), attempt


def noted(state: PaymentState, reason: Reason, at: datetime) -> tuple[Change, ...]:
    """The status stays, its reason is a new one (the gateway does not answer, say)."""
    if state.reason is reason:
        return ()
    return (_change(_moved(state, state.status, reason, at)),)


def observed(
    state: PaymentState, intent: Intent, attempt: Attempt, at: datetime, action_window: timedelta
) -> tuple[tuple[Change, ...], Attempt]:
    """What the gateway's word means for the payment: the changes to record, none if nothing is new.

    An intent that is not of this payment's amount and currency, or received another sum, decides
    nothing: it parks. So does one that asks for a capture, which we never ask for, and one whose
    money moves although the payment has ended without. A canceled one ends the payment: `ended`.
    """
    if state.status in _WITHOUT_MONEY and intent.status is not IntentStatus.SUCCEEDED:
        return (), attempt
    if state.status in _WITHOUT_MONEY or _is_not_ours(intent, state):
        found = state.model_copy(update={"intent_id": intent.id, "charge_id": intent.charge_id})
        return parked(found, Reason.GATEWAY_MISMATCH, at), attempt
    known = _known_by(state, intent)
    match intent.status:
        case IntentStatus.SUCCEEDED:
            return _paid(known, intent, attempt, at)
        case IntentStatus.REQUIRES_ACTION:
            return _action_required(known, intent, attempt, at, action_window)
        case IntentStatus.PROCESSING:
            return _gateway_processing(known, at), attempt
        case IntentStatus.REQUIRES_PAYMENT_METHOD | IntentStatus.REQUIRES_CONFIRMATION:
            return _declined(known, intent, attempt, at)
        case IntentStatus.CANCELED | IntentStatus.REQUIRES_CAPTURE:
            raise IllegalMove(f"{intent.status} is not an outcome of an attempt")


def timed_out(
    state: PaymentState, attempt: Attempt, decline: Decline, at: datetime
) -> tuple[tuple[Change, ...], Attempt]:
    """The customer did not finish 3DS in time: the attempt is over; a late success still counts."""
    if state.status is not PaymentStatus.REQUIRES_ACTION:
        return (), attempt
    ended = _ended(attempt, AttemptStatus.TIMED_OUT, at)
    return _back_to_the_customer(state, ended, Reason.AUTHENTICATION_TIMEOUT, at, decline), ended


def refused(
    state: PaymentState, attempt: Attempt, reason: Reason, at: datetime
) -> tuple[tuple[Change, ...], Attempt]:
    """The attempt came to nothing before any money could move."""
    ended = _ended(attempt, AttemptStatus.ABANDONED, at)
    return _back_to_the_customer(state, ended, reason, at, None), ended


def ended(
    state: PaymentState,
    attempt: Attempt,
    status: PaymentStatus,
    reason: Reason,
    at: datetime,
    *,
    intent: Intent | None,
    actor: str,
    request: RequestMark | None = None,
) -> tuple[Change, ...]:
    """The payment is over without money: the gateway has canceled the intent, or never made it."""
    if state.status in _WITHOUT_MONEY:
        return ()
    if intent is not None:
        state = _known_by(state, intent)
    before: tuple[Change, ...] = ()
    over = attempt
    if attempt.ended_at is None:
        over = _ended(attempt, AttemptStatus.ABANDONED, at)
    if status not in MOVES[state.status]:
        before, over = refused(state, attempt, Reason.ACTION_ENDED, at)
        state = before[-1].state
    moved = _moved(state, status, reason, at, action_url=None, action_until=None)
    return (*before, Change(state=moved, actor=actor, attempt=over, request=request))


def answered(
    state: PaymentState, at: datetime, *, actor: str, request: RequestMark
) -> tuple[Change, ...]:
    """A request changed nothing, but it is to be known when it is repeated."""
    moved = _moved(state, state.status, state.reason, at)
    return (Change(state=moved, actor=actor, request=request),)


def order_confirmed(state: PaymentState, at: datetime) -> tuple[Change, ...]:
    """The shop has taken the paid order."""
    if state.fulfillment is not Fulfillment.PENDING:
        return ()
    taken = {"fulfillment": Fulfillment.CONFIRMED}
    return (_change(_moved(state, state.status, Reason.ORDER_CONFIRMED, at, **taken)),)


def owed_back(state: PaymentState, reason: Reason, at: datetime) -> tuple[Change, ...]:
    """All that was taken is to go back: the shop refuses the order, or the run was canceled."""
    owed = state.amount_captured - state.amount_refunded
    if owed == state.amount_refund_pending:
        return ()
    moved = _moved(
        state,
        state.status,
        reason,
        at,
        fulfillment=state.fulfillment and Fulfillment.REFUSED,
        amount_refund_pending=owed,
    )
    return (_change(moved),)


def given_back(state: PaymentState, at: datetime) -> tuple[Change, ...]:
    """The gateway has given back what was pending."""
    amount = state.amount_refund_pending
    if amount == 0:
        return ()
    moved = _moved(
        state,
        state.status,
        Reason.REFUNDED,
        at,
        amount_refunded=state.amount_refunded + amount,
        amount_refund_pending=0,
    )
    back = refunded(state.id, Money(minor=amount, currency=state.money.currency))
    return (Change(state=moved, actor=WORKFLOW, transfers=back),)


def parked(state: PaymentState, reason: Reason, at: datetime) -> tuple[Change, ...]:
    """Nothing more is done by itself: a person must look. A parked payment stays parked."""
    if state.status is PaymentStatus.NEEDS_OPERATOR:
        return ()
    moved = _moved(
        state, PaymentStatus.NEEDS_OPERATOR, reason, at, action_url=None, action_until=None
    )
    return (_change(moved),)


WORKFLOW: Final = "workflow"


def _moved(
    state: PaymentState, status: PaymentStatus, reason: Reason, at: datetime, **changes: object
) -> PaymentState:
    if status is not state.status and status not in MOVES[state.status]:
        raise IllegalMove(f"{state.id} cannot go from {state.status} to {status}")
    return state.model_copy(
        update={
            **changes,
            "status": status,
            "reason": reason,
            "version": state.version + 1,
            "updated_at": at,
        }
    )


def _change(
    state: PaymentState, attempt: Attempt | None = None, transfers: tuple[Transfer, ...] = ()
) -> Change:
    return Change(state=state, actor=WORKFLOW, attempt=attempt, transfers=transfers)


def _ended(attempt: Attempt, status: AttemptStatus, at: datetime, **facts: object) -> Attempt:
    return attempt.model_copy(update={"status": status, "ended_at": at, **facts})


def _known_by(state: PaymentState, intent: Intent) -> PaymentState:
    """The gateway's names for the payment and what belongs to it."""
    return state.model_copy(
        update={
            "intent_id": intent.id,
            "gateway_customer_id": intent.customer_id or state.gateway_customer_id,
            "charge_id": intent.charge_id or state.charge_id,
            "method": intent.method or state.method,
        }
    )


def _is_not_ours(intent: Intent, state: PaymentState) -> bool:
    other_sum = intent.status is IntentStatus.SUCCEEDED and intent.received != state.money.minor
    asks_for_capture = intent.status is IntentStatus.REQUIRES_CAPTURE
    return intent.money != state.money or other_sum or asks_for_capture


def _through_processing(
    state: PaymentState, at: datetime
) -> tuple[tuple[Change, ...], PaymentState]:
    """From `requires_action` and from a parked payment every way leads through `processing`."""
    if state.status not in {PaymentStatus.REQUIRES_ACTION, PaymentStatus.NEEDS_OPERATOR}:
        return (), state
    moved = _moved(
        state,
        PaymentStatus.PROCESSING,
        Reason.ACTION_ENDED,
        at,
        action_url=None,
        action_until=None,
    )
    return (_change(moved),), moved


def _back_to_the_customer(
    state: PaymentState, attempt: Attempt, reason: Reason, at: datetime, decline: Decline | None
) -> tuple[Change, ...]:
    before, now = _through_processing(state, at)
    moved = _moved(now, PaymentStatus.AWAITING_RETRY, reason, at, decline=decline)
    return (*before, _change(moved, attempt))


def _paid(
    state: PaymentState, intent: Intent, attempt: Attempt, at: datetime
) -> tuple[tuple[Change, ...], Attempt]:
    if state.status is PaymentStatus.SUCCEEDED:
        return (), attempt
    before, now = _through_processing(state, at)
    moved = _moved(
        now,
        PaymentStatus.SUCCEEDED,
        Reason.PAID,
        at,
        amount_captured=intent.received,
        decline=None,
        action_url=None,
        action_until=None,
    )
    won = _ended(attempt, AttemptStatus.SUCCEEDED, at, charge_id=intent.charge_id)
    booked = state.amount_captured == intent.received  # parked after it was paid, say
    money = () if booked else captured(state.id, intent.money)
    return (*before, _change(moved, won, money)), won


def _action_required(
    state: PaymentState, intent: Intent, attempt: Attempt, at: datetime, window: timedelta
) -> tuple[tuple[Change, ...], Attempt]:
    if state.status is not PaymentStatus.PROCESSING:
        return (), attempt  # still waiting, or over its deadline: nothing new
    moved = _moved(
        state,
        PaymentStatus.REQUIRES_ACTION,
        Reason.AUTHENTICATION_REQUIRED,
        at,
        action_url=intent.action_url,
        action_until=min(at + window, state.retry_until),
    )
    waiting = attempt.model_copy(update={"status": AttemptStatus.REQUIRES_ACTION})
    return (_change(moved, waiting),), waiting


def _gateway_processing(state: PaymentState, at: datetime) -> tuple[Change, ...]:
    if state.status is PaymentStatus.PROCESSING and state.reason is Reason.GATEWAY_PROCESSING:
        return ()
    moved = _moved(
        state,
        PaymentStatus.PROCESSING,
        Reason.GATEWAY_PROCESSING,
        at,
        action_url=None,
        action_until=None,
    )
    return (_change(moved),)


def _declined(
    state: PaymentState, intent: Intent, attempt: Attempt, at: datetime
) -> tuple[tuple[Change, ...], Attempt]:
    if state.status is PaymentStatus.AWAITING_RETRY:
        return (), attempt
    lost = _ended(
        attempt,
        AttemptStatus.DECLINED,
        at,
        charge_id=intent.charge_id,
        decline_code=intent.decline.code if intent.decline else None,
    )
    return _back_to_the_customer(state, lost, Reason.DECLINED, at, intent.decline), lost
