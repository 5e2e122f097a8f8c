"""Recognise a card number in any text, so that none is ever stored or logged."""

import json
import re
from collections.abc import Collection, Iterator
from itertools import accumulate
from typing import Final

_PHONE: Final = 15  # digits at most, by E.164
_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)  # the digit sum of twice the digit

# First four digits from and to, and the lengths in use. The wide last ranges hold Maestro,
# Discover, UnionPay's 62 and what else is issued under 6.
_BRANDS: Final = (
    (4000, 4999, (13, 16, 19)),  # Visa
    (5100, 5599, (16,)),  # Mastercard
    (2221, 2720, (16,)),  # Mastercard
    (3400, 3499, (15,)),  # American Express
    (3700, 3799, (15,)),  # American Express
    (3000, 3059, range(14, 20)),  # Diners Club
    (3095, 3095, range(14, 20)),  # Diners Club
    (3600, 3699, range(14, 20)),  # Diners Club
    (3800, 3999, range(14, 20)),  # Diners Club
    (3528, 3589, range(16, 20)),  # JCB
    (8100, 8199, range(16, 20)),  # UnionPay
    (5000, 5099, range(13, 20)),  # Maestro
    (5600, 5899, range(13, 20)),  # Maestro
    (6000, 6999, range(13, 20)),  # Maestro, Discover, UnionPay, RuPay
)

# A group of digits of any script. One that touches an ASCII letter or "_" is part of an id, a
# hash or an IBAN; of hexadecimal hashes, one in a thousand would be a false alarm. Other scripts'
# letters protect no number: Chinese, for one, puts no space before it.
_GROUP: Final = re.compile(r"(?<![A-Za-z_\d])\d++(?![A-Za-z_])")

# Up to three of: white space, dots, dashes, minus, and characters that cannot be seen.
_SEPARATOR: Final = re.compile(
    r"[\s.\u00b7\u2027\u3002\uff0e\-\u058a\u2010-\u2015\u2043\u2212\u2e3a\u2e3b\ufe58\ufe63\uff0d"
    r"\u00ad\u200b-\u200f\u2060\ufeff]{1,3}"
)

# Eight, four and four digits of a UUID could make a Visa number.
_UUID: Final = re.compile(r"(?<!\w)[\da-fA-F]{8}-(?:[\da-fA-F]{4}-){3}[\da-fA-F]{12}(?!\w)")


def holds_card_number(text: str) -> bool:
    """Tell whether 13 to 19 digits in the text, however grouped, are a card number.

    They have a known brand's first digits and length and pass the Luhn check. Digits that go on
    beyond 19 without a gap are none, nor are up to 15 after a "+": that is a telephone number.
    Time grows with the text's length, no faster.
    """
    text = _UUID.sub("_", text)
    return any(
        _passes_luhn(number) for chain in _chains(text) for number in _of_a_brand(text, chain)
    )


def json_holds_card_number(text: str) -> bool:
    """The same of JSON, where digits could hide behind escapes."""
    return holds_card_number(text) or holds_card_number(_unescaped(text))


def _unescaped(text: str) -> str:
    if "\\u" not in text:
        return ""
    try:
        return json.dumps(json.loads(text), ensure_ascii=False)
    except (ValueError, RecursionError):
        return ""  # no JSON is refused anyway


def _chains(text: str) -> Iterator[list[re.Match[str]]]:
    """The groups of digits, together where nothing but a separator divides them."""
    chain: list[re.Match[str]] = []
    for group in _GROUP.finditer(text):
        if chain and not _SEPARATOR.fullmatch(text, chain[-1].end(), group.start()):
            yield chain
            chain = []
        chain.append(group)
    yield chain


def _of_a_brand(text: str, chain: list[re.Match[str]]) -> Iterator[str]:
    """Every number of a brand's form that begins and ends with whole groups."""
    digits = "".join(group[0] for group in chain)
    edges = list(accumulate((len(group[0]) for group in chain), initial=0))
    ends = frozenset(edges)
    for start, group in zip(edges, chain, strict=False):
        after_plus = text[group.start() - 1 : group.start()] == "+"
        for length in _lengths(digits[start : start + 4]):
            if start + length in ends and not (after_plus and length <= _PHONE):
                yield digits[start : start + length]


def _lengths(head: str) -> Collection[int]:
    first = int(head)
    return next((lengths for low, high, lengths in _BRANDS if low <= first <= high), ())


def _passes_luhn(number: str) -> bool:
    digits = [int(digit) for digit in reversed(number)]
    return (sum(digits[::2]) + sum(_DOUBLED[digit] for digit in digits[1::2])) % 10 == 0
