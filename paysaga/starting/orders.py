"""What it takes to start a payment: every field limited, nothing unknown taken."""

import json
from datetime import datetime
from typing import Annotated, ClassVar, Final

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from paysaga.domain import ids
from paysaga.domain.ids import CUSTOMER_ID_PATTERN
from paysaga.domain.intent import CaptureMethod
from paysaga.domain.money import Currency
from paysaga.domain.service_date import ServiceDate

ORDER_ID_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$"

_LONGEST_LINK: Final = 2048
_LONGEST_DESCRIPTION: Final = 500
_MOST_METADATA: Final = 50
# No control character: none belongs in a text, and PostgreSQL refuses one of them.
_PLAIN: Final = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"


def _web_address(text: str) -> str:
    """Read it as a browser would, and keep it in that spelling."""
    try:
        url = _URL.validate_python(text)
    except ValidationError:
        raise ValueError("an http(s) address is needed") from None
    if url.username is not None or url.password is not None:
        raise ValueError("an address with credentials is not taken")
    if len(str(url)) > _LONGEST_LINK:
        raise ValueError(f"the address is longer than {_LONGEST_LINK} characters")
    return str(url)


_URL: Final = TypeAdapter(AnyHttpUrl)

OrderId = Annotated[str, StringConstraints(pattern=ORDER_ID_PATTERN), Field(examples=["order-17"])]
CustomerId = Annotated[
    str, StringConstraints(pattern=CUSTOMER_ID_PATTERN), Field(examples=["cst_1042"])
]
MethodId = Annotated[
    str,
    StringConstraints(pattern=r"^(pm_[A-Za-z0-9_]{1,100}|mtd_[a-z2-7]{26})$"),
    Field(
        description="A method that the customer has saved, or a token of the gateway;"
        " never a number",
        examples=["pm_card_visa"],
    ),
]
WebAddress = Annotated[
    str,
    StringConstraints(max_length=_LONGEST_LINK, pattern=_PLAIN),
    AfterValidator(_web_address),
    Field(examples=["https://shop.example/thanks"], json_schema_extra={"format": "uri"}),
]
EmailAddress = Annotated[
    str,
    StringConstraints(max_length=320, pattern=r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+$"),
    Field(description="The page has it filled in", examples=["ada@example.com"]),
]
Description = Annotated[str, StringConstraints(max_length=_LONGEST_DESCRIPTION, pattern=_PLAIN)]
Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(min_length=1, max_length=40, pattern=_PLAIN)],
        Annotated[str, StringConstraints(max_length=500, pattern=_PLAIN)],
    ],
    Field(max_length=_MOST_METADATA),
]


class Body(BaseModel):
    """A request's body."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def fingerprint(self, *about: str) -> str:
        """The same for the same request, whatever its spelling; defaults do not count."""
        told = self.model_dump(mode="json", exclude_defaults=True)
        return ids.fingerprint(*about, json.dumps(told, sort_keys=True, separators=(",", ":")))


class Order(Body):
    """What is to be paid, by whom. Amounts are whole minor units: 1250 is 12.50 EUR or 1250 JPY."""

    order_id: OrderId
    amount: Annotated[StrictInt, Field(ge=1, le=999_999_999_999, examples=[1250])] | None = None
    currency: Currency | None = None
    customer_id: CustomerId | None = None
    capture_method: CaptureMethod = CaptureMethod.AUTOMATIC
    service_date: ServiceDate | None = None
    description: Description | None = None
    metadata: Metadata = Field(default_factory=dict)


class PaymentOrder(Order):
    """Pay this order with this payment method. Amounts are whole minor units."""

    # What its fingerprint begins with: the same key for another route is another request.
    step: ClassVar[str] = "start"

    payment_method_id: MethodId
    return_url: WebAddress
    renew_hold_until: (
        Annotated[
            AwareDatetime,
            Field(
                description="With manual capture and a saved payment method: a hold that would end"
                " before is replaced by a new one, for 90 days at most",
                examples=["2027-02-01T00:00:00Z"],
            ),
        ]
        | None
    ) = None

    @property
    def addresses(self) -> dict[str, str]:
        """Where the customer's browser may be sent, by field."""
        return {"return_url": self.return_url}

    @field_validator("renew_hold_until")
    @classmethod
    def _is_of_a_hold(cls, until: datetime | None, info: ValidationInfo) -> datetime | None:
        if until is not None and info.data.get("capture_method") is not CaptureMethod.MANUAL:
            raise ValueError("Only a hold is renewed: this needs capture_method manual.")
        return until


class CheckoutOrder(Order):
    """Pay this order on the gateway's page. Amounts are whole minor units."""

    step: ClassVar[str] = "start-checkout"

    customer_email: EmailAddress | None = None
    success_url: WebAddress
    cancel_url: WebAddress

    @property
    def addresses(self) -> dict[str, str]:
        """Where the customer's browser may be sent, by field."""
        return {"success_url": self.success_url, "cancel_url": self.cancel_url}

    @property
    def return_url(self) -> str:
        """Where they are sent when they have paid."""
        return self.success_url
