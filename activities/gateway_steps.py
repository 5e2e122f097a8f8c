"""What the steps at the gateway have in common: their keys, their customer, and their search."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import count
from typing import Any, Final, TypeVar

import stripe

from activities.errors import about_the_customer, as_failure, not_searched_through
from activities.stripe_orders import Buyer

T = TypeVar("T")

# How far our clock and the gateway's may be apart: a search begins so much earlier.
CLOCKS_DIFFER: Final = timedelta(minutes=5)
# So many pages of a whole account's objects one activity reads well within its time.
_PAGES_AT_ONCE: Final = 10


def key_of(owner: str, step: str, generation: int) -> str:
    """The idempotency key of a step of ours: the same for each try of one generation."""
    return f"{owner}:{step}:{generation}" if generation else f"{owner}:{step}"


async def answer(call: Awaitable[T]) -> T:
    """The gateway's answer; its errors in our words."""
    try:
        return await call
    except stripe.StripeError as error:
        raise as_failure(error) from None


def code_of(error: stripe.StripeError) -> str | None:
    """The gateway's code of the error."""
    return error.error.code if error.error else error.code


def is_missing(error: stripe.StripeError, param: str) -> bool:
    """Whether the gateway does not know what this parameter names."""
    return code_of(error) == "resource_missing" and getattr(error.error, "param", None) == param


async def make_customer(customers: Any, buyer: Buyer) -> str:
    """The gateway's id of a customer whom it does not know, or does not know any more."""
    gone = buyer.gateway_customer_id
    key = key_of(
        f"{buyer.environment}:{buyer.customer_id}",
        f"customer:after:{gone}" if gone else "customer",
        buyer.customer_generation,
    )
    marks = {"customer_id": buyer.customer_id, "environment": buyer.environment}
    try:
        customer = await customers.create_async({"metadata": marks}, {"idempotency_key": key})
    except stripe.StripeError as error:
        raise about_the_customer(as_failure(error)) from None
    return str(customer.id)


async def searched(
    listed: Callable[[Any], Awaitable[stripe.ListObject[Any]]],
    wanted: dict[str, Any],
    is_it: Callable[[Any], bool],
    *,
    customer: str | None,
    searched_to: str | None,
) -> Any | None:
    """The newest object of this list that is the one; a list shows every write at once.

    Without a customer it may be any of the account's, up to now: a call is repeated for as long as
    the gateway is away, so nothing bounds when it had its effect. Many are read some pages at a
    time: the error says how far.
    """
    page_of = {"limit": 100, **wanted}
    if customer:
        page_of["customer"] = customer
    elif searched_to:
        page_of["starting_after"] = searched_to
    for number in count(1):
        page = await answer(listed(page_of))
        for each in page.data:
            if is_it(each):
                return each
        if not page.has_more:
            break
        page_of["starting_after"] = page.data[-1].id
        if number == _PAGES_AT_ONCE and not customer:
            raise not_searched_through(page.data[-1].id)
    return None
