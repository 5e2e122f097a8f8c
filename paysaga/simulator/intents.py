"""PaymentIntents: created, changed, captured, canceled. Confirming has its own module."""

from paysaga.simulator import chargebacks, charges, checkout_completion, confirmation, journal
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
    check_amount(params.amount, checked_currency(params.currency))
    for name in _CONFIRM_ONLY:
        if name in params.model_fields_set and not params.confirm:
            raise malformed(f"`{name}` can only be given together with confirm=true.", param=name)
    if params.customer:
        call.other("customer", params.customer, "customer")
    record = opened(call, params)
    if params.confirm:
        confirmation.confirm(call, record, params)
    return record.body


def opened(call: Call, params: CreateIntent, private: Body | None = None) -> Record:
    """Make and keep an intent, and tell of it; `private` is what Stripe keeps to itself."""
    body = blank(call, params, checked_currency(params.currency))
    record = Record("payment_intent", body, private or {})
    confirmation.take_over(call, record, params)
    call.storage.put(record)
    emit(call, "payment_intent.created", record.body)
    return record


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
    if touched:
        _refuse_of_checkout(record)
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
    _refuse_of_checkout(record)
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
    checkout_completion.capture(call, record)
    chargebacks.claim(call, charge.body)
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
    if body["status"] != "requires_capture":
        _refuse_of_checkout(record)
    close(call, record, params.cancellation_reason)
    return body


def close(call: Call, record: Record, reason: str | None) -> None:
    """Cancel the intent, release what it holds, and tell of it."""
    body = record.body
    released = body["amount_capturable"]
    body |= {
        "amount_capturable": 0,
        "canceled_at": call.now,
        "cancellation_reason": reason,
        "next_action": None,
        "status": "canceled",
    }
    record.private.pop("action", None)
    call.storage.put(record)
    journal.write(call, "intent.canceled", body, released)
    emit(call, "payment_intent.canceled", body)


def list_all(call: Call, params: ListIntents) -> Body:
    """List intents."""
    equal = {"customer": params.customer}
    body, _ = listed(call, "payment_intent", "/v1/payment_intents", params, equal=equal)
    return body


def _refuse_of_checkout(record: Record) -> None:
    if "checkout_session" in record.private:
        raise invalid(
            "You cannot perform this action on PaymentIntents created by Checkout. Try expiring"
            " the Checkout Session instead."
        )
