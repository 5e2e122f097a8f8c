"""Every way that a call may take, step by step, on a clock of our own."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from paysaga.client import (
    Conflict,
    Gone,
    NotAuthenticated,
    OutcomeUnknown,
    Payment,
    PaysagaError,
    Refused,
    Retries,
    TooMany,
    Unavailable,
)
from paysaga.client.answers import SavedMethod
from paysaga.client.calls import Call, Repeat, change, look
from paysaga.client.exchange import Exchange, Pause, Send
from paysaga.client.reading import Answer, Lost
from tests.client.told import PAYMENT_ID, a_method, a_payment, a_problem

LOST = Lost(httpx.ReadTimeout("no answer"), may_be_done=True)
NOT_SENT = Lost(httpx.ConnectError("nobody"), may_be_done=False)
CANCEL = change(Payment, f"/payments/{PAYMENT_ID}/cancel", key="key-1")
LOOK = look(Payment, f"/payments/{PAYMENT_ID}")
ONCE = Call("PATCH", "/payment-methods/1", SavedMethod, Repeat.NEVER)


def says(status: int, body: object = None, **headers: str) -> Answer:
    return Answer(status, httpx.Headers(headers), json.dumps(body).encode())


def refuses(status: int, code: str = "some_code", **headers: str) -> Answer:
    return says(
        status, a_problem(status, code), **{k.replace("_", "-"): v for k, v in headers.items()}
    )


PAID = says(200, a_payment())


class Walk:
    """Carries out the steps without waiting: the clock is moved by what they say."""

    def __init__(self, call: Call[Any], retries: Retries | None = None) -> None:
        self.now = 1000.0
        self.sends: list[float] = []
        self.pauses: list[float] = []
        self._steps = Exchange(call, retries or Retries(), lambda: self.now).steps()

    def through(self, came: Iterable[Answer | Lost], seconds: float = 0.0) -> Any:
        """What the call comes to; each try takes so many seconds."""
        replies = iter(came)
        told: Answer | Lost | None = None
        while True:
            try:
                step = self._steps.send(told)
            except StopIteration as done:
                return done.value
            told = None
            if isinstance(step, Pause):
                self.pauses.append(step.seconds)
                self.now += step.seconds
            else:
                assert isinstance(step, Send)
                self.sends.append(step.timeout_seconds)
                self.now += seconds
                told = next(replies)


class TestEnds:
    @pytest.mark.parametrize(
        ("call", "came", "error"),
        [
            (CANCEL, [NOT_SENT] * 4, Unavailable),
            (CANCEL, [LOST] * 4, OutcomeUnknown),
            (CANCEL, [LOST, NOT_SENT, NOT_SENT, NOT_SENT], OutcomeUnknown),
            (CANCEL, [NOT_SENT, LOST, NOT_SENT, NOT_SENT], OutcomeUnknown),
            (CANCEL, [refuses(500)] * 4, OutcomeUnknown),
            (CANCEL, [refuses(503)] * 4, OutcomeUnknown),
            (CANCEL, [refuses(429)] * 4, TooMany),
            (CANCEL, [LOST, refuses(429), refuses(429), refuses(429)], OutcomeUnknown),
            (CANCEL, [refuses(401)], NotAuthenticated),
            (CANCEL, [says(404, "no such site")] * 4, OutcomeUnknown),
            (CANCEL, [says(200, {"welcome": True})] * 4, OutcomeUnknown),
            (CANCEL, [LOST, refuses(401)], OutcomeUnknown),
            (CANCEL, [LOST, refuses(404)], OutcomeUnknown),
            (CANCEL, [LOST, refuses(422)], OutcomeUnknown),
            (CANCEL, [LOST, refuses(409)], Conflict),
            (CANCEL, [refuses(409)], Conflict),
            (CANCEL, [refuses(418)], Refused),
            (CANCEL, [refuses(410)], Gone),
            (LOOK, [LOST] * 4, Unavailable),
            (LOOK, [refuses(503)] * 4, Unavailable),
            (LOOK, [says(404, "no such site")] * 4, Unavailable),
            (LOOK, [LOST, refuses(401)], NotAuthenticated),
            (ONCE, [NOT_SENT] * 4, Unavailable),
            (ONCE, [NOT_SENT, LOST], OutcomeUnknown),
            (ONCE, [refuses(503)], OutcomeUnknown),
        ],
    )
    def test_what_the_caller_may_believe(
        self, call: Call[Any], came: list[Answer | Lost], error: type[PaysagaError]
    ) -> None:
        """One try that may have been carried out keeps the outcome open, whatever comes after it.

        Only the API's word on this very request closes it: an answer, or a conflict.
        """
        walk = Walk(call)

        with pytest.raises(PaysagaError) as raised:
            walk.through(came)

        assert error is type(raised.value)
        assert len(came) == len(walk.sends)

    @pytest.mark.parametrize("before", [LOST, NOT_SENT, refuses(500), refuses(429), says(200, {})])
    def test_a_good_answer_ends_it(self, before: Answer | Lost) -> None:
        """Whatever was before, the answer to the repeat is the answer."""
        assert PAYMENT_ID == Walk(CANCEL).through([before, PAID]).id

    def test_it_says_what_to_do(self) -> None:
        """The message names the call, and what is safe now; the key is there for a repeat."""
        with pytest.raises(OutcomeUnknown, match="repeat it with the same key") as raised:
            Walk(CANCEL).through([LOST] * 4)

        assert "key-1" == raised.value.key
        assert f"POST /payments/{PAYMENT_ID}/cancel: no answer (ReadTimeout)" in str(raised.value)
        assert LOST.error is raised.value.__cause__


class TestResults:
    def test_a_decline_is_a_result(self) -> None:
        """402 is the payment that the decline has left, with what may follow."""
        left = a_payment(status="awaiting_retry", decline_code="insufficient_funds")

        payment = Walk(CANCEL).through([says(402, a_problem(402, payment=left))])

        assert ("awaiting_retry", "insufficient_funds") == (payment.status, payment.decline_code)

    def test_so_is_a_method_that_is_not_saved(self) -> None:
        """It comes back as it was left."""
        call = change(SavedMethod, "/payment-methods", key=None)
        left = a_method(status="failed", decline_code="expired_card")

        method = Walk(call).through([says(402, a_problem(402, payment_method=left))])

        assert ("failed", "expired_card") == (method.status, method.decline_code)

    def test_a_decline_of_nothing_is_a_refusal(self) -> None:
        """Without the payment there is nothing to go on with."""
        with pytest.raises(Refused):
            Walk(CANCEL).through([refuses(402)])

    @pytest.mark.parametrize(("status", "is_pending"), [(200, False), (201, False), (202, True)])
    def test_a_promise_is_told_from_an_outcome(self, status: int, *, is_pending: bool) -> None:
        """202: it is under way, and what comes of it is not known yet."""
        assert is_pending is Walk(CANCEL).through([says(status, a_payment())]).is_pending


class TestTime:
    def test_pauses_grow_and_are_not_alike(self) -> None:
        """Twice as long each time, up to a limit, and by chance: many who failed come apart."""
        retries = Retries(first_pause_seconds=1, longest_pause_seconds=3)

        drawn = [[retries.pause_seconds(tried) for _ in range(50)] for tried in (1, 2, 3, 9)]

        for pauses, longest in zip(drawn, (1, 2, 3, 3), strict=True):
            assert longest / 2 <= min(pauses) < max(pauses) <= longest

    def test_no_try_begins_after_the_deadline(self) -> None:
        """However many there might be; and no try waits beyond it."""
        walk = Walk(CANCEL, Retries(attempts=100, deadline_seconds=30, timeout_seconds=12))

        with pytest.raises(OutcomeUnknown):
            walk.through([LOST] * 100, seconds=12)

        assert 3 == len(walk.sends)
        assert [12, 12] == walk.sends[:2]
        assert 0 < walk.sends[2] < 6

    def test_what_the_api_is_asked_to_wait_comes_on_top(self) -> None:
        """A question that waits for news is no slow answer."""
        walk = Walk(look(Payment, "/x", patience_seconds=30), Retries(timeout_seconds=15))

        walk.through([PAID])

        assert [45] == walk.sends

    def test_the_api_says_when_to_come_again(self) -> None:
        """Not before, also when its word is longer than our own pause."""
        walk = Walk(CANCEL)

        walk.through([refuses(429, Retry_After="7"), refuses(503, Retry_After="9"), PAID])

        assert [7, 9] == walk.pauses

    def test_it_may_say_so_as_a_date(self) -> None:
        """As proxies do; what is no date says nothing."""
        then = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
        walk = Walk(CANCEL)

        walk.through([refuses(503, Retry_After=then), refuses(503, Retry_After="soon"), PAID])

        assert 15 < walk.pauses[0] <= 20
        assert walk.pauses[1] <= 0.5

    def test_a_wait_beyond_the_deadline_is_the_caller_s(self) -> None:
        """It learns at once how long, instead of being kept."""
        walk = Walk(CANCEL)

        with pytest.raises(TooMany) as raised:
            walk.through([refuses(429, Retry_After="31")])

        assert ([], 31) == (walk.pauses, raised.value.retry_after_seconds)

    def test_one_try_may_be_all(self) -> None:
        """Whoever wants to repeat by itself has it so."""
        walk = Walk(CANCEL, Retries(attempts=1))

        with pytest.raises(OutcomeUnknown):
            walk.through([LOST])
