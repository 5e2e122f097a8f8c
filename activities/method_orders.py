"""What a run asks of the gateway for a saved method, one message for each step."""

from pydantic import AwareDatetime

from activities.stripe_orders import Buyer
from paysaga.domain.message import Message


class SetUpOrder(Buyer):
    """The method to be saved for later payments, through one SetupIntent.

    `generation` counts the keys of the step, as it does for payments; `searched_to` is how far the
    look for an earlier one's effect has come. `is_repeat`: it was asked before, and nobody knows
    with what effect.
    """

    method_id: str
    token: str
    return_url: str
    correlation_id: str
    ordered_at: AwareDatetime
    is_repeat: bool = False
    generation: int = 0
    searched_to: str | None = None


class CancelSetUpOrder(Message):
    """Cancel a SetupIntent, unless it has come to an end."""

    method_id: str
    setup_id: str
    generation: int = 0


class DetachOrder(Message):
    """Take a saved method from its customer, for ever."""

    method_id: str
    gateway_method_id: str
    generation: int = 0
