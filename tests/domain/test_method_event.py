"""What an event of the gateway means for a saved method."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paysaga.domain.gateway_event import OWN_CALL
from paysaga.domain.method_event import LISTENED_FOR, METHOD_NUDGES, MethodDuty, method_duty
from paysaga.domain.saved_method import SavedMethod, SavedMethodStatus
from paysaga.domain.saving import removal_requested, set_up
from tests.fakes import NOON
from tests.saved import WINDOW, processing, saved, setup_in

D = MethodDuty
AT_ONCE = timedelta()
# Stripe lists the events of so many kinds at once (its API reference, "List all events").
MOST_KINDS = 20


def stands(word: str) -> SavedMethod:
    match word:
        case "started":
            return processing()
        case "saved":
            return saved()
        case "going":
            asked = removal_requested(saved(), NOON)
            assert asked is not None
            return asked
        case _:
            step = set_up(processing(), setup_in(word), NOON, WINDOW)
            assert step is not None
            return step


@pytest.mark.parametrize(
    ("kind", "word", "age", "duty"),
    [
        ("setup_intent.succeeded", "requires_action", AT_ONCE, D.RUN),
        ("setup_intent.setup_failed", "requires_action", AT_ONCE, D.RUN),
        ("setup_intent.succeeded", "processing", AT_ONCE, D.RUN),
        ("setup_intent.succeeded", "started", AT_ONCE, D.LATER),
        ("setup_intent.succeeded", "started", OWN_CALL, D.RUN),
        ("setup_intent.succeeded", "saved", OWN_CALL, D.NOBODY),
        ("setup_intent.canceled", "canceled", OWN_CALL, D.NOBODY),
        ("payment_method.updated", "saved", AT_ONCE, D.LOOK),
        ("payment_method.detached", "saved", AT_ONCE, D.LOOK),
        ("payment_method.detached", "going", AT_ONCE, D.LOOK),
        ("payment_method.updated", "requires_action", AT_ONCE, D.NOBODY),
    ],
)
def test_who_looks(kind: str, word: str, age: timedelta, duty: MethodDuty) -> None:
    """Whoever could learn something is told, and nobody else."""
    assert duty is method_duty(kind, stands(word), age)


@given(st.sampled_from(sorted(METHOD_NUDGES)), st.sampled_from(sorted(SavedMethodStatus)))
def test_what_is_over_is_nobodys(kind: str, status: SavedMethodStatus) -> None:
    """A late event about what was not saved, or is removed, wakes nobody."""
    over = {SavedMethodStatus.FAILED, SavedMethodStatus.REMOVED}
    method = saved().model_copy(update={"status": status})

    told = method_duty(kind, method, OWN_CALL)

    assert status not in over or told is D.NOBODY


def test_the_gateway_can_be_asked_for_all_of_them() -> None:
    """The sweep's one question has room for every kind of event that we wait for."""
    assert len(LISTENED_FOR) <= MOST_KINDS
