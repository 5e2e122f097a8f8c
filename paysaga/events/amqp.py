"""Events into an exchange of the message broker, each confirmed before the next of its object."""

from datetime import timedelta

from aio_pika import DeliveryMode, Message

from paysaga.events.broker import PATIENCE, Broker, Exchange
from paysaga.events.delivery import Answer
from paysaga.events.routing import BY_TYPE, checked_template, routing_key
from paysaga.events.shapes import Event


class AmqpTarget:
    """A target of events: one exchange.

    Each arrives at least once, and one object's in their order: whoever delivers them gives the
    next one when this one is answered for. A repeat has the same `message_id`.
    """

    def __init__(
        self,
        broker: Broker,
        exchange: str,
        *,
        environment: str,
        template: str = BY_TYPE,
        must_be_routed: bool = False,
        patience: timedelta = PATIENCE,
    ) -> None:
        """Make it ready to publish; it connects as late as it can.

        Args:
            broker: The connection, which targets share. Each has a channel of its own.
            exchange: Its name; it is made if it is missing.
            environment: The word for `{environment}` in routing keys.
            template: What routing keys are made from.
            must_be_routed: Whether an event that no queue wants has failed.
            patience: How long one event may take, the connection included.

        Raises:
            ValueError: The template is none.
        """
        self._exchange = Exchange(
            broker, exchange, must_be_routed=must_be_routed, patience=patience
        )
        self._environment = environment
        self._template = checked_template(template)

    async def deliver(self, event: Event) -> Answer:
        """Publish one event, persistent, and wait until the broker has it."""
        key = routing_key(self._template, event, self._environment)
        return await self._exchange.publish(_message(event, self._environment), key)

    async def close(self) -> None:
        """Let go of the channel; the connection is the broker's to close."""
        await self._exchange.close()


def _message(event: Event, environment: str) -> Message:
    """The event as `GET /events` shows it, with what a consumer may want to know before."""
    return Message(
        event.model_dump_json().encode(),
        delivery_mode=DeliveryMode.PERSISTENT,
        content_type="application/json",
        content_encoding="utf-8",
        message_id=event.id,
        type=event.type,
        correlation_id=event.object_id,
        timestamp=event.created_at,
        headers={
            "api_version": event.api_version,
            "object_type": event.object_type,
            "object_id": event.object_id,
            "sequence": event.sequence,
            "environment": environment,
        },
    )
