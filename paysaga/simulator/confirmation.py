"""Confirming a PaymentIntent: with which method, and whether the customer must act first."""

from paysaga.simulator import collection, outcomes
from paysaga.simulator.calls import Call
from paysaga.simulator.cards import Authentication
from paysaga.simulator.declines import AUTHENTICATION_REQUIRED, DECLINES
from paysaga.simulator.errors import invalid
from paysaga.simulator.intent_methods import (
    asks_for_authentication,
    check_open,
    check_return_url,
    method_of,
    take_method,
)
from paysaga.simulator.intent_params import ConfirmIntent, IntentParams
from paysaga.simulator.next_actions import require_action
from paysaga.simulator.shapes import changed
from paysaga.simulator.storage import Body, Record


def take_over(call: Call, record: Record, params: IntentParams) -> None:
    """Write what create, update and confirm may all set, the payment method included."""
    changed(record.body, params, "receipt_email", "shipping", "setup_future_usage")
    if params.capture_method is not None:
        record.body["capture_method"] = params.capture_method
    take_method(call, record.body, params)


def confirm(call: Call, record: Record, params: ConfirmIntent) -> None:
    """Confirm an open intent; a decline is raised after its traces are written."""
    check_open(record.body)
    take_over(call, record, params)
    _fall_back_on_default(call, record.body)
    method = method_of(call, record.body)
    _check_confirmable(record.body, method, params)
    if call.forced_decline:
        collection.collect(call, record, method, authenticated=False)
    elif outcomes.authentication_of(method) is Authentication.LOOKUP_FAILS:
        collection.decline(call, record, method, DECLINES["generic_decline"])
    elif record.private.get("authenticated") == method.id:
        collection.collect(call, record, method, authenticated=True)
    elif not _must_act(record.body, method, params):
        collection.collect(call, record, method, authenticated=False)
    elif params.off_session or params.error_on_requires_action:
        collection.decline(call, record, method, AUTHENTICATION_REQUIRED)
    else:
        require_action(
            call,
            record,
            method,
            return_url=params.return_url,
            use_stripe_sdk=params.use_stripe_sdk,
        )


def _must_act(body: Body, method: Record, params: ConfirmIntent) -> bool:
    asked = asks_for_authentication(body)
    return outcomes.must_act(method, off_session=params.off_session, asked=asked)


def _fall_back_on_default(call: Call, body: Body) -> None:
    if not body["payment_method"] and body["customer"]:
        customer = call.other("customer", body["customer"], "customer")
        body["payment_method"] = customer.body["invoice_settings"]["default_payment_method"]


def _check_confirmable(body: Body, method: Record, params: ConfirmIntent) -> None:
    check_return_url(body, method, params.return_url)
    if params.off_session and body["setup_future_usage"]:
        raise invalid(
            "You cannot confirm with `off_session=true` when `setup_future_usage` is also set on"
            " the PaymentIntent. The customer needs to be on-session to perform the steps which may"
            " be required to set up the PaymentMethod for future usage.",
            param="off_session",
        )
