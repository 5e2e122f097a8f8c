"""What a scripted fault does to a call before it has any effect."""

from dataclasses import replace

from paysaga.simulator import idempotency
from paysaga.simulator.connection import HungUp, Receive, until_gone
from paysaga.simulator.errors import ApiError, broken
from paysaga.simulator.faults import Fault


async def strike(fault: Fault, key: str, receive: Receive) -> None:
    """Refuse the call or close its connection; faults that let the effect happen do nothing here.

    Raises:
        HungUp: The connection is to be closed.
        ApiError: The refusal.
    """
    if fault.kind == "hang":
        await until_gone(receive, fault.seconds)
        raise HungUp
    if fault.kind == "refuse_before":
        if fault.status is None:
            raise HungUp
        raise replace(broken(), status=fault.status)
    if fault.kind == "rate_limit":
        raise rate_limited(fault.retry_after)
    if fault.kind == "key_in_use":
        raise idempotency.in_use(key)
    if fault.kind == "parameter_mismatch":
        raise idempotency.other_parameters(key)


def rate_limited(retry_after: int) -> ApiError:
    """The refusal of a call too many."""
    return ApiError(
        429,
        "invalid_request_error",
        "Request rate limit exceeded. Learn more about rate limits here"
        " https://stripe.com/docs/rate-limits.",
        code="rate_limit",
        headers={
            "retry-after": str(retry_after),
            "stripe-rate-limited-reason": "global-rate",
        },
        stored=False,
    )
