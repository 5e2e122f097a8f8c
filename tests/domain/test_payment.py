"""The payment's rules: examples of each, and a machine that tries every order of them."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from paysaga.domain import captures
from paysaga.domain import transitions as rules
from paysaga.domain.declines import DECLINES, decline_for
from paysaga.domain.intent import CaptureMethod, Intent, IntentStatus, MethodFacts
from paysaga.domain.ledger import Account
from paysaga.domain.money import Money
from paysaga.domain.payment import (
    FINAL,
    HOLDS_ORDER,
    MOVES,
    Attempt,
    AttemptStatus,
    Change,
    Fulfillment,
    PaymentState,
    PaymentStatus,
    RequestMark,
)
from paysaga.domain.reasons import Reason
from paysaga.domain.steps import IllegalMove, moved
from tests.fakes import NOON, PRICE, a_payment, begun_by, told

S = PaymentStatus
I = IntentStatus  # noqa: E741 - beside S it reads as what it is
WINDOW = timedelta(minutes=15)
PART = 500
TIMEOUT = decline_for("authentication_timeout")
MARK = RequestMark(key="retry-1", fingerprint="fingerprint-2")

# product.md, "State machines", written out once more: the code's table must say the same.
OPEN = {S.CREATED, S.PROCESSING, S.REQUIRES_ACTION, S.AWAITING_RETRY, S.AUTHORIZED}
OVER = {S.SUCCEEDED, S.FAILED, S.EXPIRED, S.CANCELED}
THE_WAYS = {
    (S.CREATED, S.PROCESSING),
    (S.PROCESSING, S.REQUIRES_ACTION),
    (S.PROCESSING, S.AWAITING_RETRY),
    (S.PROCESSING, S.AUTHORIZED),
    (S.PROCESSING, S.SUCCEEDED),
    (S.REQUIRES_ACTION, S.PROCESSING),
    (S.AWAITING_RETRY, S.PROCESSING),
    (S.AWAITING_RETRY, S.FAILED),
    (S.AWAITING_RETRY, S.EXPIRED),
    (S.AWAITING_RETRY, S.SUCCEEDED),
    (S.AWAITING_RETRY, S.AUTHORIZED),
    (S.AUTHORIZED, S.SUCCEEDED),
    (S.AUTHORIZED, S.EXPIRED),
    *((status, S.CANCELED) for status in OPEN),
    *((status, S.NEEDS_OPERATOR) for status in OPEN | OVER),
    *((S.NEEDS_OPERATOR, status) for status in OVER | {S.PROCESSING}),
}

methods = st.builds(MethodFacts, kind=st.just("card"), last4=st.sampled_from(["4242", "0005"]))
declines = st.sampled_from(sorted(DECLINES)).map(decline_for)
ours = st.just(PRICE)
others = st.builds(
    Money, minor=st.integers(min_value=1, max_value=5000), currency=st.sampled_from(["EUR", "USD"])
).filter(lambda money: money != PRICE)


@st.composite
def intents(draw: st.DrawFn, money: st.SearchStrategy[Money] = ours | others) -> Intent:
    """Anything that the gateway may say of an intent, ours or mixed up."""
    status = draw(st.sampled_from(IntentStatus))
    worth = draw(money)
    return Intent(
        id="pi_1",
        status=status,
        money=worth,
        received=worth.minor if status is I.SUCCEEDED else 0,
        capturable=worth.minor if status is I.REQUIRES_CAPTURE else 0,
        customer_id=draw(st.none() | st.just("cus_1")),
        charge_id=draw(st.none() | st.sampled_from(["ch_1", "ch_2"])),
        action_url="https://gateway.example/3ds" if status is I.REQUIRES_ACTION else None,
        decline=draw(st.none() | declines) if status is I.REQUIRES_PAYMENT_METHOD else None,
        method=draw(st.none() | methods),
    )


def an_intent(status: IntentStatus, **facts: object) -> Intent:
    received = PRICE.minor if status is I.SUCCEEDED else 0
    intent = Intent(id="pi_1", status=status, money=PRICE, received=received, charge_id="ch_1")
    return intent.model_copy(update=facts)


def begun(attempts: int = 3, *, has_order_service: bool = False) -> tuple[PaymentState, Attempt]:
    """A payment whose first attempt is at the gateway."""
    payment = a_payment(attempts=attempts, has_order_service=has_order_service)
    change, attempt = begun_by(
        rules.attempted(
            rules.opened(payment, NOON).state, payment.method, NOON, actor=payment.actor
        )
    )
    return change.state, attempt


def after(*seen: Intent, has_order_service: bool = False) -> tuple[PaymentState, Attempt]:
    """The same payment after the gateway said these things."""
    state, attempt = begun(has_order_service=has_order_service)
    for intent in seen:
        changes, attempt = told(rules.observed(state, intent, attempt, NOON, WINDOW), attempt)
        state = changes[-1].state
    return state, attempt


def with_action() -> tuple[PaymentState, Attempt]:
    return after(an_intent(I.REQUIRES_ACTION, action_url="https://gateway.example/3ds"))


def declined() -> tuple[PaymentState, Attempt]:
    return after(an_intent(I.REQUIRES_PAYMENT_METHOD, decline=decline_for("expired_card")))


def paid(*, has_order_service: bool = False) -> PaymentState:
    return after(an_intent(I.SUCCEEDED), has_order_service=has_order_service)[0]


def in_status(status: PaymentStatus) -> PaymentState:
    return begun()[0].model_copy(update={"status": status})


def statuses(*changes: Change) -> list[PaymentStatus]:
    return [change.state.status for change in changes]


class TestStateMachine:
    def test_moves_are_those_of_the_product_page(self) -> None:
        """The code's table and the product's state machine are one and the same."""
        moves = {(origin, goal) for origin, goals in MOVES.items() for goal in goals}

        assert THE_WAYS == moves

    def test_every_status_has_its_row(self) -> None:
        """No status is forgotten: each has its ways on."""
        assert set(PaymentStatus) == set(MOVES)

    def test_final_states_are_left_only_for_an_operator(self) -> None:
        """What is over stays over, unless it turns out to be unprovable."""
        assert OVER == FINAL
        assert {S.NEEDS_OPERATOR} == set().union(*(MOVES[status] for status in FINAL))

    def test_order_is_held_until_the_payment_came_to_nothing(self) -> None:
        """Open, parked and paid payments keep the order's slot; the others free it."""
        assert OPEN | {S.NEEDS_OPERATOR, S.SUCCEEDED} == HOLDS_ORDER

    @given(st.sampled_from(PaymentStatus), st.sampled_from(PaymentStatus))
    def test_no_other_way_is_taken(self, origin: PaymentStatus, goal: PaymentStatus) -> None:
        """A step that the table does not have is a bug, and is told as one."""
        if origin is goal or (origin, goal) in THE_WAYS:
            after = moved(in_status(origin), goal, Reason.STARTED, NOON)
            assert goal is after.status
        else:
            with pytest.raises(IllegalMove, match=f"from {origin} to {goal}"):
                moved(in_status(origin), goal, Reason.STARTED, NOON)


