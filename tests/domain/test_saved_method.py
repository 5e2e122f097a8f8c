"""What each fact makes of a saved method."""

from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paysaga.domain.declines import decline_for
from paysaga.domain.saved_method import (
    MOVES,
    AttachedMethod,
    SavedMethod,
    SavedMethodStatus,
    SaveReason,
    Setup,
    SetupStatus,
)
from paysaga.domain.saving import (
    failed,
    moved,
    noted,
    removal_requested,
    seen,
    set_up,
    timed_out,
)
from paysaga.domain.steps import IllegalMove
from tests.fakes import NOON
from tests.saved import CARD, PAGE, WINDOW, attached, processing, saved, setup_in

S = SavedMethodStatus
R = SaveReason
LATER = NOON + timedelta(minutes=1)

setups = st.builds(
    setup_in,
    st.sampled_from([*SetupStatus, "expired_card", "setup_intent_authentication_failure"]),
)
pictures = st.builds(
    attached, st.sampled_from(["cus_1", None]), exp_year=st.integers(2030, 2032)
) | st.just(AttachedMethod(id="pm_1"))
facts = (
    setups.map(lambda setup: ("set_up", setup))
    | setups.map(lambda setup: ("timed_out", setup))
    | pictures.map(lambda picture: ("seen", picture))
    | st.sampled_from(["unreachable", "removal", "failed"]).map(lambda word: (word, None))
)


def told(method: SavedMethod, fact: tuple[str, object]) -> SavedMethod | None:
    match fact:
        case "set_up", Setup() as setup:
            return set_up(method, setup, LATER, WINDOW)
        case "timed_out", Setup() as setup:
            return timed_out(method, setup, LATER)
        case "seen", AttachedMethod() as picture:
            return seen(method, picture, LATER)
        case "unreachable", _:
            return noted(method, R.GATEWAY_UNREACHABLE, LATER)
        case "removal", _:
            return removal_requested(method, LATER)
        case _:
            return failed(method, R.GATEWAY_REFUSED, LATER)


class TestAnyStory:
    @given(st.lists(facts, max_size=8))
    def test_facts_in_any_order_keep_the_rules(self, story: list[tuple[str, object]]) -> None:
        """Whatever comes in whatever order: one step at a time, by a known way, and never back."""
        method = processing()
        for fact in story:
            step = told(method, fact)
            if step is None:
                continue
            assert method.version + 1 == step.version
            assert step.status is method.status or step.status in MOVES[method.status]
            assert (step.action_url is None) or step.is_open
            if step.status is S.ACTIVE:
                assert ("pm_1", "cus_1") == (step.gateway_method_id, step.gateway_customer_id)
                assert step.facts is not None
            assert (step.status is S.REMOVED) is (step.removed_at is not None)
            method = step

    @given(st.lists(facts, max_size=6), facts)
    def test_a_fact_that_is_told_twice_tells_nothing_new(
        self, story: list[tuple[str, object]], last: tuple[str, object]
    ) -> None:
        """A rule comes to rest, so a step that the database has taken over is not taken again."""
        method = processing()
        for fact in [*story, last]:
            method = told(method, fact) or method

        assert told(method, last) is None

    @given(st.sampled_from([S.FAILED, S.REMOVED]), facts)
    def test_what_has_ended_stays(self, status: S, fact: tuple[str, object]) -> None:
        """Neither a late success nor anything else brings it back."""
        method = saved().model_copy(update={"status": status})

        assert told(method, fact) is None

    @pytest.mark.parametrize(("origin", "goal"), [*product(S, S)])
    def test_only_known_ways_are_taken(self, origin: S, goal: S) -> None:
        """A rule that wants another one is a bug, and is told as one before it is written."""
        method = saved().model_copy(update={"status": origin})

        if goal is origin or goal in MOVES[origin]:
            assert goal is moved(method, goal, R.SAVED, LATER).status
            return
        with pytest.raises(IllegalMove, match=f"from {origin} to {goal}"):
            moved(method, goal, R.SAVED, LATER)

    def test_no_way_leads_out_of_an_end(self) -> None:
        """The table of ways has none, whatever a rule may come to want."""
        assert not MOVES[S.FAILED] | MOVES[S.REMOVED]
        assert {S.REMOVED} == MOVES[S.ACTIVE]


