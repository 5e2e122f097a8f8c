"""The lives of a payment whose histories are kept: each new way through a workflow gets one."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from activities.errors import Trouble
from activities.sink_orders import Standing
from activities.stripe_audit import Movements
from paysaga.domain.checkout import LIFE, LONGER_AT_THE_GATEWAY, ON_THE_PAGE
from paysaga.domain.intent import CaptureMethod, IntentStatus
from paysaga.domain.payment import Payment, PaymentStatus, RequestMark
from paysaga.domain.reasons import Reason
from paysaga.domain.repairs import RepairKind
from paysaga.domain.sink import SinkReason
from tests.domain.test_reconciliation import books, shown
from tests.fake_checkout import PAGE, FakeCheckout
from tests.fake_holds import FakeHolds
from tests.fakes import NOON, PRICE, FakeGateway, FakeOrders, FakeRecords, a_payment, trouble
from tests.replay.methods import saved_methods
from tests.workflows.conftest import RepairRun, Running, World
from tests.workflows.drains import Drains, drained
from tests.workflows.inbox import FakeInbox, batches, pages
from tests.workflows.sides import Sides, moved
from tests.workflows.stories import (
    Story,
    gateway_in,
    lost_in_renewal,
    other_amount,
    refund_failed,
    story,
)
from workflows.repair import RepairWorkflow
from workflows.requests import Approval, RepairRequest

Play = Callable[[Running], Awaitable[object]]
RepairPlay = Callable[[RepairRun, FakeGateway], Awaitable[object]]


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


async def _capture(payment: Running) -> None:
    await payment.first_outcome()
    await payment.capture(500)
    await _to_the_end(payment)


async def _capture_later(payment: Running) -> None:
    await payment.first_outcome()
    await payment.sleep(timedelta(days=10))
    await _capture(payment)


async def _capture_in_vain(payment: Running) -> None:
    await payment.first_outcome()
    await payment.capture(500)
    await payment.cancel()
    await _to_the_end(payment)


async def _capture_slowly(payment: Running) -> None:
    gateway = payment.world.gateway
    gateway.captures.append("processing")
    await payment.first_outcome()
    await payment.capture(500)
    gateway.captured_by_hand(500)
    await payment.nudge()
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


async def _see_another_amount(payment: Running) -> None:
    gateway = payment.world.gateway
    await payment.first_outcome()
    other = gateway.intent.money.model_copy(update={"minor": 1})
    gateway.intent = gateway.intent.model_copy(update={"money": other})
    await payment.refresh()
    await _to_the_end(payment)


async def _refuse_a_look(payment: Running) -> None:
    await payment.first_outcome()
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


def _on_the_page(word: str, then: Play | None = None) -> Play:
    """The customer does this on the gateway's page, a webhook tells, and then the rest happens."""

    async def play(payment: Running) -> None:
        await payment.first_outcome()
        _page_of(payment).customer_does(word)
        await payment.nudge()
        await (then or _to_the_end)(payment)

    return play


async def _page_expires(payment: Running) -> None:
    """Nobody pays in time: the run closes the page, and the customer pays on the next."""
    await payment.first_outcome()
    await payment.pass_time_until(
        lambda: payment.world.records.state.status is PaymentStatus.AWAITING_RETRY
    )
    await payment.retry(ON_THE_PAGE)
    await _on_the_page("succeeded")(payment)


async def _capture_what_the_page_holds(payment: Running) -> None:
    await payment.refresh()
    await payment.capture(500)
    await _to_the_end(payment)


async def _bounce_and_pay_again(payment: Running) -> None:
    await payment.refresh()
    payment.world.gateway.becomes("insufficient_funds")
    await payment.refresh()
    await payment.retry(ON_THE_PAGE)
    await _on_the_page("succeeded")(payment)


async def _cancel_before_the_page(payment: Running) -> None:
    opening = payment.world.gateway.calls
    await payment.pass_time_until(lambda: opening.count("open") > 2, timedelta(seconds=1))
    await payment.cancel()
    await _to_the_end(payment)


def _page_of(payment: Running) -> FakeCheckout:
    gateway = payment.world.gateway
    assert isinstance(gateway, FakeCheckout)
    return gateway


