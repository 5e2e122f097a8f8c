"""Calls that there is no point in any more: withdrawn if not yet begun, else heard to the end."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from workflows.saga import to_the_end

T = TypeVar("T")
Arg = TypeVar("Arg")


async def call_unless(
    is_over: Callable[[], bool],
    activity: Callable[[Any, Arg], Awaitable[T]],
    arg: Arg,
    config: workflow.ActivityConfig,
    time_left: timedelta | None = None,
) -> T | None:
    """The activity's answer; `None` if it was withdrawn, since there was no point in it any more.

    After `time_left` there is no point in it either. One that is at work is heard to its end, also
    when the run is canceled meanwhile: nothing goes on behind the workflow's back.
    """
    config = config | {
        "cancellation_type": workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
    }
    call = workflow.start_activity_method(activity, arg, **config)
    try:
        with suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: call.done() or is_over(), timeout=time_left, timeout_summary="the hold ends"
            )
    except asyncio.CancelledError:
        await to_the_end(_withdrawn(call))
        raise
    return await (call if call.done() else _withdrawn(call))


def raise_if_canceled(error: ActivityError) -> None:
    """The run's own cancel is no trouble of those whom the activity asks."""
    if is_cancelled_exception(error):
        raise error


async def _withdrawn(call: workflow.ActivityHandle[T]) -> T | None:
    call.cancel()
    await workflow.wait([call])
    if call.cancelled() or isinstance(call.exception(), ActivityError):
        return None  # it never began, or its last try failed: nobody asks again
    return call.result()
