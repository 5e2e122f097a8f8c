"""What the OpenAPI document says of answers: every problem a route may come to, in its own form."""

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel

from api.errors import PROBLEM_JSON
from api.problems import Problem

Responses = dict[int | str, dict[str, Any]]

# Guards and dependencies stand before every route.
_EVERYWHERE: Final = (400, 413, 500)
_UNUSED: Final = ("HTTPValidationError", "ValidationError")


def problems(*statuses: int) -> Responses:
    """These answers are problems."""
    return {
        status: {"model": Problem, "description": HTTPStatus(status).phrase}
        for status in (*_EVERYWHERE, *statuses)
    }


def changed(view: type[BaseModel]) -> Responses:
    """The answers to a request that moves a state and carries an Idempotency-Key."""
    shown: Responses = {
        200: {"model": view, "description": "As it stands; also to a repeat of the request"},
        202: {"model": view, "description": "Under way: the outcome is not known yet"},
    }
    return shown | problems(401, 403, 409, 422, 503)


def attempted(view: type[BaseModel]) -> Responses:
    """The same of a request that makes an attempt: it may be declined, or be one too many."""
    return changed(view) | problems(402, 404, 429)


READ: Final = problems(401, 422, 503)
SEEN: Final = problems(401, 404, 409, 422, 503)


def describe(app: FastAPI) -> dict[str, Any]:
    """The document, with problems under their own media type and nothing that is never sent."""
    if app.openapi_schema is None:
        document = FastAPI.openapi(app)
        for operations in document["paths"].values():
            for operation in operations.values():
                _correct(operation["responses"])
        for name in _UNUSED:
            document["components"]["schemas"].pop(name, None)
    assert app.openapi_schema is not None  # noqa: S101 - FastAPI has just made it
    return app.openapi_schema


def _correct(responses: dict[str, dict[str, Any]]) -> None:
    for status in list(responses):
        content = responses[status].get("content", {})
        reference = content.get("application/json", {}).get("schema", {}).get("$ref", "")
        if reference.endswith("/HTTPValidationError"):
            del responses[status]
        elif reference.endswith("/Problem"):
            responses[status]["content"] = {PROBLEM_JSON: content["application/json"]}
