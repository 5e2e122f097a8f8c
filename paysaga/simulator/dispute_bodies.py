"""A dispute as Stripe answers it, and the evidence that may be sent in."""

from pydantic import Field

from paysaga.simulator.calls import Call
from paysaga.simulator.forms import Blankable, Expandable, Flag, LongBlankable, Metadata, Params
from paysaga.simulator.ids import letters, new_id
from paysaga.simulator.lists import DatedListParams
from paysaga.simulator.storage import Body

# How long a card's bank waits for evidence: seven to twenty-one days, by network. These are nine.
_ANSWER_SECONDS = 9 * 24 * 3600
# What Visa's banks write for a charge that its cardholder does not know, or got nothing for.
_REASON_CODES = {"fraudulent": "10.4", "product_not_received": "13.1"}

FILES = (
    "cancellation_policy",
    "customer_communication",
    "customer_signature",
    "duplicate_charge_documentation",
    "receipt",
    "refund_policy",
    "service_documentation",
    "shipping_documentation",
    "uncategorized_file",
)


class Evidence(Params):
    """What the seller says of a dispute. The first nine are files, which nobody can upload here."""

    cancellation_policy: Blankable = None
    customer_communication: Blankable = None
    customer_signature: Blankable = None
    duplicate_charge_documentation: Blankable = None
    receipt: Blankable = None
    refund_policy: Blankable = None
    service_documentation: Blankable = None
    shipping_documentation: Blankable = None
    uncategorized_file: Blankable = None
    access_activity_log: LongBlankable = None
    billing_address: Blankable = None
    cancellation_policy_disclosure: LongBlankable = None
    cancellation_rebuttal: LongBlankable = None
    customer_email_address: Blankable = None
    customer_name: Blankable = None
    customer_purchase_ip: Blankable = None
    duplicate_charge_explanation: LongBlankable = None
    duplicate_charge_id: Blankable = None
    product_description: LongBlankable = None
    refund_policy_disclosure: LongBlankable = None
    refund_refusal_explanation: LongBlankable = None
    service_date: Blankable = None
    shipping_address: Blankable = None
    shipping_carrier: Blankable = None
    shipping_date: Blankable = None
    shipping_tracking_number: Blankable = None
    uncategorized_text: LongBlankable = None


class UpdateDispute(Expandable):
    """Parameters of update: evidence, which goes to the bank unless `submit` is false."""

    evidence: Evidence | None = None
    metadata: Metadata = Field(default_factory=dict)
    submit: Flag | None = None


class ListDisputes(DatedListParams):
    """Filters of the dispute list."""

    charge: str | None = None
    payment_intent: str | None = None


def opened(call: Call, charge: Body, reason: str, amount: int, *, inquiry: bool) -> Body:
    """Write a dispute that waits for the seller. An inquiry moves no money."""
    return {
        "id": new_id("du_1"),
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": call.now,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**Evidence().model_dump(), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": due_by(call),
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": inquiry,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        **_method(charge, reason, inquiry=inquiry),
        "reason": reason,
        "status": "warning_needs_response" if inquiry else "needs_response",
    }


def due_by(call: Call) -> int:
    """Until when the bank waits for evidence, from now on."""
    return call.now + _ANSWER_SECONDS


def _method(charge: Body, reason: str, *, inquiry: bool) -> Body:
    """Tell how it was paid, of the kinds that Stripe tells it of."""
    details = charge["payment_method_details"]
    if details["type"] == "paypal":
        told: Body = {"type": "paypal", "paypal": {"case_id": letters(12), "reason_code": None}}
        return {"payment_method_details": told}
    if details["type"] != "card":
        return {}
    card = {
        "brand": details["card"]["brand"],
        "case_type": "inquiry" if inquiry else "chargeback",
        "network": details["card"]["network"],
        "network_reason_code": _REASON_CODES.get(reason),
    }
    return {"payment_method_details": {"type": "card", "card": card}}
