"""Runs the demo's processes in stages and ends them in the opposite order."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from paysaga.demo.child import Child
from paysaga.demo.programs import Program


class Supervisor:
    """All processes of the demo. Leaving the context ends every one that was started."""

    def __init__(self, state: Path, say: Callable[[str], None]) -> None:
        self._logs = state / "logs"
        self._processes = state / "processes.json"
        self._say = say
        self._stages: list[list[Child]] = []
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        for watch in self._watches.values():
            watch.cancel()
        await asyncio.gather(*self._watches.values(), return_exceptions=True)
        # The worker drains while Temporal and the gateway are still there.
        for stage in reversed(self._stages):
            await asyncio.gather(*(child.stop() for child in stage))
        self._processes.unlink(missing_ok=True)

    async def start(self, *programs: Program, first: Program | None = None) -> None:
        """Start these together and wait until all work; `first` runs beside them and ends.

        Raises:
            Trouble: One did not come up.
        """
        stage = [self._child(program) for program in programs]
        self._stages.append(stage)
        steps = [child.start() for child in stage]
        if first is not None:
            beside = self._child(first)
            self._stages.append([beside])
            steps.append(beside.finish())
        try:
            async with asyncio.TaskGroup() as starting:
                for step in steps:
                    starting.create_task(step)
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        for child in stage:
            self._watch(child)

    async def retire(self, program: Program) -> None:
        """End one process for good, while the others go on."""
        if watch := self._watches.pop(program.name, None):
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        retired = [child for stage in self._stages for child in stage if child.name == program.name]
        await asyncio.gather(*(child.stop() for child in retired))
        self._write_down()

    def works(self, name: str) -> bool:
        """Whether the process of that name is up, and has come to work."""
        return any(child.works for stage in self._stages for child in stage if child.name == name)

    async def until_broken(self) -> None:
        """Wait for ever, unless a process cannot be kept alive.

        Raises:
            Trouble: That process, and the end of its log.
        """
        await asyncio.shield(self._broken)

    def _child(self, program: Program) -> Child:
        return Child(program, self._logs, self._say, self._write_down)

    def _write_down(self) -> None:
        """Leave the process ids where a person finds them."""
        pids = {child.name: child.pid for stage in self._stages for child in stage if child.pid}
        self._processes.write_text(json.dumps(pids, indent=2) + "\n")

    def _watch(self, child: Child) -> None:
        watch = asyncio.create_task(child.keep_alive(), name=f"watch {child.name}")
        watch.add_done_callback(self._watch_ended)
        self._watches[child.name] = watch

    def _watch_ended(self, watch: asyncio.Task[None]) -> None:
        if watch.cancelled() or self._broken.done():
            return
        if error := watch.exception():
            self._broken.set_exception(error)
