"""Where people ask for repairs of one payment, on Temporal's own server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from paysaga.domain.payment import PaymentState, RequestMark
from paysaga.domain.repairs import RepairKind
from tests.fake_checkout import FakeCheckout
from tests.workflows.conftest import House, RepairRun, World, a_worker
from workflows import addresses
from workflows.repair import RepairCase, RepairWorkflow
from workflows.requests import Approval, RepairRequest

QUICK = 2.0
PATIENCE = 30
ALICE, BOB = "admin:alice", "admin:bob"


@dataclass
class Desk:
    """Where people ask for repairs of one payment."""

    house: House
    run: RepairRun
    world: World
    asked: list[str] = field(default_factory=list)

    async def repair(
        self,
        kind: RepairKind,
        *,
        needs_approval: bool = False,
        evidence: str | None = None,
        gateway_id: str | None = None,
    ) -> PaymentState:
        request = RepairRequest(
            kind=kind,
            why="the bank says so",
            actor=ALICE,
            needs_approval=needs_approval,
            evidence=evidence,
            gateway_id=gateway_id,
            request=self._mark(),
        )
        asking = asyncio.create_task(self.run.execute_update(RepairWorkflow.repair, request))
        await asyncio.wait([asking], timeout=QUICK)
        if not asking.done():  # it waits for its clock
            await self.house.env.fast_forward(self.run, timedelta(minutes=10))
        async with asyncio.timeout(PATIENCE):
            return await asking

    async def approve(self, *, by: str = BOB, proposal: int = 0) -> PaymentState:
        number = proposal or self.world.records.state.version
        agreed = Approval(proposal=number, why="I agree", actor=by, request=self._mark())
        return await self.run.execute_update(RepairWorkflow.approve, agreed)

    async def nudge(self) -> None:
        await self.run.signal(RepairWorkflow.nudged)

    async def result(self) -> PaymentState:
        async with asyncio.timeout(PATIENCE):
            return await self.run.result()

    async def refusal(
        self, kind: RepairKind, *, evidence: str | None = None, gateway_id: str | None = None
    ) -> str:
        """Why the repair is not done."""
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await self.repair(kind, evidence=evidence, gateway_id=gateway_id)
        assert isinstance(refused.value.cause, ApplicationError)
        return refused.value.cause.message

    def _mark(self) -> RequestMark:
        self.asked.append(f"repair-{len(self.asked)}")
        return RequestMark(key=self.asked[-1], fingerprint=self.asked[-1])


Open = Callable[[World], AbstractAsyncContextManager[Desk]]


@asynccontextmanager
async def repaired(house: House, world: World) -> AsyncIterator[Desk]:
    """The repair of the payment that the world's records have."""
    payment_id = world.records.state.id
    house.exchange.gateways[payment_id] = world.gateway
    if isinstance(world.gateway, FakeCheckout):
        house.exchange.checkouts[payment_id] = world.gateway
    run_id = addresses.repair_id(payment_id)
    async with a_worker(house.env, world, run_id):
        with house.env.with_time_skipping_disabled():
            run = await house.env.client.start_workflow(
                RepairWorkflow.run,
                RepairCase(payment_id=payment_id),
                id=run_id,
                task_queue=run_id,
            )
        yield Desk(house, run, world)
