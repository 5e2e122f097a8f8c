"""Temporal's errors in our words: what became of a call to a run."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final, Self

from temporalio.client import RPCTimeoutOrCancelledError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from paysaga.domain.payment import PaymentState
from paysaga.timing import timed

# A look at a run is answered from the server's memory; longer than this it is not there.
LOOK: Final = timedelta(seconds=2)

# The SDK bounds one call, not the polling that may follow, nor its own repeats.
_GRACE: Final = timedelta(milliseconds=500)
_NO_ANSWER: Final = frozenset({RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED})
# The workflow's word for it: the API does not know the activities.
ORDER_TAKEN: Final = "OrderTaken"
_OURS: Final = frozenset({RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.UNIMPLEMENTED})


class TemporalUnavailable(Exception):
    """Temporal does not answer."""


class NoAnswerYet(Exception):
    """The run goes on, but its outcome was not known in time."""


class RunOver(Exception):
    """The run is not there (any more) or has ended without an answer: the row tells."""


class StartedBefore(RunOver):
    """The run has ended, and it was started by another request."""


class NotTaken(Exception):
    """The run does not take this request as the payment stands."""


class NotDone(Exception):
    """The run took the request, and found that it cannot be done: the message says why."""


class KeyTaken(Exception):
    """The run knows the request's key from another request, which may not be written down yet."""


class OrderTaken(Exception):
    """Another payment holds the order."""

    def __init__(self, payment_id: str | None, lost: PaymentState | None = None) -> None:
        super().__init__(payment_id)
        self.payment_id = payment_id
        self.lost = lost

    @classmethod
    def of(cls, error: ApplicationError, lost: PaymentState | None = None) -> Self:
        """As the run has failed with it: the order's payment, and the one that came too late."""
        holder = next(iter(error.details), None)
        return cls(holder if isinstance(holder, str) else None, lost)


@asynccontextmanager
async def translated(wait: timedelta) -> AsyncIterator[None]:
    """Bound the time, count it, and tell Temporal's errors in our words."""
    try:
        with timed("temporal"):
            async with asyncio.timeout((wait + _GRACE).total_seconds()):
                yield
    except (RPCTimeoutOrCancelledError, TimeoutError) as error:
        raise NoAnswerYet from error
    except WorkflowUpdateFailedError as error:
        raise _refusal(error) from error
    except WorkflowAlreadyStartedError as error:
        raise StartedBefore from error
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise RunOver from error
        if error.status in _NO_ANSWER:
            raise NoAnswerYet from error
        if error.status in _OURS:
            raise
        raise TemporalUnavailable from error
    except RuntimeError as error:
        # A client that connects at its first call fails with this while the server is away.
        if "client connect" not in str(error):
            raise
        raise TemporalUnavailable from error


def _refusal(error: WorkflowUpdateFailedError) -> Exception:
    """What an update failed with: a refusal that we know, or the end of its run."""
    cause: BaseException | None = error.cause
    while cause is not None:
        if isinstance(cause, ApplicationError):
            if cause.type == "NotNow":
                return NotTaken(cause.message)
            if cause.type == "NotRepaired":
                return NotDone(cause.message)
            if cause.type == "KeyReused":
                return KeyTaken()
            if cause.type == ORDER_TAKEN:
                return OrderTaken.of(cause)
        cause = cause.__cause__
    return RunOver()
