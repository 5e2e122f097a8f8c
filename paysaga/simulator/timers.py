"""Steps that happen on their own after a while, such as a pending refund that succeeds."""

from paysaga.simulator import chargebacks, checkout_sessions, debits, settlement
from paysaga.simulator.simulator import Simulator
from paysaga.simulator.storage import Storage

_STEPS = settlement.STEPS | debits.STEPS | checkout_sessions.STEPS | chargebacks.STEPS
# A deadline is no work that waits to be done.
_IS_DEADLINE = "step IN ('expire_session', 'lapse_dispute')"


def fire_due(simulator: Simulator) -> int:
    """Take every step whose time has come; answer with how many there were."""
    storage = simulator.storage
    rows = storage.rows(
        "SELECT id, step, object FROM timers WHERE due_at <= ? ORDER BY id", (simulator.time(),)
    )
    for row in rows:
        with storage.transaction():
            _STEPS[row["step"]](simulator.call(target=row["object"]))
            storage.execute("DELETE FROM timers WHERE id = ?", (row["id"],))
    return len(rows)


def next_due_at(storage: Storage) -> float | None:
    """Tell when the next step is due."""
    value = storage.execute("SELECT min(due_at) FROM timers").fetchone()[0]
    return None if value is None else float(value)


def hasten(storage: Storage, now: float) -> None:
    """Make every waiting step due now, but for deadlines."""
    storage.execute(f"UPDATE timers SET due_at = ? WHERE NOT {_IS_DEADLINE}", (now,))  # noqa: S608


def waiting(storage: Storage, now: float) -> int:
    """Count the steps still to come; of deadlines only those that are over."""
    counted = f"SELECT count(*) FROM timers WHERE NOT {_IS_DEADLINE} OR due_at <= ?"  # noqa: S608
    return int(storage.execute(counted, (now,)).fetchone()[0])