class TestState:
    @pytest.mark.parametrize("status", PaymentStatus)
    def test_only_the_ends_are_final(self, status: PaymentStatus) -> None:
        """Four states are final; a parked payment is over, too, until a person acts."""
        state = in_status(status)

        assert (status in OVER) is state.is_final
        assert (status in OVER | {S.NEEDS_OPERATOR}) is state.is_over

    @pytest.mark.parametrize("status", PaymentStatus)
    def test_final_payment_has_no_attempt_left(self, status: PaymentStatus) -> None:
        """One of three is used; nobody is promised another once the money is held, or over."""
        left = in_status(status).attempts_left

        assert (0 if status in OVER | {S.AUTHORIZED} else 2) == left

    def test_attempts_left_is_never_negative(self) -> None:
        """A limit that was lowered below what is used leaves none, not less than none."""
        state = begun()[0].model_copy(update={"attempts_used": 5})

        assert 0 == state.attempts_left

    @pytest.mark.parametrize(
        ("status", "reason", "settled"),
        [
            (S.CREATED, Reason.STARTED, False),
            (S.PROCESSING, Reason.STARTED, False),
            (S.PROCESSING, Reason.GATEWAY_UNREACHABLE, False),
            (S.PROCESSING, Reason.GATEWAY_PROCESSING, True),
            (S.REQUIRES_ACTION, Reason.AUTHENTICATION_REQUIRED, True),
            (S.AWAITING_RETRY, Reason.DECLINED, True),
            (S.NEEDS_OPERATOR, Reason.GATEWAY_MISMATCH, True),
            (S.SUCCEEDED, Reason.PAID, True),
            (S.FAILED, Reason.ATTEMPTS_USED_UP, True),
        ],
    )
    def test_settled_means_an_answer_for_the_customer(
        self, status: PaymentStatus, reason: Reason, *, settled: bool
    ) -> None:
        """An outcome, a next step or a next try is an answer; an attempt under way is none."""
        state = in_status(status).model_copy(update={"reason": reason})

        assert settled is state.is_settled

    def test_last_decline_is_no_answer_yet(self) -> None:
        """With no attempt left the end follows at once, and that is the answer."""
        state = in_status(S.AWAITING_RETRY).model_copy(update={"attempts_used": 3})

        assert not state.is_settled


class TestOpened:
    def test_first_row_repeats_the_request(self) -> None:
        """Version 1 is what was asked for; nothing has happened yet."""
        payment = a_payment(hold=timedelta(hours=2))

        change = rules.opened(payment, NOON)

        state = change.state
        assert (1, S.CREATED, Reason.STARTED) == (state.version, state.status, state.reason)
        assert (payment.id, payment.order_id, payment.money) == (
            state.id,
            state.order_id,
            state.money,
        )
        assert (0, 3, NOON + timedelta(hours=2)) == (
            state.attempts_used,
            state.attempts_allowed,
            state.retry_until,
        )
        assert (payment.actor, payment.request) == (change.actor, change.request)
        assert ((), None) == (change.transfers, change.attempt)

    @pytest.mark.parametrize(
        ("has_order_service", "fulfillment"), [(True, Fulfillment.PENDING), (False, None)]
    )
    def test_fulfillment_is_for_orders_only(
        self, fulfillment: Fulfillment | None, *, has_order_service: bool
    ) -> None:
        """Without an order service nobody confirms anything."""
        state = rules.opened(a_payment(has_order_service=has_order_service), NOON).state

        assert fulfillment is state.fulfillment


