"""Renewed holds with the real activities: each call of the gateway meets each of its faults."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest
import pytest_asyncio
import stripe
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import WorkflowUpdateStage
from temporalio.testing import WorkflowEnvironment

from activities.records import Records
from activities.stripe_calls import StripeCalls
from activities.stripe_words import marks_of
from paysaga.database.engine import create_engine, sessions
from paysaga.database.migrations import migrate
from paysaga.database.reads import Reads
from paysaga.domain.intent import CaptureMethod
from paysaga.domain.payment import PaymentState, PaymentStatus, RequestMark
from paysaga.domain.reasons import Reason
from tests.fakes import a_payment
from tests.fault_matrix.cells import GATEWAY_FAULTS
from tests.simulated import Simulated, gateway
from tests.workers import workflow_worker
from tests.workflows.conftest import Run
from tests.workflows.exchange import Exchange
from tests.workflows.test_payment_at_gateway import Following
from workflows.payment import PaymentWorkflow
from workflows.requests import CaptureRequest

S = PaymentStatus
DAY: Final = timedelta(days=1)
# A day before the first hold ends, an hour before the gateway's own end.
DUE: Final = 6 * DAY - timedelta(hours=1)
every_fault: Final = pytest.mark.parametrize("fault", GATEWAY_FAULTS)
every_call: Final = pytest.mark.parametrize(
    "call",
    [
        f"payment_intents.{step}"
        for step in ("create", "confirm", "retrieve", "cancel", "capture", "list")
    ],
)


@dataclass
class Shop:
    """One payment that is to be held for three weeks, with everything real but the clock."""

    env: WorkflowEnvironment
    run: Run
    reads: Reads
    simulated: Simulated
    clock: Following

    async def is_held(self) -> PaymentState:
        return await self.run.execute_update(PaymentWorkflow.first_outcome)

    async def time_goes_on(self, to: timedelta) -> None:
        """So much of the run's clock, and of the gateway's, which follows."""
        await self.env.sleep(to)
        self.clock.ahead = await self.env.get_current_time() - datetime.now(UTC)

    async def arm(self, call: str, fault: str) -> None:
        """The next such call meets this fault."""
        if call.endswith("list"):  # only after a 500 does anybody look for what may be there
            await self.simulated.arm("payment_intents.create", "sticky_500")
        await self.simulated.arm(call, **GATEWAY_FAULTS[fault])

    async def renewed(self) -> PaymentState:
        """Let time go on until the hold is renewed, or is not."""
        for _ in range(200):
            await self.time_goes_on(timedelta(minutes=3))
            state = await self.state()
            is_decided = state.reason in {Reason.HOLD_RENEWED, Reason.HOLD_NOT_RENEWED}
            if is_decided and not state.other_intent_open:
                return state
        raise AssertionError("the hold was never renewed")

    async def captured(self) -> PaymentState:
        request = CaptureRequest(
            amount=500, actor="service:shop", request=RequestMark(key="c", fingerprint="c")
        )
        await self.run.start_update(
            PaymentWorkflow.capture, request, wait_for_stage=WorkflowUpdateStage.ACCEPTED
        )
        return await self.run.result()

    async def state(self) -> PaymentState:
        state = await self.reads.payment(self.run.id)
        assert state is not None
        return state

    async def intents(self) -> list[stripe.PaymentIntent]:
        """All that the gateway has of this payment, the newest first."""
        found = await self.simulated.client.v1.payment_intents.list_async({"limit": 100})
        return [it for it in found.data if self.run.id == marks_of(it).get("payment_id")]


Open = Callable[..., AbstractAsyncContextManager[Shop]]


@pytest.fixture(scope="module")
def clock() -> Following:
    return Following()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def simulated(
    tmp_path_factory: pytest.TempPathFactory, clock: Following
) -> AsyncIterator[Simulated]:
    async with gateway(tmp_path_factory.mktemp("gateway"), clock) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AsyncEngine]:
    path: Path = tmp_path_factory.mktemp("database") / "paysaga.db"
    await migrate(f"sqlite:///{path}")
    engine = create_engine(f"sqlite:///{path}")
    yield engine
    await engine.dispose()


@pytest.fixture
def shop(
    env: WorkflowEnvironment,
    exchange: Exchange,
    simulated: Simulated,
    engine: AsyncEngine,
    clock: Following,
) -> Open:
    @asynccontextmanager
    async def start(method: str = "pm_card_visa") -> AsyncIterator[Shop]:
        name, now = uuid4().hex, await env.get_current_time()
        clock.ahead = now - datetime.now(UTC)
        payment = a_payment(f"pay_{name}", capture_method=CaptureMethod.MANUAL).model_copy(
            update={
                "order_id": f"order-{name}",
                "customer_id": f"cst_{name}",
                "method": method,
                "renew_hold_until": now + 21 * DAY,
            }
        )
        exchange.gateways[payment.id] = StripeCalls(simulated.client)
        queue = f"queue-{payment.id}"
        async with workflow_worker(
            env.client,
            task_queue=queue,
            workflows=[PaymentWorkflow],
            activities=[Records(sessions(engine)).record],
        ):
            run = await env.client.start_workflow(
                PaymentWorkflow.run, payment, id=payment.id, task_queue=queue
            )
            yield Shop(env, run, Reads(sessions(engine)), simulated, clock)
            await simulated.control.delete("/faults")

    return start


@every_call
@every_fault
async def test_one_hold_is_left_and_captured_once(shop: Open, call: str, fault: str) -> None:
    """Whatever the call meets: in the end one intent has the money, and no other holds any."""
    async with shop() as payment:
        first = await payment.is_held()
        await payment.time_goes_on(DUE - timedelta(minutes=4))
        if call.endswith("capture"):
            renewed = await payment.renewed()
            await payment.arm(call, fault)
        else:
            await payment.arm(call, fault)
            renewed = await payment.renewed()
        result = await payment.captured()
        intents = await payment.intents()

    paid = [intent for intent in intents if intent.status == "succeeded"]
    assert [(result.intent_id, 500)] == [(intent.id, intent.amount_received) for intent in paid]
    assert {"succeeded", "canceled"} >= {
        intent.status for intent in intents if intent.latest_charge
    }
    assert (S.SUCCEEDED, 500) == (result.status, result.amount_captured)
    is_new = renewed.reason is Reason.HOLD_RENEWED
    assert is_new == (first.intent_id != result.intent_id)
    assert is_new or fault == "parameter mismatch"


async def test_a_bank_that_wants_the_customer_leaves_the_old_hold(shop: Open) -> None:
    """Nobody is there to authenticate: the shop is told a day before the end, and why."""
    async with shop("pm_card_authenticationRequired") as payment:
        first = await payment.is_held()
        await payment.simulated.authenticate(first.intent_id or "", "authorize")
        await payment.run.execute_update(PaymentWorkflow.refresh)
        await payment.time_goes_on(DUE - timedelta(minutes=4))
        state = await payment.renewed()
        result = await payment.captured()
        intents = await payment.intents()

    assert (Reason.HOLD_NOT_RENEWED, first.intent_id) == (state.reason, state.intent_id)
    assert (S.SUCCEEDED, first.intent_id) == (result.status, result.intent_id)
    assert ["canceled", "succeeded"] == [intent.status for intent in intents]


async def test_three_weeks_of_holds_end_with_none(shop: Open) -> None:
    """Each is canceled when the next one is there, and the last one when the time is over."""
    async with shop() as payment:
        await payment.is_held()
        for _ in range(22):
            await payment.time_goes_on(DAY)
        result = await payment.run.result()
        intents = await payment.intents()

    assert (S.EXPIRED, Reason.AUTHORIZATION_OVER) == (result.status, result.reason)
    assert ["canceled"] * 4 == [intent.status for intent in intents]
