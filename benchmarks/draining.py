"""How long it takes to hand a backlog of events over to a receiver in a process of its own."""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
from pydantic import SecretStr
from rich.console import Console
from sqlalchemy import insert
from temporalio.testing import ActivityEnvironment

from activities.deliveries import Deliveries
from activities.sink_orders import Drained, DrainOrder, Standing
from activities.targets import SinkTargets
from paysaga.database.engine import Sessions, create_engine, sessions
from paysaga.database.migrations import migrate
from paysaga.database.sink_changes import SinkChanges
from paysaga.database.tables import EVENTS
from paysaga.demo.preflight import free_port
from paysaga.domain.money import Money
from paysaga.domain.payment import Payment, RequestMark
from paysaga.domain.sink import Sink, SinkKind, SinkReason, SinkStatus
from paysaga.domain.transitions import opened
from paysaga.events.http import Http

BACKLOG: Final = 10_000
_EACH: Final = 4  # events of a payment
_SINK: Final = "snk_bench"
_RECEIVER: Final = """
import sys, uvicorn

async def app(scope, receive, send):
    if scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

uvicorn.run(app, port=int(sys.argv[1]), log_level="error", lifespan="off")
"""


async def drain(console: Console) -> None:
    """Print how long it takes to hand over a backlog, on SQLite."""
    with tempfile.TemporaryDirectory(prefix="paysaga-bench-") as directory:
        url = f"sqlite:///{Path(directory) / 'paysaga.db'}"
        await migrate(url)
        engine = create_engine(url)
        made, now = sessions(engine), datetime.now(UTC)
        async with made.begin() as session:
            await session.execute(insert(EVENTS), list(_events(now)))
        async with _receiver() as address:
            await _add_sink(made, address, now)
            http = Http(is_open=True)
            began = time.monotonic()
            drained = await _drained(Deliveries(made, SinkTargets(http, None, None, "bench")), now)
            seconds = time.monotonic() - began
            await http.close()
        await engine.dispose()
    console.print(
        f"[bold]Backlog[/]: {drained.delivered} events handed over to an HTTP receiver in"
        f" {seconds:.1f} s ({drained.delivered / seconds:.0f}/s)"
    )


async def _drained(deliveries: Deliveries, now: datetime) -> Drained:
    while True:
        order = DrainOrder(sink_id=_SINK, now=now)
        drained: Drained = await ActivityEnvironment().run(deliveries.drain, order)
        if drained.standing is not Standing.WORKING:
            return drained


async def _add_sink(made: Sessions, address: str, now: datetime) -> None:
    sink = Sink(
        id=_SINK,
        kind=SinkKind.HTTP,
        status=SinkStatus.ACTIVE,
        reason=SinkReason.CREATED,
        url=address,
        secret=SecretStr("whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        created_at=now,
        updated_at=now,
    )
    await SinkChanges(made).create(sink, "bench")


def _events(now: datetime) -> Iterator[dict[str, Any]]:
    payment = Payment(
        id="pay_bench",
        order_id="order-17",
        customer_id="cst_1042",
        money=Money(minor=6450, currency="EUR"),
        method="pm_card_visa",
        description="Stoneware mug",
        return_url="https://shop.example/return",
        gateway_return_url="https://pay.example/return",
        environment="bench",
        actor="service:bench",
        request=RequestMark(key="bench", fingerprint="bench"),
        correlation_id="bench",
    )
    data = opened(payment, now).state.model_dump(mode="json")
    for number in range(BACKLOG):
        payment_id, sequence = f"pay_{number // _EACH}", 1 + number % _EACH
        yield {
            "id": f"evn_{number}",
            "object_id": payment_id,
            "object_type": "payment",
            "type": "payment.created" if sequence == 1 else "payment.updated",
            "sequence": sequence,
            "data": data | {"id": payment_id, "version": sequence},
            "created_at": now,
        }


@asynccontextmanager
async def _receiver() -> AsyncIterator[str]:
    port = free_port()
    command = [sys.executable, "-c", _RECEIVER, str(port)]
    with subprocess.Popen(command) as process:  # noqa: ASYNC220 - nothing else goes on yet
        try:
            address = f"http://127.0.0.1:{port}/events"
            async with httpx.AsyncClient() as http:
                await _until_it_answers(http, address)
            yield address
        finally:
            process.kill()


async def _until_it_answers(http: httpx.AsyncClient, address: str) -> None:
    while True:
        if await _answers(http, address):
            return
        await asyncio.sleep(0.1)


async def _answers(http: httpx.AsyncClient, address: str) -> bool:
    try:
        await http.post(address)
    except httpx.HTTPError:
        return False
    return True
