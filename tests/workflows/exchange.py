"""One worker for the gateway's queue of a server, and the way to it: with gates and losses."""

import asyncio
from collections import defaultdict, deque
from typing import Any, Protocol

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    Worker,
)

from activities.checkout_orders import (
    CloseSession,
    FoundSession,
    SessionOrder,
    SessionSearch,
)
from activities.method_orders import CancelSetUpOrder, DetachOrder, SetUpOrder
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
from activities.sweeping import PageRead
from paysaga.domain.checkout import CheckoutSession
from paysaga.domain.intent import Intent
from paysaga.domain.saved_method import AttachedMethod, Setup
from worker.main import methods_at_the_gateway
from workflows import addresses


class Gate:
    """A place where an activity waits until the test lets it go on."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.open = asyncio.Event()


class Road:
    """The way to the activities and back: with gates, and with replies that get lost.

    `before` and `after` hold, by the activity's name, the errors that come instead of the call or
    instead of its answer.
    """

    def __init__(self) -> None:
        self.gates: dict[str, Gate] = {}
        self.before: dict[str, deque[Exception]] = defaultdict(deque)
        self.after: dict[str, deque[Exception]] = defaultdict(deque)

    def close(self, name: str) -> Gate:
        self.gates[name] = Gate()
        return self.gates[name]

    async def there(self, name: str) -> None:
        if gate := self.gates.get(name):
            gate.reached.set()
            await gate.open.wait()
        if self.before[name]:
            raise self.before[name].popleft()

    def back(self, name: str) -> None:
        if self.after[name]:
            raise self.after[name].popleft()


class Gateway(Protocol):
    """The activities of the gateway's queue: the real ones, or those that remember."""

    async def create_intent(self, order: IntentOrder) -> Intent: ...
    async def confirm_intent(self, order: ConfirmOrder) -> Intent: ...
    async def retrieve_intent(self, intent_id: str) -> Intent: ...
    async def capture_intent(self, order: CaptureOrder) -> Intent: ...
    async def close_intent(self, order: CloseOrder) -> Intent: ...
    async def refund_intent(self, order: RefundOrder) -> Refund: ...
    async def retrieve_refund(self, refund_id: str) -> Refund: ...
    async def list_refunds(self, intent_id: str) -> Refunds: ...
    async def find_intent(self, search: IntentSearch) -> FoundIntent: ...


class Checkout(Protocol):
    """What a payment on the gateway's page asks of it."""

    async def open_session(self, order: SessionOrder) -> CheckoutSession: ...
    async def retrieve_session(self, session_id: str) -> CheckoutSession: ...
    async def close_session(self, order: CloseSession) -> CheckoutSession: ...
    async def find_session(self, search: SessionSearch) -> FoundSession: ...


class Methods(Protocol):
    """The same for saved methods."""

    async def set_up_method(self, order: SetUpOrder) -> Setup: ...
    async def retrieve_set_up(self, setup_id: str) -> Setup: ...
    async def cancel_set_up(self, order: CancelSetUpOrder) -> Setup: ...
    async def detach_method(self, order: DetachOrder) -> AttachedMethod: ...
    async def retrieve_method(self, gateway_method_id: str) -> AttachedMethod: ...


class Audit(Protocol):
    """What a reconciliation asks of the gateway."""

    async def audit_payments(self, order: AuditOrder) -> Audited: ...
    async def list_movements(self, order: MovementsOrder) -> Movements: ...


class Events(Protocol):
    """The gateway's list of events."""

    async def read_page(self) -> PageRead: ...


