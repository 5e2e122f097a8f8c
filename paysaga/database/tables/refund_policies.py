"""The terms of refunds that payments were made under."""

from datetime import datetime
from typing import Any, Final

from sqlmodel import Field

from paysaga.database.columns import DOCUMENT, Row, UtcDateTime, id_of, lengths, table_of
from paysaga.domain.ids import REFUND_POLICY


class RefundPolicyRow(Row, table=True):
    """One version of the terms. It comes with its first payment, and never changes."""

    __tablename__ = "refund_policies"
    __table_args__ = (*id_of(REFUND_POLICY), *lengths(name=64))

    id: str = Field(primary_key=True)
    name: str
    terms: dict[str, Any] = Field(sa_type=DOCUMENT)
    created_at: datetime = Field(sa_type=UtcDateTime)


REFUND_POLICIES: Final = table_of(RefundPolicyRow)
