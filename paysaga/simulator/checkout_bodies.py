"""A new Checkout Session and its line items as Stripe answers them."""

from paysaga.simulator.calls import Call
from paysaga.simulator.checkout_params import CreateSession, LineItem
from paysaga.simulator.ids import letters, new_id
from paysaga.simulator.shapes import Address, changed
from paysaga.simulator.storage import Body

_ID_LETTERS = 56
_GIVEN = (
    "allowed_payment_method_types", "billing_address_collection", "cancel_url",
    "client_reference_id", "customer", "customer_email", "excluded_payment_method_types",
    "locale", "submit_type", "success_url",
)  # fmt: skip
# What a session may have, and a new one has not.
_UNSET = (
    "after_expiration", "allow_promotion_codes", "allowed_payment_method_types",
    "billing_address_collection", "cancel_url", "client_reference_id", "client_secret",
    "collected_information", "consent", "consent_collection", "currency_conversion", "customer",
    "customer_account", "customer_email", "invoice", "invoice_creation", "locale",
    "origin_context", "payment_intent", "payment_link", "payment_method_configuration_details",
    "permissions", "recovered_from", "saved_payment_method_options", "setup_intent",
    "shipping_address_collection", "shipping_cost", "submit_type", "subscription",
    "success_url", "wallet_options",
)  # fmt: skip


def session(
    call: Call, params: CreateSession, *, total: int, currency: str, expires_at: int, email: str
) -> Body:
    """Write a session that waits for its customer."""
    identifier = f"cs_test_a1{letters(_ID_LETTERS)}"
    body: Body = {
        **dict.fromkeys(_UNSET),
        "id": identifier,
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": False},
        "amount_subtotal": total,
        "amount_total": total,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "created": call.now,
        "currency": currency,
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "customer_creation": None if params.customer else params.customer_creation or "if_required",
        "customer_details": person(email) if email else None,
        "discounts": [],
        "excluded_payment_method_types": [],
        "expires_at": expires_at,
        "livemode": False,
        "metadata": {},
        "mode": "payment",
        "payment_method_collection": "if_required",
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": _types(params, currency),
        "payment_status": "unpaid" if total else "no_payment_required",
        "phone_number_collection": {"enabled": False},
        "shipping_options": [],
        "status": "open",
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": f"{call.public_url}/c/pay/{identifier}",
    }
    changed(body, params, *_GIVEN)
    return body


def item(given: LineItem, price: Body, name: str) -> Body:
    """Write one line of a session."""
    amount = price["unit_amount"] * given.quantity
    return {
        "id": new_id("li_1"),
        "object": "item",
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": price["currency"],
        "description": name,
        "metadata": dict(given.metadata),
        "price": price,
        "quantity": given.quantity,
    }


def person(email: str | None, billing: Body | None = None) -> Body:
    """Write what the session knows of its customer."""
    billing = billing or {}
    return {
        "address": billing.get("address") or (Address().model_dump() if billing else None),
        "business_name": None,
        "email": email or billing.get("email"),
        "individual_name": None,
        "name": billing.get("name"),
        "phone": billing.get("phone"),
        "tax_exempt": "none",
        "tax_ids": [] if billing else None,
    }


def _types(params: CreateSession, currency: str) -> list[str]:
    if types := params.payment_method_types or params.allowed_payment_method_types:
        return types
    takes_debits = currency == "eur" and params.payment_intent_data.capture_method != "manual"
    offered = ["card", "paypal", *(["sepa_debit"] if takes_debits else [])]
    return [kind for kind in offered if kind not in (params.excluded_payment_method_types or [])]
