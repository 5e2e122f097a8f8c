import hashlib
import uuid
from datetime import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from paysaga.domain.cards import holds_card_number, json_holds_card_number
from paysaga.domain.ids import derived

# Public test numbers: https://docs.stripe.com/testing and the brands' own
CARDS = [
    "4242424242424242",  # Visa
    "4222222222222",  # Visa, 13 digits
    "4000056655665556",  # Visa debit
    "5555555555554444",  # Mastercard
    "5105105105105100",
    "2223003122003222",  # Mastercard's 2 series
    "2720990000000007",
    "378282246310005",  # American Express
    "341111111111111",
    "6011111111111117",  # Discover
    "6445644564456445",
    "30569309025904",  # Diners Club
    "3056930009020004",
    "36227206271667",
    "38520000023237",
    "3566002020360505",  # JCB
    "6200000000000005",  # UnionPay
    "6205500000000000004",  # UnionPay, 19 digits
    "8171999900000000021",
    "6759649826438453",  # Maestro
    "5018000000000009",
    "6304000000000000",
]

SEPARATORS = [
    "", " ", "-", ".", "  ", " - ", "\t", "\n", "\r\n", "\u00a0", "\u2009", "\u202f", "\u3000",
    "\u2010", "\u2011", "\u2013", "\u2014", "\u2212", "\uff0d", "\uff0e", "\u00b7", "\u00ad",
    "\u200b", "\u2060", "\ufeff",
]  # fmt: skip

# The zeros of some scripts: ASCII, Arabic-Indic, Persian, Devanagari, Thai, full width, bold
ZEROS = "0\u0660\u06f0\u0966\u0e50\uff10\U0001d7ce"


def check_digit(payload: str) -> str:
    """The digit that makes `payload` pass Luhn, reckoned otherwise than the code does it."""
    total = sum(
        sum(divmod(int(digit) * (2 - place % 2), 10))
        for place, digit in enumerate(reversed(payload))
    )
    return str(-total % 10)


@st.composite
def card_numbers(draw: st.DrawFn) -> str:
    """A number of any known brand that passes Luhn."""
    first, last, length = draw(
        st.sampled_from(
            [
                (4000, 4999, 13), (4000, 4999, 16), (4000, 4999, 19), (5100, 5599, 16),
                (2221, 2720, 16), (3400, 3499, 15), (3700, 3799, 15), (6011, 6011, 16),
                (6440, 6599, 16), (3000, 3059, 14), (3600, 3699, 14), (3800, 3999, 16),
                (3528, 3589, 16), (6200, 6299, 19), (8100, 8199, 16), (5018, 5018, 13),
                (5600, 5899, 18), (6759, 6763, 19),
            ]
        )
    )  # fmt: skip
    head = str(draw(st.integers(first, last)))
    rest = draw(st.text("0123456789", min_size=length - 5, max_size=length - 5))
    return head + rest + check_digit(head + rest)


class TestFound:
    @pytest.mark.parametrize("number", CARDS)
    def test_every_brand(self, number: str) -> None:
        """
        Every brand's number is known, alone and in a sentence, grouped in fours or not.
        """
        grouped = " ".join(number[at : at + 4] for at in range(0, len(number), 4))

        assert holds_card_number(number)
        assert holds_card_number(grouped)
        assert holds_card_number(f"my card is {grouped}, thanks")

    @given(card_numbers(), st.data())
    def test_any_grouping_in_any_script(self, number: str, data: st.DataObject) -> None:
        """
        Wherever it is broken, by whatever is white, a dash or a dot, in any script's digits,
        and whatever stands around it: it is found.
        """
        spelled = ""
        for place, digit in enumerate(number):
            zero = data.draw(st.sampled_from(ZEROS))
            gap = data.draw(st.sampled_from(SEPARATORS)) if place else ""
            spelled += gap + chr(ord(zero) + int(digit))
        around = st.sampled_from(["", " ", "(", ")", ":", "=", '"', "#", "/", "卡号", "é", ", "])

        text = data.draw(around) + spelled + data.draw(around)

        assert holds_card_number(text)

    @pytest.mark.parametrize(
        "text",
        [
            "4242 4242 4242 4242 12/28 123",
            "12 4242 4242 4242 4242 12",
            "2026-11-21 4242-4242-4242-4242",
            "x4242 4242424242424242",
            "0000000000000000000000 4242424242424242",
            '{"note":"4242424242424242"}',
            "amount=4242424242424242.00",
            "№4242424242424242",
            "+4242424242424242",
            "3782 822463 10005",
            "4 2 4 2 4 2 4 2 4 2 4 2 4 2 4 2",
        ],
    )
    def test_other_digits_beside_it_do_not_hide_it(self, text: str) -> None:
        """
        An expiry date, a security code or any other number next to it changes nothing.
        """
        assert holds_card_number(text)


