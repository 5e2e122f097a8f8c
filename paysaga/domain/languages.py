"""The languages that customers are written to in, and which of them is somebody's."""

from enum import StrEnum
from typing import Final

# BCP 47, as far as it is of use here: a language, and what may follow it.
LANGUAGE_PATTERN: Final = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,4}$"


class Language(StrEnum):
    """A language that there are templates in."""

    EN = "en"
    DE = "de"


def spoken(wanted: str | None, default: Language) -> Language:
    """The language that is wanted (`de-AT`), else its base (`de`), else the default."""
    tag = (wanted or "").lower()
    for candidate in (tag, tag.split("-")[0]):
        if candidate in set(Language):
            return Language(candidate)
    return default
