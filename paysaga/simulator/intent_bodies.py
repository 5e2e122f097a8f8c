"""A new PaymentIntent as Stripe answers it, every field of its document included."""

from paysaga.simulator.calls import Call
from paysaga.simulator.ids import letters, new_id
from paysaga.simulator.intent_methods import offered
from paysaga.simulator.intent_params import CreateIntent
from paysaga.simulator.shapes import changed
from paysaga.simulator.storage import Body

DESCRIBING = (
    "description",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_group",
)
_SECRET_LETTERS = 25
_CARD_OPTIONS = {
    "installments": None,
    "mandate_options": None,
    "network": None,
    "request_three_d_secure": "automatic",
}
_PAYPAL_OPTIONS = {"preferred_locale": None, "reference": None}


def blank(call: Call, params: CreateIntent, currency: str) -> Body:
    """Write the body of an intent that nothing has happened to."""
    identifier = new_id("pi_3")
    body: Body = {
        "id": identifier,
        "object": "payment_intent",
        "amount": params.amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "client_secret": f"{identifier}_secret_{letters(_SECRET_LETTERS)}",
        "confirmation_method": params.confirmation_method,
        "created": call.now,
        "currency": currency,
        "customer": params.customer,
        "description": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {**_CARD_OPTIONS}, "paypal": {**_PAYPAL_OPTIONS}},
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
        **offered(
            params.payment_method_types,
            params.allowed_payment_method_types,
            params.automatic_payment_methods,
        ),
    }
    changed(body, params, *DESCRIBING)
    return body
