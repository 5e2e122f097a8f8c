"""`python -m paysaga.simulator`: run until SIGTERM or Ctrl-C."""

import socket
import sqlite3
import sys
from typing import NoReturn

import uvicorn
from pydantic import ValidationError

from paysaga.simulator.app import create_app
from paysaga.simulator.settings import SimulatorSettings, complaint

_WRONG_SETTING = 2
_GOODBYE_SECONDS = 2


def main() -> None:
    """Start, or say in one sentence why not."""
    try:
        settings = SimulatorSettings()
    except ValidationError as error:
        _give_up(complaint(error))
    try:
        listener = _listen(settings)
    except OSError as error:
        _give_up(
            f"The simulator cannot start: SIMULATOR_PORT {settings.simulator_port} on"
            f" {settings.simulator_host} cannot be used: {error.strerror or error}."
        )
    try:
        app = create_app(settings)
    except (OSError, sqlite3.Error) as error:
        _give_up(
            f"The simulator cannot start: SIMULATOR_STATE {settings.simulator_state} cannot be"
            f" used: {error}."
        )
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            access_log=False,
            log_level="warning",
            timeout_graceful_shutdown=_GOODBYE_SECONDS,
        )
    )
    host, port = listener.getsockname()[:2]
    sys.stderr.write(f"Stripe simulator on http://{host}:{port}\n")
    server.run(sockets=[listener])


def _listen(settings: SimulatorSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.simulator_host else socket.AF_INET
    # asyncio turns Nagle off only for sockets that say that they are TCP; 40 ms per answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((settings.simulator_host, settings.simulator_port))
    listener.listen(2048)
    return listener


def _give_up(sentence: str) -> NoReturn:
    sys.stderr.write(sentence + "\n")
    sys.exit(_WRONG_SETTING)


if __name__ == "__main__":
    main()
