"""Stand-ins that remember what was asked of them; a test looks at the end."""

from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.errors import Trouble
from activities.orders import OrderAnswer, OrderRef
from activities.runs import RunStart
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
from paysaga.domain.checkout import ON_THE_PAGE
from paysaga.domain.declines import decline_for
from paysaga.domain.intent import CaptureMethod, Intent, IntentStatus
from paysaga.domain.money import Money
from paysaga.domain.payment import (
    FINAL,
    HOLDS_ORDER,
    Attempt,
    Change,
    Changes,
    HostedPage,
    Payment,
    PaymentState,
    PaymentStatus,
    Policy,
    Recorded,
    RequestMark,
)
from paysaga.domain.transitions import attempt_after
from paysaga.nudging import NotTold, Nudging

PRICE = Money(minor=1250, currency="EUR")
NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def a_payment(
    payment_id: str = "pay_test",
    *,
    attempts: int = 3,
    hold: timedelta = timedelta(hours=24),
    action_window: timedelta = timedelta(minutes=15),
    has_order_service: bool = False,
    capture_method: CaptureMethod = CaptureMethod.AUTOMATIC,
    page: HostedPage | None = None,
) -> Payment:
    """A payment of 12.50 EUR for order-1."""
    return Payment(
        id=payment_id,
        order_id="order-1",
        customer_id="cst_1",
        money=PRICE,
        method=ON_THE_PAGE if page else "pm_card_visa",
        page=page,
        description="One test product",
        return_url="https://shop.example/return",
        gateway_return_url=f"https://pay.example/api/v1/payments/{payment_id}/return",
        metadata={"basket": "17"},
        environment="test",
        policy=Policy(attempts=attempts, hold=hold, action_window=action_window),
        has_order_service=has_order_service,
        capture_method=capture_method,
        actor="service:shop",
        request=RequestMark(key="key-1", fingerprint="fingerprint-1"),
        correlation_id="correlation-1",
    )


def begun_by(changes: tuple[Change, ...]) -> tuple[Change, Attempt]:
    """The one change that begins an attempt, and the attempt."""
    (change,) = changes
    return change, attempt_after(changes)


def told(changes: tuple[Change, ...], before: Attempt) -> tuple[tuple[Change, ...], Attempt]:
    """The changes, and the attempt as they leave it."""
    return changes, attempt_after(changes, before)