class TestAttempted:
    def test_first_attempt_starts_the_payment(self) -> None:
        """The first attempt is the start itself, not a retry."""
        opened = rules.opened(a_payment(), NOON).state

        change, attempt = begun_by(rules.attempted(opened, "pm_1", NOON, actor="service:shop"))

        assert (S.PROCESSING, Reason.STARTED, 1) == (
            change.state.status,
            change.state.reason,
            change.state.attempts_used,
        )
        assert (1, "pm_1", AttemptStatus.STARTED) == (
            attempt.number,
            attempt.method,
            attempt.status,
        )
        assert attempt == change.attempt

    def test_retry_forgets_the_last_decline(self) -> None:
        """While the next attempt is under way the customer is not shown the last one's failure."""
        state, _ = declined()

        change, attempt = begun_by(
            rules.attempted(state, "pm_2", NOON, actor="customer:1", request=MARK)
        )

        assert (Reason.RETRIED, None) == (change.state.reason, change.state.decline)
        assert (2, "customer:1", MARK) == (attempt.number, change.actor, change.request)

    def test_none_left_is_refused(self) -> None:
        """A fourth attempt of three is a bug."""
        state = declined()[0].model_copy(update={"attempts_used": 3})

        with pytest.raises(IllegalMove, match="no attempt left"):
            rules.attempted(state, "pm_4", NOON, actor="customer:1")

    @pytest.mark.parametrize("status", sorted(OVER))
    def test_final_payment_takes_none(self, status: PaymentStatus) -> None:
        """What is over is not tried again."""
        with pytest.raises(IllegalMove):
            rules.attempted(in_status(status), "pm_2", NOON, actor="customer:1")


class TestNoted:
    def test_reason_changes_alone(self) -> None:
        """The status stays; why it stands so is news."""
        state, _ = begun()

        (change,) = rules.noted(state, Reason.GATEWAY_UNREACHABLE, NOON)

        assert (S.PROCESSING, Reason.GATEWAY_UNREACHABLE, 3) == (
            change.state.status,
            change.state.reason,
            change.state.version,
        )

    def test_same_reason_is_no_news(self) -> None:
        """The tenth failed call writes no tenth row."""
        state, _ = begun()

        assert () == rules.noted(state, state.reason, NOON)


