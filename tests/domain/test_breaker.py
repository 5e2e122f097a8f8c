from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from paysaga.domain.breaker import (
    DURING_TRIAL,
    FAILURES,
    OPEN_FOR,
    TRIAL_FOR,
    Breaker,
    BreakerState,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def after_failures(count: int, at: datetime = NOW) -> Breaker:
    breaker = Breaker()
    for _ in range(count):
        breaker = breaker.failed(at, is_trial=False)
    return breaker


class TestBreaker:
    def test_it_opens_after_five_failures_in_a_row(self) -> None:
        """Four let everybody through, the fifth nobody."""
        assert BreakerState.CLOSED is after_failures(FAILURES - 1).state
        assert BreakerState.OPEN is after_failures(FAILURES).state

    def test_an_answer_between_begins_the_count_anew(self) -> None:
        """Only failures in a row count."""
        breaker = after_failures(FAILURES - 1).answered()

        assert BreakerState.CLOSED is breaker.failed(NOW, is_trial=False).state

    def test_who_comes_is_told_when_to_come_again(self) -> None:
        """The rest of the minute; then one may try, and the others come again soon."""
        opened = after_failures(FAILURES)
        later = NOW + OPEN_FOR

        assert OPEN_FOR - SECOND == opened.pause(NOW + SECOND)
        assert timedelta() == opened.pause(later)
        assert DURING_TRIAL == opened.tried(later).pause(later)

    def test_the_trial_decides(self) -> None:
        """An answer closes it; none keeps it open for another minute."""
        trial = after_failures(FAILURES).tried(NOW + OPEN_FOR)
        failed = trial.failed(NOW + OPEN_FOR + SECOND, is_trial=True)

        assert (BreakerState.CLOSED, None) == (trial.answered().state, trial.answered().pause(NOW))
        assert BreakerState.OPEN is failed.state
        assert OPEN_FOR == failed.pause(NOW + OPEN_FOR + SECOND)

    def test_a_lost_trial_makes_room_for_another(self) -> None:
        """Whoever tried was killed: after its time the next one tries."""
        trial = after_failures(FAILURES).tried(NOW)

        assert timedelta() == trial.pause(NOW + TRIAL_FOR)

    def test_late_failures_do_not_prolong_it(self) -> None:
        """A call that began before it opened, and fails after, tells nothing new."""
        opened = after_failures(FAILURES)

        assert opened == opened.failed(NOW + 20 * SECOND, is_trial=False)

    def test_a_trial_that_fails_after_an_answer_is_one_failure(self) -> None:
        """Another call was answered meanwhile: the gateway is there, and is not shut out again."""
        closed = after_failures(FAILURES).tried(NOW + OPEN_FOR).answered()

        late = closed.failed(NOW + OPEN_FOR + SECOND, is_trial=True)

        assert (BreakerState.CLOSED, 1) == (late.state, late.failures)

    @given(st.lists(st.sampled_from(["answered", "failed", "trial failed"]), max_size=30))
    def test_any_answer_closes_it(self, steps: list[str]) -> None:
        """Whatever came before; and each change has the next version, so that none is lost."""
        breaker = Breaker()
        for step in steps:
            before = breaker
            if step == "answered":
                breaker = breaker.answered()
            else:
                breaker = breaker.failed(NOW, is_trial=step == "trial failed")
            assert breaker is before or breaker.version == before.version + 1

        assert BreakerState.CLOSED is breaker.answered().state
        assert 0 == breaker.answered().failures
