"""Who tests stolen cards is declined often: after that no attempt is taken for a while."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx
import pytest
from limits import RateLimitItem
from structlog.testing import capture_logs

from api.__main__ import Server
from api.declines import CUSTOMER_ADDRESS
from paysaga.database.declines import Declines
from paysaga.demo.preflight import free_port
from paysaga.domain.decline_limits import DeclineLimits
from paysaga.settings import IN_MEMORY, Settings
from paysaga.starting.declines import DeclineGuard
from paysaga.starting.refusals import TooManyDeclines
from paysaga.temporal import telemetry
from paysaga.tokens import Role
from paysaga.windows import Windows
from tests.api.world import Api, Caller, World, a_customer, an_order, serving

DECLINED = "pm_incorrect_cvc"

_numbers = count(1)


def an_address() -> str:
    """One that no other test uses."""
    return f"8.8.0.{next(_numbers)}"


FEW = {
    "payment_declines_per_customer_day": 3,
    "payment_declines_per_card_day": 4,
    "payment_declines_per_address_hour": 5,
}


@pytest.fixture
async def strict(world: World) -> AsyncIterator[Api]:
    """A deployment that bears few declines."""
    async with serving(world.settings.model_copy(update=FEW)) as served:
        yield served


@pytest.fixture
async def open_to_customers(world: World) -> AsyncIterator[Api]:
    """The same with an order service: customers' own pages start payments."""
    few = world.settings.model_copy(update=FEW)
    async with serving(few, world.shop.service, world.shop.http) as served:
        yield served


async def tries(
    caller: Caller, address: str | None = None, method: str = DECLINED, **order: Any
) -> httpx.Response:
    """Somebody's attempt to pay an order of their own."""
    told = {CUSTOMER_ADDRESS: address} if address else {}
    return await caller.post("/payments", an_order(payment_method_id=method, **order), **told)


def refused(answer: httpx.Response) -> bool:
    """Whether there were too many declines; it says when to come again."""
    if answer.status_code != 429:
        return False
    assert "too_many_declines" == answer.json()["code"]
    assert 0 < int(answer.headers["Retry-After"]) <= 86_400
    return True


class TestCustomer:
    async def test_after_so_many_nothing_more_is_taken(self, strict: Api) -> None:
        """Over all payments and cards of the customer, new ones and retries alike."""
        customer = a_customer()
        first = await tries(strict.shop, customer_id=customer)
        payment = first.json()["payment"]
        await strict.shop.post(
            f"/payments/{payment['id']}/retry", {"payment_method_id": "pm_expired_card"}
        )
        await tries(strict.shop, customer_id=customer)

        again = await tries(strict.shop, method="pm_succeeded", customer_id=customer)
        retried = await strict.shop.post(f"/payments/{payment['id']}/retry")
        now = (await strict.shop.get(f"/payments/{payment['id']}")).json()
        other = await tries(strict.shop, method="pm_succeeded")

        assert [True, True, False] == [refused(again), refused(retried), refused(other)]
        assert ("awaiting_retry", 2) == (now["status"], now["attempts_used"])
        assert 201 == other.status_code

    async def test_nothing_has_begun(self, strict: Api) -> None:
        """A refused request leaves no payment behind."""
        customer = a_customer()
        for _ in range(3):
            await tries(strict.shop, customer_id=customer)
        order = an_order(customer_id=customer)

        answer = await strict.shop.post("/payments", order)

        found = await strict.shop.get("/payments", order_id=order["order_id"])
        assert (True, []) == (refused(answer), found.json()["items"])

    async def test_what_is_paid_does_not_count(self, strict: Api) -> None:
        """A good customer buys as often as they like."""
        customer = a_customer()

        answers = [
            await tries(strict.shop, method="pm_succeeded", customer_id=customer) for _ in range(5)
        ]

        assert {201} == {answer.status_code for answer in answers}


class TestCard:
    async def test_a_known_token_of_a_card_over_the_limit(self, strict: Api) -> None:
        """Whoever shows it: its earlier attempts have told which card it is."""
        for _ in range(4):
            await tries(strict.shop, method="pm_incorrect_cvc__stolen")

        same = await tries(strict.shop, method="pm_incorrect_cvc__stolen")
        other = await tries(strict.shop, method="pm_succeeded__good")

        assert (True, 201) == (refused(same), other.status_code)