class TestObserved:
    def test_success_captures_the_amount(self) -> None:
        """The money is there: amount, charge and transfer are written with the status."""
        state, attempt = begun()
        method = MethodFacts(kind="card", brand="visa", last4="4242", funding="credit")
        intent = an_intent(I.SUCCEEDED, customer_id="cus_1", method=method)

        (change,), won = told(rules.observed(state, intent, attempt, NOON, WINDOW), attempt)

        assert (S.SUCCEEDED, Reason.PAID, 1250) == (
            change.state.status,
            change.state.reason,
            change.state.amount_captured,
        )
        assert ("pi_1", "ch_1", "cus_1", method) == (
            change.state.intent_id,
            change.state.charge_id,
            change.state.gateway_customer_id,
            change.state.method,
        )
        assert (AttemptStatus.SUCCEEDED, "ch_1", NOON) == (won.status, won.charge_id, won.ended_at)
        assert [1250] == [transfer.amount for transfer in change.transfers]

    def test_action_waits_within_the_hold(self) -> None:
        """The customer has the window for 3DS, but never longer than the hold."""
        state, attempt = begun()
        intent = an_intent(I.REQUIRES_ACTION, action_url="https://gateway.example/3ds")

        (change,), waiting = told(rules.observed(state, intent, attempt, NOON, WINDOW), attempt)
        (bounded,) = rules.observed(state, intent, attempt, NOON, timedelta(days=2))

        assert (S.REQUIRES_ACTION, "https://gateway.example/3ds", NOON + WINDOW) == (
            change.state.status,
            change.state.action_url,
            change.state.action_until,
        )
        assert AttemptStatus.REQUIRES_ACTION is waiting.status
        assert state.retry_until == bounded.state.action_until

    def test_success_after_an_action_goes_through_processing(self) -> None:
        """`requires_action` leads to `processing` first, as the state machine has it."""
        state, attempt = with_action()

        changes = rules.observed(state, an_intent(I.SUCCEEDED), attempt, NOON, WINDOW)

        assert [S.PROCESSING, S.SUCCEEDED] == statuses(*changes)
        assert [Reason.ACTION_ENDED, Reason.PAID] == [change.state.reason for change in changes]
        assert (None, None) == (changes[0].state.action_url, changes[0].state.action_until)

    def test_decline_keeps_the_order(self) -> None:
        """A decline gives the payment back to the customer, with its reason in our words."""
        state, attempt = begun()
        decline = decline_for("insufficient_funds")
        intent = an_intent(I.REQUIRES_PAYMENT_METHOD, decline=decline)

        (change,), lost = told(rules.observed(state, intent, attempt, NOON, WINDOW), attempt)

        assert (S.AWAITING_RETRY, Reason.DECLINED, decline) == (
            change.state.status,
            change.state.reason,
            change.state.decline,
        )
        assert (AttemptStatus.DECLINED, "insufficient_funds", "ch_1") == (
            lost.status,
            lost.decline_code,
            lost.charge_id,
        )

    def test_unexplained_decline_is_one_too(self) -> None:
        """An intent that waits for a confirmation again has not been paid, whatever the reason."""
        state, attempt = begun()

        (change,), lost = told(
            rules.observed(state, an_intent(I.REQUIRES_CONFIRMATION), attempt, NOON, WINDOW),
            attempt,
        )

        assert (S.AWAITING_RETRY, None, None) == (
            change.state.status,
            change.state.decline,
            lost.decline_code,
        )

    def test_money_on_its_way_is_waited_for(self) -> None:
        """The gateway decides later; from a 3DS the payment leaves its action behind."""
        state, attempt = with_action()

        (change,), same = told(
            rules.observed(state, an_intent(I.PROCESSING), attempt, NOON, WINDOW), attempt
        )

        assert (S.PROCESSING, Reason.GATEWAY_PROCESSING, None) == (
            change.state.status,
            change.state.reason,
            change.state.action_url,
        )
        assert attempt == same

    def test_late_success_counts(self) -> None:
        """3DS finished after its deadline: the attempt that was given up has paid after all."""
        state, attempt = with_action()
        changes, over = told(rules.timed_out(state, attempt, TIMEOUT, NOON + WINDOW), attempt)

        (change,), won = told(
            rules.observed(changes[-1].state, an_intent(I.SUCCEEDED), over, NOON, WINDOW), over
        )

        assert (S.SUCCEEDED, AttemptStatus.SUCCEEDED) == (change.state.status, won.status)

    @pytest.mark.parametrize(
        "money", [Money(minor=1249, currency="EUR"), Money(minor=1250, currency="USD")]
    )
    @pytest.mark.parametrize("status", IntentStatus)
    def test_other_amount_or_currency_never_captures(
        self, status: IntentStatus, money: Money
    ) -> None:
        """What is not our price decides nothing: the payment parks for a person."""
        state, attempt = begun()
        intent = an_intent(status, money=money, received=money.minor)

        (change,), same = told(rules.observed(state, intent, attempt, NOON, WINDOW), attempt)

        assert (S.NEEDS_OPERATOR, Reason.GATEWAY_MISMATCH, 0, ()) == (
            change.state.status,
            change.state.reason,
            change.state.amount_captured,
            change.transfers,
        )
        assert attempt == same

    def test_capture_that_we_never_ask_for_parks(self) -> None:
        """An intent that waits for a capture is not of our making."""
        state, attempt = begun()

        (change,) = rules.observed(state, an_intent(I.REQUIRES_CAPTURE), attempt, NOON, WINDOW)

        assert S.NEEDS_OPERATOR is change.state.status

    def test_parked_payment_finds_its_way_back(self) -> None:
        """Once the gateway's word fits again, it counts; a further 3DS is left to the operator."""
        state, attempt = after(an_intent(I.SUCCEEDED, money=Money(minor=1, currency="EUR")))

        paid_after_all = rules.observed(state, an_intent(I.SUCCEEDED), attempt, NOON, WINDOW)
        nothing = rules.observed(state, an_intent(I.REQUIRES_ACTION), attempt, NOON, WINDOW)

        assert [S.PROCESSING, S.SUCCEEDED] == statuses(*paid_after_all)
        assert () == nothing

    def test_canceled_intent_is_no_outcome_of_an_attempt(self) -> None:
        """A canceled intent ends the payment, which is another question."""
        state, attempt = begun()

        with pytest.raises(IllegalMove, match="not an outcome"):
            rules.observed(state, an_intent(I.CANCELED), attempt, NOON, WINDOW)

    @pytest.mark.parametrize("status", [S.FAILED, S.EXPIRED, S.CANCELED])
    def test_money_for_a_closed_payment_needs_a_person(self, status: PaymentStatus) -> None:
        """The gateway's cancel is proved before the end is written, so this should not be."""
        _, attempt = begun()

        changes = rules.observed(in_status(status), an_intent(I.SUCCEEDED), attempt, NOON, WINDOW)

        assert [S.NEEDS_OPERATOR] == statuses(*changes)

    @given(intents(), st.sampled_from([begun, with_action, declined]))
    def test_repeated_word_changes_nothing(
        self, intent: Intent, origin: Callable[[], tuple[PaymentState, Attempt]]
    ) -> None:
        """Twenty copies of a webhook lead to one change: the second look finds no news."""
        state, attempt = origin()
        if intent.status is I.CANCELED and intent.money == PRICE:
            return

        changes, attempt = told(rules.observed(state, intent, attempt, NOON, WINDOW), attempt)
        now = changes[-1].state if changes else state
        again = (
            ()
            if now.is_final
            else rules.observed(now, intent, attempt, NOON + timedelta(hours=1), WINDOW)
        )

        assert () == again

    def test_paid_payment_is_not_paid_again(self) -> None:
        """A look at what is paid already books no second capture."""
        state, attempt = after(an_intent(I.SUCCEEDED))

        changes = rules.observed(state, an_intent(I.SUCCEEDED), attempt, NOON, WINDOW)

        assert () == changes

    @pytest.mark.parametrize("received", [1, 1249, 1251])
    def test_other_sum_received_parks(self, received: int) -> None:
        """The price fits but another sum came in: that is for a person, not for the books."""
        state, attempt = begun()

        changes = rules.observed(
            state, an_intent(I.SUCCEEDED, received=received), attempt, NOON, WINDOW
        )

        assert [S.NEEDS_OPERATOR] == statuses(*changes)


