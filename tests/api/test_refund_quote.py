"""What of a payment would go back now, as the API tells it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from paysaga.domain import repairs
from paysaga.domain import transitions as rules
from paysaga.domain.ids import PAYMENT, derived
from paysaga.domain.reasons import Reason
from paysaga.domain.refund_policy import Asker, RefundPolicy, RefundRule
from paysaga.domain.repairs import Said
from paysaga.tokens import Role
from tests.api.world import Api, Caller, World, a_customer, an_order, serving
from tests.database.payments import batch, payment, succeeded
from tests.fakes import NOON, a_payment

SHOP_ONLY = RefundPolicy(
    name="shop-only-1",
    without_service_date=(
        RefundRule(percent=80, asked_by=(Asker.SHOP,)),
        RefundRule(percent=30, asked_by=(Asker.CUSTOMER,)),
    ),
)


def day(ahead: int) -> str:
    """A day that is so many days ahead."""
    return (datetime.now(UTC) + timedelta(days=ahead)).date().isoformat()


async def quote(who: Caller, payment_id: str) -> dict[str, Any]:
    answer = await who.get(f"/payments/{payment_id}/refund-quote")
    assert 200 == answer.status_code, answer.text
    return dict(answer.json())


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def strict(world: World) -> AsyncIterator[Api]:
    """The same deployment, after its terms were changed."""
    async with serving(world.settings.model_copy(update={"refund_policy": SHOP_ONLY})) as served:
        yield served


class TestTerms:
    @pytest.mark.parametrize(("ahead", "percent"), [(20, 100), (10, 50), (3, 0), (-3, 0)])
    async def test_the_service_date_decides(self, api: Api, ahead: int, percent: int) -> None:
        """From the body to the percentage: the shipped terms, at each of their steps."""
        payment = await api.shop.pay(service_date=day(ahead))

        told = await quote(api.shop, payment["id"])

        assert (percent, 1250 * percent // 100) == (told["percent"], told["amount"])
        assert day(ahead) == payment["service_date"]
        assert day(ahead) in told["why"]
        assert ("standard-1", 1250) == (told["policy"], told["amount_left"])

    async def test_without_one_it_is_the_day_of_the_payment(self, api: Api) -> None:
        """And the payment says when that was."""
        payment = await api.shop.pay()

        told = await quote(api.shop, payment["id"])

        since = datetime.fromisoformat(payment["paid_at"])
        until = datetime.fromisoformat(told["until"])
        assert timedelta(days=14) < until - since <= timedelta(days=15)
        assert (1250, "100 % because it was paid today.") == (told["amount"], told["why"])

    async def test_terms_are_pinned_when_the_payment_is_made(self, api: Api, strict: Api) -> None:
        """New terms are for new payments."""
        before, after = await api.shop.pay(), await strict.shop.pay()

        quotes = [
            await quote(one.shop, payment["id"])
            for one in (api, strict)
            for payment in (before, after)
        ]

        assert ["standard-1", "shop-only-1"] * 2 == [told["policy"] for told in quotes]
        assert [1250, 1000] * 2 == [told["amount"] for told in quotes]

    async def test_a_customer_is_told_their_own(self, strict: Api) -> None:
        """What only the shop may give back is not promised to the customer."""
        customer = a_customer()
        payment = await strict.shop.pay(customer_id=customer)

        theirs = await quote(strict.as_(Role.CUSTOMER, customer), payment["id"])
        others = [
            await quote(strict.as_(role, "somebody"), payment["id"])
            for role in (Role.SERVICE, Role.SUPPORT, Role.FINANCE, Role.ADMIN)
        ]

        shown = await strict.shop.get(
            f"/payments/{payment['id']}/refund-quote", asked_by="customer"
        )

        assert (375, 30) == (theirs["amount"], theirs["percent"])
        assert (375, 30) == (shown.json()["amount"], shown.json()["percent"])
        assert [80] * 4 == [told["percent"] for told in others]

    async def test_a_customer_is_not_told_the_shops(self, strict: Api) -> None:
        """Who knows that the shop could give back more would ask for it."""
        customer = a_customer()
        payment = await strict.shop.pay(customer_id=customer)

        answer = await strict.as_(Role.CUSTOMER, customer).get(
            f"/payments/{payment['id']}/refund-quote", asked_by="shop"
        )

        assert (403, "forbidden") == (answer.status_code, answer.json()["code"])

    async def test_a_payment_of_an_older_release_is_under_todays(
        self, api: Api, strict: Api, world: World
    ) -> None:
        """It was made without terms: those that are set now count, in each deployment."""
        payment = a_payment(derived(PAYMENT, a_customer(), "older")).model_copy(
            update={"order_id": a_customer()}
        )
        await world.records.record(batch(rules.opened(payment, NOON)))

        told = [await quote(one.shop, payment.id) for one in (api, strict)]

        assert ["standard-1", "shop-only-1"] == [one["policy"] for one in told]


class TestNothing:
    async def test_a_declined_payment(self, api: Api) -> None:
        """Nothing was taken, so nothing goes back."""
        payment = await api.shop.pay("pm_expired_card")

        told = await quote(api.shop, payment["id"])

        assert (0, "Nothing: no money was taken.") == (told["amount"], told["why"])

    async def test_what_was_paid_back_by_other_means(self, api: Api, world: World) -> None:
        """An operator has settled it with the customer: it is not offered to them once more."""
        steps = list(succeeded(payment(name=a_customer())))
        at, said = steps[-1].state.updated_at, Said(actor="admin:ann", note="by bank transfer")
        steps += rules.owed_back(steps[-1].state, Reason.ORDER_REFUSED, at)
        steps += rules.parked(steps[-1].state, Reason.REFUND_FAILED, at)
        steps += repairs.refund_abandoned(steps[-1].state, at, said)
        await world.records.record(batch(*steps))

        told = await quote(api.shop, steps[-1].state.id)

        assert (0, 1250) == (told["amount"], told["amount_left"])
        assert "settled in another way" in told["why"]

    async def test_money_that_is_held(self, api: Api) -> None:
        """It is let go, not given back."""
        payment = await api.shop.pay("pm_requires_capture", capture_method="manual")

        told = await quote(api.shop, payment["id"])

        assert 0 == told["amount"]
        assert "Cancel the payment" in told["why"]


class TestEdges:
    async def test_the_last_day_there_is(self, api: Api) -> None:
        """Whatever day is taken can be counted to and from."""
        payments = [await api.shop.pay(service_date=day) for day in ("2000-01-01", "2199-12-31")]

        told = [await quote(api.shop, payment["id"]) for payment in payments]

        assert [0, 100] == [one["percent"] for one in told]


class TestOrderService:
    async def test_its_date_counts(self, ordered: Api, world: World) -> None:
        """Nobody has to say it again; whoever does, and is right, is not refused."""
        customer = a_customer()
        orders = [world.shop.has(f"{customer}-{n}", customer, service_date=day(10)) for n in (1, 2)]
        who = ordered.as_(Role.CUSTOMER, customer)

        silent = await who.pay(customer_id=None, order_id=orders[0])
        said = await who.pay(customer_id=None, order_id=orders[1], service_date=day(10))

        assert [day(10)] * 2 == [silent["service_date"], said["service_date"]]
        assert 625 == (await quote(who, silent["id"]))["amount"]

    @pytest.mark.parametrize("known", [{"service_date": day(3)}, {"service_date": None}, {}])
    async def test_a_customer_cannot_name_another(
        self, ordered: Api, world: World, known: dict[str, object]
    ) -> None:
        """A day that is far away would give everything back."""
        customer = a_customer()
        order_id = world.shop.has(f"far-{customer}", customer, **known)

        answer = await ordered.as_(Role.CUSTOMER, customer).post(
            "/payments",
            an_order(order_id=order_id, customer_id=None, service_date=day(300)),
        )

        assert (409, "order_service_date_mismatch") == (answer.status_code, answer.json()["code"])
