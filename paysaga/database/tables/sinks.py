"""Where our events go: sinks, the objects whose events wait there, and what nobody took."""

from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, ForeignKeyConstraint, Index
from sqlmodel import Field

from paysaga.database.columns import (
    DOCUMENT,
    MINOR,
    Row,
    UtcDateTime,
    check,
    id_of,
    lengths,
    one_of,
    table_of,
    together,
)
from paysaga.domain.ids import EVENT, SINK
from paysaga.domain.sink import DeadLetterReason, SinkKind, SinkReason, SinkStatus

_TEXT: Final = 255
_LINK: Final = 8192


class SinkRow(Row, table=True):
    """A sink: `Sink`, column by column, and what its run and its callers leave there.

    It rests while `rests` is ahead of `woken`: whoever writes an event then wakes its run. `turn`
    counts what moves or changes it, so that of two who do at once only one does. While it is
    untold its run has still to hear of a change.
    """

    __tablename__ = "sinks"
    __table_args__ = (
        *id_of(SINK),
        one_of("kind", SinkKind),
        one_of("status", SinkStatus),
        one_of("reason", SinkReason),
        *lengths(description=_TEXT, url=_LINK, exchange=_TEXT, routing_key=_TEXT),
        *lengths(secret=_TEXT, previous_secret=_TEXT, last_answer=_TEXT),
        *lengths(request_fingerprint=_TEXT),
        check("http_has_address", "kind <> 'http' OR (url IS NOT NULL AND secret IS NOT NULL)"),
        check(
            "amqp_has_exchange",
            "kind <> 'amqp' OR (exchange IS NOT NULL AND routing_key IS NOT NULL)",
        ),
        check("failures_have_begun", "(failures > 0) = (failing_since IS NOT NULL)"),
        check("woken_from_a_rest", "woken BETWEEN 0 AND rests"),
        check("delivered_not_negative", "delivered >= 0"),
        together("previous_secret_ends", "previous_secret", "previous_secret_until"),
        Index(None, "created_at", "id"),
    )

    id: str = Field(primary_key=True)
    kind: str
    status: str
    reason: str
    description: str | None = None
    url: str | None = None
    exchange: str | None = None
    routing_key: str | None = None
    must_be_routed: bool
    types: list[str] = Field(sa_type=DOCUMENT)
    secret: str | None = None
    previous_secret: str | None = None
    previous_secret_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    place_epoch: int = Field(sa_type=BigInteger)
    place_transaction: int = Field(sa_type=BigInteger)
    place_position: int = Field(sa_type=BigInteger)
    turn: int = Field(sa_type=MINOR)
    failures: int = Field(sa_type=MINOR)
    failing_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    next_try_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_answer: str | None = None
    last_answer_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    alive_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    delivered: int = Field(sa_type=MINOR)
    rests: int = Field(sa_type=MINOR)
    woken: int = Field(sa_type=MINOR)
    request_fingerprint: str
    is_untold: bool
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)


class LaneRow(Row, table=True):
    """An object whose events wait at a sink, from `sequence` on: `Lane`, column by column."""

    __tablename__ = "sink_lanes"
    __table_args__ = (
        *lengths(object_id=64, last_answer=_TEXT),
        check("sequence_counts_from_1", "sequence >= 1"),
        check("failures_have_begun", "(failures > 0) = (failing_since IS NOT NULL)"),
        ForeignKeyConstraint(["sink_id"], ["sinks.id"]),
        Index(None, "sink_id", "next_try_at"),
    )

    sink_id: str = Field(primary_key=True)
    object_id: str = Field(primary_key=True)
    sequence: int = Field(sa_type=MINOR)
    failures: int = Field(sa_type=MINOR)
    failing_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    next_try_at: datetime = Field(sa_type=UtcDateTime)
    last_answer: str | None = None


class SinkRequestRow(Row, table=True):
    """A request that was carried out once: by its key, and what it asked for."""

    __tablename__ = "sink_requests"
    __table_args__ = (
        *lengths(key=_TEXT, fingerprint=_TEXT),
        ForeignKeyConstraint(["sink_id"], ["sinks.id"]),
    )

    sink_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    fingerprint: str
    at: datetime = Field(sa_type=UtcDateTime)


class DeadLetterRow(Row, table=True):
    """An event that a sink is not given any more, and why. The event itself may be gone."""

    __tablename__ = "dead_letters"
    __table_args__ = (
        *id_of(EVENT, "event_id"),
        *lengths(object_id=64, type=128, last_answer=_TEXT),
        check("sequence_counts_from_1", "sequence >= 1"),
        one_of("reason", DeadLetterReason),
        ForeignKeyConstraint(["sink_id"], ["sinks.id"]),
        Index(None, "sink_id", "at", "event_id"),
    )

    sink_id: str = Field(primary_key=True)
    event_id: str = Field(primary_key=True)
    object_id: str
    sequence: int = Field(sa_type=MINOR)
    type: str
    reason: str
    last_answer: str
    at: datetime = Field(sa_type=UtcDateTime)


SINKS: Final = table_of(SinkRow)
LANES: Final = table_of(LaneRow)
SINK_REQUESTS: Final = table_of(SinkRequestRow)
DEAD_LETTERS: Final = table_of(DeadLetterRow)
