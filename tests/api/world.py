"""Everything around the API in its tests: real Temporal, real database, a gateway that is ours."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from alembic import command
from alembic.config import Config
from fastapi import FastAPI
from sqlalchemy import Connection
from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from activities.deliveries import Deliveries
from activities.errors import Trouble
from activities.method_orders import CancelSetUpOrder, DetachOrder, SetUpOrder
from activities.method_records import MethodRecords
from activities.orders import Orders
from activities.reconciling import Reconciling
from activities.records import Records
from activities.stripe_audit import Audited, AuditOrder, Movements, MovementsOrder
from activities.stripe_orders import (
    CaptureOrder,
    CloseOrder,
    ConfirmOrder,
    FoundIntent,
    IntentOrder,
    IntentSearch,
    RefundOrder,
)
from activities.stripe_words import Refund, Refunds
from api.app import create_app
from paysaga.database import migrations
from paysaga.database.engine import Sessions, create_engine
from paysaga.domain.declines import decline_for
from paysaga.domain.intent import Intent, IntentStatus, MethodFacts
from paysaga.domain.payment import Changes, PaymentState, Recorded
from paysaga.domain.reconciliation import AtGateway
from paysaga.domain.saved_method import AttachedMethod, Setup
from paysaga.orders import OrderService
from paysaga.settings import Settings
from paysaga.tokens import Role, issue_token
from paysaga.waking import Waking
from tests.api.pages import Pages
from tests.saved import CARD, setup_in
from tests.sinks import Receiver
from tests.workers import workflow_worker
from worker.main import (
    SAVED_METHODS,
    at_the_gateway,
    beside_the_gateway,
    methods_at_the_gateway,
    methods_beside_the_gateway,
)
from workflows import addresses
from workflows.payment import PaymentWorkflow
from workflows.reconciliation import ReconciliationWorkflow
from workflows.repair import RepairWorkflow
from workflows.sink import SinkWorkflow

HOUR = timedelta(hours=1)
SHOP_PAGE = "https://shop.example/thanks?basket=17"

_numbers = itertools.count(1)


class Gateway:
    """The activities of `StripeCalls`. What a confirm comes to is in the method's own name.

    `pm_succeeded`, `pm_requires_action`, `pm_processing`, `pm_canceled`, `pm_slow` (succeeds once
    `released`), `pm_refused` (no such method), `pm_mismatch` (another amount), and every decline
    code after `pm_`; what follows `__` is the card's fingerprint. An intent with the description
    `refused` is not made; the refund of one with the description `slow refund` stays pending.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.orders: dict[str, IntentOrder] = {}
        self.released = asyncio.Event()
        self.methods = Methods()
        self.refund_may_begin = asyncio.Event()
        self.refund_may_begin.set()
        self.refund_is_pending = asyncio.Event()
        self.pages = Pages(self)
        self._intents: dict[str, Intent] = {}

    def knows(self, intent: Intent) -> None:
        """An intent that it has made by itself."""
        self._intents[intent.id] = intent

    @activity.defn
    async def create_intent(self, order: IntentOrder) -> Intent:
        self.orders[order.payment_id] = order
        if order.description == "refused":
            raise _refused()
        intent_id = f"pi_{order.payment_id.removeprefix('pay_')}"
        self.calls.append(("create", intent_id))
        self._intents[intent_id] = Intent(
            id=intent_id,
            status=IntentStatus.REQUIRES_PAYMENT_METHOD,
            money=order.money,
            customer_id=f"cus_{order.customer_id}",
        )
        return self._intents[intent_id]

    @activity.defn
    async def confirm_intent(self, order: ConfirmOrder) -> Intent:
        self.calls.append(("confirm", order.intent_id))
        word, _, card = order.method.removeprefix("pm_").partition("__")
        if word == "refused":
            raise _refused()
        if word == "slow":
            await self.released.wait()
            word = "succeeded"
        return self.becomes(order.payment_id, word, card=card or None)

    @activity.defn
    async def retrieve_intent(self, intent_id: str) -> Intent:
        self.calls.append(("look", intent_id))
        return self._intents[intent_id]

    @activity.defn
    async def capture_intent(self, order: CaptureOrder) -> Intent:
        self.calls.append(("capture", order.intent_id))
        return self.becomes(order.payment_id, "succeeded", received=order.money.minor)

    @activity.defn
    async def close_intent(self, order: CloseOrder) -> Intent:
        self.calls.append(("close", order.intent_id))
        if self._intents[order.intent_id].status is IntentStatus.SUCCEEDED:
            return self._intents[order.intent_id]
        return self.becomes(order.payment_id, "canceled")

    @activity.defn
    async def refund_intent(self, order: RefundOrder) -> Refund:
        await self.refund_may_begin.wait()
        self.calls.append(("refund", order.intent_id))
        return await self.retrieve_refund(f"re_{order.payment_id}")

    @activity.defn
    async def retrieve_refund(self, refund_id: str) -> Refund:
        if self.orders[refund_id.removeprefix("re_")].description == "slow refund":
            self.refund_is_pending.set()
            return Refund(id=refund_id, status="pending")
        return Refund(id=refund_id, status="succeeded")

    @activity.defn
    async def list_refunds(self, intent_id: str) -> Refunds:
        refunded = ("refund", intent_id) in self.calls
        amount = self._intents[intent_id].received
        return Refunds(
            refunds=(Refund(id="re_1", status="succeeded", amount=amount),) if refunded else ()
        )

    @activity.defn
    async def find_intent(self, search: IntentSearch) -> FoundIntent:
        intent_id = f"pi_{search.payment_id.removeprefix('pay_')}"
        return FoundIntent(intent=self._intents.get(intent_id))

    @activity.defn
    async def audit_payments(self, order: AuditOrder) -> Audited:
        return Audited(
            payments=tuple(
                AtGateway(
                    payment_id=ref.payment_id, intent=self._intents.get(ref.intent_id or "none")
                )
                for ref in order.payments
            )
        )

    @activity.defn
    async def list_movements(self, _order: MovementsOrder) -> Movements:
        return Movements(movements=(), count=0)

    def becomes(
        self, payment_id: str, word: str, received: int | None = None, card: str | None = None
    ) -> Intent:
        """The payment's intent is now what the word says, as the gateway would show it."""
        intent_id = f"pi_{payment_id.removeprefix('pay_')}"
        before = self._intents[intent_id]
        facts: dict[str, object] = {"action_url": None, "decline": None}
        if word == "mismatch":
            word, facts["money"] = "succeeded", before.money + before.money
        if word in set(IntentStatus):
            facts["status"] = IntentStatus(word)
        else:
            facts["status"] = IntentStatus.REQUIRES_PAYMENT_METHOD
            facts["decline"] = decline_for("card_declined", word)
        if word == "requires_action":
            facts["action_url"] = f"https://gateway.example/3ds/{intent_id}"
        if word not in {"requires_action", "canceled"}:
            facts["charge_id"] = f"ch_{next(_numbers)}"
            facts["method"] = MethodFacts(
                kind="card", brand="visa", last4="4242", funding="credit", fingerprint=card
            )
        if word == "succeeded":
            facts["received"] = before.money.minor if received is None else received
        facts["capturable"] = before.money.minor if word == "requires_capture" else 0
        self._intents[intent_id] = before.model_copy(update=facts)
        return self._intents[intent_id]

    def confirms(self, payment_id: str) -> int:
        """How often the payment was confirmed."""
        return self.calls.count(("confirm", f"pi_{payment_id.removeprefix('pay_')}"))


