"""What a sink's run tells operators."""

from datetime import datetime
from typing import Final

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.sink_orders import Drained, Standing
    from paysaga.domain.sink import PATIENCE, SinkReason

_NEXT: Final = {
    Standing.WORKING: "It hands events over.",
    Standing.WAITING: "It waits, and tries again at the time below.",
    Standing.RESTING: "It has handed over what there is, and is woken by the next event.",
}
_NEXT_WHEN_PAUSED: Final = {
    SinkReason.REQUESTED: "**It is paused.** `payment-cli sinks resume` goes on where it stands.",
    SinkReason.GONE: (
        "**The other side said that it wants no more events (410).** Nothing is lost: when it does"
        " again, `payment-cli sinks resume` goes on where it stands."
    ),
    SinkReason.AWAY_TOO_LONG: (
        f"**Nobody was there for {PATIENCE.total_seconds() / 3600:.0f} hours.** Nothing is lost:"
        " mend the other side, then `payment-cli sinks resume` goes on where it stands."
    ),
}


def sink_details(name: str, drained: Drained, now: datetime) -> str:
    """The run's current details, in Markdown."""
    failing = drained.failing_since
    title = "failing" if failing and drained.standing is Standing.WAITING else drained.standing
    paused = drained.standing is Standing.PAUSED and drained.reason is not None
    told = (
        _NEXT_WHEN_PAUSED.get(drained.reason, "**It is paused.**")
        if paused and drained.reason
        else _NEXT.get(drained.standing, "")
    )
    lines = [
        f"### {title}",
        "",
        f"**Next:** {told}",
        "",
        f"- {name}" if name else "",
        f"- behind: {drained.behind} events; handed over so far: {drained.delivered}",
        f"- last answer: {drained.last_answer or 'none yet'}",
    ]
    if failing is not None:
        lines.append(f"- nobody there since {_moment(failing)} ({_hours(now, failing)})")
    if drained.next_at is not None:
        lines.append(f"- next try at {_moment(drained.next_at)}")
    if drained.lanes:
        lines.append(f"- {drained.lanes} objects wait on their own, for their next try")
    if drained.dead_letters:
        lines.append(
            f"- **{drained.dead_letters} dead letters**: `payment-cli sinks dead-letters` shows"
        )
    return "\n".join(line for number, line in enumerate(lines) if line or number in {1, 3})


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _hours(now: datetime, since: datetime) -> str:
    return f"{(now - since).total_seconds() / 3600:.1f} h"
