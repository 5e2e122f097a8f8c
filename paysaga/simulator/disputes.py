"""Disputes as the seller sees them: read, answered with evidence, or accepted."""

from paysaga.simulator import chargebacks
from paysaga.simulator.calls import Call
from paysaga.simulator.dispute_bodies import FILES, Evidence, ListDisputes, UpdateDispute
from paysaga.simulator.errors import invalid
from paysaga.simulator.events import emit
from paysaga.simulator.forms import Expandable
from paysaga.simulator.lists import listed
from paysaga.simulator.shapes import changed, previous
from paysaga.simulator.storage import Body, Record


def retrieve(call: Call, _params: Expandable) -> Body:
    """Answer with one dispute."""
    return call.own("dispute", "dispute").body


def list_all(call: Call, params: ListDisputes) -> Body:
    """List disputes."""
    equal = {"charge": params.charge, "payment_intent": params.payment_intent}
    body, _ = listed(call, "dispute", "/v1/disputes", params, equal=equal)
    return body


def update(call: Call, params: UpdateDispute) -> Body:
    """Keep evidence, and give it to the bank unless told not to."""
    record = call.own("dispute", "dispute")
    before = _copy(record.body)
    if params.evidence is not None:
        _add(call, record, params.evidence)
    changed(record.body, params)
    is_sent = params.evidence is not None if params.submit is None else params.submit
    if is_sent:
        _check_open(record)
        if not record.body["evidence_details"]["has_evidence"]:
            raise invalid("There is no evidence to submit.", param="evidence")
        chargebacks.submit(call, record)
    call.storage.put(record)
    emit(call, "charge.dispute.updated", record.body, previous(before, record.body))
    return record.body


def close(call: Call, _params: Expandable) -> Body:
    """Accept the dispute: the seller has nothing to say, and the money stays with the customer."""
    record = call.own("dispute", "dispute")
    _check_open(record)
    is_inquiry = record.body["is_charge_refundable"]
    chargebacks.end(call, record, "warning_closed" if is_inquiry else "lost")
    return record.body


def _add(call: Call, record: Record, evidence: Evidence) -> None:
    _check_open(record)
    given = {name: getattr(evidence, name) for name in evidence.model_fields_set}
    for name in FILES:
        if given.get(name):
            call.other("file", given[name], f"evidence[{name}]")
    record.body["evidence"] |= given
    kept = (value for name, value in record.body["evidence"].items() if name != "enhanced_evidence")
    record.body["evidence_details"]["has_evidence"] = any(kept)


def _check_open(record: Record) -> None:
    if record.body["status"] in chargebacks.CLOSED:
        raise invalid(f"This dispute is already closed: its status is {record.body['status']}.")


def _copy(body: Body) -> Body:
    """Remember what is about to change, at any depth."""
    return {
        name: _copy(value) if isinstance(value, dict) else value for name, value in body.items()
    }
