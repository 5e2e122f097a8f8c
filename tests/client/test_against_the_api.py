"""Both clients before the API itself: real Temporal, a real database, a gateway that is ours."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
import uvicorn

from paysaga.client import (
    AsyncPaysaga,
    CheckoutOrder,
    Conflict,
    Invalid,
    NotAuthenticated,
    NotFound,
    PaymentOrder,
    PaymentStatus,
    Paysaga,
    RetryOrder,
    SavedMethodStatus,
    SaveOrder,
    Turn,
    turn_of,
)
from paysaga.demo.preflight import free_port
from tests.api.conftest import api, temporal, world
from tests.api.world import SHOP_PAGE, Api, World, a_customer, a_token, an_order
from tests.client.conftest import Client

__all__ = ["api", "temporal", "world"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def address(api: Api) -> AsyncIterator[str]:
    """The same API, on a port."""
    port = free_port()
    config = uvicorn.Config(api.app, port=port, log_config=None, lifespan="off")
    served = uvicorn.Server(config)
    serving = asyncio.create_task(served.serve())
    await until(served)
    yield f"http://127.0.0.1:{port}"
    served.should_exit = True
    await serving


@pytest.fixture
async def shop(kind: type[AsyncPaysaga | Paysaga], address: str, api: Api) -> AsyncIterator[Client]:
    """The shop's backend."""
    made = Client(kind(address, lambda: a_token(api.settings)))
    yield made
    await made.close()


def _order(method: str = "pm_succeeded", **changes: object) -> PaymentOrder:
    return PaymentOrder.model_validate(an_order(payment_method_id=method, **changes))


class TestPayments:
    async def test_a_payment_from_its_start_to_its_events(self, shop: Client) -> None:
        """Paid once, however often it is asked for; found again in every way."""
        order = _order()

        paid = await shop.ask("start_payment", order, key=f"pay-{order.order_id}")
        again = await shop.ask("start_payment", order, key=f"pay-{order.order_id}")
        by_order = await shop.ask("get_order_payment", order.order_id)
        listed = await shop.read("payments", 9, order_id=order.order_id)
        history = await shop.ask("get_payment_history", paid.id)
        status = await shop.ask("get_payment_status", paid.id, wait_seconds=5)
        events = await _events_of(shop, paid.id, 3)
        later = await shop.ask("list_events", object_id=paid.id, since=paid.updated_at, limit=1)

        assert (PaymentStatus.SUCCEEDED, True, False) == (
            paid.status,
            paid.is_final,
            paid.is_pending,
        )
        assert {paid.id} == {it.id for it in (again, by_order, *listed, status)}
        assert ["succeeded"] == [attempt.status for attempt in history.attempts]
        assert [Turn.NEXT] * 3 == [turn_of(event, place) for place, event in enumerate(events)]
        assert [1250] == [event.payment.amount_captured for event in events[-1:]]
        assert events[-1:] == list(later.items)

    async def test_a_decline_and_another_card(self, shop: Client) -> None:
        """A decline is a result, and so is the attempt after it."""
        declined = await shop.ask("start_payment", _order("pm_insufficient_funds"))
        same = await shop.ask("retry_payment", declined.id)
        paid = await shop.ask(
            "retry_order_payment",
            declined.order_id,
            RetryOrder(payment_method_id="pm_succeeded"),
            customer_address="203.0.113.7",
        )

        assert (PaymentStatus.AWAITING_RETRY, "insufficient_funds", 2) == (
            declined.status,
            declined.decline_code,
            declined.attempts_left,
        )
        assert (1, PaymentStatus.SUCCEEDED) == (same.attempts_left, paid.status)

    async def test_the_bank_s_page(self, shop: Client, world: World) -> None:
        """The customer is sent there, and comes back; the shop looks at once."""
        waiting = await shop.ask("start_payment", _order("pm_requires_action"))
        world.gateway.becomes(waiting.id, "succeeded")

        paid = await shop.ask("refresh_payment", waiting.id)

        assert waiting.next_action.url.startswith("https://gateway.example/3ds/")
        assert PaymentStatus.SUCCEEDED is paid.status

    async def test_money_is_held_and_captured(self, shop: Client) -> None:
        """All or a part, once; what is captured is not canceled."""
        held = await shop.ask(
            "start_payment", _order("pm_requires_capture", capture_method="manual")
        )
        taken = await shop.ask("capture_payment", held.id, amount=1000)
        with pytest.raises(Conflict) as raised:
            await shop.ask("cancel_payment", held.id)

        assert (1250, 1000) == (held.amount_authorized, taken.amount_captured)
        assert ("already_succeeded", held.id) == (raised.value.code, raised.value.payment.id)  # type: ignore[union-attr]

    async def test_what_would_go_back(self, shop: Client) -> None:
        """Nothing of what is a day away, under the terms that are shipped."""
        tomorrow = (datetime.now(UTC) + timedelta(days=1)).date()
        paid = await shop.ask("start_payment", _order(service_date=tomorrow))

        quote = await shop.ask("quote_refund", paid.id)

        assert tomorrow == paid.service_date
        assert (0, 1250, "standard-1") == (quote.amount, quote.amount_left, quote.policy)

    async def test_the_gateway_s_page(self, shop: Client) -> None:
        """An order is paid there, or given up."""
        told = an_order(payment_method_id=None, return_url=None)
        order = CheckoutOrder(**told, success_url=SHOP_PAGE, cancel_url=SHOP_PAGE)

        open_ = await shop.ask("start_checkout", order)
        closed = await shop.ask("cancel_payment", open_.id)

        assert open_.checkout_url
        assert PaymentStatus.CANCELED is closed.status

    async def test_refusals_have_their_kinds(
        self, shop: Client, kind: type[AsyncPaysaga | Paysaga], address: str
    ) -> None:
        """Who asks wrongly learns what was wrong."""
        nobody = Client(kind(address, "not-a-token"))
        with pytest.raises(NotFound):
            await shop.ask("get_payment", "pay_aaaaaaaaaaaaaaaaaaaaaaaaaa")
        with pytest.raises(NotAuthenticated):
            await nobody.ask("list_payments")
        with pytest.raises(Invalid) as raised:
            await shop.ask("start_payment", _order(customer_id="Ada"))
        await nobody.close()

        assert ["customer_id"] == [wrong.field for wrong in raised.value.errors]


