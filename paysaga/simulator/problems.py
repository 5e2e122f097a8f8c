"""JSON in and problem documents out, for this machine only: the manners of the control API."""

import ipaddress
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from paysaga.simulator.storage import Body

_WRITTEN_BY_US = ("id", "seen", "fired", "chains")
M = TypeVar("M", bound=BaseModel)
Handler = Callable[[Request], Awaitable[JSONResponse]]


def guarded(handler: Handler) -> Handler:
    """Let only this machine in, and turn refusals into problem documents."""

    async def guard(request: Request) -> JSONResponse:
        try:
            _check_caller(request)
            return await handler(request)
        except HTTPException as error:
            problem = {"type": "about:blank", "status": error.status_code, "detail": error.detail}
            return JSONResponse(problem, error.status_code, media_type="application/problem+json")

    return guard


async def read(request: Request, model: type[M]) -> M:
    """Read a JSON body of that shape; what only the simulator writes is refused."""
    values = await json_object(request)
    for name in _WRITTEN_BY_US:
        if name in values:
            raise HTTPException(422, f"{name}: Extra inputs are not permitted")
    try:
        return model.model_validate_json(json.dumps(values))
    except ValidationError as error:
        raise HTTPException(422, first_of(error)) from error


async def json_object(request: Request) -> Body:
    """Read a JSON object from the body."""
    try:
        value: Any = json.loads(await request.body() or b"{}")
    except ValueError as error:
        raise HTTPException(400, "the body is not JSON") from error
    if not isinstance(value, dict):
        raise HTTPException(422, "the body must be a JSON object")
    return value


def first_of(error: ValidationError) -> str:
    """Say which field is wrong and why."""
    found = error.errors()[0]
    return f"{'.'.join(map(str, found['loc']))}: {found['msg']}"


def _check_caller(request: Request) -> None:
    if request.client and not _is_loopback(request.client.host):
        raise HTTPException(403, "the control API serves this machine only")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in ("localhost", "testclient")
