"""What a customer pays with: a token of the gateway, or a method that they have saved."""

from typing import NamedTuple

from paysaga.database.saved_methods import SavedMethods
from paysaga.starting.refusals import MethodMissing


class Chosen(NamedTuple):
    """The gateway's name for it, and the gateway's customer who has it, if one must."""

    token: str
    gateway_customer_id: str | None = None
    is_saved: bool = False


async def chosen(methods: SavedMethods, customer_id: str, method_id: str) -> Chosen:
    """What the gateway is to be asked for. The token of a saved method is that method.

    Raises:
        MethodMissing: This customer has no such method, or cannot pay with it (any more).
    """
    if method_id.startswith("mtd_"):
        method = await methods.method(method_id)
    else:
        method = await methods.of_gateway(method_id)
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
