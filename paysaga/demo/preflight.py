"""What must hold before anything is started: one demo at a time, free ports, the binary there."""

import fcntl
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from paysaga.demo.settings import DemoSettings
from paysaga.demo.trouble import Trouble


@contextmanager
def only_one(settings: DemoSettings) -> Iterator[None]:
    """Hold the state's lock; the kernel gives it back even when we are killed.

    Raises:
        Trouble: Another demo holds it.
    """
    path = settings.state / "demo.lock"
    try:
        settings.state.mkdir(parents=True, exist_ok=True)
        lock = path.open("a+")
    except OSError as error:
        raise Trouble(
            f"The demo cannot write to {settings.state} ({error.strerror}):"
            " set DEMO_STATE to a directory of yours."
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise Trouble(
                f"A demo is already running here (process {lock.read().strip() or 'unknown'}):"
                f" open {settings.shop_url}, or stop that one with Ctrl-C first."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def check(settings: DemoSettings) -> None:
    """See that the ports are free and Temporal's server is there.

    Raises:
        Trouble: What is in the way, and what to do about it.
    """
    if not os.access(settings.temporal_binary, os.X_OK):
        raise Trouble(
            f"Temporal's server is missing at {settings.temporal_binary}: install it with"
            " `pip install --require-hashes -r requirements/demo.txt` (`make demo` does)."
        )
    for name, port in settings.ports.items():
        if not is_free(port):
            raise Trouble(
                f"Port {port} is used by another program: stop that, or set {name} to a free port."
            )


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def forget(settings: DemoSettings) -> None:
    """Remove what the demo has kept, and nothing that it did not write.

    Raises:
        Trouble: A demo is running.
    """
    if not settings.state.is_dir():
        return
    with only_one(settings):
        for path in settings.state.iterdir():
            if path.name != "demo.lock":
                _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
