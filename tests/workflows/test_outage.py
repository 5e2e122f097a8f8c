"""The gateway is away for a while: our breaker, our budget and the payments' runs together."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest
from temporalio import activity
from temporalio.testing import WorkflowEnvironment

from activities.circuit import Circuit
from activities.records import Records
from activities.stripe_calls import StripeCalls
from paysaga.database.breakers import GATEWAY, Breakers
from paysaga.database.engine import create_engine, sessions
from paysaga.database.migrations import migrate
from paysaga.domain.breaker import FAILURES, BreakerState
from paysaga.domain.payment import PaymentStatus
from paysaga.domain.reasons import Reason
from tests.fakes import a_payment
from tests.simulated import Simulated, guarded, running_simulator
from tests.workers import workflow_worker
from tests.workflows.conftest import Run
from tests.workflows.exchange import Exchange
from workflows.payment import PaymentWorkflow

PAYMENTS: Final = 20
OUTAGE: Final = timedelta(minutes=10)


def simulated_now() -> datetime:
    """The server's clock, which skips; this process's does not."""
    return activity.info().current_attempt_scheduled_time


async def pay(env: WorkflowEnvironment, exchange: Exchange, calls: StripeCalls, queue: str) -> Run:
    """Start the payment of a customer of its own."""
    name = uuid4().hex
    payment = a_payment(f"pay_{name}").model_copy(
        update={"order_id": f"order-{name}", "customer_id": f"cst_{name}"}
    )
    exchange.gateways[payment.id] = calls
    return await env.client.start_workflow(
        PaymentWorkflow.run, payment, id=payment.id, task_queue=queue
    )


@pytest.fixture
async def simulated(tmp_path: Path) -> AsyncIterator[Simulated]:
    async with running_simulator(tmp_path) as running:
        yield running


async def test_ten_minutes_without_the_gateway(
    env: WorkflowEnvironment, exchange: Exchange, simulated: Simulated, tmp_path: Path
) -> None:
    """
    Five calls fail, then one a minute tries; no attempt is used up, and all are paid on its return.
    """
    url = f"sqlite:///{tmp_path / 'paysaga.db'}"
    await migrate(url)
    async with AsyncExitStack() as stack:
        engine = create_engine(url)
        stack.push_async_callback(engine.dispose)
        made = sessions(engine)
        breakers = Breakers(made)
        circuit = Circuit(breakers, simulated_now)
        calls = StripeCalls(await stack.enter_async_context(guarded(simulated, circuit)))
        queue = f"outage-{uuid4().hex}"
        records = Records(made)
        await stack.enter_async_context(
            workflow_worker(
                env.client,
                task_queue=queue,
                workflows=[PaymentWorkflow],
                activities=[records.record],
            )
        )
        await simulated.arm("*", "refuse_before", times=None)

        runs = [await pay(env, exchange, calls, queue) for _ in range(PAYMENTS)]
        for _ in range(20):  # in one step it may take longer than a call to the server lasts
            await env.sleep(OUTAGE / 20)
        during = [await records.standing(run.id) for run in runs]
        [fault] = (await simulated.control.get("/faults")).json()["data"]
        state = (await breakers.breaker(GATEWAY)).state
        back = await env.get_current_time()
        await simulated.control.delete("/faults")
        # One after the other: each of them lets the one clock of the server skip.
        results = [await run.result() for run in runs]

    waiting = Counter((found.state.status, found.state.reason) for found in during if found)
    assert {(PaymentStatus.PROCESSING, Reason.GATEWAY_UNREACHABLE): PAYMENTS} == waiting
    assert state is not BreakerState.CLOSED
    # Those that were under way when it opened, and about one a minute.
    assert FAILURES <= fault["fired"] <= PAYMENTS + 11
    assert {(PaymentStatus.SUCCEEDED, 1)} == {(one.status, one.attempts_used) for one in results}
    assert PAYMENTS == len(await simulated.charged())
    assert max(one.updated_at for one in results) - back <= timedelta(minutes=1, seconds=20)
