"""Workers of workflows within the tests' own process."""

from typing import Any

from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker


def workflow_worker(client: Client, **more: Any) -> Worker:
    """Temporal's worker, outside the sandbox: that is what the tests with real processes have.

    A machine that stands still for two seconds is not taken for a deadlock: the SDK would throw
    into whatever runs there, which may be anybody's code.
    """
    return Worker(client, workflow_runner=UnsandboxedWorkflowRunner(), debug_mode=True, **more)
