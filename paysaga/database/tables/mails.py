"""Which mails were sent, and what customers want to be written about."""

from datetime import datetime
from typing import Final

from sqlalchemy import ForeignKeyConstraint, Index
from sqlmodel import Field

from paysaga.database.columns import (
    MINOR,
    Row,
    UtcDateTime,
    check,
    lengths,
    one_of,
    table_of,
)
from paysaga.domain.mails import MailStatus, Recipient

_TEXT: Final = 255


class MailRow(Row, table=True):
    """A mail about an event: how far it has come. It holds no address and no text.

    The customer's address stands in their own row, at which the mail was sent.
    """

    __tablename__ = "mails"
    __table_args__ = (
        *lengths(kind=64, message_id=_TEXT, told=_TEXT),
        one_of("recipient", Recipient),
        one_of("status", MailStatus),
        check("tries_count_from_1", "tries >= 1"),
        check("customer_is_named", "(recipient = 'customer') = (customer_id IS NOT NULL)"),
        check("updated_after_created", "updated_at >= created_at"),
        ForeignKeyConstraint(["event_id"], ["events.id"]),
        ForeignKeyConstraint(["customer_id"], ["customers.id"]),
        Index(None, "status", "updated_at"),
        Index(None, "customer_id", "created_at"),
    )

    event_id: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    recipient: str = Field(primary_key=True)
    customer_id: str | None = None
    status: str
    tries: int = Field(sa_type=MINOR)
    message_id: str
    told: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)


class MailPreferenceRow(Row, table=True):
    """Whether a customer wants mails of a kind. Those of which there is no row they get."""

    __tablename__ = "mail_preferences"
    __table_args__ = (
        *lengths(kind=64),
        ForeignKeyConstraint(["customer_id"], ["customers.id"]),
    )

    customer_id: str = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    wanted: bool
    updated_at: datetime = Field(sa_type=UtcDateTime)


MAILS: Final = table_of(MailRow)
MAIL_PREFERENCES: Final = table_of(MailPreferenceRow)
