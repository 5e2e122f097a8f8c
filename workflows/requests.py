"""What a payment's run is asked for while it is under way, and how it says no."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from paysaga.domain.message import Message
    from paysaga.domain.payment import RequestMark


class RetryRequest(Message):
    """Another attempt, with the same or another payment method."""

    method: str
    actor: str
    request: RequestMark


class CancelRequest(Message):
    """Give the payment up."""

    actor: str
    request: RequestMark


class NotNow(ApplicationError):
    """The payment, as it stands, does not take this request. Its state is in the details."""

    def __init__(self, message: str) -> None:
        super().__init__(message, type="NotNow", non_retryable=True)


class KeyReused(ApplicationError):
    """The request's Idempotency-Key belongs to another request of this payment."""

    def __init__(self) -> None:
        super().__init__(
            "this Idempotency-Key was used for another request of this payment",
            type="KeyReused",
            non_retryable=True,
        )