class FakeGateway:
    """The activities of `StripeCalls` over one intent that behaves as the script says.

    Each word of `script` is what the next confirm comes to: `succeeded`, `requires_action`,
    `processing`, `requires_capture` or a decline code. `troubles` holds, by step, the errors that
    come first.
    """

    def __init__(
        self, *script: str, troubles: dict[str, Iterable[ApplicationError]] | None = None
    ) -> None:
        self.script = deque(script)
        self.troubles = {step: deque(errors) for step, errors in (troubles or {}).items()}
        self.calls: list[str] = []
        self.orders: list[object] = []
        self.refund_statuses = deque(["succeeded"])
        self.refunds: list[Refund] = []
        self.is_lost = False  # its answer was never heard
        self.others: dict[str, Intent] = {}
        self.cannot_cancel: IntentStatus | None = None
        self.charges = 0
        self.captures: deque[str] = deque()
        self.held_until: datetime | None = None
        self.intent = Intent(
            id="pi_1", status=IntentStatus.REQUIRES_PAYMENT_METHOD, money=PRICE, customer_id="cus_1"
        )

    @activity.defn
    async def create_intent(self, order: IntentOrder) -> Intent:
        self._called("create", order)
        return self.intent

    @activity.defn
    async def confirm_intent(self, order: ConfirmOrder) -> Intent:
        self._called("confirm", order)
        self.becomes(self.script.popleft())
        return self.intent

    @activity.defn
    async def retrieve_intent(self, intent_id: str) -> Intent:
        self._called("look", intent_id)
        return self.others.get(intent_id, self.intent)

    @activity.defn
    async def capture_intent(self, order: CaptureOrder) -> Intent:
        self._called("capture", order)
        if self.intent.status is IntentStatus.REQUIRES_CAPTURE:
            word = self.captures.popleft() if self.captures else "succeeded"
            received = order.money.minor if word == "succeeded" else 0
            self._intent_is(word, received=received, capturable=0)
        return self.intent

    @activity.defn
    async def close_intent(self, order: CloseOrder) -> Intent:
        self._called("close", order)
        if self.cannot_cancel is not None:
            self.becomes(self.cannot_cancel)
        elif self.intent.status is not IntentStatus.SUCCEEDED:
            self.becomes("canceled")
        return self.intent

    @activity.defn
    async def refund_intent(self, order: RefundOrder) -> Refund:
        self._called("refund", order)
        return self._refund(order)

    @activity.defn
    async def retrieve_refund(self, refund_id: str) -> Refund:
        self._called("look at refund", refund_id)
        return self.refund_becomes(self.refund_statuses.popleft())

    @activity.defn
    async def list_refunds(self, intent_id: str) -> Refunds:
        self._called("refunds", intent_id)
        return Refunds(refunds=tuple(self.refunds))

    @activity.defn
    async def find_intent(self, search: IntentSearch) -> FoundIntent:
        self._called("find", search)
        return FoundIntent(intent=None if self.is_lost else self.intent)

    def _refund(self, order: RefundOrder) -> Refund:
        for known in self.refunds:  # as the product takes one that is there already for this one
            if known.id not in order.after:
                return known
        number = len(self.refunds) + 1
        status = self.refund_statuses.popleft()
        self.refunds.append(Refund(id=f"re_{number}", status=status, amount=order.money.minor))
        return self.refunds[-1]

    def refund_becomes(self, status: str) -> Refund:
        """The last refund is now what the bank made of it."""
        self.refunds[-1] = self.refunds[-1].model_copy(update={"status": status})
        return self.refunds[-1]

    def becomes(self, word: str) -> None:
        """The intent is now what the word says, as the gateway would show it."""
        match word:
            case "succeeded" | "processing" | "requires_capture":
                self.charges += 1
                received = PRICE.minor if word == "succeeded" else 0
                held = PRICE.minor if word == "requires_capture" else 0
                self._intent_is(
                    word,
                    received=received,
                    capturable=held,
                    capture_before=self.held_until,
                    charge_id=f"ch_{self.charges}",
                )
            case "requires_action":
                self._intent_is(word, action_url="https://gateway.example/3ds")
            case "canceled":
                self._intent_is(word)
            case _:
                self.charges += 1
                self._intent_is(
                    "requires_payment_method",
                    decline=decline_for("card_declined", word),
                    charge_id=f"ch_{self.charges}",
                )

    def captured_by_hand(self, amount: int) -> None:
        """Somebody has captured so much in the gateway's dashboard."""
        self._intent_is("succeeded", received=amount, capturable=0)

    def _intent_is(self, status: str, **facts: object) -> None:
        cleared = {"action_url": None, "decline": None}
        self.intent = self.intent.model_copy(
            update={**cleared, **facts, "status": IntentStatus(status)}
        )

    def _called(self, step: str, order: object) -> None:
        self.calls.append(step)
        self.orders.append(order)
        if troubles := self.troubles.get(step):
            raise troubles.popleft()


class FakeRecords:
    """The activity of `Records`, kept in memory; a repeated change changes nothing."""

    def __init__(self, *, order_taken_by: str | None = None) -> None:
        self.changes: list[Change] = []
        self.owners: dict[str, str] = {}
        self.order_taken_by = order_taken_by

    @activity.defn
    async def record(self, batch: Changes) -> Recorded | None:
        if self.order_taken_by and batch.changes[-1].state.status in HOLDS_ORDER:
            raise ApplicationError(
                "taken", self.order_taken_by, type="OrderTaken", non_retryable=True
            )
        known = [change for change in batch.changes if change.state.version <= len(self.changes)]
        taken = all(_is_same(change, self.changes[change.state.version - 1]) for change in known)
        for change in batch.changes if taken else ():
            if change.state.version > len(self.changes):
                self._keep_rules(change)
            if change.state.version == len(self.changes) + 1:
                self.changes.append(change)
            elif change.state.version > len(self.changes):
                raise RuntimeError(f"a gap before version {change.state.version}")
        if not known:
            return None
        return Recorded(state=self.state, attempt=self.attempts[-1], taken=taken)

    @activity.defn
    async def standing(self, payment_id: str) -> Recorded | None:
        if not self.changes or self.state.id != payment_id:
            return None
        return Recorded(
            state=self.state, attempt=self.attempts[-1], taken=True, evidence=self.evidence
        )

    @activity.defn
    async def payment_of(self, gateway_id: str) -> str | None:
        return self.owners.get(gateway_id)

    def _keep_rules(self, change: Change) -> None:
        """Those of the database that a run could break."""
        keys = {before.request.key for before in self.changes if before.request}
        if change.request and change.request.key in keys:
            raise ApplicationError("the key was used before", type="NotWritable")
        if change.state.intent_id == change.state.other_intent_id is not None:
            raise ApplicationError("two intents are one", type="NotWritable")

    @property
    def state(self) -> PaymentState:
        return self.changes[-1].state

    @property
    def evidence(self) -> str | None:
        """What the payment was found with last."""
        found = [c.note for c in self.changes if c.state.status is PaymentStatus.NEEDS_OPERATOR]
        return next((note for note in reversed(found) if note), None)

    @property
    def statuses(self) -> list[PaymentStatus]:
        """The states that the payment went through, each once."""
        told: list[PaymentStatus] = []
        for change in self.changes:
            if not told or told[-1] is not change.state.status:
                told.append(change.state.status)
        return told

    @property
    def attempts(self) -> list[Attempt]:
        """Each attempt as it was last written."""
        last = {change.attempt.number: change.attempt for change in self.changes if change.attempt}
        return [last[number] for number in sorted(last)]

    @property
    def is_final(self) -> bool:
        return bool(self.changes) and self.state.status in FINAL


