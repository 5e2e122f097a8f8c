"""Somebody has a stolen card without its security code, and a shop to try codes at."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

import httpx
import pytest
from pydantic import AnyHttpUrl
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from api.declines import CUSTOMER_ADDRESS
from paysaga.settings import Environment, Settings
from tests.api.world import Api, an_order, migrate, serving
from tests.simulated import Simulated, running_simulator
from worker.main import running_workers
from workflows import addresses

STOLEN: Final = "4000000000000127"  # the bank always says: another security code
GOOD: Final = "4242424242424242"
SOMEWHERE: Final = "93.184.216.34"
CUSTOMERS: Final = 20
UNDECIDED: Final = frozenset({HTTPStatus.ACCEPTED, HTTPStatus.SERVICE_UNAVAILABLE})


@dataclass
class Street:
    """The shop's backend, and the gateway that its pages give cards to."""

    api: Api
    simulated: Simulated

    async def token(self, number: str, cvc: str = "123") -> str:
        """What the shop's page gets for a card that somebody has typed."""
        card = {"number": number, "exp_month": "12", "exp_year": "2034", "cvc": cvc}
        async with httpx.AsyncClient(base_url=self.simulated.url) as page:
            answer = await page.post(
                "/v1/payment_methods",
                headers={"Authorization": "Bearer pk_test_paysaga_demo"},
                data={"type": "card"} | {f"card[{name}]": part for name, part in card.items()},
            )
        return str(answer.json()["id"])

    async def pays(self, number: str, cvc: str = "123", address: str = SOMEWHERE) -> httpx.Response:
        """A new customer pays a new order; the shop asks until it is decided."""
        order = an_order(payment_method_id=await self.token(number, cvc))
        while True:
            answer = await self.api.shop.post(
                "/payments", order, key=order["order_id"], **{CUSTOMER_ADDRESS: address}
            )
            if answer.status_code not in UNDECIDED:
                return answer

    async def tried(self) -> int:
        """How often the bank was asked for the stolen card's money."""
        return sum(entry["kind"] == "charge.failed" for entry in await self.simulated.journal())


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    """The product's own worker and API with its own limits, at a gateway of their own."""
    url = f"sqlite:///{tmp_path / 'paysaga.db'}"
    await migrate(url)
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
        )
        await stack.enter_async_context(running_workers(temporal.client, settings))
        yield Street(await stack.enter_async_context(serving(settings)), simulated)


def codes(answers: list[httpx.Response]) -> Counter[tuple[int, str]]:
    """How often each answer came."""
    told = [(answer.status_code, answer.json()) for answer in answers]
    return Counter((status, str(body.get("decline_code", body["code"]))) for status, body in told)


@pytest.mark.timeout(120)
class TestTesting:
    async def test_twenty_customers_try_one_card(self, street: Street) -> None:
        """Six codes reach the bank, and no more; after twenty the address takes a rest, too."""
        answers = [await street.pays(STOLEN, f"{100 + number}") for number in range(CUSTOMERS)]
        from_here = await street.pays(GOOD)
        from_elsewhere = await street.pays(GOOD, address="203.0.113.10")
        again = await street.pays(STOLEN, address="203.0.113.11")
        paid = await street.api.shop.post(
            f"/payments/{again.json()['payment']['id']}/retry",
            {"payment_method_id": await street.token(GOOD)},
        )

        assert {(402, "incorrect_cvc"): 6, (402, "card_limit_reached"): 14} == codes(answers)
        assert 6 == await street.tried()
        assert (429, "too_many_declines") == (from_here.status_code, from_here.json()["code"])
        assert 201 == from_elsewhere.status_code
        assert {(402, "card_limit_reached"): 1} == codes([again])
        assert (200, "succeeded") == (paid.status_code, paid.json()["status"])

    async def test_all_at_once(self, street: Street) -> None:
        """Those that are under way together are not told apart in time, but none after them."""
        rush = [street.pays(STOLEN, f"{100 + number}") for number in range(CUSTOMERS)]
        answers = await asyncio.gather(*rush)
        tried = await street.tried()

        later = [await street.pays(STOLEN, address="203.0.113.12") for _ in range(3)]

        assert {402} == {answer.status_code for answer in answers}
        assert {(402, "card_limit_reached"): 3} == codes(later)
        assert tried == await street.tried() <= CUSTOMERS
