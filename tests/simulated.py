"""The simulator on a port of its own, reached over real HTTP by the official SDK.

With `STRIPE_TEST_KEY` set the same tests reach a real Stripe test account instead: those marked
`stripe` script no fault and need no simulator.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import stripe
import uvicorn

from activities.budget import Budget
from activities.circuit import Circuit
from activities.gateway_http import GuardedClient
from paysaga.settings import IN_MEMORY
from paysaga.simulator.app import create_app
from paysaga.simulator.clock import Clock, utc_now
from paysaga.simulator.settings import SimulatorSettings
from paysaga.windows import Windows
from tests.stripe_spec import SpecCheck, Specification, Violation

KEY = "sk_test_paysaga_demo"


@dataclass
class Simulated:
    """A running simulator, the SDK's client for it, and its control API.

    `violations` are departures from Stripe's document, if the exchanges are held to it.
    """

    url: str
    client: stripe.StripeClient
    control: httpx.AsyncClient
    violations: list[Violation] = field(default_factory=list)

    async def arm(self, operation: str, kind: str, **more: object) -> None:
        """The next call to `operation` meets this misfortune."""
        answer = await self.control.post(
            "/faults", json={"operation": operation, "kind": kind, **more}
        )
        assert 201 == answer.status_code, answer.text

    async def authenticate(self, intent_id: str, outcome: str) -> None:
        """Do what the customer does on the 3DS page."""
        answer = await self.control.post(
            f"/intents/{intent_id}/authenticate", json={"outcome": outcome}
        )
        assert 200 == answer.status_code, answer.text

    async def paypal(self) -> str:
        """A payment method as the page makes it when the customer chooses PayPal."""
        return (await self.client.v1.payment_methods.create_async({"type": "paypal"})).id

    async def from_wallet(self, wallet: str, card: str = "pm_card_visa") -> str:
        """A payment method of a card that the customer's phone gave."""
        method = await self.client.v1.payment_methods.create_async(
            {"type": "card", "card": {"token": card.replace("pm_card_", "tok_")}}
        )
        answer = await self.control.post(
            f"/payment_methods/{method.id}/wallet", json={"type": wallet}
        )
        assert 200 == answer.status_code, answer.text
        return method.id

    async def flush(self) -> None:
        """What the gateway would do later has been done."""
        answer = await self.control.post("/webhooks/flush")
        assert 200 == answer.status_code, answer.text

    async def journal(self) -> list[dict[str, Any]]:
        """What really happened, as only the simulator knows it."""
        return list((await self.control.get("/journal")).json()["data"])

    async def charged(self) -> list[dict[str, Any]]:
        """The charges that took money."""
        return [entry for entry in await self.journal() if entry["kind"] == "charge.captured"]


def has_real_account() -> bool:
    """Whether the tests are to reach a real Stripe test account."""
    return bool(os.environ.get("STRIPE_TEST_KEY"))


@asynccontextmanager
async def gateway(
    directory: Path, clock: Clock = utc_now, *, specification: Specification | None = None
) -> AsyncIterator[Simulated]:
    """The simulator, or a real Stripe test account when its key is set."""
    if not has_real_account():
        async with running_simulator(directory, clock, specification=specification) as simulated:
            yield simulated
        return
    key = os.environ["STRIPE_TEST_KEY"]
    assert "_test_" in key, "STRIPE_TEST_KEY must be a test key"
    http = stripe.HTTPXClient(timeout=httpx.Timeout(25, connect=30))
    async with httpx.AsyncClient(base_url="http://127.0.0.1:1/no-control-api") as control:
        yield Simulated(
            "https://hooks.stripe.com",
            stripe.StripeClient(key, http_client=http, max_network_retries=0),
            control,
        )
    await http.close_async()  # type: ignore[no-untyped-call]


@asynccontextmanager
async def guarded(simulated: Simulated, circuit: Circuit) -> AsyncIterator[stripe.StripeClient]:
    """The product's own way to the simulator: behind a breaker, its budget never spent."""
    budget = Budget(Windows(IN_MEMORY), together=10_000, each=10_000)
    http = GuardedClient(httpx.Timeout(2), circuit, budget)
    base: Any = {"api": simulated.url}
    yield stripe.StripeClient(KEY, http_client=http, base_addresses=base, max_network_retries=0)
    await http.close_async()  # type: ignore[no-untyped-call]


@asynccontextmanager
async def running_simulator(
    directory: Path,
    clock: Clock = utc_now,
    *,
    specification: Specification | None = None,
    **settings: object,
) -> AsyncIterator[Simulated]:
    """A simulator whose state lies in `directory`, without any delay.

    With a `specification` each exchange is held to Stripe's document.
    """
    # A socket that names TCP, so that asyncio turns Nagle's delay off.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    options: dict[str, Any] = {
        "simulator_state": directory / "simulator.db",
        "simulator_public_url": url,
        "payment_processing_delay_min": 0,
        "payment_processing_delay_max": 0,
        **settings,
    }
    checked = SpecCheck(create_app(SimulatorSettings(**options), clock), specification)
    config = uvicorn.Config(checked, log_level="warning")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    http = stripe.HTTPXClient(timeout=httpx.Timeout(2, connect=30))
    # The server closes a connection that was idle for 5 s: we do not begin on one at that moment.
    limits = httpx.Limits(keepalive_expiry=2)
    async with httpx.AsyncClient(base_url=f"{url}/_control", timeout=10, limits=limits) as control:
        yield Simulated(
            url,
            stripe.StripeClient(
                KEY, http_client=http, base_addresses={"api": url}, max_network_retries=0
            ),
            control,
            checked.violations,
        )
        await http.close_async()  # type: ignore[no-untyped-call]
    server.should_exit = True
    await serving
