"""Stripe's objects in our words."""

from datetime import UTC, datetime
from typing import Final

import stripe

from paysaga.domain.checkout import CheckoutSession, SessionStatus
from paysaga.domain.declines import Decline, decline_for
from paysaga.domain.intent import Intent, IntentStatus, MethodFacts
from paysaga.domain.message import Message
from paysaga.domain.money import from_gateway
from paysaga.domain.saved_method import AttachedMethod, Setup, SetupStatus

_CAME_TO_NOTHING: Final = frozenset({"failed", "canceled"})


class Refund(Message):
    """What the gateway says of a refund. Its amount is in minor units of the intent's currency."""

    id: str
    status: str
    failure_reason: str | None = None
    amount: int = 0


class Refunds(Message):
    """All refunds of one intent."""

    refunds: tuple[Refund, ...] = ()

    @property
    def given_back(self) -> int:
        """What has gone back, or is on its way."""
        return sum(
            refund.amount for refund in self.refunds if refund.status not in _CAME_TO_NOTHING
        )

    @property
    def ids(self) -> tuple[str, ...]:
        """All of them, whatever became of them."""
        return tuple(refund.id for refund in self.refunds)

    @property
    def lost(self) -> tuple[str, ...]:
        """Those that came to nothing."""
        return tuple(refund.id for refund in self.refunds if refund.status in _CAME_TO_NOTHING)


def as_intent(intent: stripe.PaymentIntent) -> Intent:
    """Stripe's PaymentIntent in our words.

    Raises:
        ValueError: A status that is not in our table; it is never guessed.
    """
    currency = intent.currency
    return Intent(
        id=intent.id,
        status=IntentStatus(intent.status),
        money=from_gateway(intent.amount, currency),
        received=from_gateway(intent.amount_received, currency).minor,
        capturable=from_gateway(intent.amount_capturable, currency).minor,
        capture_before=_capture_before(intent.latest_charge),
        customer_id=id_of(intent.customer),
        charge_id=id_of(intent.latest_charge),
        charged_at=_charged_at(intent.latest_charge),
        action_url=_action_url(intent),
        decline=_decline(intent),
        method=_method(intent.payment_method) or _declined_method(intent),
        payment_id=marked_payment(intent),
    )


def as_session(session: stripe.checkout.Session) -> CheckoutSession:
    """Stripe's Checkout Session in our words; its intent is told if it was expanded.

    Raises:
        ValueError: A status that is not in our table; it is never guessed.
    """
    intent = session.payment_intent
    return CheckoutSession(
        id=session.id,
        status=SessionStatus(session.status or ""),
        url=session.url,
        expires_at=datetime.fromtimestamp(session.expires_at, UTC),
        customer_id=id_of(session.customer),
        intent=as_intent(intent) if isinstance(intent, stripe.PaymentIntent) else None,
    )


def as_refund(refund: stripe.Refund) -> Refund:
    """Stripe's Refund in our words."""
    return Refund(
        id=refund.id,
        status=refund.status or "pending",
        failure_reason=getattr(refund, "failure_reason", None),
        amount=from_gateway(refund.amount, refund.currency).minor,
    )


def as_setup(setup: stripe.SetupIntent) -> Setup:
    """Stripe's SetupIntent in our words. A status that is not among them raises."""
    error = setup.last_setup_error
    decline = None
    if error is not None and setup.status == "requires_payment_method":
        decline = decline_for(
            error.code, getattr(error, "decline_code", None), getattr(error, "advice_code", None)
        )
    tried = setup.payment_method or getattr(error, "payment_method", None)
    return Setup(
        id=setup.id,
        status=SetupStatus(setup.status),
        customer_id=id_of(setup.customer),
        method_id=id_of(tried),
        facts=_method(tried),
        action_url=_action_url(setup),
        decline=decline,
    )


def as_attached(method: stripe.PaymentMethod) -> AttachedMethod:
    """Stripe's PaymentMethod in our words, with the customer who has it."""
    return AttachedMethod(id=method.id, customer_id=id_of(method.customer), facts=as_method(method))


def _capture_before(charge: str | stripe.Charge | None) -> datetime | None:
    """Until when the gateway holds the money, where it says so (a card's charge, expanded)."""
    if charge is None or isinstance(charge, str):
        return None
    card = getattr(charge.payment_method_details, "card", None)
    until = getattr(card, "capture_before", None)
    return datetime.fromtimestamp(until, UTC) if until is not None else None


def _charged_at(charge: str | stripe.Charge | None) -> datetime | None:
    if charge is None or isinstance(charge, str):
        return None
    return datetime.fromtimestamp(charge.created, UTC)


def _action_url(intent: stripe.PaymentIntent | stripe.SetupIntent) -> str | None:
    action = intent.next_action
    if action is None or action.redirect_to_url is None:
        return None
    return action.redirect_to_url.url


def _decline(intent: stripe.PaymentIntent) -> Decline | None:
    error = intent.last_payment_error
    # The last error stays on the intent after a later success.
    if error is None or intent.status != "requires_payment_method":
        return None
    return decline_for(
        error.code, getattr(error, "decline_code", None), getattr(error, "advice_code", None)
    )


def as_method(method: stripe.PaymentMethod) -> MethodFacts:
    """Stripe's PaymentMethod in our words. A bank account has no brand; PayPal, nothing to show."""
    card = getattr(method, "card", None)
    if card is None:
        bank = getattr(method, "sepa_debit", None)
        return MethodFacts(
            kind=method.type,
            last4=getattr(bank, "last4", None),
            fingerprint=getattr(bank, "fingerprint", None),
        )
    wallet = getattr(card, "wallet", None)
    return MethodFacts(
        kind=method.type,
        brand=card.brand,
        last4=card.last4,
        funding=card.funding,
        wallet=wallet.type if wallet else None,
        exp_month=card.exp_month,
        exp_year=card.exp_year,
        fingerprint=getattr(card, "fingerprint", None),
    )


def _method(method: str | stripe.PaymentMethod | None) -> MethodFacts | None:
    return None if method is None or isinstance(method, str) else as_method(method)


def _declined_method(intent: stripe.PaymentIntent) -> MethodFacts | None:
    """A decline takes the method off the intent; the error still shows it."""
    error = intent.last_payment_error
    return _method(getattr(error, "payment_method", None)) if error else None


def marked_payment(intent: stripe.PaymentIntent) -> str | None:
    """The payment that the intent says it belongs to."""
    return marks_of(intent).get("payment_id")


def marks_of(
    thing: stripe.PaymentIntent | stripe.SetupIntent | stripe.checkout.Session,
) -> dict[str, str]:
    """What we wrote on the gateway's object."""
    return thing.metadata.to_dict() if thing.metadata else {}


def id_of(thing: object) -> str | None:
    """The id of what may be expanded or not."""
    if thing is None or isinstance(thing, str):
        return thing
    return str(thing.id)  # type: ignore[attr-defined]  # an expanded object
