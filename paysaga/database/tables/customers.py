"""Customers and their saved means of payment. Nothing personal is kept."""

from datetime import datetime
from typing import Final

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint
from sqlmodel import Field

from paysaga.database.columns import Row, UtcDateTime, check, digits, id_of, lengths, table_of

_TEXT: Final = 255


class CustomerRow(Row, table=True):
    """Whom the gateway knows this customer as. Nothing personal is kept."""

    __tablename__ = "customers"
    __table_args__ = (
        *id_of("cst"),
        *lengths(gateway_customer_id=_TEXT),
        UniqueConstraint("gateway_customer_id"),
    )

    id: str = Field(primary_key=True)
    gateway_customer_id: str | None = None
    created_at: datetime = Field(sa_type=UtcDateTime)


class PaymentMethodRow(Row, table=True):
    """A saved means of payment: what may be shown of it, and the gateway's name for it."""

    __tablename__ = "payment_methods"
    __table_args__ = (
        *id_of("mtd"),
        *lengths(gateway_payment_method_id=_TEXT, kind=64, brand=64, funding=64, wallet=64),
        digits("last4", 4),
        check("removal_comes_later", "removed_at >= created_at"),
        UniqueConstraint("gateway_payment_method_id"),
        ForeignKeyConstraint(["customer_id"], ["customers.id"]),
        Index(None, "customer_id"),
    )

    id: str = Field(primary_key=True)
    customer_id: str
    gateway_payment_method_id: str
    kind: str
    brand: str | None = None
    last4: str | None = None
    funding: str | None = None
    wallet: str | None = None
    created_at: datetime = Field(sa_type=UtcDateTime)
    removed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


CUSTOMERS: Final = table_of(CustomerRow)
PAYMENT_METHODS: Final = table_of(PaymentMethodRow)
