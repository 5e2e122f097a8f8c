"""The gateway's hosted page: a Checkout Session in our words, and what it means for a payment."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime

from paysaga.domain.intent import Intent, IntentStatus
from paysaga.domain.message import Message
from paysaga.domain.payment import Attempt, AttemptStatus, Change, PaymentState, PaymentStatus
from paysaga.domain.reasons import Reason
from paysaga.domain.steps import attempt_ended, changed, moved, through_processing

# What an attempt on the gateway's page has in place of a payment method.
ON_THE_PAGE: Final = "checkout_session"
# So long a customer has for the page. The gateway is told a little more: it takes no less than half
# an hour from the moment at which it hears of it (Stripe's API reference, `expires_at`).
LIFE: Final = timedelta(minutes=30)
LONGER_AT_THE_GATEWAY: Final = timedelta(minutes=5)

# The intent has the customer's money, or soon may.
_MOVING: Final = frozenset(
    {IntentStatus.PROCESSING, IntentStatus.REQUIRES_CAPTURE, IntentStatus.SUCCEEDED}
)
# No way leads from here to the money once the customer has left the page.
_CAME_TO_NOTHING: Final = frozenset({IntentStatus.REQUIRES_PAYMENT_METHOD, IntentStatus.CANCELED})


class SessionStatus(StrEnum):
    """Stripe's own words for a Checkout Session (its API reference, `status`)."""

    OPEN = "open"
    COMPLETE = "complete"
    EXPIRED = "expired"


class CheckoutSession(Message):
    """What the gateway says of one hosted page. Its intent is made when somebody pays on it."""

    id: str
    status: SessionStatus
    url: str | None = None
    expires_at: AwareDatetime
    customer_id: str | None = None
    intent: Intent | None = None

    @property
    def outcome(self) -> Intent | None:
        """The intent that tells what became of the page; what goes wrong on an open one does not.

        A customer whose card is declined there tries another one on the same page. One who has
        left a complete page with something still to do (a voucher to be paid at a counter, say)
        has done their part: the money is on its way, or will bounce.
        """
        intent = self.intent
        if intent is None or intent.status in _MOVING:
            return intent
        if self.status is not SessionStatus.COMPLETE:
            return None
        if intent.status in _CAME_TO_NOTHING:
            return intent
        return intent.model_copy(update={"status": IntentStatus.PROCESSING, "action_url": None})

    @property
    def is_without_money(self) -> bool:
        """Whether nobody can pay on it any more, and nobody has."""
        if self.status is SessionStatus.OPEN:
            return False
        if self.intent is None:
            return self.status is SessionStatus.EXPIRED
        # A customer may still be at their bank although the page has expired.
        return self.intent.status in _CAME_TO_NOTHING


def page_opened(
    state: PaymentState, session: CheckoutSession, attempt: Attempt, at: datetime
) -> tuple[Change, ...]:
    """The customer is to go to the page."""
    if state.status is not PaymentStatus.PROCESSING:
        return ()
    after = moved(
        state,
        PaymentStatus.REQUIRES_ACTION,
        Reason.CHECKOUT_OPEN,
        at,
        session_id=session.id,
        gateway_customer_id=session.customer_id or state.gateway_customer_id,
        action_url=session.url,
        action_until=min(session.expires_at - LONGER_AT_THE_GATEWAY, state.retry_until),
    )
    waiting = attempt.model_copy(update={"status": AttemptStatus.REQUIRES_ACTION})
    return (changed(after, waiting),)


def page_expired(state: PaymentState, attempt: Attempt, at: datetime) -> tuple[Change, ...]:
    """The gateway has closed the page, and nobody has paid on it: the attempt is over."""
    if state.status is not PaymentStatus.REQUIRES_ACTION:
        return ()
    before, now = through_processing(state, at)
    after = moved(now, PaymentStatus.AWAITING_RETRY, Reason.CHECKOUT_EXPIRED, at)
    over = attempt_ended(attempt, AttemptStatus.TIMED_OUT, at)
    return (*before, changed(after, over))


def shown_page(session: CheckoutSession) -> str:
    """What the gateway shows of the page, as evidence."""
    told = f", {session.intent.id} {session.intent.status}" if session.intent else ""
    return f"the gateway shows {session.id} {session.status}{told}"
