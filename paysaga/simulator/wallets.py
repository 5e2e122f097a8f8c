"""Apple Pay and Google Pay: a card that a phone's wallet gave. Stripe has no test token for it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from paysaga.simulator.calls import Call
from paysaga.simulator.errors import invalid
from paysaga.simulator.storage import Body


class Wallet(BaseModel):
    """The wallet that the card is taken from."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Literal["apple_pay", "google_pay"]


def take_from(call: Call, wallet: Wallet) -> Body:
    """Make the card one that its customer's wallet gave.

    Raises:
        ApiError: There is no such method, or it is no card.
    """
    record = call.own("payment_method")
    if record.body["type"] != "card":
        raise invalid("Only cards are in a wallet.")
    record.body["card"]["wallet"] = {
        "dynamic_last4": None,
        "type": wallet.type,
        wallet.type: {},
    }
    call.storage.put(record)
    return record.body
