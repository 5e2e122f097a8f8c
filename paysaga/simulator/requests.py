"""One request, read and understood as far as is needed to find its operation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from paysaga.simulator import access, idempotency, operations
from paysaga.simulator.connection import Receive, Scope, read_body
from paysaga.simulator.forms import nest, pairs
from paysaga.simulator.idempotency import Use
from paysaga.simulator.operations import Found
from paysaga.simulator.settings import SimulatorSettings


@dataclass(frozen=True, slots=True)
class Request:
    """One request: its operation, its parameters, its sender and its idempotency key."""

    found: Found
    path: str
    flat: list[tuple[str, str]]
    params: dict[str, Any]
    client_only: bool
    version: str
    use: Use | None
    request_id: str
    receive: Receive


async def understand(
    scope: Scope,
    headers: Mapping[str, str],
    receive: Receive,
    request_id: str,
    settings: SimulatorSettings,
) -> Request:
    """Read the request and check who sends it; what is refused here was never executed."""
    body = await read_body(receive)
    version = access.version_of(headers)
    client_only = access.is_browser(headers, settings)
    path = unquote(scope["path"])
    found = operations.find(scope["method"], path)
    if client_only and not found.operation.for_browsers:
        raise access.secret_key_required()
    flat = pairs(scope["query_string"].decode(), body.decode("utf-8", "replace"))
    key = headers.get("idempotency-key")
    use = None
    if key and scope["method"] == "POST":
        use = idempotency.use_of(key, path, flat)
    return Request(found, path, flat, nest(flat), client_only, version, use, request_id, receive)