class TestNotFound:
    @given(card_numbers(), st.integers(1, 9))
    def test_wrong_check_digit(self, number: str, off: int) -> None:
        """
        A number that fails the Luhn check is none.
        """
        wrong = number[:-1] + str((int(number[-1]) + off) % 10)

        assert not holds_card_number(wrong)

    @given(card_numbers(), st.text("0123456789", min_size=7))
    def test_longer_digits_without_a_gap(self, number: str, more: str) -> None:
        """
        Digits that go on beyond 19 are a reference, not a card number with something attached.
        """
        assert not holds_card_number(number + more)
        assert not holds_card_number(more + number)

    @pytest.mark.parametrize(
        "number",
        ["", "0", "0000000000000000", "1234567890123452", "9999999999999995", "42424242424242",
         "424242424242", "7992739871300", "1111111111111117"],
    )  # fmt: skip
    def test_unknown_prefix_or_length(self, number: str) -> None:
        """
        Luhn alone makes no card number: the brand and its length must be known.
        """
        assert not holds_card_number(number)

    @given(
        card_numbers(),
        st.sampled_from("abzAZ_"),
        st.sampled_from(["{1}{0}", "{0}{1}", "{1}{0}{1}", "pi_3Nk{0}", "pay_{0}abc", "req_{0}"]),
    )
    def test_part_of_an_id(self, number: str, letter: str, form: str) -> None:
        """
        Digits that touch an ASCII letter or an underscore belong to an id, a hash or an IBAN.
        """
        assert not holds_card_number(form.format(number, letter))

    @given(st.text())
    def test_our_ids(self, origin: str) -> None:
        """
        No id of ours is taken for a card number.
        """
        assert not holds_card_number(derived("pay", origin))

    @given(st.binary())
    def test_hashes(self, origin: bytes) -> None:
        """
        No hash in hexadecimal is taken for a card number, though many hold 13 digits in a row.
        """
        digest = hashlib.sha256(origin).hexdigest()

        assert not holds_card_number(f"a{digest}")

    @given(st.uuids())
    @example(uuid.UUID("42424242-4242-4242-8a3b-0f1e2d3c4b5a"))
    def test_uuids(self, origin: uuid.UUID) -> None:
        """
        No UUID is taken for a card number, even if its first half would be one.
        """
        assert not holds_card_number(f"order {origin} and {str(origin).upper()}")

    @given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)))  # noqa: DTZ001 - shapes only
    def test_timestamps(self, moment: datetime) -> None:
        """
        A moment is not taken for a card number in any usual spelling.
        """
        text = f"{moment.isoformat()}Z, {moment} {moment:%Y%m%d%H%M%S} {moment:%Y-%m-%d %H.%M.%S}"

        assert not holds_card_number(text)

    @given(st.integers(946_684_800, 1_999_999_999))
    def test_unix_times(self, seconds: int) -> None:
        """
        Unix times up to 2033, in seconds down to nanoseconds, are no card numbers.
        """
        text = ", ".join(str(seconds * 10**power) for power in (0, 3, 6, 9))

        assert not holds_card_number(text)

    @pytest.mark.parametrize(
        "text",
        [
            "+4915112345675",  # 13 digits from a 4 that pass Luhn
            "+49 151 1234 5675",
            "tel:+49-151-12345675",
            "BE68 5390 0754 7034",
            "DK5000400440116243",
            "AT611904300234573201",
            "4242,4242,4242,4242",
            "4242/4242/4242/4242",
            "4242    4242    4242    4242",
            "4242_4242_4242_4242",
        ],
    )
    def test_telephone_numbers_accounts_and_lists(self, text: str) -> None:
        """
        E.164 numbers, IBANs and numbers that stand in a list or a table are left alone.
        """
        assert not holds_card_number(text)


class TestCost:
    @pytest.mark.parametrize(
        "unit",
        ["4", "4 ", "4 - ", "1111 1111 ", "x4242424242424242", "+4 ", " ", "-", f"{'4' * 19} ",
         "a-", f"{uuid.UUID(int=4)} ", "42424242424242424242 4242 4242 "],
    )  # fmt: skip
    def test_time_grows_with_length_only(self, unit: str) -> None:
        """
        What a request may hold at most, made to hurt, is read before the test's time is up.
        """
        text = unit * (65_536 // len(unit))

        assert not holds_card_number(text.replace("4", "1"))
        assert not holds_card_number(f"{text}4242x")


class TestJson:
    @pytest.mark.parametrize(
        "text",
        [
            '{"a": "4242 4242 4242 4242"}',
            '{"a": "\\u0034242424242424242"}',
            "4242424242424242 and no JSON",
        ],
    )
    def test_escapes_hide_no_digits(self, text: str) -> None:
        """What a reader of the JSON would see counts, beside what is written."""
        assert json_holds_card_number(text)

    @pytest.mark.parametrize("text", ["", '{"a": "\\u00e9"}', "\\u0034 {", "[" * 100_000 + "\\u"])
    def test_what_holds_none_passes(self, text: str) -> None:
        """Escapes as such are no harm, nor is what cannot be read."""
        assert not json_holds_card_number(text)
