"""Whether an error means that the database is away for now, or that we have made a mistake."""

from typing import Final

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

# What fails while a connection is made comes as it is: not as SQLAlchemy's own error.
NOT_CONNECTED: Final = (PoolTimeoutError, OSError, asyncpg.InterfaceError)

# PostgreSQL's codes for: no connection, no way in, no such database (yet), a conflict with others,
# out of resources, stopped by somebody, trouble with its disks; a stand-by; a lock held too long.
_NOT_NOW: Final = ("08", "28", "3D", "40", "53", "57", "58", "25006", "55P03")


def is_away(error: DBAPIError) -> bool:
    """Whether the same question may be answered a moment later."""
    if isinstance(error.orig and error.orig.__cause__, ValueError):
        return False  # a value that the driver does not send, which it calls an InterfaceError
    if error.connection_invalidated or isinstance(error, OperationalError | InterfaceError):
        return True
    return str(getattr(error.orig, "sqlstate", None)).startswith(_NOT_NOW)
