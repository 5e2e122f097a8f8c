"""What may go wrong with a request, told by what it means for the caller."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from paysaga.client.answers import FieldError, Payment, Problem, SavedMethod


class PaysagaError(Exception):
    """Everything that this client raises by itself."""


class Refused(PaysagaError):
    """The API has answered, and the answer is no.

    Where that is about a payment or a saved payment method, it is inside, as it stands: whatever
    was done before the no shows there.

    Attributes:
        problem: All that the API has said.
        retry_after_seconds: How long to wait before it is asked again, if the API says so.
    """

    def __init__(self, problem: Problem, retry_after_seconds: float | None = None) -> None:
        fields = "".join(f" {wrong.field}: {wrong.message}" for wrong in problem.errors)
        super().__init__(f"{problem.status} {problem.code}: {problem.detail}{fields}")
        self.problem = problem
        self.retry_after_seconds = retry_after_seconds

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.problem.status

    @property
    def code(self) -> str:
        """The stable word to decide by."""
        return self.problem.code

    @property
    def detail(self) -> str:
        """A sentence that the customer may be shown."""
        return self.problem.detail

    @property
    def errors(self) -> Sequence[FieldError]:
        """What is wrong with which field."""
        return self.problem.errors

    @property
    def payment(self) -> Payment | None:
        """The payment that it is about, as it stands."""
        return self.problem.payment

    @property
    def payment_method(self) -> SavedMethod | None:
        """The saved payment method that it is about, as it stands."""
        return self.problem.payment_method


class NotAuthenticated(Refused):
    """The token is missing or not valid, or not any more (401)."""


class NotAllowed(Refused):
    """The token's role may not do this (403)."""


class NotFound(Refused):
    """There is no such thing, or the token may not see it (404)."""


class Conflict(Refused):
    """As things stand it cannot be done (409): `payment` or `payment_method` shows how."""


class Gone(Refused):
    """It was there, and is not kept any more (410)."""


class Invalid(Refused):
    """Some input is not as it must be (400, 413, 422): `errors` names the fields."""


class TooMany(Refused):
    """There were too many requests or declines (429): `retry_after_seconds` says when again."""


class NoAnswer(PaysagaError):
    """Paysaga does not answer, or cannot for now.

    Attributes:
        problem: What it said at last, if it said anything.
        retry_after_seconds: How long to wait before it is asked again, if the API says so.
    """

    def __init__(self, told: str, *, refused: Refused | None = None) -> None:
        super().__init__(told)
        self.problem = refused and refused.problem
        self.retry_after_seconds = refused and refused.retry_after_seconds


class Unavailable(NoAnswer):
    """Surely nothing was done: the request never got there, or it was a question only."""


class OutcomeUnknown(NoAnswer):
    """No answer came, and it may have been done all the same.

    Repeat the call with this `key` and the same arguments, now or much later: it is carried out
    once, and the answer shows how things stand then. `key` is `None` where the API takes none: then
    look how things stand.
    """

    def __init__(self, told: str, *, key: str | None, refused: Refused | None = None) -> None:
        super().__init__(told, refused=refused)
        self.key = key


class WebhookRefused(PaysagaError):
    """What came is not an event that Paysaga has just signed: answer 401, and do nothing."""


_KINDS: Final[dict[int, type[Refused]]] = {
    HTTPStatus.BAD_REQUEST: Invalid,
    HTTPStatus.UNAUTHORIZED: NotAuthenticated,
    HTTPStatus.FORBIDDEN: NotAllowed,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.GONE: Gone,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Invalid,
    HTTPStatus.UNPROCESSABLE_ENTITY: Invalid,
    HTTPStatus.TOO_MANY_REQUESTS: TooMany,
}


def refusal(problem: Problem, retry_after_seconds: float | None) -> Refused:
    """The error of its own kind."""
    return _KINDS.get(problem.status, Refused)(problem, retry_after_seconds)
