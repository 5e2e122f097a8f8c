"""`python -m worker`: run workflows and activities until told to stop."""

import sys

import uvloop

from paysaga.logs import configure_logs
from paysaga.settings import WrongSettings, load_settings
from paysaga.temporal import exit_cleanly
from worker.main import serve


def main() -> int:
    """Exit code 0 after a drained stop, 2 when the settings cannot be used."""
    exit_cleanly()
    try:
        settings = load_settings()
    except WrongSettings as wrong:
        sys.stderr.write(f"{wrong}\n")
        return 2
    configure_logs(settings.log_level, "worker")
    uvloop.run(serve(settings))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
