import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from paysaga.demo import child, probes
from paysaga.demo.programs import Program
from paysaga.demo.supervisor import Supervisor
from paysaga.demo.trouble import Trouble

SLEEPS = "import time; time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"


def _program(name: str, code: str, ready: probes.Probe = probes.always) -> Program:
    return Program(name, (sys.executable, "-c", code), dict(os.environ), ready)


class Watched:
    """A supervisor's state directory and all that it has said."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.said: list[str] = []
        self.supervisor = Supervisor(state, self.said.append)

    def pid(self, name: str) -> int:
        pids: dict[str, int] = json.loads((self.state / "processes.json").read_text())
        return pids[name]


@pytest.fixture
async def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - a file and a list have no event
            await asyncio.sleep(0.02)


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


class TestStarting:
    async def test_it_waits_until_all_work(self, watched: Watched) -> None:
        """
        Started means: asked, and answered.
        """
        asked = []

        async def third_time(_started: datetime) -> bool:
            asked.append(1)
            return len(asked) == 3

        async with watched.supervisor as supervisor:
            await supervisor.start(_program("slow", SLEEPS, third_time))

        assert 3 == len(asked)

    async def test_one_that_dies_is_told_with_the_end_of_its_log(self, watched: Watched) -> None:
        """
        A process that cannot start gives its name, its exit code and its last words.
        """
        broken = _program("broken", "raise SystemExit('no such table')", _never)

        async with watched.supervisor as supervisor:
            with pytest.raises(Trouble, match="broken ended with exit code 1") as told:
                await supervisor.start(_program("well", SLEEPS), broken)

        assert "no such table" in str(told.value)

    async def test_an_older_run_s_words_are_not_told(self, watched: Watched) -> None:
        """
        The log goes on from run to run, but a failure is told by its own run's lines only.
        """
        (watched.state / "logs").mkdir()
        (watched.state / "logs" / "broken.log").write_text("yesterday's complaint\n")
        broken = _program("broken", "raise SystemExit('no such table')", _never)

        async with watched.supervisor as supervisor:
            with pytest.raises(Trouble, match="no such table") as told:
                await supervisor.start(broken)

        assert "yesterday" not in str(told.value)

    async def test_one_that_never_works_is_told_in_time(
        self, watched: Watched, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """
        Waiting for readiness is bounded.
        """
        monkeypatch.setattr(child, "READY_SECONDS", 0.3)

        async with watched.supervisor as supervisor:
            with pytest.raises(Trouble, match="dull is not ready"):
                await supervisor.start(_program("dull", SLEEPS, _never))

    async def test_a_failed_first_step_is_told(self, watched: Watched) -> None:
        """
        What must be done before, the migrations, stops the start when it fails.
        """
        async with watched.supervisor as supervisor:
            with pytest.raises(Trouble, match="migrations ended with exit code 3"):
                await supervisor.start(
                    _program("well", SLEEPS),
                    first=_program("migrations", "raise SystemExit(3)"),
                )


class TestKeepingAlive:
    async def test_a_killed_process_is_started_again(self, watched: Watched) -> None:
        """
        SIGKILL of a process is told, and it is there again as another process.
        """
        async with watched.supervisor as supervisor:
            await supervisor.start(_program("worker", SLEEPS))
            first = watched.pid("worker")
            os.kill(first, signal.SIGKILL)
            await _until(lambda: "worker works again" in watched.said)

            assert first != watched.pid("worker")
        assert "worker was killed (SIGKILL): starting it again" in watched.said

    async def test_one_that_is_started_again_works_when_it_is_ready(self, watched: Watched) -> None:
        """
        A killed process works no more, nor does the one in its place before it has answered.
        """
        is_ready = True
        asked = []

        async def probe(_started: datetime) -> bool:
            asked.append(is_ready)
            return is_ready

        async with watched.supervisor as supervisor:
            await supervisor.start(_program("worker", SLEEPS, probe))
            works_at_first = supervisor.works("worker")
            is_ready = False
            os.kill(watched.pid("worker"), signal.SIGKILL)
            await _until(lambda: False in asked)
            works_unready = supervisor.works("worker")
            is_ready = True
            await _until(lambda: supervisor.works("worker"))

        assert works_at_first
        assert not works_unready
        assert not supervisor.works("worker")
        assert not supervisor.works("nobody")

    async def test_one_that_ends_again_and_again_is_given_up(self, watched: Watched) -> None:
        """
        A broken process does not spin for ever: the demo ends and says why.
        """
        turns = []

        async def only_at_first(_started: datetime) -> bool:
            turns.append(1)
            return len(turns) == 1

        async with watched.supervisor as supervisor:
            await supervisor.start(_program("weak", "raise SystemExit(7)", only_at_first))
            with pytest.raises(Trouble, match="weak ended with exit code 7, again and again"):
                await supervisor.until_broken()

    async def test_a_retired_process_stays_away(self, watched: Watched) -> None:
        """
        What is ended on purpose is not started again, and the others go on.
        """
        extra = _program("extra", SLEEPS)
        async with watched.supervisor as supervisor:
            await supervisor.start(_program("worker", SLEEPS), extra)
            pid = watched.pid("extra")

            await supervisor.retire(extra)

            assert _is_gone(pid)
            assert not _is_gone(watched.pid("worker"))
        assert not watched.said


class TestStopping:
    async def test_nothing_survives_the_context(self, watched: Watched) -> None:
        """
        Leaving ends all processes, and their ids are not written down any more.
        """
        async with watched.supervisor as supervisor:
            await supervisor.start(_program("one", SLEEPS), _program("two", SLEEPS))
            pids = [watched.pid("one"), watched.pid("two")]

        assert all(_is_gone(pid) for pid in pids)
        assert not (watched.state / "processes.json").exists()

    async def test_one_that_will_not_stop_is_killed(
        self, watched: Watched, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """
        A process has some seconds to end kindly, not for ever.
        """
        monkeypatch.setattr(child, "STOP_SECONDS", 0.5)

        async with watched.supervisor as supervisor:
            await supervisor.start(_program("stubborn", STUBBORN))
            pid = watched.pid("stubborn")

        assert _is_gone(pid)


async def _never(_started: datetime) -> bool:
    return False
