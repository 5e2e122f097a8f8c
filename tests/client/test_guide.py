"""The guide's examples, as they stand on its page, before the API itself."""

import asyncio
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from paysaga.client import AsyncPaysaga, Paysaga, Retries
from tests.api.world import Api, World, a_token
from tests.client.conftest import LOST, QUICK, TOKEN, Reply, Server
from tests.client.test_against_the_api import address, api, temporal, world
from tests.client.test_webhooks import NEW, OLD, signed
from tests.client.told import PAYMENT_ID, a_page, a_payment, an_event

__all__ = ["address", "api", "temporal", "world"]

PAGE: Final = (Path(__file__).parents[2] / "docs/client.md").read_text()


@pytest.fixture(scope="module")
def guide() -> dict[str, Any]:
    """All that the page's blocks define."""
    names: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile("\n".join(blocks), "docs/client.md", "exec"), names)
    return names


class TestGuide:
    async def test_an_order_is_paid(
        self, guide: dict[str, Any], address: str, api: Api, world: World
    ) -> None:
        """Through a decline, and through the bank's page."""
        async with AsyncPaysaga(address, a_token(api.settings)) as paysaga:
            bank = await guide["pay"](paysaga, "guide-1", "pm_requires_action", "key-guide-1")
            form = await guide["pay"](paysaga, "guide-2", "pm_insufficient_funds", "key-guide-2")
            waiting = await paysaga.get_order_payment("guide-1")
            declined = await paysaga.get_order_payment("guide-2")
            world.gateway.becomes(waiting.id, "succeeded")

            told = await guide["come_back"](paysaga, waiting.id)
            is_paid = await guide["try_again"](paysaga, declined.id, "pm_succeeded", "key-guide-3")

        assert bank.startswith("https://gateway.example/3ds/")
        assert "/orders/guide-2/pay" == form
        assert ("Thank you. Your payment was successful.", True) == (told, is_paid)

    async def test_what_is_unknown_is_asked_again(
        self, guide: dict[str, Any], server: Server
    ) -> None:
        """The next run sends the key of the one before."""
        server.answers(LOST, LOST, LOST, Reply(200, a_payment()))
        keys: dict[str, str] = {}
        async with AsyncPaysaga(server.url, TOKEN, retries=QUICK) as paysaga:
            first = await guide["ship"](paysaga, PAYMENT_ID, keys)
            second = await guide["ship"](paysaga, PAYMENT_ID, keys)

        assert (False, True) == (first, second)
        assert 1 == len({asked.key for asked in server.asked})

    async def test_each_event_is_handled_once(
        self, guide: dict[str, Any], server: Server, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """What comes again is known."""
        items = [an_event(1), an_event(1), an_event(2)]
        server.answers(Reply(200, {"items": items, "next_after": "1", "has_more": True}), LOST)
        seen: dict[str, int] = {}
        async with AsyncPaysaga(server.url, TOKEN, retries=QUICK) as paysaga:
            with suppress(Exception):
                await guide["follow"](paysaga, None, seen)

        assert 2 == capsys.readouterr().out.count("order-17 1250 EUR")
        assert [2] == list(seen.values())

    async def test_a_webhook_is_answered(self, guide: dict[str, Any], server: Server) -> None:
        """Each event once, in its turn, whoever signs; what is missing is read, not passed over."""
        server.answers(
            Reply(
                200,
                {"items": [an_event(n) for n in (1, 2, 3)], "next_after": "3", "has_more": False},
            )
        )
        seen: dict[str, int] = {}
        bodies = [json.dumps(an_event(number)).encode() for number in (1, 3, 1, 2)]

        with Paysaga(server.url, TOKEN) as paysaga:
            answers = [
                await asyncio.to_thread(
                    guide["received"], paysaga, body, signed(body, OLD), [NEW, OLD], seen
                )
                for body in bodies
            ]
            forged = guide["received"](paysaga, bodies[0], signed(bodies[1]), [NEW], seen)

        assert ([200] * 4, 401) == (answers, forged)
        assert ([3], 1) == (list(seen.values()), len(server.asked))

    async def test_what_is_held(self, guide: dict[str, Any], server: Server) -> None:
        """The blocking client, in a thread of its own."""
        server.answers(Reply(200, a_page(a_payment())))

        with Paysaga(server.url, TOKEN) as paysaga:
            held = await asyncio.to_thread(guide["orders_on_hold"], paysaga)

        assert ["order-17"] == held

    def test_the_figures_are_the_defaults(self) -> None:
        """What the table of `Retries` says."""
        usual = Retries()

        assert f"tries in all: {usual.attempts} " in PAGE
        assert f"after so long: {usual.deadline_seconds:g} " in PAGE
        assert f"{usual.timeout_seconds:g} and {usual.connect_timeout_seconds:g} |" in PAGE
        assert f"{usual.first_pause_seconds:g}, twice" in PAGE
        assert f"up to {usual.longest_pause_seconds:g};" in PAGE
