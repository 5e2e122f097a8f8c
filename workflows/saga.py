"""Undo, newest first. An undo is registered before its step, so that a half-done step is undone."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

T = TypeVar("T")


class Saga:
    """Steps that are put back when a later one fails or the run is canceled.

    A bug (any other exception) undoes nothing: Temporal runs the step again once it is fixed, and
    a bug must not give the money back.
    """

    def __init__(self) -> None:
        self._undos: list[tuple[str, Callable[[], Awaitable[object]]]] = []

    def undo_with(self, name: str, undo: Callable[[], Awaitable[object]]) -> None:
        """Register how the step that follows is put back."""
        self._undos.append((name, undo))

    async def unwind(self) -> None:
        """Put everything back, newest first, whatever else happens to the run meanwhile.

        Raises:
            ApplicationError: `NotCompensated` with the names of the steps that are stuck.
        """
        stuck = []
        while self._undos:
            name, undo = self._undos.pop()
            try:
                await to_the_end(undo())
            except FailureError:
                workflow.logger.exception("could not undo", extra={"step": name})
                stuck.append(name)
        if stuck:
            raise ApplicationError(
                "could not undo: put these back by hand", *stuck, type="NotCompensated"
            )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, FailureError | asyncio.CancelledError):
            await self.unwind()


async def to_the_end(step: Awaitable[T]) -> T:
    """Wait for `step` even if the run is canceled meanwhile; the cancellation is taken as known."""
    task = asyncio.ensure_future(step)
    while not task.done():
        try:
            await workflow.wait([task])
        except asyncio.CancelledError:
            continue
    return task.result()


async def unbroken(step: Awaitable[T]) -> T:
    """Wait for `step` even if the run is canceled meanwhile; then the cancellation goes on."""
    canceled: asyncio.CancelledError | None = None
    task = asyncio.ensure_future(step)
    while not task.done():
        try:
            await workflow.wait([task])
        except asyncio.CancelledError as error:
            canceled = error
    if canceled is not None and task.exception() is None:
        raise canceled
    return task.result()
