"""What a customer pays with: a token of the gateway, or a method that they have saved."""

from typing import NamedTuple

from api.connections import Connections
from api.refusals import Invalid, MethodMissing


class Chosen(NamedTuple):
    """The gateway's name for it, and the gateway's customer who has it, if one must."""

    token: str
    gateway_customer_id: str | None = None
    is_saved: bool = False


def check_renewable(method: Chosen | None) -> None:
    """A hold is renewed while nobody is there: only a method that was saved for that will do.

    Raises:
        Invalid: It was not, or none is chosen.
    """
    if method is None or not method.is_saved:
        told = "A hold is renewed with a saved payment method only."
        raise Invalid("payment_method_id", told)


async def chosen(here: Connections, customer_id: str, method_id: str) -> Chosen:
    """What the gateway is to be asked for. The token of a saved method is that method.

    Raises:
        MethodMissing: This customer has no such method, or cannot pay with it (any more).
    """
    if method_id.startswith("mtd_"):
        method = await here.methods.method(method_id)
    else:
        method = await here.methods.of_gateway(method_id)
        if method is None or not method.was_saved:
            return Chosen(method_id)  # nobody's so far: the gateway knows what can be paid with it
    if (
        method is None
        or method.customer_id != customer_id
        or not method.can_pay
        or method.gateway_method_id is None
    ):
        raise MethodMissing
    return Chosen(method.gateway_method_id, method.gateway_customer_id, is_saved=True)
