"""Run a program that dies with the supervisor, however the supervisor dies.

`python tether.py SUPERVISOR_PID COMMAND...`, with the standard library only, since it starts first.
On Linux the kernel watches; elsewhere this process does.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from typing import Final

PR_SET_PDEATHSIG: Final = 1
LOOK_SECONDS: Final = 0.5


def main(supervisor: int, command: list[str]) -> int:
    """Become the command, or stay beside it as its guard."""
    if os.uname().sysname == "Linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != supervisor:  # it died before the kernel knew
            return 1
        os.execv(command[0], command)  # noqa: S606 - the supervisor's own command
    return _guard(supervisor, command)


def _guard(supervisor: int, command: list[str]) -> int:
    child = subprocess.Popen(command)  # noqa: S603 - the supervisor's own command
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    while child.poll() is None:
        if os.getppid() != supervisor:
            os.killpg(0, signal.SIGKILL)
        time.sleep(LOOK_SECONDS)
    return child.returncode


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]), sys.argv[2:]))
