"""One process of the demo: started, watched, started again when it dies, and ended."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from paysaga.demo import tether
from paysaga.demo.programs import Program
from paysaga.demo.trouble import Trouble

READY_SECONDS: Final = 60.0
STOP_SECONDS: Final = 12.0
PROBE_SECONDS: Final = 0.1
# A process that fails to start this often in a row is broken; another try would only hide that.
FAILURES_ALLOWED: Final = 3
LAST_LINES: Final = 12


class Child:
    """A program as it runs; its output goes to a log file of its own."""

    def __init__(
        self,
        program: Program,
        logs: Path,
        say: Callable[[str], None],
        on_change: Callable[[], None],
    ) -> None:
        self.name = program.name
        self._program = program
        self._log = logs / f"{program.name.lower().replace(' ', '-')}.log"
        self._say = say
        self._on_change = on_change
        self._process: asyncio.subprocess.Process | None = None
        self._started = datetime.now(UTC)
        self._log_began = 0
        self._has_come_up = False

    @property
    def pid(self) -> int | None:
        """The process that runs now, if one does."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process else None

    @property
    def works(self) -> bool:
        """Whether the process that runs now has come to work."""
        return self.pid is not None and self._has_come_up

    async def start(self) -> None:
        """Start the process and wait until it works.

        Raises:
            Trouble: It ended, or did not work in time; with the last lines of its log.
        """
        await self._spawn()
        if not await self._comes_up():
            raise Trouble(f"{self.name} {self._standing()}. {self._told()}")

    async def finish(self) -> None:
        """Run a program that ends by itself.

        Raises:
            Trouble: It failed.
        """
        process = await self._spawn()
        if await process.wait():
            raise Trouble(f"{self.name} {self._standing()}. {self._told()}")

    async def keep_alive(self) -> None:
        """Start it again whenever it dies, until canceled.

        Raises:
            Trouble: It dies again and again.
        """
        failures = 0
        while self._process is not None:
            await self._process.wait()
            self._on_change()
            if failures > FAILURES_ALLOWED:
                raise Trouble(f"{self.name} {self._standing()}, again and again. {self._told()}")
            self._say(f"{self.name} {self._standing()}: starting it again")
            await asyncio.sleep(PROBE_SECONDS * 2**failures)
            await self._spawn()
            if await self._comes_up():
                failures = 0
                self._say(f"{self.name} works again")
            elif not self._was_killed():
                failures += 1

    async def stop(self) -> None:
        """End it, kindly first."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            self._signal(signal.SIGKILL)
            await process.wait()

    async def _spawn(self) -> asyncio.subprocess.Process:
        self._has_come_up = False
        tethered = (sys.executable, "-IS", tether.__file__, str(os.getpid()))
        self._started = datetime.now(UTC)
        with self._log.open("ab") as log:
            self._log_began = log.tell()
            # A session of its own: the terminal's Ctrl-C is for the supervisor to pass on.
            self._process = await asyncio.create_subprocess_exec(
                *tethered,
                *self._program.command,
                env=self._program.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._on_change()
        return self._process

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    async def _comes_up(self) -> bool:
        """Whether it comes to work, before it ends or the time is over."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                while not await self._program.is_ready(self._started):
                    if self.pid is None:
                        return False
                    await asyncio.sleep(PROBE_SECONDS)
        except TimeoutError:
            return False
        self._has_come_up = True
        return True

    def _was_killed(self) -> bool:
        """Somebody's SIGKILL says nothing about the process itself."""
        return self._process is not None and self._process.returncode == -signal.SIGKILL

    def _standing(self) -> str:
        code = self._process.returncode if self._process else None
        if code is None:
            return f"is not ready after {READY_SECONDS:.0f} seconds"
        if code < 0:
            return f"was killed ({signal.Signals(-code).name})"
        return f"ended with exit code {code}"

    def _told(self) -> str:
        # The log goes on from run to run; an older run's complaint would mislead.
        written = self._log.read_bytes()[self._log_began :]
        lines = written.decode(errors="replace").splitlines()[-LAST_LINES:]
        return "\n".join([f"The end of {self._log}:", *(f"  {line}" for line in lines)])
