"""A small world in one process: real server, simulator, API and shop, workers that may be ill."""

import asyncio
import inspect
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.checkout_calls import CheckoutCalls
from activities.orders import Orders
from activities.records import Records
from activities.runs import start_run
from activities.stripe_calls import StripeCalls
from activities.sweeping import EventList, InboxWork, OutboxWork
from api.app import create_app
from paysaga.database.engine import Sessions, create_engine, sessions
from paysaga.database.outbox_keeping import OutboxKeeping
from paysaga.demo.shop.settings import ShopSettings
from paysaga.demo.world import asked
from paysaga.domain import ids
from paysaga.domain.checkout import ON_THE_PAGE
from paysaga.domain.intent import CaptureMethod
from paysaga.domain.money import Money
from paysaga.domain.payment import HostedPage, Payment, PaymentState, Policy, RequestMark
from paysaga.incoming import Incoming
from paysaga.nudging import Nudging
from paysaga.orders import OrderService
from paysaga.settings import Settings
from paysaga.waking import Waking
from tests.chaos.evidence import Evidence, collected, pages_of
from tests.chaos.shop import MoodyBook, moody_shop
from tests.simulated import Simulated, running_simulator
from tests.workers import workflow_worker
from workflows import addresses
from workflows.payment import PaymentWorkflow
from workflows.repair import RepairCase, RepairWorkflow
from workflows.requests import CancelRequest, CaptureRequest, RetryRequest
from workflows.sweep import SweepWorkflow

TOKEN: Final = "laboratory-token"
RUN_ENDS_SECONDS: Final = 90
_KNOWN_BY_CUSTOMER: Final = {
    "customers.create",
    "customers.update",
    "payment_intents.list",
    "checkout_sessions.list",
}
PAGE: Final = HostedPage(
    success_url="https://shop.example/thanks", cancel_url="https://shop.example/basket"
)

Run = WorkflowHandle[PaymentWorkflow, PaymentState]


@dataclass(frozen=True)
class Staff:
    """The classes that do the work; a bug is planted by naming another one."""

    calls: type[StripeCalls] = StripeCalls
    checkout: type[CheckoutCalls] = CheckoutCalls
    records: Callable[[Sessions], Records] = Records
    orders: type[Orders] = Orders
    api: Callable[[Settings], FastAPI] = create_app


class Everybody:
    """Each customer has an address."""

    async def email(self, customer_id: str) -> str | None:
        """The customer's e-mail address, if they gave one."""
        return f"{customer_id}@shop.example"


@dataclass(frozen=True)
class Case:
    """One payment, and what happens to it."""

    name: str
    faults: tuple[dict[str, Any], ...] = ()
    method: str = "pm_card_visa"
    order_ends: str = "plain"
    is_canceled: bool = False
    is_authorized: bool = False
    retries: bool = False
    captures: int = 0  # of what is held
    is_hosted: bool = False  # paid on the gateway's page
    is_lost: bool = False  # its run ends as soon as the page is open, before anybody knows that
    is_known: bool = False  # to the gateway, as a customer
    is_compared: bool = False  # with the gateway, by a repair, once its run is over or lost

    @property
    def payment(self) -> Payment:
        """19.99 euros, as floats cannot say."""
        customer = f"cst_{self.name}"
        return Payment(
            id=ids.derived(ids.PAYMENT, customer, self.name),
            order_id=f"order-{self.name}-{self.order_ends}",
            customer_id=customer,
            money=Money(minor=1999, currency="EUR"),
            method=ON_THE_PAGE if self.is_hosted else self.method,
            page=PAGE if self.is_hosted else None,
            capture_method=CaptureMethod.MANUAL if self.captures else CaptureMethod.AUTOMATIC,
            return_url="https://shop.example/return",
            gateway_return_url="https://shop.example/return",
            environment="laboratory",
            policy=Policy(hold=timedelta(minutes=10)),
            has_order_service=True,
            actor="customer",
            request=RequestMark(key=self.name, fingerprint=self.name),
            correlation_id=self.name,
        )


