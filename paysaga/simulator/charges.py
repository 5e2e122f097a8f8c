"""Charges: one try each to take money, authorized or failed, captured once."""

from pydantic import Field

from paysaga.simulator import journal
from paysaga.simulator.calls import Call
from paysaga.simulator.cards import BY_NUMBER, Card
from paysaga.simulator.charge_bodies import approved, blank, blocked_by_radar, declined
from paysaga.simulator.declines import Decline
from paysaga.simulator.events import emit
from paysaga.simulator.forms import Blankable, Expandable, Metadata
from paysaga.simulator.lists import DatedListParams, listed
from paysaga.simulator.settlement import credit, later
from paysaga.simulator.shapes import Shipping, changed
from paysaga.simulator.storage import Body, Record

_HOLD_SECONDS = 7 * 24 * 3600


class UpdateCharge(Expandable):
    """Parameters of update."""

    description: Blankable = None
    metadata: Metadata = Field(default_factory=dict)
    receipt_email: Blankable = None
    shipping: Shipping | None = None


class ListCharges(DatedListParams):
    """Filters of the charge list."""

    customer: str | None = None
    payment_intent: str | None = None


def retrieve(call: Call, _params: Expandable) -> Body:
    """Answer with one charge."""
    return call.own("charge", "charge").body


def update(call: Call, params: UpdateCharge) -> Body:
    """Change the describing parts."""
    record = call.own("charge", "charge")
    changed(record.body, params, "description", "receipt_email", "shipping")
    call.storage.put(record)
    emit(call, "charge.updated", record.body, {})
    return record.body


def list_all(call: Call, params: ListCharges) -> Body:
    """List charges, failed ones too."""
    equal = {"customer": params.customer, "payment_intent": params.payment_intent}
    body, _ = listed(call, "charge", "/v1/charges", params, equal=equal)
    return body


def card_of(call: Call, charge: Body) -> Card | None:
    """Find the test card that was charged, if it was one that does something of its own."""
    method = call.storage.get("payment_method", charge["payment_method"])
    return BY_NUMBER.get(method.private.get("number", "")) if method else None


def authorize(call: Call, intent: Body, method: Body, *, authenticated: bool) -> Body:
    """Hold the intent's whole amount on the method."""
    body = blank(call, intent, method, authenticated=authenticated)
    body |= {"outcome": approved(), "paid": True, "status": "succeeded"}
    details = body["payment_method_details"].get("card")
    if details is not None and intent["capture_method"] == "manual":
        details["capture_before"] = call.now + _HOLD_SECONDS
    call.storage.put(Record("charge", body))
    journal.write(call, "charge.authorized", body, body["amount"])
    return body


def fail(call: Call, intent: Body, method: Body, decline: Decline, *, blocked: bool) -> Body:
    """Keep a charge that took nothing, and tell of it."""
    body = blank(call, intent, method, authenticated=False)
    refuse(call, body, decline, blocked=blocked)
    return body


def begin(call: Call, intent: Body, method: Body) -> Body:
    """Keep a charge whose bank answers later."""
    body = blank(call, intent, method, authenticated=False)
    body["outcome"] = approved()
    call.storage.put(Record("charge", body))
    return body


def refuse(call: Call, body: Body, decline: Decline, *, blocked: bool = False) -> None:
    """Write that the charge took nothing, and tell of it."""
    body |= {
        "failure_code": decline.code,
        "failure_message": decline.message,
        "outcome": blocked_by_radar() if blocked else declined(decline),
        "status": "failed",
    }
    call.storage.put(Record("charge", body))
    journal.write(
        call, "charge.failed", body, body["amount"], reason=decline.decline_code or decline.code
    )
    emit(call, "charge.failed", body)


def capture(call: Call, body: Body, amount: int) -> None:
    """Take `amount` of what is held, for good; the rest is released."""
    body |= {"amount_captured": amount, "captured": True}
    charge = Record("charge", body)
    call.storage.put(charge)
    if call.knobs.balance_delay_seconds:
        later(call, "credit", charge, call.knobs.balance_delay_seconds)
    else:
        credit(call, charge)
    journal.write(call, "charge.captured", body, amount)
