"""What a workflow asks of the gateway about its hosted page, one message for each step."""

from pydantic import AwareDatetime

from activities.stripe_orders import Buyer
from paysaga.domain.checkout import CheckoutSession
from paysaga.domain.intent import CaptureMethod
from paysaga.domain.message import Message
from paysaga.domain.money import Money


class SessionOrder(Buyer):
    """The hosted page of one attempt. It takes money only from a customer who fills it in.

    `expires_at` belongs to the key: a repeat sends what was sent before, a new generation a moment
    of its own.
    """

    payment_id: str
    order_id: str
    attempt: int
    money: Money
    description: str | None
    statement_descriptor_suffix: str | None = None
    capture_method: CaptureMethod = CaptureMethod.AUTOMATIC
    success_url: str
    cancel_url: str
    correlation_id: str
    expires_at: AwareDatetime
    ordered_at: AwareDatetime
    generation: int = 0
    searched_to: str | None = None


class CloseSession(Message):
    """Expire a session, unless its customer has done their part."""

    payment_id: str
    session_id: str
    generation: int = 0


class SessionSearch(Message):
    """Whether there is a session of this attempt, whose run did not live to learn of it."""

    payment_id: str
    attempt: int
    gateway_customer_id: str | None
    ordered_at: AwareDatetime
    searched_to: str | None = None


class FoundSession(Message):
    """The session, if there is one."""

    session: CheckoutSession | None = None
