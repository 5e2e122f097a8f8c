"""The customer's own act: 3-D Secure authorized or failed, PayPal approved or canceled."""

from typing import Literal

from paysaga.simulator import collection, setting_up
from paysaga.simulator.calls import Call
from paysaga.simulator.errors import ApiError, wrong_state
from paysaga.simulator.intent_methods import NOUNS
from paysaga.simulator.outcomes import ConnectionLost
from paysaga.simulator.storage import Record

Outcome = Literal["authorize", "fail"]

_FAILURES = {
    ("payment_intent", "3ds"): (
        "payment_intent_authentication_failure",
        (
            "The provided PaymentMethod has failed authentication. You can provide"
            " payment_method_data or a new PaymentMethod to attempt to fulfill this PaymentIntent"
            " again."
        ),
    ),
    ("payment_intent", "paypal"): (
        "payment_method_customer_decline",
        "The customer canceled the payment on PayPal's page.",
    ),
    ("setup_intent", "3ds"): (
        "setup_intent_authentication_failure",
        "The latest attempt to set up the payment method has failed because authentication failed.",
    ),
    ("setup_intent", "paypal"): (
        "setup_attempt_failed",
        "The customer refused on PayPal's page to be charged later.",
    ),
}


def kind_of(identifier: str) -> str:
    """Tell from its id whether an intent is for a payment or for a set-up."""
    return "setup_intent" if identifier.startswith("seti_") else "payment_intent"


def act(call: Call, record: Record, outcome: Outcome) -> None:
    """Carry the customer's act out; the intent afterwards tells how it went.

    Raises:
        ApiError: The intent waits for nobody.
    """
    body = record.body
    if body["status"] != "requires_action":
        raise wrong_state(f"This {NOUNS[record.kind]} has a status of {body['status']}.", body)
    method = call.other("payment_method", body["payment_method"], "payment_method")
    if outcome == "fail":
        code, message = _FAILURES[record.kind, record.private["action"]["page"]]
        error = ApiError(
            402, "invalid_request_error", message, code, details={"payment_method": method.body}
        )
        reopen = setting_up.reopen if record.kind == "setup_intent" else collection.reopen
        reopen(call, record, error.envelope("")["error"])
    elif body.get("confirmation_method") == "manual":
        record.private["authenticated"] = method.id
        body |= {"next_action": None, "status": "requires_confirmation"}
        call.storage.put(record)
    else:
        _finish(call, record, method)


def _finish(call: Call, record: Record, method: Record) -> None:
    finish = setting_up.set_up if record.kind == "setup_intent" else collection.collect
    try:
        finish(call, record, method, authenticated=True)
    except ApiError as error:
        if not error.stands:
            raise
    except ConnectionLost:
        act(call, record, "fail")  # on the customer's page there is no caller left to retry