class TestAttemptAfter:
    def test_there_must_be_one(self) -> None:
        """Asking for an attempt before the first began is a bug."""
        with pytest.raises(ValueError, match="no attempt"):
            rules.attempt_after(())


class TestRefusedMethod:
    def test_old_page_is_not_the_new_attempts(self) -> None:
        """The new method is refused while the bank's page of the old one is open: a decline."""
        state, attempt = begun()
        told_no = an_intent(I.REQUIRES_ACTION).model_copy(update={"decline": TIMEOUT})

        changes, over = told(rules.observed(state, told_no, attempt, NOON, WINDOW), attempt)

        assert [S.AWAITING_RETRY] == statuses(*changes)
        assert AttemptStatus.DECLINED is over.status
        assert changes[-1].state.action_url is None


class TestTimedOut:
    def test_customer_has_the_whole_time(self) -> None:
        """A moment before its end the attempt goes on."""
        state, attempt = with_action()
        early = NOON + WINDOW - timedelta(microseconds=1)

        assert () == rules.timed_out(state, attempt, TIMEOUT, early)

    def test_customer_may_choose_again(self) -> None:
        """The attempt is over, the order still theirs."""
        state, attempt = with_action()

        changes, over = told(rules.timed_out(state, attempt, TIMEOUT, NOON + WINDOW), attempt)

        assert [S.PROCESSING, S.AWAITING_RETRY] == statuses(*changes)
        last = changes[-1].state
        assert (Reason.AUTHENTICATION_TIMEOUT, TIMEOUT, 2) == (
            last.reason,
            last.decline,
            last.attempts_left,
        )
        assert (AttemptStatus.TIMED_OUT, NOON + WINDOW) == (over.status, over.ended_at)
        assert over == changes[-1].attempt


class TestRefused:
    def test_attempt_came_to_nothing(self) -> None:
        """No money could move: the customer may try again."""
        state, attempt = begun()

        (change,), over = told(rules.refused(state, attempt, Reason.GATEWAY_REFUSED, NOON), attempt)

        assert (S.AWAITING_RETRY, Reason.GATEWAY_REFUSED, None) == (
            change.state.status,
            change.state.reason,
            change.state.decline,
        )
        assert AttemptStatus.ABANDONED is over.status


class TestEnded:
    @pytest.mark.parametrize("status", [S.FAILED, S.EXPIRED, S.CANCELED])
    def test_from_a_decline_in_one_step(self, status: PaymentStatus) -> None:
        """The last attempt keeps how it ended."""
        state, attempt = declined()

        (change,) = rules.ended(
            state, attempt, status, Reason.HOLD_OVER, NOON, intent=None, actor="workflow"
        )

        assert (status, attempt) == (change.state.status, change.attempt)

    def test_open_attempt_is_abandoned(self) -> None:
        """Whoever cancels at 3DS leaves no attempt open, and says who they were."""
        state, attempt = with_action()

        (change,) = rules.ended(
            state,
            attempt,
            S.CANCELED,
            Reason.CANCEL_REQUESTED,
            NOON,
            intent=None,
            actor="customer:1",
            request=MARK,
        )

        assert (S.CANCELED, None, None) == (
            change.state.status,
            change.state.action_url,
            change.state.action_until,
        )
        assert change.attempt is not None
        assert (AttemptStatus.ABANDONED, NOON) == (change.attempt.status, change.attempt.ended_at)
        assert ("customer:1", MARK) == (change.actor, change.request)

    @pytest.mark.parametrize(
        ("origin", "expected"),
        [
            (begun, [S.AWAITING_RETRY, S.EXPIRED]),
            (with_action, [S.PROCESSING, S.AWAITING_RETRY, S.EXPIRED]),
        ],
    )
    def test_hold_that_ends_on_the_way_is_told_in_legal_steps(
        self,
        origin: Callable[[], tuple[PaymentState, Attempt]],
        expected: list[PaymentStatus],
    ) -> None:
        """There is no way from `processing` to `expired`: the history shows the steps between."""
        state, attempt = origin()

        changes = rules.ended(
            state, attempt, S.EXPIRED, Reason.HOLD_OVER, NOON, intent=None, actor="workflow"
        )

        assert expected == statuses(*changes)

    @pytest.mark.parametrize("status", [S.CREATED, S.SUCCEEDED, S.AUTHORIZED])
    def test_illegal_end_is_told_as_a_bug(self, status: PaymentStatus) -> None:
        """A paid payment does not fail, nor does one that never began."""
        _, attempt = begun()

        with pytest.raises(IllegalMove):
            rules.ended(
                in_status(status),
                attempt,
                S.FAILED,
                Reason.ATTEMPTS_USED_UP,
                NOON,
                intent=None,
                actor="workflow",
            )


