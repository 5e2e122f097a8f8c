"""The lives of a payment whose histories are kept: each new way through a workflow gets one."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from activities.errors import Trouble
from paysaga.domain.payment import IntentStatus, Payment, PaymentStatus, Reason
from tests.fakes import FakeGateway, FakeOrders, FakeRecords, a_payment, trouble
from tests.workflows.conftest import Running, World

Play = Callable[[Running], Awaitable[object]]


@dataclass
class Scenario:
    """What the world is like, and what the customer does in it until the run is over."""

    world: World
    play: Play
    payment: Payment = field(default_factory=a_payment)


async def _to_the_end(payment: Running) -> None:
    with suppress(WorkflowFailureError):  # some lives end that way
        await payment.result()


async def _retry_once(payment: Running) -> None:
    await payment.first_outcome()
    await payment.retry()
    await _to_the_end(payment)


async def _retry_twice(payment: Running) -> None:
    await payment.first_outcome()
    await payment.retry(key="retry-1")
    await payment.retry(key="retry-2")
    await _to_the_end(payment)


async def _cancel(payment: Running) -> None:
    await payment.first_outcome()
    await payment.cancel()
    await _to_the_end(payment)


def _comes(word: str, then: Play | None = None) -> Play:
    """The gateway's intent becomes this, the webhook says so, and then the rest happens."""

    async def play(payment: Running) -> None:
        await payment.first_outcome()
        payment.world.gateway.becomes(word)
        await payment.nudge()
        await (then or _to_the_end)(payment)

    return play


async def _cancel_what_is_paid(payment: Running) -> None:
    await payment.first_outcome()
    payment.world.gateway.becomes("succeeded")
    await payment.cancel()
    await _to_the_end(payment)


async def _return_late(payment: Running) -> None:
    await payment.first_outcome()
    await payment.pass_time_until(
        lambda: payment.world.records.state.status is PaymentStatus.AWAITING_RETRY
    )
    payment.world.gateway.becomes("succeeded")
    await payment.refresh()
    await _to_the_end(payment)


async def _fail_authentication_and_retry(payment: Running) -> None:
    await payment.first_outcome()
    payment.world.gateway.becomes("payment_intent_authentication_failure")
    await payment.refresh()
    await payment.retry()
    await _to_the_end(payment)


async def _look_at_nothing_new(payment: Running) -> None:
    await payment.first_outcome()
    await payment.nudge()
    await payment.refresh()
    await payment.cancel()
    await _to_the_end(payment)


async def _mend_the_amount(payment: Running) -> None:
    gateway = payment.world.gateway
    await payment.first_outcome()
    ours = gateway.intent.money
    other = ours.model_copy(update={"minor": 1})
    gateway.intent = gateway.intent.model_copy(update={"money": other})
    await payment.refresh()
    gateway.becomes("succeeded")
    gateway.intent = gateway.intent.model_copy(update={"money": ours})
    await payment.refresh()
    await _to_the_end(payment)


async def _refuse_a_look(payment: Running) -> None:
    await payment.first_outcome()
    await payment.refresh()
    payment.world.gateway.troubles.clear()
    payment.world.gateway.becomes("succeeded")
    await payment.refresh()
    await _to_the_end(payment)


async def _cannot_cancel_what_is_on_its_way(payment: Running) -> None:
    await payment.first_outcome()
    canceling = asyncio.create_task(payment.cancel())
    await payment.pass_time_until(
        lambda: payment.world.records.state.reason is Reason.GATEWAY_PROCESSING
    )
    payment.world.gateway.becomes("succeeded")
    await payment.nudge()
    await canceling
    await _to_the_end(payment)


async def _cancel_the_run(payment: Running) -> None:
    await payment.first_outcome()
    await payment.run.cancel()
    await _to_the_end(payment)


async def _cancel_the_run_of_what_is_paid(payment: Running) -> None:
    await payment.first_outcome()
    payment.world.gateway.becomes("succeeded")
    await payment.run.cancel()
    await _to_the_end(payment)


def _with_orders(hold: timedelta = timedelta(hours=24)) -> Payment:
    return a_payment(has_order_service=True, hold=hold)


def _refunding(*statuses: str) -> World:
    gateway = FakeGateway("succeeded")
    gateway.refund_statuses.clear()
    gateway.refund_statuses.extend(statuses)
    return World(gateway, orders=FakeOrders(refused={"confirm"}))


def _uncancelable() -> World:
    gateway = FakeGateway("requires_action")
    gateway.cannot_cancel = IntentStatus.PROCESSING
    return World(gateway)


def _troubled(*script: str, **troubles: list[Trouble]) -> World:
    errors: dict[str, Iterable[ApplicationError]] = {
        step: [trouble(kind) for kind in kinds] for step, kinds in troubles.items()
    }
    return World(FakeGateway(*script, troubles=errors))


