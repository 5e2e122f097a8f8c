"""What the Checkout Session operations take."""

from typing import Annotated, Literal

from pydantic import Field

from paysaga.simulator.forms import Blankable, Expandable, Integer, Metadata, Params, Text
from paysaga.simulator.intent_params import CaptureMethod
from paysaga.simulator.lists import DatedListParams
from paysaga.simulator.prices import NewPrice
from paysaga.simulator.shapes import Shipping


class LineItem(Params):
    """One line: a price that is there, or one described on the spot, and how often."""

    price: Text | None = None
    price_data: NewPrice | None = None
    quantity: Annotated[Integer, Field(ge=0, le=999_999)]
    metadata: Metadata = Field(default_factory=dict)


class IntentData(Params):
    """What the session's PaymentIntent is to carry."""

    capture_method: CaptureMethod | None = None
    description: Text | None = None
    metadata: Metadata = Field(default_factory=dict)
    receipt_email: Text | None = None
    setup_future_usage: Literal["off_session", "on_session"] | None = None
    shipping: Shipping | None = None
    statement_descriptor: Text | None = None
    statement_descriptor_suffix: Text | None = None
    transfer_group: Text | None = None


class CreateSession(Expandable):
    """Parameters of create."""

    mode: Literal["payment"]
    line_items: Annotated[list[LineItem], Field(min_length=1, max_length=100)]
    success_url: Text
    allowed_payment_method_types: list[str] | None = None
    billing_address_collection: Literal["auto", "required"] | None = None
    cancel_url: Text | None = None
    client_reference_id: Annotated[str, Field(max_length=200)] | None = None
    currency: Text | None = None
    customer: Text | None = None
    customer_creation: Literal["always", "if_required"] | None = None
    customer_email: Annotated[str, Field(max_length=800)] | None = None
    excluded_payment_method_types: list[str] | None = None
    expires_at: Integer | None = None
    locale: Text | None = None
    metadata: Metadata = Field(default_factory=dict)
    payment_intent_data: IntentData = IntentData()
    payment_method_types: list[str] | None = None
    submit_type: Literal["auto", "book", "donate", "pay"] | None = None
    ui_mode: Literal["hosted_page"] = "hosted_page"


class CustomerDetails(Params):
    """A filter by what the customer typed."""

    email: str


class ListSessions(DatedListParams):
    """Filters of the session list."""

    customer: str | None = None
    customer_details: CustomerDetails | None = None
    payment_intent: str | None = None
    status: Literal["open", "complete", "expired"] | None = None


class ConfirmPage(Expandable):
    """What the hosted page sends when the customer pays; the Stripe CLI sends the same."""

    expected_amount: Integer
    payment_method: Blankable = None
