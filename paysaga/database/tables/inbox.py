"""Gateway events as they came, and how far the gateway's own list of them was read."""

from datetime import datetime
from typing import Final

from sqlalchemy import Index, text
from sqlmodel import Field

from paysaga.database.columns import (
    Row,
    UtcDateTime,
    check,
    lengths,
    one_of,
    table_of,
    together,
)

_TEXT: Final = 255
_SHA256_HEX: Final = 64


class WebhookEventRow(Row, table=True):
    """The inbox: a gateway event as it came, byte for byte, and what became of it.

    `payment_id` is the event's own claim until it is processed, also about payments of others: no
    foreign key. `run_id` is the run that was told.
    """

    __tablename__ = "webhook_events"
    __table_args__ = (
        *lengths(id=_TEXT, type=_TEXT, api_version=64, gateway_object_id=_TEXT, payment_id=_TEXT),
        *lengths(result=_TEXT, error=4000, run_id=_TEXT),
        one_of("source", ("webhook", "sweep")),
        check("payload_sha256_length", f"length(payload_sha256) = {_SHA256_HEX}"),
        check("payload_not_empty", "length(payload) >= 1"),
        check("processed_has_moment", "processed = (processed_at IS NOT NULL)"),
        check("processed_has_result", "processed = (result IS NOT NULL)"),
        check("failure_has_error", "failed_at IS NULL OR processed OR error IS NOT NULL"),
        Index(
            "webhook_events_unprocessed",
            "received_at",
            "id",
            sqlite_where=text("processed = 0"),
            postgresql_where=text("NOT processed"),
        ),
        Index(None, "payment_id"),
        Index(None, "received_at", "id"),
    )

    id: str = Field(primary_key=True)
    type: str
    api_version: str | None = None
    livemode: bool
    gateway_object_id: str | None = None
    payload: bytes
    payload_sha256: str
    signature_verified: bool
    received_at: datetime = Field(sa_type=UtcDateTime)
    processed: bool = False
    processed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    result: str | None = None
    failed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    error: str | None = None
    payment_id: str | None = None
    source: str = "webhook"
    run_id: str | None = None


class EventSweepRow(Row, table=True):
    """How far the gateway's list of events was read: all before `since` are in the inbox.

    A list is read from the newest down. While that is under way, `until` is the newest one's
    moment, and `after` the last one that was stored.
    """

    __tablename__ = "event_sweeps"
    __table_args__ = (
        *lengths(id=_TEXT, after=_TEXT),
        together("under_way", "until", "after"),
    )

    id: str = Field(primary_key=True)
    since: datetime = Field(sa_type=UtcDateTime)
    until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    after: str | None = None


WEBHOOK_EVENTS: Final = table_of(WebhookEventRow)
EVENT_SWEEPS: Final = table_of(EventSweepRow)
