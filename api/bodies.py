"""What callers send: every field limited, nothing unknown taken."""

from typing import Annotated, Final

from fastapi import Header
from pydantic import BaseModel, ConfigDict, Field, StrictInt, StringConstraints

from paysaga.domain.payment import PaymentStatus
from paysaga.domain.refund_policy import Asker
from paysaga.starting.orders import Body, CustomerId, MethodId, OrderId

PAYMENT_ID_PATTERN: Final = r"^pay_[a-z2-7]{26}$"

IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="New for each new request; the same for its repeats",
    ),
]
Cursor = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_=-]{1,200}$"),
    Field(description="`next_after` of the page before"),
]


class PaymentFilter(BaseModel):
    """Which payments a page holds. A misspelt name is refused: it would find everybody's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: PaymentStatus | None = None
    order_id: OrderId | None = None
    customer_id: CustomerId | None = None
    after: Cursor | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


class StatusQuestion(BaseModel):
    """Whether to wait for news, and after which version something is news."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wait: Annotated[int, Field(ge=0, le=30, description="seconds")] = 0
    version: Annotated[int, Field(ge=0)] | None = None


class QuoteQuestion(BaseModel):
    """For whom a refund would be asked. A storefront shows its customers what is theirs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    asked_by: Annotated[
        Asker | None, Field(description="`customer` or `shop`; whoever asks, if it is left out")
    ] = None


class CaptureBody(Body):
    """Capture all that is held, or so much of it; the rest is let go."""

    amount: Annotated[StrictInt, Field(ge=1, le=999_999_999_999, examples=[1000])] | None = None


class RetryOrder(Body):
    """Try again, with the method of the last attempt if none is given."""

    payment_method_id: MethodId | None = None
