"""The worker under test: the product's own, and beside it, in the same process, the bare one."""

import asyncio
import signal

import uvloop
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from benchmarks.bare import QUEUE, BareWorkflow, nothing
from paysaga.logs import configure_logs
from paysaga.settings import load_settings
from paysaga.temporal import connect, exit_cleanly
from worker.main import running_workers


async def _serve() -> None:
    settings = load_settings()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    client = await connect(settings)
    bare = Worker(
        client,
        task_queue=QUEUE,
        workflows=[BareWorkflow],
        activities=[nothing],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    async with running_workers(client, settings), bare:
        await stop.wait()


if __name__ == "__main__":
    exit_cleanly()
    configure_logs("WARNING", "bench-worker")
    uvloop.run(_serve())
