"""`python -m tests.fault_matrix.mortal_worker`: the product's worker, which falls once.

`MORTAL_AT` says where (`activity/point`), and the file `MORTAL_LIFE` is the life that it loses.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import temporalio.activity
import temporalio.client
import temporalio.worker
import uvloop
from temporalio.client import Client
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from paysaga.logs import configure_logs
from paysaga.settings import load_settings
from paysaga.temporal import connect
from worker.main import running_workers

BEFORE: Final = "before the call"
AFTER_EFFECT: Final = "after the effect"
AFTER_REPORT: Final = "after the report"
STOPPED: Final = "stopped after the effect, resumed too late"
POINTS: Final = (BEFORE, AFTER_EFFECT, AFTER_REPORT, STOPPED)
# A call may take 30 s: its activity has timed out meanwhile.
_STOPPED_SECONDS: Final = 32.0
# In this time the server has heard of the activity's end, and the run goes on.
_REPORTED_SECONDS: Final = 0.3


class Mortal(temporalio.client.Interceptor, temporalio.worker.Interceptor):
    """Stands around every activity; the client hands it on to the workers."""

    def intercept_activity(
        self,
        next: ActivityInboundInterceptor,  # noqa: A002 - the SDK's name
    ) -> ActivityInboundInterceptor:
        return _Boundary(next)


class _Boundary(ActivityInboundInterceptor):
    async def execute_activity(
        self,
        input: ExecuteActivityInput,  # noqa: A002 - the SDK's name
    ) -> Any:
        name = temporalio.activity.info().activity_type
        _die(name, BEFORE, _kill)
        answer = await super().execute_activity(input)
        _die(name, AFTER_EFFECT, _kill)
        _die(name, STOPPED, _stop)
        loop = asyncio.get_running_loop()
        _die(name, AFTER_REPORT, lambda: loop.call_later(_REPORTED_SECONDS, _kill))
        return answer


def _die(name: str, point: str, kill: Callable[[], object]) -> None:
    if os.environ["MORTAL_AT"] == f"{name}/{point}":
        with suppress(FileNotFoundError):
            Path(os.environ["MORTAL_LIFE"]).unlink()
            kill()


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop() -> None:
    """SIGSTOP; a child, which is not stopped, goes on counting."""
    resume = f"sleep {_STOPPED_SECONDS}; kill -CONT {os.getpid()}"
    subprocess.Popen(["/bin/sh", "-c", resume])
    os.kill(os.getpid(), signal.SIGSTOP)


async def _serve() -> None:
    settings = load_settings()
    ordinary = await connect(settings)
    client = Client(
        ordinary.service_client,
        namespace=ordinary.namespace,
        data_converter=ordinary.data_converter,
        interceptors=[Mortal()],
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running_workers(client, settings):
        await stop.wait()


if __name__ == "__main__":
    configure_logs("WARNING", "worker")
    uvloop.run(_serve())
