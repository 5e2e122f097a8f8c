from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from paysaga.domain.payment import PaymentStatus
from paysaga.domain.saved_method import SavedMethodStatus
from tests.chaos.checker import RULES, judged
from tests.chaos.evidence import Answer, Evidence, Row, Run
from tests.chaos.forged import (
    GIVEN_BACK,
    GIVEN_UP,
    PAID,
    SET_UP,
    changed,
    charge,
    honest,
    page,
    request,
    seconds,
    with_payment,
)
from workflows.addresses import repair_id

Forgery = Callable[[Evidence], Evidence]


def _in_journal(*entries: dict[str, object]) -> Forgery:
    return lambda good: replace(good, journal=(*good.journal, *entries))


def _with_pages(*pages: Row) -> Forgery:
    return lambda good: replace(good, pages=pages)


def _with_intent(status: str, *pages: Row) -> Forgery:
    """Beside the payment's own intent the gateway has another one that claims to be its."""

    def forged(good: Evidence) -> Evidence:
        marks = {"payment_id": PAID, "attempt": "0"}
        other = {**good.intents[0], "id": "pi_2", "status": status, "metadata": marks}
        return replace(good, intents=(*good.intents, other), pages=pages)

    return forged


def _asked(step: str, status: int, **body: object) -> Forgery:
    answer = Answer("POST", f"/api/v1/payments{step}", "key-1", status, {"id": PAID, **body})
    return lambda good: replace(good, answers=(*good.answers, answer))


def _method(**changes: object) -> Forgery:
    return lambda good: replace(
        good, methods=tuple(method.model_copy(update=changes) for method in good.methods)
    )


def _told_of_methods(method: str, status: int, method_id: str) -> Forgery:
    path = f"/api/v1/payment-methods/{method_id}"
    answer = Answer(method, path, "key-1", status, {"id": method_id})
    return lambda good: replace(good, answers=(*good.answers, answer))


