"""A closed loop of customers, and what it tells."""

import asyncio
import math
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

Step = Callable[[], Awaitable[bool]]


@dataclass(frozen=True)
class Measured:
    """What `customers` at once saw: seconds of each answer, failures, and the worker's CPU time."""

    customers: int
    answers: list[float]
    failures: int
    seconds: float
    worker_cpu_seconds: float

    @property
    def per_second(self) -> float:
        """Answers per second, all customers together."""
        return len(self.answers) / self.seconds

    @property
    def worker_ms(self) -> float:
        """The worker's CPU milliseconds for one answer."""
        return 1000 * self.worker_cpu_seconds / max(1, len(self.answers))

    def percentile_ms(self, percent: float) -> float:
        """The time within which this share of the answers came (nearest rank)."""
        ordered = sorted(self.answers)
        if not ordered:
            return math.nan
        rank = max(1, math.ceil(percent / 100 * len(ordered)))
        return 1000 * ordered[rank - 1]


async def closed_loop(step: Step, customers: int, seconds: float, worker_pid: int) -> Measured:
    """Each customer asks again as soon as they have their answer, until the time is over."""
    answers: list[float] = []
    failures = 0
    began, cpu = time.perf_counter(), _cpu_seconds(worker_pid)

    async def customer() -> None:
        nonlocal failures
        while time.perf_counter() - began < seconds:
            asked = time.perf_counter()
            if await step():
                answers.append(time.perf_counter() - asked)
            else:
                failures += 1

    await asyncio.gather(*(customer() for _ in range(customers)))
    return Measured(
        customers,
        answers,
        failures,
        time.perf_counter() - began,
        _cpu_seconds(worker_pid) - cpu,
    )


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process, as Linux counts it (proc(5), `stat`)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
