"""Refunds: a process, not a fact. Some wait, some succeed first and fail later."""

from typing import Literal

from pydantic import Field

from paysaga.simulator import chargebacks, journal
from paysaga.simulator.calls import Call
from paysaga.simulator.charges import card_of
from paysaga.simulator.currencies import not_positive, shown
from paysaga.simulator.errors import invalid, malformed
from paysaga.simulator.events import emit
from paysaga.simulator.forms import Blankable, Expandable, Integer, Metadata
from paysaga.simulator.ids import new_id
from paysaga.simulator.lists import DatedListParams, listed
from paysaga.simulator.settlement import later, pay_out, tell_charge_refunded, tell_updated
from paysaga.simulator.shapes import changed
from paysaga.simulator.storage import Body, Record


class CreateRefund(Expandable):
    """Parameters of create: a charge or an intent, and how much of it (default: the rest)."""

    amount: Integer | None = None
    charge: str | None = None
    payment_intent: str | None = None
    instructions_email: Blankable = None
    metadata: Metadata = Field(default_factory=dict)
    reason: Literal["duplicate", "fraudulent", "requested_by_customer"] | None = None


class UpdateRefund(Expandable):
    """Parameters of update."""

    metadata: Metadata = Field(default_factory=dict)


class ListRefunds(DatedListParams):
    """Filters of the refund list."""

    charge: str | None = None
    payment_intent: str | None = None


def create(call: Call, params: CreateRefund) -> Body:
    """Give money back. The card decides whether that is pending, final or about to fail."""
    charge = _refundable_charge(call, params)
    amount = _checked_amount(call, charge.body, params.amount)
    card = card_of(call, charge.body)
    behavior = card.refund if card else None
    body: Body = {
        "id": new_id("re_3"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge.id,
        "created": call.now,
        "currency": charge.body["currency"],
        "destination_details": _destination(charge.body),
        "metadata": dict(params.metadata),
        "payment_intent": charge.body["payment_intent"],
        "reason": params.reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "pending" if behavior == "pending" else "succeeded",
        "transfer_reversal": None,
    }
    if behavior == "pending":
        body["pending_reason"] = "processing"
    record = Record("refund", body)
    if behavior == "pending":
        later(call, "succeed", record, call.knobs.refund_settle_seconds)
    else:
        pay_out(call, record, charge)
    call.storage.put(record)
    journal.write(call, f"refund.{body['status']}", body, amount)
    emit(call, "refund.created", body)
    if body["status"] == "succeeded":
        tell_charge_refunded(call, charge.body, amount)
    if behavior == "fails":
        later(call, "fail", record, call.knobs.refund_settle_seconds)
    return body


def retrieve(call: Call, _params: Expandable) -> Body:
    """Answer with one refund."""
    return call.own("refund", "refund").body


def update(call: Call, params: UpdateRefund) -> Body:
    """Change the metadata."""
    record = call.own("refund", "refund")
    before = record.body["metadata"]
    changed(record.body, params)
    call.storage.put(record)
    tell_updated(call, record.body, {"metadata": before})
    return record.body


def cancel(call: Call, _params: Expandable) -> Body:
    """Refuse: only a refund that waits for the customer can be canceled, and cards never do."""
    record = call.own("refund", "refund")
    raise invalid(
        f"Refund {record.id} has status {record.body['status']}; only refunds that have status"
        " requires_action can be canceled."
    )


def list_all(call: Call, params: ListRefunds) -> Body:
    """List refunds."""
    equal = {"charge": params.charge, "payment_intent": params.payment_intent}
    body, _ = listed(call, "refund", "/v1/refunds", params, equal=equal)
    return body


def _refundable_charge(call: Call, params: CreateRefund) -> Record:
    identifier = params.charge
    if not identifier:
        if not params.payment_intent:
            raise malformed(
                "One of the following params should be provided for this request: payment_intent"
                " or charge.",
                code="parameter_missing",
            )
        intent = call.other("payment_intent", params.payment_intent, "payment_intent")
        identifier = intent.body["latest_charge"]
    charge = call.other("charge", identifier, "charge") if identifier else None
    if not charge or not charge.body["paid"]:
        raise invalid(
            f"This PaymentIntent ({params.payment_intent or identifier}) does not have a"
            " successful charge to refund."
        )
    if not charge.body["captured"]:
        raise invalid(
            f"Charge {charge.id} has not been captured. Cancel its PaymentIntent instead.",
        )
    if chargebacks.forbids_refunds(call, charge.id):
        raise invalid(f"Charge {charge.id} has been charged back.", code="charge_disputed")
    return charge


def _checked_amount(call: Call, charge: Body, wanted: int | None) -> int:
    if wanted is not None and wanted < 1:
        raise not_positive("amount")
    row = call.storage.execute(
        "SELECT coalesce(sum(body ->> '$.amount'), 0) FROM objects WHERE charge = ?"
        " AND kind = 'refund' AND body ->> '$.status' IN ('pending', 'succeeded')",
        (charge["id"],),
    ).fetchone()
    left = charge["amount_captured"] - int(row[0])
    if left <= 0:
        raise invalid(
            f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded"
        )
    if wanted is not None and wanted > left:
        currency = charge["currency"]
        raise invalid(
            f"Refund amount ({shown(wanted, currency)}) is greater than unrefunded amount on"
            f" charge ({shown(left, currency)})",
            param="amount",
        )
    return wanted or left


def _destination(charge: Body) -> Body:
    kind = charge["payment_method_details"]["type"]
    if kind == "sepa_debit":
        return {"type": kind}
    if kind == "paypal":
        return {"type": "paypal", "paypal": {"network_decline_code": None}}
    return {
        "type": "card",
        "card": {
            "reference_status": "pending",
            "reference_type": "acquirer_reference_number",
            "type": "refund",
        },
    }
