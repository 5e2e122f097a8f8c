"""SetupIntents: a payment method is made ready for later payments, and no money moves."""

from paysaga.simulator import setting_up, setup_confirmation
from paysaga.simulator.access import shown
from paysaga.simulator.calls import Call
from paysaga.simulator.errors import malformed, wrong_state
from paysaga.simulator.events import emit
from paysaga.simulator.intent_methods import OPEN, check_types, take_method
from paysaga.simulator.intent_params import RetrieveIntent
from paysaga.simulator.lists import listed
from paysaga.simulator.setup_bodies import blank
from paysaga.simulator.setup_params import (
    CancelSetup,
    ConfirmSetup,
    CreateSetup,
    ListSetups,
    UpdateSetup,
)
from paysaga.simulator.shapes import changed
from paysaga.simulator.storage import Body, Record

_CONFIRM_ONLY = ("mandate_data", "return_url")
_PUBLIC = (
    "id", "object", "automatic_payment_methods", "cancellation_reason", "client_secret", "created",
    "description", "last_setup_error", "livemode", "next_action", "payment_method",
    "payment_method_types", "status", "usage",
)  # fmt: skip


def create(call: Call, params: CreateSetup) -> Body:
    """Create an intent, and with `confirm` set the method up in the same call."""
    check_types(call, params)
    for name in _CONFIRM_ONLY:
        if name in params.model_fields_set and not params.confirm:
            raise malformed(f"`{name}` can only be given together with confirm=true.", param=name)
    if params.customer:
        call.other("customer", params.customer, "customer")
    record = Record("setup_intent", blank(call, params))
    take_method(call, record.body, params)
    call.storage.put(record)
    emit(call, "setup_intent.created", record.body)
    if params.confirm:
        setup_confirmation.confirm(call, record, params)
    return record.body


def retrieve(call: Call, params: RetrieveIntent) -> Body:
    """Answer with one intent; the browser sees less of it, and only with the client secret."""
    return shown(call, call.own("setup_intent", "intent"), params.client_secret, _PUBLIC)


def update(call: Call, params: UpdateSetup) -> Body:
    """Change an intent that is not decided yet."""
    check_types(call, params)
    record = call.own("setup_intent", "intent")
    body = record.body
    if params.model_fields_set - {"expand", "metadata", "description"} and (
        body["status"] not in OPEN
    ):
        raise wrong_state(
            f"This SetupIntent could not be updated because it has a status of {body['status']}."
            " Only the metadata and the description may be changed now.",
            body,
        )
    if params.customer is not None:
        call.other("customer", params.customer, "customer")
        body["customer"] = params.customer
    changed(body, params, "description")
    take_method(call, body, params)
    call.storage.put(record)
    return body


def confirm(call: Call, params: ConfirmSetup) -> Body:
    """Set the method up, or find out what stands in the way."""
    check_types(call, params)
    record = call.own("setup_intent", "intent")
    setup_confirmation.confirm(call, record, params)
    return record.body


def cancel(call: Call, params: CancelSetup) -> Body:
    """Close the intent for good."""
    record = call.own("setup_intent", "intent")
    body = record.body
    if body["status"] not in OPEN:
        raise wrong_state(
            f"You cannot cancel this SetupIntent because it has a status of {body['status']}."
            " Only a SetupIntent with one of the following statuses may be canceled:"
            " requires_payment_method, requires_confirmation, requires_action.",
            body,
        )
    setting_up.abandon(call, record)
    body |= {
        "cancellation_reason": params.cancellation_reason,
        "next_action": None,
        "status": "canceled",
    }
    record.private.pop("action", None)
    call.storage.put(record)
    emit(call, "setup_intent.canceled", body)
    return body


def list_all(call: Call, params: ListSetups) -> Body:
    """List intents."""
    wheres: list[tuple[str, object]] = []
    if params.payment_method:
        wheres.append(("body ->> '$.payment_method' = ?", params.payment_method))
    equal = {"customer": params.customer}
    body, _ = listed(
        call, "setup_intent", "/v1/setup_intents", params, equal=equal, wheres=tuple(wheres)
    )
    return body
