"""New payment methods: of a card's number, an IBAN, a test token, or a PayPal account."""

import hashlib
import re
from datetime import UTC, datetime
from typing import Literal

from pydantic import Field

from paysaga.simulator.bank_accounts import account_of_token, checked_iban, method_part
from paysaga.simulator.calls import Call
from paysaga.simulator.cards import Card, card_of_number, card_of_token, passes_luhn
from paysaga.simulator.errors import ApiError, malformed, missing
from paysaga.simulator.forms import Integer, Metadata, Params
from paysaga.simulator.ids import letters, new_id
from paysaga.simulator.shapes import BillingDetails
from paysaga.simulator.storage import Body, Record

_NUMBER = re.compile(r"\d{13,19}")
_CVC = re.compile(r"\d{3,4}")
_MONTHS = range(1, 13)
_CENTURY = 100


class CardParams(Params):
    """A card as Stripe.js sends it, or a test token such as `tok_visa`."""

    number: str | None = None
    exp_month: Integer | None = None
    exp_year: Integer | None = None
    cvc: str | None = None
    token: str | None = None


class SepaParams(Params):
    """A bank account in the euro area."""

    iban: str


class Empty(Params):
    """Parameters of a type that needs none."""


class MethodData(Params):
    """What a payment method is made of."""

    type: Literal["card", "paypal", "sepa_debit"]
    card: CardParams | None = None
    paypal: Empty | None = None
    sepa_debit: SepaParams | None = None
    billing_details: BillingDetails = BillingDetails()
    metadata: Metadata = Field(default_factory=dict)
    allow_redisplay: Literal["always", "limited", "unspecified"] = "unspecified"


def made_of(call: Call, data: MethodData, param: str = "") -> Record:
    """Make and keep an unattached method; a card that cannot exist is refused with 402."""
    card = None
    if data.type == "card":
        card = _checked(call, data.card, f"{param}[card]" if param else "card")
    if data.type == "sepa_debit":
        data = _with_checked_iban(data, f"{param}[sepa_debit]" if param else "sepa_debit")
    record = _new(call, card, data)
    call.storage.put(record)
    return record


def made_of_token(call: Call, token: str) -> Record | None:
    """Make and keep a method of a test card or test account; None if no token is named so."""
    card, account = card_of_token(token), account_of_token(token)
    if card:
        record = _new(call, card, MethodData(type="card"))
    elif account:
        sepa_debit = SepaParams(iban=account.iban)
        owner = BillingDetails(email="jenny@example.com", name="Jenny Rosen")
        record = _new(
            call,
            None,
            MethodData(type="sepa_debit", sepa_debit=sepa_debit, billing_details=owner),
        )
    else:
        return None
    call.storage.put(record)
    return record


def card_behind(record: Record) -> Card | None:
    """Find the test card of a method; None for what is no card."""
    number = record.private.get("number")
    return card_of_number(number) if number else None


def checked_expiry(call: Call, month: int | None, year: int | None) -> Body:
    """Write when a card expires, the year in full; a date that is wrong or past is refused."""
    if month not in _MONTHS:
        raise _unusable(
            "invalid_expiry_month", "Your card's expiration month is invalid.", "exp_month"
        )
    today = datetime.fromtimestamp(call.now, UTC)
    if (_four_digits(year), month) < (today.year, today.month):
        raise _unusable(
            "invalid_expiry_year", "Your card's expiration year is invalid.", "exp_year"
        )
    return {"exp_month": month, "exp_year": _four_digits(year)}


def fingerprint(number: str) -> str:
    """Tell cards apart without telling their numbers."""
    return hashlib.sha256(number.encode()).hexdigest()[:16]


def _checked(call: Call, given: CardParams | None, param: str) -> Card:
    if not given:
        raise malformed(f"Missing required param: {param}.", code="parameter_missing", param=param)
    if given.token:
        card = card_of_token(given.token)
        if not card:
            raise missing("token", given.token, f"{param}[token]", in_path=False)
        return card
    for name in ("number", "exp_month", "exp_year"):
        if getattr(given, name) is None:
            raise malformed(
                f"Missing required param: {param}[{name}].",
                code="parameter_missing",
                param=f"{param}[{name}]",
            )
    if not call.client_only:
        raise ApiError(
            402,
            "card_error",
            "Sending credit card numbers directly to the Stripe API is generally unsafe. We suggest"
            " you use test tokens that map to the test card you are using, or send the number from"
            " the browser with the publishable key. See https://stripe.com/docs/testing.",
        )
    return _plausible(call, given)


def _plausible(call: Call, given: CardParams) -> Card:
    number = re.sub(r"[ -]", "", given.number or "")
    if not _NUMBER.fullmatch(number) or not passes_luhn(number):
        raise _unusable("incorrect_number", "Your card number is incorrect.", "number")
    checked_expiry(call, given.exp_month, given.exp_year)
    if given.cvc is not None and not _CVC.fullmatch(given.cvc):
        raise _unusable("invalid_cvc", "Your card's security code is invalid.", "cvc")
    return card_of_number(number)


def _with_checked_iban(data: MethodData, param: str) -> MethodData:
    if not data.sepa_debit:
        raise malformed(f"Missing required param: {param}.", code="parameter_missing", param=param)
    iban = checked_iban(data.sepa_debit.iban, f"{param}[iban]")
    return data.model_copy(update={"sepa_debit": SepaParams(iban=iban)})


def _four_digits(year: int | None) -> int:
    year = year or 0
    return year + 2000 if year < _CENTURY else year


def _unusable(code: str, message: str, param: str) -> ApiError:
    return ApiError(402, "card_error", message, code=code, param=param)


def _new(call: Call, card: Card | None, data: MethodData) -> Record:
    body: Body = {
        "id": new_id("pm_1"),
        "object": "payment_method",
        "allow_redisplay": data.allow_redisplay,
        "billing_details": data.billing_details.body(),
        "created": call.now,
        "customer": None,
        "livemode": False,
        "metadata": dict(data.metadata),
        "type": data.type,
    }
    if data.sepa_debit:
        body["sepa_debit"] = method_part(data.sepa_debit.iban)
        return Record("payment_method", body, {"iban": data.sepa_debit.iban})
    if not card:
        body["paypal"] = {
            "country": "DE",
            "payer_email": data.billing_details.email or "buyer@example.com",
            "payer_id": letters(13).upper(),
        }
        return Record("payment_method", body)
    body["card"] = _card_body(call, card, data.card)
    return Record("payment_method", body, {"number": card.number})


def _card_body(call: Call, card: Card, given: CardParams | None) -> Body:
    next_year = datetime.fromtimestamp(call.now, UTC).year + 1
    typed = given if given and given.number else None
    return {
        "brand": card.brand,
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": None,
            "cvc_check": "pass" if typed and typed.cvc else "unchecked",
        },
        "country": card.country,
        "display_brand": "american_express" if card.brand == "amex" else card.brand,
        "exp_month": typed.exp_month if typed else 12,
        "exp_year": _four_digits(typed.exp_year) if typed else next_year,
        "fingerprint": fingerprint(card.number),
        "funding": card.funding,
        "generated_from": None,
        "last4": card.number[-4:],
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }
