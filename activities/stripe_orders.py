"""What a workflow asks of the gateway, one message for each step."""

from pydantic import AwareDatetime

from paysaga.domain.intent import CaptureMethod, Intent, IntentStatus
from paysaga.domain.message import Message
from paysaga.domain.money import Money


class Buyer(Message):
    """For whom an object is made at the gateway, which may not know them yet.

    The customer is made with a key of its own, counted by `customer_generation`. A new one needs no
    proof: a customer who has nothing harms nobody.
    """

    customer_id: str
    gateway_customer_id: str | None
    environment: str
    customer_generation: int = 0


class IntentOrder(Buyer):
    """The PaymentIntent to be made for a payment's whole life; it moves no money yet.

    A `renewal` has a number: its intent is to hold the money instead of the payment's first.

    `generation` counts the keys of a step, here and below: the gateway keeps an internal error
    under its key, so a proof that the step had no effect opens a new one. `searched_to` is how far
    that proof has come, if the account has many intents.
    """

    payment_id: str
    order_id: str
    money: Money
    description: str | None
    statement_descriptor_suffix: str | None = None
    capture_method: CaptureMethod = CaptureMethod.AUTOMATIC
    correlation_id: str
    ordered_at: AwareDatetime
    renewal: int | None = None
    generation: int = 0
    searched_to: str | None = None


class ConfirmOrder(Message):
    """One attempt: confirm the intent with a payment method.

    `seen_status` and `seen_charge_id` are what we knew of the intent before: if it shows more, the
    attempt had its effect. `is_repeat`: it was asked before, and nobody knows with what effect.
    For a `renewal` nobody is there to authenticate.
    """

    payment_id: str
    intent_id: str
    attempt: int
    method: str
    return_url: str
    seen_status: IntentStatus
    seen_charge_id: str | None = None
    is_repeat: bool = False
    renewal: int | None = None
    generation: int = 0


class CaptureOrder(Message):
    """Take so much of what an intent holds; the gateway lets go of the rest.

    `decision` counts the requests: the gateway keeps a refusal under its key, too.
    """

    payment_id: str
    intent_id: str
    money: Money
    decision: int
    generation: int = 0


class CloseOrder(Message):
    """Cancel an intent, unless its money has moved.

    `decision` tells apart the intents of one payment: each has keys of its own.
    """

    payment_id: str
    intent_id: str
    decision: int | None = None
    generation: int = 0


class RefundOrder(Message):
    """Give back what an intent took.

    `after` names the refunds that were there when `money` was reckoned: none of them is the answer
    to this order, whatever became of it. Stripe keeps an answer under its key, a refusal, too: each
    decision of an operator has a number of its own.
    """

    payment_id: str
    intent_id: str
    money: Money
    after: tuple[str, ...] = ()
    decision: int = 0
    generation: int = 0


class IntentSearch(Message):
    """Whether there is an intent of a payment whose run did not live to learn of it."""

    payment_id: str
    gateway_customer_id: str | None
    ordered_at: AwareDatetime
    searched_to: str | None = None


class FoundIntent(Message):
    """The intent, if there is one."""

    intent: Intent | None = None