FORGERIES: Final[dict[str, tuple[int, Forgery]]] = {
    "an event that who follows them never heard": (
        10,
        lambda good: replace(good, heard=good.events[:-1]),
    ),
    "one that they heard twice": (
        10,
        lambda good: replace(good, heard=(*good.events, good.events[-1])),
    ),
    "events that they heard the other way round": (
        10,
        lambda good: replace(good, heard=good.events[::-1]),
    ),
    "an event that a sink never handed over": (
        10,
        lambda good: replace(good, delivered=good.events[1:]),
    ),
    "events that it handed over the other way round": (
        10,
        lambda good: replace(good, delivered=good.events[::-1]),
    ),
    "one that said something else when it came again": (
        10,
        lambda good: replace(good, delivered=(*good.events, good.events[0] | {"data": {}})),
    ),
    "saved twice": (12, lambda good: replace(good, set_ups=(SET_UP, {**SET_UP, "id": "seti_2"}))),
    "saved for nobody": (12, lambda good: replace(good, methods=())),
    "shown as saved, and detached": (
        12,
        lambda good: replace(good, cards=({"id": "pm_1", "customer": None},)),
    ),
    "shown as saved, and never set up": (
        12,
        lambda good: replace(good, set_ups=({**SET_UP, "status": "canceled"},)),
    ),
    "removed, and attached still": (12, _method(status=SavedMethodStatus.REMOVED)),
    "failed, and set up": (12, _method(status=SavedMethodStatus.FAILED)),
    "never saved to the end": (12, _method(status=SavedMethodStatus.REQUIRES_ACTION)),
    "a removal that stands still": (
        12,
        lambda good: replace(good, method_runs={"remove-mtd_1": "RUNNING"}),
    ),
    "a removal that was promised": (12, _told_of_methods("DELETE", 202, "mtd_1")),
    "a method that was promised": (12, _told_of_methods("POST", 201, "mtd_2")),
    "charged twice": (1, _in_journal(charge(PAID, object="ch_2"))),
    "charged another sum": (
        1,
        lambda good: replace(
            good, journal=changed(good.journal, {"object": f"ch_{PAID}"}, amount=1249)
        ),
    ),
    "charged for nobody's payment": (
        1,
        _in_journal(charge("pay_unknown", metadata={"payment_id": "pay_unknown"})),
    ),
    "gave back more than it took": (
        2,
        lambda good: replace(good, refunds=changed(good.refunds, {}, amount=1251)),
    ),
    "asked for too much": (
        2,
        _in_journal(request("refunds.create", f"{GIVEN_BACK}:give_back", "400")),
    ),
    "left at an operator": (
        3,
        lambda good: with_payment(good, PAID, status=PaymentStatus.NEEDS_OPERATOR),
    ),
    "still at work": (3, lambda good: replace(good, runs={**good.runs, PAID: Run("RUNNING")})),
    "failed": (3, lambda good: replace(good, runs={**good.runs, PAID: Run("FAILED")})),
    "left in mid-refund": (
        3,
        lambda good: with_payment(good, PAID, amount_refund_pending=1),
    ),
    "paid, and nobody told the shop": (
        3,
        lambda good: with_payment(good, PAID, fulfillment="pending"),
    ),
    "a run without a row": (
        3,
        lambda good: replace(good, runs={**good.runs, "pay_lost": Run("COMPLETED")}),
    ),
    "a repair left open": (
        3,
        lambda good: replace(good, runs={**good.runs, repair_id(PAID): Run("RUNNING")}),
    ),
    "waits beyond its deadline": (
        3,
        lambda good: with_payment(
            good,
            GIVEN_UP,
            status=PaymentStatus.REQUIRES_ACTION,
            action_until=seconds(60),
        ),
    ),
    "an attempt left open": (
        3,
        lambda good: replace(
            good, attempts=changed(good.attempts, {"payment_id": PAID}, status="started")
        ),
    ),
    "the workflow says otherwise": (
        4,
        lambda good: replace(
            good,
            runs={
                **good.runs,
                PAID: Run("COMPLETED", result=good.payments[0].model_copy(update={"version": 4})),
            },
        ),
    ),
    "the repair says otherwise": (
        4,
        lambda good: replace(
            good,
            runs={
                **good.runs,
                repair_id(PAID): Run(
                    "COMPLETED", result=good.payments[0].model_copy(update={"version": 4})
                ),
            },
        ),
    ),
    "the gateway says otherwise": (
        4,
        lambda good: replace(
            good, intents=changed(good.intents, {"id": f"pi_{PAID}"}, currency="usd")
        ),
    ),
    "the gateway does not know it": (4, lambda good: replace(good, intents=good.intents[1:])),
    "the gateway gave nothing back": (4, lambda good: replace(good, refunds=())),
    "an intent that nobody knows": (
        4,
        lambda good: replace(
            good, intents=(*good.intents, {**good.intents[0], "id": "pi_another"})
        ),
    ),
    "a transfer is missing": (5, lambda good: replace(good, transfers=good.transfers[1:])),
    "a transfer of a fraction": (
        5,
        lambda good: replace(good, transfers=changed(good.transfers, {}, amount=12.5)),
    ),
    "a ledger that can be rewritten": (
        5,
        lambda good: replace(good, changeable=("ledger_transfers",)),
    ),
    "a step is missing": (5, lambda good: replace(good, history=good.history[1:])),
    "a step that there is not": (
        5,
        lambda good: replace(good, history=changed(good.history, {"number": 2}, status="expired")),
    ),
    "confirmed before the money": (
        6,
        lambda good: replace(
            good, order_moves=changed(good.order_moves, {"status": "paid"}, at=0.0)
        ),
    ),
    "money without an order": (6, lambda good: replace(good, order_moves=())),
    "paid, and the order is open": (
        6,
        lambda good: replace(good, orders=changed(good.orders, {}, status="open")),
    ),
    "over, and the order is kept": (
        6,
        lambda good: replace(
            good,
            orders=changed(
                good.orders,
                {"order_id": f"order-{GIVEN_UP}"},
                status="reserved",
                payment_id=GIVEN_UP,
            ),
        ),
    ),
    "charged after the cancel": (7, _in_journal(charge(GIVEN_UP, at=60))),
    "could still be charged": (
        7,
        lambda good: replace(
            good, intents=changed(good.intents, {"id": f"pi_{GIVEN_UP}"}, status="requires_action")
        ),
    ),
    "one key, two payments": (
        9,
        lambda good: replace(
            good,
            answers=(
                *good.answers,
                replace(good.answers[0], body={**good.answers[0].body, "id": GIVEN_UP}),
            ),
        ),
    ),
    "a page left open": (7, _with_pages(page(GIVEN_UP, "open"))),
    "two pages open at once": (
        7,
        lambda good: _with_pages(
            page(PAID, "open"),
            page(PAID, "open", id="cs_2", metadata={"payment_id": PAID, "attempt": "2"}),
        )(with_payment(good, PAID, status=PaymentStatus.PROCESSING)),
    ),
    "a debit on its way after the end": (
        7,
        _with_intent("processing", page(PAID, payment_intent="pi_2")),
    ),
    "money on a page that no row knows": (
        4,
        _with_intent("succeeded", page(PAID, payment_intent="pi_2")),
    ),
    "an intent of no page": (4, _with_intent("canceled", page(PAID, payment_intent="pi_3"))),
    "an intent that nobody closed": (7, _with_intent("requires_payment_method")),
    "an answer of ours broke": (9, _asked("", 500)),
    "a retry forgotten": (9, _asked(f"/{PAID}/retry", 202)),
    "a payment that never was": (9, _asked("", 202, id="pay_never", order_id="order-0")),
    "a cancel without effect": (
        9,
        lambda good: _asked(f"/{PAID}/cancel", 202)(
            with_payment(good, PAID, status=PaymentStatus.PROCESSING)
        ),
    ),
    "an attempt that nobody asked for": (
        9,
        lambda good: with_payment(good, PAID, attempts_used=2),
    ),
    "acknowledged and not stored": (10, lambda good: replace(good, inbox=good.inbox[1:])),
    "acknowledged and left": (
        10,
        lambda good: replace(good, inbox=changed(good.inbox, {}, processed=False)),
    ),
    "stored twice": (10, lambda good: replace(good, inbox=(*good.inbox, good.inbox[0]))),
    "lost, and never found": (
        10,
        lambda good: replace(
            good,
            deliveries=changed(good.deliveries, {}, state="dropped"),
            inbox=good.inbox[1:],
        ),
    ),
    "acknowledged, and found by luck": (
        10,
        lambda good: replace(good, stored_at_once=frozenset()),
    ),
    "a forged event": (
        10,
        lambda good: replace(good, inbox=(*good.inbox, {"id": "evt_forged", "processed": True})),
    ),
    "an event of ours is missing": (10, lambda good: replace(good, events=good.events[1:])),
    "told in another order": (
        10,
        lambda good: replace(good, events=changed(good.events, {"sequence": 1}, position=99)),
    ),
    "the last event is not the last word": (
        10,
        lambda good: with_payment(good, PAID, description="another"),
    ),
    "an id that changes": (
        10,
        lambda good: replace(good, events=changed(good.events, {"sequence": 2}, id="evn_other")),
    ),
    "a key of its own for each try": (
        11,
        _in_journal(request("payment_intents.confirm", "4f5c8f0e")),
    ),
    "no key": (11, _in_journal(request("refunds.create", None))),
    "a new key after a lost connection": (
        11,
        _in_journal(
            request("payment_intents.confirm", f"{PAID}:confirm:2", "connection closed"),
            request("payment_intents.confirm", f"{PAID}:confirm:2:1", at=60),
        ),
    ),
    "a new key at once after a 500": (
        11,
        _in_journal(
            request("payment_intents.confirm", f"{PAID}:confirm:2", "500", at=5),
            request("payment_intents.confirm", f"{PAID}:confirm:2:1", at=6),
        ),
    ),
    "two tries of one attempt at the bank": (
        11,
        _in_journal(charge(PAID, "charge.failed", object="ch_2")),
    ),
    "two pages of one attempt": (11, _with_pages(page(PAID), page(PAID, id="cs_2"))),
    "a page at once after a 500": (
        11,
        _in_journal(
            request("checkout_sessions.create", f"{PAID}:page:1", "500", at=5),
            request("checkout_sessions.create", f"{PAID}:page:1:1", at=6),
        ),
    ),
    "two refunds of one payment": (
        11,
        lambda good: replace(
            good, refunds=tuple({**good.refunds[0], "id": f"re_{n}", "amount": 625} for n in (1, 2))
        ),
    ),
}


