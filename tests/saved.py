"""Saved methods as tests need them: an order, and what the gateway shows of it."""

from collections import deque
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.method_orders import CancelSetUpOrder, DetachOrder, SetUpOrder
from activities.method_records import ALREADY_SAVED
from activities.records import NOT_WRITABLE
from paysaga.domain.declines import decline_for
from paysaga.domain.intent import MethodFacts
from paysaga.domain.payment import RequestMark
from paysaga.domain.saved_method import (
    AttachedMethod,
    MethodOrder,
    SavedMethod,
    SavedMethodStatus,
    Setup,
    SetupStatus,
)
from paysaga.domain.saving import (
    begun,
    set_up,
)
from tests.fakes import NOON

CARD = MethodFacts(
    kind="card",
    brand="visa",
    last4="4242",
    funding="credit",
    exp_month=12,
    exp_year=2030,
    fingerprint="fingerprint-1",
)
WINDOW = timedelta(minutes=15)
PAGE = "https://gateway.example/3ds"


def an_order(method_id: str = "mtd_1", **changes: Any) -> MethodOrder:
    """Save a card of cst_1."""
    facts: dict[str, Any] = {
        "id": method_id,
        "customer_id": "cst_1",
        "token": "pm_card_visa",
        "return_url": "https://shop.example/cards",
        "gateway_return_url": f"https://pay.example/api/v1/payment-methods/{method_id}/return",
        "environment": "test",
        "actor": "customer:cst_1",
        "request": RequestMark(key="key-1", fingerprint="fingerprint-1"),
        "correlation_id": "correlation-1",
        **changes,
    }
    return MethodOrder.model_validate(facts)


def setup_in(word: str, **changes: Any) -> Setup:
    """The SetupIntent as the word says: one of its statuses, or a decline code."""
    facts: dict[str, Any] = {"id": "seti_1", "customer_id": "cus_1"}
    if word not in set(SetupStatus):
        facts["decline"] = decline_for("card_declined", word)
        word = SetupStatus.REQUIRES_PAYMENT_METHOD
    else:
        facts |= {"method_id": "pm_1", "facts": CARD}
    facts["status"] = SetupStatus(word)
    facts["action_url"] = PAGE if word == SetupStatus.REQUIRES_ACTION else None
    return Setup.model_validate(facts | changes)


def attached(customer_id: str | None = "cus_1", **facts: Any) -> AttachedMethod:
    """The saved card, as the gateway shows it."""
    return AttachedMethod(id="pm_1", customer_id=customer_id, facts=CARD.model_copy(update=facts))


def processing(method_id: str = "mtd_1", **changes: Any) -> SavedMethod:
    """A method that the gateway has not heard of yet."""
    return begun(an_order(method_id, **changes), NOON)


def saved(method_id: str = "mtd_1", setup: Setup | None = None, **changes: Any) -> SavedMethod:
    """A method that can be paid with."""
    step = set_up(processing(method_id, **changes), setup or setup_in("succeeded"), NOON, WINDOW)
    assert step is not None
    return step


class FakeMethods:
    """The activities of `MethodCalls` over one SetupIntent that behaves as the script says.

    The word of `outcome` is what the set-up comes to. `troubles` holds, by step, the errors that
    come first; those in `lost` come after the effect.
    """

    def __init__(
        self,
        outcome: str = "succeeded",
        *,
        troubles: Mapping[str, Iterable[ApplicationError]] | None = None,
        lost: Mapping[str, Iterable[ApplicationError]] | None = None,
    ) -> None:
        self.setup: Setup | None = None
        self.attached = attached()
        self.calls: list[str] = []
        self.orders: list[object] = []
        self.cannot_cancel: str | None = None
        self._outcome = outcome
        self._troubles = {step: deque(errors) for step, errors in (troubles or {}).items()}
        self._lost = {step: deque(errors) for step, errors in (lost or {}).items()}

    async def set_up_method(self, order: SetUpOrder) -> Setup:
        self._called("set up", order)
        if self.setup is None:
            self.becomes(self._outcome)
        return self._told("set up")

    async def retrieve_set_up(self, setup_id: str) -> Setup:
        self._called("look", setup_id)
        return self._told("look")

    async def cancel_set_up(self, order: CancelSetUpOrder) -> Setup:
        self._called("cancel", order)
        if self.cannot_cancel is not None:
            self.becomes(self.cannot_cancel)
        elif self._told("cancel").status is not SetupStatus.SUCCEEDED:
            self.becomes("canceled")
        return self._told("cancel")

    async def detach_method(self, order: DetachOrder) -> AttachedMethod:
        self._called("detach", order)
        self.attached = attached(None)
        return self.attached

    async def retrieve_method(self, gateway_method_id: str) -> AttachedMethod:
        self._called("look at method", gateway_method_id)
        return self.attached

    def becomes(self, word: str) -> None:
        """The SetupIntent is now what the word says."""
        self.setup = setup_in(word)

    def _called(self, step: str, order: object) -> None:
        self.calls.append(step)
        self.orders.append(order)
        if troubles := self._troubles.get(step):
            raise troubles.popleft()

    def _told(self, step: str) -> Setup:
        if lost := self._lost.get(step):
            raise lost.popleft()
        assert self.setup is not None
        return self.setup


class FakeMethodRecords:
    """The activities of `MethodRecords`, kept in memory. `doubles` is saved already."""

    def __init__(self, *steps: SavedMethod, doubles: str | None = None) -> None:
        self.steps = list(steps)
        self.doubles = doubles
        self.away = 0
        self.broken = 0

    @activity.defn
    async def record_method(self, step: SavedMethod) -> SavedMethod:
        if self.broken:
            self.broken -= 1
            raise ApplicationError("a rule is broken", type=NOT_WRITABLE)
        if self.away:
            self.away -= 1
            raise ConnectionError("the database is away")
        if step.status is SavedMethodStatus.ACTIVE and self.doubles:
            raise ApplicationError("saved", self.doubles, type=ALREADY_SAVED, non_retryable=True)
        if step.version > len(self.steps):
            assert len(self.steps) + 1 == step.version
            self.steps.append(step)
        return self.method

    @activity.defn
    async def method_standing(self, method_id: str) -> SavedMethod | None:
        return self.method if self.steps and self.method.id == method_id else None

    @property
    def method(self) -> SavedMethod:
        return self.steps[-1]

    @property
    def reasons(self) -> list[str]:
        return [step.reason.value for step in self.steps]
