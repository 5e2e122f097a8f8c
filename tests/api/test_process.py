import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from paysaga.demo.preflight import free_port

ROOT = Path(__file__).parents[2]


def start(**environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "api"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


class TestProcess:
    def test_it_serves_alone_and_stops_when_told(self, tmp_path: Path) -> None:
        """Nothing else runs: the process starts, says that it lives, and ends with 0."""
        port = free_port()
        url = f"sqlite:///{tmp_path / 'paysaga.db'}"
        process = start(API_PORT=str(port), DATABASE_URL=url, TEMPORAL_ADDRESS="127.0.0.1:9")
        try:
            with httpx.Client(transport=httpx.HTTPTransport(retries=8)) as client:
                alive = client.get(f"http://127.0.0.1:{port}/health", timeout=20)
                ready = client.get(f"http://127.0.0.1:{port}/health/ready", timeout=20)
        finally:
            process.send_signal(signal.SIGTERM)
            logs = process.communicate(timeout=20)[1]

        assert (200, 503) == (alive.status_code, ready.status_code)
        assert 0 == process.returncode, logs
        assert all(line.startswith("{") for line in logs.splitlines()), logs

    def test_a_busy_port_is_one_sentence(self) -> None:
        """Whoever starts a second one is told what to do."""
        with socket.create_server(("127.0.0.1", 0)) as busy:
            port = busy.getsockname()[1]
            process = start(API_PORT=str(port))
            said = process.communicate(timeout=20)[1]

        assert 2 == process.returncode
        assert said.startswith(f"API_PORT: 127.0.0.1:{port} ")
        assert 1 == len(said.splitlines())

    @pytest.mark.parametrize(
        ("name", "value"),
        [("API_PORT", "http"), ("JWT_ALGORITHMS", "RS256"), ("STRIPE_SECRET_KEY", "sk_live_x")],
    )
    def test_a_wrong_setting_is_one_sentence(self, name: str, value: str) -> None:
        """The sentence names the variable."""
        process = start(**{name: value})

        said = process.communicate(timeout=20)[1]

        assert 2 == process.returncode
        assert name in said
        assert 1 == len(said.splitlines())
