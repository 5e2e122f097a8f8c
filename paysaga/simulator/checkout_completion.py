"""What a session learns from its PaymentIntent: complete, paid at once or later, or never."""

from paysaga.simulator import checkout_bodies
from paysaga.simulator.calls import Call
from paysaga.simulator.events import emit
from paysaga.simulator.storage import Body, Record


def complete(call: Call, intent: Record, method: Body) -> None:
    """Close the session whose customer has done their part; the money may still be on its way."""
    session = _session_of(call, intent)
    if not session:
        return
    finish(call, session, method["billing_details"], paid=intent.body["status"] == "succeeded")


def finish(call: Call, session: Record, billing: Body, *, paid: bool) -> None:
    """Write the end of an open session, and tell of it."""
    body = session.body
    body |= {
        "customer_details": checkout_bodies.person(session.private["email"], billing),
        "status": "complete",
        "url": None,
    }
    if paid:
        body["payment_status"] = "paid"
    call.storage.put(session)
    emit(call, "checkout.session.completed", body)


def settle(call: Call, intent: Record) -> None:
    """Tell how a delayed payment ended."""
    session = _session_of(call, intent)
    if not session:
        return
    if intent.body["status"] == "succeeded":
        session.body["payment_status"] = "paid"
        call.storage.put(session)
        emit(call, "checkout.session.async_payment_succeeded", session.body)
    else:
        emit(call, "checkout.session.async_payment_failed", session.body)


def capture(call: Call, intent: Record) -> None:
    """Note that what was held is taken; Checkout has no event for that."""
    session = _session_of(call, intent)
    if session:
        session.body["payment_status"] = "paid"
        call.storage.put(session)


def _session_of(call: Call, intent: Record) -> Record | None:
    identifier = intent.private.get("checkout_session")
    return call.storage.get("checkout.session", identifier) if identifier else None
