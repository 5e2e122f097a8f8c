"""What a payment's run is asked for while it is under way, and how it says no."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from paysaga.domain.message import Message
    from paysaga.domain.payment import RequestMark
    from paysaga.domain.repairs import RepairKind


class RetryRequest(Message):
    """Another attempt, with the same or another payment method."""

    method: str
    actor: str
    request: RequestMark


class CancelRequest(Message):
    """Give the payment up."""

    actor: str
    request: RequestMark


class CaptureRequest(Message):
    """Take what is held, or so much of it in minor units."""

    amount: int | None = None
    actor: str
    request: RequestMark


class RepairRequest(Message):
    """What a person decides for a parked payment, why, and what shows it."""

    kind: RepairKind
    why: str
    evidence: str | None = None
    gateway_id: str | None = None
    needs_approval: bool = False
    actor: str
    request: RequestMark

    @property
    def note(self) -> str:
        """As the history has it."""
        parts = [f"{self.kind}: {self.why}"]
        if self.gateway_id:
            parts.append(f"intent: {self.gateway_id}")
        if self.evidence:
            parts.append(f"evidence: {self.evidence}")
        return "; ".join(parts)


class Approval(Message):
    """A second person agrees with what the first has proposed: the step of this number."""

    proposal: int
    why: str
    actor: str
    request: RequestMark


class NotRepaired(ApplicationError):
    """The gateway contradicts what a person decided, or will not do it: nothing was changed."""

    def __init__(self, message: str) -> None:
        super().__init__(message, type="NotRepaired", non_retryable=True)


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
