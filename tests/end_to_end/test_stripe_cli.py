"""Stripe's own command line makes objects of its own, and some that claim to be ours."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from paysaga.demo.shopper import Shopper
from paysaga.demo.world import World
from paysaga.domain.gateway_event import NUDGES
from paysaga.domain.method_event import METHOD_NUDGES
from paysaga.tokens import Role
from tests.end_to_end.demo_process import DemoProcess, demo_process, open_world_of
from tests.stripe_cli import TRIGGERS, StripeCli, stripe_program

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]

Answer = dict[str, Any]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoProcess]:
    """Every process real, and nothing bought yet."""
    with demo_process(tmp_path_factory.mktemp("demo"), "--serve-only") as running:
        running.wait_for("Serving until Ctrl-C")
        yield running


@pytest.fixture
async def world(demo: DemoProcess) -> AsyncIterator[World]:
    async with open_world_of(demo) as connected:
        yield connected


@pytest.fixture
def cli(demo: DemoProcess, tmp_path: Path) -> StripeCli:
    return StripeCli(stripe_program(), tmp_path, demo.simulator_url)


class TestStrangers:
    @pytest.mark.parametrize("event", TRIGGERS)
    async def test_is_kept_and_moves_nothing(
        self, world: World, cli: StripeCli, event: str
    ) -> None:
        """It reaches the inbox signed, is processed, and is told to be nobody's of ours."""
        await cli.trigger(event)
        kept = await until_kept(world, type=event)

        assert expected_of_a_stranger(event) == kept["result"]
        assert kept["signature_verified"]
        assert (kept["payment_id"], kept["error"]) == (None, None)

    async def test_none_has_become_a_payment(self, world: World, cli: StripeCli) -> None:
        """A success that nobody has asked us for is no sale."""
        await cli.trigger("payment_intent.succeeded")
        await cli.trigger("checkout.session.completed")
        await until_kept(world, type="checkout.session.completed")

        operator = world.token("operator", Role.ADMIN)
        answer = await world.api.get("/payments", headers=operator)

        assert [] == answer.json()["items"]


class TestImpostors:
    async def test_another_intent_with_our_payments_id(self, world: World, cli: StripeCli) -> None:
        """Somebody else's success pays nothing: it is flagged for people to see."""
        shopper, payment = await _waiting_for_the_bank(world)

        await cli.trigger("payment_intent.succeeded", marks=_marks(payment))
        kept = await until_kept(world, type="payment_intent.succeeded", payment_id=payment["id"])

        assert ("other_intent", True) == (kept["result"], kept["flagged"])
        assert [payment] == await shopper.payments()

    async def test_a_success_beside_the_open_page(self, world: World, cli: StripeCli) -> None:
        """The run is nudged, looks at its own page, and finds nobody has paid there."""
        shopper = Shopper(world)
        await shopper.chooses("stoneware-mug")
        payment = await shopper.pays_on_the_page()
        price = {"amount": payment["amount"], "currency": payment["currency"].lower()}

        await cli.trigger("payment_intent.succeeded", marks=_marks(payment), **price)
        kept = await until_kept(world, type="payment_intent.succeeded", payment_id=payment["id"])
        answer = await world.api.post(f"/payments/{payment['id']}/refresh")
        looked = answer.json()

        assert ("nudged", payment["id"]) == (kept["result"], kept["payment_id"])
        assert ("requires_action", 0) == (looked["status"], looked["amount_captured"])

    async def test_a_success_of_another_price(self, world: World, cli: StripeCli) -> None:
        """No run is even nudged by other money than the payment's."""
        shopper = Shopper(world)
        await shopper.chooses("stoneware-mug")
        payment = await shopper.pays_on_the_page()

        await cli.trigger("payment_intent.succeeded", marks=_marks(payment), currency="gbp")
        kept = await until_kept(world, type="payment_intent.succeeded", payment_id=payment["id"])

        assert ("other_currency", True) == (kept["result"], kept["flagged"])


def expected_of_a_stranger(event: str) -> str:
    """What the inbox says of an object that carries none of our marks."""
    if event in METHOD_NUDGES:
        return "unknown_method"
    return "unknown_payment" if event in NUDGES else "kept"


def _marks(payment: Answer) -> dict[str, str]:
    return {"payment_id": payment["id"], "environment": "demo"}


async def _waiting_for_the_bank(world: World) -> tuple[Shopper, Answer]:
    shopper = Shopper(world)
    await shopper.chooses("stoneware-mug")
    payment = await shopper.pays("pm_card_authenticationRequired")
    assert "requires_action" == payment["status"]
    return shopper, payment


async def until_kept(world: World, **about: str) -> Answer:
    """The newest such event in the inbox, as soon as something has come of it."""
    operator = world.token("operator", Role.ADMIN)
    query = {**about, "processed": "true", "limit": "1"}

    async def kept() -> list[Answer]:
        answer = await world.api.get("/admin/webhooks", params=query, headers=operator)
        answer.raise_for_status()
        items: list[Answer] = answer.json()["items"]
        return items

    [event] = await until(kept)
    return event


async def until(found: Callable[[], Awaitable[list[Answer]]]) -> list[Answer]:
    """Ask until something is found."""
    async with asyncio.timeout(30):
        while True:
            if items := await found():
                return items
            await asyncio.sleep(0.1)
