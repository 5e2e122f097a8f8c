"""An honest run's evidence, small enough to read: one paid, one given up, one given back."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from paysaga.domain.ids import EVENT, derived
from paysaga.domain.money import Money
from paysaga.domain.payment import Fulfillment, PaymentState, PaymentStatus
from paysaga.domain.reasons import Reason
from tests.chaos.evidence import Answer, Evidence, Row, Run
from tests.saved import saved

AT: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)
PAID: Final = "pay_" + 25 * "a" + "2"
GIVEN_UP: Final = "pay_" + 25 * "b" + "2"
GIVEN_BACK: Final = "pay_" + 25 * "c" + "2"
SET_UP: Final[Row] = {"id": "seti_1", "status": "succeeded", "metadata": {"method_id": "mtd_1"}}


def honest() -> Evidence:
    """Nothing is wrong here."""
    stories = [
        _story(PAID, PaymentStatus.SUCCEEDED, captured=1250),
        _story(GIVEN_UP, PaymentStatus.CANCELED),
        _story(GIVEN_BACK, PaymentStatus.SUCCEEDED, captured=1250, refunded=1250),
    ]
    gathered: dict[str, Any] = {}
    for story in stories:
        for name, value in story.items():
            known = gathered.get(name)
            gathered[name] = value if known is None else known + value
    runs = {p.id: Run("COMPLETED", result=p) for p in gathered["payments"]}
    events = tuple({**row, "position": place} for place, row in enumerate(gathered.pop("events")))
    return Evidence(
        at=AT + timedelta(hours=1),
        runs=runs,
        events=events,
        heard=events,
        delivered=(*events, events[0]),
        methods=(saved("mtd_1"),),
        set_ups=(SET_UP,),
        cards=({"id": "pm_1", "customer": "cus_1"},),
        method_runs={"mtd_1": "COMPLETED"},
        **gathered,
    )


def with_payment(evidence: Evidence, payment_id: str, **changes: Any) -> Evidence:
    """The same, but the row (and the workflow's answer) of one payment are others."""

    def changed(payment: PaymentState) -> PaymentState:
        return payment.model_copy(update=changes) if payment.id == payment_id else payment

    runs = {
        run_id: replace(run, result=run.result and changed(run.result))
        for run_id, run in evidence.runs.items()
    }
    return replace(evidence, payments=tuple(map(changed, evidence.payments)), runs=runs)


def changed(rows: Iterable[Row], where: Row, **changes: Any) -> tuple[Row, ...]:
    """The rows, with those that match `where` changed."""
    return tuple({**row, **changes} if where.items() <= row.items() else row for row in rows)


def seconds(count: float) -> datetime:
    """So long after the beginning."""
    return AT + timedelta(seconds=count)


def request(operation: str, key: str | None, outcome: str = "200", at: float = 2) -> Row:
    """A POST as the gateway's journal has it."""
    return {
        "kind": "request",
        "at": seconds(at).timestamp(),
        "operation": operation,
        "idempotency_key": key,
        "outcome": outcome,
    }


def charge(payment_id: str, kind: str = "charge.captured", at: float = 3, **more: Any) -> Row:
    """Money moved at the gateway."""
    return {
        "kind": kind,
        "at": seconds(at).timestamp(),
        "object": f"ch_{payment_id}",
        "payment_intent": f"pi_{payment_id}",
        "amount": 1250,
        "metadata": {"payment_id": payment_id, "order_id": f"order-{payment_id}"},
        "idempotency_key": f"{payment_id}:confirm:1",
        **more,
    }


def page(payment_id: str, status: str = "complete", **more: Any) -> Row:
    """A hosted page of that payment."""
    return {
        "id": f"cs_{payment_id}",
        "status": status,
        "payment_intent": None,
        "metadata": {"payment_id": payment_id, "attempt": "1"},
        **more,
    }


def _story(
    payment_id: str, status: PaymentStatus, *, captured: int = 0, refunded: int = 0
) -> dict[str, Any]:
    state = _state(payment_id, status, captured, refunded)
    steps = _steps(state)
    order_id = state.order_id
    keeps = captured > refunded
    moves = ["reserved", "paid" if keeps else "open"]
    return {
        "journal": (
            request("payment_intents.create", f"{payment_id}:intent"),
            request("payment_intents.confirm", f"{payment_id}:confirm:1"),
            *((charge(payment_id, "charge.authorized"), charge(payment_id)) if captured else ()),
            *((request("refunds.create", f"{payment_id}:give_back"),) if refunded else ()),
        ),
        "intents": (_intent(state),),
        "refunds": (_refund(state),) if refunded else (),
        "deliveries": ({"event": f"evt_{payment_id}", "state": "delivered"},),
        "gateway_events": ({"id": f"evt_{payment_id}", "type": "payment_intent.succeeded"},),
        "payments": (state,),
        "attempts": ({"payment_id": payment_id, "number": 1, "status": "succeeded"},),
        "history": steps,
        "transfers": _transfers(state),
        "events": _events(state),
        "inbox": ({"id": f"evt_{payment_id}", "processed": True},),
        "orders": (
            {
                "order_id": order_id,
                "status": moves[-1],
                "payment_id": payment_id if keeps else None,
            },
        ),
        "order_moves": tuple(
            {
                "at": seconds(1 + 4 * place).timestamp(),
                "order_id": order_id,
                "payment_id": payment_id if status != "open" else None,
                "status": status,
            }
            for place, status in enumerate(moves)
        ),
        "answers": (
            Answer(
                "POST",
                "/api/v1/payments",
                f"start-{payment_id}",
                201,
                {"id": payment_id, "order_id": order_id},
            ),
        ),
    }


def _state(payment_id: str, status: PaymentStatus, captured: int, refunded: int) -> PaymentState:
    paid = status is PaymentStatus.SUCCEEDED
    return PaymentState(
        id=payment_id,
        version=3,
        order_id=f"order-{payment_id}",
        customer_id="cst_1",
        money=Money(minor=1250, currency="EUR"),
        status=status,
        reason=Reason.PAID if paid else Reason.CANCEL_REQUESTED,
        return_url="https://shop.example/return",
        request_fingerprint="f",
        correlation_id="c",
        attempts_used=1,
        attempts_allowed=3,
        retry_until=AT + timedelta(hours=24),
        intent_id=f"pi_{payment_id}",
        gateway_customer_id="cus_1",
        charge_id=f"ch_{payment_id}" if captured else None,
        fulfillment=Fulfillment.REFUSED if refunded else Fulfillment.CONFIRMED,
        amount_captured=captured,
        amount_refunded=refunded,
        created_at=AT,
        updated_at=seconds(4),
    )


def _steps(state: PaymentState) -> tuple[Row, ...]:
    statuses = [PaymentStatus.CREATED, PaymentStatus.PROCESSING, state.status]
    return tuple(
        {
            "payment_id": state.id,
            "number": number,
            "status": status.value,
            "reason": state.reason.value,
            "request_key": None,
            "at": seconds(number + 1),
        }
        for number, status in enumerate(statuses, start=1)
    )


def _events(state: PaymentState) -> tuple[Row, ...]:
    return tuple(
        {
            "object_id": state.id,
            "sequence": number,
            "id": derived(EVENT, state.id, str(number)),
            "data": state.model_dump(mode="json"),
        }
        for number in range(1, state.version + 1)
    )


def _transfers(state: PaymentState) -> tuple[Row, ...]:
    ways = [
        ("gateway_clearing", "revenue", state.amount_captured),
        ("refunds", "gateway_clearing", state.amount_refunded),
    ]
    return tuple(
        {"payment_id": state.id, "debit": debit, "credit": credit, "amount": amount}
        for debit, credit, amount in ways
        if amount
    )


def _intent(state: PaymentState) -> Row:
    return {
        "id": state.intent_id,
        "status": "succeeded" if state.amount_captured else "canceled",
        "amount": 1250,
        "currency": "eur",
        "amount_received": state.amount_captured,
        "customer": "cus_1",
        "latest_charge": state.charge_id,
        "metadata": {"payment_id": state.id},
    }


def _refund(state: PaymentState) -> Row:
    return {
        "id": f"re_{state.id}",
        "status": "succeeded",
        "amount": state.amount_refunded,
        "payment_intent": state.intent_id,
        "metadata": {"payment_id": state.id},
    }
