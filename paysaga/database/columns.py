"""What columns are made of: exact types, and checks that read the same on both databases."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Integer,
    MetaData,
    Table,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator
from sqlmodel import SQLModel


class UtcDateTime(TypeDecorator[datetime]):
    """A moment. SQLite keeps it as UTC text of fixed width, which sorts as time does."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a moment without a zone: nobody knows when that was."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a moment needs its time zone: {value}")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Hand out aware moments only."""
        if value is None or dialect.name != "sqlite":
            return value
        return value.replace(tzinfo=UTC)


MINOR: Final = BigInteger()
DOCUMENT: Final = JSON(none_as_null=True).with_variant(
    JSONB(none_as_null=True),
    "postgresql",
)
# SQLite numbers rows by itself only in a column that it calls INTEGER.
NUMBERED: Final = BigInteger().with_variant(Integer(), "sqlite")

_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DIGITS: Final = "0123456789"


class Row(SQLModel):
    """The base of all tables. Constraints have names, so that a refusal says what was wrong."""

    metadata = MetaData(
        naming_convention={
            "ix": "%(table_name)s_by_%(column_0_N_name)s",
            "uq": "%(table_name)s_one_%(column_0_N_name)s",
            "ck": "%(table_name)s_%(constraint_name)s",
            "fk": "%(table_name)s_%(column_0_N_name)s_known",
            "pk": "%(table_name)s_key",
        }
    )


def table_of(row: type[Row]) -> Table:
    """The table behind a row. Statements on it are quicker than those on objects."""
    return row.metadata.tables[str(row.__tablename__)]


def check(name: str, rule: str) -> CheckConstraint:
    """A rule that every row keeps. An unknown (NULL) does not break it."""
    return CheckConstraint(rule, name=name)


def one_of(column: str, words: Iterable[str], name: str | None = None) -> CheckConstraint:
    """The column knows only these words."""
    return check(name or f"{column}_is_known", f"{column} IN ({quoted(words)})")


def quoted(words: Iterable[str]) -> str:
    """The words as SQL literals, in an order that never changes."""
    return ", ".join(f"'{word}'" for word in sorted(words))


def lengths(shortest: int = 1, **longest: int) -> list[CheckConstraint]:
    """Texts are neither empty nor endless."""
    return [
        check(f"{column}_length", f"length({column}) BETWEEN {shortest} AND {most}")
        for column, most in longest.items()
    ]


def id_of(prefix: str, column: str = "id") -> list[CheckConstraint]:
    """One of our own ids, told from Stripe's by its prefix."""
    start = f"{prefix}_"
    return [
        check(f"{column}_prefix", f"substr({column}, 1, {len(start)}) = '{start}'"),
        check(f"{column}_length", f"length({column}) BETWEEN {len(start) + 1} AND 64"),
    ]


def whole(*columns: str) -> list[CheckConstraint]:
    """Amounts have no fraction. SQLite would keep one, or even a word, in any column."""
    return [
        check(f"{column}_is_whole", f"{column} = CAST({column} AS BIGINT)") for column in columns
    ]


def currency_code() -> CheckConstraint:
    """Three letters in upper case. `trim` leaves nothing of a text made of its letters alone."""
    return check("currency_is_code", f"length(currency) = 3 AND trim(currency, '{_LETTERS}') = ''")


def digits(column: str, count: int) -> CheckConstraint:
    """Exactly so many digits."""
    return check(
        f"{column}_is_digits", f"length({column}) = {count} AND trim({column}, '{_DIGITS}') = ''"
    )


def together(name: str, *columns: str) -> CheckConstraint:
    """All of these are known, or none is."""
    known = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    unknown = " AND ".join(f"{column} IS NULL" for column in columns)
    return check(name, f"({known}) OR ({unknown})")
