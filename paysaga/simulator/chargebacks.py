"""What a cardholder's bank does: take a charge back, or ask about it, and decide in the end."""

from collections.abc import Callable

from paysaga.simulator import balance_transactions, dispute_bodies, journal
from paysaga.simulator.calls import Call
from paysaga.simulator.charges import card_of
from paysaga.simulator.events import emit
from paysaga.simulator.settlement import later, lose_pending
from paysaga.simulator.storage import Body, Record

FEE = 1500
IN_REVIEW = {"needs_response": "under_review", "warning_needs_response": "warning_under_review"}
CLOSED = frozenset({"won", "lost", "warning_closed"})
# What a test's evidence says, and what the bank makes of it (docs.stripe.com/testing).
WINS, LOSES, ESCALATES = "winning_evidence", "losing_evidence", "escalate_inquiry_evidence"


def claim(call: Call, charge: Body) -> None:
    """Have the bank of a captured charge dispute it, if its card is one of those."""
    card = card_of(call, charge)
    if card is None or card.dispute is None:
        return
    if call.knobs.dispute_open_seconds:
        later(call, "dispute", Record("charge", charge), call.knobs.dispute_open_seconds)
    else:
        dispute(call, charge, card.dispute, inquiry=card.inquiry)


def dispute(
    call: Call, charge: Body, reason: str, amount: int | None = None, *, inquiry: bool = False
) -> Body:
    """Open a dispute of so much of the charge (default: all that was captured)."""
    wanted = charge["amount_captured"] if amount is None else amount
    body = dispute_bodies.opened(call, charge, reason, wanted, inquiry=inquiry)
    record = Record("dispute", body)
    charge["disputed"] = True
    call.storage.put(Record("charge", charge))
    call.storage.put(record)
    later(call, "lapse_dispute", record, body["evidence_details"]["due_by"] - call.exact_now)
    emit(call, "charge.dispute.created", body)
    if not inquiry:
        _withdraw(call, record, charge, body["amount"])
    return body


def held(call: Call, charge: str) -> int:
    """How much of the charge its bank has, from disputes that are open or were lost."""
    page = call.storage.page("dispute", [("charge = ?", charge)], limit=100)
    moved = (each for found in page.records for each in found.body["balance_transactions"])
    return -sum(int(each["amount"]) for each in moved)


def decide(call: Call, record: Record, said: str) -> None:
    """Have the bank decide what it has under review, by one of the words of a test's evidence."""
    is_inquiry = record.body["status"] == "warning_under_review"
    if is_inquiry and said == ESCALATES:
        _escalate(call, record)
    elif is_inquiry:
        end(call, record, "warning_closed")
    elif said != ESCALATES:
        end(call, record, "won" if said == WINS else "lost")


def forbids_refunds(call: Call, charge: str) -> bool:
    """Whether the charge's money is the bank's, or in its hands."""
    page = call.storage.page("dispute", [("charge = ?", charge)], limit=100)
    return any(
        not found.body["is_charge_refundable"] and found.body["status"] != "won"
        for found in page.records
    )


def submit(call: Call, record: Record) -> None:
    """Give the evidence to the bank, which decides after a while if it knows what it reads."""
    body = record.body
    body["status"] = IN_REVIEW.get(body["status"], body["status"])
    body["evidence_details"]["submission_count"] += 1
    if body["evidence"]["uncategorized_text"] in {WINS, LOSES, ESCALATES}:
        later(call, "decide_dispute", record, call.knobs.dispute_settle_seconds)


def end(call: Call, record: Record, status: str) -> None:
    """Close the dispute for good. Money that was won comes back, the fee does not."""
    body, before = record.body, record.body["status"]
    body["status"] = status
    call.storage.put(record)
    emit(call, "charge.dispute.updated", body, {"status": before})
    if status == "won":
        charge = call.other("charge", body["charge"], "charge").body
        emit(call, "charge.updated", charge, {})
        if body["balance_transactions"]:
            _reinstate(call, record, charge)
    emit(call, "charge.dispute.closed", body)


def _withdraw(call: Call, record: Record, charge: Body, amount: int) -> None:
    lose_pending(call, charge["id"])
    told = f"Chargeback withdrawal for {charge['id']}"
    _book(call, record, -amount, FEE, told, "dispute")
    journal.write(call, "dispute.withdrawn", record.body, amount, fee=FEE)
    emit(call, "charge.dispute.funds_withdrawn", record.body)


def _reinstate(call: Call, record: Record, charge: Body) -> None:
    amount = -sum(moved["amount"] for moved in record.body["balance_transactions"])
    told = f"Chargeback reversal for {charge['id']}"
    _book(call, record, amount, 0, told, "dispute_reversal")
    journal.write(call, "dispute.reinstated", record.body, amount)
    emit(call, "charge.dispute.funds_reinstated", record.body)


def _book(call: Call, record: Record, amount: int, fee: int, told: str, category: str) -> None:
    moved = balance_transactions.adjust(
        call, record.id, amount, record.body["currency"], fee, told, category
    )
    record.body["balance_transactions"].append(moved)
    call.storage.put(record)


def _open(call: Call) -> None:
    charge = call.own("charge").body
    card = card_of(call, charge)
    if card is not None and card.dispute is not None:
        dispute(call, charge, card.dispute, inquiry=card.inquiry)


def _decide(call: Call) -> None:
    record = call.own("dispute")
    if record.body["status"] in IN_REVIEW.values():  # nobody has closed it meanwhile
        decide(call, record, record.body["evidence"]["uncategorized_text"])


def _escalate(call: Call, record: Record) -> None:
    """Make a chargeback of the inquiry; of what was refunded nothing is taken again."""
    body = record.body
    body |= {"is_charge_refundable": False, "status": "needs_response"}
    if "card" in body.get("payment_method_details", {}):
        body["payment_method_details"]["card"]["case_type"] = "chargeback"
    body["evidence_details"]["due_by"] = dispute_bodies.due_by(call)
    call.storage.put(record)
    later(call, "lapse_dispute", record, body["evidence_details"]["due_by"] - call.exact_now)
    emit(call, "charge.dispute.updated", body, {"status": "warning_under_review"})
    charge = call.other("charge", body["charge"], "charge").body
    left = min(body["amount"], charge["amount_captured"] - charge["amount_refunded"])
    if left > 0:
        _withdraw(call, record, charge, left)


def _lapse(call: Call) -> None:
    record = call.own("dispute")
    status, details = record.body["status"], record.body["evidence_details"]
    if status not in IN_REVIEW or call.now < details["due_by"]:
        return  # answered, decided, or escalated and so due later
    details["past_due"] = True
    end(call, record, "lost" if status == "needs_response" else "warning_closed")


STEPS: dict[str, Callable[[Call], None]] = {
    "dispute": _open,
    "decide_dispute": _decide,
    "lapse_dispute": _lapse,
}
