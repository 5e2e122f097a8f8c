"""How amounts, moments and means of payment are written in a language."""

import unicodedata
from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import Final, NamedTuple

from paysaga.domain.money import Money
from paysaga.domain.reasons import Reason
from paysaga.events.shapes import DeclineTold, Method

_WALLETS: Final = {"apple_pay": "Apple Pay", "google_pay": "Google Pay", "link": "Link"}
_BRANDS: Final = {
    "amex": "American Express",
    "diners": "Diners Club",
    "eftpos_au": "eftpos",
    "jcb": "JCB",
    "mastercard": "Mastercard",
    "unionpay": "UnionPay",
}


class Words(NamedTuple):
    """What a language has of its own beside its templates."""

    decimal_point: str
    thousands: str
    months: tuple[str, ...]
    date: str
    account: str
    order: str
    purpose: str
    amount: str
    refunded: str
    means: str
    at: str
    customer: str
    payment: str
    footer: str
    declines: Mapping[str, str]
    declined: str
    reasons: Mapping[Reason, str]

    def money(self, money: Money) -> str:
        """An amount in major units, with all decimals of its currency."""
        figures = f"{money.major:,f}".translate(
            {ord(","): self.thousands, ord("."): self.decimal_point}
        )
        return f"{figures}\N{NO-BREAK SPACE}{money.currency}"

    def moment(self, at: datetime, zone: tzinfo) -> str:
        """A moment in this zone, which is named."""
        there = at.astimezone(zone)
        return self.date.format(
            day=there.day,
            month=self.months[there.month - 1],
            year=there.year,
            time=f"{there:%H:%M}",
            zone=there.tzname(),
        )

    def method(self, method: Method | None) -> str | None:
        """The means of payment as its owner knows it; `None` if it has no name."""
        if method is None:
            return None
        if method.kind == "paypal":
            return "PayPal"
        if method.last4 is None:
            return None
        brand = method.brand or ""
        name = plain(_BRANDS.get(brand, brand.capitalize())) or self.account
        card = f"{name} •••• {plain(method.last4)}"
        wallet = _WALLETS.get(method.wallet or "")
        return f"{wallet} ({card})" if wallet else card

    def decline(self, decline: DeclineTold | None) -> str | None:
        """Why the last attempt came to nothing."""
        return self.declines.get(decline.message, self.declined) if decline else None


def plain(text: str) -> str:
    """Somebody's text on one line, without a character that does anything."""
    shown = (
        character if unicodedata.category(character)[0] not in "CZ" else " " for character in text
    )
    return " ".join("".join(shown).split())
