"""What an answer means: the thing that was asked for, a no, or nothing that could be relied on."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import NamedTuple, TypeVar

from pydantic import ValidationError

from paysaga.client.answers import Problem, Told
from paysaga.client.calls import Call
from paysaga.client.errors import Refused, TooMany, refusal

T = TypeVar("T", bound=Told)


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Lost(NamedTuple):
    """Nothing came back. `may_be_done` unless it is sure that nothing got there."""

    error: Exception
    may_be_done: bool


class InVain(Exception):
    """A try that came to nothing, or so it seems: another may be made.

    Attributes:
        may_be_done: Nobody knows whether it had its effect.
        refused: What the API said, if it was the API that said it.
    """

    def __init__(self, told: str, *, may_be_done: bool, refused: Refused | None = None) -> None:
        super().__init__(told)
        self.may_be_done = may_be_done
        self.refused = refused

    @property
    def wait_seconds(self) -> float:
        """How long the API wants to be left alone."""
        return (self.refused and self.refused.retry_after_seconds) or 0.0


def understood(call: Call[T], came: Answer | Lost) -> T:
    """The good answer to a call. A decline is one: the payment tells what may follow.

    Raises:
        Refused: The API's answer is no.
        InVain: There is no answer, or not one of the API's.
    """
    if isinstance(came, Lost):
        told = f"no answer ({type(came.error).__name__})"
        raise InVain(told, may_be_done=came.may_be_done) from came.error
    if HTTPStatus.OK <= came.status < HTTPStatus.MULTIPLE_CHOICES:
        return _good(call, came)
    problem = _problem(came)
    if problem is None:
        # A proxy may say anything, whatever has become of the request behind it.
        raise InVain(f"{came.status}, but not by Paysaga", may_be_done=True)
    if came.status == HTTPStatus.PAYMENT_REQUIRED:
        for declined in (problem.payment, problem.payment_method):
            if isinstance(declined, call.answer):
                return declined
    refused = refusal(problem, _retry_after_seconds(came))
    if came.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise InVain(str(refused), may_be_done=True, refused=refused)
    if isinstance(refused, TooMany):
        raise InVain(str(refused), may_be_done=False, refused=refused)
    raise refused


def _good(call: Call[T], answer: Answer) -> T:
    try:
        told = call.answer.model_validate_json(answer.content)
    except ValidationError as error:
        raise InVain("an answer that is not understood", may_be_done=True) from error
    is_pending = answer.status == HTTPStatus.ACCEPTED
    if is_pending and "is_pending" in call.answer.model_fields:
        return told.model_copy(update={"is_pending": True})
    return told


def _problem(answer: Answer) -> Problem | None:
    try:
        return Problem.model_validate_json(answer.content)
    except ValidationError:
        return None


def _retry_after_seconds(answer: Answer) -> float | None:
    """What the header says, in seconds or as a date; `None` if it says nothing of use."""
    told = answer.headers.get("retry-after", "")
    if told.isdecimal():
        return float(told)
    try:
        at = parsedate_to_datetime(told)
    except ValueError:
        return None
    if at.tzinfo is None:
        return None
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
