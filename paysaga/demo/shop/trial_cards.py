"""Stripe's test cards by what they do, for the buttons beside the card form."""

from typing import Final

from paysaga.domain.message import Message


class TrialCard(Message):
    """A card that always does the same."""

    name: str
    number: str


TRIAL_CARDS: Final = tuple(
    TrialCard(name=name, number=number)
    for name, number in (
        ("Succeeds", "4242 4242 4242 4242"),
        ("Debit card", "4000 0566 5566 5556"),
        ("Asks for 3-D Secure", "4000 0027 6000 3184"),
        ("Declined", "4000 0000 0000 0002"),
        ("Insufficient funds", "4000 0000 0000 9995"),
        ("Expired", "4000 0000 0000 0069"),
        ("Wrong security code", "4000 0000 0000 0127"),
        ("Processing error", "4000 0000 0000 0119"),
    )
)
