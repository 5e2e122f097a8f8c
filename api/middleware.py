"""Around every request: a correlation id, limits on what is read, and one log line."""

import time
from typing import Final
from urllib.parse import unquote_plus

import structlog
from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import errors, refusals
from paysaga.domain.cards import holds_card_number, json_holds_card_number
from paysaga.settings import Settings
from paysaga.starting.payments import correlation_id
from paysaga.timing import count_into

CORRELATION_ID: Final = "X-Correlation-Id"
IDEMPOTENCY_KEY: Final = "Idempotency-Key"
WEBHOOK_LIMIT_BYTES: Final = 256 * 1024
WEBHOOKS: Final = "/api/v1/webhooks/"


log: Final = structlog.stdlib.get_logger("api")


class Correlated:
    """Every request has an id, in its answer, its log lines and the payment that it starts."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run one request, and answer also when it breaks."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, send)
        with structlog.contextvars.bound_contextvars(correlation_id=exchange.id):
            try:
                await self._app(scope, receive, exchange.send)
            except Exception:
                log.exception("a request broke")
                if exchange.status:
                    raise
                broken = errors.unexpected(Request(scope), exchange.id)
                await broken(scope, receive, exchange.send)
            exchange.log()


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.id = correlation_id(Headers(scope=scope).get(CORRELATION_ID))
        self.status = 0
        self._scope = scope
        self._send = send
        self._since = time.perf_counter()
        self._shares: dict[str, float] = {}
        count_into(self._shares)
        scope.setdefault("state", {})["correlation_id"] = self.id

    async def send(self, message: Message) -> None:
        """Send on, with the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
            headers = MutableHeaders(scope=message)
            headers[CORRELATION_ID] = self.id
            headers["Cache-Control"] = "no-store"
            headers["X-Content-Type-Options"] = "nosniff"
            shares = [*self._shares.items(), ("total", self._seconds)]
            headers["Server-Timing"] = ", ".join(
                f"{name};dur={seconds * 1000:.1f}" for name, seconds in shares
            )
        await self._send(message)

    def log(self) -> None:
        """One line for each request. Neither path nor query: nobody knows what was put there."""
        log.info(
            "answered",
            method=self._scope["method"],
            operation=getattr(self._scope.get("route"), "operation_id", None),
            status=self.status,
            milliseconds=round(self._seconds * 1000, 1),
        )

    @property
    def _seconds(self) -> float:
        return time.perf_counter() - self._since


class Guarded:
    """No body is longer than its limit, and no card number gets in."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._limit = settings.api_body_limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the whole body, then hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_webhook = scope["path"].startswith(WEBHOOKS)
        request = Request(scope)
        try:
            body = await _read(request, receive, WEBHOOK_LIMIT_BYTES if is_webhook else self._limit)
            # A card number in a webhook would be the gateway's own doing; none is ever sent.
            if not is_webhook and _holds_card_number(request, body):
                raise refusals.CardNumber
        except refusals.Refusal as refusal:
            answer = await errors.answer(request, refusal)
            await answer(scope, receive, send)
            return
        if body is None:
            return  # the client is gone
        handed = False

        async def replay() -> Message:
            nonlocal handed
            if handed:
                return await receive()
            handed = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)


async def _read(request: Request, receive: Receive, limit: int) -> bytes | None:
    told = request.headers.get("content-length", "0")
    if told.isdecimal() and int(told) > limit:
        raise refusals.TooLarge
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > limit:
            raise refusals.TooLarge
        if not message.get("more_body", False):
            return bytes(body)


def _holds_card_number(request: Request, body: bytes | None) -> bool:
    texts = [
        request.scope["path"],
        unquote_plus(request.scope["query_string"].decode("latin-1")),
        *request.headers.getlist(IDEMPOTENCY_KEY),
    ]
    text = (body or b"").decode(errors="replace")
    return json_holds_card_number(text) or any(holds_card_number(part) for part in texts)
