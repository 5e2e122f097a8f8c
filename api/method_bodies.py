"""What callers send of payment methods: every field limited, nothing unknown taken."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints

from api.bodies import Cursor
from paysaga.domain.saved_method import SavedMethodStatus
from paysaga.starting.orders import Body, CustomerId, WebAddress

METHOD_ID_PATTERN: Final = r"^mtd_[a-z2-7]{26}$"

Token = Annotated[
    str,
    StringConstraints(pattern=r"^pm_[A-Za-z0-9_]{1,100}$"),
    Field(description="A token of the gateway; never a number", examples=["pm_card_visa"]),
]


class SaveOrder(Body):
    """Save this means of payment for later payments."""

    payment_method_id: Token
    customer_id: CustomerId | None = None
    return_url: WebAddress
    make_default: StrictBool = False


class MethodChange(Body):
    """Make it the customer's default, instead of any other."""

    is_default: Literal[True]


class MethodFilter(BaseModel):
    """Which methods a page holds. A misspelt name is refused: it would find everybody's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: SavedMethodStatus = SavedMethodStatus.ACTIVE
    customer_id: CustomerId | None = None
    after: Cursor | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
