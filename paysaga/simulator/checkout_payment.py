"""Paying a Checkout Session: what the hosted page does when the customer presses the button."""

from paysaga.simulator import checkout_completion, confirmation, customers, intents
from paysaga.simulator.calls import Call
from paysaga.simulator.checkout_params import ConfirmPage
from paysaga.simulator.customers import CreateCustomer
from paysaga.simulator.errors import ApiError, invalid, malformed
from paysaga.simulator.forms import Expandable
from paysaga.simulator.intent_params import ConfirmIntent, CreateIntent
from paysaga.simulator.payment_methods import find
from paysaga.simulator.storage import Body, Record


def retrieve_page(call: Call, _params: Expandable) -> Body:
    """Answer with what the hosted page shows."""
    record = call.own("checkout.session", "session")
    body = record.body
    total = body["amount_total"]
    return {
        "id": f"ppage_{record.id.removeprefix('cs_test_a1')[:24]}",
        "object": "payment_page",
        "currency": body["currency"],
        "livemode": False,
        "payment_intent": body["payment_intent"],
        "payment_method_types": body["payment_method_types"],
        "payment_status": body["payment_status"],
        "session_id": record.id,
        "status": body["status"],
        "success_url": body["success_url"],
        "total_summary": {"due": total, "subtotal": total, "total": total},
    }


def confirm_page(call: Call, params: ConfirmPage) -> Body:
    """Pay the session as its page would; a decline is raised after its traces are written."""
    record = call.own("checkout.session", "session")
    if params.expected_amount != record.body["amount_total"]:
        raise invalid(
            f"The expected amount ({params.expected_amount}) is not the amount of the Checkout"
            f" Session ({record.body['amount_total']}).",
            code="checkout_amount_mismatch",
            param="expected_amount",
        )
    pay(call, record, params.payment_method)
    return retrieve_page(call, params)


def attempt(call: Call, record: Record, method: str | None, email: str = "") -> ApiError | None:
    """Pay, and answer with the decline, if there is one, instead of raising it."""
    try:
        pay(call, record, method, email)
    except ApiError as error:
        if not error.stands:
            raise
        return error
    return None


def pay(call: Call, record: Record, method: str | None, email: str = "") -> None:
    """Charge the method for the session, or send the customer to authenticate.

    Raises:
        ApiError: A decline, which leaves the session open; or nothing is to be paid any more.
    """
    _check_open(call, record)
    if email and not record.body["customer_details"]:
        record.private["email"] = email
    if not record.body["amount_total"]:
        checkout_completion.finish(call, record, {}, paid=False)
        return
    if not method:
        raise malformed(
            "Missing required param: payment_method.",
            code="parameter_missing",
            param="payment_method",
        )
    chosen = find(call, method, "payment_method")
    intent = _intent(call, record, chosen.body["billing_details"])
    record.body["payment_intent"] = intent.id
    call.storage.put(record)
    back = f"{call.public_url}/c/pay/{record.id}/return"
    confirmation.confirm(call, intent, ConfirmIntent(payment_method=chosen.id, return_url=back))


def _check_open(call: Call, record: Record) -> None:
    if record.body["status"] == "complete":
        raise invalid(
            "This Checkout Session has already been completed.", code="checkout_succeeded_session"
        )
    if record.body["status"] != "open" or call.now >= record.body["expires_at"]:
        raise invalid(
            "This Checkout Session is no longer active.", code="checkout_not_active_session"
        )


def _intent(call: Call, record: Record, billing: Body) -> Record:
    """Find the intent of an earlier try, or make it: Stripe makes it when somebody confirms."""
    body = record.body
    if body["payment_intent"]:
        return call.other("payment_intent", body["payment_intent"], "payment_intent")
    data = record.private["payment_intent_data"]
    if not body["customer"] and (
        body["customer_creation"] == "always" or data.get("setup_future_usage")
    ):
        body["customer"] = _customer(call, record, billing)
    return intents.opened(
        call,
        CreateIntent(
            amount=body["amount_total"],
            currency=body["currency"],
            customer=body["customer"],
            payment_method_types=body["payment_method_types"],
            **data,
        ),
        {"checkout_session": record.id},
    )


def _customer(call: Call, record: Record, billing: Body) -> str:
    known = {"email": record.private["email"] or billing["email"], "name": billing["name"]}
    return str(customers.create(call, CreateCustomer(**known))["id"])
