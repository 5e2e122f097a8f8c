"""What an event of the gateway means for a saved method. It is a nudge, and never the truth."""

from datetime import timedelta
from enum import StrEnum
from typing import Final

from paysaga.domain.gateway_event import NUDGES, OWN_CALL
from paysaga.domain.saved_method import SavedMethod, SavedMethodStatus, SaveReason

# The kinds of event that runs of saved methods wait for (Stripe's API reference, "Types of
# events"). Those about a PaymentMethod carry none of our marks: its id leads to the row. That the
# customer is needed is told by our own call; the gateway's list takes twenty kinds in one question.
METHOD_NUDGES: Final = frozenset(
    {
        "setup_intent.succeeded",
        "setup_intent.setup_failed",
        "setup_intent.canceled",
        "payment_method.automatically_updated",
        "payment_method.updated",
        "payment_method.detached",
    }
)
# All that we ask the gateway for.
LISTENED_FOR: Final = NUDGES | METHOD_NUDGES


class MethodDuty(StrEnum):
    """Who has to look at the gateway."""

    RUN = "run"
    LOOK = "look"
    LATER = "later"
    NOBODY = "nobody"


def method_duty(kind: str, method: SavedMethod, age: timedelta) -> MethodDuty:
    """Who has to look, as the method stands; `age` is how long we have had the event."""
    if kind.startswith("payment_method."):
        # Also what is being removed: the run that does it may have been ended by somebody.
        is_there = method.status is SavedMethodStatus.ACTIVE
        return MethodDuty.LOOK if is_there else MethodDuty.NOBODY
    if not method.is_open:
        return MethodDuty.NOBODY
    if method.status is SavedMethodStatus.REQUIRES_ACTION:
        return MethodDuty.RUN
    own_call = method.reason is not SaveReason.GATEWAY_PROCESSING
    return MethodDuty.LATER if own_call and age < OWN_CALL else MethodDuty.RUN
