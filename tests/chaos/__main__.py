"""`make chaos`: a seeded run of everything against everybody; exits 1 if a rule of money broke."""

import asyncio
import os
import random
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import Progress

from paysaga.demo.trouble import Trouble
from paysaga.temporal import exit_cleanly
from tests.chaos.outage import outage
from tests.chaos.runner import Outcome, chaos

STATE: Final = Path(".paysaga/chaos")
RESULTS: Final = Path(".paysaga/chaos.tsv")
SHOWN: Final = 40
CANNOT: Final = 2


def main() -> int:
    """0 when all rules hold, 1 when one is broken, 2 when it cannot run."""
    exit_cleanly()
    console = Console(highlight=False)
    count = int(_set("SAGAS") or 1000)
    seed = int(_set("SEED") or random.randrange(1_000_000))
    postgres_url = os.environ.get("TEST_POSTGRES_URL") if _is_wanted("POSTGRESQL") else None
    if _is_wanted("POSTGRESQL") and postgres_url is None:
        console.print("Set TEST_POSTGRES_URL to a PostgreSQL that may be written to.")
        return CANNOT
    state = STATE / str(seed)
    console.print(f"Seed {seed}. The logs are in {state / 'logs'}.", soft_wrap=True)
    try:
        outcome = asyncio.run(_run(console, count, seed, state, postgres_url))
    except Trouble as trouble:
        console.print(f"[red]✗[/] {trouble}", markup=False)
        return CANNOT
    return _report(console, outcome, state)


async def _run(
    console: Console, count: int, seed: int, state: Path, postgres_url: str | None
) -> Outcome:
    if _is_wanted("OUTAGE"):
        return await outage(seed, state, postgres_url=postgres_url)
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("Customers", total=count)
        return await chaos(
            count,
            seed,
            state,
            postgres_url=postgres_url,
            say=lambda done: progress.update(bar, completed=done),
        )


def _report(console: Console, outcome: Outcome, state: Path) -> int:
    for broken in outcome.broken[:SHOWN]:
        console.print(f"✗ {broken}", soft_wrap=True, markup=False)
    console.out(outcome.line)
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a") as results:
        results.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\t{outcome.line}\n")
    if not outcome.broken:
        shutil.rmtree(state, ignore_errors=True)
        return 0
    again = f"make chaos SAGAS={outcome.sagas} SEED={outcome.seed}"
    console.out(f"What is left of it is in {state}. Once more: {again}")
    return 1


def _set(name: str) -> str:
    return os.environ.get(name, "").strip()


def _is_wanted(name: str) -> bool:
    return _set(name) not in {"", "0"}


if __name__ == "__main__":
    sys.exit(main())