def _hosted(
    *, capture_method: CaptureMethod = CaptureMethod.AUTOMATIC, has_order_service: bool = False
) -> Payment:
    return a_payment(page=PAGE, capture_method=capture_method, has_order_service=has_order_service)


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


def _manual(*, has_order_service: bool = False) -> Payment:
    return a_payment(capture_method=CaptureMethod.MANUAL, has_order_service=has_order_service)


def _renewed() -> Payment:
    """Held for as long as it takes."""
    return _manual().model_copy(update={"renew_hold_until": datetime(2099, 1, 1, tzinfo=UTC)})


def _held(**troubles: list[ApplicationError]) -> World:
    return World(FakeGateway("requires_capture", troubles=troubles))  # type: ignore[arg-type]


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
        "captured_in_part": Scenario(_held(), _capture, _manual(has_order_service=True)),
        "captured_slowly": Scenario(_held(), _capture_slowly, _manual()),
        "capture_refused_then_canceled": Scenario(
            _held(capture=[trouble(Trouble.REFUSED)]), _capture_in_vain, _manual()
        ),
        "hold_let_go": Scenario(_held(), _to_the_end, _manual(has_order_service=True)),
        "hold_renewed": Scenario(
            World(FakeHolds("requires_capture", "requires_capture")), _capture_later, _renewed()
        ),
        "hold_not_renewed": Scenario(
            World(FakeHolds("requires_capture", "insufficient_funds")), _to_the_end, _renewed()
        ),
        "hold_canceled_at_the_gateway": Scenario(_held(), _comes("canceled"), _manual()),
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
        "other_amount": Scenario(World(FakeGateway("requires_action")), _see_another_amount),
        "order_taken": Scenario(
            World(FakeGateway(), records=FakeRecords(order_taken_by="pay_first")), _to_the_end
        ),
        "page_paid": Scenario(
            World(FakeCheckout()), _on_the_page("succeeded"), _hosted(has_order_service=True)
        ),
        "page_expired_then_paid": Scenario(World(FakeCheckout()), _page_expires, _hosted()),
        "page_canceled": Scenario(World(FakeCheckout()), _cancel, _hosted(has_order_service=True)),
        "page_debit_bounced": Scenario(
            World(FakeCheckout()),
            _on_the_page("processing", _bounce_and_pay_again),
            _hosted(),
        ),
        "page_held_and_captured": Scenario(
            World(FakeCheckout()),
            _on_the_page("requires_capture", _capture_what_the_page_holds),
            _hosted(capture_method=CaptureMethod.MANUAL),
        ),
        "page_unheard_of_and_canceled": Scenario(
            World(FakeCheckout(troubles={"open": [trouble(Trouble.UNREACHABLE)] * 4})),
            _cancel_before_the_page,
            _hosted(),
        ),
        "run_canceled": Scenario(
            World(FakeGateway("requires_action")), _cancel_the_run, _with_orders()
        ),
        "run_canceled_and_refunded": Scenario(
            World(FakeGateway("requires_action")), _cancel_the_run_of_what_is_paid
        ),
    }


def sweeps() -> dict[str, FakeInbox]:
    """What the gateway's list and the inbox hold for each sweep."""
    return {
        "swept": FakeInbox(pages=pages(3, 1), batches=batches(100, 4)),
        "swept_without_gateway": FakeInbox(pages=pages(Trouble.STICKY), batches=batches(2)),
        "inbox_cleaned": FakeInbox(batches=batches(100, 7)),
        "swept_and_woken": FakeInbox(pages=pages(1), batches=batches(1)),
        "inbox_and_outbox_cleaned": FakeInbox(batches=batches(7), event_days=90),
    }


def sinks() -> dict[str, Drains]:
    """How each sink stands after each drain, until it is removed."""
    away = drained(Standing.WAITING, minutes=1, failing=True, behind=3, told="503")
    lane = drained(Standing.RESTING, minutes=5, delivered=4, lanes=1, told="500")
    return {
        "sink_drained": Drains(
            [drained(Standing.WORKING, delivered=2), drained(Standing.RESTING, delivered=3)]
        ),
        "sink_in_trouble": Drains([away, away, lane, drained(Standing.RESTING, delivered=5)]),
        "sink_paused": Drains([drained(Standing.PAUSED, behind=3, reason=SinkReason.GONE)]),
        "sink_settling": Drains(
            [drained(Standing.WORKING, behind=1), drained(Standing.WORKING, behind=1)]
        ),
    }


