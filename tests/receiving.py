"""A receiver of webhooks on a port of its own: it verifies, remembers, and misbehaves as told."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from standardwebhooks import Webhook
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from paysaga.demo.preflight import free_port
from tests.sinks import SECRET

Says = Callable[[dict[str, Any]], Awaitable[Response]]


async def _ok(_event: dict[str, Any]) -> Response:
    return Response(status_code=204)


class Hook:
    """What came to it. Only an event whose signature is good counts."""

    def __init__(self) -> None:
        self.port = free_port()
        self.secrets = [SECRET]
        self.says: Says = _ok
        self.taken: list[dict[str, Any]] = []
        self.requests: list[Request] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/events"

    def first_time(self) -> dict[str, list[int]]:
        """The sequences of each object in the order in which they were taken for the first time."""
        seen: dict[str, list[int]] = defaultdict(list)
        for event in self.taken:
            if event["sequence"] not in seen[event["object_id"]]:
                seen[event["object_id"]].append(event["sequence"])
        return seen

    async def receive(self, request: Request) -> Response:
        body = await request.body()
        self.requests.append(request)
        event: dict[str, Any] = Webhook(self.secrets[0]).verify(body, dict(request.headers))
        answer = await self.says(event)
        if 200 <= answer.status_code < 300:
            self.taken.append(event)
        return answer


@asynccontextmanager
async def receiving() -> AsyncIterator[Hook]:
    """A receiver, while the context lasts."""
    hook = Hook()
    app = Starlette(
        routes=[Route("/{path:path}", hook.receive, methods=["GET", "POST"])],
    )
    server = uvicorn.Server(
        uvicorn.Config(app, port=hook.port, log_level="error", timeout_graceful_shutdown=1)
    )
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(20):
        await until(server)
    try:
        yield hook
    finally:
        server.should_exit = True
        await serving


async def until(server: uvicorn.Server) -> None:
    while True:
        if server.started:
            return
        await asyncio.sleep(0.01)
