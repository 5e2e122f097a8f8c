"""When a hold is replaced, by what, and which of two holds counts."""

from datetime import timedelta

import pytest

from paysaga.domain import renewals
from paysaga.domain.captures import (
    MARGIN,
    REMINDER,
    capture_asked,
    capture_refused,
    hold_ends_soon,
)
from paysaga.domain.declines import decline_for
from paysaga.domain.intent import CaptureMethod, Intent, IntentStatus
from paysaga.domain.money import Money
from paysaga.domain.payment import PaymentState, PaymentStatus, RequestMark
from paysaga.domain.reasons import Reason
from paysaga.domain.steps import IllegalMove, known_by
from paysaga.domain.transitions import opened
from tests.fakes import NOON, PRICE, a_payment

ENDS = NOON + timedelta(days=7) - MARGIN
LATE = ENDS - REMINDER


def authorized(**changes: object) -> PaymentState:
    """All of the money is held until a week from noon, and wanted for three."""
    payment = a_payment(capture_method=CaptureMethod.MANUAL).model_copy(
        update={"renew_hold_until": NOON + timedelta(days=21)}
    )
    facts: dict[str, object] = {
        "status": PaymentStatus.AUTHORIZED,
        "reason": Reason.AUTHORIZED,
        "intent_id": "pi_1",
        "charge_id": "ch_1",
        "amount_authorized": PRICE.minor,
        "capture_until": ENDS,
        **changes,
    }
    return opened(payment, NOON).state.model_copy(update=facts)


def a_hold(**changes: object) -> Intent:
    """The new intent, which holds as much."""
    facts: dict[str, object] = {
        "id": "pi_2",
        "status": IntentStatus.REQUIRES_CAPTURE,
        "money": PRICE,
        "capturable": PRICE.minor,
        "charge_id": "ch_2",
        "charged_at": LATE,
        **changes,
    }
    return Intent.model_validate(facts)


def renewing() -> PaymentState:
    [began] = renewals.began(authorized(), a_hold(), LATE)
    return began.state


class TestDue:
    def test_a_day_before_the_end(self) -> None:
        """Not sooner: each renewal asks the bank for the money anew."""
        state = authorized()

        assert not renewals.is_due(state, LATE - timedelta(seconds=1))
        assert renewals.is_due(state, LATE)

    @pytest.mark.parametrize(
        "changes",
        [
            {"renew_hold_until": None},
            {"renew_hold_until": ENDS},
            {"status": PaymentStatus.SUCCEEDED},
            {"capture_until": None},
            {"renewal_failed": True},
        ],
    )
    def test_only_what_is_held_and_wanted_longer(self, changes: dict[str, object]) -> None:
        """Nor is what could not be renewed tried again and again."""
        assert not renewals.is_due(authorized(**changes), LATE)


class TestBeginning:
    def test_the_new_intent_is_known_before_it_holds_anything(self) -> None:
        """Whoever finds the payment then knows both."""
        state = renewing()

        assert ("pi_1", "pi_2", True) == (
            state.intent_id,
            state.other_intent_id,
            state.other_intent_open,
        )
        assert Reason.HOLD_RENEWING is state.reason

    def test_never_a_third(self) -> None:
        """While one may hold money beside, no other begins to."""
        with pytest.raises(IllegalMove):
            renewals.began(renewing(), a_hold(id="pi_3"), LATE)

    def test_not_for_longer_than_an_hour(self) -> None:
        """Then the shop is told, and has the rest of the day; nor beyond the hold's end."""
        state = authorized()

        assert LATE + renewals.GIVE_UP_AFTER == renewals.give_up_at(state, LATE)
        assert ENDS == renewals.give_up_at(state, ENDS - timedelta(minutes=1))


class TestWhyNot:
    def test_as_much_for_longer_will_do(self) -> None:
        """It takes the old one's place."""
        assert "" == renewals.why_not(renewing(), a_hold(), LATE)

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            (
                {
                    "status": IntentStatus.REQUIRES_PAYMENT_METHOD,
                    "decline": decline_for("card_declined", "authentication_required"),
                },
                "authentication_required",
            ),
            ({"status": IntentStatus.PROCESSING}, "the new hold is processing"),
            (
                {"capturable": 7},
                f"the new hold is of 7 minor units of {PRICE}",
            ),
            (
                {"money": Money(minor=7, currency="EUR"), "capturable": 7},
                "the new hold is of 7 minor units of 0.07 EUR",
            ),
            ({"capture_before": ENDS}, "the new hold would not last longer"),
        ],
    )
    def test_what_will_not(self, changes: dict[str, object], why: str) -> None:
        """Each is told in words."""
        assert why == renewals.why_not(renewing(), a_hold(**changes), LATE)

    def test_a_hold_without_an_end_has_none_to_compare_with(self) -> None:
        """It is not replaced."""
        state = renewing().model_copy(update={"capture_until": None})

        assert "the new hold would not last longer" == renewals.why_not(state, a_hold(), LATE)


