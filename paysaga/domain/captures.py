"""Money that the gateway holds for us until we take it, or part of it, or let it go."""

from datetime import datetime, timedelta
from typing import Final

from paysaga.domain.intent import CaptureMethod, Intent
from paysaga.domain.payment import (
    Attempt,
    AttemptStatus,
    Change,
    PaymentState,
    PaymentStatus,
    RequestMark,
)
from paysaga.domain.reasons import Reason
from paysaga.domain.steps import attempt_ended, changed, moved, shown_by, through_processing

# How long an authorization lasts if the gateway does not say, from the charge on (Stripe: "Place a
# hold on a payment method" and "Separate authorization and capture with PayPal"). Others' holds
# are longer than a card's, or not offered: a hold must never be believed longer than it is.
HELD_FOR: Final = timedelta(days=7)
HELD_BY_PAYPAL: Final = timedelta(days=10)
# A hold is let go before the gateway does: a capture must not meet its end.
MARGIN: Final = timedelta(hours=1)
REMINDER: Final = timedelta(hours=24)
_REMINDED: Final = frozenset({Reason.HOLD_ENDS_SOON, Reason.HOLD_NOT_RENEWED})


def held(state: PaymentState, intent: Intent, attempt: Attempt, at: datetime) -> tuple[Change, ...]:
    """The gateway holds the customer's money for us."""
    if state.status is PaymentStatus.AUTHORIZED:
        return ()
    before, now = through_processing(state, at)
    after = moved(
        now,
        PaymentStatus.AUTHORIZED,
        Reason.AUTHORIZED,
        at,
        amount_authorized=intent.capturable,
        capture_until=hold_ends(intent, at),
        decline=None,
        action_url=None,
        action_until=None,
    )
    won = attempt_ended(attempt, AttemptStatus.SUCCEEDED, at, **shown_by(intent))
    return (*before, changed(after, won))


def hold_ends_soon(state: PaymentState, at: datetime) -> tuple[Change, ...]:
    """The shop is reminded, once, that the money will not be held much longer."""
    if state.status is not PaymentStatus.AUTHORIZED or state.reason in _REMINDED:
        return ()
    return (changed(moved(state, state.status, Reason.HOLD_ENDS_SOON, at)),)


def capture_asked(
    state: PaymentState, amount: int | None, at: datetime, actor: str, request: RequestMark
) -> tuple[Change, ...]:
    """So much of what is held is to be taken, all of it if nothing else is said.

    What is held no more is only known to be asked for.
    """
    if state.status is not PaymentStatus.AUTHORIZED:
        after = moved(state, state.status, state.reason, at)
    else:
        wanted = state.amount_authorized if amount is None else amount
        reason = Reason.CAPTURE_REQUESTED
        after = moved(state, state.status, reason, at, amount_to_capture=wanted)
    return (Change(state=after, actor=actor, request=request),)


def capture_refused(state: PaymentState, at: datetime, why: str) -> tuple[Change, ...]:
    """The gateway will not take it, and holds the money still."""
    if state.status is not PaymentStatus.AUTHORIZED or state.amount_to_capture is None:
        return ()
    after = moved(state, state.status, Reason.CAPTURE_REFUSED, at, amount_to_capture=None)
    return (changed(after).model_copy(update={"note": why}),)


def is_what_was_asked_for(received: int, state: PaymentState) -> bool:
    """All of it; of what was held also a part, ours if we asked for one, else the dashboard's."""
    if state.capture_method is CaptureMethod.AUTOMATIC or not state.amount_authorized:
        return received == state.money.minor
    if state.amount_to_capture is not None:
        return received == state.amount_to_capture
    return 0 < received <= state.amount_authorized


def hold_ends(intent: Intent, at: datetime) -> datetime:
    """When the money has to be captured or let go, a little before the gateway lets it go."""
    return max(_held_until(intent, at) - MARGIN, at)


def _held_until(intent: Intent, at: datetime) -> datetime:
    if intent.capture_before:
        return intent.capture_before
    is_paypal = intent.method is not None and intent.method.kind == "paypal"
    # A hold that an unanswered call had made is as old as its charge.
    return (intent.charged_at or at) + (HELD_BY_PAYPAL if is_paypal else HELD_FOR)
