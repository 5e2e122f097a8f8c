"""How the customer pays: with a method that they hand over, or on the gateway's own page.

A payment has one way for its whole life. The run decides when something is to be done; its way
knows what that means at the gateway, and how it is proved that no money can move any more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.stripe_orders import CloseOrder, ConfirmOrder, IntentOrder
    from paysaga.domain.intent import Intent, IntentStatus
    from paysaga.domain.payment import Payment

from workflows.collection import Collection
from workflows.record import Record


@dataclass(frozen=True)
class Closed:
    """What a cancel has shown: whether it is proved that no money can move, or what has become."""

    is_proved: bool
    intent: Intent | None = None


class Way(Protocol):
    """What a payment's run asks of its way. All of it raises `Refused`."""

    intent: Intent | None

    @property
    def is_known(self) -> bool:
        """Whether we know of everything that the gateway may have made for us."""

    @property
    def is_closed(self) -> bool:
        """Whether no money can move any more, and none has."""

    async def open(self) -> None:
        """Make what has to be there before an attempt, or learn of what may be there already."""

    async def attempt(self, method: str) -> Intent | None:
        """Try to take the money; the intent as soon as it tells what became of that."""

    async def look(self) -> Intent | None:
        """What the gateway shows now, if it tells anything of the money."""

    async def last_look(self) -> Intent | None:
        """The same, when the customer's time is over."""

    async def close(self) -> Closed:
        """Cancel what could take money, and prove it."""


class OneIntent:
    """Attempt by attempt on one intent, with a method that the customer hands over.

    An unconfirmed intent moves no money, so its id is known before anything can.
    """

    def __init__(
        self,
        payment: Payment,
        record: Record,
        collection: Collection,
        time_left: Callable[[], timedelta],
    ) -> None:
        self.intent: Intent | None = None
        self._payment = payment
        self._record = record
        self._collection = collection
        self._time_left = time_left
        self._closes = 0

    @property
    def is_known(self) -> bool:
        """Whether the intent is known."""
        return self.intent is not None

    @property
    def is_closed(self) -> bool:
        """Whether there is no intent, or a canceled one."""
        return self.intent is None or self.intent.status is IntentStatus.CANCELED

    async def open(self) -> None:
        """Make the intent."""
        payment = self._payment
        order = IntentOrder(
            payment_id=payment.id,
            order_id=payment.order_id,
            customer_id=payment.customer_id,
            gateway_customer_id=payment.gateway_customer_id,
            money=payment.money,
            description=payment.description,
            statement_descriptor_suffix=payment.statement_descriptor_suffix,
            capture_method=payment.capture_method,
            environment=payment.environment,
            correlation_id=payment.correlation_id,
            ordered_at=self._record.state.created_at,
        )
        self.intent = await self._collection.open(order)

    async def attempt(self, method: str) -> Intent | None:
        """Confirm the intent with this method."""
        intent = self._the_intent
        order = ConfirmOrder(
            payment_id=self._payment.id,
            intent_id=intent.id,
            attempt=self._record.attempt.number,
            method=method,
            return_url=self._payment.gateway_return_url,
            seen_status=intent.status,
            # An attempt that came to nothing before the bank was asked has shown no charge.
            seen_charge_id=intent.charge_id or self._record.state.charge_id,
        )
        return await self._collection.confirm(order, self._time_left)

    async def look(self) -> Intent | None:
        """Read the intent."""
        return await self._collection.look(self._the_intent.id)

    async def last_look(self) -> Intent | None:
        """Read the intent: a late success still counts, so it stays as it is."""
        return await self.look()

    async def close(self) -> Closed:
        """Cancel the intent."""
        # A refusal is kept under its key, though the intent may be canceled a moment later.
        order = CloseOrder(
            payment_id=self._payment.id, intent_id=self._the_intent.id, generation=self._closes
        )
        intent = await self._collection.close(order)
        self._closes += 1
        if intent.status is IntentStatus.CANCELED:
            self.intent = intent
        return Closed(intent.status is IntentStatus.CANCELED, intent)

    @property
    def _the_intent(self) -> Intent:
        if self.intent is None:
            raise AssertionError("asked for the intent before it was made")
        return self.intent
