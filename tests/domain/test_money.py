import operator
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal

import iso4217
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from paysaga.domain.money import (
    AmountRefused,
    Currency,
    CurrencyMismatch,
    Money,
    check_chargeable,
    exponent,
    from_gateway,
    from_major,
    to_gateway,
)

CODES = sorted(known.code for known in iso4217.Currency if known.exponent is not None)
UNCOUNTED = sorted(known.code for known in iso4217.Currency if known.exponent is None)
THREE_DECIMALS = ("BHD", "JOD", "KWD", "OMR", "TND")

currencies = st.sampled_from(CODES)
amounts = st.builds(Money, minor=st.integers(), currency=currencies)
pairs = currencies.flatmap(
    lambda code: st.tuples(
        *[st.builds(Money, minor=st.integers(), currency=st.just(code)) for _ in range(2)]
    )
)
# Every amount that Stripe's units can hold, in every currency.
gateway_amounts = st.builds(
    from_gateway,
    st.integers(min_value=-(10**12), max_value=10**12).map(lambda units: units * 100),
    currencies,
)


def euros(minor: int) -> Money:
    return Money(minor=minor, currency="EUR")


def typed(text: str, code: str) -> Money:
    """An amount as people write it."""
    whole, _, fraction = text.partition(".")
    return Money(minor=int(whole + fraction.ljust(exponent(code), "0")), currency=code)


class TestCurrency:
    @given(currencies, st.sampled_from([str.lower, str.upper, str.title]))
    def test_any_case_is_read_as_upper(self, code: str, spell: Callable[[str], str]) -> None:
        """
        A code may be written in any case; inside it is always upper case.
        """
        read = TypeAdapter(Currency).validate_python(spell(code))

        assert code == read

    @pytest.mark.parametrize(
        "code", ["", "EU", "EURO", "ABC", "€", " EUR", "EUR\n", "\u0131dr", "u\u017fd", *UNCOUNTED]
    )
    def test_unknown_or_uncounted_code_is_refused(self, code: str) -> None:
        """
        What is no ISO 4217 code, or has no minor unit (metals, funds, tests), is refused clearly.
        """
        with pytest.raises(ValidationError, match="ISO 4217 code that amounts are counted in"):
            Money(minor=1, currency=code)

    @pytest.mark.parametrize("wrong", [978, None, ["EUR"], 1.5])
    def test_only_text_is_a_currency(self, wrong: object) -> None:
        """
        A currency is text; nothing is turned into it.
        """
        with pytest.raises(ValidationError):
            TypeAdapter(Currency).validate_python(wrong)

    def test_openapi_shows_the_form(self) -> None:
        """
        The JSON schema tells a client what a currency looks like.
        """
        schema = TypeAdapter(Currency).json_schema()

        assert {"type": "string", "pattern": "^[A-Za-z]{3}$", "examples": ["EUR"]} == schema

    @pytest.mark.parametrize(
        ("code", "decimals"), [("JPY", 0), ("isk", 0), ("EUR", 2), ("MGA", 2), ("kwd", 3)]
    )
    def test_exponent_is_that_of_iso(self, code: str, decimals: int) -> None:
        """
        The number of decimals is ISO's, whatever a gateway thinks of it.
        """
        assert decimals == exponent(code)

    def test_exponent_of_no_currency_is_refused(self) -> None:
        """
        Decimals are never guessed for a code that is none.
        """
        with pytest.raises(ValueError, match="ISO 4217"):
            exponent("XAU")


