"""What the runs of a saved method tell operators: live details in words."""

from typing import Final

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from paysaga.domain.saved_method import SavedMethod, SavedMethodStatus, SaveReason

_NEXT: Final = {
    SavedMethodStatus.PROCESSING: "The gateway is asked to save it.",
    SavedMethodStatus.REQUIRES_ACTION: (
        "The customer is to finish 3-D Secure. The run looks at the gateway as soon as a webhook"
        " or the customer's return nudges it; when the time is over it cancels the SetupIntent."
    ),
    SavedMethodStatus.ACTIVE: "Nothing: the customer can pay with it.",
    SavedMethodStatus.FAILED: "Nothing: it was not saved. The next try is a method of its own.",
    SavedMethodStatus.REMOVED: "Nothing: the customer does not have it any more.",
}
_NEXT_BY_REASON: Final = {
    SaveReason.GATEWAY_UNREACHABLE: (
        "**The gateway does not answer.** It is asked again, at most four minutes apart (an hour"
        " after a week). It is saved once: what an earlier call has done is looked at first."
    ),
    SaveReason.GATEWAY_PROCESSING: "The gateway has the outcome in its hands; it is looked at.",
    SaveReason.REMOVAL_REQUESTED: (
        "It is detached at the gateway, which is asked until it answers. Nobody can pay with it"
        " meanwhile."
    ),
}


def details(method: SavedMethod) -> str:
    """The run's current details, in Markdown."""
    lines = [
        f"### {method.status}: {method.reason.replace('_', ' ')}",
        "",
        f"**Next:** {_NEXT_BY_REASON.get(method.reason, _NEXT[method.status])}",
        "",
        f"- method `{method.id}`, customer `{method.customer_id}`",
    ]
    if method.setup_intent_id:
        lines.append(
            f"- gateway: `{method.setup_intent_id}`, `{method.gateway_method_id}`,"
            f" customer `{method.gateway_customer_id}`"
        )
    if method.decline:
        lines.append(f"- declined: {method.decline.code}")
    if method.action_until:
        lines.append(f"- 3-D Secure until {method.action_until:%Y-%m-%d %H:%M:%S} UTC")
    return "\n".join(lines)
