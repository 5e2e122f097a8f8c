"""Whether the process lives, and whether what it needs answers."""

import asyncio
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Final, Literal

import httpx
import structlog
from fastapi import APIRouter, Response
from pydantic import BaseModel

from api.connections import Connections, Here
from api.documents import problems
from paysaga.database.breakers import GATEWAY, Breakers
from paysaga.domain.breaker import BreakerState
from paysaga.settings import IN_MEMORY

router: Final = APIRouter(tags=["health"])

_PATIENCE_SECONDS: Final = 2.0

log: Final = structlog.stdlib.get_logger("api")


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Dependency(BaseModel):
    """Something else that we talk to. Without a needed one no request can be carried out."""

    up: bool
    needed: bool


class Readiness(BaseModel):
    """Whether requests can be carried out, and what is in the way if not."""

    ready: bool
    dependencies: dict[str, Dependency]


@router.get("/health", operation_id="get_health", responses=problems())
async def get_health() -> Alive:
    """The process lives."""
    return Alive()


@router.get(
    "/health/ready",
    operation_id="get_readiness",
    responses=problems()
    | {503: {"model": Readiness, "description": "Something that is needed is down"}},
)
async def get_readiness(here: Here, response: Response) -> Readiness:
    """Each dependency by its name. New payments need the order service, those under way do not."""
    questions: dict[str, Awaitable[object]] = {
        "database": here.reads.ping(),
        "temporal": _temporal(here),
        "gateway": _gateway(here.breakers),
    }
    if here.orders_http is not None:
        questions["order_service"] = _order_service(here.orders_http)
    if here.auth is not None:
        questions["auth_service"] = here.auth.ping()
    if here.settings.limits_url != IN_MEMORY:
        questions["limits"] = here.windows.ping()
    needed = {"database", "temporal", *(["auth_service"] if here.settings.introspects else [])}
    up = await asyncio.gather(*(_answers(name, asked) for name, asked in questions.items()))
    dependencies = {
        name: Dependency(up=is_up, needed=name in needed)
        for name, is_up in zip(questions, up, strict=True)
    }
    ready = all(found.up for found in dependencies.values() if found.needed)
    if not ready:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return Readiness(ready=ready, dependencies=dependencies)


async def _answers(name: str, question: Awaitable[object]) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await question
    except Exception as error:  # noqa: BLE001 - whatever the reason: it does not answer
        log.warning("a dependency does not answer", dependency=name, error=type(error).__name__)
        return False
    return True


async def _temporal(here: Connections) -> None:
    if not await here.runs.is_healthy():
        raise ConnectionError


async def _gateway(breakers: Breakers) -> None:
    """As the workers' calls go: while their breaker is not closed, payments wait."""
    if (await breakers.breaker(GATEWAY)).state is not BreakerState.CLOSED:
        raise ConnectionError


async def _order_service(http: httpx.AsyncClient) -> None:
    """Any answer will do: its contract names no question that is asked of nothing."""
    answer = await http.get("/")
    if answer.is_server_error:
        raise ConnectionError