class TestValue:
    @pytest.mark.parametrize("minor", [12.0, 12.5, float("nan"), "12", Decimal(12), True, None])
    def test_minor_units_are_an_integer(self, minor: object) -> None:
        """
        Nothing but an integer is an amount: no float, not even a whole one, and no text.
        """
        with pytest.raises(ValidationError):
            Money.model_validate({"minor": minor, "currency": "EUR"})

    @given(st.floats())
    def test_no_float_is_ever_accepted(self, number: float) -> None:
        """
        No float becomes money, by any of the ways in.
        """
        with pytest.raises(ValidationError):
            Money.model_validate({"minor": number, "currency": "EUR"})
        with pytest.raises(ValueError, match=r"int|whole"):
            from_gateway(number, "EUR")  # type: ignore[arg-type]

    @given(amounts)
    def test_json_round_trip(self, money: Money) -> None:
        """
        Money that went through JSON is the same money.
        """
        assert money == Money.model_validate_json(money.model_dump_json())

    def test_is_frozen_and_hashable(self) -> None:
        """
        An amount never changes under whoever holds it.
        """
        money = euros(1250)

        with pytest.raises(ValidationError):
            money.minor = 1  # type: ignore[misc]
        assert {euros(1250)} == {money}

    @pytest.mark.parametrize(
        ("minor", "currency", "text"),
        [
            (1250, "EUR", "12.50 EUR"),
            (0, "EUR", "0.00 EUR"),
            (-5, "EUR", "-0.05 EUR"),
            (1000, "JPY", "1000 JPY"),
            (1240, "KWD", "1.240 KWD"),
            (10**30 + 1, "EUR", "10000000000000000000000000000.01 EUR"),
        ],
    )
    def test_shown_in_major_units(self, minor: int, currency: str, text: str) -> None:
        """
        People see major units with all the currency's decimals, at any size, never an exponent.
        """
        assert text == str(Money(minor=minor, currency=currency))


class TestArithmetic:
    @given(pairs)
    def test_adding_and_taking_away_again(self, pair: tuple[Money, Money]) -> None:
        """
        What was added can be taken away exactly.
        """
        one, other = pair

        assert one == one + other - other
        assert one.minor + other.minor == (one + other).minor

    @given(amounts)
    def test_amount_and_its_negative_are_nothing(self, money: Money) -> None:
        """
        An amount and its negative make zero.
        """
        assert Money(minor=0, currency=money.currency) == money + -money

    @given(pairs)
    def test_order_is_that_of_minor_units(self, pair: tuple[Money, Money]) -> None:
        """
        In one currency amounts compare like their minor units.
        """
        one, other = pair

        assert (one.minor < other.minor) == (one < other)
        assert (one.minor <= other.minor) == (one <= other)
        assert (one.minor > other.minor) == (one > other)
        assert (one.minor >= other.minor) == (one >= other)

    @pytest.mark.parametrize(
        "operation",
        [operator.add, operator.sub, operator.lt, operator.le, operator.gt, operator.ge],
    )
    def test_two_currencies_do_not_combine(
        self, operation: Callable[[Money, Money], object]
    ) -> None:
        """
        Euros and yen are neither added nor compared, even if both are zero.
        """
        yen = Money(minor=0, currency="JPY")

        with pytest.raises(CurrencyMismatch, match=r"\w{3} does not combine with \w{3}"):
            operation(euros(0), yen)

    def test_two_currencies_are_never_equal(self) -> None:
        """
        The same number in another currency is another amount.
        """
        assert euros(100) != Money(minor=100, currency="USD")


class TestMajorUnits:
    @given(amounts)
    def test_what_people_see_is_the_same_amount(self, money: Money) -> None:
        """
        In every currency, with all its decimals, however large; a Decimal says the same.
        """
        shown, code = str(money).split()

        assert money == typed(shown, code)
        assert exponent(code) == len(shown.partition(".")[2])
        assert Decimal(shown) == money.major

    @pytest.mark.parametrize(
        ("minor", "code", "shown"),
        [
            (1250, "EUR", "12.50 EUR"),
            (-5, "EUR", "-0.05 EUR"),
            (1250, "JPY", "1250 JPY"),
            (1250, "KWD", "1.250 KWD"),
        ],
    )
    def test_it_is_written_as_people_write_it(self, minor: int, code: str, shown: str) -> None:
        """
        Plain digits and the currency's code.
        """
        assert shown == str(Money(minor=minor, currency=code))