class TestSettingUp:
    def test_success_shows_the_card_and_its_names(self) -> None:
        """An active method can be paid with, and shown."""
        method = saved()

        assert (S.ACTIVE, R.SAVED) == (method.status, method.reason)
        assert ("seti_1", "pm_1", "cus_1") == (
            method.setup_intent_id,
            method.gateway_method_id,
            method.gateway_customer_id,
        )
        assert CARD == method.facts
        assert method.can_pay
        assert method.is_settled

    def test_3ds_has_a_deadline_that_no_look_moves(self) -> None:
        """However often it is looked at, the customer's time is the same."""
        waiting = set_up(processing(), setup_in("requires_action"), NOON, WINDOW)
        assert waiting is not None

        other = set_up(waiting, setup_in("requires_action", action_url=f"{PAGE}/2"), LATER, WINDOW)

        assert (S.REQUIRES_ACTION, PAGE, NOON + WINDOW) == (
            waiting.status,
            waiting.action_url,
            waiting.action_until,
        )
        assert waiting.is_settled
        assert other is not None
        assert (f"{PAGE}/2", NOON + WINDOW) == (other.action_url, other.action_until)

    def test_decline_is_told(self) -> None:
        """The bank's word is kept for the customer."""
        method = set_up(processing(), setup_in("expired_card"), NOON, WINDOW)

        assert method is not None
        assert (S.FAILED, R.DECLINED) == (method.status, method.reason)
        assert decline_for("expired_card") == method.decline

    def test_method_that_is_not_even_taken_is_told_plainly(self) -> None:
        """Without any word of the gateway's, the customer is told to use another."""
        refusal = Setup(status=SetupStatus.REQUIRES_PAYMENT_METHOD)

        method = set_up(processing(), refusal, NOON, WINDOW)

        assert method is not None
        assert method.decline == decline_for("payment_method_invalid")

    def test_processing_is_an_answer(self) -> None:
        """A bank that takes its time does not keep the customer waiting for our answer."""
        method = set_up(processing(), setup_in("processing"), NOON, WINDOW)

        assert method is not None
        assert (S.PROCESSING, R.GATEWAY_PROCESSING) == (method.status, method.reason)
        assert method.is_settled
        assert not processing().is_settled

    def test_time_is_over_only_if_the_gateway_has_canceled(self) -> None:
        """What succeeded meanwhile is judged by what it is."""
        waiting = set_up(processing(), setup_in("requires_action"), NOON, WINDOW)
        assert waiting is not None

        over = timed_out(waiting, setup_in("canceled"), LATER)

        assert over is not None
        assert (S.FAILED, R.AUTHENTICATION_TIMEOUT) == (over.status, over.reason)
        assert timed_out(waiting, setup_in("succeeded"), LATER) is None

    def test_somebody_cancels_it_at_the_gateway(self) -> None:
        """The reason says that it was not us."""
        method = set_up(processing(), setup_in("canceled"), NOON, WINDOW)

        assert method is not None
        assert (S.FAILED, R.CANCELED_AT_GATEWAY) == (method.status, method.reason)

    def test_silence_is_noted_while_nobody_else_is_waited_for(self) -> None:
        """A customer on their bank's page is not told that the gateway is away."""
        waiting = set_up(processing(), setup_in("requires_action"), NOON, WINDOW)
        assert waiting is not None

        silent = noted(processing(), R.GATEWAY_UNREACHABLE, LATER)

        assert silent is not None
        assert R.GATEWAY_UNREACHABLE is silent.reason
        assert noted(waiting, R.GATEWAY_UNREACHABLE, LATER) is None


class TestAfterwards:
    def test_renewed_card_is_shown(self) -> None:
        """The card updater's news is what the customer sees."""
        renewed = seen(saved(), attached(last4="9999", exp_year=2031), LATER)

        assert renewed is not None
        assert (S.ACTIVE, R.UPDATED_AT_GATEWAY) == (renewed.status, renewed.reason)
        assert renewed.facts is not None
        assert ("9999", 2031) == (renewed.facts.last4, renewed.facts.exp_year)
        assert renewed.can_pay

    def test_detached_there_is_removed_here(self) -> None:
        """Nobody can pay with it any more."""
        gone = seen(saved(), attached(None), LATER)

        assert gone is not None
        assert (S.REMOVED, R.DETACHED_AT_GATEWAY, LATER) == (
            gone.status,
            gone.reason,
            gone.removed_at,
        )

    def test_who_asked_for_the_removal_is_remembered(self) -> None:
        """The proof of a removal does not look like somebody else's doing."""
        asked = removal_requested(saved(), NOON)
        assert asked is not None
        renewed = seen(asked, attached(exp_year=2031), LATER)
        assert renewed is not None

        gone = seen(renewed, attached(None), LATER)

        assert not asked.can_pay
        assert R.REMOVAL_REQUESTED is renewed.reason
        assert gone is not None
        assert (S.REMOVED, R.REMOVED) == (gone.status, gone.reason)
