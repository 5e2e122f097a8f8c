"""Transfers between accounts: what one gains another loses, so the books always balance."""

from enum import StrEnum

from pydantic import PositiveInt

from paysaga.domain.message import Message
from paysaga.domain.money import Currency, Money


class Account(StrEnum):
    """Where money can be. Balances are debits less credits."""

    GATEWAY_CLEARING = "gateway_clearing"
    REVENUE = "revenue"
    REFUNDS = "refunds"


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
