"""The one table that says how each of our exceptions is told (RFC 9457, "problem details")."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from pydantic import AwareDatetime, Field
from sqlalchemy.exc import DBAPIError

from api.method_views import SavedMethodView
from api.refusals import (
    AlreadySucceeded,
    BadSignature,
    BadToken,
    CaptureRefused,
    CardNumber,
    Declined,
    FieldError,
    Forbidden,
    GatewayRefused,
    Invalid,
    KeyMissing,
    KeyReused,
    MethodDeclined,
    MethodNotRemovable,
    MethodNotRemoved,
    MethodNotThere,
    MethodSaved,
    Missing,
    NotApprovable,
    NotCancelable,
    NotCapturable,
    NotRepairable,
    NotRetryable,
    NotSignedIn,
    OrderRefused,
    PaymentCanceled,
    PaymentExpired,
    SinkConfigured,
    TokensUnchecked,
    TooLarge,
)
from api.views import PaymentView, View
from paysaga.auth import AuthServiceUnavailable
from paysaga.database.away import NOT_CONNECTED
from paysaga.database.outbox import Forgotten
from paysaga.incoming import NotAGatewayEvent
from paysaga.nudging import NotTold
from paysaga.orders import OrderServiceUnavailable
from paysaga.starting.calls import TemporalUnavailable
from paysaga.starting.refusals import (
    AmountMismatch,
    CustomerMissing,
    MethodMissing,
    NotStarted,
    OrderHasPayment,
    OrderMissing,
    OrderNotOpen,
    ServiceDateMismatch,
    TooManyAttempts,
    TooManyDeclines,
)

RETRY_SECONDS: Final = 2


class Problem(View):
    """Why a request was not carried out. `detail` may be shown to the customer."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldError] = Field(default_factory=list)
    instance: str | None = None
    payment: PaymentView | None = None
    payment_id: str | None = None
    payment_method: SavedMethodView | None = None
    payment_method_id: str | None = None
    decline_code: str | None = None
    attempts_left: int | None = None
    retry_until: AwareDatetime | None = None
    correlation_id: str | None = None


@dataclass(frozen=True)
class Kind:
    """How one kind of trouble is told."""

    status: HTTPStatus
    code: str
    detail: str
    headers: Mapping[str, str] | None = None


_S = HTTPStatus
_LATER: Final = {"Retry-After": str(RETRY_SECONDS)}
_DATABASE_AWAY: Final = Kind(
    _S.SERVICE_UNAVAILABLE,
    "database_unavailable",
    "We cannot look this up at the moment. Please try again in a moment.",
    _LATER,
)
_TEMPORAL_AWAY: Final = Kind(
    _S.SERVICE_UNAVAILABLE,
    "temporal_unavailable",
    "Payments cannot be handled at the moment. Please repeat the request in a moment.",
    _LATER,
)
_INVALID: Final = Kind(
    _S.UNPROCESSABLE_ENTITY, CustomerMissing.code, "Some input is not as it must be."
)


def _not_started(status: HTTPStatus, refusal: type[NotStarted]) -> Kind:
    """It has its code and its sentence by itself, for whoever else tells it."""
    return Kind(status, refusal.code, refusal.sentence)


