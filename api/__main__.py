"""`python -m api`: serve the HTTP API until told to stop."""

import signal
import socket
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Final, NoReturn

import uvicorn
from fastapi import FastAPI

from api.app import create_app
from api.connections import Connections
from paysaga.logs import configure_logs
from paysaga.settings import Settings, WrongSettings, load_settings
from paysaga.temporal import exit_cleanly, telemetry

_USAGE: Final = (
    "usage: python -m api, without arguments; see docs/configuration.md for its variables\n"
)
_DRAIN_SECONDS: Final = 15
_BACKLOG: Final = 2048


def main(arguments: Sequence[str] = ()) -> int:
    """Exit code 0 after a stop, 2 when the settings or the port cannot be used."""
    if arguments:
        sys.stderr.write(_USAGE)
        return 2
    exit_cleanly()
    try:
        settings = load_settings()
        runtime = telemetry(settings)
        listening = _listen(settings)
    except WrongSettings as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 2
    configure_logs(settings.log_level, "api")
    server = Server(create_app(settings, runtime), settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn stops at a signal and then hands it on: by default that would be a crash.
        signal.signal(number, _end)
    with listening:
        server.run(sockets=[listening])
    return 0


class Server(uvicorn.Server):
    """Whoever waits for news is answered before the server waits for its last requests."""

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        config = uvicorn.Config(
            app,
            loop="uvloop",
            log_config=None,
            access_log=False,  # a path is not logged: somebody may have put a card number there
            server_header=False,
            forwarded_allow_ips=list(settings.forwarded_allow_ips),
            timeout_graceful_shutdown=_DRAIN_SECONDS,
        )
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop serving."""
        connections: Connections = self._app.state.connections
        connections.waiting.end()
        await super().shutdown(sockets)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def _listen(settings: Settings) -> socket.socket:
    host, port = settings.api_host, settings.api_port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise WrongSettings(
            f"API_PORT: {host}:{port} cannot be listened on ({error.strerror}):"
            " stop what uses it, or set another API_HOST or API_PORT"
        ) from error


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
