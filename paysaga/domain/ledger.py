"""Transfers between accounts: what one gains another loses, so the books always balance."""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

from pydantic import PositiveInt

from paysaga.domain.message import Message
from paysaga.domain.money import Currency, Money


class Account(StrEnum):
    """Where money can be. Balances are debits less credits.

    `receivable` is for bills that are open and `disputes` for chargebacks: nothing is booked there
    yet.
    """

    GATEWAY_CLEARING = "gateway_clearing"
    RECEIVABLE = "receivable"
    REVENUE = "revenue"
    REFUNDS = "refunds"
    FEES = "fees"
    DISPUTES = "disputes"


class Transfer(Message):
    """An amount in minor units that leaves `credit` and arrives at `debit`."""

    payment_id: str
    debit: Account
    credit: Account
    amount: PositiveInt
    currency: Currency


def captured(payment_id: str, money: Money) -> tuple[Transfer, ...]:
    """The gateway now holds the customer's money for us."""
    return _transfer(payment_id, Account.GATEWAY_CLEARING, Account.REVENUE, money)


def refunded(payment_id: str, money: Money) -> tuple[Transfer, ...]:
    """The gateway has given the customer's money back."""
    return _transfer(payment_id, Account.REFUNDS, Account.GATEWAY_CLEARING, money)


def refund_returned(payment_id: str, money: Money) -> tuple[Transfer, ...]:
    """A refund has failed after all: the gateway holds the money for us again."""
    return _transfer(payment_id, Account.GATEWAY_CLEARING, Account.REFUNDS, money)


def fee_changed(payment_id: str, money: Money) -> tuple[Transfer, ...]:
    """The gateway keeps so much (more) for its service; a negative amount is given back to us."""
    if money.minor < 0:
        return _transfer(payment_id, Account.GATEWAY_CLEARING, Account.FEES, -money)
    return _transfer(payment_id, Account.FEES, Account.GATEWAY_CLEARING, money)


def balances(transfers: Iterable[Transfer]) -> dict[tuple[str, Account], int]:
    """What each account that was touched holds, by currency: the sum of a currency is nothing."""
    held: Counter[tuple[str, Account]] = Counter()
    for transfer in transfers:
        held[transfer.currency, transfer.debit] += transfer.amount
        held[transfer.currency, transfer.credit] -= transfer.amount
    return dict(held)


def _transfer(
    payment_id: str, debit: Account, credit: Account, money: Money
) -> tuple[Transfer, ...]:
    return (
        Transfer(
            payment_id=payment_id,
            debit=debit,
            credit=credit,
            amount=money.minor,
            currency=money.currency,
        ),
    )
