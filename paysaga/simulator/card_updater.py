"""Stripe's card updater: the network tells that a bank has renewed or replaced a saved card."""

from copy import deepcopy
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from paysaga.simulator.calls import Call
from paysaga.simulator.errors import invalid
from paysaga.simulator.events import emit
from paysaga.simulator.method_making import checked_expiry, fingerprint
from paysaga.simulator.shapes import previous
from paysaga.simulator.storage import Body


class Renewal(BaseModel):
    """The card that the customer has now; another `last4` means that its number is another."""

    model_config = ConfigDict(extra="forbid", strict=True)

    exp_month: int
    exp_year: int
    last4: Annotated[str, Field(pattern=r"^\d{4}$")]


def renew(call: Call, renewal: Renewal) -> Body:
    """Change the card without anybody having asked, and tell of it.

    Raises:
        ApiError: There is no such method, it is no saved card, or the new one has expired.
    """
    record = call.own("payment_method")
    body = record.body
    if body["type"] != "card" or not body["customer"]:
        raise invalid("Only cards that are attached to a customer are updated.")
    before = deepcopy(body)
    number = record.private["number"]
    if not number.endswith(renewal.last4):
        number = f"{number} replaced by {renewal.last4}"
    body["card"] |= checked_expiry(call, renewal.exp_month, renewal.exp_year)
    body["card"] |= {"fingerprint": fingerprint(number), "last4": renewal.last4}
    call.storage.put(record)
    emit(call, "payment_method.automatically_updated", body, previous(before, body))
    return body
