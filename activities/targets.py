"""Where sinks lead: the connections of this process, and a target for each kind of sink."""

from datetime import datetime
from typing import Final, assert_never

from pydantic import SecretStr

from paysaga.domain.sink import Sink, SinkKind
from paysaga.events.amqp import AmqpTarget
from paysaga.events.broker import Broker
from paysaga.events.delivery import Answer, Target, Verdict
from paysaga.events.http import Http, WebhookTarget
from paysaga.events.routing import BY_TYPE
from paysaga.events.shapes import Event


class SinkTargets:
    """Makes the target of a sink as it is configured now. What is slow to open is shared.

    Args:
        http: Connections to HTTP addresses.
        broker: The connection to the message broker, if there is one.
        mails: Where mails are handed over, if they are.
        environment: The environment's name, for routing keys.
    """

    def __init__(
        self, http: Http, broker: Broker | None, mails: Target | None, environment: str
    ) -> None:
        self._http = http
        self._broker = broker
        self._mails = mails
        self._environment = environment
        self._exchanges: dict[tuple[str, str, bool], AmqpTarget] = {}

    def of(self, sink: Sink, now: datetime) -> Target:
        """The place that a sink's events go to.

        Args:
            sink: As its row has it.
            now: The previous secret signs, too, until its time is over.
        """
        match sink.kind:
            case SinkKind.HTTP:
                return WebhookTarget(self._http, sink.url or "", good_secrets(sink, now))
            case SinkKind.AMQP:
                if self._broker is None:
                    return NotConfigured("AMQP_URL")
                return self._exchange(self._broker, sink)
            case SinkKind.EMAIL:
                return self._mails or NotConfigured("SMTP_URL")
            case never:
                assert_never(never)

    async def close(self) -> None:
        """Let go of the channels; the connections are not ours to close."""
        for exchange in self._exchanges.values():
            await exchange.close()

    def _exchange(self, broker: Broker, sink: Sink) -> AmqpTarget:
        """One channel for each way to publish, however many sinks have it."""
        name, template = sink.exchange or "", sink.routing_key or BY_TYPE
        way = (name, template, sink.must_be_routed)
        if way not in self._exchanges:
            self._exchanges[way] = AmqpTarget(
                broker,
                name,
                environment=self._environment,
                template=template,
                must_be_routed=sink.must_be_routed,
            )
        return self._exchanges[way]


def good_secrets(sink: Sink, now: datetime) -> list[str]:
    """What an event is signed with now, the newest first."""
    secrets: list[SecretStr | None] = [sink.secret]
    if sink.previous_secret_until is not None and now < sink.previous_secret_until:
        secrets.append(sink.previous_secret)
    return [secret.get_secret_value() for secret in secrets if secret is not None]


class NotConfigured:
    """A sink that this worker cannot serve: its events wait."""

    def __init__(self, variable: str) -> None:
        self._told: Final = f"{variable} is not set for this worker"

    async def deliver(self, _event: Event) -> Answer:
        """Nobody is there."""
        return Answer(Verdict.AWAY, self._told)
