"""Telling a run that something has happened at the gateway: a payment's, or a saved method's.

Runs are known by name here: the workflows stand above this module.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from paysaga.domain.payment import PaymentState

# A signal is kept by the server at once; longer than this it is not there.
_TIMEOUT: Final = timedelta(seconds=2)
# The SDK bounds one call, not its own repeats.
_PATIENCE: Final = timedelta(seconds=3)
_SIGNAL: Final = "nudged"


class NotTold(Exception):
    """Temporal did not answer: nobody knows whether the run was told."""


class _RunGone(Exception):
    """There is no such run, or it is over."""


class Nudging:
    """Sends the nudges. One too many does no harm: who is told only looks."""

    def __init__(
        self,
        client: Client,
        task_queue: str,
        repair_id: Callable[[str], str],
        look_id: Callable[[str], str],
    ) -> None:
        self._client = client
        self._task_queue = task_queue
        self._repair_id = repair_id
        self._look_id = look_id

    async def run(self, run_id: str) -> bool:
        """Tell the run of a payment or of a saved method; whether it was there to be told."""
        run = self._client.get_workflow_handle(run_id)
        try:
            async with _answered():
                await run.signal(_SIGNAL, rpc_timeout=_TIMEOUT)
        except _RunGone:
            return False
        return True

    async def repair(self, state: PaymentState) -> str:
        """Open the payment's repair, or tell the one that is open; its id."""
        about = f"{state.order_id} · {state.money}: news from the gateway"
        run_id = self._repair_id(state.id)
        await self._open("RepairWorkflow", {"payment_id": state.id}, run_id, about)
        return run_id

    async def look(self, method_id: str, setup_id: str | None = None) -> str:
        """Have the saved method looked at: by a run of its own, or by the one that looks now.

        One that is still being saved is looked at through its SetupIntent.
        """
        given = {"method_id": method_id, "setup_id": setup_id}
        run_id = self._look_id(method_id)
        about = f"{method_id}: news from the gateway"
        await self._open("LookAtMethodWorkflow", given, run_id, about)
        return run_id

    async def sink(self, sink_id: str, name: str) -> None:
        """Tell the run of a sink, or open it if there is none. `name` is for people."""
        given = {"sink_id": sink_id, "name": name}
        await self._open("SinkWorkflow", given, sink_id, f"events to {name}")

    async def _open(
        self, workflow: str, given: Mapping[str, str | None], run_id: str, about: str
    ) -> None:
        """Tell the run of this id; if there is none, one begins with that."""
        async with _answered():
            await self._client.start_workflow(
                workflow,
                given,
                id=run_id,
                task_queue=self._task_queue,
                start_signal=_SIGNAL,
                static_summary=about,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                rpc_timeout=_TIMEOUT,
            )


@asynccontextmanager
async def _answered() -> AsyncIterator[None]:
    """Temporal's errors in our words."""
    try:
        async with asyncio.timeout(_PATIENCE.total_seconds()):
            yield
    except TimeoutError as error:
        raise NotTold("Temporal did not answer") from error
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise _RunGone from error
        raise NotTold(f"Temporal did not answer: {error.status.name}") from error
    except RuntimeError as error:
        # A client that connects at its first call fails with this while the server is away.
        if "client connect" not in str(error):
            raise
        raise NotTold("Temporal did not answer") from error
