import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from paysaga.demo.preflight import free_port
from paysaga.starting.limits import AttemptLimit
from paysaga.starting.refusals import TooManyAttempts
from paysaga.windows import Windows
from tests.api.world import Api, World, a_customer, an_order, serving


@pytest.fixture
async def strict(world: World) -> AsyncIterator[Api]:
    """A deployment with the limit that is the product's own."""
    limited = world.settings.model_copy(update={"payment_attempts_per_hour": 5})
    async with serving(limited) as served:
        yield served


class TestAttempts:
    async def test_the_sixth_is_too_many(self, strict: Api) -> None:
        """Five attempts in an hour, new payments and retries alike; the next hears when to come."""
        customer = a_customer()
        declined = await strict.shop.pay("pm_insufficient_funds", customer_id=customer)
        for _ in range(2):
            method = {"payment_method_id": "pm_insufficient_funds"}
            await strict.shop.post(f"/payments/{declined['id']}/retry", method)
        for _ in range(2):
            await strict.shop.pay(customer_id=customer)

        answer = await strict.shop.post("/payments", an_order(customer_id=customer))

        assert (429, "too_many_attempts") == (answer.status_code, answer.json()["code"])
        assert 0 < int(answer.headers["Retry-After"]) <= 3600

    async def test_a_retry_too_many_leaves_the_payment_as_it_was(self, strict: Api) -> None:
        """The attempt was not made: it may be when there is room again."""
        customer = a_customer()
        for _ in range(4):
            await strict.shop.pay(customer_id=customer)
        declined = await strict.shop.pay("pm_insufficient_funds", customer_id=customer)

        answer = await strict.shop.post(f"/payments/{declined['id']}/retry")

        now = (await strict.shop.get(f"/payments/{declined['id']}")).json()
        assert 429 == answer.status_code
        assert declined == now

    async def test_others_are_not_affected(self, strict: Api) -> None:
        """Ten times the limit of one customer's attempts at once: another one pays all the same."""
        flood = [
            strict.shop.post("/payments", an_order(customer_id="cst_flood")) for _ in range(50)
        ]

        answers = await asyncio.gather(*flood, strict.shop.post("/payments", an_order()))

        statuses = [answer.status_code for answer in answers[:-1]]
        assert {201: 5, 429: 45} == {status: statuses.count(status) for status in set(statuses)}
        assert 201 == answers[-1].status_code

    async def test_repeats_do_not_count(self, strict: Api) -> None:
        """The same request twenty times, at once and later, is one attempt."""
        customer = a_customer()
        order = an_order(customer_id=customer)
        many = [strict.shop.post("/payments", order, key=f"key-{customer}") for _ in range(20)]
        answers = await asyncio.gather(*many)
        answers.append(await strict.shop.post("/payments", order, key=f"key-{customer}"))

        for _ in range(4):
            answers.append(await strict.shop.post("/payments", an_order(customer_id=customer)))
        last = await strict.shop.post("/payments", an_order(customer_id=customer))

        assert {200, 201} >= {answer.status_code for answer in answers}
        assert 429 == last.status_code

    async def test_a_refused_request_may_come_again(self, strict: Api) -> None:
        """What was too much is judged anew when it is repeated; it is not taken for counted."""
        customer = a_customer()
        for _ in range(5):
            await strict.shop.pay(customer_id=customer)
        order, key = an_order(customer_id=customer), f"key-{customer}"

        answers = [await strict.shop.post("/payments", order, key=key) for _ in range(2)]

        assert [429, 429] == [answer.status_code for answer in answers]


@asynccontextmanager
async def limit(url: str) -> AsyncIterator[AttemptLimit]:
    windows = Windows(url)
    yield AttemptLimit(windows, 2)
    await windows.close()


class TestRedis:
    async def test_processes_share_it(self) -> None:
        """Two processes count together."""
        url = os.environ.get("TEST_REDIS_URL")
        if url is None:
            missing = "TEST_REDIS_URL is not set: nothing was counted in Redis"
            if os.environ.get("CI") == "true":
                pytest.fail(missing)
            pytest.skip(missing)
        customer = f"cst_{os.urandom(8).hex()}"
        async with limit(url) as one, limit(url) as other:
            await one.count(customer, "first")
            await other.count(customer, "second")

            with pytest.raises(TooManyAttempts) as refused:
                await one.count(customer, "third")

        assert refused.value.retry_after is not None
        assert 3500 < refused.value.retry_after <= 3600

    async def test_without_it_each_process_counts_for_itself(self) -> None:
        """While Redis is away nobody is kept from paying, and nobody may try without end."""
        url = f"redis://127.0.0.1:{free_port()}/0"
        async with limit(url) as one, limit(url) as other:
            for number in range(2):
                await one.count("cst_1", f"request {number}")
            await other.count("cst_1", "elsewhere")

            with pytest.raises(TooManyAttempts):
                await one.count("cst_1", "one more")

    async def test_readiness_tells_when_it_is_away(self, world: World) -> None:
        """It is named, and nothing is refused for it."""
        away = world.settings.model_copy(
            update={"limits_url": f"redis://127.0.0.1:{free_port()}/0"}
        )
        async with serving(away) as served:
            answer = await served.http.get("http://api.example/health/ready")

        limits = answer.json()["dependencies"]["limits"]
        assert (200, {"up": False, "needed": False}) == (answer.status_code, limits)
