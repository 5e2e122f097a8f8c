"""The mails that the shop would send, in its own SQLite file: the newest ones."""

import email
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from email.policy import default
from pathlib import Path
from typing import Final

from paysaga.domain.message import Message

KEPT: Final = 500

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS mails (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    recipient TEXT NOT NULL,
    subject TEXT NOT NULL,
    text TEXT NOT NULL,
    html TEXT NOT NULL,
    came_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ'))
) STRICT;
CREATE INDEX IF NOT EXISTS mails_by_recipient ON mails (recipient, number);
"""


class KeptMail(Message):
    """A mail as its recipient would read it."""

    number: int
    recipient: str
    subject: str
    text: str
    html: str
    came_at: str


class NoSuchMail(Exception):
    """There is none of this number, or not for the one who asks."""


class Letterbox:
    """Keeps what comes, and forgets the oldest beyond `KEPT`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._transaction() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_SCHEMA)

    def keep(self, recipient: str, content: bytes) -> None:
        """Keep a mail for somebody."""
        mail = email.message_from_bytes(content, policy=default)
        forms = [mail.get_body((form,)) for form in ("plain", "html")]
        text, html = (form.get_content() if form else "" for form in forms)
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO mails (recipient, subject, text, html) VALUES (?, ?, ?, ?)",
                (recipient, str(mail["Subject"] or ""), text, html),
            )
            connection.execute(
                "DELETE FROM mails WHERE number <= (SELECT max(number) FROM mails) - ?", (KEPT,)
            )

    def mails(self, recipient: str | None) -> list[KeptMail]:
        """Somebody's mails, or everybody's; the newest first."""
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT * FROM mails WHERE recipient = coalesce(?, recipient) ORDER BY number DESC",
                (recipient,),
            )
            return [KeptMail.model_validate(dict(row)) for row in rows]

    def mail(self, number: int, recipient: str | None) -> KeptMail:
        """One of them.

        Raises:
            NoSuchMail: It is not among them.
        """
        with self._transaction() as connection:
            row = connection.execute(
                "SELECT * FROM mails WHERE number = ? AND recipient = coalesce(?, recipient)",
                (number, recipient),
            ).fetchone()
        if row is None:
            raise NoSuchMail
        return KeptMail.model_validate(dict(row))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=10)) as connection:
            connection.row_factory = sqlite3.Row
            with connection:
                yield connection
