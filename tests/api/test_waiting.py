import asyncio
from collections.abc import Callable

import httpx

from tests.api.world import Api, World, a_customer, an_order, serving


async def asked(api: Api, payment_id: str, **question: int) -> httpx.Response:
    return await api.shop.get(f"/payments/{payment_id}/status", **question)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - neither side sets an event
            await asyncio.sleep(0)


async def waiters(api: Api, payment_id: str, count: int = 1) -> None:
    """Until so many requests wait for this payment."""
    waiting = api.app.state.connections.waiting
    await until(lambda: len(waiting._waiters.get(payment_id, ())) >= count)


class TestWaiting:
    async def test_news_end_the_wait(self, api: Api) -> None:
        """Whoever waits is answered with what the payment has become, long before time is up."""
        payment = await api.shop.pay("pm_requires_action")
        waiting = asyncio.create_task(asked(api, payment["id"], wait=30))
        await waiters(api, payment["id"])

        await api.shop.post(f"/payments/{payment['id']}/cancel")

        async with asyncio.timeout(20):
            told = (await waiting).json()
        assert "canceled" == told["status"]
        assert told["version"] > payment["version"]

    async def test_what_was_missed_is_told_at_once(self, api: Api) -> None:
        """A page that has seen an older version need not wait for the next."""
        payment = await api.shop.pay("pm_requires_action")

        async with asyncio.timeout(20):
            answer = await asked(api, payment["id"], wait=30, version=payment["version"] - 1)

        assert (200, payment["version"]) == (answer.status_code, answer.json()["version"])

    async def test_nothing_is_to_come(self, api: Api) -> None:
        """A payment that is over is told at once."""
        payment = await api.shop.pay("pm_succeeded")

        async with asyncio.timeout(20):
            answer = await asked(api, payment["id"], wait=30)

        assert "succeeded" == answer.json()["status"]

    async def test_time_is_up(self, api: Api) -> None:
        """Without news the answer is the payment as it stood."""
        payment = await api.shop.pay("pm_requires_action")

        answer = await asked(api, payment["id"], wait=1)

        assert (200, payment["version"]) == (answer.status_code, answer.json()["version"])

    async def test_a_payment_without_a_row_is_waited_for(self, api: Api, world: World) -> None:
        """Who was told of a payment before it was written hears when it is."""
        world.records.may_write.clear()
        order = an_order(order_id=f"late-{a_customer()}")
        started = asyncio.create_task(api.shop.post("/payments", order))
        await until(lambda: bool(world.records.waiting))
        [payment_id] = world.records.waiting
        waiting = asyncio.create_task(asked(api, payment_id, wait=30))
        await waiters(api, payment_id)

        world.records.may_write.set()

        async with asyncio.timeout(20):
            told = (await waiting).json()
            await started
        world.records.may_write.clear()
        assert told["version"] > 1

    async def test_by_the_order(self, api: Api) -> None:
        """The shop's own order id leads to the same wait."""
        payment = await api.shop.pay("pm_requires_action")
        path = f"/orders/{payment['order_id']}/payment/status"
        waiting = asyncio.create_task(api.shop.get(path, wait=30))
        await waiters(api, payment["id"])

        await api.shop.post(f"/payments/{payment['id']}/cancel")

        async with asyncio.timeout(20):
            assert "canceled" == (await waiting).json()["status"]

    async def test_many_wait_with_one_question(self, api: Api) -> None:
        """Ten pages of each of three payments are answered together."""
        payments = [await api.shop.pay("pm_requires_action") for _ in range(3)]
        waiting = [
            asyncio.create_task(asked(api, payment["id"], wait=30))
            for payment in payments
            for _ in range(10)
        ]
        for payment in payments:
            await waiters(api, payment["id"], 10)

        for payment in payments:
            await api.shop.post(f"/payments/{payment['id']}/cancel")

        async with asyncio.timeout(20):
            told = await asyncio.gather(*waiting)
        assert {"canceled"} == {answer.json()["status"] for answer in told}

    async def test_a_wait_has_a_bound(self, api: Api) -> None:
        """Longer than any proxy keeps a request open is refused, and the field is named."""
        payment = await api.shop.pay("pm_requires_action")

        answer = await asked(api, payment["id"], wait=31)

        assert (422, "wait") == (answer.status_code, answer.json()["errors"][0]["field"])

    async def test_a_process_that_stops_answers_first(self, world: World) -> None:
        """At a stop everybody who waits is answered, and nobody waits any more."""
        async with serving(world.settings) as stopping:
            payment = await stopping.shop.pay("pm_requires_action")
            waiting = asyncio.create_task(asked(stopping, payment["id"], wait=30))
            await waiters(stopping, payment["id"])

            stopping.app.state.connections.waiting.end()

            async with asyncio.timeout(20):
                answers = [await waiting, await asked(stopping, payment["id"], wait=30)]
        assert [200, 200] == [answer.status_code for answer in answers]