class FakeOrders:
    """The activities of `Orders`; the steps in `refused` get a no, those in `down` an error."""

    def __init__(self, *, refused: Iterable[str] = (), down: dict[str, int] | None = None) -> None:
        self.calls: list[str] = []
        self.refused = set(refused)
        self.down = dict(down or {})
        self.paid = False

    @activity.defn
    async def is_taken(self, _ref: OrderRef) -> OrderAnswer:
        return OrderAnswer(accepted=self.paid)

    @activity.defn
    async def reserve(self, ref: OrderRef) -> OrderAnswer:
        return self._answer("reserve", ref)

    @activity.defn
    async def still_waits(self, ref: OrderRef) -> OrderAnswer:
        return self._answer("still_waits", ref)

    @activity.defn
    async def confirm(self, ref: OrderRef) -> OrderAnswer:
        return self._answer("confirm", ref)

    @activity.defn
    async def release(self, ref: OrderRef) -> OrderAnswer:
        return self._answer("release", ref)

    def _answer(self, step: str, ref: OrderRef) -> OrderAnswer:
        if self.down.get(step, 0) > 0:
            self.down[step] -= 1
            raise ConnectionError("the order service is away")
        self.calls.append(step)
        assert ref.order_id == "order-1"
        accepted = step not in self.refused
        self.paid = self.paid or (step == "confirm" and accepted)
        return OrderAnswer(accepted=accepted)


class FakeRuns:
    """The activity that leaves something to another run: remembers what was left to which."""

    def __init__(self) -> None:
        self.started: list[RunStart] = []

    @activity.defn
    async def start_run(self, start: RunStart) -> None:
        self.started.append(start)


class FakeNudging(Nudging):
    """Remembers who was told. Runs are there unless they are `gone`; nobody is if it is `away`."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.setups: list[str | None] = []
        self.gone = False
        self.away = False

    async def run(self, payment_id: str) -> bool:
        self._answers()
        if not self.gone:
            self.told.append(payment_id)
        return not self.gone

    async def repair(self, state: PaymentState) -> str:
        self._answers()
        self.told.append(f"repair-{state.id}")
        return self.told[-1]

    async def look(self, method_id: str, setup_id: str | None = None) -> str:
        self._answers()
        self.setups.append(setup_id)
        self.told.append(f"look-{method_id}")
        return self.told[-1]

    def _answers(self) -> None:
        if self.away:
            raise NotTold("Temporal did not answer")


def _is_same(change: Change, other: Change) -> bool:
    """Whether they are one step, done at whatever time."""
    return _step(change) == _step(other)


def _step(change: Change) -> tuple[object, ...]:
    return (change.state.status, change.state.reason, change.actor, change.request)


def trouble(kind: Trouble) -> ApplicationError:
    """An error of a gateway activity as `activities/errors.py` would make it."""
    final = kind in {Trouble.STICKY, Trouble.REFUSED}
    return ApplicationError(f"scripted: {kind}", type=kind, non_retryable=final)