class TestMethods:
    async def test_saved_chosen_removed(self, shop: Client) -> None:
        """A customer's saved method, from its first day to its last."""
        customer = a_customer()
        order = SaveOrder(
            payment_method_id="pm_succeeded", customer_id=customer, return_url=SHOP_PAGE
        )

        saved = await shop.ask("save_payment_method", order)
        default = await shop.ask("change_payment_method", saved.id)
        listed = await shop.read("payment_methods", 9, customer_id=customer)
        looked = await shop.ask("refresh_payment_method", saved.id)
        removed = await shop.ask("remove_payment_method", saved.id)
        then = await shop.ask("get_payment_method", saved.id)

        assert SavedMethodStatus.ACTIVE is saved.status is looked.status
        assert default.is_default
        assert [saved.id] == [method.id for method in listed]
        assert SavedMethodStatus.REMOVED is removed.status is then.status

    async def test_one_that_is_declined(self, shop: Client) -> None:
        """It comes back as it was left."""
        order = SaveOrder(
            payment_method_id="pm_expired_card", customer_id=a_customer(), return_url=SHOP_PAGE
        )

        failed = await shop.ask("save_payment_method", order)

        assert (SavedMethodStatus.FAILED, "expired_card") == (failed.status, failed.decline_code)


async def _events_of(shop: Client, payment_id: str, count: int) -> list[Any]:
    """The payment's events; somebody else's transaction may hold them back for a moment."""
    events: list[Any] = []
    async with asyncio.timeout(30):
        while len(events) < count:
            found = await shop.read("follow_events", 1, object_id=payment_id, pause_seconds=0.05)
            events = [event for page in found for event in page.items]
    return events


async def until(served: uvicorn.Server) -> None:
    """Wait until it serves."""
    async with asyncio.timeout(20):
        while True:
            if served.started:
                return
            await asyncio.sleep(0.01)
