"""The money journal: what really happened, in a book that nobody can rewrite.

The product under test cannot write here, so its own ledger can be held against it.
"""

import json

from paysaga.simulator.calls import Call
from paysaga.simulator.storage import Body, Storage, dumps


def write(call: Call, kind: str, subject: Body, amount: int, **more: object) -> None:
    """Note one movement (or refusal) of money; `amount` is in minor units of the subject."""
    _append(
        call.storage,
        call.exact_now,
        kind,
        {
            "object": subject["id"],
            "payment_intent": subject.get("payment_intent") or subject["id"],
            "amount": amount,
            "currency": subject["currency"],
            "customer": subject.get("customer"),
            "metadata": subject.get("metadata") or {},
            "idempotency_key": call.idempotency_key,
            **more,
        },
    )


def note_request(
    storage: Storage, at: float, *, operation: str, path: str, key: str | None, outcome: str
) -> None:
    """Note that a POST arrived and how it was answered."""
    entry = {"operation": operation, "path": path, "idempotency_key": key, "outcome": outcome}
    _append(storage, at, "request", entry)


def note_fault(storage: Storage, at: float, fault: str, kind: str, path: str) -> None:
    """Note that a scripted fault met a request."""
    _append(storage, at, "fault", {"fault": fault, "fault_kind": kind, "path": path})


def read(storage: Storage, after: int, limit: int = 1000) -> list[Body]:
    """Read the entries that follow number `after`, oldest first."""
    found = storage.rows(
        "SELECT seq, at, kind, entry FROM journal WHERE seq > ? ORDER BY seq LIMIT ?",
        (after, limit),
    )
    return [
        {"seq": row["seq"], "at": row["at"], "kind": row["kind"], **json.loads(row["entry"])}
        for row in found
    ]


def _append(storage: Storage, at: float, kind: str, entry: Body) -> None:
    storage.execute(
        "INSERT INTO journal (at, kind, entry) VALUES (?, ?, ?)", (at, kind, dumps(entry))
    )
