"""Gateway events as they came."""

from datetime import datetime
from typing import Final

from sqlalchemy import Index, text
from sqlmodel import Field

from paysaga.database.columns import Row, UtcDateTime, check, lengths, table_of

_TEXT: Final = 255
_SHA256_HEX: Final = 64


class WebhookEventRow(Row, table=True):
    """The inbox: a gateway event as it came, byte for byte, and what became of it.

    `payment_id` is the event's own claim, also about payments of others: no foreign key.
    """

    __tablename__ = "webhook_events"
    __table_args__ = (
        *lengths(id=_TEXT, type=_TEXT, api_version=64, gateway_object_id=_TEXT, payment_id=_TEXT),
        *lengths(result=_TEXT, error=4000),
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


WEBHOOK_EVENTS: Final = table_of(WebhookEventRow)
