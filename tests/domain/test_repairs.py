"""What a person may decide about a parked payment: examples, and what holds of every decision."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paysaga.domain import repairs
from paysaga.domain import transitions as rules
from paysaga.domain.intent import Intent, IntentStatus
from paysaga.domain.ledger import Account
from paysaga.domain.money import Money
from paysaga.domain.payment import (
    Attempt,
    AttemptStatus,
    Change,
    PaymentState,
    PaymentStatus,
    RequestMark,
)
from paysaga.domain.reasons import Reason
from paysaga.domain.repairs import DECIDING, RepairKind, Said, allowed_repairs, needs_approval
from tests.domain.test_payment import after, an_intent, begun
from tests.fakes import NOON, PRICE

S = PaymentStatus
I = IntentStatus  # noqa: E741 - beside S it reads as what it is
K = RepairKind
ALICE = Said(actor="admin:alice", note="the bank's letter of the 3rd")
MARK = RequestMark(key="repair-1", fingerprint="fingerprint-1")

Decision = Callable[[PaymentState, Attempt], tuple[Change, ...]]


def parked(*seen: Intent) -> tuple[PaymentState, Attempt]:
    """A payment that was parked after the gateway had said these things."""
    state, attempt = after(*seen) if seen else begun()
    [change] = rules.parked(state, Reason.GATEWAY_MISMATCH, NOON, "evidence")
    return change.state, attempt


def owing() -> tuple[PaymentState, Attempt]:
    """A paid payment whose refund has failed."""
    state, attempt = after(an_intent(I.SUCCEEDED))
    [owed] = rules.owed_back(state, Reason.ORDER_REFUSED, NOON)
    [change] = rules.parked(owed.state, Reason.REFUND_FAILED, NOON, "evidence")
    return change.state, attempt


def booked(changes: tuple[Change, ...]) -> int:
    """What these changes move into the gateway's clearing account."""
    transfers = [transfer for change in changes for transfer in change.transfers]
    account = Account.GATEWAY_CLEARING
    return sum(t.amount * ((t.debit is account) - (t.credit is account)) for t in transfers)


DECISIONS: dict[str, Decision] = {
    "mark succeeded": lambda state, attempt: repairs.marked_succeeded(state, attempt, NOON, ALICE),
    "end": lambda state, attempt: repairs.over_without_money(
        state, attempt, S.CANCELED, Reason.ABANDONED, NOON, ALICE
    ),
    "refund": lambda state, _: repairs.refund_decided(state, NOON, ALICE),
    "abandon the refund": lambda state, _: repairs.refund_abandoned(state, NOON, ALICE),
}


class TestWhatIsAllowed:
    def test_nothing_unless_it_is_parked(self) -> None:
        """What runs by itself is nobody's to repair."""
        for state, _ in (begun(), after(an_intent(I.SUCCEEDED))):
            assert () == allowed_repairs(state)

    def test_payment_that_has_no_money_may_end_in_any_way(self) -> None:
        """Nothing is booked: everything is open, as far as the gateway agrees."""
        assert tuple(K) == allowed_repairs(parked()[0])

    def test_money_that_is_booked_is_not_marked_as_failed(self) -> None:
        """What was taken can only stand or go back."""
        allowed = allowed_repairs(parked(an_intent(I.SUCCEEDED))[0])

        assert {K.LOOK_AGAIN, K.MARK_SUCCEEDED, K.REFUND} == set(allowed)

    def test_money_that_is_owed_goes_back_or_is_settled_otherwise(self) -> None:
        """A refund that failed is tried again, or given up with a word why."""
        assert {K.LOOK_AGAIN, K.REFUND, K.ABANDON} == set(allowed_repairs(owing()[0]))

    @given(kind=st.sampled_from(K), minor=st.integers(min_value=1, max_value=10**7))
    def test_second_person_agrees_to_what_decides_about_much(
        self, kind: RepairKind, minor: int
    ) -> None:
        """The limit is in major units, and belongs to what one person may do."""
        state = parked(an_intent(I.SUCCEEDED))[0].model_copy(
            update={"money": Money(minor=minor, currency="EUR")}
        )

        needed = needs_approval(kind, state, Decimal("500.00"))

        assert needed == (kind in DECIDING and minor > 500_00)

    def test_limit_counts_the_currency_s_own_decimals(self) -> None:
        """500 yen are 500, not 5."""
        state, _ = parked()
        yen = [
            state.model_copy(update={"money": Money(minor=minor, currency="JPY")})
            for minor in (500, 501)
        ]

        assert not needs_approval(K.ABANDON, yen[0], Decimal(500))
        assert needs_approval(K.ABANDON, yen[1], Decimal(500))

    def test_what_is_not_in_our_books_is_given_back_by_two(self) -> None:
        """The intent may have taken any sum, whatever the payment is worth."""
        assert needs_approval(K.REFUND, parked()[0], Decimal(500))


