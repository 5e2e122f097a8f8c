"""PaymentIntents: created, changed, captured, canceled. Confirming has its own module."""

from paysaga.simulator import charges, confirmation, journal
from paysaga.simulator.access import shown
from paysaga.simulator.calls import Call
from paysaga.simulator.currencies import check_amount, checked_currency, not_positive
from paysaga.simulator.errors import invalid, malformed, wrong_state
from paysaga.simulator.events import emit
from paysaga.simulator.intent_bodies import DESCRIBING, blank
from paysaga.simulator.intent_methods import OPEN, check_types
from paysaga.simulator.intent_params import (
    CancelIntent,
    CaptureIntent,
    ConfirmIntent,
    CreateIntent,
    ListIntents,
    RetrieveIntent,
    UpdateIntent,
)
from paysaga.simulator.lists import listed
from paysaga.simulator.shapes import changed
from paysaga.simulator.storage import Body, Record

_CONFIRM_ONLY = (
    "error_on_requires_action",
    "mandate_data",
    "off_session",
    "return_url",
    "use_stripe_sdk",
)
_PUBLIC = (
    "id", "object", "amount", "automatic_payment_methods", "canceled_at", "cancellation_reason",
    "capture_method", "client_secret", "confirmation_method", "created", "currency", "description",
    "last_payment_error", "livemode", "next_action", "payment_method", "payment_method_types",
    "processing", "receipt_email", "setup_future_usage", "shipping", "status",
)  # fmt: skip


def create(call: Call, params: CreateIntent) -> Body:
    """Create an intent, and with `confirm` take the money in the same call."""
    check_types(call, params)
    currency = checked_currency(params.currency)
    check_amount(params.amount, currency)
    for name in _CONFIRM_ONLY:
        if name in params.model_fields_set and not params.confirm:
            raise malformed(f"`{name}` can only be given together with confirm=true.", param=name)
    if params.customer:
        call.other("customer", params.customer, "customer")
    record = Record("payment_intent", blank(call, params, currency))
    confirmation.take_over(call, record, params)
    call.storage.put(record)
    emit(call, "payment_intent.created", record.body)
    if params.confirm:
        confirmation.confirm(call, record, params)
    return record.body


def retrieve(call: Call, params: RetrieveIntent) -> Body:
    """Answer with one intent; the browser sees less of it, and only with the client secret."""
    return shown(call, call.own("payment_intent", "intent"), params.client_secret, _PUBLIC)


def update(call: Call, params: UpdateIntent) -> Body:
    """Change an intent that has not moved money yet."""
    check_types(call, params)
    record = call.own("payment_intent", "intent")
    body = record.body
    touched = params.model_fields_set - {"expand", "metadata", "description", "transfer_group"}
    if touched and body["status"] not in OPEN:
        raise wrong_state(
            "This PaymentIntent could not be updated because it has a status of"
            f" {body['status']}. Only the metadata and the description may be changed now.",
            body,
        )
    if params.currency is not None:
        body["currency"] = checked_currency(params.currency)
    if params.amount is not None:
        body["amount"] = params.amount
    if params.amount is not None or params.currency is not None:
        check_amount(body["amount"], body["currency"])
    if params.customer is not None:
        call.other("customer", params.customer, "customer")
        body["customer"] = params.customer
    changed(body, params, *DESCRIBING)
    confirmation.take_over(call, record, params)
    call.storage.put(record)
    return body


def confirm(call: Call, params: ConfirmIntent) -> Body:
    """Take the money, or find out what stands in the way."""
    check_types(call, params)
    record = call.own("payment_intent", "intent")
    confirmation.confirm(call, record, params)
    return record.body


def capture(call: Call, params: CaptureIntent) -> Body:
    """Take what is held, or a part; once. What is left is released."""
    record = call.own("payment_intent", "intent")
    body = record.body
    if body["status"] != "requires_capture":
        raise wrong_state(
            "This PaymentIntent could not be captured because it has a status of"
            f" {body['status']}. Only a PaymentIntent with one of the following statuses may be"
            " captured: requires_capture.",
            body,
        )
    wanted = params.amount_to_capture
    amount = body["amount_capturable"] if wanted is None else wanted
    if amount < 1:
        raise not_positive("amount_to_capture")
    if amount > body["amount_capturable"]:
        raise invalid(
            f"The amount to capture ({amount}) is greater than the amount that can be captured"
            f" ({body['amount_capturable']}).",
            code="amount_too_large",
            param="amount_to_capture",
        )
    changed(body, params, "statement_descriptor", "statement_descriptor_suffix")
    charge = call.other("charge", body["latest_charge"], "charge")
    charges.capture(call, charge.body, amount)
    body |= {"amount_capturable": 0, "amount_received": amount, "status": "succeeded"}
    call.storage.put(record)
    emit(call, "charge.captured", charge.body, {"captured": False})
    emit(call, "payment_intent.succeeded", body)
    return body


def cancel(call: Call, params: CancelIntent) -> Body:
    """Close the intent for good; a hold is released."""
    record = call.own("payment_intent", "intent")
    body = record.body
    if body["status"] in ("succeeded", "canceled", "processing"):
        raise wrong_state(
            f"You cannot cancel this PaymentIntent because it has a status of {body['status']}."
            " Only a PaymentIntent with one of the following statuses may be canceled:"
            " requires_payment_method, requires_capture, requires_confirmation, requires_action.",
            body,
        )
    released = body["amount_capturable"]
    body |= {
        "amount_capturable": 0,
        "canceled_at": call.now,
        "cancellation_reason": params.cancellation_reason,
        "next_action": None,
        "status": "canceled",
    }
    record.private.pop("action", None)
    call.storage.put(record)
    journal.write(call, "intent.canceled", body, released)
    emit(call, "payment_intent.canceled", body)
    return body


def list_all(call: Call, params: ListIntents) -> Body:
    """List intents."""
    equal = {"customer": params.customer}
    body, _ = listed(call, "payment_intent", "/v1/payment_intents", params, equal=equal)
    return body
