"""From an HTTP request to one effect and its answer: key, version, faults, idempotency."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from paysaga.simulator import faults, idempotency, journal
from paysaga.simulator.calls import DEFAULT_VERSION, Call
from paysaga.simulator.connection import (
    HungUp,
    Receive,
    Scope,
    Send,
    hang_up,
)
from paysaga.simulator.errors import ApiError, broken
from paysaga.simulator.expansion import expand
from paysaga.simulator.faults import Fault
from paysaga.simulator.forms import Expandable, Params, parse
from paysaga.simulator.idempotency import Kept
from paysaga.simulator.ids import new_id
from paysaga.simulator.misfortunes import rate_limited, strike
from paysaga.simulator.operations import Operation
from paysaga.simulator.outcomes import ConnectionLost
from paysaga.simulator.replies import Reply, outcome, refusal, respond
from paysaga.simulator.requests import Request, understand
from paysaga.simulator.simulator import Simulator
from paysaga.simulator.storage import dumps

_SECOND = timedelta(seconds=1)
_SAFE = frozenset({"GET", "HEAD"})
_log = logging.getLogger(__name__)


class Api:
    """The `/v1` application."""

    def __init__(self, simulator: Simulator, wake: Callable[[], None]) -> None:
        self._simulator = simulator
        self._wake = wake
        self._running: set[str] = set()
        self._arrivals: deque[datetime] = deque()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or close its connection."""
        if scope["method"] == "OPTIONS":
            await respond(send, Reply(200, "{}"), {})
            return
        headers = {name.decode().lower(): value.decode("latin-1")
                   for name, value in scope["headers"]}  # fmt: skip
        request_id = new_id("req_")
        try:
            reply = await self._answer(scope, headers, receive, request_id)
        except (HungUp, ConnectionLost):
            await hang_up(send)
            return
        extra = {"request-id": request_id}
        if key := headers.get("idempotency-key"):
            extra["idempotency-key"] = key
        await respond(send, reply, extra)

    async def _answer(
        self, scope: Scope, headers: dict[str, str], receive: Receive, request_id: str
    ) -> Reply:
        version = headers.get("stripe-version", DEFAULT_VERSION)
        try:
            request = await understand(
                scope, headers, receive, request_id, self._simulator.settings
            )
            version = request.version
        except ApiError as error:
            reply = refusal(error, request_id)
            self._note(scope["method"], "unknown", scope["path"],
                       headers.get("idempotency-key"), str(reply.status))  # fmt: skip
        else:
            reply = await self._guarded(request)
        reply.headers["stripe-version"] = version
        return reply

    async def _guarded(self, request: Request) -> Reply:
        operation = request.found.operation
        key = request.use.key if request.use else None
        try:
            reply = await self._under_fault(request)
        except ApiError as error:
            reply = refusal(error, request.request_id)
        except (HungUp, ConnectionLost):
            self._note(operation.method, operation.name, request.path, key, "connection closed")
            raise
        if not reply.noted:
            self._note(operation.method, operation.name, request.path, key, outcome(reply))
        return reply

    def _note(self, method: str, operation: str, path: str, key: str | None, outcome: str) -> None:
        if method not in _SAFE:
            journal.note_request(
                self._simulator.storage,
                self._simulator.time(),
                operation=operation,
                path=path,
                key=key,
                outcome=outcome,
            )

    def _refuse_a_call_too_many(self) -> None:
        """Calls that are refused for coming too often do not count themselves."""
        limit = self._simulator.knobs.requests_per_second
        if not limit:
            return
        now = datetime.now(UTC)
        while self._arrivals and now - self._arrivals[0] >= _SECOND:
            self._arrivals.popleft()
        if len(self._arrivals) >= limit:
            raise rate_limited(retry_after=1)
        self._arrivals.append(now)

    async def _under_fault(self, request: Request) -> Reply:
        simulator = self._simulator
        self._refuse_a_call_too_many()
        fault = faults.draw(
            simulator.storage,
            simulator.chance,
            request.found.operation.name,
            request.found.target,
            request.params,
        )
        if not fault:
            return await self._perform(request)
        journal.note_fault(simulator.storage, simulator.time(), fault.id, fault.kind, request.path)
        await strike(fault, request.use.key if request.use else "", request.receive)
        if fault.kind == "sticky_500":
            return await self._sticky_500(request, fault)
        forced = fault.decline_code if fault.kind == "decline" else None
        reply = await self._perform(request, forced)
        if fault.kind == "effect_reply_late":
            await asyncio.sleep(fault.seconds)
        if fault.kind == "effect_reply_lost":
            raise HungUp
        return reply

    async def _sticky_500(self, request: Request, fault: Fault) -> Reply:
        storage, now = self._simulator.storage, int(self._simulator.time())
        if request.use and idempotency.find(storage, request.use, now):
            return await self._perform(request)  # an answer that is kept is not broken afterwards
        if fault.effect:
            await self._perform(request)
        reply = refusal(broken(), request.request_id)
        if request.use:
            kept = Kept(reply.status, reply.body, request.request_id)
            idempotency.keep(storage, request.use, kept, now)
        return reply

    async def _perform(self, request: Request, forced_decline: str | None = None) -> Reply:
        use = request.use
        if not use:
            return await self._process(request, forced_decline)
        if use.key in self._running:
            raise idempotency.in_use(use.key)
        kept = idempotency.find(self._simulator.storage, use, int(self._simulator.time()))
        if kept:
            headers = {"idempotent-replayed": "true", "original-request": kept.request_id}
            return Reply(kept.status, kept.body, headers)
        self._running.add(use.key)
        try:
            return await self._process(request, forced_decline)
        finally:
            self._running.discard(use.key)

    async def _process(self, request: Request, forced_decline: str | None) -> Reply:
        operation = request.found.operation
        params = parse(operation.params, request.params)
        if operation.takes_time and getattr(params, "confirm", True):
            await asyncio.sleep(self._simulator.knobs.delay_seconds(self._simulator.chance))
        return self._take_effect(request, params, forced_decline)

    def _take_effect(self, request: Request, params: Params, forced_decline: str | None) -> Reply:
        """Carry the operation out, keep the answer and note it: all of it or nothing."""
        storage, use = self._simulator.storage, request.use
        operation = request.found.operation
        call = self._simulator.call(
            target=request.found.target,
            target_child=request.found.child,
            request_id=request.request_id,
            idempotency_key=use.key if use else None,
            version=request.version,
            client_only=request.client_only,
            forced_decline=forced_decline,
        )
        with storage.transaction():
            reply, stored = self._carried_out(call, operation, params)
            if use and stored:
                kept = Kept(reply.status, reply.body, request.request_id)
                idempotency.keep(storage, use, kept, call.now)
            key = use.key if use else None
            self._note(operation.method, operation.name, request.path, key, outcome(reply))
        self._wake()
        return replace(reply, noted=True)

    def _carried_out(self, call: Call, operation: Operation, params: Params) -> tuple[Reply, bool]:
        """Answer, and tell whether the answer is kept; a refusal leaves only what stands."""
        request_id = call.request_id or ""
        call.storage.mark()
        try:
            body = operation.carry_out(call, params)
            if isinstance(params, Expandable):
                expand(call, body, params.expand)
        except ApiError as error:
            if not error.stands:
                call.storage.back_to_mark()
            return refusal(error, request_id), error.stored
        except ConnectionLost:
            raise
        except Exception:  # noqa: BLE001 - whatever broke, the caller gets a 500
            _log.exception("%s broke", operation.name)
            call.storage.back_to_mark()
            return refusal(broken(), request_id), False
        return Reply(200, dumps(body)), True
