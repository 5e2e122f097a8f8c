"""The guarded way to the gateway, over real HTTP against the simulator."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.circuit import Circuit
from activities.errors import Trouble
from activities.stripe_calls import StripeCalls
from activities.stripe_orders import IntentOrder
from paysaga.database.breakers import Breakers
from paysaga.database.engine import Sessions
from paysaga.domain.breaker import FAILURES, OPEN_FOR
from tests.activities.test_circuit import NOON, Clock
from tests.fakes import PRICE
from tests.simulated import Simulated, guarded, running_simulator


@pytest.fixture
async def simulated(tmp_path: Path) -> AsyncIterator[Simulated]:
    async with running_simulator(tmp_path) as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def calls(simulated: Simulated, opened: Sessions, clock: Clock) -> AsyncIterator[StripeCalls]:
    async with guarded(simulated, Circuit(Breakers(opened), clock)) as client:
        yield StripeCalls(client)


async def looked(calls: StripeCalls) -> str:
    """What a look at an intent that the gateway does not have fails with."""
    with pytest.raises(ApplicationError) as failure:
        await ActivityEnvironment().run(calls.retrieve_intent, "pi_none")
    return str(failure.value.type)


async def arrived(simulated: Simulated) -> int:
    """How many of the calls that were to fail have come as far as the gateway."""
    [fault] = (await simulated.control.get("/faults")).json()["data"]
    return int(fault["fired"])


@pytest.mark.parametrize("status", [None, 503])
async def test_who_does_not_answer_is_left_alone(
    simulated: Simulated, calls: StripeCalls, status: int | None
) -> None:
    """After five failures in a row no call goes out; who asks is told to come again."""
    await simulated.arm("*", "refuse_before", times=None, status=status)

    told = [await looked(calls) for _ in range(FAILURES + 3)]

    failed = Trouble.UNREACHABLE if status is None else Trouble.STICKY
    assert [failed] * FAILURES + [Trouble.NOT_ASKED] * 3 == told
    assert FAILURES == await arrived(simulated)


async def test_the_first_answer_lets_all_through(
    simulated: Simulated, calls: StripeCalls, clock: Clock
) -> None:
    """A minute later one call tries; once it is answered, whatever it says, all go on."""
    await simulated.arm("*", "refuse_before", times=FAILURES)
    for _ in range(FAILURES + 1):
        await looked(calls)
    clock.now += OPEN_FOR

    assert [Trouble.REFUSED] * 3 == [await looked(calls) for _ in range(3)]


async def test_refusals_are_answers(simulated: Simulated, calls: StripeCalls) -> None:
    """Who answers with no, or asks to slow down, is there."""
    await simulated.arm("*", "rate_limit", times=FAILURES)
    told = [await looked(calls) for _ in range(2 * FAILURES)]

    assert [Trouble.LATER] * FAILURES + [Trouble.REFUSED] * FAILURES == told


async def test_a_kept_error_is_an_answer(simulated: Simulated, calls: StripeCalls) -> None:
    """A 500 that the gateway repeats under its key tells nothing of how it does now."""
    customer = await simulated.client.v1.customers.create_async({})
    order = IntentOrder(
        payment_id="pay_kept",
        order_id="order-1",
        customer_id="cst_1",
        gateway_customer_id=customer.id,
        money=PRICE,
        description=None,
        environment="test",
        correlation_id="c",
        ordered_at=NOON,
    )
    await simulated.arm("payment_intents.create", "sticky_500", effect=False)

    told = set()
    for _ in range(2 * FAILURES):
        with pytest.raises(ApplicationError) as kept:
            await ActivityEnvironment().run(calls.create_intent, order)
        told.add(kept.value.type)

    assert {Trouble.STICKY} == told
