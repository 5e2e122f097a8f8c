import contextlib
import os
import signal
import time
from pathlib import Path

import httpx
import pytest

from paysaga.demo.purchases import PURCHASES
from tests.end_to_end import journal
from tests.end_to_end.demo_process import DemoProcess, demo_process, environment_for

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

# Slow enough that every kill meets payments under way.
SLOW = {"PAYMENT_PROCESSING_DELAY_MIN": "1000", "PAYMENT_PROCESSING_DELAY_MAX": "3000"}
VICTIMS = ("worker", "API", "Temporal")


class TestKills:
    @pytest.mark.parametrize("victims", [*((name,) for name in VICTIMS), VICTIMS])
    def test_every_payment_ends_right_with_one_charge(
        self, tmp_path: Path, victims: tuple[str, ...]
    ) -> None:
        """
        SIGKILL of worker, API or Temporal at any moment: all purchases end as they should, and
        the gateway's own book has one charge for each paid order.
        """
        with demo_process(tmp_path, environment=environment_for(tmp_path, **SLOW)) as demo:
            demo.until(lambda: "API" in demo.children(), "the API was never started")
            kills = _kill_in_turn(demo, victims)
            book = journal.entries(demo.simulator_url)

        count = len(PURCHASES)
        assert f"{count} of {count} purchases ended as they should" in demo.printed()
        assert kills
        assert {1} == set(journal.charges(book).values())


def _kill_in_turn(demo: DemoProcess, victims: tuple[str, ...]) -> int:
    """Kill one of them every three seconds, eight times at most, until the purchases are over."""
    demo.until(lambda: _begun(demo), "no purchase ever began")
    kills, next_at = 0, time.monotonic()

    def step() -> bool:
        nonlocal kills, next_at
        if "Serving until Ctrl-C" in demo.printed():
            return True
        pid = demo.children().get(victims[kills % len(victims)])
        if time.monotonic() > next_at and pid and kills < 8:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            kills, next_at = kills + 1, time.monotonic() + 3
        return False

    demo.until(step, "the purchases never ended", seconds=300)
    return kills


def _begun(demo: DemoProcess) -> bool:
    try:
        return bool(journal.entries(demo.simulator_url))
    except httpx.HTTPError:
        return False