class Exchange(Interceptor):
    """All tests' gateways behind the one worker of the gateway's queue, by the run's id.

    A worker of its own for each test would do, but for a flaw of the time-skipping server: it may
    hand a task to the poll of a worker that is gone, and the task is lost for 30 seconds.
    """

    def __init__(self) -> None:
        self.gateways: dict[str, Gateway] = {}
        self.checkouts: dict[str, Checkout] = {}
        self.methods: dict[str, Methods] = {}
        self.audits: dict[str, Audit] = {}
        self.lists: dict[str, Events] = {}
        self.roads: dict[str, Road] = defaultdict(Road)

    def worker(self, client: Client) -> Worker:
        """The one worker of the gateway's queue."""
        return Worker(
            client,
            task_queue=addresses.GATEWAY,
            activities=[
                self.create_intent,
                self.confirm_intent,
                self.retrieve_intent,
                self.capture_intent,
                self.close_intent,
                self.refund_intent,
                self.retrieve_refund,
                self.list_refunds,
                self.find_intent,
                self.open_session,
                self.retrieve_session,
                self.close_session,
                self.find_session,
                *methods_at_the_gateway(self),
                self.audit_payments,
                self.list_movements,
                self.read_page,
            ],
            interceptors=[self],
        )

    @activity.defn
    async def create_intent(self, order: IntentOrder) -> Intent:
        return await self._gateway.create_intent(order)

    @activity.defn
    async def confirm_intent(self, order: ConfirmOrder) -> Intent:
        return await self._gateway.confirm_intent(order)

    @activity.defn
    async def retrieve_intent(self, intent_id: str) -> Intent:
        return await self._gateway.retrieve_intent(intent_id)

    @activity.defn
    async def capture_intent(self, order: CaptureOrder) -> Intent:
        return await self._gateway.capture_intent(order)

    @activity.defn
    async def close_intent(self, order: CloseOrder) -> Intent:
        return await self._gateway.close_intent(order)

    @activity.defn
    async def refund_intent(self, order: RefundOrder) -> Refund:
        return await self._gateway.refund_intent(order)

    @activity.defn
    async def retrieve_refund(self, refund_id: str) -> Refund:
        return await self._gateway.retrieve_refund(refund_id)

    @activity.defn
    async def list_refunds(self, intent_id: str) -> Refunds:
        return await self._gateway.list_refunds(intent_id)

    @activity.defn
    async def find_intent(self, search: IntentSearch) -> FoundIntent:
        return await self._gateway.find_intent(search)

    @activity.defn
    async def open_session(self, order: SessionOrder) -> CheckoutSession:
        return await self.checkouts[_run_id()].open_session(order)

    @activity.defn
    async def retrieve_session(self, session_id: str) -> CheckoutSession:
        return await self.checkouts[_run_id()].retrieve_session(session_id)

    @activity.defn
    async def close_session(self, order: CloseSession) -> CheckoutSession:
        return await self.checkouts[_run_id()].close_session(order)

    @activity.defn
    async def find_session(self, search: SessionSearch) -> FoundSession:
        return await self.checkouts[_run_id()].find_session(search)

    @activity.defn
    async def set_up_method(self, order: SetUpOrder) -> Setup:
        return await self.methods[_run_id()].set_up_method(order)

    @activity.defn
    async def retrieve_set_up(self, setup_id: str) -> Setup:
        return await self.methods[_run_id()].retrieve_set_up(setup_id)

    @activity.defn
    async def cancel_set_up(self, order: CancelSetUpOrder) -> Setup:
        return await self.methods[_run_id()].cancel_set_up(order)

    @activity.defn
    async def detach_method(self, order: DetachOrder) -> AttachedMethod:
        return await self.methods[_run_id()].detach_method(order)

    @activity.defn
    async def retrieve_method(self, gateway_method_id: str) -> AttachedMethod:
        return await self.methods[_run_id()].retrieve_method(gateway_method_id)

    @activity.defn
    async def audit_payments(self, order: AuditOrder) -> Audited:
        return await self.audits[_run_id()].audit_payments(order)

    @activity.defn
    async def list_movements(self, order: MovementsOrder) -> Movements:
        return await self.audits[_run_id()].list_movements(order)

    @activity.defn
    async def read_page(self) -> PageRead:
        return await self.lists[_run_id()].read_page()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's word
        return _OnTheRoad(next, self)

    @property
    def _gateway(self) -> Gateway:
        return self.gateways[_run_id()]


class _OnTheRoad(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, exchange: Exchange) -> None:
        super().__init__(following)
        self._exchange = exchange

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's word
        road, name = self._exchange.roads[_run_id()], activity.info().activity_type
        await road.there(name)
        answer = await super().execute_activity(input)
        road.back(name)
        return answer


def _run_id() -> str:
    run_id = activity.info().workflow_id
    assert run_id is not None
    for other in ("repair-", "remove-", "look-"):
        run_id = run_id.removeprefix(other)
    return run_id