class TestAddress:
    async def test_declines_from_one_address(self, strict: Api) -> None:
        """Of whatever customers and cards; from elsewhere payments are taken."""
        here = an_address()
        for _ in range(5):
            await tries(strict.shop, here)

        last = await tries(strict.shop, here, "pm_succeeded")
        elsewhere = await tries(strict.shop, an_address(), "pm_succeeded")
        nowhere = await tries(strict.shop, method="pm_succeeded")

        assert [True, False, False] == [refused(last), refused(elsewhere), refused(nowhere)]
        assert int(last.headers["Retry-After"]) <= 3600

    async def test_retries_count_too(self, strict: Api) -> None:
        """Every answer that is a decline."""
        here = {CUSTOMER_ADDRESS: an_address()}
        for _ in range(2):
            first = await strict.shop.post(
                "/payments", an_order(payment_method_id=DECLINED), **here
            )
            payment = first.json()["payment"]["id"]
            await strict.shop.post(f"/payments/{payment}/retry", **here)
        await strict.shop.post(f"/payments/{payment}/retry", **here)

        assert refused(await strict.shop.post("/payments", an_order(), **here))

    async def test_one_decline_counts_once(self, strict: Api) -> None:
        """However often its request is repeated, at once and later."""
        here = {CUSTOMER_ADDRESS: an_address()}
        order = an_order(payment_method_id=DECLINED)
        key = f"key-{order['order_id']}"

        copies = [strict.shop.post("/payments", order, key=key, **here) for _ in range(8)]
        answers = await asyncio.gather(*copies)
        answers.append(await strict.shop.post("/payments", order, key=key, **here))

        last = await strict.shop.post("/payments", an_order(), **here)
        assert {200, 402} == {answer.status_code for answer in answers}
        assert 201 == last.status_code

    async def test_what_is_no_decline_does_not_count(self, strict: Api) -> None:
        """The gateway refuses our own request, whatever the customer pays with."""
        here = an_address()
        answers = [await tries(strict.shop, here, "pm_refused") for _ in range(6)]

        assert {"gateway_refused"} == {each.json()["payment"]["reason"] for each in answers}
        assert 201 == (await tries(strict.shop, here, "pm_succeeded")).status_code

    @pytest.mark.parametrize("address", ["10.0.0.7", "127.0.0.1", "fd00::1", "::ffff:192.168.1.9"])
    async def test_an_address_inside_does_not_count(self, strict: Api, address: str) -> None:
        """A shop that tells its own proxy's address must not shut itself out."""
        for _ in range(6):
            await tries(strict.shop, address)

        assert 201 == (await tries(strict.shop, address, "pm_succeeded")).status_code

    async def test_an_ipv6_network_is_one(self, strict: Api) -> None:
        """Who has one address of a household's has all of them."""
        for number in range(5):
            await tries(strict.shop, f"2600:db8:0:7::{number}")

        same = await tries(strict.shop, "2600:db8:0:7:ffff::1", "pm_succeeded")
        other = await tries(strict.shop, "2600:db8:0:8::1", "pm_succeeded")

        assert [True, False] == [refused(same), refused(other)]

    @pytest.mark.parametrize("told", ["shop.example", "203.0.113.7:80", "1" * 65])
    async def test_what_is_no_address_is_refused(self, strict: Api, told: str) -> None:
        """The shop's backend learns of its mistake; nothing has begun."""
        answer = await tries(strict.shop, told)

        [error] = answer.json()["errors"]
        assert (422, CUSTOMER_ADDRESS) == (answer.status_code, error["field"])

    @pytest.mark.parametrize(
        ("peer", "forwarded", "counts"),
        [
            ("93.184.216.34", None, True),
            ("10.0.0.5", None, False),  # a proxy that we were not told of
            ("127.0.0.1", "8.8.4.{}, 93.184.216.35", True),
            ("127.0.0.1", "8.8.8.{}", False),
            ("93.184.216.36", "8.8.8.{}", True),  # nobody whose word is believed
        ],
    )
    async def test_a_customers_own_page_shows_its_address(
        self,
        world: World,
        open_to_customers: Api,
        peer: str,
        forwarded: str | None,
        *,
        counts: bool,
    ) -> None:
        """It is the peer's, or what a trusted proxy says; nothing that the page says counts."""
        api = open_to_customers
        config = Server(api.app, api.settings).config
        config.load()
        transport = httpx.ASGITransport(config.loaded_app, client=(peer, 1))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://api.example/api/v1"
        ) as http:
            answers = []
            for number in range(6):
                customer, told = a_customer(), {CUSTOMER_ADDRESS: an_address()}
                page = Caller(http, api.as_(Role.CUSTOMER, customer).headers)
                order_id = world.shop.has(f"order-of-{customer}", customer)
                if forwarded:
                    told["X-Forwarded-For"] = forwarded.format(number)
                body = an_order(order_id=order_id, payment_method_id=DECLINED, customer_id=customer)
                answers.append(await page.post("/payments", body, **told))

        assert {402} == {answer.status_code for answer in answers[:-1]}, answers[0].text
        assert counts == refused(answers[-1])