def comparisons() -> dict[str, Sides]:
    """What database, gateway and runs say for each reconciliation."""
    agreed, differs, blind = Sides([books()]), Sides([books()], [books(amount=7)]), Sides([books()])
    agreed.gateway = agreed.gateway.model_copy(
        update={"fee": PRICE.model_copy(update={"minor": 43})}
    )
    differs.gateway = shown(amount=1)
    differs.movements = [Movements(movements=(moved(),), count=1)]
    blind.troubles = 9
    return {
        "reconciled": agreed,
        "reconciled_with_drift": differs,
        "reconciled_without_gateway": blind,
    }


@dataclass
class RepairScenario:
    """How a parked payment stands, and what people do about it until it needs nobody any more."""

    world: World
    play: RepairPlay


def _repair(kind: RepairKind, **facts: Any) -> RepairRequest:
    mark = RequestMark(key=kind, fingerprint=kind)
    return RepairRequest(
        kind=kind, why="the bank says so", actor="admin:alice", request=mark, **facts
    )


def _decide(*decisions: RepairRequest) -> RepairPlay:
    async def play(run: RepairRun, _: FakeGateway) -> None:
        for decision in decisions:
            with suppress(WorkflowUpdateFailedError):  # some are refused
                await run.execute_update(RepairWorkflow.repair, decision)

    return play


async def _put_right(run: RepairRun, gateway: FakeGateway) -> None:
    await _decide(_repair(RepairKind.MARK_FAILED, evidence="a letter"))(run, gateway)
    gateway.becomes("succeeded")
    await run.signal(RepairWorkflow.nudged)


async def _agree_with_a_refund(run: RepairRun, _: FakeGateway) -> None:
    proposed = await run.execute_update(
        RepairWorkflow.repair, _repair(RepairKind.REFUND, needs_approval=True)
    )
    mark = RequestMark(key="agreed", fingerprint="agreed")
    agreed = Approval(
        proposal=proposed.version, why="I have seen it", actor="admin:bob", request=mark
    )
    await run.execute_update(RepairWorkflow.approve, agreed)


def repairs() -> dict[str, RepairScenario]:
    """All of them, new each time. Each payment's id is made of its scenario's name."""
    other, failed = FakeGateway(), FakeGateway()
    other_amount(other)
    unshown = gateway_in("succeeded", refusals=("look",))
    found = gateway_in("succeeded")
    undecided = _uncancelable().gateway
    page = FakeCheckout()
    page.opens(NOON + LIFE + LONGER_AT_THE_GATEWAY)
    return {
        "page_repaired": RepairScenario(
            Story(_hosted().model_copy(update={"id": "pay_page_repaired"})).in_a_world(page),
            _decide(
                _repair(RepairKind.MARK_SUCCEEDED, evidence="a letter"),
                _repair(RepairKind.ABANDON),
            ),
        ),
        "repaired_at_the_gateway": RepairScenario(
            _parked("repaired_at_the_gateway").in_a_world(undecided), _put_right
        ),
        "repaired_by_two": RepairScenario(
            _parked("repaired_by_two").in_a_world(other), _agree_with_a_refund
        ),
        "repaired_by_evidence": RepairScenario(
            _parked("repaired_by_evidence").sees(unshown.intent).in_a_world(unshown),
            _decide(_repair(RepairKind.MARK_SUCCEEDED, evidence="a letter")),
        ),
        "repaired_by_what_was_found": RepairScenario(
            story("pay_repaired_by_what_was_found").in_a_world(found), _decide()
        ),
        "renewal_lost": RepairScenario(
            lost_in_renewal(FakeHolds(), "pay_renewal_lost"), _decide(_repair(RepairKind.ABANDON))
        ),
        "refund_given_up": RepairScenario(
            refund_failed(failed, "pay_refund_given_up").in_a_world(failed),
            _decide(_repair(RepairKind.LOOK_AGAIN), _repair(RepairKind.ABANDON)),
        ),
    }


def _parked(name: str) -> Story:
    return story(f"pay_{name}", has_order=True).parks()


NAMES: Final = (
    *scenarios(),
    *sweeps(),
    *sinks(),
    *repairs(),
    *comparisons(),
    *saved_methods(),
)
