"""Errors as answers: the table's problems, and what the framework refuses, in the same form."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException

from api.problems import PROBLEMS, UNEXPECTED, Kind, Problem
from api.refusals import FieldError, Invalid, KeyMissing, Missing, Refusal
from paysaga.database.away import is_away
from paysaga.database.paging import WrongCursor
from paysaga.domain.money import AmountRefused
from paysaga.domain.sink import SinkKind
from paysaga.starting.fields import field_of, what_is_wrong
from paysaga.starting.refusals import NotStarted

PROBLEM_JSON: Final = "application/problem+json"

log: Final = structlog.stdlib.get_logger("api")


def install(app: FastAPI) -> None:
    """Answer with problems only."""
    for kind in PROBLEMS:
        app.add_exception_handler(kind, answer)
    app.add_exception_handler(DBAPIError, _database_error)
    app.add_exception_handler(AmountRefused, _amount_refused)
    app.add_exception_handler(WrongCursor, _wrong_cursor)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, _http)


async def answer(request: Request, error: Exception) -> Response:
    """The answer to an exception that the table knows."""
    kind = next(PROBLEMS[base] for base in type(error).__mro__ if base in PROBLEMS)
    if kind.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("a request fails for now", code=kind.code, error=type(error).__name__)
    if not isinstance(error, Refusal | NotStarted):
        return problem(request, kind)
    if error.retry_after is not None:
        kind = replace(kind, headers={"Retry-After": str(error.retry_after)})
    facts = _facts(error) if isinstance(error, Refusal) else _facts_of_no_start(error)
    if error.detail:
        facts["detail"] = error.detail
    return problem(request, kind, **facts)


def _facts(error: Refusal) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "errors": error.errors,
        "payment_id": error.payment_id,
        "payment": error.payment,
        "payment_method_id": error.method_id,
        "payment_method": error.method,
    }
    if error.payment:
        facts |= {
            "decline_code": error.payment.decline_code,
            "attempts_left": error.payment.attempts_left,
            "retry_until": error.payment.retry_until,
        }
    if error.method:
        facts["decline_code"] = error.method.decline_code
    return facts


def _facts_of_no_start(error: NotStarted) -> dict[str, Any]:
    about = [FieldError(field=error.field, message=error.told)] if error.field else []
    return {"errors": about, "payment_id": error.payment_id}


def unexpected(request: Request, correlation_id: str) -> Response:
    """The answer to a mistake of ours. It tells nothing but where to find it in the logs."""
    return problem(request, UNEXPECTED, correlation_id=correlation_id)


def problem(request: Request, kind: Kind, **facts: Any) -> Response:
    """One problem as an answer. The path is told, the query is not; a card number neither."""
    told = Problem.model_validate(
        {
            "type": f"urn:paysaga:problem:{kind.code}",
            "title": kind.code.replace("_", " ").capitalize(),
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


async def _database_error(request: Request, error: Exception) -> Response:
    """The database is away for now; any other error of it is a mistake of ours."""
    assert isinstance(error, DBAPIError)  # noqa: S101 - registered for it
    if not is_away(error):
        raise error
    return await answer(request, error)


async def _amount_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, AmountRefused)  # noqa: S101 - registered for it
    kind = Kind(HTTPStatus.UNPROCESSABLE_ENTITY, error.code, str(error))
    return problem(request, kind, errors=[FieldError(field="amount", message=str(error))])


async def _wrong_cursor(request: Request, _error: Exception) -> Response:
    return await answer(request, Invalid("after", "This is not the cursor of an earlier page."))


async def _not_valid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    found = error.errors()
    if any(detail["type"] == "json_invalid" for detail in found):
        return problem(
            request, Kind(HTTPStatus.BAD_REQUEST, "malformed_json", "The body is not JSON.")
        )
    for detail in found:
        if detail["type"] == "missing" and _field(detail["loc"]).lower() == "idempotency-key":
            return await answer(request, KeyMissing())
    if any(_is_no_object(detail) for detail in found):
        return problem(request, PROBLEMS[Invalid], errors=[_about_body(request)])
    told = [FieldError(field=_named(detail), message=what_is_wrong(detail)) for detail in found]
    return problem(request, PROBLEMS[Invalid], errors=told)


def _is_no_object(detail: Mapping[str, Any]) -> bool:
    """What the fields of a body say together is another matter: that has a message of its own."""
    about_fields = detail["type"] == "value_error" or _tells_kinds(detail)
    return tuple(detail["loc"]) == ("body",) and not about_fields


def _tells_kinds(detail: Mapping[str, Any]) -> bool:
    """The body has one of several forms, and the field that says which is missing or wrong."""
    return str(detail["type"]).startswith("union_tag_")


def _about_body(request: Request) -> FieldError:
    """Why the body as a whole is not taken: it is missing, no object, or not called JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        return FieldError(field="Content-Type", message="Send JSON as application/json.")
    return FieldError(field="body", message="A JSON object is needed.")


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    status = HTTPStatus(error.status_code)
    detail = (
        PROBLEMS[Missing].detail if status is HTTPStatus.NOT_FOUND else f"{status.description}."
    )
    return problem(
        request, Kind(status, status.phrase.lower().replace(" ", "_"), detail, error.headers)
    )


# The forms that a body may have are no fields, but stand before them.
_FORMS: Final = frozenset({SinkKind.HTTP, SinkKind.AMQP})


def _named(detail: Mapping[str, Any]) -> str:
    if _tells_kinds(detail):
        return str(detail["ctx"]["discriminator"]).strip("'")
    return _field(detail["loc"])


def _field(where: Sequence[str | int]) -> str:
    """The field's name as the caller wrote it, without the part of the request that holds it."""
    parts = where[1:] if where[0] in {"body", "query", "path", "header"} else where
    return field_of(parts[1:] if parts and parts[0] in _FORMS else parts)