class Methods:
    """The activities of `MethodCalls`. What a set-up comes to is in the token's own name.

    `pm_succeeded`, `pm_requires_action`, `pm_processing`, `pm_slow` (succeeds once `released`),
    `pm_refused`, and every decline code after `pm_`. The saved method is named after ours; that of
    a token that begins with one of `NAMED_BY_TOKEN` after the token. One of `pm_sticky…` is
    detached only once `released`; one of `pm_stubborn…` not at the first time.
    """

    NAMED_BY_TOKEN = "pm_same", "pm_requires_capture", "pm_stolen_card"

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.released = asyncio.Event()
        self.orders: dict[str, SetUpOrder] = {}
        self._setups: dict[str, Setup] = {}
        self._detached: set[str] = set()

    @activity.defn
    async def set_up_method(self, order: SetUpOrder) -> Setup:
        self.calls.append(("set up", order.method_id))
        self.orders[order.method_id] = order
        word = order.token.removeprefix("pm_").partition("_of_")[0]
        if word == "refused":
            raise _refused()
        if word == "slow":
            await self.released.wait()
            word = "succeeded"
        is_saved = word.startswith(("s", "requires_capture"))
        return self.becomes(order.method_id, "succeeded" if is_saved else word)

    @activity.defn
    async def retrieve_set_up(self, setup_id: str) -> Setup:
        self.calls.append(("look", setup_id))
        return self._setups[setup_id]

    @activity.defn
    async def cancel_set_up(self, order: CancelSetUpOrder) -> Setup:
        return self.becomes(order.method_id, "canceled")

    @activity.defn
    async def detach_method(self, order: DetachOrder) -> AttachedMethod:
        self.calls.append(("detach", order.gateway_method_id))
        token, asked = self.orders[order.method_id].token, self.calls[-1]
        if token.startswith("pm_sticky"):
            await self.released.wait()
        if token.startswith("pm_stubborn") and self.calls.count(asked) == 1:
            raise _refused()
        self._detached.add(order.gateway_method_id)
        return AttachedMethod(id=order.gateway_method_id)

    @activity.defn
    async def retrieve_method(self, gateway_method_id: str) -> AttachedMethod:
        [setup] = [each for each in self._setups.values() if each.method_id == gateway_method_id]
        gone = gateway_method_id in self._detached
        return AttachedMethod(
            id=gateway_method_id,
            customer_id=None if gone else setup.customer_id,
            facts=CARD.model_copy(update={"exp_year": 2039}),
        )

    def becomes(self, method_id: str, word: str) -> Setup:
        """The method's SetupIntent is now what the word says."""
        order, name = self.orders[method_id], method_id.removeprefix("mtd_")
        token = order.token
        setup = setup_in(
            word,
            id=f"seti_{name}",
            customer_id=f"cus_{order.customer_id}",
            method_id=token if token.startswith(self.NAMED_BY_TOKEN) else f"pm_{name}",
        )
        self._setups[f"seti_{name}"] = setup
        return setup