class TestRefusal:
    async def test_it_does_not_tell_why(self, strict: Api) -> None:
        """Customer, card or address: a tester learns nothing from the difference."""
        customer, here = a_customer(), an_address()
        for _ in range(3):
            await tries(strict.shop, customer_id=customer)
        for _ in range(4):
            await tries(strict.shop, method="pm_incorrect_cvc__told")
        for _ in range(5):
            await tries(strict.shop, here)

        with capture_logs() as logs:
            answers = [
                await tries(strict.shop, customer_id=customer),
                await tries(strict.shop, method="pm_incorrect_cvc__told"),
                await tries(strict.shop, here),
            ]

        [told] = {answer.text for answer in answers}
        kinds = [entry["kind"] for entry in logs if "too many declines" in str(entry["event"])]
        assert all(map(refused, answers))
        assert "Too many declined attempts. Please try again later" in told
        assert ["customer", "card", "address"] == kinds
        assert here not in str(logs)

    async def test_zero_turns_it_off(self, world: World) -> None:
        """Each limit for itself."""
        off = {f"payment_declines_per_{name}": 0 for name in _LIMITS}
        async with serving(world.settings.model_copy(update=off)) as served:
            customer, here = a_customer(), an_address()

            answers = [
                await tries(served.shop, here, f"{DECLINED}__free", customer_id=customer)
                for _ in range(21)
            ]

        assert {402} == {answer.status_code for answer in answers}


_LIMITS = ("customer_day", "card_day", "address_hour")


class Spent(Declines):
    """Every customer's limit is reached."""

    def __init__(self) -> None:
        """Nothing is asked."""

    async def of_customer(self, _customer: str, _since: datetime, _number: int) -> datetime | None:
        return datetime.now(UTC) - timedelta(hours=23)


class Seen(Windows):
    """Remembers by what it counts."""

    def __init__(self) -> None:
        super().__init__(IN_MEMORY)
        self.keys: list[str] = []

    async def hit(self, limit: RateLimitItem, *about: str) -> bool:
        self.keys.append("/".join(about))
        return await super().hit(limit, *about)


@asynccontextmanager
async def guard_at(url: str) -> AsyncIterator[DeclineGuard]:
    """A process that bears two declines from an address."""
    windows = Windows(url)
    limits = DeclineLimits(per_customer_day=0, per_card_day=0, per_address_hour=2)
    yield DeclineGuard(windows, Spent(), limits, "secret")
    await windows.close()


class TestRedis:
    async def test_processes_share_it(self) -> None:
        """Two processes count an address together."""
        url = os.environ.get("TEST_REDIS_URL")
        if url is None:
            missing = "TEST_REDIS_URL is not set: nothing was counted in Redis"
            if os.environ.get("CI") == "true":
                pytest.fail(missing)
            pytest.skip(missing)
        address = os.urandom(8).hex()
        async with guard_at(url) as one, guard_at(url) as other:
            await one.declined("pay_1", 1, address)
            await one.check("cst_1", "pm_1", address)
            await other.declined("pay_2", 1, address)

            with pytest.raises(TooManyDeclines) as refusal:
                await one.check("cst_1", "pm_1", address)

        assert refusal.value.retry_after is not None
        assert 3500 < refusal.value.retry_after <= 3600

    async def test_without_it_each_process_counts_for_itself(self) -> None:
        """While Redis is away nobody is kept from paying, and nobody may try without end."""
        url = f"redis://127.0.0.1:{free_port()}/0"
        async with guard_at(url) as one, guard_at(url) as other:
            for number in range(2):
                await one.declined(f"pay_{number}", 1, "203.0.113.7")
            await other.check("cst_1", "pm_1", "203.0.113.7")

            with pytest.raises(TooManyDeclines):
                await one.check("cst_1", "pm_1", "203.0.113.7")


async def test_no_address_is_kept() -> None:
    """What is counted cannot be made without our secret, not even by trying all addresses."""
    seen = Seen()
    limits = DeclineLimits(per_customer_day=0, per_card_day=0, per_address_hour=1)

    for secret in ("one", "other"):
        guard = DeclineGuard(seen, Spent(), limits, secret)
        await guard.declined("pay_1", 1, "203.0.113.7")
        with pytest.raises(TooManyDeclines):
            await guard.check("cst_1", "pm_1", "203.0.113.7")

    assert 2 == len(set(seen.keys))
    assert "203.0.113" not in str(seen.keys)


async def test_refusals_are_counted_by_kind() -> None:
    """An operator sees when somebody tests cards, and by what it shows."""
    address = f"127.0.0.1:{free_port()}"
    runtime = telemetry(Settings(metrics_address=address))
    assert runtime
    limits = DeclineLimits(per_customer_day=1, per_card_day=0, per_address_hour=0)
    guard = DeclineGuard(Windows(IN_MEMORY), Spent(), limits, "secret", runtime.metric_meter)

    with pytest.raises(TooManyDeclines) as refusal:
        await guard.check("cst_1", "pm_1", None)

    async with httpx.AsyncClient() as http:
        read = (await http.get(f"http://{address}/metrics")).text
    [line] = [line for line in read.splitlines() if line.startswith("paysaga_refused_attempts{")]
    assert 'kind="customer"' in line
    assert refusal.value.retry_after is not None
    assert 3590 <= refusal.value.retry_after <= 3601
