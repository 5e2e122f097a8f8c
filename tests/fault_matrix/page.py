"""`python -m tests.fault_matrix.page`: write docs/fault-matrix.md from the cells."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.fault_matrix.cells import CELLS, DATABASE, GATEWAY, KILLS, ORDERS, Cell
from tests.fault_matrix.elsewhere import ELSEWHERE
from tests.fault_matrix.reads import READS, ReadCell

PAGE: Final = Path(__file__).parents[2] / "docs" / "fault-matrix.md"

_HEAD: Final = """\
# Fault matrix

Every call that an activity makes, with every fault that it may meet. Each cell is one payment and
a test of its own, on SQLite and on PostgreSQL; the same [checker](chaos.md#what-the-checker-checks)
as after a chaos run judges what became of it. The number in a cell is in its test's name:
`make test-full ARGS="tests/fault_matrix -k 017"`.

This page is written by `python -m tests.fault_matrix.page`, and a test compares it with the cells.
"""


_ORDERS: Final = """\
`is_taken`, which only a canceled run asks, goes the same way as `confirm` and `release`.
"""

_KILLED: Final = """\
`make test-full` kills real worker processes with SIGKILL at each activity's boundaries, and stops
them with SIGSTOP until the activity has timed out.
"""

_READS: Final = """\
For the sweep and for reconciliations. In the end the same is known as without the fault, and each
event is stored once.
"""

_ELSEWHERE_HEAD: Final = """\
Each is a test of its own. Temporal's server, the API and the database are killed
again and again in [chaos runs](chaos.md).
"""


def page() -> str:
    """The whole page."""
    parts = [
        _HEAD,
        _table("The gateway", GATEWAY, 1),
        _table("The order service", ORDERS, 1 + len(GATEWAY)),
        _ORDERS,
        _table("The database", DATABASE, 1 + len(GATEWAY) + len(ORDERS)),
        _table("The worker, killed", KILLS, 1 + len(CELLS)),
        _KILLED,
        _table("Reading", READS, 1 + len(CELLS) + len(KILLS)),
        _READS,
        "## Webhooks, and calls to the API\n",
        _ELSEWHERE_HEAD,
        _tests(),
    ]
    return "\n".join(parts)


def number(place: int) -> str:
    """How the page and the tests call a cell."""
    return f"{place:03}"


def _table(title: str, cells: Sequence[Cell | ReadCell], first: int) -> str:
    numbered = {(cell.call, cell.fault): first + place for place, cell in enumerate(cells)}
    faults = list(dict.fromkeys(cell.fault for cell in cells))
    lines = [
        f"## {title}\n",
        "| call | " + " | ".join(faults) + " |",
        "| --- " * (len(faults) + 1) + "|",
    ]
    for call in dict.fromkeys(cell.call for cell in cells):
        found = [numbered.get((call, fault)) for fault in faults]
        told = " | ".join(number(place) if place else "-" for place in found)
        lines.append(f"| {_code(call)} | {told} |")
    return "\n".join(lines) + "\n"


def _tests() -> str:
    lines = ["| what goes wrong | where it is tested |", "| --- | --- |"]
    for fault, (module, *names) in ELSEWHERE.items():
        lines.append(f"| {fault} | `tests/{module}`: {', '.join(f'`{name}`' for name in names)} |")
    return "\n".join(lines) + "\n"


def _code(call: str) -> str:
    activity, _, rest = call.partition(", ")
    return f"`{activity}`" + (f": {rest}" if rest else "")


if __name__ == "__main__":
    PAGE.write_text(page())
