"""A running simulator, a receiver of its webhooks, and how the tests reach them."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import stripe
import uvicorn

from paysaga.simulator.settings import SimulatorSettings
from tests.stripe_spec import App, Message, Receive, Send

SECRET_KEY = "sk_test_paysaga_demo"
PUBLISHABLE_KEY = "pk_test_paysaga_demo"
RETURN_URL = "https://shop.example/return?cart=7"
Json = dict[str, Any]


def settings(**changes: Any) -> SimulatorSettings:
    """Settings of a simulator that answers at once, whatever the environment says."""
    fast = {
        "stripe_secret_key": SECRET_KEY,
        "stripe_publishable_key": PUBLISHABLE_KEY,
        "payment_success_rate": 0.95,
        "simulator_webhook_url": None,
        "payment_processing_delay_min": 0,
        "payment_processing_delay_max": 0,
        "simulator_webhook_retry_base_seconds": 0.02,
        "simulator_webhook_retry_cap_seconds": 0.1,
        "simulator_refund_settle_seconds": 0.0,
        "simulator_seed": 7,
    }
    return SimulatorSettings(**{**fast, **changes})


@contextlib.asynccontextmanager
async def served(make: Callable[[str], App]) -> AsyncIterator[str]:
    """Serve what `make` builds, given its own base URL, on a free port of this machine."""
    # asyncio turns Nagle off only for sockets that say that they are TCP; 40 ms per answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(256)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(
        make(url), log_level="warning", access_log=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve(sockets=[listener]))  # serve() would take the signals
    try:
        await until(lambda: server.started)
        yield url
    finally:
        server.should_exit = True
        await task
        listener.close()


@contextlib.asynccontextmanager
async def gateway(url: str, key: str = SECRET_KEY) -> AsyncIterator[stripe.StripeClient]:
    """The official SDK, pointed at the simulator."""
    http = stripe.HTTPXClient(timeout=httpx.Timeout(10, connect=30))
    yield stripe.StripeClient(key, base_addresses={"api": url}, http_client=http)
    await http.close_async()  # type: ignore[no-untyped-call]


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for a condition that other tasks bring about."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - conditions of other processes set no event
            await asyncio.sleep(0.002)


@dataclass
class Delivery:
    """One webhook as it arrived."""

    body: bytes
    signature: str

    @property
    def event(self) -> Json:
        """What it says, believed without a check."""
        return dict(json.loads(self.body))

    @property
    def type(self) -> str:
        """The kind of event."""
        return str(self.event["type"])


@dataclass
class Receiver:
    """A webhook endpoint that remembers, and answers what the test wants."""

    answer: Callable[[Delivery], int] = lambda _delivery: 200
    received: list[Delivery] = field(default_factory=list)
    secret: str = ""
    endpoint: str = ""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Take one delivery."""
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        delivery = Delivery(body, headers["stripe-signature"])
        self.received.append(delivery)
        status = self.answer(delivery)
        await send({"type": "http.response.start", "status": status,
                    "headers": [(b"content-length", b"0")]})  # fmt: skip
        await send({"type": "http.response.body", "body": b""})

    @property
    def types(self) -> list[str]:
        """The kinds of events in the order of their arrival."""
        return [delivery.type for delivery in self.received]


class Control:
    """The control API of a simulator."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def post(self, path: str, **body: Any) -> Json:
        """Send JSON and insist on success."""
        response = await self._http.post(f"/_control{path}", json=body)
        assert response.is_success, response.text
        return dict(response.json())

    async def knobs(self, **changes: Any) -> Json:
        """Turn knobs."""
        response = await self._http.patch("/_control/knobs", json=changes)
        assert response.is_success, response.text
        return dict(response.json())

    async def get(self, path: str) -> Any:
        """Read the data of an answer."""
        response = await self._http.get(f"/_control{path}")
        return response.json()["data"]

    async def delete(self, path: str) -> None:
        """Clear something."""
        assert (await self._http.delete(f"/_control{path}")).is_success

    async def fault(self, operation: str, kind: str, **more: Any) -> Json:
        """Arm a fault of API calls."""
        return await self.post("/faults", operation=operation, kind=kind, **more)

    async def webhook_fault(self, kind: str, **more: Any) -> Json:
        """Arm a fault of webhooks."""
        return await self.post("/webhook_faults", kind=kind, **more)

    async def flush(self) -> int:
        """Have everything delivered now."""
        return int((await self.post("/webhooks/flush"))["pending"])

    async def act(self, intent: str, outcome: str) -> Json:
        """Do what the customer does on the authentication page."""
        return await self.post(f"/intents/{intent}/authenticate", outcome=outcome)

    async def entries(self, *kinds: str) -> list[Json]:
        """Read the journal's entries of those kinds."""
        return [entry for entry in await self.get("/journal") if entry["kind"] in kinds]


async def event_types(client: stripe.StripeClient) -> list[str]:
    """The kinds of all events, oldest first."""
    page = await client.v1.events.list_async({"limit": 100})
    return [event.type for event in reversed(page.data)]
