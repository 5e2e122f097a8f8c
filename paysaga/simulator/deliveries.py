"""The queue of webhook deliveries: rows that outlive the process until answered with 2xx."""

from dataclasses import dataclass

from paysaga.simulator import webhook_faults
from paysaga.simulator.calls import Call
from paysaga.simulator.storage import Body, Storage
from paysaga.simulator.webhook_faults import WebhookFault

_TERMINAL = frozenset({"payment_intent.succeeded", "payment_intent.canceled"})
_TAMPERINGS = frozenset(
    {"forged", "stale", "future", "wrong_secret", "wrong_amount", "wrong_currency"}
)


@dataclass(frozen=True, slots=True)
class Due:
    """One delivery that may be tried now; `chain` names the object whose events keep in order."""

    id: int
    event: str
    type: str
    endpoint: str
    chain: str
    tampering: str | None
    attempts: int


def enqueue(call: Call, event: Body) -> None:
    """Queue the event for every enabled endpoint that wants it."""
    storage = call.storage
    rows = storage.rows(
        "SELECT id, body ->> '$.enabled_events' AS wanted FROM objects"
        " WHERE kind = 'webhook_endpoint' AND body ->> '$.status' = 'enabled'"
    )
    targets = [row["id"] for row in rows if _wants(row["wanted"], event["type"])]
    if not targets:
        return
    chain = _chain(event["data"]["object"])
    terminal = event["type"] in _TERMINAL
    fault = webhook_faults.draw(storage, call.chance, event, chain, terminal=terminal)
    rate = call.knobs.webhook_delivery_rate
    if rate < 1 and call.chance.random() >= rate:
        fault = WebhookFault(kind="drop")
    for endpoint in targets:
        _insert(call, event, endpoint, chain, fault)


def _wants(enabled_events: str, event_type: str) -> bool:
    return '"*"' in enabled_events or f'"{event_type}"' in enabled_events


def _chain(subject: Body) -> str:
    return str(subject.get("payment_intent") or subject["id"])


def _insert(call: Call, event: Body, endpoint: str, chain: str, fault: WebhookFault | None) -> None:
    kind = fault.kind if fault else None
    held = kind == "terminal_first" and not _terminal_delivered(call.storage, chain)
    copies = 1
    if fault and kind in ("double", "copies"):
        copies = 2 if kind == "double" else fault.copies
    due_at = call.exact_now + (fault.seconds if fault and kind == "delay" else 0)
    for copy in range(copies):
        call.storage.execute(
            "INSERT INTO deliveries (event, type, endpoint, chain, state, held, tampering, due_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                event["id"],
                event["type"],
                endpoint,
                # A chain is delivered one by one; copies have their own so that they arrive at once
                f"{chain}/{copy}" if copy else chain,
                "dropped" if kind == "drop" else "pending",
                held,
                f"{kind}:{fault.attempts}" if fault and kind in _TAMPERINGS else None,
                due_at,
            ),
        )


def _terminal_delivered(storage: Storage, chain: str) -> bool:
    marks = ", ".join(f"'{kind}'" for kind in sorted(_TERMINAL))
    found = storage.rows(
        "SELECT 1 FROM deliveries WHERE chain = ? AND state = 'delivered'"  # noqa: S608 - constants
        f" AND type IN ({marks}) LIMIT 1",
        (chain,),
    )
    return bool(found)


def due(storage: Storage, now: float, limit: int) -> list[Due]:
    """List what may be tried now, oldest first."""
    rows = storage.rows(
        "SELECT id, event, type, endpoint, chain, tampering, attempts FROM deliveries"
        " WHERE state = 'pending' AND due_at <= ? AND held = 0 ORDER BY id LIMIT ?",
        (now, limit),
    )
    return [Due(*row) for row in rows]


def next_due_at(storage: Storage, after: float) -> float | None:
    """Tell when the next waiting delivery comes due."""
    row = storage.execute(
        "SELECT min(due_at) FROM deliveries WHERE state = 'pending' AND held = 0 AND due_at > ?",
        (after,),
    ).fetchone()
    value = row[0]
    return None if value is None else float(value)


def settle(storage: Storage, delivery: Due, *, status: int, now: float) -> None:
    """Note that the endpoint took it; a terminal event lets those held back for it go."""
    storage.execute(
        "UPDATE deliveries SET state = 'delivered', attempts = attempts + 1,"
        " last_status = ?, last_error = NULL WHERE id = ?",
        (status, delivery.id),
    )
    if delivery.type in _TERMINAL:
        storage.execute(
            "UPDATE deliveries SET held = 0, due_at = ? WHERE chain = ? AND held = 1",
            (now, delivery.chain.partition("/")[0]),
        )


def postpone(
    storage: Storage, delivery: Due, *, due_at: float | None, status: int | None, error: str
) -> None:
    """Note a failed try and when the next one is due; without a next one it is given up."""
    storage.execute(
        "UPDATE deliveries SET state = ?, attempts = attempts + 1, due_at = ?,"
        " last_status = ?, last_error = ? WHERE id = ?",
        (
            "pending" if due_at is not None else "failed",
            due_at or 0,
            status,
            error,
            delivery.id,
        ),
    )


def pending_of(storage: Storage, event: str) -> int:
    """Count the endpoints that have not yet taken the event."""
    row = storage.execute(
        "SELECT count(DISTINCT endpoint) FROM deliveries WHERE event = ? AND state = 'pending'",
        (event,),
    ).fetchone()
    return int(row[0])


def pending(storage: Storage) -> int:
    """Count the deliveries that still wait, held-back ones included."""
    row = storage.execute("SELECT count(*) FROM deliveries WHERE state = 'pending'").fetchone()
    return int(row[0])


def hasten(storage: Storage, now: float) -> None:
    """Make everything that waits for its time due now."""
    storage.execute("UPDATE deliveries SET due_at = ? WHERE state = 'pending'", (now,))


def forget_endpoint(storage: Storage, endpoint: str) -> None:
    """Give up what was meant for a removed endpoint."""
    storage.execute(
        "UPDATE deliveries SET state = 'dropped' WHERE endpoint = ? AND state = 'pending'",
        (endpoint,),
    )


def listed(storage: Storage, after: int, limit: int = 1000) -> list[Body]:
    """List deliveries with their fate, oldest first."""
    rows = storage.rows("SELECT * FROM deliveries WHERE id > ? ORDER BY id LIMIT ?", (after, limit))
    return [{**dict(row), "held": bool(row["held"])} for row in rows]
