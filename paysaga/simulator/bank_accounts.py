"""Stripe's test accounts for SEPA Direct Debit and how a debit of each ends."""

import hashlib
import re
from dataclasses import dataclass

from paysaga.simulator.declines import Decline
from paysaga.simulator.errors import invalid
from paysaga.simulator.storage import Body

_IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
_TOKEN = "pm_sepaDebit_"  # noqa: S105 - a prefix of public names
_NOT_PROCESSED = Decline(
    "generic_could_not_process", None, "The bank could not process this debit."
)
_NO_FUNDS = Decline(
    "insufficient_funds", None, "The customer's account has insufficient funds to cover this debit."
)


@dataclass(frozen=True, slots=True)
class Account:
    """One row of the table. `name` is what follows `pm_sepaDebit_` in a token."""

    iban: str
    name: str | None = None
    failure: Decline | None = None


_ACCOUNTS = (
    Account("AT611904300234573201", "success_at"),
    Account("AT861904300235473202", "failed_at", _NOT_PROCESSED),
    Account("AT981904300002222227", "insufficientFunds_at", _NO_FUNDS),
    Account("DE89370400440532013000", "success_de"),
    Account("DE62370400440532013001", "failed_de", _NOT_PROCESSED),
    # The Stripe CLI plays `checkout.session.async_payment_failed` with this one.
    Account("IT60X0542811101000000123456", None, _NOT_PROCESSED),
)
_BY_IBAN = {account.iban: account for account in _ACCOUNTS}
_BY_TOKEN = {f"{_TOKEN}{account.name}": account for account in _ACCOUNTS if account.name}


def account_of_token(token: str) -> Account | None:
    """Find the account behind `pm_sepaDebit_success_at`."""
    return _BY_TOKEN.get(token)


def account_of_iban(iban: str) -> Account:
    """Find the account of that IBAN; one that the table does not name always pays."""
    return _BY_IBAN.get(iban) or Account(iban)


def checked_iban(iban: str, param: str) -> str:
    """Answer with the IBAN in one piece, or refuse one that cannot exist."""
    whole = re.sub(r"[ -]", "", iban).upper()
    if not _IBAN.fullmatch(whole) or not _adds_up(whole):
        raise invalid(
            "The IBAN you provided is invalid.", code="invalid_bank_account_iban", param=param
        )
    return whole


def method_part(iban: str) -> Body:
    """Write the `sepa_debit` of a payment method."""
    return {
        "bank_code": iban[4:9],
        "branch_code": "",
        "country": iban[:2],
        "fingerprint": hashlib.sha256(iban.encode()).hexdigest()[:16],
        "generated_from": {"charge": None, "setup_attempt": None},
        "last4": iban[-4:],
    }


def charge_part(method: Body) -> Body:
    """Write the `sepa_debit` of a charge's details."""
    shared = ("bank_code", "branch_code", "country", "fingerprint", "last4")
    return {name: method["sepa_debit"][name] for name in shared} | {"mandate": None}


def _adds_up(iban: str) -> bool:
    digits = "".join(str(int(letter, 36)) for letter in iban[4:] + iban[:4])
    return int(digits) % 97 == 1
