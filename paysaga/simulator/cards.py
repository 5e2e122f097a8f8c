"""Stripe's test cards and what each of them does (docs.stripe.com/testing)."""

from dataclasses import dataclass
from enum import StrEnum

from paysaga.simulator.declines import DECLINES, Decline


class Authentication(StrEnum):
    """When a method sends the customer to authenticate."""

    NEVER = "never"
    IF_ASKED = "if_asked"
    ALWAYS = "always"
    UNLESS_SET_UP = "unless_set_up"  # on-session always; off-session not after a set-up
    ON_SESSION = "on_session"  # set up from birth: only off-session passes without
    LOOKUP_FAILS = "lookup_fails"  # required, but the directory server is broken


@dataclass(frozen=True, slots=True)
class Card:
    """One row of the table. `names` are what follows `pm_card_` in a token."""

    number: str
    names: tuple[str, ...]
    brand: str = "visa"
    funding: str = "credit"
    country: str = "US"
    decline: Decline | None = None
    attaches: bool = True
    authentication: Authentication = Authentication.NEVER
    refund: str | None = None
    dispute: str | None = None  # the reason that the cardholder gives
    inquiry: bool = False  # their bank only asks


_A = Authentication


def _declining(number: str, name: str, decline: str, *, attaches: bool = False) -> Card:
    return Card(number, (name,), decline=DECLINES[decline], attaches=attaches)


_CARDS = (
    Card("4242424242424242", ("visa", "us")),
    Card("4000056655665556", ("visa_debit",), funding="debit"),
    Card("5555555555554444", ("mastercard",), brand="mastercard"),
    Card("2223003122003222", (), brand="mastercard"),
    Card("5200828282828210", ("mastercard_debit",), brand="mastercard", funding="debit"),
    Card("5105105105105100", ("mastercard_prepaid",), brand="mastercard", funding="prepaid"),
    Card("378282246310005", ("amex",), brand="amex"),
    Card("371449635398431", (), brand="amex"),
    Card("6011111111111117", ("discover",), brand="discover"),
    Card("3056930009020004", ("diners",), brand="diners"),
    Card("3566002020360505", ("jcb",), brand="jcb", country="JP"),
    Card("6200000000000005", ("unionpay",), brand="unionpay", country="CN"),
    Card("4000002760000016", ("de",), country="DE"),
    Card("4000002500000003", ("fr",), country="FR"),
    Card("4000008260000000", ("gb",), country="GB"),
    _declining("4000000000000002", "chargeDeclined", "generic_decline"),
    _declining("4000000000009995", "chargeDeclinedInsufficientFunds", "insufficient_funds"),
    _declining("4000000000009987", "chargeDeclinedLostCard", "lost_card"),
    _declining("4000000000009979", "chargeDeclinedStolenCard", "stolen_card"),
    _declining(
        "4000000000006975", "chargeDeclinedVelocityLimitExceeded", "card_velocity_exceeded"
    ),
    _declining("4000000000000069", "chargeDeclinedExpiredCard", "expired_card"),
    _declining("4000000000000127", "chargeDeclinedIncorrectCvc", "incorrect_cvc"),
    _declining("4000000000000119", "chargeDeclinedProcessingError", "processing_error"),
    _declining("4000000000000341", "chargeCustomerFail", "generic_decline", attaches=True),
    _declining("4100000000000019", "radarBlock", "fraudulent", attaches=True),
    Card(
        "4000002500003155", ("authenticationRequiredOnSetup",),
        country="FR", authentication=_A.UNLESS_SET_UP,
    ),
    Card(
        "4000002760003184", ("authenticationRequired",),
        country="DE", authentication=_A.ALWAYS,
    ),
    Card(
        "4000003800000446", ("authenticationRequiredSetupForOffSession",),
        country="IT", authentication=_A.ON_SESSION,
    ),
    Card(
        "4000008260003178", ("authenticationRequiredChargeDeclinedInsufficientFunds",),
        country="GB", decline=DECLINES["insufficient_funds"], authentication=_A.ALWAYS,
    ),
    Card("4000000000003220", ("threeDSecure2Required",), authentication=_A.ALWAYS),
    Card(
        "4000008400001629", ("threeDSecureRequiredChargeDeclined",),
        decline=DECLINES["generic_decline"], authentication=_A.ALWAYS,
    ),
    Card(
        "4000008400001280", ("threeDSecureRequiredProcessingError",),
        authentication=_A.LOOKUP_FAILS,
    ),
    Card("4000000000003055", ("threeDSecureOptional",), authentication=_A.IF_ASKED),
    Card("4000000000000259", ("createDispute",), dispute="fraudulent"),
    Card(
        "4000000000002685", ("createDisputeProductNotReceived",), dispute="product_not_received",
    ),
    Card("4000000000001976", ("createDisputeInquiry",), dispute="fraudulent", inquiry=True),
    Card("4000000000005423", ("createIssuerFraudRecord",)),
    Card("4000000000007726", ("pendingRefund",), refund="pending"),
    Card("4000000000005126", ("refundFail",), refund="fails"),
)  # fmt: skip
BY_NUMBER = {card.number: card for card in _CARDS}
BY_NAME = {name: card for card in _CARDS for name in card.names} | {
    f"visa_{name}": card for card in _CARDS for name in card.names if name.startswith("charge")
}


def card_of_token(token: str) -> Card | None:
    """Find the card behind `pm_card_visa` or `tok_visa`."""
    for prefix in ("pm_card_", "tok_"):
        if token.startswith(prefix):
            return BY_NAME.get(token.removeprefix(prefix))
    return None


def card_of_number(number: str) -> Card:
    """Find the card of that number; one that the table does not name has only a brand."""
    return BY_NUMBER.get(number) or Card(number, (), brand=_brand(number))


def is_named(number: str) -> bool:
    """Tell whether the table fixes what this card does."""
    return number in BY_NUMBER


def passes_luhn(number: str) -> bool:
    """Check the number's check digit."""
    digits = [int(digit) for digit in reversed(number)]
    doubled = [2 * digit - 9 * (digit > 4) for digit in digits[1::2]]  # noqa: PLR2004 - Luhn's
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _brand(number: str) -> str:
    if number.startswith("4"):
        return "visa"
    if number.startswith(("34", "37")):
        return "amex"
    if number.startswith(("2", "5")):
        return "mastercard"
    if number.startswith("6"):
        return "discover"
    return "unknown"
