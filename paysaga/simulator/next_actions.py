"""Sending the customer to a page: to their bank for 3-D Secure, or to PayPal."""

from paysaga.simulator.calls import Call
from paysaga.simulator.events import emit
from paysaga.simulator.ids import letters
from paysaga.simulator.storage import Body, Record

_TOKEN_LETTERS = 24


def require_action(
    call: Call, record: Record, method: Record, *, return_url: str | None, use_stripe_sdk: bool
) -> None:
    """Have the intent wait for its customer, and say where they must go."""
    page = "paypal" if method.body["type"] == "paypal" else "3ds"
    token = letters(_TOKEN_LETTERS)
    url = f"{call.public_url}/{page}/{record.id}/{token}"
    record.private["visit"] = {"token": token, "page": page, "return_url": return_url}
    record.private["action"] = record.private["visit"]
    if return_url and not (use_stripe_sdk and page == "3ds"):
        action: Body = {
            "type": "redirect_to_url",
            "redirect_to_url": {"return_url": return_url, "url": url},
        }
    else:
        sdk = {"type": "three_d_secure_redirect", "stripe_js": url}
        action = {"type": "use_stripe_sdk", "use_stripe_sdk": sdk}
    record.body |= {"next_action": action, "status": "requires_action"}
    call.storage.put(record)
    emit(call, f"{record.kind}.requires_action", record.body)
