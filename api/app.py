"""The HTTP API. `create_app(Settings())` gives the OpenAPI document without connecting anywhere."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import APIRouter, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi_offline import FastAPIOffline
from temporalio.runtime import Runtime

from api import (
    correspondents,
    documents,
    errors,
    events,
    finance,
    health,
    inbox,
    orders,
    payment_methods,
    payments,
    repairs,
    sinks,
    webhooks,
)
from api.answers import REPLAYED
from api.connections import opened
from api.middleware import CORRELATION_ID, IDEMPOTENCY_KEY, Correlated, Guarded
from paysaga.settings import Settings
from paysaga.starting.payments import API

_SENT: Final = ["Authorization", "Content-Type", IDEMPOTENCY_KEY, CORRELATION_ID]
_SHOWN: Final = [CORRELATION_ID, REPLAYED, "Location", "Retry-After", "Server-Timing"]


def create_app(settings: Settings, runtime: Runtime | None = None) -> FastAPI:
    """The API over these settings. It connects when it starts to serve, and as late as it can.

    Args:
        settings: All that differs between deployments.
        runtime: Where the metrics go; nowhere without one.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with opened(settings, runtime) as connections:
            app.state.connections = connections
            yield

    app = FastAPIOffline(
        title="Paysaga",
        summary="Durable payments: hand over an order, get it paid, refunded or given up.",
        version="1",
        lifespan=lifespan,
        redoc_url=None,
        redirect_slashes=False,
    )
    api = APIRouter(prefix=API)
    for room in (
        *(payments, payment_methods, correspondents, orders),
        *(webhooks, repairs, inbox, finance, events, sinks),
    ):
        api.include_router(room.router)
    app.include_router(api)
    app.include_router(health.router)
    errors.install(app)
    app.add_middleware(Guarded, settings=settings)
    app.add_middleware(Correlated)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=_SENT,
            expose_headers=_SHOWN,
        )
    app.openapi = lambda: documents.describe(app)  # type: ignore[method-assign]
    return app
