"""The customer's own act: 3-D Secure authorized or failed, PayPal approved or canceled."""

from typing import Literal

from paysaga.simulator import collection
from paysaga.simulator.calls import Call
from paysaga.simulator.errors import ApiError, wrong_state
from paysaga.simulator.outcomes import ConnectionLost
from paysaga.simulator.storage import Record

Outcome = Literal["authorize", "fail"]

_FAILURES = {
    "3ds": (
        "payment_intent_authentication_failure",
        (
            "The provided PaymentMethod has failed authentication. You can provide"
            " payment_method_data or a new PaymentMethod to attempt to fulfill this PaymentIntent"
            " again."
        ),
    ),
    "paypal": (
        "payment_intent_payment_attempt_failed",
        "The customer canceled the payment on PayPal's page.",
    ),
}


def act(call: Call, record: Record, outcome: Outcome) -> None:
    """Carry the customer's act out; the intent afterwards tells how it went.

    Raises:
        ApiError: The intent waits for nobody.
    """
    body = record.body
    if body["status"] != "requires_action":
        raise wrong_state(f"This PaymentIntent has a status of {body['status']}.", body)
    method = call.other("payment_method", body["payment_method"], "payment_method")
    if outcome == "fail":
        code, message = _FAILURES[record.private["action"]["page"]]
        error = ApiError(
            402, "invalid_request_error", message, code, details={"payment_method": method.body}
        )
        collection.reopen(call, record, error.envelope("")["error"])
    elif body["confirmation_method"] == "manual":
        record.private["authenticated"] = method.id
        body |= {"next_action": None, "status": "requires_confirmation"}
        call.storage.put(record)
    else:
        _charge(call, record, method)


def _charge(call: Call, record: Record, method: Record) -> None:
    try:
        collection.collect(call, record, method, authenticated=True)
    except ApiError as error:
        if not error.stands:
            raise
    except ConnectionLost:
        act(call, record, "fail")  # on the customer's page there is no caller left to retry
