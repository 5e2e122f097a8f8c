"""Confirming a PaymentIntent: with which method, and whether the customer must act first."""

from paysaga.simulator import collection, outcomes
from paysaga.simulator.calls import Call
from paysaga.simulator.cards import Authentication
from paysaga.simulator.declines import AUTHENTICATION_REQUIRED, DECLINES
from paysaga.simulator.errors import ApiError, invalid, wrong_state
from paysaga.simulator.events import emit
from paysaga.simulator.ids import letters
from paysaga.simulator.intent_params import ConfirmIntent, IntentParams
from paysaga.simulator.method_making import made_of
from paysaga.simulator.payment_methods import check_unused, find
from paysaga.simulator.shapes import changed
from paysaga.simulator.storage import Body, Record

OPEN = frozenset({"requires_payment_method", "requires_confirmation", "requires_action"})
_RETURN_URL_NEEDED = (
    "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because"
    " some of these payment methods might redirect your customer off of your page, you must provide"
    " a `return_url`. If you don't want to accept redirect-based payment methods, set"
    " `automatic_payment_methods[enabled]` to `true` and"
    " `automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and"
    " Payment Intents."
)
_TOKEN_LETTERS = 24


def take_over(call: Call, record: Record, params: IntentParams) -> None:
    """Write what create, update and confirm may all set, the payment method included."""
    body = record.body
    changed(body, params, "receipt_email", "shipping", "setup_future_usage")
    for name in (
        "capture_method",
        "payment_method_types",
        "allowed_payment_method_types",
        "excluded_payment_method_types",
    ):
        value = getattr(params, name)
        if value is not None:
            body[name] = value
    if params.allowed_payment_method_types is not None:
        body["payment_method_types"] = params.allowed_payment_method_types
    for kind, options in params.payment_method_options.model_dump(exclude_unset=True).items():
        given = {name: value for name, value in (options or {}).items() if value != ""}
        body["payment_method_options"][kind] |= given
    method = None
    if params.payment_method:
        method = find(call, params.payment_method, "payment_method")
    elif params.payment_method_data:
        method = made_of(call, params.payment_method_data, "payment_method_data")
    if method:
        _check_method(body, method)
        body |= {
            "next_action": None,
            "payment_method": method.id,
            "status": "requires_confirmation",
        }


def confirm(call: Call, record: Record, params: ConfirmIntent) -> None:
    """Confirm an open intent; a decline is raised after its traces are written."""
    if record.body["status"] not in OPEN:
        raise wrong_state(
            f"You cannot confirm this PaymentIntent because it has a status of"
            f" {record.body['status']}.",
            record.body,
        )
    take_over(call, record, params)
    method = _method(call, record)
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
        _require_action(call, record, method, params)


def _must_act(body: Body, method: Record, params: ConfirmIntent) -> bool:
    request = body["payment_method_options"]["card"]["request_three_d_secure"]
    asked = request in ("any", "challenge")
    return outcomes.must_act(method, off_session=params.off_session, asked=asked)


def _method(call: Call, record: Record) -> Record:
    body = record.body
    if not body["payment_method"] and body["customer"]:
        customer = call.other("customer", body["customer"], "customer")
        body["payment_method"] = customer.body["invoice_settings"]["default_payment_method"]
    if not body["payment_method"]:
        raise wrong_state(
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can"
            " either update the PaymentIntent with a payment method and then confirm it again, or"
            " confirm it again directly with a payment method or ConfirmationToken.",
            body,
        )
    method = call.other("payment_method", body["payment_method"], "payment_method")
    _check_method(body, method)
    return method


def _check_method(body: Body, method: Record) -> None:
    owner = method.body["customer"]
    if owner and not body["customer"]:
        raise invalid(
            f"The payment method {method.id} is attached to a customer, so the customer must be"
            " given as well.",
            code="parameter_missing",
            param="customer",
        )
    if owner and owner != body["customer"]:
        raise invalid(
            f"The provided PaymentMethod ({method.id}) belongs to a different Customer than the"
            " PaymentIntent.",
            param="payment_method",
        )
    if not owner:
        check_unused(method)
    kind = method.body["type"]
    automatic = body["automatic_payment_methods"] or {}
    barred = kind == "paypal" and automatic.get("allow_redirects") == "never"
    excluded = kind in (body["excluded_payment_method_types"] or [])
    if barred or excluded or kind not in body["payment_method_types"]:
        raise invalid(
            f"The PaymentMethod provided ({kind}) is not allowed for this PaymentIntent. It accepts"
            f" the following: {', '.join(body['payment_method_types'])}.",
            param="payment_method",
        )


def _check_confirmable(body: Body, method: Record, params: ConfirmIntent) -> None:
    automatic = body["automatic_payment_methods"]
    may_redirect = (
        automatic["enabled"] and automatic["allow_redirects"] == "always"
        if automatic
        else body["allowed_payment_method_types"] is not None or method.body["type"] == "paypal"
    )
    if may_redirect and not params.return_url:
        raise ApiError(400, "invalid_request_error", _RETURN_URL_NEEDED, param="return_url")
    if params.off_session and body["setup_future_usage"]:
        raise invalid(
            "You cannot confirm with `off_session=true` when `setup_future_usage` is also set on"
            " the PaymentIntent. The customer needs to be on-session to perform the steps which may"
            " be required to set up the PaymentMethod for future usage.",
            param="off_session",
        )


def _require_action(call: Call, record: Record, method: Record, params: ConfirmIntent) -> None:
    page = "paypal" if method.body["type"] == "paypal" else "3ds"
    token = letters(_TOKEN_LETTERS)
    url = f"{call.public_url}/{page}/{record.id}/{token}"
    record.private["visit"] = {"token": token, "page": page, "return_url": params.return_url}
    record.private["action"] = record.private["visit"]
    if params.return_url and not (params.use_stripe_sdk and page == "3ds"):
        action: Body = {
            "type": "redirect_to_url",
            "redirect_to_url": {"return_url": params.return_url, "url": url},
        }
    else:
        sdk = {"type": "three_d_secure_redirect", "stripe_js": url}
        action = {"type": "use_stripe_sdk", "use_stripe_sdk": sdk}
    record.body |= {"next_action": action, "status": "requires_action"}
    call.storage.put(record)
    emit(call, "payment_intent.requires_action", record.body)
