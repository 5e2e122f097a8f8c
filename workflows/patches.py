"""Every `workflow.patched()` flag as a named function, with the day on which it may go.

A change to the order of a workflow's commands must not break the runs that are under way: ask the
flag here, keep the old way for runs that began before it, and record a new history for the replay
tests. There is no flag yet: version 0.1.0 is the first.
"""
