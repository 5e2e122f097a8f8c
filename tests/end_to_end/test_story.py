"""From the order to the mail, while the message broker dies and comes back."""

import asyncio
import json
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aio_pika import DeliveryMode, Message, connect
from pydantic import AnyHttpUrl, SecretStr
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from paysaga.settings import Environment, Settings
from tests.api.world import Api, an_order, migrate, serving
from tests.mail.server import Post
from tests.mail.server import serving as a_mail_server
from tests.rabbit import until
from tests.rabbit_node import Node, a_node
from tests.simulated import running_simulator
from tests.worker.orders import an_event
from worker.main import running_workers
from workflows import addresses

RESULTS = "shop.results"
CUSTOMER = "cst_1"
ADDRESS = "ada@shop.example"


@dataclass
class Town:
    """The API, the broker and the mail server."""

    api: Api
    node: Node
    post: Post
    settings: Settings

    async def send(self, order: dict[str, Any]) -> None:
        """The shop has what was ordered."""
        async with await connect(self.node.url) as connection:
            channel = await connection.channel()
            exchange = await channel.get_exchange(self.settings.amqp_orders_exchange, ensure=False)
            message = Message(json.dumps(order).encode(), delivery_mode=DeliveryMode.PERSISTENT)
            await exchange.publish(message, "order.stock-confirmed")

    async def paid(self, order_id: str) -> dict[str, Any]:
        """The order's payment when the money is there."""
        found: dict[str, Any] = {}

        async def is_paid() -> bool:
            answer = await self.api.shop.get(f"/orders/{order_id}/payment")
            found.update(answer.json())
            return bool(found["status"] == "succeeded")

        await until(is_paid, 60)
        return found

    async def mailed(self, *orders: str) -> bool:
        """Whether there is a mail about each of these orders."""
        bodies = [mail.get_body(("plain",)) for mail in self.post.mails]
        told = "".join(body.get_content() for body in bodies if body is not None)
        return all(order in told for order in orders)

    async def heard(self) -> dict[str, list[int]]:
        """The sequences of each payment, in the order in which the shop's queue first had them."""
        seen: dict[str, list[int]] = defaultdict(list)
        async with await connect(self.node.url) as connection:
            queue = await (await connection.channel()).get_queue(RESULTS)
            while (message := await queue.get(fail=False)) is not None:
                event = json.loads(message.body)
                if event["sequence"] not in seen[event["object_id"]]:
                    seen[event["object_id"]].append(event["sequence"])
        return seen

    async def sink(self, name: str) -> dict[str, Any]:
        return dict((await self.api.shop.get(f"/sinks/{name}")).json())


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """Worker and API as in production, with a broker of their own."""
    url = f"sqlite:///{tmp_path / 'paysaga.db'}"
    await migrate(url)
    (tmp_path / "rabbit").mkdir()
    async with AsyncExitStack() as stack:
        node = stack.enter_context(a_node(tmp_path / "rabbit"))
        await node.start()
        async with await connect(node.url) as connection:
            channel = await connection.channel()
            exchange = await channel.declare_exchange("paysaga.events", "topic", durable=True)
            await (await channel.declare_queue(RESULTS, durable=True)).bind(exchange, "payment.#")
        temporal = await stack.enter_async_context(
            await WorkflowEnvironment.start_local(
                dev_server_existing_path=str(Path(sys.executable).parent / "temporal"),
                data_converter=pydantic_data_converter,
                search_attributes=addresses.SEARCH_ATTRIBUTES,
                dev_server_log_level="error",
            )
        )
        simulated = await stack.enter_async_context(running_simulator(tmp_path))
        post = await stack.enter_async_context(a_mail_server(Post()))
        settings = Settings(
            environment=Environment.TEST,
            environment_name="test",
            database_url=url,
            temporal_address=temporal.client.service_client.config.target_host,
            stripe_api_base=AnyHttpUrl(simulated.url),
            worker_drain_seconds=1,
            amqp_url=SecretStr(node.url),
            amqp_orders_queue="paysaga.orders",
            smtp_url=SecretStr(post.url),
            mail_from="The shop <shop@shop.example>",
        )
        await stack.enter_async_context(running_workers(temporal.client, settings))
        api = await stack.enter_async_context(serving(settings))
        await api.shop.patch(f"/customers/{CUSTOMER}", {"email": ADDRESS})
        yield Town(api, node, post, settings)


@pytest.mark.full
@pytest.mark.timeout(300)
class TestStory:
    async def test_order_money_event_mail(self, town: Town) -> None:
        """Nothing is lost or doubled while the broker is away, and the mails do not wait for it."""
        before, after = an_event(), an_event()
        meanwhile = an_order(customer_id=CUSTOMER, payment_method_id="pm_card_visa")

        await until(lambda: _takes_orders(town), 30)
        await town.send(before)
        first = await town.paid(before["order_id"])
        await until(lambda: town.mailed(before["order_id"]), 60)

        town.node.kill()
        second = (await town.api.shop.post("/payments", meanwhile)).json()
        await until(lambda: town.mailed(meanwhile["order_id"]), 60)
        # A mail is there a moment before it is written down that it is.
        await until(lambda: _is_done(town, "snk_email"), 60)
        stuck = await town.sink("snk_amqp")
        well = await town.sink("snk_email")

        await town.node.start()
        await until(lambda: _takes_orders(town), 60)
        await town.send(after)
        third = await town.paid(after["order_id"])
        await until(lambda: town.mailed(after["order_id"]), 60)
        await town.api.shop.patch("/sinks/snk_amqp", {"status": "active"})
        await until(lambda: _is_done(town, "snk_amqp"), 60)

        heard = await town.heard()
        assert {first["id"]: [1, 2, 3], second["id"]: [1, 2, 3], third["id"]: [1, 2, 3]} == heard
        assert (0, None) == (well["behind"], well["failing_since"])
        assert 3 == stuck["behind"]
        assert [ADDRESS] * 3 == town.post.recipients
        assert 3 == len({mail["Message-ID"] for mail in town.post.mails}) == len(town.post.mails)


async def _takes_orders(town: Town) -> bool:
    try:
        async with asyncio.timeout(5), await connect(town.node.url) as connection:
            channel = await connection.channel()
            queue = await channel.declare_queue("paysaga.orders", passive=True)
            return bool(queue.declaration_result.consumer_count)
    except Exception:  # noqa: BLE001 - whatever it is: not yet
        return False


async def _is_done(town: Town, sink_id: str) -> bool:
    return bool((await town.sink(sink_id))["behind"] == 0)
