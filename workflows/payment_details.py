"""What a payment's run tells operators: live details in words, and its search attributes."""

from collections.abc import Sequence
from typing import Any, Final

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate

with workflow.unsafe.imports_passed_through():
    from paysaga.domain.payment import Attempt, Fulfillment, PaymentState, PaymentStatus
    from paysaga.domain.reasons import Reason
    from paysaga.domain.renewals import is_wanted

from workflows import addresses

# What happens next, for each state in which something does.
_NEXT: Final = {
    PaymentStatus.CREATED: "The order is about to be reserved and the intent opened.",
    PaymentStatus.PROCESSING: "An attempt is at the gateway.",
    PaymentStatus.REQUIRES_ACTION: (
        "The customer is to finish 3-D Secure. The run looks at the gateway as soon as a webhook"
        " or the customer's return nudges it, and when the time is over."
    ),
    PaymentStatus.AWAITING_RETRY: (
        "The customer may try again. If they do not, the payment is given up when the hold ends."
    ),
    PaymentStatus.AUTHORIZED: (
        "The money is held until the shop captures it, all or a part. If it does not, the shop is"
        " reminded a day before the end shown here, and then the hold is let go."
    ),
    PaymentStatus.NEEDS_OPERATOR: (
        "**A person must decide.** `payment-cli payments why` shows what was found and what may be"
        " done; `payment-cli payments repair` does it. The repair's run looks at the gateway with"
        " each nudge."
    ),
    PaymentStatus.SUCCEEDED: "Nothing: the money is there.",
    PaymentStatus.FAILED: "Nothing: all attempts are used up, and no money can move any more.",
    PaymentStatus.EXPIRED: "Nothing: the hold is over, and no money can move any more.",
    PaymentStatus.CANCELED: "Nothing: it is canceled, and no money can move any more.",
}
_NEXT_BY_REASON: Final = {
    Reason.GATEWAY_UNREACHABLE: (
        "**The gateway does not answer.** It is asked again, at most four minutes apart (an hour"
        " after a week). Nothing is charged twice: the intent stays the same, and whether an"
        " earlier call had its effect is looked at first."
    ),
    Reason.CHECKOUT_OPEN: (
        "The customer is to pay on the gateway's page. Declines there are no attempts. The run"
        " looks as soon as a webhook or the customer's return nudges it; when the time is over it"
        " closes the page, and believes that only when the gateway shows it."
    ),
    Reason.CHECKOUT_EXPIRED: (
        "Nobody paid on the page, which is closed. The customer may try again on a new one."
    ),
    Reason.ORDER_UNREACHABLE: (
        "**The order service does not answer.** It is asked again, at most a minute apart: see"
        " the pending activity for its last error."
    ),
    Reason.GATEWAY_PROCESSING: "The gateway has the money's outcome in its hands; it is looked at.",
    Reason.CAPTURE_REQUESTED: "What is held is being captured.",
    Reason.HOLD_RENEWING: (
        "The hold ends too soon: a new one is asked for, and takes its place if the bank agrees."
        " Whichever does not count is canceled then."
    ),
    Reason.HOLD_NOT_RENEWED: (
        "The bank gave no new hold. The shop may capture for a day; then the old one is let go."
    ),
    Reason.REFUND_PENDING: "The gateway is paying the customer back; it is looked at.",
    Reason.REFUND_FAILED: (
        "**The refund failed.** `payment-cli payments why` shows why. Refund again"
        " (`payment-cli payments repair`), or pay back by other means and abandon this one."
    ),
}
# A hold that ends before the shop wants it to.
_NEXT_RENEWED: Final = (
    "The money is held until the shop captures it, all or a part. A day before this hold ends"
    " another one takes its place, for as long as the shop wants; if the bank gives none, the shop"
    " is told, and this one is let go at its end."
)
_NEXT_BY_FULFILLMENT: Final = {
    Fulfillment.PENDING: "The order service is told that the order is paid.",
    Fulfillment.REFUSED: "The shop refused the order: the money goes back.",
}


