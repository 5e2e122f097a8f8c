"""How a payment ended, told by three who do not talk to each other: they must agree."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import stripe
from temporalio.client import WorkflowHandle

from paysaga.demo.world import World, asked, persistently
from paysaga.domain.money import Money
from paysaga.domain.payment import PaymentState, PaymentStatus
from paysaga.orders import OrderStatus
from workflows.payment import PaymentWorkflow

RUN_ENDS_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Story:
    """One purchase's end. It is as expected when nobody has a complaint."""

    title: str
    expected: PaymentStatus
    complaints: tuple[str, ...]
    payment_id: str = ""
    price: Money | None = None
    database: str = "-"
    gateway: str = "-"
    workflow: str = "-"

    @property
    def is_as_expected(self) -> bool:
        """Whether it ended as the script says, and all agree."""
        return not self.complaints


async def judged(
    world: World, title: str, order: dict[str, Any], payment_id: str, expected: PaymentStatus
) -> Story:
    """Ask database, gateway, workflow and shop, once the run has ended."""
    run: WorkflowHandle[PaymentWorkflow, PaymentState] = world.temporal.get_workflow_handle(
        payment_id, result_type=PaymentState
    )
    async with asyncio.timeout(RUN_ENDS_SECONDS):
        result = await persistently(run.result)
    row = await world.reads.payment(payment_id)
    if row is None:
        return Story(title, expected, ("the database has no such payment",), payment_id)
    told = await asked(lambda: world.shop.get(f"/orders/{order['order_id']}"))
    intent = await _intent(world, row.intent_id)
    complaints = differences(expected, row, result) + at_gateway(row, intent)
    if (told.json()["status"] == OrderStatus.PAID) != (row.status is PaymentStatus.SUCCEEDED):
        complaints += (f"the shop's order is {told.json()['status']}",)
    captured = Money(minor=intent.amount_received, currency=row.money.currency) if intent else None
    return Story(
        title=title,
        expected=expected,
        complaints=complaints,
        payment_id=payment_id,
        price=row.money,
        database=row.status,
        gateway=f"{intent.status} {captured}" if intent and captured else "no intent",
        workflow=result.status,
    )


def differences(
    expected: PaymentStatus, row: PaymentState, result: PaymentState
) -> tuple[str, ...]:
    """Where the database does not say what was expected, or not what the workflow says."""
    found = []
    if row.status is not expected:
        found.append(f"expected {expected}, the database says {row.status} ({row.reason})")
    for name in ("status", "money", "intent_id", "charge_id", "amount_captured", "version"):
        ours, theirs = getattr(row, name), getattr(result, name)
        if ours != theirs:
            found.append(f"{name}: the database says {ours}, the workflow {theirs}")
    return tuple(found)


def at_gateway(row: PaymentState, intent: stripe.PaymentIntent | None) -> tuple[str, ...]:
    """Where the gateway's intent does not fit the payment."""
    if intent is None:
        return ("the gateway was never asked",)
    paid = row.status is PaymentStatus.SUCCEEDED
    wanted = {
        "status": "succeeded" if paid else "canceled",
        "amount": row.money.minor,
        "currency": row.money.currency.lower(),
        "amount_received": row.money.minor if paid else 0,
    }
    return tuple(
        f"{name}: expected {value}, the gateway says {intent[name]}"
        for name, value in wanted.items()
        if intent[name] != value
    )


async def _intent(world: World, intent_id: str | None) -> stripe.PaymentIntent | None:
    if intent_id is None:
        return None
    return await persistently(lambda: world.stripe.v1.payment_intents.retrieve_async(intent_id))