class TestFulfillment:
    def test_order_is_confirmed_beside_the_status(self) -> None:
        """The payment stays paid; what the shop said stands beside it."""
        (change,) = rules.order_confirmed(paid(has_order_service=True), NOON)

        assert (S.SUCCEEDED, Fulfillment.CONFIRMED, Reason.ORDER_CONFIRMED) == (
            change.state.status,
            change.state.fulfillment,
            change.state.reason,
        )

    @pytest.mark.parametrize(
        ("has_order_service", "fulfillment"), [(True, Fulfillment.REFUSED), (False, None)]
    )
    def test_all_that_was_taken_is_owed(
        self, fulfillment: Fulfillment | None, *, has_order_service: bool
    ) -> None:
        """The whole amount is pending until the gateway has given it back."""
        state = paid(has_order_service=has_order_service)

        (change,) = rules.owed_back(state, Reason.ORDER_REFUSED, NOON)

        assert (fulfillment, 1250, 0) == (
            change.state.fulfillment,
            change.state.amount_refund_pending,
            change.state.amount_refunded,
        )
        assert () == change.transfers

    def test_given_back_is_booked_once(self) -> None:
        """What was pending is refunded and booked; giving back nothing is no step."""
        (owed,) = rules.owed_back(paid(), Reason.RUN_CANCELED, NOON)

        (change,) = rules.given_back(owed.state, NOON)

        assert (Reason.REFUNDED, 1250, 0) == (
            change.state.reason,
            change.state.amount_refunded,
            change.state.amount_refund_pending,
        )
        assert [(Account.REFUNDS, Account.GATEWAY_CLEARING, 1250)] == [
            (transfer.debit, transfer.credit, transfer.amount) for transfer in change.transfers
        ]
        assert () == rules.given_back(change.state, NOON)

    def test_what_is_owed_already_is_not_owed_twice(self) -> None:
        """Two reasons to give the money back are one debt."""
        (owed,) = rules.owed_back(paid(), Reason.ORDER_REFUSED, NOON)

        assert () == rules.owed_back(owed.state, Reason.RUN_CANCELED, NOON)

    def test_shop_answers_once(self) -> None:
        """A confirmation after the shop's answer is nothing new."""
        (confirmed,) = rules.order_confirmed(paid(has_order_service=True), NOON)

        assert () == rules.order_lost(confirmed.state, NOON)
        assert () == rules.order_confirmed(confirmed.state, NOON)


class TestAnswered:
    def test_request_is_known_though_it_changed_nothing(self) -> None:
        """Its repeat is to hear the same, so its key is kept beside a state that stays."""
        state = paid()

        (change,) = rules.answered(state, NOON, actor="customer:1", request=MARK)

        assert (MARK, "customer:1") == (change.request, change.actor)
        assert change.state == state.model_copy(
            update={"version": state.version + 1, "updated_at": NOON}
        )


class TestParked:
    @pytest.mark.parametrize("status", PaymentStatus)
    def test_any_state_may_need_a_person(self, status: PaymentStatus) -> None:
        """An unprovable outcome parks from wherever it is found, once."""
        changes = rules.parked(in_status(status), Reason.REFUND_FAILED, NOON)

        again = rules.parked(changes[-1].state, Reason.GATEWAY_REFUSED, NOON) if changes else ()
        assert [(S.NEEDS_OPERATOR, Reason.REFUND_FAILED)] * (status is not S.NEEDS_OPERATOR) == [
            (change.state.status, change.state.reason) for change in changes
        ]
        assert () == again

    def test_paid_payment_that_was_parked_is_booked_once(self) -> None:
        """Parked after it was paid, and then seen as paid: the ledger holds one capture."""
        state, attempt = after(an_intent(I.SUCCEEDED))
        parked = rules.parked(state, Reason.REFUND_FAILED, NOON)[-1].state

        changes = rules.observed(parked, an_intent(I.SUCCEEDED), attempt, NOON, WINDOW)

        assert S.SUCCEEDED is changes[-1].state.status
        assert () == changes[-1].transfers


