"""A hold that would end too soon is replaced: the new one is there before the old one goes.

Meanwhile two intents may hold money. The payment's `intent_id` is the one that counts; the other
stands beside it in the row until the gateway has proved that it holds nothing.
"""

from datetime import datetime, timedelta
from typing import Final

from paysaga.domain.captures import REMINDER, hold_ends
from paysaga.domain.intent import Intent, IntentStatus
from paysaga.domain.payment import Change, PaymentState, PaymentStatus
from paysaga.domain.reasons import Reason
from paysaga.domain.steps import WORKFLOW, IllegalMove, changed, known_by, moved

# Later the shop is told, while there is time to capture what is held.
GIVE_UP_AFTER: Final = timedelta(hours=1)


def is_wanted(state: PaymentState) -> bool:
    """Whether the hold is to be replaced before it ends. Each is replaced, or tried to be, once."""
    ends, wanted = state.capture_until, state.renew_hold_until
    if state.status is not PaymentStatus.AUTHORIZED or ends is None or wanted is None:
        return False
    return ends < wanted and not state.renewal_failed


def is_due(state: PaymentState, at: datetime) -> bool:
    """Whether that is to be done now."""
    ends = state.capture_until
    return ends is not None and is_wanted(state) and at >= ends - REMINDER


def give_up_at(state: PaymentState, at: datetime) -> datetime:
    """Until when a renewal that begins now is asked for."""
    latest = at + GIVE_UP_AFTER
    return min(latest, state.capture_until or latest)


def began(state: PaymentState, intent: Intent, at: datetime) -> tuple[Change, ...]:
    """The new intent is there: from now on it may come to hold the money, too.

    Raises:
        IllegalMove: Another one may hold money still.
    """
    if intent.id in {state.intent_id, state.other_intent_id}:
        return ()
    if state.other_intent_open:
        raise IllegalMove(f"{state.id} has another intent already")
    after = moved(
        state,
        state.status,
        Reason.HOLD_RENEWING,
        at,
        other_intent_id=intent.id,
        other_intent_open=True,
    )
    return (changed(after),)


def why_not(state: PaymentState, intent: Intent, at: datetime) -> str:
    """What keeps the new hold from taking the old one's place; nothing if it is empty."""
    if intent.status is not IntentStatus.REQUIRES_CAPTURE:
        return intent.decline.code if intent.decline else f"the new hold is {intent.status}"
    if intent.money != state.money or intent.capturable != state.amount_authorized:
        return f"the new hold is of {intent.capturable} minor units of {intent.money}"
    # Else each hold would be replaced as soon as it is there.
    if state.capture_until is None or hold_ends(intent, at) - state.capture_until < REMINDER:
        return "the new hold would not last longer"
    return ""


def renewed(state: PaymentState, intent: Intent, at: datetime) -> tuple[Change, ...]:
    """The new hold counts, until the shop wants no hold any more; the old one is the other now."""
    if not _is_open_beside(state, intent.id):
        return ()
    ends = hold_ends(intent, at)
    beside = state.model_copy(update={"other_intent_id": state.intent_id})
    after = moved(
        known_by(beside, intent),
        state.status,
        Reason.HOLD_RENEWED,
        at,
        capture_until=min(ends, state.renew_hold_until or ends),
    )
    return (changed(after),)


def not_renewed(state: PaymentState, at: datetime, why: str) -> tuple[Change, ...]:
    """The old hold stays and ends when it does: the shop is told, a day before."""
    if state.status is not PaymentStatus.AUTHORIZED:
        return ()
    after = moved(state, state.status, Reason.HOLD_NOT_RENEWED, at, renewal_failed=True)
    return (changed(after).model_copy(update={"note": why}),)


def released(state: PaymentState, intent_id: str, at: datetime) -> tuple[Change, ...]:
    """The gateway shows that this other intent holds nothing (any more)."""
    if not _is_open_beside(state, intent_id):
        return ()
    after = moved(state, state.status, state.reason, at, other_intent_open=False)
    return (Change(state=after, actor=WORKFLOW, reason=Reason.OTHER_HOLD_RELEASED),)


def restored(state: PaymentState, intent_id: str, at: datetime) -> tuple[Change, ...]:
    """This other intent was captured behind our back: it is the one that counts."""
    if not _is_open_beside(state, intent_id):
        return ()
    after = moved(
        state,
        state.status,
        state.reason,
        at,
        intent_id=state.other_intent_id,
        other_intent_id=state.intent_id,
        charge_id=None,
    )
    return (Change(state=after, actor=WORKFLOW, reason=Reason.HOLD_RESTORED),)


def _is_open_beside(state: PaymentState, intent_id: str) -> bool:
    """Whether it is the other intent, and may hold money still.

    A run whose last task was lost may know less than the row: what it has to say of an intent is
    said of that one only.
    """
    return state.other_intent_open and state.other_intent_id == intent_id
