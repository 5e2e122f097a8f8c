"""Whether what was chosen to pay with will do while nobody is there."""

from api.refusals import Invalid
from paysaga.starting.methods import Chosen


def check_renewable(method: Chosen | None) -> None:
    """A hold is renewed while nobody is there: only a method that was saved for that will do.

    Raises:
        Invalid: It was not, or none is chosen.
    """
    if method is None or not method.is_saved:
        told = "A hold is renewed with a saved payment method only."
        raise Invalid("payment_method_id", told)
