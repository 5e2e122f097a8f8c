"""How money settles: refunds now, later, or paid out and back; a charge's balance maybe later."""

from collections.abc import Callable

from paysaga.simulator import balance_transactions, journal
from paysaga.simulator.calls import Call
from paysaga.simulator.events import emit
from paysaga.simulator.storage import Body, Record


def later(call: Call, step: str, record: Record, seconds: float) -> None:
    """Have the object take a step of `STEPS` after a while, also across restarts."""
    call.storage.execute(
        "INSERT INTO timers (due_at, step, object) VALUES (?, ?, ?)",
        (call.exact_now + seconds, step, record.id),
    )


def credit(call: Call, charge: Record) -> None:
    """Book what was captured, and the fee that it cost."""
    amount = charge.body["amount_captured"]
    charge.body["balance_transaction"] = balance_transactions.book(
        call,
        "charge",
        charge.id,
        amount,
        charge.body["currency"],
        balance_transactions.fee(amount),
    )
    call.storage.put(charge)


def pay_out(call: Call, refund: Record, charge: Record) -> None:
    """Move the money of the refund."""
    amount = refund.body["amount"]
    refund.body["balance_transaction"] = balance_transactions.book(
        call, "refund", refund.id, -amount, refund.body["currency"]
    )
    _move(call, charge, amount)


def _move(call: Call, charge: Record, amount: int) -> None:
    charge.body["amount_refunded"] += amount
    charge.body["refunded"] = charge.body["amount_refunded"] == charge.body["amount_captured"]
    call.storage.put(charge)


def tell_charge_refunded(call: Call, charge: Body, amount: int) -> None:
    """Tell that the charge has given back `amount` more."""
    emit(
        call,
        "charge.refunded",
        charge,
        {"amount_refunded": charge["amount_refunded"] - amount, "refunded": False},
    )


def tell_updated(call: Call, refund: Body, previous: Body) -> None:
    """Tell of a changed refund, in the new words and in the old ones."""
    for kind in ("charge.refund.updated", "refund.updated"):
        emit(call, kind, refund, previous)


def lose_pending(call: Call, charge: str) -> None:
    """Fail the refunds of a charge that its bank takes back: nothing of them has moved."""
    for refund in call.storage.page("refund", [("charge = ?", charge)], limit=100).records:
        if refund.body["status"] != "pending":
            continue
        del refund.body["pending_reason"]
        refund.body |= {
            "failure_reason": "charge_for_pending_refund_disputed",
            "status": "failed",
        }
        call.storage.put(refund)
        journal.write(call, "refund.lost", refund.body, refund.body["amount"])
        tell_updated(call, refund.body, {"status": "pending"})
        emit(call, "refund.failed", refund.body)


def _succeed(call: Call) -> None:
    refund = call.own("refund")
    if refund.body["status"] != "pending":
        return  # its charge was disputed meanwhile
    charge = call.other("charge", refund.body["charge"], "charge")
    pay_out(call, refund, charge)
    refund.body["status"] = "succeeded"
    del refund.body["pending_reason"]
    call.storage.put(refund)
    journal.write(call, "refund.succeeded", refund.body, refund.body["amount"])
    tell_charge_refunded(call, charge.body, refund.body["amount"])
    tell_updated(call, refund.body, {"status": "pending"})


def _fail(call: Call) -> None:
    refund = call.own("refund")
    amount = refund.body["amount"]
    refund.body |= {
        "failure_balance_transaction": balance_transactions.book(
            call, "refund_failure", refund.id, amount, refund.body["currency"]
        ),
        "failure_reason": "expired_or_canceled_card",
        "status": "failed",
    }
    call.storage.put(refund)
    _move(call, call.other("charge", refund.body["charge"], "charge"), -amount)
    journal.write(call, "refund.failed", refund.body, amount)
    tell_updated(call, refund.body, {"status": "succeeded"})
    emit(call, "refund.failed", refund.body)


def _credit(call: Call) -> None:
    charge = call.own("charge")
    credit(call, charge)
    emit(call, "charge.updated", charge.body, {"balance_transaction": None})


STEPS: dict[str, Callable[[Call], None]] = {
    "succeed": _succeed,
    "fail": _fail,
    "credit": _credit,
}