class AnyOrder(RuleBasedStateMachine):
    """Every function in every order: what is refused changes nothing, what is taken adds up."""

    capture_method = CaptureMethod.AUTOMATIC
    taken = frozenset({PRICE.minor})

    def __init__(self) -> None:
        super().__init__()
        self.at = NOON
        payment = a_payment(has_order_service=True, capture_method=self.capture_method)
        self.changes: list[Change] = [rules.opened(payment, self.at)]
        first, self.attempt = begun_by(
            rules.attempted(self.state, "pm_1", self.at, actor="service:shop")
        )
        self.changes.append(first)

    @property
    def state(self) -> PaymentState:
        return self.changes[-1].state

    @property
    def legal_end(self) -> bool:
        return self.state.status in OPEN | {S.NEEDS_OPERATOR}

    def _now(self) -> datetime:
        self.at += timedelta(minutes=1)
        return self.at

    def _after_the_window(self) -> datetime:
        self.at += WINDOW
        return self.at

    @rule()
    def retry(self) -> None:
        """An attempt is taken while one is left and the state machine has the way."""
        ways = MOVES[self.state.status] | {self.state.status}
        if self.state.attempts_left and S.PROCESSING in ways:
            change, self.attempt = begun_by(
                rules.attempted(self.state, "pm_2", self._now(), actor="customer:1", request=MARK)
            )
            self.changes.append(change)
        else:
            with pytest.raises(IllegalMove):
                rules.attempted(self.state, "pm_2", self.at, actor="customer:1")

    @precondition(lambda self: not self.state.is_final and not self.state.amount_captured)
    @rule(intent=intents())
    def look(self, intent: Intent) -> None:
        """The gateway's word moves the payment at most once."""
        if intent.status is I.CANCELED and intent.money == PRICE:
            with pytest.raises(IllegalMove):
                rules.observed(self.state, intent, self.attempt, self.at, WINDOW)
            return

        changes, self.attempt = told(
            rules.observed(self.state, intent, self.attempt, self._now(), WINDOW), self.attempt
        )
        self.changes.extend(changes)

        if intent.money != PRICE:
            assert S.NEEDS_OPERATOR is self.state.status
        if not self.state.is_final:
            again = rules.observed(self.state, intent, self.attempt, self.at, WINDOW)
            assert () == again

    @precondition(lambda self: self.state.is_final and not self.state.amount_authorized)
    @rule(status=st.sampled_from([I.REQUIRES_PAYMENT_METHOD, I.PROCESSING]))
    def late_word(self, status: IntentStatus) -> None:
        """A final payment is not moved by a word that comes late."""
        if self.state.status is S.SUCCEEDED:
            with pytest.raises(IllegalMove):
                rules.observed(self.state, an_intent(status), self.attempt, self.at, WINDOW)
            return
        changes = rules.observed(self.state, an_intent(status), self.attempt, self.at, WINDOW)

        assert () == changes

    @precondition(lambda self: self.state.status in {S.FAILED, S.EXPIRED, S.CANCELED})
    @rule()
    def money_after_the_end(self) -> None:
        """Money that moves although the payment has ended without is for a person to look at."""
        changes = rules.observed(
            self.state, an_intent(I.SUCCEEDED), self.attempt, self._now(), WINDOW
        )
        self.changes.extend(changes)

        assert (S.NEEDS_OPERATOR, Reason.LATE_MONEY) == (
            self.state.status,
            self.state.reason,
        )

    @precondition(lambda self: self.state.status is S.REQUIRES_ACTION)
    @rule()
    def time_out(self) -> None:
        """The customer's time for 3DS ends."""
        changes, self.attempt = told(
            rules.timed_out(self.state, self.attempt, TIMEOUT, self._after_the_window()),
            self.attempt,
        )
        self.changes.extend(changes)

    @precondition(lambda self: self.state.status in {S.PROCESSING, S.REQUIRES_ACTION})
    @rule()
    def refuse(self) -> None:
        """The gateway refuses the attempt."""
        changes, self.attempt = told(
            rules.refused(self.state, self.attempt, Reason.GATEWAY_REFUSED, self._now()),
            self.attempt,
        )
        self.changes.extend(changes)

    @rule(
        status=st.sampled_from([S.FAILED, S.EXPIRED, S.CANCELED]),
        reason=st.sampled_from([Reason.ATTEMPTS_USED_UP, Reason.HOLD_OVER, Reason.RUN_CANCELED]),
    )
    def end(self, status: PaymentStatus, reason: Reason) -> None:
        """A payment without money ends once; one with money does not end without it."""
        held = self.state.status is S.AUTHORIZED and status is S.FAILED
        if held or self.state.status is S.SUCCEEDED:
            with pytest.raises(IllegalMove):
                rules.ended(
                    self.state, self.attempt, status, reason, self.at, intent=None, actor="workflow"
                )
            return
        if not self.legal_end:
            again = rules.ended(
                self.state, self.attempt, status, reason, self.at, intent=None, actor="workflow"
            )
            assert () == again
            return
        self.changes.extend(
            rules.ended(
                self.state, self.attempt, status, reason, self._now(), intent=None, actor="workflow"
            )
        )

    @rule(reason=st.sampled_from([Reason.GATEWAY_UNREACHABLE, Reason.REFUND_PENDING]))
    def note(self, reason: Reason) -> None:
        """A new reason is one change, the same again is none."""
        before = self.state
        self.changes.extend(rules.noted(before, reason, self._now()))

        assert (before.status, reason) == (self.state.status, self.state.reason)
        assert () == rules.noted(self.state, reason, self.at)

    @precondition(
        lambda self: (
            self.state.status is S.SUCCEEDED and self.state.fulfillment is Fulfillment.PENDING
        )
    )
    @rule(taken=st.booleans())
    def answer_of_the_shop(self, *, taken: bool) -> None:
        """The shop takes the paid order, or the money is owed back."""
        self.changes.extend(
            rules.order_confirmed(self.state, self._now())
            if taken
            else rules.owed_back(self.state, Reason.ORDER_REFUSED, self._now())
        )

    @rule()
    def give_back(self) -> None:
        """What is pending is given back once."""
        owed = self.state.amount_refund_pending
        changes = rules.given_back(self.state, self._now())
        self.changes.extend(changes)

        assert bool(owed) is bool(changes)
        assert 0 == self.state.amount_refund_pending

    @rule()
    def park(self) -> None:
        """A person must look."""
        self.changes.extend(rules.parked(self.state, Reason.REFUND_FAILED, self._now()))

    @invariant()
    def versions_have_no_gap(self) -> None:
        """Each change is the next one."""
        versions = [change.state.version for change in self.changes]

        assert list(range(1, len(versions) + 1)) == versions

    @invariant()
    def history_keeps_to_the_state_machine(self) -> None:
        """Every step is one that the product page has, at a time not before the last."""
        for before, now in pairwise(change.state for change in self.changes):
            assert before.status is now.status or (before.status, now.status) in THE_WAYS
            assert before.updated_at <= now.updated_at

    @invariant()
    def final_payment_asks_for_nothing(self) -> None:
        """No 3DS page and no further attempt is offered for what is over."""
        if self.state.is_final:
            assert (None, None, 0) == (
                self.state.action_url,
                self.state.action_until,
                self.state.attempts_left,
            )
            assert self.attempt.ended_at or self.state.status is not S.SUCCEEDED

    @invariant()
    def amounts_add_up(self) -> None:
        """All or nothing is captured, and no more is given back than was taken."""
        state = self.state

        assert state.amount_captured in {0, *self.taken}
        assert state.amount_refunded in {0, state.amount_captured}
        assert state.amount_refund_pending in {0, state.amount_captured - state.amount_refunded}
        assert state.amount_captured in self.taken or state.status is not S.SUCCEEDED

    @invariant()
    def books_balance(self) -> None:
        """What one account gains another loses, and the accounts say what the payment says."""
        balances: Counter[Account] = Counter()
        for transfer in (each for change in self.changes for each in change.transfers):
            balances[transfer.debit] += transfer.amount
            balances[transfer.credit] -= transfer.amount

        assert 0 == sum(balances.values())
        assert -self.state.amount_captured == balances[Account.REVENUE]
        assert self.state.amount_refunded == balances[Account.REFUNDS]

    @invariant()
    def attempts_stay_within_the_limit(self) -> None:
        """As many attempts as were counted, numbered from one, never more than allowed."""
        numbers = {change.attempt.number for change in self.changes if change.attempt}

        assert set(range(1, self.state.attempts_used + 1)) == numbers
        assert self.state.attempts_used <= self.state.attempts_allowed

    @invariant()
    def what_was_ordered_never_changes(self) -> None:
        """Whose payment it is, for what and for how much stays as it was opened."""
        fixed = {"id", "order_id", "customer_id", "money", "retry_until", "created_at", "metadata"}
        first = self.changes[0].state

        assert first.model_dump(include=fixed) == self.state.model_dump(include=fixed)


