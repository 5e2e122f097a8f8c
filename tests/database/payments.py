"""Payments and their ways, made by the domain's own functions."""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

from paysaga.domain import renewals
from paysaga.domain.declines import decline_for
from paysaga.domain.ids import PAYMENT, derived
from paysaga.domain.intent import CaptureMethod, Intent, IntentStatus, MethodFacts
from paysaga.domain.money import Money
from paysaga.domain.payment import Attempt, Change, Changes, Payment, PaymentStatus, RequestMark
from paysaga.domain.reasons import Reason
from paysaga.domain.transitions import attempted, ended, observed, opened
from tests.fakes import begun_by

NOON: Final = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
PRICE: Final = Money(minor=1250, currency="EUR")
WINDOW: Final = timedelta(minutes=15)


def payment(
    *,
    name: str | None = None,
    order_id: str | None = None,
    customer_id: str = "cst_1",
    gateway_customer_id: str | None = None,
) -> Payment:
    """A payment of its own, for an order of its own unless one is given."""
    name = name or uuid4().hex
    return Payment(
        id=derived(PAYMENT, name),
        order_id=order_id or f"order-{name}",
        customer_id=customer_id,
        gateway_customer_id=gateway_customer_id,
        money=PRICE,
        method="pm_card_visa",
        description="Ünïcode, 日本語",
        return_url="https://shop.example/return",
        gateway_return_url="https://pay.example/return",
        metadata={"basket": "17"},
        environment="test",
        actor="service:shop",
        request=RequestMark(key=f"key-{name}", fingerprint="fingerprint"),
        correlation_id="correlation",
        has_order_service=True,
    )


def started(paid: Payment, at: datetime = NOON) -> tuple[tuple[Change, Change], Attempt]:
    """Its first two steps: opened, and the first attempt begun."""
    first = opened(paid, at)
    second, attempt = begun_by(attempted(first.state, paid.method, at, actor=paid.actor))
    return (first, second), attempt


def succeeded(paid: Payment, at: datetime = NOON) -> tuple[Change, ...]:
    """All its steps, up to the money."""
    begun, attempt = started(paid, at)
    won = observed(begun[-1].state, intent(paid), attempt, at, WINDOW)
    return (*begun, *won)


def renewed(held: Payment) -> tuple[Change, ...]:
    """All its steps, up to a second hold that counts instead of the first."""
    begun, attempt = started(held.model_copy(update={"capture_method": CaptureMethod.MANUAL}))
    first = intent(held, IntentStatus.REQUIRES_CAPTURE)
    second = first.model_copy(update={"id": f"pi_other_{held.id}"})
    holds = observed(begun[-1].state, first, attempt, NOON, WINDOW)
    began = renewals.began(holds[-1].state, second, NOON)
    return (*begun, *holds, *began, *renewals.renewed(began[-1].state, second, NOON))


def waiting(paid: Payment, intent_id: str | None = None) -> tuple[Change, ...]:
    """All its steps, up to the customer's 3DS."""
    begun, attempt = started(paid)
    asked = intent(paid, IntentStatus.REQUIRES_ACTION)
    seen = asked.model_copy(update={"id": intent_id or asked.id})
    return (*begun, *observed(begun[-1].state, seen, attempt, NOON, WINDOW))


def canceled(paid: Payment, at: datetime = NOON) -> tuple[Change, ...]:
    """All its steps, up to the customer's giving up."""
    begun, attempt = started(paid, at)
    over = ended(
        begun[-1].state,
        attempt,
        PaymentStatus.CANCELED,
        Reason.CANCEL_REQUESTED,
        at,
        intent=None,
        actor="customer:cst_1",
        request=RequestMark(key="cancel", fingerprint="nothing"),
    )
    return (*begun, *over)


def intent(paid: Payment, status: IntentStatus = IntentStatus.SUCCEEDED, number: int = 1) -> Intent:
    """The payment's intent, as the gateway shows it after so many confirms."""
    won = status is IntentStatus.SUCCEEDED
    waits = status is IntentStatus.REQUIRES_ACTION
    holds = status is IntentStatus.REQUIRES_CAPTURE
    lost = status is IntentStatus.REQUIRES_PAYMENT_METHOD
    return Intent(
        id=f"pi_{paid.id}",
        status=status,
        money=paid.money,
        received=paid.money.minor if won else 0,
        capturable=paid.money.minor if holds else 0,
        customer_id=f"cus_{paid.customer_id}",
        charge_id=f"ch_{paid.id}_{number}",
        action_url="https://gateway.example/3ds" if waits else None,
        decline=decline_for("insufficient_funds") if lost else None,
        method=MethodFacts(kind="card", brand="visa", last4="4242", funding="credit"),
    )


def batch(*changes: Change) -> Changes:
    """Steps to be written together."""
    return Changes(changes=changes)
