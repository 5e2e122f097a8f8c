"""Orders through RabbitMQ, paid by the product's own worker at the simulated gateway."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from aio_pika import DeliveryMode, Message
from pydantic import AnyHttpUrl
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from paysaga.domain.ids import PAYMENT, derived
from paysaga.settings import Environment, Settings
from tests.api.world import Api, migrate, serving
from tests.rabbit import Line, Rabbit, until
from tests.simulated import Simulated, running_simulator
from tests.worker.orders import an_event
from worker.main import running_workers
from workflows import addresses

COPIES: Final = 20


@dataclass
class Street:
    """The shop's backend, its queues, and the gateway."""

    api: Api
    simulated: Simulated
    rabbit: Rabbit
    settings: Settings
    told: str

    async def send(self, *orders: dict[str, Any]) -> None:
        """The shop has what was ordered."""
        exchange = await self.rabbit.channel.get_exchange(
            self.settings.amqp_orders_exchange, ensure=False
        )
        for order in orders:
            message = Message(json.dumps(order).encode(), delivery_mode=DeliveryMode.PERSISTENT)
            await exchange.publish(message, "order.stock-confirmed")

    async def ended(self, order: dict[str, Any]) -> dict[str, Any]:
        """The order's payment when it is decided, as the shop may read it."""
        found: dict[str, Any] = {}

        async def is_final() -> bool:
            answer = await self.api.shop.get(f"/orders/{order['order_id']}/payment")
            found.update(answer.json())
            return found["status"] in {"succeeded", "failed"}

        await until(is_final, 60)
        return found

    async def hears(self, *kinds: str) -> dict[str, Any]:
        """The next message for the shop of one of these kinds."""
        while True:
            message = await self.rabbit.next(self.told)
            if message.type in kinds:
                return dict(json.loads(message.body))

    async def is_listening(self) -> bool:
        bound = await self.rabbit.channel.declare_queue(
            self.settings.amqp_orders_queue, passive=True
        )
        return bool(bound.declaration_result.consumer_count)


@pytest.fixture
async def street(tmp_path: Path, rabbit: Rabbit, line: Line) -> AsyncIterator[Street]:
    """Worker and API, at a gateway and with queues of their own."""
    url = f"sqlite:///{tmp_path / 'paysaga.db'}"
    await migrate(url)
    results = await rabbit.exchange()
    queue = await rabbit.channel.declare_queue(rabbit.name(), durable=True)
    async with AsyncExitStack() as stack:
        temporal = await stack.enter_async_context(
            await WorkflowEnvironment.start_local(
                dev_server_existing_path=str(Path(sys.executable).parent / "temporal"),
                data_converter=pydantic_data_converter,
                search_attributes=addresses.SEARCH_ATTRIBUTES,
                dev_server_log_level="error",
            )
        )
        simulated = await stack.enter_async_context(running_simulator(tmp_path))
        settings = Settings(
            environment=Environment.TEST,
            environment_name="test",
            database_url=url,
            temporal_address=temporal.client.service_client.config.target_host,
            stripe_api_base=AnyHttpUrl(simulated.url),
            worker_drain_seconds=1,
            amqp_url=line.url,
            amqp_exchange=results.name,
            amqp_orders_queue=queue.name,
            amqp_orders_exchange=rabbit.name(),
        )
        await stack.enter_async_context(running_workers(temporal.client, settings))
        api = await stack.enter_async_context(serving(settings))
        told = await rabbit.queue(results.name)
        made = Street(api, simulated, rabbit, settings, told.name)
        await until(made.is_listening)
        yield made


@pytest.mark.timeout(120)
class TestOrders:
    async def test_an_order_is_paid_once_and_its_result_told(self, street: Street) -> None:
        """Twenty copies of one event are one payment; a copy that comes late hears the result."""
        order = an_event(attempts=1)

        await street.send(*[order] * COPIES)
        payment = await street.ended(order)
        told = await street.hears("payment.succeeded")
        await street.send(order)
        again = await street.hears("payment.succeeded")

        assert ("succeeded", 1250, derived(PAYMENT, "cst_1", order["event_id"])) == (
            payment["status"],
            payment["amount_captured"],
            payment["id"],
        )
        assert 1 == len(await street.simulated.charged())
        assert ("payment.succeeded", payment["id"]) == (told["type"], told["object_id"])
        events = (await street.api.shop.get("/events", type="payment.succeeded")).json()
        assert told == again == events["items"][0]

    async def test_a_declined_card_is_the_end(self, street: Street) -> None:
        """Nobody sits at a page to try another one: the shop hears it at once."""
        order = an_event(payment_method_id="pm_card_chargeDeclinedInsufficientFunds")

        await street.send(order)
        payment = await street.ended(order)
        told = await street.hears("payment.failed")

        assert ("failed", "insufficient_funds") == (payment["status"], payment["decline_code"])
        assert ("payment.failed", "insufficient_funds") == (
            told["type"],
            told["data"]["decline"]["code"],
        )

    async def test_the_api_knows_the_same_payment(self, street: Street) -> None:
        """With the event's id as its key; and history says who asked."""
        order = an_event()
        body = {name: value for name, value in order.items() if name != "event_id"}
        await street.send(order)
        payment = await street.ended(order)

        answer = await street.api.shop.post("/payments", body, key=order["event_id"])

        history = (await street.api.shop.get(f"/payments/{payment['id']}/history")).json()
        assert (200, payment["id"]) == (answer.status_code, answer.json()["id"])
        assert "broker:order.stock-confirmed" == history["entries"][0]["actor"]

    async def test_a_second_order_event_is_refused(self, street: Street) -> None:
        """Two events at once for one order: one is paid, the shop hears of the other."""
        order = an_event()
        other = order | {"event_id": f"{order['event_id']}-other"}

        await asyncio.gather(street.send(order), street.send(other))
        payment = await street.ended(order)
        refused = await street.hears("order.payment-refused")

        assert 1 == len(await street.simulated.charged())
        assert ("order_has_payment", payment["id"]) == (refused["code"], refused["payment_id"])
        dead = await street.rabbit.next(f"{street.settings.amqp_orders_queue}.dead")
        assert refused["event_id"] == json.loads(dead.body)["event_id"]
