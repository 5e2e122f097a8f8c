"""An e-mail address as a mail server may be told it: nothing in it breaks out of its place."""

import re
from typing import Final

_LOCAL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_LONGEST_LOCAL: Final = 64
_LONGEST: Final = 254


class NoMailbox(ValueError):
    """Nobody can be written to there. The message does not repeat the address."""

    def __init__(self) -> None:
        super().__init__("an e-mail address such as ada@example.com is needed")


def mailbox(address: str) -> str:
    """The address, its domain in ASCII (`bücher.example` is `xn--bcher-kva.example`).

    Raises:
        NoMailbox: It has another form than `name@domain`; quoted and non-ASCII names are refused,
            too, since not every server takes them.
    """
    local, at, domain = address.rpartition("@")
    if not at or len(local) > _LONGEST_LOCAL or not _LOCAL.fullmatch(local):
        raise NoMailbox
    try:
        ascii_domain = domain.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise NoMailbox from None
    labels = ascii_domain.split(".")
    if not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        raise NoMailbox
    found = f"{local}@{ascii_domain}"
    if len(found) > _LONGEST:
        raise NoMailbox
    return found