PROBLEMS: Final[Mapping[type[Exception], Kind]] = {
    CardNumber: Kind(
        _S.BAD_REQUEST,
        "card_number_refused",
        "A card number must not be sent here. It was neither stored nor logged.",
    ),
    KeyMissing: Kind(
        _S.BAD_REQUEST,
        "idempotency_key_required",
        "Send an Idempotency-Key header, a new one for each new request, so that a repeat is safe.",
    ),
    NotAGatewayEvent: Kind(
        _S.BAD_REQUEST, "not_an_event", "The body is not an event of the gateway."
    ),
    NotSignedIn: Kind(
        _S.UNAUTHORIZED,
        "not_authenticated",
        "A token is needed: Authorization: Bearer …",
        {"WWW-Authenticate": 'Bearer realm="paysaga"'},
    ),
    BadToken: Kind(
        _S.UNAUTHORIZED,
        "invalid_token",
        "The token is not valid, or not any more.",
        {"WWW-Authenticate": 'Bearer realm="paysaga", error="invalid_token"'},
    ),
    BadSignature: Kind(
        _S.UNAUTHORIZED,
        "invalid_signature",
        "The signature is not valid, or not any more.",
        {"WWW-Authenticate": "Stripe-Signature"},
    ),
    Declined: Kind(_S.PAYMENT_REQUIRED, "payment_declined", "The payment was declined."),
    MethodDeclined: Kind(
        _S.PAYMENT_REQUIRED,
        "payment_method_declined",
        "This payment method could not be saved. Please use another one.",
    ),
    Forbidden: Kind(_S.FORBIDDEN, "forbidden", "This role may not do that."),
    Missing: Kind(_S.NOT_FOUND, "not_found", "There is no such thing here."),
    OrderMissing: _not_started(_S.NOT_FOUND, OrderMissing),
    MethodMissing: _not_started(_S.NOT_FOUND, MethodMissing),
    MethodSaved: Kind(_S.CONFLICT, "payment_method_saved", "This payment method is saved already."),
    MethodNotThere: Kind(
        _S.CONFLICT, "payment_method_not_active", "This payment method is not active."
    ),
    MethodNotRemovable: Kind(
        _S.CONFLICT,
        "payment_method_not_removable",
        "This payment method was not saved, so there is nothing to remove.",
    ),
    MethodNotRemoved: Kind(
        _S.CONFLICT,
        "payment_method_not_removed",
        "This payment method could not be removed. Please repeat the request in a moment.",
    ),
    KeyReused: Kind(
        _S.CONFLICT,
        "idempotency_key_reused",
        "This Idempotency-Key was used with another request. Send a new one.",
    ),
    OrderHasPayment: _not_started(_S.CONFLICT, OrderHasPayment),
    AmountMismatch: _not_started(_S.CONFLICT, AmountMismatch),
    ServiceDateMismatch: _not_started(_S.CONFLICT, ServiceDateMismatch),
    OrderNotOpen: _not_started(_S.CONFLICT, OrderNotOpen),
    OrderRefused: Kind(_S.CONFLICT, "order_refused", "The shop could not take the order."),
    GatewayRefused: Kind(_S.CONFLICT, "gateway_refused", "This payment cannot be made."),
    PaymentCanceled: Kind(_S.CONFLICT, "payment_canceled", "The payment was canceled."),
    PaymentExpired: Kind(_S.CONFLICT, "payment_expired", "The time to pay is over."),
    NotRetryable: Kind(
        _S.CONFLICT, "not_retryable", "This payment takes no further attempt as it stands."
    ),
    AlreadySucceeded: Kind(_S.CONFLICT, "already_succeeded", "This payment has succeeded already."),
    NotCapturable: Kind(
        _S.CONFLICT, "not_capturable", "This payment holds nothing that could be captured now."
    ),
    CaptureRefused: Kind(_S.CONFLICT, "capture_refused", "The gateway did not take what was held."),
    NotCancelable: Kind(
        _S.CONFLICT, "not_cancelable", "This payment cannot be canceled as it stands."
    ),
    NotRepairable: Kind(
        _S.CONFLICT,
        "not_repairable",
        "This repair cannot be done as the payment stands: look why first.",
    ),
    NotApprovable: Kind(
        _S.CONFLICT,
        "not_approvable",
        "There is no proposal to agree with: it was done, or has to be proposed again.",
    ),
    SinkConfigured: Kind(
        _S.CONFLICT,
        "sink_configured",
        "The settings make this sink. Take its variable from them and pause it before.",
    ),
    Forgotten: Kind(
        _S.GONE,
        "events_forgotten",
        "Events that follow this cursor were deleted. Read what you keep anew from its routes, and"
        " go on from the first page.",
    ),
    TooManyAttempts: _not_started(_S.TOO_MANY_REQUESTS, TooManyAttempts),
    TooManyDeclines: _not_started(_S.TOO_MANY_REQUESTS, TooManyDeclines),
    TooLarge: Kind(
        _S.REQUEST_ENTITY_TOO_LARGE,
        "body_too_large",
        "The body is too large.",
        {"Connection": "close"},
    ),
    Invalid: _INVALID,
    CustomerMissing: _INVALID,
    TemporalUnavailable: _TEMPORAL_AWAY,
    NotTold: _TEMPORAL_AWAY,
    OrderServiceUnavailable: Kind(
        _S.SERVICE_UNAVAILABLE,
        "order_service_unavailable",
        "The order cannot be looked up at the moment. Please repeat the request in a moment.",
        _LATER,
    ),
    AuthServiceUnavailable: Kind(
        _S.SERVICE_UNAVAILABLE,
        "auth_service_unavailable",
        "The customer cannot be looked up at the moment. Please repeat the request in a moment.",
        _LATER,
    ),
    TokensUnchecked: Kind(
        _S.SERVICE_UNAVAILABLE,
        "tokens_unchecked",
        "Tokens cannot be checked at the moment. Please repeat the request in a moment.",
        _LATER,
    ),
    DBAPIError: _DATABASE_AWAY,  # as far as `api/errors.py` finds that it is away
    **dict.fromkeys(NOT_CONNECTED, _DATABASE_AWAY),
}
UNEXPECTED: Final = Kind(
    _S.INTERNAL_SERVER_ERROR,
    "internal_error",
    "Something went wrong on our side. Please repeat the request; it is safe with the same key.",
)
