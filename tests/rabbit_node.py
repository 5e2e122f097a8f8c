"""A RabbitMQ of the test's own, which can be killed and started again without disturbing others."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from paysaga.demo.preflight import free_port

# Debian's own command changes the user first; what it calls then need not.
_DEBIAN: Final = "/usr/lib/rabbitmq/bin/rabbitmq-server"


class Node:
    """One server with a directory of its own. What was written to disk survives its death."""

    def __init__(self, command: str, home: Path) -> None:
        self._command = command
        self._home = home
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        (home / "plugins").write_text("[].")
        self._environment = os.environ | {
            "HOME": str(home),
            "RABBITMQ_NODENAME": f"paysaga-{self._port}@localhost",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(home / "data"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_PID_FILE": str(home / "pid"),
            "RABBITMQ_CONFIG_FILE": str(home / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
        }

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self._port}/"

    async def start(self) -> None:
        """Start it, and wait until it listens."""
        self._launch()
        async with asyncio.timeout(60):
            await self.until_it_listens()

    def _launch(self) -> None:
        with (self._home / "out").open("ab") as out:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                cwd=self._home,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    async def until_it_listens(self) -> None:
        assert self._process is not None
        while True:
            assert self._process.poll() is None, (self._home / "out").read_text()
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except OSError:
                await until()
            else:
                writer.close()
                return

    def kill(self) -> None:
        """As a power cut would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


async def until() -> None:
    """A moment later."""
    await asyncio.sleep(0.1)


@contextmanager
def a_node(home: Path) -> Iterator[Node]:
    """A server that is not started yet; without the program the test is skipped, or fails in CI."""
    command = _DEBIAN if Path(_DEBIAN).exists() else shutil.which("rabbitmq-server")
    if command is None:
        missing = "rabbitmq-server is not installed: no broker was restarted"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    node = Node(command, home)
    try:
        yield node
    finally:
        node.kill()
