"""What of a payment would go back if its refund were asked for now."""

from datetime import datetime

from pydantic import AwareDatetime

from paysaga.domain.message import Message
from paysaga.domain.money import Money, percent_of
from paysaga.domain.payment import PaymentState, PaymentStatus
from paysaga.domain.refund_policy import Asker, RefundPolicy, promised


class RefundQuote(Message):
    """An amount, and how it comes about. It holds until (not at) `until`, if it ends at all.

    `left` is what could go back at most, were there no terms.
    """

    money: Money
    left: Money
    percent: int
    until: AwareDatetime | None
    why: str


def quoted(
    state: PaymentState,
    policy: RefundPolicy,
    asked_by: Asker,
    at: datetime,
    *,
    settled_elsewhere: bool = False,
) -> RefundQuote:
    """What goes back of this payment under these terms.

    If something was `settled_elsewhere`, by bank transfer say, nobody here knows how much.
    """
    currency = state.money.currency
    captured = Money(minor=state.amount_captured, currency=currency)
    gone = Money(minor=state.amount_refunded + state.amount_refund_pending, currency=currency)
    left = captured - gone
    nothing = RefundQuote(
        money=Money(minor=0, currency=currency), left=left, percent=0, until=None, why=""
    )
    if why := _why_nothing(state, left, settled_elsewhere=settled_elsewhere):
        return nothing.model_copy(update={"why": why})
    paid_at = state.paid_at or state.created_at
    percent, until, why = promised(policy, paid_at, state.service_date, asked_by, at)
    if gone.minor:
        why = f"{why} {gone} of it have been given back or are on their way."
    due = max(nothing.money, percent_of(captured, percent) - gone)
    return RefundQuote(money=due, left=left, percent=percent, until=until, why=why)


def _why_nothing(state: PaymentState, left: Money, *, settled_elsewhere: bool) -> str | None:
    match state.status:
        case PaymentStatus.NEEDS_OPERATOR:
            return "Nothing yet: we are checking this payment."
        case PaymentStatus.AUTHORIZED:
            return "Nothing: the money is only held. Cancel the payment, and it is let go."
    if not state.amount_captured:
        return "Nothing: no money was taken."
    if settled_elsewhere:
        return "Nothing by itself: a refund was settled in another way. Please ask the shop."
    return None if left.minor else "Nothing: all of it has been given back or is on its way."
