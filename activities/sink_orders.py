"""What a sink's run asks for, and what it is told."""

from enum import StrEnum

from pydantic import AwareDatetime

from paysaga.domain.message import Message
from paysaga.domain.sink import SinkReason


class Standing(StrEnum):
    """What a sink does after it was drained for a while."""

    WORKING = "working"  # there is more
    WAITING = "waiting"  # until its next try; it need not be woken for new events
    RESTING = "resting"  # it has all, but for what waits in lanes; it is woken
    PAUSED = "paused"
    REMOVED = "removed"


class DrainOrder(Message):
    """Drain this sink now."""

    sink_id: str
    now: AwareDatetime


class Drained(Message):
    """Where the sink stands then. `behind` are the events that follow its place.

    `turn` counts what has moved or changed it.
    """

    standing: Standing
    reason: SinkReason | None = None
    next_at: AwareDatetime | None = None
    behind: int = 0
    lanes: int = 0
    dead_letters: int = 0
    delivered: int = 0
    turn: int = 0
    last_answer: str | None = None
    failing_since: AwareDatetime | None = None