class TestSwapping:
    def test_the_new_one_counts(self) -> None:
        """The old one is the other now, and is to be let go."""
        [change] = renewals.renewed(renewing(), a_hold(), LATE)

        state = change.state
        assert (PaymentStatus.AUTHORIZED, Reason.HOLD_RENEWED) == (state.status, state.reason)
        assert ("pi_2", "ch_2", "pi_1", True) == (
            state.intent_id,
            state.charge_id,
            state.other_intent_id,
            state.other_intent_open,
        )
        assert LATE + timedelta(days=7) - MARGIN == state.capture_until

    def test_not_longer_than_the_shop_wants(self) -> None:
        """The last one is let go when the time is over, though the gateway would hold on."""
        wanted = ENDS + timedelta(days=2)
        state = renewing().model_copy(update={"renew_hold_until": wanted})

        [change] = renewals.renewed(state, a_hold(), LATE)

        assert wanted == change.state.capture_until
        assert not renewals.is_due(change.state, wanted)

    def test_let_go_it_is_remembered(self) -> None:
        """Late news of it is no stranger's; why the payment stands where it does stays."""
        [renewed] = renewals.renewed(renewing(), a_hold(), LATE)
        [change] = renewals.released(renewed.state, "pi_1", LATE)

        assert ("pi_1", False) == (change.state.other_intent_id, change.state.other_intent_open)
        assert (Reason.HOLD_RENEWED, Reason.OTHER_HOLD_RELEASED) == (
            change.state.reason,
            change.reason,
        )

    def test_captured_by_hand_it_counts_again(self) -> None:
        """Then the new one is let go."""
        [renewed] = renewals.renewed(renewing(), a_hold(), LATE)
        [change] = renewals.restored(renewed.state, "pi_1", LATE)

        state = change.state
        assert ("pi_1", None, "pi_2", True) == (
            state.intent_id,
            state.charge_id,
            state.other_intent_id,
            state.other_intent_open,
        )
        assert Reason.HOLD_RESTORED is change.reason


class TestSaidTwice:
    """A run whose last task was lost says again what the row knows already, and of one intent."""

    def test_the_same_once_more(self) -> None:
        """It changes nothing."""
        [renewed] = renewals.renewed(renewing(), a_hold(), LATE)

        assert () == renewals.began(renewing(), a_hold(), LATE)
        assert () == renewals.began(renewed.state, a_hold(), LATE)
        assert () == renewals.renewed(renewed.state, a_hold(), LATE)

    def test_what_is_proved_of_one_is_not_said_of_the_other(self) -> None:
        """The run let go of the new intent; the row has it as the one that counts by now."""
        [renewed] = renewals.renewed(renewing(), a_hold(), LATE)

        assert () == renewals.released(renewed.state, "pi_2", LATE)
        assert () == renewals.restored(renewed.state, "pi_2", LATE)
        assert "pi_2" == known_by(renewed.state, a_hold(id="pi_1")).intent_id

    def test_let_go_it_is_let_go(self) -> None:
        """What holds nothing any more takes no place."""
        [renewed] = renewals.renewed(renewing(), a_hold(), LATE)
        [released] = renewals.released(renewed.state, "pi_1", LATE)

        assert () == renewals.released(released.state, "pi_1", LATE)
        assert () == renewals.restored(released.state, "pi_1", LATE)


class TestNotRenewed:
    def test_each_hold_is_tried_once(self) -> None:
        """Also if a capture is refused in between."""
        [failed] = renewals.not_renewed(authorized(), LATE, "insufficient_funds")
        mark = RequestMark(key="capture", fingerprint="capture")
        [asked] = capture_asked(failed.state, None, LATE, "service:shop", mark)
        [refused] = capture_refused(asked.state, LATE, "the gateway holds the money still")

        assert not renewals.is_due(refused.state, LATE)

    def test_the_shop_is_told_why(self) -> None:
        """The old hold stays; that is the reminder, too."""
        [change] = renewals.not_renewed(renewing(), LATE, "insufficient_funds")

        assert (Reason.HOLD_NOT_RENEWED, "insufficient_funds") == (
            change.state.reason,
            change.note,
        )
        assert () == hold_ends_soon(change.state, LATE)

    def test_what_is_not_held_any_more_is_not_told(self) -> None:
        """It was captured meanwhile."""
        paid = authorized(status=PaymentStatus.SUCCEEDED)

        assert () == renewals.not_renewed(paid, LATE, "too late")
