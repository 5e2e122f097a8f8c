"""Collecting an intent's money: the charge, and what its outcome makes of the intent."""

from paysaga.simulator import chargebacks, charges, checkout_completion, outcomes
from paysaga.simulator.calls import Call
from paysaga.simulator.declines import Decline, declined_error
from paysaga.simulator.events import emit
from paysaga.simulator.settlement import later
from paysaga.simulator.storage import Body, Record


def collect(call: Call, record: Record, method: Record, *, authenticated: bool) -> None:
    """Charge the method; a decline is raised after its traces are written."""
    refusal = outcomes.decline_of(call, method)
    if refusal:
        decline(call, record, method, refusal)
    _keep_method(call, record.body, method)
    record.private.pop("action", None)
    record.body["next_action"] = None
    if method.body["type"] == "sepa_debit":
        _debit(call, record, method)
    else:
        charge = charges.authorize(call, record.body, method.body, authenticated=authenticated)
        record.body["latest_charge"] = charge["id"]
        if record.body["capture_method"] == "manual":
            _hold(call, record, charge)
        else:
            take(call, record, charge)
    checkout_completion.complete(call, record, method.body)


def decline(call: Call, record: Record, method: Record, refusal: Decline) -> None:
    """Write a failed charge, open the intent for another method, and raise the 402."""
    body = record.body
    charge = charges.fail(call, body, method.body, refusal, blocked=outcomes.is_blocked(method))
    error = declined_error(refusal, charge=charge["id"], method=method.body)
    reopen(call, record, error.envelope(call.request_id or "req_none")["error"], charge["id"])
    error.details["payment_intent"] = body
    raise error


def reopen(call: Call, record: Record, error: Body, charge: str | None = None) -> None:
    """Send the intent back to `requires_payment_method`, saying why."""
    error.pop("request_log_url", None)
    record.private.pop("action", None)
    record.body |= {
        "last_payment_error": error,
        "latest_charge": charge or record.body["latest_charge"],
        "next_action": None,
        "payment_method": None,
        "status": "requires_payment_method",
    }
    call.storage.put(record)
    emit(call, "payment_intent.payment_failed", record.body)


def take(call: Call, record: Record, charge: Body) -> None:
    """Take all that the charge is for."""
    charges.capture(call, charge, charge["amount"])
    record.body |= {"amount_received": charge["amount"], "status": "succeeded"}
    call.storage.put(record)
    emit(call, "charge.succeeded", charge)
    emit(call, "payment_intent.succeeded", record.body)
    chargebacks.claim(call, charge)


def _hold(call: Call, record: Record, charge: Body) -> None:
    record.body |= {"amount_capturable": charge["amount"], "status": "requires_capture"}
    call.storage.put(record)
    emit(call, "charge.succeeded", charge)
    emit(
        call,
        "payment_intent.amount_capturable_updated",
        record.body,
        {"amount_capturable": 0},
    )


def _debit(call: Call, record: Record, method: Record) -> None:
    charge = charges.begin(call, record.body, method.body)
    record.body |= {"latest_charge": charge["id"], "status": "processing"}
    call.storage.put(record)
    emit(call, "payment_intent.processing", record.body)
    emit(call, "charge.pending", charge)
    later(call, "settle_debit", record, call.knobs.debit_settle_seconds)


def _keep_method(call: Call, intent: Body, method: Record) -> None:
    usage = intent["setup_future_usage"]
    if usage == "off_session":
        method.private["set_up"] = True
    if not method.body["customer"]:
        if usage and intent["customer"]:
            method.body["customer"] = intent["customer"]
            emit(call, "payment_method.attached", method.body)
        else:
            method.private["used_up"] = True
    call.storage.put(method)