class TestHonesty:
    def test_an_honest_run_breaks_nothing(self) -> None:
        """The judge accuses nobody who did well."""
        assert [] == judged(honest())

    def test_a_repair_that_is_done_is_honest(self) -> None:
        """News came after the payment's end: its repair has looked at it."""
        good = honest()
        done = Run("COMPLETED", result=good.payments[0])

        assert [] == judged(replace(good, runs={**good.runs, repair_id(PAID): done}))

    def test_a_proved_new_key_is_honest(self) -> None:
        """After a 500 and the time to settle, a step may have its next key."""
        good = _in_journal(
            request("payment_intents.create", f"{PAID}:intent", "500", at=5),
            request("payment_intents.create", f"{PAID}:intent:1", at=26),
        )(honest())

        assert [] == judged(good)

    def test_what_came_to_nothing_on_a_page_is_honest(self) -> None:
        """The debit of the page before was sent back: no row names its intent any more."""
        pages = (page(PAID, payment_intent="pi_2"), page(GIVEN_UP, "expired"))

        good = _with_intent("requires_payment_method", *pages)(honest())

        assert [] == judged(good)

    def test_an_open_page_of_a_payment_under_way_is_honest(self) -> None:
        """Its customer is there."""
        good = _with_pages(page(PAID, "open"))(
            with_payment(honest(), PAID, status=PaymentStatus.PROCESSING)
        )

        assert 7 not in {complaint.rule for complaint in judged(good)}


class TestForgeries:
    @pytest.mark.parametrize("name", FORGERIES)
    def test_each_is_told(self, name: str) -> None:
        """What breaks a rule is told, under that rule."""
        rule, forge = FORGERIES[name]

        broken = judged(forge(honest()))

        assert rule in {complaint.rule for complaint in broken}, broken

    def test_no_rule_is_without_one(self) -> None:
        """A rule that nothing was ever seen to break may be blind."""
        assert set(RULES) == {rule for rule, _ in FORGERIES.values()}