@dataclass(frozen=True)
class Laboratory:
    """Where cases are played."""

    temporal: Client
    simulated: Simulated
    database_url: str
    directory: Path
    book: MoodyBook

    async def play(self, case: Case) -> PaymentState:
        """From the start of the payment to the end of its run."""
        payment = case.payment
        if case.is_known:
            customer = await self.simulated.client.v1.customers.create_async(
                {"metadata": {"customer_id": payment.customer_id}}
            )
            payment = payment.model_copy(update={"gateway_customer_id": customer.id})
        self.book.make(payment.order_id, payment.customer_id, "stoneware-mug", payment.money)
        for fault in case.faults:
            by_customer = fault["operation"] in _KNOWN_BY_CUSTOMER
            about = {"customer_id": payment.customer_id}
            match = about if by_customer else {"payment_id": payment.id}
            await self.simulated.arm(**{**fault, "match": match})
        run = await self.temporal.start_workflow(
            PaymentWorkflow.run, payment, id=payment.id, task_queue=addresses.PAYMENTS
        )
        async with asyncio.timeout(RUN_ENDS_SECONDS):
            await self._act(case, run)
            return await (self._compared(run) if case.is_compared else run.result())

    async def _compared(self, run: Run) -> PaymentState:
        with suppress(WorkflowFailureError):
            await run.result()
        repair = await self.temporal.start_workflow(
            RepairWorkflow.run,
            RepairCase(payment_id=run.id),
            id=addresses.repair_id(run.id),
            task_queue=addresses.PAYMENTS,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        return await repair.result()

    async def _act(self, case: Case, run: Run) -> None:
        """What the customer does after the first answer."""
        mark = RequestMark(key=f"second-{case.name}", fingerprint=case.name)
        if case.is_hosted and not case.is_canceled:
            await self._pay_on_the_page(case, run)
            return
        if case.is_authorized or case.is_canceled or case.retries or case.captures:
            state = await run.execute_update(PaymentWorkflow.first_outcome)
        if case.is_authorized:
            await self.simulated.authenticate(str(state.intent_id), "authorize")
            await run.signal(PaymentWorkflow.nudged)
        if case.retries:
            retry = RetryRequest(method="pm_card_visa", actor="customer", request=mark)
            await run.execute_update(PaymentWorkflow.retry, retry)
        if case.captures:
            capture = CaptureRequest(amount=case.captures, actor="shop", request=mark)
            await run.execute_update(PaymentWorkflow.capture, capture)
        if case.is_canceled:
            cancel = CancelRequest(actor="customer", request=mark)
            await run.execute_update(PaymentWorkflow.cancel, cancel)

    async def _pay_on_the_page(self, case: Case, run: Run) -> None:
        """The customer has the page's address from us, or from the gateway's own e-mail."""
        with suppress(WorkflowFailureError):
            await (
                run.result() if case.is_lost else run.execute_update(PaymentWorkflow.first_outcome)
            )
        *_, page = await asyncio.to_thread(pages_of, self.directory / "simulator.db", run.id)
        answer = await self.simulated.control.post(
            f"/checkout_sessions/{page}/pay", json={"payment_method": case.method}
        )
        assert answer.is_success, answer.text
        if not case.is_lost:
            await run.signal(PaymentWorkflow.nudged)

    async def evidence(self) -> Evidence:
        """Ask all witnesses, once the gateway has told all, and what is owed is worked off."""
        for _ in range(15):  # a busy machine needs longer than a request lasts
            told = await self.simulated.control.post(
                "/webhooks/flush", json={"timeout_seconds": 8.0}
            )
            if not told.json()["pending"]:
                break
        before = await self._collected()
        await self.temporal.execute_workflow(
            SweepWorkflow.run, id=f"sweep-{uuid4().hex}", task_queue=addresses.PAYMENTS
        )
        at_once = frozenset(row["id"] for row in before.inbox)
        return replace(await self._collected(), stored_at_once=at_once)

    async def _collected(self) -> Evidence:
        return await collected(
            simulator=self.directory / "simulator.db",
            database_url=self.database_url,
            temporal=self.temporal,
            shop=self.directory / "shop.db",
        )


@asynccontextmanager
async def laboratory(
    directory: Path, database_url: str, staff: Staff | None = None
) -> AsyncIterator[Laboratory]:
    """Everything real but the distance between them; the database is migrated."""
    staff = staff or Staff()
    async with AsyncExitStack() as stack:
        env = await stack.enter_async_context(
            await WorkflowEnvironment.start_local(
                dev_server_existing_path=str(Path(sys.executable).parent / "temporal"),
                dev_server_log_level="error",
                search_attributes=addresses.SEARCH_ATTRIBUTES,
                data_converter=pydantic_data_converter,
            )
        )
        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        simulated = await stack.enter_async_context(
            running_simulator(
                directory, simulator_webhook_url=f"http://127.0.0.1:{port}/api/v1/webhooks/stripe"
            )
        )
        settings = Settings(
            database_url=database_url,
            temporal_address=env.client.service_client.config.target_host,
            environment_name="laboratory",
        )
        await stack.enter_async_context(_serving(staff.api(settings), listening))
        shop = moody_shop(
            ShopSettings(shop_state=directory / "shop.db", order_service_token=SecretStr(TOKEN)),
            settings,
        )
        orders = await stack.enter_async_context(
            httpx.AsyncClient(
                transport=httpx.ASGITransport(shop),
                base_url="http://shop",
                headers={"Authorization": f"Bearer {TOKEN}"},
            )
        )
        engine = create_engine(database_url)
        stack.push_async_callback(engine.dispose)
        made = sessions(engine)
        nudging = Nudging(env.client, addresses.PAYMENTS, addresses.repair_id, addresses.look_id)
        calls = activities_of(
            staff.calls(simulated.client),
            staff.checkout(simulated.client, Everybody()),
            EventList(simulated.client, made),
        )
        others = activities_of(
            staff.records(made),
            staff.orders(OrderService(orders)),
            InboxWork(made, Incoming(made, nudging, settings)),
            OutboxWork(OutboxKeeping(made), Waking(made, nudging)),
        )
        await stack.enter_async_context(
            Worker(env.client, task_queue=addresses.GATEWAY, activities=calls)
        )
        await stack.enter_async_context(
            workflow_worker(
                env.client,
                task_queue=addresses.PAYMENTS,
                workflows=[PaymentWorkflow, RepairWorkflow, SweepWorkflow],
                activities=[*others, start_run],
            )
        )
        await asked(lambda: simulated.control.get("/health"))
        yield Laboratory(env.client, simulated, database_url, directory, shop.state.book)


def activities_of(*owners: object) -> list[Callable[..., Any]]:
    """Every activity of these."""
    return [
        method
        for owner in owners
        for _, method in inspect.getmembers(owner, inspect.ismethod)
        if hasattr(method, "__temporal_activity_definition")
    ]


@asynccontextmanager
async def _serving(app: FastAPI, listening: socket.socket) -> AsyncIterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", log_config=None))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    yield
    server.should_exit = True
    await serving
