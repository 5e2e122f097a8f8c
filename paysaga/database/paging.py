"""Pages that stand still while rows are added: a cursor names the last row that was seen."""

import base64
from datetime import UTC, datetime
from typing import Final

_SEPARATOR: Final = " "


class WrongCursor(ValueError):
    """The cursor is not one that we handed out."""


def cursor(at: datetime, row_id: str) -> str:
    """Name the place after this row."""
    place = f"{at.astimezone(UTC).isoformat()}{_SEPARATOR}{row_id}"
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def place(text: str) -> tuple[datetime, str]:
    """Read a cursor back.

    Raises:
        WrongCursor: `cursor` would not have written this.
    """
    try:
        padded = text + "=" * (-len(text) % 4)
        at, row_id = base64.urlsafe_b64decode(padded).decode("ascii").split(_SEPARATOR)
        moment = datetime.fromisoformat(at)
        ours = moment.tzinfo is UTC and row_id.isprintable() and cursor(moment, row_id) == text
    except (ValueError, OverflowError):
        ours = False
    if not ours:
        raise WrongCursor("the cursor is not one of ours: begin with the first page again")
    return moment, row_id
