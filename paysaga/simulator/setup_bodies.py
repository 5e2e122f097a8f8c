"""A new SetupIntent and its attempts as Stripe answers them."""

from paysaga.simulator.calls import Call
from paysaga.simulator.ids import letters, new_id
from paysaga.simulator.intent_methods import offered
from paysaga.simulator.setup_params import CreateSetup
from paysaga.simulator.shapes import changed
from paysaga.simulator.storage import Body

_SECRET_LETTERS = 25
_CARD_OPTIONS = {"mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
_CARD_FACTS = (
    "brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding", "last4",
)  # fmt: skip
_AUTHENTICATED = {
    "authentication_flow": "challenge",
    "electronic_commerce_indicator": "05",
    "result": "authenticated",
    "result_reason": None,
    "version": "2.2.0",
}


def blank(call: Call, params: CreateSetup) -> Body:
    """Write the body of an intent that nothing has happened to."""
    identifier = new_id("seti_1")
    body: Body = {
        "id": identifier,
        "object": "setup_intent",
        "application": None,
        "attach_to_self": False,
        "cancellation_reason": None,
        "client_secret": f"{identifier}_secret_{letters(_SECRET_LETTERS)}",
        "created": call.now,
        "customer": params.customer,
        "description": None,
        "flow_directions": None,
        "last_setup_error": None,
        "latest_attempt": None,
        "livemode": False,
        "mandate": None,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {**_CARD_OPTIONS}},
        "single_use_mandate": None,
        "status": "requires_payment_method",
        "usage": params.usage,
        **offered(
            params.payment_method_types,
            params.allowed_payment_method_types,
            params.automatic_payment_methods,
        ),
    }
    changed(body, params, "description")
    return body


def attempt(call: Call, intent: Body, method: Body) -> Body:
    """Write one confirmation of the intent that is still to be decided."""
    return {
        "id": new_id("setatt_1"),
        "object": "setup_attempt",
        "application": None,
        "attach_to_self": False,
        "created": call.now,
        "customer": intent["customer"],
        "flow_directions": None,
        "livemode": False,
        "on_behalf_of": None,
        "payment_method": method["id"],
        "payment_method_details": _details(method),
        "setup_error": None,
        "setup_intent": intent["id"],
        "status": "requires_confirmation",
        "usage": intent["usage"],
    }


def authenticated(details: Body) -> Body:
    """Add to an attempt's details that the customer proved who they are."""
    if details["type"] != "card":
        return details
    secure = _AUTHENTICATED | {"transaction_id": letters(36)}
    return details | {"card": details["card"] | {"three_d_secure": secure}}


def _details(method: Body) -> Body:
    if method["type"] != "card":
        return {"type": method["type"], method["type"]: {}}
    card = method["card"]
    facts = {name: card[name] for name in _CARD_FACTS}
    facts |= {"network": card["brand"], "three_d_secure": None, "wallet": None}
    return {"type": "card", "card": facts}
