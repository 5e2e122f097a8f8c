"""The demo as a person starts it, on ports and in a directory of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from paysaga.demo.preflight import free_port
from paysaga.demo.settings import DemoSettings
from paysaga.demo.world import World, open_world

READY_SECONDS = 120.0
_PORTS = ("SHOP", "API", "TEMPORAL", "TEMPORAL_UI", "SIMULATOR", "MAIL")


class DemoProcess:
    """A running demo: its addresses, what it has printed, and its children."""

    def __init__(self, state: Path, environment: dict[str, str], *arguments: str) -> None:
        self.state = state
        self.environment = environment
        self.shop_url = f"http://127.0.0.1:{environment['DEMO_SHOP_PORT']}"
        self.api_url = f"http://127.0.0.1:{environment['DEMO_API_PORT']}"
        self.simulator_url = f"http://127.0.0.1:{environment['DEMO_SIMULATOR_PORT']}"
        self.temporal_ui_url = f"http://127.0.0.1:{environment['DEMO_TEMPORAL_UI_PORT']}"
        self._output = state / "output.txt"
        with self._output.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "paysaga.demo", *arguments],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def printed(self) -> str:
        """All that a person has seen so far."""
        return self._output.read_text()

    def children(self) -> dict[str, int]:
        """The process ids by name, once they are written down."""
        try:
            found: dict[str, int] = json.loads((self.state / "processes.json").read_text())
        except (OSError, ValueError):
            return {}
        return found

    def wait_for(self, text: str, seconds: float = READY_SECONDS) -> None:
        """Until the demo has printed that; it must not end before."""
        self.until(lambda: text in self.printed(), f"the demo never said {text!r}", seconds)

    def until(
        self, condition: Callable[[], bool], complaint: str, seconds: float = READY_SECONDS
    ) -> None:
        """Poll the condition while the demo lives."""

        def holds() -> bool:
            assert self.process.poll() is None, f"the demo ended:\n{self.printed()}"
            return condition()

        until(holds, seconds, lambda: f"{complaint}:\n{self.printed()}")

    def stop(self) -> int:
        """As Ctrl-C does; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=60)


def until(
    condition: Callable[[], bool], seconds: float = 30.0, complaint: Callable[[], str] = str
) -> None:
    """Poll the condition until it holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, complaint()
        time.sleep(0.05)


def environment_for(state: Path, **more: str) -> dict[str, str]:
    """Free ports for all, quick answers of the gateway, and what is asked for besides."""
    ports = {f"DEMO_{name}_PORT": str(free_port()) for name in _PORTS}
    quick = {"PAYMENT_PROCESSING_DELAY_MIN": "0", "PAYMENT_PROCESSING_DELAY_MAX": "50"}
    return {**os.environ, **quick, **ports, "DEMO_STATE": str(state), **more}


@contextmanager
def demo_process(
    state: Path, *arguments: str, environment: dict[str, str] | None = None
) -> Iterator[DemoProcess]:
    """Run the demo while the context lasts."""
    state.mkdir(parents=True, exist_ok=True)
    demo = DemoProcess(state, environment or environment_for(state), *arguments)
    try:
        yield demo
    finally:
        if demo.process.poll() is None:
            try:
                demo.stop()
            except subprocess.TimeoutExpired:
                demo.process.kill()
                demo.process.wait()


@asynccontextmanager
async def open_world_of(demo: DemoProcess) -> AsyncIterator[World]:
    """The shop, the API and the customers' browsers of a running demo."""
    prefix = "DEMO_"
    told = {
        name.removeprefix(prefix).lower(): value
        for name, value in demo.environment.items()
        if name.startswith(prefix)
    }
    settings = DemoSettings.model_validate(told)
    async with open_world(settings, settings.api_port) as connected:
        yield connected


def is_alive(pid: int) -> bool:
    """Whether such a process runs; one that only waits to be collected does not count."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
