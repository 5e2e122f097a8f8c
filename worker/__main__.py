"""`python -m worker`: run workflows and activities until told to stop."""

import sys
from collections.abc import Sequence
from typing import Final

import uvloop

from paysaga.logs import configure_logs
from paysaga.settings import WrongSettings, load_settings
from paysaga.temporal import exit_cleanly, telemetry
from worker.main import serve

_USAGE: Final = (
    "usage: python -m worker, without arguments; see docs/configuration.md for its variables\n"
)


def main(arguments: Sequence[str] = ()) -> int:
    """Exit code 0 after a drained stop, 2 when the settings cannot be used."""
    if arguments:
        sys.stderr.write(_USAGE)
        return 2
    exit_cleanly()
    try:
        settings = load_settings()
        runtime = telemetry(settings)
    except WrongSettings as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 2
    configure_logs(settings.log_level, "worker")
    uvloop.run(serve(settings, runtime))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
