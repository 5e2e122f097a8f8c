"""Errors as answers (RFC 9457): one table says how each of our exceptions is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import AwareDatetime, Field
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

from api.views import PaymentView, View
from paysaga.database.paging import WrongCursor
from paysaga.domain.money import AmountRefused
from paysaga.orders import OrderServiceUnavailable

PROBLEM_JSON: Final = "application/problem+json"
RETRY_SECONDS: Final = 2

log: Final = structlog.stdlib.get_logger("api")


class FieldError(View):
    """What is wrong with one field. The value is not repeated."""

    field: str
    message: str


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
    decline_code: str | None = None
    attempts_left: int | None = None
    retry_until: AwareDatetime | None = None
    correlation_id: str | None = None


class Refusal(Exception):
    """A request that is not carried out; its line in `PROBLEMS` says how that is told."""

    def __init__(
        self,
        detail: str | None = None,
        *,
        errors: Sequence[FieldError] = (),
        payment: PaymentView | None = None,
        payment_id: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = errors
        self.payment = payment
        self.payment_id = payment_id


class NotSignedIn(Refusal):
    """There is no token."""


class BadToken(Refusal):
    """The token is not good."""


class BadSignature(Refusal):
    """Whoever sent this webhook does not know our secret, or sent it at another time."""


class Forbidden(Refusal):
    """The role may not."""


class Missing(Refusal):
    """There is none, or not for this caller: the same answer for both."""


class Invalid(Refusal):
    """A field is not as it must be."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(errors=[FieldError(field=field, message=message)])


class CardNumber(Refusal):
    """The input holds a card number."""


class KeyMissing(Refusal):
    """The Idempotency-Key is not there."""


class KeyReused(Refusal):
    """The Idempotency-Key belongs to another request."""


class NotAnEvent(Refusal):
    """A signed body that is no event."""


class TooLarge(Refusal):
    """The body is longer than we read."""


class OrderMissing(Missing):
    """The order service knows no such order of this customer."""


class OrderHasPayment(Refusal):
    """Another payment holds the order."""


class AmountMismatch(Refusal):
    """The body's price is not the order's."""


class OrderNotOpen(Refusal):
    """The shop does not wait for this order's money."""


class Declined(Refusal):
    """The attempt was declined."""


class OrderRefused(Refusal):
    """The shop does not take the order."""


class GatewayRefused(Refusal):
    """The gateway does not take the payment."""


class PaymentCanceled(Refusal):
    """Somebody canceled the payment meanwhile."""


class PaymentExpired(Refusal):
    """The hold ended before there was an outcome."""


class NotRetryable(Refusal):
    """The payment takes no further attempt now."""


class AlreadySucceeded(Refusal):
    """The money has moved: there is nothing to cancel."""


class NotCancelable(Refusal):
    """The payment cannot be canceled as it stands."""


class TemporalUnavailable(Refusal):
    """Temporal does not answer."""


class TokensUnchecked(Refusal):
    """The keys that tokens are checked with cannot be had."""


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
    NotAnEvent: Kind(_S.BAD_REQUEST, "not_an_event", "The body is not an event of the gateway."),
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
    Forbidden: Kind(_S.FORBIDDEN, "forbidden", "This role may not do that."),
    Missing: Kind(_S.NOT_FOUND, "not_found", "There is no such thing here."),
    OrderMissing: Kind(_S.NOT_FOUND, "order_not_found", "There is no such order."),
    KeyReused: Kind(
        _S.CONFLICT,
        "idempotency_key_reused",
        "This Idempotency-Key was used with another request. Send a new one.",
    ),
    OrderHasPayment: Kind(
        _S.CONFLICT, "order_has_payment", "Another payment for this order is open or succeeded."
    ),
    AmountMismatch: Kind(_S.CONFLICT, "order_amount_mismatch", "The order has another price."),
    OrderNotOpen: Kind(_S.CONFLICT, "order_not_open", "This order does not wait for a payment."),
    OrderRefused: Kind(_S.CONFLICT, "order_refused", "The shop could not take the order."),
    GatewayRefused: Kind(_S.CONFLICT, "gateway_refused", "This payment cannot be made."),
    PaymentCanceled: Kind(_S.CONFLICT, "payment_canceled", "The payment was canceled."),
    PaymentExpired: Kind(_S.CONFLICT, "payment_expired", "The time to pay is over."),
    NotRetryable: Kind(
        _S.CONFLICT, "not_retryable", "This payment takes no further attempt as it stands."
    ),
    AlreadySucceeded: Kind(_S.CONFLICT, "already_succeeded", "This payment has succeeded already."),
    NotCancelable: Kind(
        _S.CONFLICT, "not_cancelable", "This payment cannot be canceled as it stands."
    ),
    TooLarge: Kind(
        _S.REQUEST_ENTITY_TOO_LARGE,
        "body_too_large",
        "The body is too large.",
        {"Connection": "close"},
    ),
    Invalid: Kind(_S.UNPROCESSABLE_ENTITY, "validation_failed", "Some input is not as it must be."),
    TemporalUnavailable: Kind(
        _S.SERVICE_UNAVAILABLE,
        "temporal_unavailable",
        "Payments cannot be handled at the moment. Please repeat the request in a moment.",
        _LATER,
    ),
    OrderServiceUnavailable: Kind(
        _S.SERVICE_UNAVAILABLE,
        "order_service_unavailable",
        "The order cannot be looked up at the moment. Please repeat the request in a moment.",
        _LATER,
    ),
    TokensUnchecked: Kind(
        _S.SERVICE_UNAVAILABLE,
        "tokens_unchecked",
        "Tokens cannot be checked at the moment. Please repeat the request in a moment.",
        _LATER,
    ),
    OperationalError: _DATABASE_AWAY,
    InterfaceError: _DATABASE_AWAY,
    PoolTimeoutError: _DATABASE_AWAY,
    OSError: _DATABASE_AWAY,  # asyncpg's failed connection comes as it is
}
_UNEXPECTED: Final = Kind(
    _S.INTERNAL_SERVER_ERROR,
    "internal_error",
    "Something went wrong on our side. Please repeat the request; it is safe with the same key.",
)


