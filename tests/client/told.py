"""What the API says, as it goes over the wire."""

from typing import Any

NOW = "2026-11-22T11:00:00Z"
PAYMENT_ID = "pay_k4zv3rj2y5n6qd7wmb3txh2ose"
METHOD_ID = "mtd_k4zv3rj2y5n6qd7wmb3txh2ose"


def a_payment(**changes: object) -> dict[str, Any]:
    """A payment that has succeeded."""
    return {
        "id": PAYMENT_ID,
        "order_id": "order-17",
        "status": "succeeded",
        "reason": "paid",
        "message": "Thank you. Your payment was successful.",
        "next_action": None,
        "action_until": None,
        "decline_code": None,
        "attempts_left": 0,
        "retry_until": None,
        "version": 3,
        "updated_at": NOW,
        "customer_id": "cst_ada",
        "amount": 1250,
        "currency": "EUR",
        "attempts_used": 1,
        "is_hosted": False,
        "checkout_url": None,
        "payment_method": None,
        "fulfillment": None,
        "capture_method": "automatic",
        "amount_authorized": 0,
        "capture_until": None,
        "renew_hold_until": None,
        "service_date": None,
        "paid_at": NOW,
        "amount_captured": 1250,
        "amount_refunded": 0,
        "amount_refund_pending": 0,
        "description": None,
        "metadata": {},
        "gateway_payment_intent_id": "pi_1",
        "links": {
            "self": "https://pay.example/1",
            "history": "https://pay.example/1/h",
            "run": None,
        },
        "created_at": NOW,
        **changes,
    }


def a_method(**changes: object) -> dict[str, Any]:
    """A payment method that is saved."""
    return {
        "id": METHOD_ID,
        "customer_id": "cst_ada",
        "status": "active",
        "reason": "saved",
        "message": "Your payment method is saved.",
        "payment_method": None,
        "is_default": False,
        "next_action": None,
        "action_until": None,
        "decline_code": None,
        "gateway_payment_method_id": "pm_1",
        "version": 2,
        "links": {"self": "https://pay.example/m", "run": None},
        "created_at": NOW,
        "updated_at": NOW,
        "removed_at": None,
        **changes,
    }


def a_problem(status: int, code: str = "some_code", **changes: object) -> dict[str, Any]:
    """A refusal."""
    return {
        "type": f"urn:paysaga:problem:{code}",
        "title": code,
        "status": status,
        "detail": "It is told why.",
        "code": code,
        **changes,
    }


def a_page(*items: object, next_after: str | None = None) -> dict[str, Any]:
    """One page of a list."""
    return {"items": items, "next_after": next_after}


def an_event(sequence: int = 1, **changes: object) -> dict[str, Any]:
    """A change of a payment."""
    data = {
        name: value
        for name, value in a_payment().items()
        if name
        not in {"message", "next_action", "decline_code", "version", "checkout_url", "links"}
    }
    return {
        "id": f"evn_{sequence}",
        "type": "payment.succeeded",
        "api_version": "1",
        "created_at": NOW,
        "object_type": "payment",
        "object_id": PAYMENT_ID,
        "sequence": sequence,
        "data": data | {"action_url": None, "decline": None},
        **changes,
    }