class TestDecisions:
    @pytest.mark.parametrize("decision", DECISIONS.values(), ids=DECISIONS)
    def test_payment_that_is_not_parked_is_left_alone(self, decision: Decision) -> None:
        """Something else has settled it meanwhile: the decision has lost its object."""
        for state, attempt in (begun(), after(an_intent(I.SUCCEEDED))):
            assert () == decision(state, attempt)

    @pytest.mark.parametrize("decision", DECISIONS.values(), ids=DECISIONS)
    def test_who_and_why_are_kept(self, decision: Decision) -> None:
        """Every decision stands in the history with its name and its words."""
        [change] = decision(*owing())

        assert ("admin:alice", "the bank's letter of the 3rd") == (change.actor, change.note)

    def test_repair_that_came_to_nothing_is_told(self) -> None:
        """The payment stays where it stands, and the history has the reason."""
        state, _ = parked()

        [change] = repairs.told(state, Reason.REPAIR_REFUSED, NOON, "the gateway refuses")

        assert (Reason.REPAIR_REFUSED, "the gateway refuses") == (change.reason, change.note)
        assert (state.status, state.reason) == (change.state.status, change.state.reason)

    def test_request_is_known_when_it_comes_again(self) -> None:
        """The payment stays where it stands; the step has a reason of its own."""
        state, _ = parked()

        [change] = repairs.asked(state, Reason.REPAIR_PROPOSED, NOON, ALICE, MARK)

        assert (MARK, Reason.REPAIR_PROPOSED) == (change.request, change.reason)
        assert (state.status, state.reason) == (change.state.status, change.state.reason)
        assert state.version + 1 == change.state.version

    def test_intent_is_attached_once(self) -> None:
        """The payment learns its gateway id; one that it has already is no news."""
        state, _ = parked()
        found = an_intent(I.SUCCEEDED)

        [change] = repairs.attached(state, found, NOON, ALICE)

        assert ("pi_1", Reason.INTENT_ATTACHED) == (change.state.intent_id, change.reason)
        assert () == repairs.attached(change.state, found, NOON, ALICE)


class TestMoney:
    def test_success_that_was_shown_is_booked(self) -> None:
        """The attempt has won, and the ledger has the money."""
        changes = repairs.marked_succeeded(*parked(), NOON, ALICE)

        [change] = changes
        assert (S.SUCCEEDED, PRICE.minor) == (change.state.status, change.state.amount_captured)
        assert PRICE.minor == booked(changes)
        assert change.attempt
        assert AttemptStatus.SUCCEEDED is change.attempt.status

    def test_success_that_is_booked_is_not_booked_again(self) -> None:
        """It was paid before it was parked."""
        changes = repairs.marked_succeeded(*parked(an_intent(I.SUCCEEDED)), NOON, ALICE)

        assert S.SUCCEEDED is changes[0].state.status
        assert (0, None) == (booked(changes), changes[0].attempt)

    def test_end_without_money_ends_the_attempt(self) -> None:
        """An attempt under way is over, too."""
        [change] = DECISIONS["end"](*parked())

        assert S.CANCELED is change.state.status
        assert change.attempt
        assert AttemptStatus.ABANDONED is change.attempt.status

    def test_attempt_that_has_ended_stays_as_it_ended(self) -> None:
        """A decline is not rewritten."""
        [change] = DECISIONS["end"](*parked(an_intent(I.REQUIRES_PAYMENT_METHOD)))

        assert change.attempt is None

    def test_refund_that_is_decided_is_owed_in_full(self) -> None:
        """Nothing is booked before the gateway has given it back."""
        changes = DECISIONS["refund"](*parked(an_intent(I.SUCCEEDED)))

        assert PRICE.minor == changes[0].state.amount_refund_pending
        assert 0 == booked(changes)

    def test_refund_that_has_failed_is_decided_again_for_what_is_owed(self) -> None:
        """A part was given back by hand and came back: no more than that is asked for again."""
        paid, _ = after(an_intent(I.SUCCEEDED))
        [given] = repairs.refunded_by_others(paid, 250, NOON, "by hand")
        [lost] = repairs.refund_lost(given.state, 0, NOON, "the bank's account is closed")

        [decided] = repairs.refund_decided(lost.state, NOON, ALICE)

        assert 250 == decided.state.amount_refund_pending

    def test_refund_that_is_given_up_is_owed_no_more(self) -> None:
        """The payment stands as paid; the books keep the money."""
        changes = DECISIONS["abandon the refund"](*owing())

        assert (S.SUCCEEDED, 0) == (changes[0].state.status, changes[0].state.amount_refund_pending)
        assert 0 == booked(changes)

    @given(shown=st.integers(min_value=0, max_value=PRICE.minor))
    def test_refund_by_others_is_booked(self, shown: int) -> None:
        """What somebody has given back in the dashboard leaves the books, too, and only once."""
        paid, _ = after(an_intent(I.SUCCEEDED))

        changes = repairs.refunded_by_others(paid, shown, NOON, "by hand")

        assert -shown == booked(changes)
        for change in changes:
            assert (S.SUCCEEDED, shown) == (change.state.status, change.state.amount_refunded)
            assert () == repairs.refunded_by_others(change.state, shown, NOON, "by hand")

    def test_what_is_owed_is_not_booked_beside_it(self) -> None:
        """A refund of ours is under way, or a person is at it: the gateway may show that one."""
        paid, _ = after(an_intent(I.SUCCEEDED))
        [owed] = rules.owed_back(paid, Reason.ORDER_REFUSED, NOON)

        for state in (owed.state, parked(an_intent(I.SUCCEEDED))[0]):
            assert () == repairs.refunded_by_others(state, 1, NOON, "by hand")

    @given(shown=st.integers(min_value=0, max_value=2 * PRICE.minor))
    def test_refund_that_came_back_is_owed_again(self, shown: int) -> None:
        """What the gateway shows as given back is what counts; more than we know is no loss."""
        state, _ = after(an_intent(I.SUCCEEDED))
        [owed] = rules.owed_back(state, Reason.ORDER_REFUSED, NOON)
        [given] = rules.given_back(owed.state, NOON)

        changes = repairs.refund_lost(given.state, shown, NOON, "the bank's account is closed")

        lost = max(0, PRICE.minor - shown)
        assert lost == booked(changes)
        for change in changes:
            assert S.NEEDS_OPERATOR is change.state.status
            assert (shown, lost) == (
                change.state.amount_refunded,
                change.state.amount_refund_pending,
            )
        assert bool(changes) == (lost > 0)
