"""Which payment method an intent uses, be it for a payment or for a set-up, and whether it may."""

from paysaga.simulator.calls import Call
from paysaga.simulator.errors import ApiError, invalid, malformed, types_gone, wrong_state
from paysaga.simulator.intent_params import AutomaticMethods, MethodParams
from paysaga.simulator.method_making import made_of
from paysaga.simulator.payment_methods import check_unused, find
from paysaga.simulator.storage import Body, Record

OPEN = frozenset({"requires_payment_method", "requires_confirmation", "requires_action"})
NOUNS = {"payment_intent": "PaymentIntent", "setup_intent": "SetupIntent"}
_RETURN_URL_NEEDED = (
    "This {noun} is configured to accept payment methods enabled in your Dashboard. Because"
    " some of these payment methods might redirect your customer off of your page, you must provide"
    " a `return_url`. If you don't want to accept redirect-based payment methods, set"
    " `automatic_payment_methods[enabled]` to `true` and"
    " `automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and"
    " Payment Intents."
)
_TYPES = (
    "payment_method_types",
    "allowed_payment_method_types",
    "excluded_payment_method_types",
)


def check_types(call: Call, params: MethodParams) -> None:
    """Refuse the list of types that newer versions do not take, and two ways to choose at once."""
    if call.is_endive and getattr(params, "payment_method_types", None) is not None:
        raise types_gone()
    if getattr(params, "automatic_payment_methods", None) and params.allowed_payment_method_types:
        raise malformed(
            "You may only specify one of: automatic_payment_methods, allowed_payment_method_types."
        )


def offered(
    types: list[str] | None, allowed: list[str] | None, automatic: AutomaticMethods | None
) -> Body:
    """Write which methods a new intent offers: those of the Dashboard, or the listed ones."""
    offers_all = types is None and allowed is None
    by_default = {"enabled": True, "allow_redirects": "always"} if offers_all else None
    return {
        "allowed_payment_method_types": None,
        "automatic_payment_methods": automatic.model_dump() if automatic else by_default,
        "excluded_payment_method_types": None,
        "payment_method_types": types or ["card", "paypal"],
    }


def take_method(call: Call, body: Body, params: MethodParams) -> None:
    """Write the given types, options and payment method into an open intent."""
    for name in _TYPES:
        value = getattr(params, name, None)
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


def method_of(call: Call, body: Body) -> Record:
    """Find the method that an intent is to be confirmed with."""
    if not body["payment_method"]:
        noun = NOUNS[body["object"]]
        raise wrong_state(
            f"You cannot confirm this {noun} because it's missing a payment method. You can"
            f" either update the {noun} with a payment method and then confirm it again, or"
            " confirm it again directly with a payment method or ConfirmationToken.",
            body,
        )
    method = call.other("payment_method", body["payment_method"], "payment_method")
    _check_method(body, method)
    return method


def check_open(body: Body) -> None:
    """Refuse to confirm what is decided."""
    if body["status"] not in OPEN:
        raise wrong_state(
            f"You cannot confirm this {NOUNS[body['object']]} because it has a status of"
            f" {body['status']}.",
            body,
        )


def check_return_url(body: Body, method: Record, return_url: str | None) -> None:
    """Insist on a way back where the method may send the customer away."""
    automatic = body["automatic_payment_methods"]
    may_redirect = (
        automatic["enabled"] and automatic["allow_redirects"] == "always"
        if automatic
        else body["allowed_payment_method_types"] is not None or method.body["type"] == "paypal"
    )
    if may_redirect and not return_url:
        message = _RETURN_URL_NEEDED.format(noun=NOUNS[body["object"]])
        raise ApiError(400, "invalid_request_error", message, param="return_url")


def asks_for_authentication(body: Body) -> bool:
    """Tell whether the caller wants 3-D Secure even where the card does not."""
    return body["payment_method_options"]["card"]["request_three_d_secure"] in ("any", "challenge")


def _check_method(body: Body, method: Record) -> None:
    noun = NOUNS[body["object"]]
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
            f" {noun}.",
            param="payment_method",
        )
    if not owner:
        check_unused(method)
    kind = method.body["type"]
    automatic = body["automatic_payment_methods"] or {}
    barred = kind == "paypal" and automatic.get("allow_redirects") == "never"
    if kind == "sepa_debit":  # a set-up has neither currency nor capture
        in_euros = body.get("currency", "eur") == "eur"
        barred = not in_euros or body.get("capture_method") == "manual"
    excluded = kind in (body["excluded_payment_method_types"] or [])
    if barred or excluded or kind not in body["payment_method_types"]:
        raise invalid(
            f"The PaymentMethod provided ({kind}) is not allowed for this {noun}. It accepts"
            f" the following: {', '.join(body['payment_method_types'])}.",
            param="payment_method",
        )