class TestGatewayUnits:
    @pytest.mark.parametrize(
        ("minor", "currency", "units"),
        [
            (1000, "USD", 1000),  # 10 USD
            (500, "JPY", 500),  # zero decimals in ISO and at Stripe
            (5, "ISK", 500),  # none in ISO, two at Stripe
            (5, "UGX", 500),
            (500, "MGA", 5),  # two in ISO, none at Stripe
            (5120, "KWD", 5120),  # three in both
            (1045, "HUF", 1045),  # special in payouts only
            (80045, "TWD", 80045),
            (1230, "LYD", 123),  # three in ISO, not in Stripe's list of three
            (-1250, "EUR", -1250),
        ],
    )
    def test_stripe_counts_in_its_own_units(self, minor: int, currency: str, units: int) -> None:
        """
        Stripe's own examples and its exceptions to ISO are met, in both directions.
        """
        money = Money(minor=minor, currency=currency)

        assert units == to_gateway(money)
        assert money == from_gateway(units, currency.lower())

    @given(gateway_amounts.filter(lambda money: money.currency not in THREE_DECIMALS))
    def test_round_trip_in_every_currency(self, money: Money) -> None:
        """
        Whatever goes to the gateway and comes back is the same amount.
        """
        assert money == from_gateway(to_gateway(money), money.currency)

    @given(st.integers(), currencies)
    def test_gateway_amount_is_exact_or_refused(self, units: int, code: str) -> None:
        """
        The gateway's figure is read exactly or not at all, and then goes back unchanged.
        """
        try:
            money = from_gateway(units, code)
        except ValueError:
            assert code in {"ISK", "UGX", "UYI"}
            assert units % 100
            return

        if code in THREE_DECIMALS and units % 10:
            with pytest.raises(AmountRefused):
                to_gateway(money)
        else:
            assert units == to_gateway(money)

    @pytest.mark.parametrize("code", ["ISK", "UGX"])
    def test_fraction_of_a_whole_unit_is_not_rounded(self, code: str) -> None:
        """
        A fraction of a currency without fractions is an error, never a guess.
        """
        with pytest.raises(ValueError, match=rf"550 in the gateway's units .* {code}"):
            from_gateway(550, code)

    @pytest.mark.parametrize(
        ("minor", "code", "step"),
        [
            *[(1241, code, "0.010") for code in THREE_DECIMALS],
            (150, "MGA", "1.00"),
            (1241, "LYD", "0.010"),
        ],
    )
    def test_what_stripe_cannot_count_is_refused(self, minor: int, code: str, step: str) -> None:
        """
        An amount between two of Stripe's is refused, telling which amounts are possible.
        """
        with pytest.raises(AmountRefused, match=f"^An amount in {code} must be a multiple") as no:
            to_gateway(Money(minor=minor, currency=code))

        assert "amount_not_representable" == no.value.code
        assert f"An amount in {code} must be a multiple of {step} {code}." == str(no.value)


# https://docs.stripe.com/currencies, "Minimum charge amount by currency", in its own spelling
MINIMUMS = """
    0.50 USD, 2.00 AED, 0.50 ARS, 0.50 AUD, 0.50 BRL, 0.50 CAD, 0.50 CHF, 0.50 COP, 15.00 CZK,
    2.50 DKK, 0.50 EUR, 0.30 GBP, 4.00 HKD, 175.00 HUF, 0.50 IDR, 0.50 ILS, 0.50 INR, 50 JPY,
    50 KRW, 10 MXN, 2.00 MYR, 3.00 NOK, 0.50 NZD, 0.50 PHP, 2.00 PLN, 2.00 RON, 0.50 RUB,
    3.00 SEK, 0.50 SGD, 10 THB, 0.50 ZAR
"""