class AnyOrderHeld(AnyOrder):
    """The same with money that is held first, and captured in whole or in part."""

    capture_method = CaptureMethod.MANUAL
    taken = frozenset({PRICE.minor, PART})

    @precondition(lambda self: self.state.status is S.AUTHORIZED)
    @rule(amount=st.sampled_from([None, PART]))
    def ask_for_it(self, amount: int | None) -> None:
        """A capture is asked for, and is known by its request."""
        self.changes.extend(captures.capture_asked(self.state, amount, self._now(), "shop", MARK))

        assert (S.AUTHORIZED, amount or PRICE.minor) == (
            self.state.status,
            self.state.amount_to_capture,
        )

    @precondition(lambda self: not self.state.is_final and self.state.amount_to_capture)
    @rule()
    def take_it(self) -> None:
        """The gateway has captured what was asked for, and that is booked."""
        captured = an_intent(I.SUCCEEDED, received=self.state.amount_to_capture)
        changes, self.attempt = told(
            rules.observed(self.state, captured, self.attempt, self._now(), WINDOW), self.attempt
        )
        self.changes.extend(changes)

        assert S.SUCCEEDED is self.state.status

    @precondition(lambda self: self.state.status is S.AUTHORIZED)
    @rule()
    def refuse_it(self) -> None:
        """The gateway will not take it: another may be asked for."""
        self.changes.extend(captures.capture_refused(self.state, self._now(), "no"))

        assert self.state.amount_to_capture is None
        assert () == captures.capture_refused(self.state, self.at, "no")

    @rule()
    def remind(self) -> None:
        """Only of what is held, and once."""
        held = self.state.status is S.AUTHORIZED
        self.changes.extend(captures.hold_ends_soon(self.state, self._now()))

        assert held == (self.state.reason is Reason.HOLD_ENDS_SOON) or not held
        assert () == captures.hold_ends_soon(self.state, self.at)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrderHeld = AnyOrderHeld.TestCase
TestAnyOrderHeld.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestAnyOrder.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
