"""Circuit breakers."""

from datetime import datetime
from typing import Final

from sqlmodel import Field

from paysaga.database.columns import MINOR, Row, UtcDateTime, check, lengths, table_of

_TEXT: Final = 255


class BreakerRow(Row, table=True):
    """How calls to one other side have gone lately. Closed while `opened_at` is unknown."""

    __tablename__ = "breakers"
    __table_args__ = (
        *lengths(id=_TEXT),
        check("failures_not_negative", "failures >= 0"),
        check("trial_only_while_open", "trial_until IS NULL OR opened_at IS NOT NULL"),
    )

    id: str = Field(primary_key=True)
    version: int = Field(sa_type=MINOR)
    failures: int = Field(sa_type=MINOR)
    opened_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    trial_until: datetime | None = Field(default=None, sa_type=UtcDateTime)


BREAKERS: Final = table_of(BreakerRow)
