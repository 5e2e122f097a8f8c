"""A saved means of payment: the words it is told in, its states, and the ways between them."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime

from paysaga.domain.declines import Decline
from paysaga.domain.intent import MethodFacts
from paysaga.domain.message import Message
from paysaga.domain.payment import RequestMark


class SavedMethodStatus(StrEnum):
    """Where a saved method stands. Only an active one can be paid with."""

    PROCESSING = "processing"
    REQUIRES_ACTION = "requires_action"
    ACTIVE = "active"
    FAILED = "failed"
    REMOVED = "removed"


class SaveReason(StrEnum):
    """Why it stands where it stands, in one stable word."""

    STARTED = "started"
    GATEWAY_UNREACHABLE = "gateway_unreachable"
    GATEWAY_PROCESSING = "gateway_processing"
    GATEWAY_REFUSED = "gateway_refused"
    AUTHENTICATION_REQUIRED = "authentication_required"
    AUTHENTICATION_TIMEOUT = "authentication_timeout"
    DECLINED = "declined"
    CANCELED_AT_GATEWAY = "canceled_at_gateway"
    RUN_CANCELED = "run_canceled"
    ALREADY_SAVED = "already_saved"
    SAVED = "saved"
    UPDATED_AT_GATEWAY = "updated_at_gateway"
    REMOVAL_REQUESTED = "removal_requested"
    REMOVED = "removed"
    DETACHED_AT_GATEWAY = "detached_at_gateway"


_S = SavedMethodStatus
MOVES: Final[Mapping[SavedMethodStatus, frozenset[SavedMethodStatus]]] = {
    _S.PROCESSING: frozenset({_S.REQUIRES_ACTION, _S.ACTIVE, _S.FAILED}),
    _S.REQUIRES_ACTION: frozenset({_S.PROCESSING, _S.ACTIVE, _S.FAILED}),
    _S.ACTIVE: frozenset({_S.REMOVED}),
    _S.FAILED: frozenset(),
    _S.REMOVED: frozenset(),
}
OPEN: Final = frozenset({_S.PROCESSING, _S.REQUIRES_ACTION})


class SetupStatus(StrEnum):
    """Stripe's own words for a SetupIntent (its API reference, `status`)."""

    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_CONFIRMATION = "requires_confirmation"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    SUCCEEDED = "succeeded"
    CANCELED = "canceled"


class Setup(Message):
    """What the gateway says of our SetupIntent; without an id it did not even make one."""

    id: str | None = None
    status: SetupStatus
    customer_id: str | None = None
    method_id: str | None = None
    facts: MethodFacts | None = None
    action_url: str | None = None
    decline: Decline | None = None


class AttachedMethod(Message):
    """What the gateway says of a saved method; without a customer it is detached, or gone."""

    id: str
    customer_id: str | None = None
    facts: MethodFacts | None = None


class MethodOrder(Message):
    """A means of payment to be saved: all that a run needs to know. Holds no personal data."""

    id: str
    customer_id: str
    gateway_customer_id: str | None = None
    token: str
    return_url: str
    gateway_return_url: str
    make_default: bool = False
    action_window: timedelta = timedelta(minutes=15)
    environment: str
    actor: str
    request: RequestMark
    correlation_id: str


class SavedMethod(Message):
    """A saved method as it stands after its `version`-th step: one row, one answer.

    `is_default` is plain configuration and no part of a step. Of one that is not active yet it is
    a wish: it counts from the moment it is.
    """

    id: str
    version: int
    customer_id: str
    gateway_customer_id: str | None = None
    gateway_method_id: str | None = None
    setup_intent_id: str | None = None
    facts: MethodFacts | None = None
    status: SavedMethodStatus
    reason: SaveReason
    decline: Decline | None = None
    action_url: str | None = None
    action_until: AwareDatetime | None = None
    return_url: str
    is_default: bool = False
    request_fingerprint: str
    correlation_id: str
    created_at: AwareDatetime
    updated_at: AwareDatetime
    removed_at: AwareDatetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is still being saved."""
        return self.status in OPEN

    @property
    def is_settled(self) -> bool:
        """Whether there is an answer for the customer: an outcome, or a next step."""
        return (
            self.status is not SavedMethodStatus.PROCESSING
            or self.reason is SaveReason.GATEWAY_PROCESSING
        )

    @property
    def was_saved(self) -> bool:
        """Whether it has been the customer's, though it may have been removed since."""
        return self.status in {SavedMethodStatus.ACTIVE, SavedMethodStatus.REMOVED}

    @property
    def can_pay(self) -> bool:
        """Whether it is there, and nobody is about to remove it."""
        is_going = self.reason is SaveReason.REMOVAL_REQUESTED
        return self.status is SavedMethodStatus.ACTIVE and not is_going
