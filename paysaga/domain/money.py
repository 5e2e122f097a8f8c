"""Money is a whole number of minor units in one currency. It never becomes a float."""

from decimal import Decimal
from typing import Annotated, Final, Literal, Self

import iso4217
from pydantic import AfterValidator, Field, StrictInt

from paysaga.domain.message import Message

# Metals, funds and test codes have no exponent: nothing can be counted in them.
_EXPONENTS: Final = {
    known.code: known.exponent for known in iso4217.Currency if known.exponent is not None
}


def _known(currency: str) -> str:
    code = currency.upper()
    # Upper case turns some letters into ASCII: a dotless i would make a false IDR.
    if code not in _EXPONENTS or not currency.isascii():
        raise ValueError("a currency is an ISO 4217 code that amounts are counted in, such as EUR")
    return code


Currency = Annotated[
    str,
    AfterValidator(_known),
    Field(examples=["EUR"], json_schema_extra={"pattern": "^[A-Za-z]{3}$"}),
]


def exponent(currency: str) -> int:
    """The number of decimals that ISO 4217 gives the currency."""
    return _EXPONENTS[_known(currency)]


class CurrencyMismatch(ValueError):
    """Amounts of two currencies neither add up nor compare."""


class Money(Message):
    """An exact amount. A negative amount is owed to the other side."""

    minor: StrictInt
    currency: Currency

    @property
    def major(self) -> Decimal:
        """The amount as people write it, with all the currency's decimals."""
        # Arithmetic would round to the decimal context's precision; reading does not.
        return Decimal(f"{self.minor}E-{exponent(self.currency)}")

    def __add__(self, other: Self) -> Self:
        return self._worth(self.minor + self._same(other))

    def __sub__(self, other: Self) -> Self:
        return self._worth(self.minor - self._same(other))

    def __neg__(self) -> Self:
        return self._worth(-self.minor)

    def __lt__(self, other: Self) -> bool:
        return self.minor < self._same(other)

    def __le__(self, other: Self) -> bool:
        return self.minor <= self._same(other)

    def __str__(self) -> str:
        return f"{self.major:f} {self.currency}"

    def _worth(self, minor: int) -> Self:
        return self.model_copy(update={"minor": minor})

    def _same(self, other: Self) -> int:
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} does not combine with {other.currency}")
        return other.minor


AmountProblem = Literal["amount_too_small", "amount_too_large", "amount_not_representable"]


class AmountRefused(ValueError):
    """The gateway cannot take this amount. The message may be shown to the customer."""

    def __init__(self, code: AmountProblem, message: str) -> None:
        super().__init__(message)
        self.code: AmountProblem = code


# All of the following is from https://docs.stripe.com/currencies (as of 2026).
# Stripe's units are not ISO's: two decimals, unless the currency is in one of these lists. MGA has
# two decimals in ISO, none here. UGX is also in Stripe's zero-decimal list, but like ISK it is a
# "special case", whole units sent with two decimals: 5 UGX is 500. HUF and TWD are special only
# in payouts, which we do not make.
_ZERO_DECIMAL: Final = frozenset({
    "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF",
    "XOF", "XPF",
})  # fmt: skip

# The last of the three digits must be 0, in refunds too (stated until 2023, not revoked since).
_THREE_DECIMAL: Final = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
_THREE_DECIMAL_STEP: Final = 10

# "Minimum charge amount by currency". Stripe converts to the account's settlement currency before
# it compares; we cannot know the rate, so the charge's own currency is checked and Stripe may
# still refuse. A currency that is not listed has no minimum of its own.
_SMALLEST: Final = {
    "AED": 200, "ARS": 50, "AUD": 50, "BRL": 50, "CAD": 50, "CHF": 50, "COP": 50, "CZK": 1500,
    "DKK": 250, "EUR": 50, "GBP": 30, "HKD": 400, "HUF": 17500, "IDR": 50, "ILS": 50, "INR": 50,
    "JPY": 50, "KRW": 50, "MXN": 1000, "MYR": 200, "NOK": 300, "NZD": 50, "PHP": 50, "PLN": 200,
    "RON": 200, "RUB": 50, "SEK": 300, "SGD": 50, "THB": 1000, "USD": 50, "ZAR": 50,
}  # fmt: skip

# "Maximum charge amounts", in Stripe's units. Most cards take 12 digits and American Express 9,
# but PayPal takes these, and the API reference still says eight: what every method takes is safe.
_LARGEST: Final = {"COP": 9_999_999_999, "IDR": 999_999_999_999, "INR": 999_999_999}
_LARGEST_ELSEWHERE: Final = 99_999_999


def from_major(amount: Decimal, currency: Currency) -> Money:
    """What a person has typed, in major units: 12.50 EUR, 1250 JPY.

    Raises:
        AmountRefused: The currency has no such fraction.
    """
    minor = amount.scaleb(exponent(currency))
    if minor != minor.to_integral_value():
        smallest = Money(minor=1, currency=currency)
        raise AmountRefused(
            "amount_not_representable", f"An amount in {currency} must be a multiple of {smallest}."
        )
    return Money(minor=int(minor), currency=currency)


def to_gateway(money: Money) -> int:
    """The same amount in Stripe's units."""
    if money.minor % _step(money.currency):
        raise _not_representable(money.currency)
    return money.minor * _gateway_units(money.currency) // _units(money.currency)


def from_gateway(amount: int, currency: str) -> Money:
    """Read an amount in Stripe's units. A fraction that the currency has not is never rounded."""
    minor, rest = divmod(amount * _units(currency), _gateway_units(currency))
    if rest:
        raise ValueError(f"{amount} in the gateway's units is no whole amount of {currency}")
    return Money(minor=minor, currency=currency)


def check_chargeable(money: Money) -> None:
    """Refuse what the gateway would refuse, in words for the customer."""
    step = _step(money.currency)
    smallest = _SMALLEST.get(money.currency, step)
    if money.minor < smallest:
        limit = Money(minor=smallest, currency=money.currency)
        raise AmountRefused("amount_too_small", f"The smallest amount that can be paid is {limit}.")
    if money.minor % step:
        raise _not_representable(money.currency)
    largest = _largest(money.currency, step)
    if money > largest:
        raise AmountRefused(
            "amount_too_large", f"The largest amount that can be paid is {largest}."
        )


def percent_of(money: Money, percent: int) -> Money:
    """So much of it, rounded up to what the gateway can move: never less than was promised."""
    step = _step(money.currency)
    return Money(minor=-(-money.minor * percent // (100 * step)) * step, currency=money.currency)


def _largest(currency: str, step: int) -> Money:
    limit = _LARGEST.get(currency, _LARGEST_ELSEWHERE)
    minor = limit * _units(currency) // _gateway_units(currency)
    return Money(minor=minor - minor % step, currency=currency)


def _not_representable(currency: str) -> AmountRefused:
    step = Money(minor=_step(currency), currency=currency)
    return AmountRefused(
        "amount_not_representable", f"An amount in {currency} must be a multiple of {step}."
    )


def _step(currency: str) -> int:
    """The least that two amounts in Stripe's units differ by, in ours."""
    if currency in _THREE_DECIMAL:
        return _THREE_DECIMAL_STEP
    return max(1, _units(currency) // _gateway_units(currency))


def _units(currency: str) -> int:
    return int(10 ** exponent(currency))


def _gateway_units(currency: str) -> int:
    code = _known(currency)
    if code in _ZERO_DECIMAL:
        return 1
    return 1000 if code in _THREE_DECIMAL else 100