def details(state: PaymentState, attempt: Attempt | None, asked_for: str | None = None) -> str:
    """The run's current details, in Markdown."""
    lines = [
        f"### {state.status}: {state.reason.replace('_', ' ')}",
        "",
        f"**Next:** {next_step(state)}",
        "",
        f"- order `{state.order_id}`, {state.money}, customer `{state.customer_id}`",
        f"- attempts {state.attempts_used} of {state.attempts_allowed}",
        f"- hold until {state.retry_until:%Y-%m-%d %H:%M:%S} UTC",
    ]
    if asked_for is not None and not state.is_over:
        lines.append(f"- asked for, and not done yet: {asked_for}")
    if attempt is not None:
        told = f", {attempt.decline_code}" if attempt.decline_code else ""
        lines.append(f"- attempt {attempt.number}: {attempt.status}{told}")
    if state.session_id:
        lines.append(f"- page: `{state.session_id}`")
    if state.intent_id:
        charge = f", charge `{state.charge_id}`" if state.charge_id else ""
        lines.append(f"- gateway: `{state.intent_id}`{charge}")
    if state.action_until:
        what = "page" if state.is_hosted else "3-D Secure"
        lines.append(f"- {what} until {state.action_until:%Y-%m-%d %H:%M:%S} UTC")
    if state.capture_until:
        lines.append(
            f"- {state.amount_authorized} (minor units) held until"
            f" {state.capture_until:%Y-%m-%d %H:%M:%S} UTC"
        )
    if state.other_intent_open:
        lines.append(f"- may hold money, too, until it is canceled: `{state.other_intent_id}`")
    if state.amount_captured:
        lines.append(
            f"- captured {state.amount_captured}, refunded {state.amount_refunded}, to be"
            f" refunded {state.amount_refund_pending} (minor units)"
        )
    return "\n".join(lines)


def search_attributes(state: PaymentState) -> Sequence[SearchAttributeUpdate[Any]]:
    """What has changed since the start; the order, customer and amount do not."""
    waits_until = {
        PaymentStatus.REQUIRES_ACTION: state.action_until,
        PaymentStatus.AWAITING_RETRY: state.retry_until,
        PaymentStatus.AUTHORIZED: state.capture_until,
    }.get(state.status)
    return [
        addresses.PAYMENT_STATUS.value_set(state.status),
        addresses.REASON.value_set(state.reason),
        addresses.GATEWAY_ID.value_set(found_at)
        if (found_at := state.intent_id or state.session_id)
        else addresses.GATEWAY_ID.value_unset(),
        addresses.NEXT_ACTION_AT.value_set(waits_until)
        if waits_until
        else addresses.NEXT_ACTION_AT.value_unset(),
    ]


def found_by(state: PaymentState) -> Sequence[SearchAttributeUpdate[Any]]:
    """What does not change of a payment: a run that was not started with it is found by it, too."""
    return [
        addresses.ORDER_ID.value_set(state.order_id),
        addresses.CUSTOMER_ID.value_set(state.customer_id),
        addresses.CURRENCY.value_set(str(state.money.currency)),
        addresses.AMOUNT.value_set(state.money.minor),
    ]


def repair_summary(state: PaymentState) -> str:
    """The line that names a repair in the UI's lists."""
    return f"{state.order_id} · {state.money}: {state.reason.replace('_', ' ')}"


def next_step(state: PaymentState) -> str:
    """What happens next, in words."""
    if state.reason in _NEXT_BY_REASON:
        return _NEXT_BY_REASON[state.reason]
    if state.amount_refunded:
        return "Nothing: the customer has the money back."
    if state.amount_refund_pending:
        return "The money goes back to the customer."
    if state.status is PaymentStatus.SUCCEEDED and state.fulfillment in _NEXT_BY_FULFILLMENT:
        return _NEXT_BY_FULFILLMENT[state.fulfillment]
    return _NEXT_RENEWED if is_wanted(state) else _NEXT[state.status]
