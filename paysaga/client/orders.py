"""What is asked of the API. What is left out is the API's own default."""

from datetime import date

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictInt

from paysaga.client.words import CaptureMethod


class Body(BaseModel):
    """A request's body. A field that the API does not have is refused here already."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def sent(self) -> bytes:
        """The body as it goes over the wire: the same bytes for each repeat."""
        return self.model_dump_json(exclude_none=True).encode()


class _Order(Body):
    order_id: str
    amount: StrictInt | None = None
    currency: str | None = None
    customer_id: str | None = None
    capture_method: CaptureMethod = CaptureMethod.AUTOMATIC
    service_date: date | None = None
    description: str | None = None
    metadata: dict[str, str] = Field(default_factory=dict)


class PaymentOrder(_Order):
    """Pay this order with this payment method.

    The amount is in whole minor units: 1250 is 12.50 EUR or 1250 JPY. With an order service it may
    be left out: the price is the order's own.
    """

    payment_method_id: str
    return_url: str
    renew_hold_until: AwareDatetime | None = None


class CheckoutOrder(_Order):
    """Pay this order on the gateway's page. The amount is in whole minor units."""

    success_url: str
    cancel_url: str
    customer_email: str | None = Field(default=None, repr=False)


class SaveOrder(Body):
    """Save this means of payment, a token of the gateway, for later payments."""

    payment_method_id: str
    return_url: str
    customer_id: str | None = None
    make_default: bool = False


class RetryOrder(Body):
    """Try again, with the method of the last attempt if none is given."""

    payment_method_id: str | None = None


class CaptureOrder(Body):
    """Capture all that is held, or so much of it, in whole minor units."""

    amount: StrictInt | None = None


class MethodChange(Body):
    """Make it the customer's default."""

    is_default: bool = True


class CustomerChange(Body):
    """What is to be different of how a customer is written to.

    What is left out stays; `None` is forgotten. `mails` says which kinds are wanted.
    """

    email: str | None = Field(default=None, repr=False)
    language: str | None = None
    mails: dict[str, bool] = Field(default_factory=dict)

    def sent(self) -> bytes:
        """Only what was said, since `null` says something, too."""
        return self.model_dump_json(exclude_unset=True).encode()
