"""Billable Temporal actions, counted from a run's history.

What counts: Temporal's pricing page, "Actions" - workflow start, update, signal, timer, search
attribute upsert, each activity and each batch of local activities within one workflow task.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

_ONE_EACH: Final = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED: "start",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED: "update",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: "signal",
    EventType.EVENT_TYPE_TIMER_STARTED: "timer",
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: "search attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: "activity",
}


def billable_actions(events: Iterable[HistoryEvent]) -> Counter[str]:
    """How many actions of each kind the history shows.

    Retries of activities, which are billed too, do not stand in a history; a run without faults
    has none.
    """
    counted: Counter[str] = Counter()
    batches = set()
    for event in events:
        if kind := _ONE_EACH.get(event.event_type):
            counted[kind] += 1
        elif event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED:
            marker = event.marker_recorded_event_attributes
            if marker.marker_name == "core_local_activity":
                batches.add(marker.workflow_task_completed_event_id)
    counted["local activities"] = len(batches)
    return counted
