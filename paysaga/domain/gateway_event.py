"""What an event of the gateway means for a payment. It is a nudge: its words are never the truth.

Events come in any order, often, late or never, and may be about anything in the account (Stripe:
"Receive Stripe events in your webhook endpoint"). So an event never moves a payment. It only tells
whether somebody has to look at the gateway now: the payment's run, its repair, or nobody.
"""

import re
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, TypeGuard

from pydantic import BaseModel, ConfigDict, Field

from paysaga.domain.money import Money, from_gateway
from paysaga.domain.payment import WITHOUT_MONEY, Fulfillment, PaymentState, PaymentStatus
from paysaga.domain.reasons import Reason

# The kinds of event that a payment's run waits for (Stripe's API reference, "Types of events").
NUDGES: Final = frozenset(
    {
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
        "payment_intent.canceled",
        "payment_intent.processing",
        "payment_intent.requires_action",
        "payment_intent.amount_capturable_updated",
        "checkout.session.completed",
        "checkout.session.expired",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
        "charge.refunded",
        "charge.refund.updated",
        "refund.updated",
        "refund.failed",
    }
)

# While a payment's own call is under way its events come before the call's answer, which tells the
# same. They are looked at again when this is over.
OWN_CALL: Final = timedelta(seconds=5)

_WORD: Final = r"^[A-Za-z0-9_-]{1,255}$"
_NO_REFUND: Final = ("failed", "canceled")  # compared with whatever an event holds
_WAITING: Final = frozenset(
    {
        PaymentStatus.REQUIRES_ACTION,
        PaymentStatus.AWAITING_RETRY,
        PaymentStatus.AUTHORIZED,
        PaymentStatus.NEEDS_OPERATOR,
    }
)


class Flag(StrEnum):
    """What an event says that is not ours. It is kept and shown, and has no effect."""

    OTHER_MODE = "other_mode"
    OTHER_ACCOUNT = "other_account"
    OTHER_INTENT = "other_intent"
    OTHER_CURRENCY = "other_currency"
    OTHER_AMOUNT = "other_amount"


class Duty(StrEnum):
    """Who has to look at the gateway."""

    RUN = "run"
    REPAIR = "repair"
    LATER = "later"
    NOBODY = "nobody"


class About(BaseModel):
    """The gateway's object that an event is about, as far as we read it. Its form is not ours."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: Any = None
    object: Any = None
    status: Any = None
    amount: Any = None
    amount_total: Any = None
    amount_refunded: Any = None
    currency: Any = None
    latest_charge: Any = None
    payment_intent: Any = None
    charge: Any = None
    metadata: Any = None

    @property
    def ids(self) -> list[str]:
        """The gateway's names for what it is about."""
        return [name for name in (self.id, self.payment_intent, self.charge) if is_word(name)]

    @property
    def intent_id(self) -> str | None:
        """The intent that it is, or belongs to."""
        named = self.id if self.object == "payment_intent" else self.payment_intent
        return named if is_word(named) else None

    def mark(self, name: str) -> str | None:
        """One of our own words, which we wrote on the object when we made it."""
        word = self.metadata.get(name) if isinstance(self.metadata, dict) else None
        return word if is_word(word) else None

    def money(self, amount: Any) -> Money | None:
        """This amount of it; `None` if it cannot be read."""
        if type(amount) is not int or not isinstance(self.currency, str):
            return None
        try:
            return from_gateway(amount, self.currency)
        except ValueError:
            return None


