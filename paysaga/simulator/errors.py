"""Refusals in Stripe's error envelope."""

from dataclasses import dataclass, field
from typing import Any

from paysaga.simulator.storage import Body


@dataclass
class ApiError(Exception):
    """One refused call.

    `stands` tells that the call had an effect that stays (a decline leaves a failed charge behind);
    `stored` that the answer is kept under the idempotency key, which validation failures are not.
    """

    status: int
    type: str
    message: str
    code: str | None = None
    param: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    stands: bool = False
    stored: bool = True

    def envelope(self, request_id: str) -> Body:
        """Write the body of the answer."""
        error: Body = {"type": self.type, "message": self.message}
        if self.code:
            error["code"] = self.code
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}"
        if self.param:
            error["param"] = self.param
        error["request_log_url"] = f"https://dashboard.stripe.com/test/logs/{request_id}"
        return {"error": error | {k: v for k, v in self.details.items() if v is not None}}


def invalid(message: str, *, code: str | None = None, param: str | None = None) -> ApiError:
    """400: the call was understood and is refused."""
    return ApiError(400, "invalid_request_error", message, code=code, param=param)


def malformed(message: str, *, code: str | None = None, param: str | None = None) -> ApiError:
    """400: the parameters failed validation before anything ran."""
    return ApiError(400, "invalid_request_error", message, code=code, param=param, stored=False)


def missing(kind: str, identifier: str, param: str, *, in_path: bool) -> ApiError:
    """No such object: 404 for the object in the path, 400 for one named by a parameter."""
    noun = {"payment_method": "PaymentMethod", "setup_intent": "setupintent"}.get(kind, kind)
    return ApiError(
        404 if in_path else 400,
        "invalid_request_error",
        f"No such {noun}: '{identifier}'",
        code="resource_missing",
        param=param,
    )


def wrong_state(message: str, intent: Body) -> ApiError:
    """400: the intent is in a state that does not allow this; the whole intent is enclosed."""
    return ApiError(
        400,
        "invalid_request_error",
        message,
        code=f"{intent['object']}_unexpected_state",
        details={intent["object"]: intent},
    )


def types_gone() -> ApiError:
    """400: since endive nobody may send `payment_method_types` any more."""
    return ApiError(
        400,
        "invalid_request_error",
        "`payment_method_types` can no longer be sent. Use dynamic payment methods, or"
        " `allowed_payment_method_types`.",
        code="payment_method_types_no_longer_supported",
        param="payment_method_types",
        stored=False,
    )


def broken() -> ApiError:
    """500: Stripe's own failure; nothing is known about the effect."""
    return ApiError(
        500,
        "api_error",
        "An unknown error occurred.",
    )
