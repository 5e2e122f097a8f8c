"""What goes back over the wire: status, JSON and the headers Stripe sends."""

from dataclasses import dataclass, field

from paysaga.simulator.connection import Send
from paysaga.simulator.errors import ApiError
from paysaga.simulator.storage import dumps

_CORS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET, HEAD, POST, DELETE",
    "access-control-allow-headers": "authorization, content-type, idempotency-key, stripe-version",
    "access-control-expose-headers": "Request-Id, Stripe-Version, Idempotent-Replayed",
    "access-control-max-age": "300",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes out; `noted` tells that the journal has it already."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)
    noted: bool = False


async def respond(send: Send, reply: Reply, extra: dict[str, str]) -> None:
    """Send the reply with the headers that every answer carries."""
    payload = reply.body.encode()
    headers = _CORS | reply.headers | extra
    headers |= {"content-type": "application/json", "content-length": str(len(payload))}
    raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": raw})
    await send({"type": "http.response.body", "body": payload})


def refusal(error: ApiError, request_id: str) -> Reply:
    """Write an error as a reply."""
    return Reply(error.status, dumps(error.envelope(request_id)), dict(error.headers))


def outcome(reply: Reply) -> str:
    """Say in a word how the call was answered."""
    replayed = "idempotent-replayed" in reply.headers
    return f"{reply.status} replayed" if replayed else str(reply.status)