class _Data(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    object: About = About()


class GatewayEvent(BaseModel):
    """What we read of an event; the rest is only kept."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str = Field(pattern=_WORD)
    type: str = Field(pattern=r"^[a-z0-9_.]{1,255}$")
    livemode: bool = False
    account: Any = None
    api_version: str | None = Field(default=None, pattern=r"^[a-z0-9_.-]{1,64}$")
    data: _Data = _Data()

    @property
    def about(self) -> About:
        """The object that it is about."""
        return self.data.object

    @property
    def tells_of_a_lost_refund(self) -> bool:
        """Whether money that was on its way back to the customer does not arrive."""
        is_update = self.type in {"refund.updated", "charge.refund.updated"}
        return self.type == "refund.failed" or (is_update and self.about.status in _NO_REFUND)


def is_word(value: object) -> TypeGuard[str]:
    """Whether it can be an id."""
    return isinstance(value, str) and re.fullmatch(_WORD, value) is not None


def foreign(event: GatewayEvent, *, livemode: bool) -> Flag | None:
    """Why the event is not from our side of the gateway: its mode, or a connected account."""
    if event.livemode is not livemode:
        return Flag.OTHER_MODE
    return Flag.OTHER_ACCOUNT if event.account is not None else None


def contradicts(event: GatewayEvent, state: PaymentState) -> Flag | None:
    """Where the event is about another intent or other money than the payment.

    A parked payment may be contradicted: that is often why it is parked, and its repair looks.
    """
    about = event.about
    if state.status is PaymentStatus.NEEDS_OPERATOR:
        return None
    known = {None, state.intent_id, state.other_intent_id}
    if state.intent_id is not None and about.intent_id not in known:
        return Flag.OTHER_INTENT
    if isinstance(about.currency, str) and about.currency.upper() != state.money.currency:
        return Flag.OTHER_CURRENCY
    amount = about.amount_total if about.object == "checkout.session" else about.amount
    if amount is None:
        return None
    told = about.money(amount)
    is_part = about.object == "refund"  # of which there may be several
    if told is None or (told > state.money if is_part else told != state.money):
        return Flag.OTHER_AMOUNT
    return None


def waits(state: PaymentState) -> bool:
    """Whether news from the gateway would tell the payment's run something.

    A payment whose own call is under way learns from that call, and a final one needs nothing.
    """
    if state.status is PaymentStatus.PROCESSING:
        return state.reason is Reason.GATEWAY_PROCESSING
    return state.status in _WAITING or state.amount_refund_pending > 0


def duty(event: GatewayEvent, state: PaymentState, age: timedelta) -> Duty:
    """Who has to look, as the payment stands; `age` is how long we have had the event."""
    if state.status is PaymentStatus.NEEDS_OPERATOR:
        return Duty.REPAIR
    if waits(state):
        return Duty.NOBODY if _repeats(event, state) else Duty.RUN
    if not state.is_over:
        return Duty.LATER if age < OWN_CALL else Duty.RUN
    if not _is_news(event, state):
        return Duty.NOBODY
    # Its run still tells the shop: a repair beside it would tell the shop, too.
    return Duty.RUN if state.fulfillment is Fulfillment.PENDING else Duty.REPAIR


def duty_without_run(event: GatewayEvent, state: PaymentState) -> Duty:
    """The same, when the payment's run is over: nobody but a repair would ever look."""
    is_open = not state.is_over or state.amount_refund_pending > 0
    parked = state.status is PaymentStatus.NEEDS_OPERATOR
    return Duty.REPAIR if is_open or parked or _is_news(event, state) else Duty.NOBODY


def _repeats(event: GatewayEvent, state: PaymentState) -> bool:
    """Whether it only tells what our own call has just told."""
    match event.type:
        case "payment_intent.requires_action":
            return state.status is PaymentStatus.REQUIRES_ACTION
        case "payment_intent.amount_capturable_updated":
            return state.status is PaymentStatus.AUTHORIZED
        case "payment_intent.processing":
            return state.reason is Reason.GATEWAY_PROCESSING
        case "payment_intent.payment_failed":
            charge = event.about.latest_charge
            known = is_word(charge) and charge == state.charge_id
            if state.is_hosted and state.status is PaymentStatus.REQUIRES_ACTION:
                return True  # a decline on a page that is still open
            return known and state.status is PaymentStatus.AWAITING_RETRY
        case "checkout.session.expired":
            return state.session_id != event.about.id or state.reason is Reason.CHECKOUT_EXPIRED
        case _:
            return False


def _is_news(event: GatewayEvent, state: PaymentState) -> bool:
    """Whether a payment that is over does not know it: the gateway is to be compared with it."""
    if state.status in WITHOUT_MONEY and state.reason is Reason.REFUNDED:
        return event.tells_of_a_lost_refund  # its money came and went
    other = state.other_intent_id
    is_beside = other is not None and event.about.intent_id == other
    match event.type:
        case (
            "payment_intent.succeeded"
            | "payment_intent.amount_capturable_updated"
            | "checkout.session.completed"
            | "checkout.session.async_payment_succeeded"
        ):
            return state.status in WITHOUT_MONEY or (is_beside and state.other_intent_open)
        case "payment_intent.canceled":
            return state.status is PaymentStatus.SUCCEEDED and not is_beside
        case "charge.refunded":
            told = event.about.money(event.about.amount_refunded)
            return told is None or told.minor > state.amount_refunded
        case _:
            return event.tells_of_a_lost_refund
