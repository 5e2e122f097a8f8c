"""What the API says of a sink. Its secret is told when it is made, and never again."""

from datetime import UTC, datetime
from typing import Self

from pydantic import AwareDatetime

from api.views import View
from paysaga.database.sinks import Waiting
from paysaga.domain.sink import DeadLetterReason, Sink, SinkKind, SinkReason, SinkStatus


class SinkLinks(View):
    """Where more is to be found."""

    self: str
    dead_letters: str
    temporal: str


class SinkView(View):
    """A sink, and how far it has come.

    `after` is its place, as `GET /events` takes it. `behind` counts the events that follow, no more
    than 10,000. `waiting` are objects whose events wait for their own next try.
    """

    id: str
    kind: SinkKind
    status: SinkStatus
    reason: SinkReason
    description: str | None
    url: str | None
    exchange: str | None
    routing_key: str | None
    must_be_routed: bool | None
    types: list[str]
    after: str
    behind: int
    waiting: int
    dead_letters: int
    delivered: int
    last_answer: str | None
    last_answer_at: AwareDatetime | None
    failing_since: AwareDatetime | None
    next_try_at: AwareDatetime | None
    secret: str | None = None
    previous_secret_until: AwareDatetime | None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    links: SinkLinks

    @classmethod
    def of(cls, sink: Sink, links: SinkLinks, *, behind: int, waiting: Waiting) -> Self:
        """The sink as it stands, without its secrets."""
        told = {name: value for name, value in sink if name in cls.model_fields}
        ends = sink.previous_secret_until
        return cls.model_validate(
            told
            | {
                "must_be_routed": sink.must_be_routed if sink.kind is SinkKind.AMQP else None,
                "types": list(sink.types),
                "after": sink.place.cursor,
                "behind": behind,
                "waiting": waiting.lanes,
                "dead_letters": waiting.dead_letters,
                "next_try_at": sink.next_try_at or waiting.next_try_at,
                "secret": None,
                "previous_secret_until": ends if ends and ends > datetime.now(UTC) else None,
                "links": links,
            }
        )


class SinkPageView(View):
    """Some sinks, newest first."""

    items: list[SinkView]
    next_after: str | None


class DeadLetterView(View):
    """An event that the sink is not given any more: refused for good, or tried for too long."""

    event_id: str
    object_id: str
    sequence: int
    type: str
    reason: DeadLetterReason
    last_answer: str
    at: AwareDatetime


class DeadLetterPageView(View):
    """Some of them, newest first."""

    items: list[DeadLetterView]
    next_after: str | None
