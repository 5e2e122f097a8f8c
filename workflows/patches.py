"""Every `workflow.patched()` flag as a named function, with the day on which it may go.

A change to the order of a workflow's commands must not break the runs that are under way: ask the
flag here, keep the old way for runs that began before it, and record a new history for the replay
tests.
"""

from temporalio import workflow


def sweep_wakes_sinks() -> bool:
    """A sweep ends with a look at the sinks. May go a day after 0.1.0: sweeps are short."""
    return workflow.patched("sweep-wakes-sinks")
