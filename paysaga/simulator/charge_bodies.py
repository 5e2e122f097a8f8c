"""A new charge as Stripe answers it, every field of its document included."""

from paysaga.simulator.bank_accounts import charge_part
from paysaga.simulator.calls import Call
from paysaga.simulator.declines import Decline
from paysaga.simulator.ids import letters, new_id
from paysaga.simulator.storage import Body

_RISK = {"normal": 20, "highest": 92}


def blank(call: Call, intent: Body, method: Body, *, authenticated: bool) -> Body:
    """Write a charge that is still to be decided."""
    identifier = new_id("ch_3")
    return {
        "id": identifier,
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": method["billing_details"],
        "calculated_statement_descriptor": "PAYSAGA",
        "captured": False,
        "created": call.now,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "livemode": False,
        "metadata": dict(intent["metadata"]),
        "on_behalf_of": None,
        "outcome": None,
        "paid": False,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": _details(intent, method, authenticated=authenticated),
        "radar_options": {},
        "receipt_email": intent["receipt_email"],
        "receipt_number": None,
        "receipt_url": f"https://pay.stripe.com/receipts/payment/{identifier}",
        "refunded": False,
        "review": None,
        "shipping": intent["shipping"],
        "source_transfer": None,
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": "pending",
        "transfer_data": None,
        "transfer_group": intent["transfer_group"],
    }


def approved() -> Body:
    """Write the outcome of a charge that the bank allowed."""
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network",
        "reason": None,
        "risk_level": "normal",
        "risk_score": _RISK["normal"],
        "seller_message": "Payment complete.",
        "type": "authorized",
    }


def declined(decline: Decline) -> Body:
    """Write the outcome of a charge that the bank refused."""
    return approved() | {
        "advice_code": decline.advice,
        "network_decline_code": "05",
        "network_status": "declined_by_network",
        "reason": decline.decline_code or decline.code,
        "seller_message": "The bank did not return any further details with this decline.",
        "type": "issuer_declined",
    }


def blocked_by_radar() -> Body:
    """Write the outcome of a charge that the bank never saw."""
    return approved() | {
        "network_status": "not_sent_to_network",
        "reason": "highest_risk_level",
        "risk_level": "highest",
        "risk_score": _RISK["highest"],
        "seller_message": "Stripe blocked this payment as too risky.",
        "type": "blocked",
    }


def _details(intent: Body, method: Body, *, authenticated: bool) -> Body:
    if method["type"] == "paypal":
        return {
            "type": "paypal",
            "paypal": method["paypal"]
            | {"payer_name": "Sam Buyer", "seller_protection": None, "transaction_id": letters(17)},
        }
    if method["type"] == "sepa_debit":
        return {"type": "sepa_debit", "sepa_debit": charge_part(method)}
    card = method["card"]
    shared = ("brand", "checks", "country", "exp_month", "exp_year", "fingerprint", "funding",
              "last4", "regulated_status", "wallet")  # fmt: skip
    secure = {
        "authentication_flow": "challenge",
        "electronic_commerce_indicator": "05",
        "exemption_indicator": None,
        "result": "authenticated",
        "result_reason": None,
        "transaction_id": letters(36),
        "version": "2.2.0",
    }
    return {
        "type": "card",
        "card": {name: card[name] for name in shared}
        | {
            "amount_authorized": intent["amount"],
            "authorization_code": letters(6).upper(),
            "extended_authorization": {"status": "disabled"},
            "incremental_authorization": {"status": "unavailable"},
            "installments": None,
            "mandate": None,
            "multicapture": {"status": "unavailable"},
            "network": card["brand"],
            "network_token": {"used": False},
            "network_transaction_id": letters(15),
            "overcapture": {
                "maximum_amount_capturable": intent["amount"],
                "status": "unavailable",
            },
            "three_d_secure": secure if authenticated else None,
        },
    }
