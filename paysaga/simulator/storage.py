"""The simulator's memory: one SQLite file, one connection, one transaction per request."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Body = dict[str, Any]

_SCHEMA = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
_TABLES = (
    "objects",
    "idempotency",
    "deliveries",
    "journal",
    "faults",
    "webhook_faults",
    "knobs",
    "timers",
)


@dataclass(slots=True)
class Record:
    """One Stripe object as it is answered (`body`) and what Stripe keeps to itself (`private`)."""

    kind: str
    body: Body
    private: Body = field(default_factory=dict)
    seq: int = 0

    @property
    def id(self) -> str:
        """The object's own identifier."""
        return str(self.body["id"])


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, newest first."""

    records: list[Record]
    has_more: bool


class Storage:
    """Objects by id, in the order of their creation, durable from the commit on.

    Write-ahead logging without a sync per commit: a killed process loses nothing, a power cut may.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None, cached_statements=512)
        self._connection.row_factory = sqlite3.Row
        self._connection.executescript(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=5000;"
        )
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file; nothing is lost by not calling this."""
        self._connection.close()

    def reset(self) -> None:
        """Forget everything. Dropping is the only way past the journal's triggers."""
        drops = "".join(f"DROP TABLE IF EXISTS {table};" for table in _TABLES)
        self._connection.executescript(drops + _SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what happens inside, or nothing of it if it raises."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def mark(self) -> None:
        """Remember this point of the open transaction for `back_to_mark`."""
        self._connection.execute("SAVEPOINT mark")

    def back_to_mark(self) -> None:
        """Undo what was written since `mark`, inside the same transaction."""
        self._connection.execute("ROLLBACK TO mark")

    def execute(self, sql: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Run one statement."""
        return self._connection.execute(sql, values)

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        """Run one query and fetch all of it."""
        return self._connection.execute(sql, values).fetchall()

    def put(self, record: Record) -> None:
        """Insert the object, or replace it and keep its place in the lists."""
        self._connection.execute(
            "INSERT INTO objects (id, kind, body, private) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET"
            " kind = excluded.kind, body = excluded.body, private = excluded.private",
            (record.id, record.kind, dumps(record.body), dumps(record.private)),
        )

    def get(self, kind: str, identifier: str) -> Record | None:
        """Find an object of that kind."""
        row = self._connection.execute(
            "SELECT seq, kind, body, private FROM objects WHERE id = ? AND kind = ?",
            (identifier, kind),
        ).fetchone()
        return _record(row) if row else None

    def page(
        self, kind: str, wheres: Sequence[tuple[str, object]], *, limit: int, upwards: bool = False
    ) -> Page:
        """List objects that meet every `(condition, value)`, newest first.

        `upwards` takes the oldest matches instead of the newest: the page before a cursor.
        """
        conditions = " AND ".join(["kind = ?", *(where for where, _ in wheres)])
        values = [kind, *(value for _, value in wheres), limit + 1]
        order = "ASC" if upwards else "DESC"
        found = self.rows(
            "SELECT seq, kind, body, private FROM objects"  # noqa: S608 - conditions are our own
            f" WHERE {conditions} ORDER BY seq {order} LIMIT ?",
            values,
        )
        records = [_record(row) for row in found[:limit]]
        return Page(records[::-1] if upwards else records, has_more=len(found) > limit)


def dumps(value: object) -> str:
    """Write JSON the short way."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _record(row: sqlite3.Row) -> Record:
    return Record(
        kind=row["kind"],
        body=json.loads(row["body"]),
        private=json.loads(row["private"]),
        seq=row["seq"],
    )