def install(app: FastAPI) -> None:
    """Answer with problems only."""
    for kind in PROBLEMS:
        app.add_exception_handler(kind, _told)
    app.add_exception_handler(AmountRefused, _amount_refused)
    app.add_exception_handler(WrongCursor, _wrong_cursor)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, _http)


async def answer(request: Request, error: Exception) -> Response:
    """The answer to an exception that the table knows."""
    kind = next(PROBLEMS[base] for base in type(error).__mro__ if base in PROBLEMS)
    if kind.status >= _S.INTERNAL_SERVER_ERROR:
        log.warning("a request fails for now", code=kind.code, error=type(error).__name__)
    facts: dict[str, Any] = {}
    if isinstance(error, Refusal):
        facts = {"errors": error.errors, "payment_id": error.payment_id, "payment": error.payment}
        if error.detail:
            facts["detail"] = error.detail
        if error.payment:
            facts |= {
                "decline_code": error.payment.decline_code,
                "attempts_left": error.payment.attempts_left,
                "retry_until": error.payment.retry_until,
            }
    return problem(request, kind, **facts)


_told = answer


def unexpected(request: Request, correlation_id: str) -> Response:
    """The answer to a mistake of ours. It tells nothing but where to find it in the logs."""
    return problem(request, _UNEXPECTED, correlation_id=correlation_id)


def problem(request: Request, kind: Kind, **facts: Any) -> Response:
    """One problem as an answer. The path is told, the query is not; a card number neither."""
    told = Problem.model_validate(
        {
            "type": f"urn:paysaga:problem:{kind.code}",
            "title": kind.status.phrase,
            "status": kind.status,
            "detail": kind.detail,
            "code": kind.code,
            "instance": None if kind.code == "card_number_refused" else request.url.path,
            **facts,
        }
    )
    content = {
        key: value for key, value in told.model_dump(mode="json").items() if value is not None
    }
    return JSONResponse(content, kind.status, kind.headers, PROBLEM_JSON)


async def _amount_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, AmountRefused)  # noqa: S101 - registered for it
    kind = Kind(_S.UNPROCESSABLE_ENTITY, error.code, str(error))
    return problem(request, kind, errors=[FieldError(field="amount", message=str(error))])


async def _wrong_cursor(request: Request, _error: Exception) -> Response:
    return await answer(request, Invalid("after", "This is not the cursor of an earlier page."))


async def _not_valid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    found = error.errors()
    if any(detail["type"] == "json_invalid" for detail in found):
        return problem(request, Kind(_S.BAD_REQUEST, "malformed_json", "The body is not JSON."))
    for detail in found:
        if detail["type"] == "missing" and _field(detail["loc"]).lower() == "idempotency-key":
            return await answer(request, KeyMissing())
    told = [FieldError(field=_field(detail["loc"]), message=_message(detail)) for detail in found]
    return problem(request, PROBLEMS[Invalid], errors=told)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    status = HTTPStatus(error.status_code)
    detail = PROBLEMS[Missing].detail if status is _S.NOT_FOUND else f"{status.description}."
    return problem(
        request, Kind(status, status.phrase.lower().replace(" ", "_"), detail, error.headers)
    )


_LONGEST_NAME: Final = 64


def _field(where: Sequence[str | int]) -> str:
    """The field's name as the caller wrote it; where an unknown field was named, in plain ASCII."""
    parts = where[1:] if where[0] in {"body", "query", "path", "header"} else where
    name = ".".join(str(part) for part in parts)
    return name.encode("ascii", "replace").decode()[:_LONGEST_NAME]


def _message(detail: Mapping[str, Any]) -> str:
    return str(detail["msg"]).removeprefix("Value error, ")
