"""What a decline means: its stable word, what we may do next, and what the customer is told."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from paysaga.domain.message import Message


class DeclineClass(StrEnum):
    """What may follow. It is for us: beside a plain decline it would give the reason away."""

    TRY_LATER = "try_again_later"  # the same again may pass
    NEEDS_CUSTOMER = "needs_customer"  # the customer must confirm, or speak to the bank
    NEEDS_NEW_CARD = "needs_new_card"  # another card, or this one entered anew
    NEVER_AGAIN = "never_again"  # the networks fine whoever charges this card again


class Decline(Message):
    """One outcome, as it is published."""

    code: str
    kind: DeclineClass
    message: str


# Our own decline of a card that was declined too often: the gateway is not asked.
CARD_LIMIT_REACHED: Final = "card_limit_reached"

_PLAIN_CODE: Final = "generic_decline"
_PLAIN: Final = "Your card was declined. Please use another card or contact your bank."
_PROCESSING: Final = "The payment could not be processed. Please try again."
_CONFIRM: Final = "Your bank wants you to confirm the payment. Please try again and confirm it."
_LATE: Final = "The payment was not confirmed in time. Please try again."
_NOT_CONFIRMED: Final = (
    "The payment could not be confirmed with your bank. Please try again or use another card."
)
_NUMBER: Final = "The card number is not correct. Please check it and enter the card again."
_CVC: Final = "The card's security code is not correct. Please check it and enter the card again."
_EXPIRY: Final = "The card's expiry date is not correct. Please check it and enter the card again."
_ADDRESS: Final = "The billing address is not correct. Please check it and enter the card again."
_LIMIT: Final = "Your card's limit is reached. Please use another card or contact your bank."
_PIN: Final = "Your card asks for its PIN, which cannot be given here. Please use another card."
_PROVIDER: Final = "The payment was declined. Please use another payment method."
_UNAVAILABLE: Final = (
    "This payment method is not available at the moment. Please use another one or try again later."
)
_INVALID: Final = "This payment method cannot be used. Please use another one."


def _told(
    kind: DeclineClass, message: str, *words: str, code: str | None = None
) -> dict[str, Decline]:
    return {word: Decline(code=code or word, kind=kind, message=message) for word in words}


def _plainly(kind: DeclineClass, *words: str) -> dict[str, Decline]:
    """Words whose reason stays with us: Stripe asks to present them as a plain decline."""
    return _told(kind, _PLAIN, *words, code=_PLAIN_CODE)


_K = DeclineClass

# By Stripe's word: its card and its local payment method decline codes
# (https://docs.stripe.com/declines/codes) and the error codes that come alone
# (https://docs.stripe.com/error-codes), then our own three. A card that was not entered rightly
# needs a new card, because we hold no numbers: it is entered anew, and that is a new token.
DECLINES: Final[Mapping[str, Decline]] = MappingProxyType(
    {
        **_told(
            _K.TRY_LATER, _PLAIN, _PLAIN_CODE, "do_not_honor", "no_action_taken", "try_again_later"
        ),
        **_plainly(_K.TRY_LATER, "card_declined"),
        **_told(
            _K.TRY_LATER,
            "Your card has insufficient funds. Please use another card.",
            "insufficient_funds",
        ),
        **_told(
            _K.TRY_LATER,
            _PROCESSING,
            "processing_error",
            "approve_with_id",
            "reenter_transaction",
            "partner_payment_not_found",
            "payment_intent_payment_attempt_failed",
            "setup_attempt_failed",
            "three_d_secure_authentication_upstream_error",
        ),
        **_told(
            _K.TRY_LATER,
            "Your bank could not be reached. Please try again later or use another card.",
            "issuer_not_available",
        ),
        **_told(_K.TRY_LATER, _LIMIT, "card_velocity_exceeded", "withdrawal_count_limit_exceeded"),
        **_told(
            _K.TRY_LATER,
            "Your card was declined too often today. Please use another card or try tomorrow.",
            "card_decline_rate_limit_exceeded",
        ),
        **_told(
            _K.TRY_LATER,
            "The same payment was made a moment ago. Please check it before you try again.",
            "duplicate_transaction",
        ),
        **_told(_K.TRY_LATER, _PROVIDER, "partner_generic_decline", "payment_disputed"),
        **_told(
            _K.TRY_LATER,
            _UNAVAILABLE,
            "invalid_business_account",
            "payment_method_not_available",
            "payment_method_provider_timeout",
        ),
        **_told(
            _K.NEEDS_CUSTOMER,
            _CONFIRM,
            "authentication_required",
            "authentication_not_handled",
            "mobile_device_authentication_required",
            "payment_intent_action_required",
        ),
        **_told(
            _K.NEEDS_CUSTOMER,
            _NOT_CONFIRMED,
            "payment_intent_authentication_failure",
            "setup_intent_authentication_failure",
        ),
        **_told(
            _K.NEEDS_CUSTOMER,
            _LATE,
            "authentication_timeout",
            "payment_intent_payment_attempt_expired",
            "setup_intent_setup_attempt_expired",
        ),
        **_told(
            _K.NEEDS_CUSTOMER,
            "The payment was not approved. Please try again or use another payment method.",
            "payment_method_customer_decline",
        ),
        **_told(_K.NEEDS_CUSTOMER, _PLAIN, "call_issuer"),
        **_told(
            _K.NEEDS_CUSTOMER,
            "Your bank does not allow this amount. Please use another card or contact your bank.",
            "invalid_amount",
        ),
        **_told(
            _K.NEEDS_CUSTOMER,
            "The PIN is not correct. Please try again or use another card.",
            "incorrect_pin",
            "invalid_pin",
        ),
        **_told(
            _K.NEEDS_CUSTOMER,
            "Your account with the payment provider cannot be charged. Please look into it there,"
            " or use another payment method.",
            "invalid_customer_account",
            "payment_limit_exceeded",
        ),
        **_told(
            _K.NEEDS_NEW_CARD,
            "Your card has expired. Please use another card.",
            "expired_card",
        ),
        **_told(_K.NEEDS_NEW_CARD, _NUMBER, "incorrect_number", "invalid_number"),
        **_told(_K.NEEDS_NEW_CARD, _CVC, "incorrect_cvc", "invalid_cvc"),
        **_told(_K.NEEDS_NEW_CARD, _EXPIRY, "invalid_expiry_month", "invalid_expiry_year"),
        **_told(
            _K.NEEDS_NEW_CARD,
            _ADDRESS,
            "incorrect_address",
            "incorrect_zip",
            "incorrect_postal_code",
        ),
        **_told(
            _K.NEEDS_NEW_CARD,
            _PIN,
            "offline_pin_required",
            "online_or_offline_pin_required",
            "pin_try_exceeded",
        ),
        **_told(
            _K.NEEDS_NEW_CARD,
            "Your card cannot be used for this purchase. Please use another card.",
            "card_not_supported",
            "invalid_card_type",
        ),
        **_told(
            _K.NEEDS_NEW_CARD,
            "Your card does not support this currency. Please use another card.",
            "currency_not_supported",
        ),
        **_told(
            _K.NEEDS_NEW_CARD,
            _PLAIN,
            "card_already_activated",
            "invalid_account",
            "invalid_track_data",
            "new_account_information_available",
            "not_permitted",
            "service_not_allowed",
            "three_d_secure_authentication_not_supported",
            "transaction_not_allowed",
        ),
        **_told(
            _K.NEEDS_NEW_CARD,
            "This is a test card. Please use a real card.",
            "testmode_decline",
        ),
        **_told(
            _K.NEEDS_NEW_CARD,
            _PROVIDER,
            "expired_payment_information",
            "expired_payment_method",
            "invalid_authorization",
            "invalid_billing_agreement",
            "invalid_payment_information",
            "partner_action_not_supported",
            "payment_method_provider_decline",
            "payment_method_restricted",
            "recurring_not_supported_by_bank",
        ),
        **_told(_K.NEEDS_NEW_CARD, _INVALID, "payment_method_invalid"),
        **_told(
            _K.NEEDS_NEW_CARD,
            "This card cannot be used at the moment. Please use another payment method.",
            CARD_LIMIT_REACHED,
        ),
        **_told(_K.NEEDS_NEW_CARD, _INVALID, "token_already_used", code="payment_method_invalid"),
        **_plainly(_K.NEEDS_NEW_CARD, "restricted_card", "security_violation"),
        **_told(
            _K.NEVER_AGAIN,
            _PLAIN,
            "do_not_try_again",
            "revocation_of_all_authorizations",
            "revocation_of_authorization",
            "stop_payment_order",
        ),
        **_plainly(
            _K.NEVER_AGAIN,
            "compliance_violation",
            "fraudulent",
            "lost_card",
            "lost_or_stolen_card",
            "merchant_blacklist",
            "partner_high_risk_customer",
            "pickup_card",
            "stolen_card",
        ),
    }
)

# The issuer gave no reason with these, so its advice decides. Where it gave one (a missing
# confirmation, say), "try again later" would be a charge that cannot pass.
_WITHOUT_REASON: Final = frozenset(
    {
        _PLAIN_CODE,
        "call_issuer",
        "card_declined",
        "do_not_honor",
        "no_action_taken",
        "not_permitted",
        "service_not_allowed",
        "transaction_not_allowed",
        "try_again_later",
    }
)
_ADVISED: Final = {
    "confirm_card_data": DeclineClass.NEEDS_NEW_CARD,
    "try_again_later": DeclineClass.TRY_LATER,
}


def decline_for(
    code: str | None, decline_code: str | None = None, advice_code: str | None = None
) -> Decline:
    """Find what the gateway's words mean. A word that nobody knows is a plain decline."""
    word = decline_code or code or _PLAIN_CODE
    if word not in DECLINES:
        word = _PLAIN_CODE
    decline = DECLINES[word]
    if advice_code == "do_not_try_again":
        return decline.model_copy(update={"kind": DeclineClass.NEVER_AGAIN})
    if advice_code in _ADVISED and word in _WITHOUT_REASON:
        return decline.model_copy(update={"kind": _ADVISED[advice_code]})
    return decline
