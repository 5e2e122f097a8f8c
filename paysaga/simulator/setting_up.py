"""Setting a payment method up: the attempt, and what its outcome makes of the SetupIntent."""

from paysaga.simulator import outcomes, setup_bodies
from paysaga.simulator.calls import Call
from paysaga.simulator.declines import Decline, declined_error
from paysaga.simulator.events import emit
from paysaga.simulator.payment_methods import attach_to
from paysaga.simulator.storage import Body, Record


def attempt(call: Call, record: Record, method: Record) -> None:
    """Begin one more attempt."""
    body = setup_bodies.attempt(call, record.body, method.body)
    call.storage.put(Record("setup_attempt", body))
    record.body["latest_attempt"] = body["id"]


def await_customer(call: Call, record: Record) -> None:
    """Note that the attempt waits for the customer."""
    _conclude(call, record, status="requires_action")


def abandon(call: Call, record: Record) -> None:
    """Note that nobody waits for the customer any more."""
    if record.body["status"] == "requires_action":
        _conclude(call, record, status="abandoned")


def set_up(call: Call, record: Record, method: Record, *, authenticated: bool) -> None:
    """Save the method for its customer; a decline is raised after its traces are written."""
    refusal = outcomes.refusal_of(call, method)
    if refusal:
        decline(call, record, method, refusal)
    if record.body["usage"] == "off_session":
        method.private["set_up"] = True
        call.storage.put(method)
    if record.body["customer"]:
        attach_to(call, method.id, record.body["customer"])
    _conclude(call, record, status="succeeded", authenticated=authenticated)
    record.private.pop("action", None)
    record.body |= {"next_action": None, "status": "succeeded"}
    call.storage.put(record)
    emit(call, "setup_intent.succeeded", record.body)


def decline(call: Call, record: Record, method: Record, refusal: Decline) -> None:
    """Open the intent for another method, and raise the 402."""
    error = declined_error(refusal, method=method.body)
    reopen(call, record, error.envelope(call.request_id or "req_none")["error"])
    error.details["setup_intent"] = record.body
    raise error


def reopen(call: Call, record: Record, error: Body) -> None:
    """Send the intent back to `requires_payment_method`, saying why."""
    error.pop("request_log_url", None)
    _conclude(call, record, status="failed", setup_error=error)
    record.private.pop("action", None)
    record.body |= {
        "last_setup_error": error,
        "next_action": None,
        "payment_method": None,
        "status": "requires_payment_method",
    }
    call.storage.put(record)
    emit(call, "setup_intent.setup_failed", record.body)


def _conclude(
    call: Call, record: Record, *, authenticated: bool = False, **outcome: object
) -> None:
    latest = call.other("setup_attempt", record.body["latest_attempt"], "latest_attempt")
    latest.body |= outcome
    if authenticated:
        details = latest.body["payment_method_details"]
        latest.body["payment_method_details"] = setup_bodies.authenticated(details)
    call.storage.put(latest)
