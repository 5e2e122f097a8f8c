"""What the PaymentIntent operations take."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from paysaga.simulator.forms import Blankable, Expandable, Flag, Integer, Metadata, Params, Text
from paysaga.simulator.lists import DatedListParams
from paysaga.simulator.method_making import MethodData
from paysaga.simulator.shapes import Shipping

CaptureMethod = Literal["automatic", "automatic_async", "manual"]
FutureUsage = Annotated[
    Literal["off_session", "on_session"] | None,
    BeforeValidator(lambda value: None if value == "" else value),
]


def _occasion(value: object) -> object:
    return {"true": True, "false": False, "one_off": True, "recurring": True}.get(str(value), value)


OffSession = Annotated[bool, BeforeValidator(_occasion)]


class AutomaticMethods(Params):
    """Whether the Dashboard's methods are offered, and those that redirect."""

    enabled: Flag
    allow_redirects: Literal["always", "never"] = "always"


class CardOptions(Params):
    """The options for cards that have an effect here."""

    request_three_d_secure: Literal["any", "automatic", "challenge"] | None = None
    capture_method: Literal["manual", ""] | None = None
    setup_future_usage: Literal["", "none", "off_session", "on_session"] | None = None


class PaypalOptions(Params):
    """The options for PayPal that have an effect here."""

    capture_method: Literal["manual", ""] | None = None
    reference: str | None = None
    preferred_locale: str | None = None


class MethodOptions(Params):
    """Options by type of method."""

    card: CardOptions | None = None
    paypal: PaypalOptions | None = None


class OnlineAcceptance(Params):
    """Where a mandate was accepted."""

    ip_address: str | None = None
    user_agent: str | None = None


class CustomerAcceptance(Params):
    """How a mandate was accepted."""

    type: Literal["offline", "online"]
    accepted_at: Integer | None = None
    online: OnlineAcceptance | None = None


class MandateData(Params):
    """The customer's agreement to later payments; taken and not looked at."""

    customer_acceptance: CustomerAcceptance


class MethodParams(Expandable):
    """How an intent of either kind is told which payment method it uses."""

    payment_method: Text | None = None
    payment_method_data: MethodData | None = None
    payment_method_options: Params = Params()
    allowed_payment_method_types: list[str] | None = None


class IntentParams(MethodParams):
    """What create, update and confirm have in common."""

    capture_method: CaptureMethod | None = None
    payment_method_options: MethodOptions = MethodOptions()
    payment_method_types: list[str] | None = None
    excluded_payment_method_types: list[str] | None = None
    receipt_email: Blankable = None
    setup_future_usage: FutureUsage = None
    shipping: Shipping | None = None


class ConfirmIntent(IntentParams):
    """Parameters of confirm."""

    error_on_requires_action: Flag = False
    mandate_data: MandateData | None = None
    off_session: OffSession = False
    return_url: Text | None = None
    use_stripe_sdk: Flag = False


class UpdateIntent(IntentParams):
    """Parameters of update."""

    amount: Integer | None = None
    currency: Text | None = None
    customer: Text | None = None
    description: Blankable = None
    metadata: Metadata = Field(default_factory=dict)
    statement_descriptor: Blankable = None
    statement_descriptor_suffix: Blankable = None
    transfer_group: Blankable = None


class CreateIntent(ConfirmIntent):
    """Parameters of create; those of confirm count only together with `confirm`."""

    amount: Integer
    currency: Text
    automatic_payment_methods: AutomaticMethods | None = None
    confirm: Flag = False
    confirmation_method: Literal["automatic", "manual"] = "automatic"
    customer: Text | None = None
    description: Blankable = None
    metadata: Metadata = Field(default_factory=dict)
    statement_descriptor: Blankable = None
    statement_descriptor_suffix: Blankable = None
    transfer_group: Blankable = None


class RetrieveIntent(Expandable):
    """Parameters of retrieve; a browser proves itself with the client secret."""

    client_secret: str | None = None


class CaptureIntent(Expandable):
    """Parameters of capture."""

    amount_to_capture: Integer | None = None
    final_capture: Flag = True
    metadata: Metadata = Field(default_factory=dict)
    statement_descriptor: Blankable = None
    statement_descriptor_suffix: Blankable = None


class CancelIntent(Expandable):
    """Parameters of cancel."""

    cancellation_reason: (
        Literal["abandoned", "duplicate", "fraudulent", "requested_by_customer"] | None
    ) = None


class ListIntents(DatedListParams):
    """Filters of the intent list."""

    customer: str | None = None