class HeldRecords(Records):
    """Writes nothing of orders that begin with `late` before it may."""

    def __init__(self, sessions: Sessions, waking: Waking) -> None:
        super().__init__(sessions, waking)
        self.may_write = asyncio.Event()
        self.waiting: set[str] = set()

    @activity.defn
    async def record(self, batch: Changes) -> Recorded | None:
        if batch.changes[0].state.order_id.startswith("late"):
            self.waiting.add(batch.changes[0].state.id)
            await self.may_write.wait()
            self.waiting.discard(batch.changes[0].state.id)
        return await super().record(batch)


class Shop:
    """The shop's order service, behind the real client."""

    def __init__(self) -> None:
        self.orders: dict[str, dict[str, Any]] = {}
        self.is_down = False
        self.http = httpx.AsyncClient(
            base_url="http://shop.example", transport=httpx.MockTransport(self._answer)
        )
        self.service = OrderService(self.http)

    def has(self, order_id: str, customer_id: str, **facts: object) -> str:
        """The shop has this order, of 12.50 EUR if nothing else is said."""
        self.orders[order_id] = {
            "order_id": order_id,
            "customer_id": customer_id,
            "amount": 1250,
            "currency": "EUR",
            "status": "open",
            "payment_id": None,
            **facts,
        }
        return order_id

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.is_down:
            return httpx.Response(503)
        _, _, order_id, *steps = f"{request.url.path}//".split("/")
        order, step = self.orders.get(order_id), steps[0]
        if order is None:
            return httpx.Response(404)
        if step == order.get("refuses"):
            return httpx.Response(410)
        statuses = {"reserve": "reserved", "confirm": "paid", "release": "open"}
        if step in statuses:
            order["status"] = statuses[step]
            order["payment_id"] = None
            if step != "release":
                order["payment_id"] = _json(request)["payment_id"]
        return httpx.Response(200, json=order)


@dataclass
class World:
    """What all tests of the API share. Each test has customers and orders of its own."""

    client: Client
    settings: Settings
    gateway: Gateway
    records: HeldRecords
    shop: Shop
    receiver: Receiver


@dataclass
class Caller:
    """Somebody who speaks to the API."""

    http: httpx.AsyncClient
    headers: Mapping[str, str] = field(default_factory=dict)

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self.http.get(path, headers=self.headers, params=params or None)

    async def post(
        self, path: str, body: object = None, *, key: str | None = "", **headers: str
    ) -> httpx.Response:
        """Send a POST with a new Idempotency-Key, with this one, or (`None`) without."""
        sent = {**self.headers, **headers}
        if key is not None:
            sent["Idempotency-Key"] = key or f"key-{next(_numbers)}"
        return await self.http.post(path, headers=sent, json=body)

    async def patch(self, path: str, body: object) -> httpx.Response:
        return await self.http.patch(path, headers=self.headers, json=body)

    async def delete(self, path: str, *, key: str | None = "") -> httpx.Response:
        """Send a DELETE with a new Idempotency-Key, with this one, or (`None`) without."""
        sent = dict(self.headers)
        if key is not None:
            sent["Idempotency-Key"] = key or f"key-{next(_numbers)}"
        return await self.http.delete(path, headers=sent)

    async def save(self, method: str = "pm_succeeded", **body: Any) -> dict[str, Any]:
        """Save a method that can be saved, and answer with it, whatever it came to."""
        order = {"payment_method_id": method, "return_url": SHOP_PAGE, **body}
        told = dict((await self.post("/payment-methods", order)).json())
        return dict(told["payment_method"] if "errors" in told else told)

    async def pay(self, method: str = "pm_succeeded", **body: Any) -> dict[str, Any]:
        """Start a payment that can be started, and answer with it, whatever it came to."""
        answer = await self.post("/payments", an_order(payment_method_id=method, **body))
        told = dict(answer.json())
        return dict(told.get("payment", told))


