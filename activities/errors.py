"""The one place that decides what an error of the gateway means for us.

Declined is a result and never comes here as an error. What remains is: refused before any effect
(asking again changes nothing), later (the gateway told us to wait), unknown (it may have happened),
and our own mistake. Status codes and error types: Stripe's API reference, "Errors".
"""

from datetime import timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Final

import stripe
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

RATE_LIMITED_SECONDS: Final = 2.0
SEARCHED_TO: Final = "searched_to"
# The try was over before the step itself was sent, so an effect can only be an earlier one's.
NOTHING_SENT: Final = "nothing_sent"
# The breaker is open: others have found that the gateway does not answer.
IS_AWAY: Final = "is_away"


class Trouble(StrEnum):
    """The `type` of the application error that a gateway activity fails with."""

    REFUSED = "GatewayRefused"
    LATER = "GatewayLater"
    UNREACHABLE = "GatewayUnreachable"
    # The gateway keeps a 500 under the idempotency key: the same key will only hear it again.
    STICKY = "GatewayStickyError"
    # The same for the customer whom an intent needs first: the intent itself was not asked for.
    STICKY_CUSTOMER = "GatewayStickyCustomer"
    MISCONFIGURED = "GatewayMisconfigured"
    # Our breaker is open, or the budget is spent: this call was not sent. Of an activity that makes
    # several, those before it may have had their effect.
    NOT_ASKED = "GatewayNotAsked"
    # No trouble at all: a long list was read in part, and is to be read on from there.
    SEARCHING = "GatewaySearching"
    # An error of our own code: the activity never says so, the workflow concludes it.
    BUG = "GatewayBug"


class NotAsked(stripe.APIConnectionError):
    """We do not ask the gateway for now: nothing was sent, so nothing has happened.

    `is_away`: because it does not answer; else there is only too much to ask.
    """

    def __init__(self, why: str, again_in: timedelta, *, is_away: bool = False) -> None:
        super().__init__(why, should_retry=False)  # type: ignore[no-untyped-call]
        self.why = why
        self.again_in = again_in
        self.is_away = is_away


def not_searched_through(place: str) -> ApplicationError:
    """What Temporal is told of a list that is longer than one activity reads."""
    return ApplicationError(
        "the gateway's list is long: it is read on",
        {SEARCHED_TO: place},
        type=Trouble.SEARCHING,
        non_retryable=True,
        category=ApplicationErrorCategory.BENIGN,
    )


def as_failure(error: stripe.StripeError) -> ApplicationError:
    """What Temporal is told of an error that is not a decline."""
    match error:
        case stripe.RateLimitError():
            return _later(error, "the gateway limits our rate")
        case stripe.AuthenticationError() | stripe.PermissionError():
            return ApplicationError(
                "the gateway refuses our key: check STRIPE_SECRET_KEY and its permissions",
                _facts(error),
                type=Trouble.MISCONFIGURED,
            )
        case NotAsked():
            return ApplicationError(
                f"{error.why}: asked again later",
                {IS_AWAY: error.is_away},
                type=Trouble.NOT_ASKED,
                next_retry_delay=error.again_in,
                category=ApplicationErrorCategory.BENIGN,
            )
        case stripe.APIConnectionError():
            return ApplicationError(
                "no answer from the gateway: what it did is unknown",
                _facts(error),
                type=Trouble.UNREACHABLE,
            )
        case stripe.InvalidRequestError() | stripe.CardError():
            return ApplicationError(
                "the gateway refuses the request",
                _facts(error),
                type=Trouble.REFUSED,
                non_retryable=True,
            )
        case _ if _status(error) == HTTPStatus.CONFLICT:
            return _later(error, "an equal call is under way at the gateway")
        case _:
            # A 5xx, an answer that cannot be read, or a key that it knows with other parameters:
            # each may hide an effect, so only a look can tell.
            return ApplicationError(
                "the gateway's answer tells nothing: what it did is unknown",
                _facts(error),
                type=Trouble.STICKY,
                non_retryable=True,
            )


def before_the_attempt(failure: ApplicationError) -> ApplicationError:
    """The same failure, of a try that has asked no bank for anything: none of its keys is spent."""
    is_sticky = failure.type == Trouble.STICKY
    return _of_nothing_sent(failure, Trouble.UNREACHABLE if is_sticky else failure.type)


def about_the_customer(failure: ApplicationError) -> ApplicationError:
    """The same, if it was met while the customer was made: that key alone is spent."""
    is_sticky = failure.type == Trouble.STICKY
    return _of_nothing_sent(failure, Trouble.STICKY_CUSTOMER if is_sticky else failure.type)


def _of_nothing_sent(failure: ApplicationError, kind: str | None) -> ApplicationError:
    [facts] = failure.details or ({},)
    return ApplicationError(
        failure.message,
        {**facts, NOTHING_SENT: True},
        type=kind,
        non_retryable=failure.non_retryable,
        next_retry_delay=failure.next_retry_delay,
        category=failure.category,
    )


def _later(error: stripe.StripeError, message: str) -> ApplicationError:
    return ApplicationError(
        f"{message}: asked again later",
        _facts(error),
        type=Trouble.LATER,
        next_retry_delay=_retry_after(error),
        category=ApplicationErrorCategory.BENIGN,
    )


def _retry_after(error: stripe.StripeError) -> timedelta:
    headers = error.headers or {}
    told = headers.get("retry-after") or headers.get("Retry-After") or ""
    try:
        seconds = float(told)
    except ValueError:
        seconds = RATE_LIMITED_SECONDS
    return timedelta(seconds=min(max(seconds, 0.1), 600))


def _status(error: stripe.StripeError) -> int:
    return int(error.http_status or 0)


def _facts(error: stripe.StripeError) -> dict[str, str | int | None]:
    """What an operator needs: never the message, which may quote what the customer typed."""
    told = error.error
    return {
        "status": error.http_status,
        "code": told.code if told else error.code,
        "param": getattr(told, "param", None),
        "request_id": error.request_id,
    }
