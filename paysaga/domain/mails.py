"""What becomes of a mail, in the words of its row."""

from datetime import timedelta
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime

from paysaga.domain.message import Message

# Whoever has begun to hand a mail over is done, or dead, after this time.
SENDING_LASTS: Final = timedelta(minutes=2)


class Recipient(StrEnum):
    """For whom a mail is."""

    CUSTOMER = "customer"
    OPERATIONS = "operations"


class MailStatus(StrEnum):
    """How far a mail has come. With the last three nothing is ever sent again."""

    SKIPPED = "skipped"  # nobody is written to
    POSTPONED = "postponed"  # the mail server has not taken it, for now
    REFUSED = "refused"  # the mail server has not taken it, for ever
    SENDING = "sending"  # it is being handed over
    SENT = "sent"  # the mail server has it
    UNKNOWN = "unknown"  # nobody knows whether it has


# What was certainly not sent may be begun (again).
NOT_SENT: Final = frozenset({MailStatus.SKIPPED, MailStatus.POSTPONED, MailStatus.REFUSED})


class MailRef(Message):
    """A mail's name: what it is about, and for whom. An event means no mail twice."""

    event_id: str
    kind: str
    recipient: Recipient
    customer_id: str | None = None
    message_id: str


class KnownMail(Message):
    """A mail as its row has it. `tries` tells one hand-over from the next."""

    status: MailStatus
    tries: int
    told: str
    updated_at: AwareDatetime
