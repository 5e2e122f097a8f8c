"""What a fact means for a payment: the changes to record, and the only way that a status moves.

Everything here is a pure function of what is known. The workflow asks what has become of the
payment and gets the steps to write, none if there is nothing new; it never sets a status itself.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import assert_never

from paysaga.domain.captures import held, is_what_was_asked_for
from paysaga.domain.declines import Decline
from paysaga.domain.intent import CaptureMethod, Intent, IntentStatus
from paysaga.domain.ledger import captured, refunded
from paysaga.domain.money import Money
from paysaga.domain.payment import (
    MOVES,
    WITHOUT_MONEY,
    Attempt,
    AttemptStatus,
    Change,
    Fulfillment,
    Payment,
    PaymentState,
    PaymentStatus,
    RequestMark,
)
from paysaga.domain.reasons import Reason
from paysaga.domain.steps import (
    WORKFLOW,
    IllegalMove,
    attempt_ended,
    changed,
    known_by,
    moved,
    shown_by,
    through_processing,
    when_paid,
)


def attempt_after(changes: Sequence[Change], before: Attempt | None = None) -> Attempt:
    """The attempt as these changes leave it.

    Raises:
        ValueError: There is none yet.
    """
    attempt = next((change.attempt for change in reversed(changes) if change.attempt), before)
    if attempt is None:
        raise ValueError("no attempt has begun")
    return attempt


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
        is_hosted=payment.page is not None,
        fulfillment=Fulfillment.PENDING if payment.has_order_service else None,
        capture_method=payment.capture_method,
        renew_hold_until=payment.renew_hold_until,
        service_date=payment.service_date,
        refund_policy_id=payment.refund_policy_id,
        created_at=at,
        updated_at=at,
    )
    return Change(
        state=state,
        actor=payment.actor,
        request=payment.request,
        refund_policy=payment.refund_policy,
    )


def attempted(
    state: PaymentState,
    method: str,
    at: datetime,
    *,
    actor: str,
    request: RequestMark | None = None,
) -> tuple[Change, ...]:
    """The next attempt begins: one more is used, and the last one's decline is forgotten.

    So is the last one's page, and what came of it: until the next page is known, nobody may take
    the old one for it.
    """
    if state.attempts_left == 0:
        raise IllegalMove(f"{state.id} has no attempt left")
    attempt = Attempt(
        number=state.attempts_used + 1, method=method, status=AttemptStatus.STARTED, started_at=at
    )
    first = attempt.number == 1
    page = ("session_id", "intent_id", "charge_id", "method") if state.is_hosted else ()
    after = moved(
        state,
        PaymentStatus.PROCESSING,
        Reason.STARTED if first else Reason.RETRIED,
        at,
        attempts_used=attempt.number,
        decline=None,
        action_url=None,
        action_until=None,
        **dict.fromkeys(page),
    )
    return (Change(state=after, actor=actor, attempt=attempt, request=request),)


def noted(state: PaymentState, reason: Reason, at: datetime) -> tuple[Change, ...]:
    """The status stays, its reason is a new one (the gateway does not answer, say)."""
    if state.reason is reason:
        return ()
    return (changed(moved(state, state.status, reason, at)),)


def observed(
    state: PaymentState, intent: Intent, attempt: Attempt, at: datetime, action_window: timedelta
) -> tuple[Change, ...]:
    """What the gateway's word means for the payment: the changes to record, none if nothing is new.

    An intent that is not of this payment's amount and currency, or received another sum, decides
    nothing: it parks. So does one that holds money which was to be taken at once, and one whose
    money moves although the payment has ended without. A canceled one ends the payment: `ended`.
    """
    if state.status in WITHOUT_MONEY and intent.status is not IntentStatus.SUCCEEDED:
        return ()
    is_late = state.status in WITHOUT_MONEY
    if is_late or _is_not_ours(intent, state):
        found = state.model_copy(update={"intent_id": intent.id, "charge_id": intent.charge_id})
        reason = Reason.LATE_MONEY if is_late else Reason.GATEWAY_MISMATCH
        return parked(found, reason, at, shown(intent))
    known = known_by(state, intent)
    match intent.status:
        case IntentStatus.SUCCEEDED:
            return _paid(known, intent, attempt, at)
        case IntentStatus.REQUIRES_ACTION if intent.decline:
            # The new method was refused; the page is an earlier attempt's, and stays as good.
            return _declined(known, intent, attempt, at)
        case IntentStatus.REQUIRES_ACTION:
            return _action_required(known, intent, attempt, at, action_window)
        case IntentStatus.REQUIRES_CAPTURE:
            return held(known, intent, attempt, at)
        case IntentStatus.PROCESSING:
            return _gateway_processing(known, at)
        case IntentStatus.REQUIRES_PAYMENT_METHOD | IntentStatus.REQUIRES_CONFIRMATION:
            return _declined(known, intent, attempt, at)
        case IntentStatus.CANCELED:
            raise IllegalMove(f"{intent.status} is not an outcome of an attempt")
        case never:
            assert_never(never)


def timed_out(
    state: PaymentState, attempt: Attempt, decline: Decline, at: datetime
) -> tuple[Change, ...]:
    """The customer did not finish 3DS in time: the attempt is over; a late success still counts.

    The gateway's own page is over only when the gateway has closed it: `page_expired`.
    """
    in_time = state.action_until is not None and at < state.action_until
    if state.status is not PaymentStatus.REQUIRES_ACTION or in_time or state.is_hosted:
        return ()
    ended = attempt_ended(attempt, AttemptStatus.TIMED_OUT, at)
    return _back_to_the_customer(state, ended, Reason.AUTHENTICATION_TIMEOUT, at, decline)


def refused(
    state: PaymentState, attempt: Attempt, reason: Reason, at: datetime
) -> tuple[Change, ...]:
    """The attempt came to nothing before any money could move."""
    ended = attempt_ended(attempt, AttemptStatus.ABANDONED, at)
    return _back_to_the_customer(state, ended, reason, at, None)


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
    if state.status in WITHOUT_MONEY:
        return ()
    if intent is not None:
        state = known_by(state, intent)
    before: tuple[Change, ...] = ()
    over = attempt
    if attempt.ended_at is None:
        over = attempt_ended(attempt, AttemptStatus.ABANDONED, at)
    if status not in MOVES[state.status]:
        before = refused(state, attempt, Reason.ACTION_ENDED, at)
        state = before[-1].state
    after = moved(state, status, reason, at, action_url=None, action_until=None)
    return (*before, Change(state=after, actor=actor, attempt=over, request=request))


def answered(
    state: PaymentState, at: datetime, *, actor: str, request: RequestMark
) -> tuple[Change, ...]:
    """A request changed nothing, but it is to be known when it is repeated."""
    after = moved(state, state.status, state.reason, at)
    return (Change(state=after, actor=actor, request=request),)


def order_confirmed(state: PaymentState, at: datetime) -> tuple[Change, ...]:
    """The shop has taken the paid order."""
    if state.fulfillment is not Fulfillment.PENDING:
        return ()
    taken = {"fulfillment": Fulfillment.CONFIRMED}
    return (changed(moved(state, state.status, Reason.ORDER_CONFIRMED, at, **taken)),)


def owed_back(state: PaymentState, reason: Reason, at: datetime) -> tuple[Change, ...]:
    """All that was taken is to go back: the shop refuses the order, or the run was canceled."""
    owed = state.amount_captured - state.amount_refunded
    if owed == state.amount_refund_pending:
        return ()
    after = moved(
        state,
        state.status,
        reason,
        at,
        fulfillment=state.fulfillment and Fulfillment.REFUSED,
        amount_refund_pending=owed,
    )
    return (changed(after),)


def order_lost(state: PaymentState, at: datetime) -> tuple[Change, ...]:
    """The shop need not be told that it is paid: all that was taken has gone back meanwhile."""
    if state.fulfillment is not Fulfillment.PENDING:
        return ()
    refused = {"fulfillment": Fulfillment.REFUSED}
    return (changed(moved(state, state.status, Reason.REFUNDED, at, **refused)),)


def given_back(state: PaymentState, at: datetime) -> tuple[Change, ...]:
    """The gateway has given back what was pending."""
    amount = state.amount_refund_pending
    if amount == 0:
        return ()
    after = moved(
        state,
        state.status,
        Reason.REFUNDED,
        at,
        amount_refunded=state.amount_refunded + amount,
        amount_refund_pending=0,
    )
    back = refunded(state.id, Money(minor=amount, currency=state.money.currency))
    return (Change(state=after, actor=WORKFLOW, transfers=back),)


def parked(
    state: PaymentState, reason: Reason, at: datetime, evidence: str | None = None
) -> tuple[Change, ...]:
    """Nothing more is done by itself: a person must look. A parked payment stays parked."""
    if state.status is PaymentStatus.NEEDS_OPERATOR:
        return ()
    after = moved(
        state, PaymentStatus.NEEDS_OPERATOR, reason, at, action_url=None, action_until=None
    )
    return (changed(after).model_copy(update={"note": evidence}),)


def shown(intent: Intent) -> str:
    """What the gateway shows of the money, as evidence."""
    received = Money(minor=intent.received, currency=intent.money.currency)
    charge = f", charge {intent.charge_id}" if intent.charge_id else ""
    return f"the gateway shows {intent.id} {intent.status}: {received} of {intent.money}{charge}"


def _is_not_ours(intent: Intent, state: PaymentState) -> bool:
    match intent.status:
        case IntentStatus.SUCCEEDED:
            is_as_asked = is_what_was_asked_for(intent.received, state)
        case IntentStatus.REQUIRES_CAPTURE:
            is_manual = state.capture_method is CaptureMethod.MANUAL
            is_as_asked = is_manual and intent.capturable == state.money.minor
        case IntentStatus.PROCESSING | IntentStatus.CANCELED:
            is_as_asked = True
        case _:
            is_as_asked = not state.amount_authorized  # what was held has no way back
    return intent.money != state.money or not is_as_asked


def _back_to_the_customer(
    state: PaymentState, attempt: Attempt, reason: Reason, at: datetime, decline: Decline | None
) -> tuple[Change, ...]:
    before, now = through_processing(state, at)
    after = moved(now, PaymentStatus.AWAITING_RETRY, reason, at, decline=decline)
    return (*before, changed(after, attempt))


def _paid(
    state: PaymentState, intent: Intent, attempt: Attempt, at: datetime
) -> tuple[Change, ...]:
    if state.status is PaymentStatus.SUCCEEDED:
        return ()
    before, now = through_processing(state, at)
    booked = state.amount_captured == intent.received  # parked after it was paid, say
    after = moved(
        now,
        PaymentStatus.SUCCEEDED,
        Reason.PAID,
        at,
        amount_captured=intent.received,
        paid_at=state.paid_at if booked else when_paid(state, intent, at),
        decline=None,
        action_url=None,
        action_until=None,
    )
    won = attempt_ended(attempt, AttemptStatus.SUCCEEDED, at, **shown_by(intent))
    taken = Money(minor=intent.received, currency=intent.money.currency)
    money = () if booked else captured(state.id, taken)
    return (*before, changed(after, won, money))


def _action_required(
    state: PaymentState, intent: Intent, attempt: Attempt, at: datetime, window: timedelta
) -> tuple[Change, ...]:
    if state.status is not PaymentStatus.PROCESSING:
        return ()  # still waiting, or over its deadline: nothing new
    after = moved(
        state,
        PaymentStatus.REQUIRES_ACTION,
        Reason.AUTHENTICATION_REQUIRED,
        at,
        action_url=intent.action_url,
        action_until=min(at + window, state.retry_until),
    )
    waiting = attempt.model_copy(update={"status": AttemptStatus.REQUIRES_ACTION})
    return (changed(after, waiting),)


def _gateway_processing(state: PaymentState, at: datetime) -> tuple[Change, ...]:
    if state.status is PaymentStatus.PROCESSING and state.reason is Reason.GATEWAY_PROCESSING:
        return ()
    if state.status is PaymentStatus.AUTHORIZED:
        return ()  # it is being captured
    after = moved(
        state,
        PaymentStatus.PROCESSING,
        Reason.GATEWAY_PROCESSING,
        at,
        action_url=None,
        action_until=None,
    )
    return (changed(after),)


def _declined(
    state: PaymentState, intent: Intent, attempt: Attempt, at: datetime
) -> tuple[Change, ...]:
    if state.status is PaymentStatus.AWAITING_RETRY:
        return ()
    lost = attempt_ended(
        attempt,
        AttemptStatus.DECLINED,
        at,
        **shown_by(intent),
        decline_code=intent.decline.code if intent.decline else None,
    )
    return _back_to_the_customer(state, lost, Reason.DECLINED, at, intent.decline)