@dataclass
class Api:
    """The API of one deployment, in this process."""

    app: FastAPI
    http: httpx.AsyncClient
    settings: Settings

    def as_(self, role: Role, subject: str | None = None) -> Caller:
        """Somebody with a token of this role."""
        token = a_token(self.settings, subject or f"{role}-1", role)
        return Caller(self.http, {"Authorization": f"Bearer {token}"})

    @property
    def shop(self) -> Caller:
        """The shop's backend."""
        return self.as_(Role.SERVICE, "shop")

    @property
    def nobody(self) -> Caller:
        """Somebody without a token."""
        return Caller(self.http)


def a_token(settings: Settings, subject: str = "shop", role: Role = Role.SERVICE) -> str:
    return issue_token(settings, subject, role, HOUR)


def a_customer() -> str:
    return f"cst_{next(_numbers)}"


def an_order(**changes: object) -> dict[str, Any]:
    """A body that POST /payments takes; a field that is changed to `None` is left out."""
    body = {
        "order_id": f"order-{next(_numbers)}",
        "amount": 1250,
        "currency": "EUR",
        "customer_id": a_customer(),
        "payment_method_id": "pm_succeeded",
        "return_url": SHOP_PAGE,
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


async def without_sinks(api: Api) -> None:
    """What a test has left: no other test's payments go there."""
    for sink in (await api.shop.get("/sinks", limit=100)).json()["items"]:
        await api.shop.delete(f"/sinks/{sink['id']}")


async def migrate(database_url: str) -> None:
    """Bring the database to where the code is."""

    def upgrade(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    engine = create_engine(database_url)
    async with engine.begin() as connection:
        await connection.run_sync(upgrade)
    await engine.dispose()


@asynccontextmanager
async def working(
    client: Client, gateway: Gateway, records: Records, orders: Orders, receiver: Receiver
) -> AsyncIterator[None]:
    """The worker's three parts, with our gateway in Stripe's place and our receiver in sinks'."""
    reconciling = Reconciling(records._sessions)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            Worker(
                client,
                task_queue=addresses.GATEWAY,
                activities=[
                    *at_the_gateway(gateway, gateway.pages, gateway),
                    *methods_at_the_gateway(gateway.methods),
                ],
            )
        )
        await stack.enter_async_context(
            workflow_worker(
                client,
                task_queue=addresses.PAYMENTS,
                workflows=[
                    PaymentWorkflow,
                    RepairWorkflow,
                    ReconciliationWorkflow,
                    *SAVED_METHODS,
                    SinkWorkflow,
                ],
                activities=[
                    *beside_the_gateway(records, reconciling, orders),
                    *methods_beside_the_gateway(MethodRecords(records._sessions)),
                ],
            )
        )
        deliveries = Deliveries(records._sessions, receiver)
        await stack.enter_async_context(
            Worker(client, task_queue=addresses.DELIVERIES, activities=[deliveries.drain])
        )
        yield


@asynccontextmanager
async def serving(
    settings: Settings, orders: OrderService | None = None, http: httpx.AsyncClient | None = None
) -> AsyncIterator[Api]:
    """The API over these settings, with its lifespan."""
    app = create_app(settings)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(app.router.lifespan_context(app))
        if orders is not None:
            app.state.connections = replace(app.state.connections, orders=orders, orders_http=http)
        client = await stack.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url="http://api.example/api/v1")
        )
        yield Api(app, client, settings)


async def refreshes(world: World, payment_id: str) -> int:
    """How often the payment's run was asked to look at the gateway."""
    history = await world.client.get_workflow_handle(payment_id).fetch_history()
    accepted = [
        event.workflow_execution_update_accepted_event_attributes.accepted_request
        for event in history.events
    ]
    return [request.input.name for request in accepted].count("refresh")


async def ended(world: World, payment_id: str) -> PaymentState:
    """Wait until the payment's run is over."""
    run: WorkflowHandle[PaymentWorkflow, PaymentState] = world.client.get_workflow_handle(
        payment_id, result_type=PaymentState
    )
    return await run.result()


def _refused() -> ApplicationError:
    return ApplicationError("refused", type=Trouble.REFUSED, non_retryable=True)


def _json(request: httpx.Request) -> dict[str, Any]:
    return dict(httpx.Response(200, content=request.content).json())
