"""What the API says of a saved method."""

from typing import Final

from pydantic import AwareDatetime

from api.views import MethodView, NextAction, View
from paysaga.domain.saved_method import SavedMethod, SavedMethodStatus, SaveReason

_MESSAGES: Final = {
    SavedMethodStatus.PROCESSING: "Your payment method is being saved.",
    SavedMethodStatus.REQUIRES_ACTION: "Please confirm with your bank that it may be saved.",
    SavedMethodStatus.ACTIVE: "Your payment method is saved.",
    SavedMethodStatus.FAILED: "This payment method could not be saved. Please use another one.",
    SavedMethodStatus.REMOVED: "The payment method was removed.",
}
_BY_REASON: Final = {
    SaveReason.GATEWAY_UNREACHABLE: (
        "Saving your payment method is taking longer than usual. It goes on by itself."
    ),
    SaveReason.REMOVAL_REQUESTED: "Your payment method is being removed.",
    SaveReason.ALREADY_SAVED: "This payment method is saved already.",
}
# A payment's words for these speak of a payment.
_OF_SAVING: Final = {
    "authentication_timeout": (
        "It was not confirmed in time, so it was not saved. Please try again."
    ),
    "setup_intent_authentication_failure": (
        "It could not be confirmed with your bank, so it was not saved. Please try again or use"
        " another one."
    ),
    "processing_error": "It could not be saved. Please try again.",
}


class MethodLinks(View):
    """Where to go on from here. `run` is for staff: the run's page in the Temporal UI."""

    self: str
    run: str | None


class SavedMethodView(View):
    """A payment method of a customer. Only an `active` one can be paid with."""

    id: str
    customer_id: str
    status: SavedMethodStatus
    reason: SaveReason
    message: str
    payment_method: MethodView | None
    is_default: bool
    next_action: NextAction | None
    action_until: AwareDatetime | None
    decline_code: str | None
    gateway_payment_method_id: str | None
    version: int
    links: MethodLinks
    created_at: AwareDatetime
    updated_at: AwareDatetime
    removed_at: AwareDatetime | None


class SavedMethodPage(View):
    """Some methods, newest first, and the cursor to go on with."""

    items: list[SavedMethodView]
    next_after: str | None


def message_for(method: SavedMethod) -> str:
    """What the customer may be shown."""
    if method.status is SavedMethodStatus.FAILED and method.decline:
        return _OF_SAVING.get(method.decline.code, method.decline.message)
    return _BY_REASON.get(method.reason, _MESSAGES[method.status])


def saved_method_view(method: SavedMethod, links: MethodLinks, *, inside: bool) -> SavedMethodView:
    """The method; `inside` the shop also by the gateway's name."""
    action = None
    if method.status is SavedMethodStatus.REQUIRES_ACTION and method.action_url:
        action = NextAction(url=method.action_url)
    return SavedMethodView(
        id=method.id,
        customer_id=method.customer_id,
        status=method.status,
        reason=method.reason,
        message=message_for(method),
        payment_method=MethodView.of(method.facts),
        is_default=method.is_default and method.status is SavedMethodStatus.ACTIVE,
        next_action=action,
        action_until=method.action_until if action else None,
        decline_code=method.decline.code if method.decline else None,
        gateway_payment_method_id=method.gateway_method_id if inside else None,
        version=method.version,
        links=links,
        created_at=method.created_at,
        updated_at=method.updated_at,
        removed_at=method.removed_at,
    )
