"""How a debit of a bank account ends: the bank answers days after the customer has left."""

from paysaga.simulator import charges, checkout_completion, collection
from paysaga.simulator.bank_accounts import account_of_iban
from paysaga.simulator.calls import Call
from paysaga.simulator.declines import Decline
from paysaga.simulator.errors import ApiError
from paysaga.simulator.storage import Body, Record


def _settle(call: Call) -> None:
    intent = call.own("payment_intent")
    method = call.other("payment_method", intent.body["payment_method"], "payment_method")
    charge = call.other("charge", intent.body["latest_charge"], "charge").body
    failure = account_of_iban(method.private["iban"]).failure
    if failure:
        _bounce(call, intent, charge, method.body, failure)
    else:
        charge |= {"paid": True, "status": "succeeded"}
        collection.take(call, intent, charge)
    checkout_completion.settle(call, intent)


def _bounce(call: Call, intent: Record, charge: Body, method: Body, failure: Decline) -> None:
    charges.refuse(call, charge, failure)
    error = ApiError(
        402,
        "invalid_request_error",
        failure.message,
        "payment_intent_payment_attempt_failed",
        details={"charge": charge["id"], "payment_method": method},
    )
    collection.reopen(call, intent, error.envelope("")["error"], charge["id"])


STEPS = {"settle_debit": _settle}
