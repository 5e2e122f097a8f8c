"""Payments with a past, which a repair begins with."""

from collections import deque
from uuid import uuid4

from activities.errors import Trouble
from activities.stripe_words import Refund
from paysaga.domain import renewals
from paysaga.domain import transitions as rules
from paysaga.domain.intent import CaptureMethod, Intent
from paysaga.domain.payment import Attempt, Change, Payment, PaymentState
from paysaga.domain.reasons import Reason
from tests.fake_holds import FakeHolds
from tests.fakes import NOON, PRICE, FakeGateway, FakeRecords, a_payment, trouble
from tests.workflows.conftest import World

OTHER = PRICE.model_copy(update={"minor": 1300})


class Story:
    """A payment's past, told by the domain's own rules."""

    def __init__(self, payment: Payment) -> None:
        first = rules.opened(payment, NOON)
        begun = rules.attempted(first.state, payment.method, NOON, actor=payment.actor)
        self.changes: list[Change] = [first, *begun]

    @property
    def state(self) -> PaymentState:
        return self.changes[-1].state

    @property
    def attempt(self) -> Attempt:
        return rules.attempt_after(self.changes)

    def then(self, *changes: Change) -> "Story":
        self.changes.extend(changes)
        return self

    def sees(self, intent: Intent) -> "Story":
        return self.then(
            *rules.observed(
                self.state, intent, self.attempt, NOON, a_payment().policy.action_window
            )
        )

    def parks(self, reason: Reason = Reason.GATEWAY_REFUSED) -> "Story":
        return self.then(*rules.parked(self.state, reason, NOON, "evidence"))

    def in_a_world(self, gateway: FakeGateway, **more: object) -> World:
        records = FakeRecords()
        records.changes.extend(self.changes)
        return World(gateway, records, **more)  # type: ignore[arg-type]  # the orders


def story(payment_id: str = "", *, has_order: bool = False) -> Story:
    """A payment whose first attempt is under way."""
    name = payment_id or f"pay_{uuid4().hex}"
    return Story(a_payment(name, has_order_service=has_order))


def paid(gateway: FakeGateway, payment_id: str = "", *, has_order: bool = False) -> Story:
    """Paid, and the shop has not heard of it yet."""
    gateway.becomes("succeeded")
    return story(payment_id, has_order=has_order).sees(gateway.intent)


def refund_failed(gateway: FakeGateway, payment_id: str = "") -> Story:
    """The shop refused the paid order, and the bank the refund."""
    gateway.refunds.append(Refund(id="re_1", status="failed", amount=PRICE.minor))
    before = paid(gateway, payment_id, has_order=True)
    before.then(*rules.owed_back(before.state, Reason.ORDER_REFUSED, NOON))
    return before.parks(Reason.REFUND_FAILED)


def other_amount(gateway: FakeGateway) -> None:
    gateway.becomes("succeeded")
    received = {"money": OTHER, "received": OTHER.minor}
    gateway.intent = gateway.intent.model_copy(update=received)


def gateway_in(word: str, *, refusals: tuple[str, ...] = ()) -> FakeGateway:
    """The gateway's intent as the word says; for good it refuses these steps."""
    gateway = FakeGateway()
    gateway.becomes(word)
    for step in refusals:
        gateway.troubles[step] = deque([trouble(Trouble.REFUSED)] * 9)
    return gateway


def lost_in_renewal(gateway: FakeHolds, payment_id: str = "", *, is_parked: bool = False) -> World:
    """Two intents hold the money, and nobody is at it."""
    gateway.becomes("requires_capture")
    gateway.intents["pi_1"] = held = gateway.intent
    gateway.intents["pi_2"] = held.model_copy(update={"id": "pi_2", "charge_id": "ch_2"})
    name = payment_id or f"pay_{uuid4().hex}"
    past = Story(a_payment(name, capture_method=CaptureMethod.MANUAL)).sees(held)
    past.then(*renewals.began(past.state, gateway.intents["pi_2"], NOON))
    if is_parked:
        past.parks()
    return past.in_a_world(gateway)
