"""Saved methods with the real activities: each call of the gateway meets each of its faults."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from activities.method_records import MethodRecords
from activities.saved_methods import MethodCalls
from paysaga.database.engine import create_engine, sessions
from paysaga.database.migrations import migrate
from paysaga.database.saved_methods import SavedMethods
from paysaga.domain.saved_method import SavedMethod, SavedMethodStatus, SaveReason
from tests.fault_matrix.cells import GATEWAY_FAULTS
from tests.saved import an_order
from tests.simulated import Simulated, gateway
from tests.workers import workflow_worker
from tests.workflows.exchange import Exchange
from tests.workflows.test_payment_at_gateway import Following
from worker.main import SAVED_METHODS, methods_beside_the_gateway
from workflows import addresses
from workflows.method_changes import LookAtMethodWorkflow, MethodRef, RemoveMethodWorkflow
from workflows.saving_method import SavedMethodWorkflow

S = SavedMethodStatus
NEEDS_3DS: Final = "pm_card_authenticationRequired"
every_fault: Final = pytest.mark.parametrize("fault", GATEWAY_FAULTS)
Run = WorkflowHandle[Any, SavedMethod]


@dataclass
class Wallet:
    """One customer's method, with everything real around it but the clock."""

    env: WorkflowEnvironment
    simulated: Simulated
    methods: SavedMethods
    method_id: str
    queue: str

    async def arm(self, call: str, fault: str) -> None:
        """The next such call meets this fault."""
        await self.simulated.control.delete("/faults")
        await self.simulated.arm(call, **GATEWAY_FAULTS[fault])

    async def save(self, token: str = "pm_card_visa") -> Run:
        order = an_order(
            self.method_id,
            token=token,
            customer_id=f"cst_{self.method_id}",
            environment="test",
        )
        return await self.env.client.start_workflow(
            SavedMethodWorkflow.run, order, id=self.method_id, task_queue=self.queue
        )

    async def remove(self) -> SavedMethod:
        return await self.env.client.execute_workflow(
            RemoveMethodWorkflow.run,
            MethodRef(method_id=self.method_id),
            id=addresses.removal_id(self.method_id),
            task_queue=self.queue,
        )

    async def look(self) -> SavedMethod:
        return await self.env.client.execute_workflow(
            LookAtMethodWorkflow.run,
            MethodRef(method_id=self.method_id),
            id=addresses.look_id(self.method_id),
            task_queue=self.queue,
        )

    async def agreed(self, method: SavedMethod) -> SavedMethod:
        """The run's result, once row and gateway say the same: one SetupIntent, one card.

        A fault that never fired would prove nothing.
        """
        faults = (await self.simulated.control.get("/faults")).json()["data"]
        assert [True] == [fault["fired"] > 0 for fault in faults]
        await self.simulated.control.delete("/faults")
        assert method == await self.methods.method(self.method_id)
        listed = await self.simulated.client.v1.setup_intents.list_async({"limit": 100})
        made = [
            setup
            for setup in listed.data
            if setup.metadata and setup.metadata.to_dict().get("method_id") == self.method_id
        ]
        assert [method.setup_intent_id] == [setup.id for setup in made]
        is_saved = method.status in {S.ACTIVE, S.REMOVED}
        assert ("succeeded" if is_saved else "canceled") == made[0].status
        card = await self.simulated.client.v1.payment_methods.retrieve_async(
            method.gateway_method_id or ""
        )
        owner = method.gateway_customer_id if method.status is S.ACTIVE else None
        assert owner == card.customer
        return method


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


@pytest_asyncio.fixture(loop_scope="session")
async def wallet(
    env: WorkflowEnvironment,
    exchange: Exchange,
    simulated: Simulated,
    engine: AsyncEngine,
    clock: Following,
) -> AsyncIterator[Wallet]:
    async with _opened(env, exchange, simulated, engine, clock) as opened:
        yield opened


@asynccontextmanager
async def _opened(
    env: WorkflowEnvironment,
    exchange: Exchange,
    simulated: Simulated,
    engine: AsyncEngine,
    clock: Following,
) -> AsyncIterator[Wallet]:
    clock.ahead = await env.get_current_time() - datetime.now(UTC)
    method_id = f"mtd_{uuid4().hex}"
    exchange.methods[method_id] = MethodCalls(simulated.client)
    queue = f"queue-{method_id}"
    async with workflow_worker(
        env.client,
        task_queue=queue,
        workflows=SAVED_METHODS,
        activities=methods_beside_the_gateway(MethodRecords(sessions(engine))),
    ):
        yield Wallet(env, simulated, SavedMethods(sessions(engine)), method_id, queue)


@every_fault
@pytest.mark.parametrize("call", ["customers.create", "setup_intents.create"])
async def test_it_is_saved_once(wallet: Wallet, call: str, fault: str) -> None:
    """Whatever goes wrong with the call, there is one SetupIntent and one saved card."""
    await wallet.arm(call, fault)

    run = await wallet.save()
    method = await wallet.agreed(await run.result())

    assert (S.ACTIVE, SaveReason.SAVED) == (method.status, method.reason)


@every_fault
async def test_it_is_found_saved_after_3ds(wallet: Wallet, fault: str) -> None:
    """A look that fails is asked again; what the customer has confirmed is not lost."""
    run = await wallet.save(NEEDS_3DS)
    first = await run.execute_update(SavedMethodWorkflow.first_outcome)
    await wallet.simulated.authenticate(first.setup_intent_id or "", "authorize")
    await wallet.arm("setup_intents.retrieve", fault)

    await run.signal(SavedMethodWorkflow.nudged)
    method = await wallet.agreed(await run.result())

    assert S.ACTIVE is method.status


@every_fault
async def test_what_was_not_confirmed_is_canceled(wallet: Wallet, fault: str) -> None:
    """After the deadline nothing can succeed any more, and that is proved."""
    await wallet.arm("setup_intents.cancel", fault)

    run = await wallet.save(NEEDS_3DS)
    method = await wallet.agreed(await run.result())

    assert (S.FAILED, SaveReason.AUTHENTICATION_TIMEOUT) == (method.status, method.reason)


@every_fault
@pytest.mark.parametrize("call", ["payment_methods.retrieve", "payment_methods.detach"])
async def test_it_is_removed_for_good(wallet: Wallet, call: str, fault: str) -> None:
    """Whatever goes wrong on the way, the customer does not have it any more."""
    await (await wallet.save()).result()
    await wallet.arm(call, fault)

    method = await wallet.agreed(await wallet.remove())

    assert (S.REMOVED, SaveReason.REMOVED) == (method.status, method.reason)


@every_fault
async def test_new_card_is_found(wallet: Wallet, fault: str) -> None:
    """The card updater's news are seen, however often the look has to be asked for."""
    saved = await (await wallet.save()).result()
    assert saved.facts is not None
    year = (saved.facts.exp_year or 0) + 5
    answer = await wallet.simulated.control.post(
        f"/payment_methods/{saved.gateway_method_id}/automatic_update",
        json={"exp_month": 7, "exp_year": year, "last4": "9999"},
    )
    assert 200 == answer.status_code, answer.text
    await wallet.arm("payment_methods.retrieve", fault)

    method = await wallet.agreed(await wallet.look())

    assert method.facts is not None
    assert ("9999", year) == (method.facts.last4, method.facts.exp_year)