def scenarios() -> dict[str, Scenario]:
    """All of them, new each time, since a world is used up by its payment."""
    away = [Trouble.UNREACHABLE]
    declined = World(FakeGateway("generic_decline"))
    return {
        "paid": Scenario(World(FakeGateway("succeeded")), _to_the_end),
        "paid_order": Scenario(World(FakeGateway("succeeded")), _to_the_end, _with_orders()),
        "declined_then_paid": Scenario(
            World(FakeGateway("insufficient_funds", "succeeded")), _retry_once
        ),
        "declined_then_paid_order": Scenario(
            World(FakeGateway("insufficient_funds", "succeeded")), _retry_once, _with_orders()
        ),
        "three_declines": Scenario(World(FakeGateway(*["generic_decline"] * 3)), _retry_twice),
        "expired": Scenario(declined, _to_the_end),
        "expired_order": Scenario(
            World(FakeGateway("generic_decline")), _to_the_end, _with_orders()
        ),
        "canceled": Scenario(World(FakeGateway("generic_decline")), _cancel),
        "canceled_but_paid": Scenario(
            World(FakeGateway("requires_action")), _cancel_what_is_paid, _with_orders()
        ),
        "canceled_at_the_gateway": Scenario(
            World(FakeGateway("requires_action")), _comes("canceled")
        ),
        "canceled_on_its_way": Scenario(_uncancelable(), _cannot_cancel_what_is_on_its_way),
        "authenticated": Scenario(World(FakeGateway("requires_action")), _comes("succeeded")),
        "authenticated_late": Scenario(World(FakeGateway("requires_action")), _return_late),
        "authentication_failed": Scenario(
            World(FakeGateway("requires_action", "succeeded")), _fail_authentication_and_retry
        ),
        "authentication_not_finished": Scenario(
            World(FakeGateway("requires_action")),
            _to_the_end,
            a_payment(hold=timedelta(minutes=30)),
        ),
        "nothing_new": Scenario(World(FakeGateway("requires_action")), _look_at_nothing_new),
        "money_on_its_way": Scenario(World(FakeGateway("processing")), _comes("succeeded")),
        "order_refused_at_first": Scenario(
            World(FakeGateway(), orders=FakeOrders(refused={"reserve"})),
            _to_the_end,
            _with_orders(),
        ),
        "order_gone_at_the_retry": Scenario(
            World(FakeGateway("generic_decline"), orders=FakeOrders(refused={"still_waits"})),
            _retry_once,
            _with_orders(),
        ),
        "order_refused_and_refunded": Scenario(
            _refunding("succeeded"), _to_the_end, _with_orders()
        ),
        "order_refused_and_refunded_slowly": Scenario(
            _refunding("pending", "pending", "succeeded"), _to_the_end, _with_orders()
        ),
        "refund_failed": Scenario(_refunding("failed"), _to_the_end, _with_orders()),
        "order_service_away": Scenario(
            World(
                FakeGateway("succeeded"),
                orders=FakeOrders(down={"reserve": 3, "confirm": 3}),
            ),
            _to_the_end,
            _with_orders(),
        ),
        "order_service_away_beyond_the_hold": Scenario(
            World(FakeGateway("succeeded"), orders=FakeOrders(down={"reserve": 10})),
            _to_the_end,
            _with_orders(timedelta(minutes=1)),
        ),
        "gateway_fault": Scenario(_troubled("succeeded", confirm=away * 3), _to_the_end),
        "gateway_away": Scenario(_troubled("succeeded", create=away * 17), _to_the_end),
        "gateway_away_beyond_the_hold": Scenario(
            _troubled(confirm=away * 40), _to_the_end, a_payment(hold=timedelta(minutes=3))
        ),
        "gateway_sticky_error": Scenario(
            _troubled("succeeded", confirm=[Trouble.STICKY]), _to_the_end
        ),
        "gateway_refuses_the_intent": Scenario(_troubled(create=[Trouble.REFUSED]), _to_the_end),
        "gateway_refuses_the_attempt": Scenario(_troubled(confirm=[Trouble.REFUSED]), _to_the_end),
        "gateway_refuses_a_look": Scenario(
            _troubled("requires_action", look=[Trouble.REFUSED] * 2), _refuse_a_look
        ),
        "other_amount": Scenario(World(FakeGateway("requires_action")), _mend_the_amount),
        "order_taken": Scenario(
            World(FakeGateway(), records=FakeRecords(order_taken_by="pay_first")), _to_the_end
        ),
        "run_canceled": Scenario(
            World(FakeGateway("requires_action")), _cancel_the_run, _with_orders()
        ),
        "run_canceled_and_refunded": Scenario(
            World(FakeGateway("requires_action")), _cancel_the_run_of_what_is_paid
        ),
    }


NAMES: Final = tuple(scenarios())