class TestTyped:
    @pytest.mark.parametrize(
        ("typed", "currency", "minor"),
        [
            ("12.50", "EUR", 1250),
            ("12.5", "EUR", 1250),
            ("1250", "JPY", 1250),
            ("1.24", "KWD", 1240),
        ],
    )
    def test_people_type_major_units(self, typed: str, currency: str, minor: int) -> None:
        """As many decimals as the currency has, or fewer."""
        assert Money(minor=minor, currency=currency) == from_major(Decimal(typed), currency)

    @pytest.mark.parametrize(("typed", "currency"), [("12.505", "EUR"), ("0.5", "JPY")])
    def test_a_fraction_that_there_is_not_is_refused(self, typed: str, currency: str) -> None:
        """It is never rounded."""
        with pytest.raises(AmountRefused, match="multiple of"):
            from_major(Decimal(typed), currency)

    @given(gateway_amounts)
    def test_what_is_shown_can_be_typed(self, money: Money) -> None:
        """Major units and back again."""
        assert money == from_major(money.major, money.currency)


class TestChargeable:
    @pytest.mark.parametrize("documented", [line.strip() for line in MINIMUMS.split(",")])
    def test_minimum_is_that_of_stripe(self, documented: str) -> None:
        """
        The documented minimum can be charged; a unit less is refused, naming the minimum.
        """
        text, code = documented.split()
        minimum = typed(text, code)

        check_chargeable(minimum)
        with pytest.raises(AmountRefused) as no:
            check_chargeable(minimum - Money(minor=1, currency=code))

        assert "amount_too_small" == no.value.code
        assert f"The smallest amount that can be paid is {minimum}." == str(no.value)

    @pytest.mark.parametrize(
        ("code", "smallest"),
        [("TRY", "0.01"), ("KWD", "0.010"), ("ISK", "1"), ("UGX", "1"), ("MGA", "1.00")],
    )
    @pytest.mark.parametrize("minor", [0, -1, -100])
    def test_nothing_and_less_cannot_be_charged(self, code: str, smallest: str, minor: int) -> None:
        """
        Without a documented minimum the smallest amount is one step of the gateway's.
        """
        check_chargeable(typed(smallest, code))
        with pytest.raises(AmountRefused) as no:
            check_chargeable(Money(minor=minor, currency=code))

        assert "amount_too_small" == no.value.code
        assert f"The smallest amount that can be paid is {smallest} {code}." == str(no.value)

    @pytest.mark.parametrize(
        ("code", "largest"),
        [
            ("USD", "999999.99"),
            ("JPY", "99999999"),
            ("ISK", "999999"),  # 999,999.00 in Stripe's two decimals
            ("MGA", "99999999.00"),
            ("KWD", "99999.990"),  # the last digit is 0
            ("INR", "9999999.99"),
            ("COP", "99999999.99"),
            ("IDR", "9999999999.99"),
        ],
    )
    def test_maximum_is_that_of_stripe(self, code: str, largest: str) -> None:
        """
        Eight digits in Stripe's units, more where it says so; the next amount names the limit.
        """
        limit = typed(largest, code)
        step = next(
            step
            for step in (Money(minor=10**power, currency=code) for power in range(3))
            if to_gateway_or_none(limit + step) is not None
        )

        check_chargeable(limit)
        with pytest.raises(AmountRefused) as no:
            check_chargeable(limit + step)

        assert "amount_too_large" == no.value.code
        assert f"The largest amount that can be paid is {limit}." == str(no.value)

    @pytest.mark.parametrize(("minor", "code"), [(1241, "KWD"), (150, "MGA")])
    def test_amount_between_two_of_stripes_is_refused(self, minor: int, code: str) -> None:
        """
        What the gateway cannot count is refused before it is asked.
        """
        with pytest.raises(AmountRefused) as no:
            check_chargeable(Money(minor=minor, currency=code))

        assert "amount_not_representable" == no.value.code

    @given(st.integers(max_value=10**13), currencies)
    def test_what_passes_can_be_sent(self, minor: int, code: str) -> None:
        """
        An amount that is chargeable has Stripe's form: positive and of at most twelve digits.
        """
        money = Money(minor=minor, currency=code)
        with suppress(AmountRefused):
            check_chargeable(money)

            assert 0 < to_gateway(money) < 10**12


def to_gateway_or_none(money: Money) -> int | None:
    try:
        return to_gateway(money)
    except AmountRefused:
        return None
