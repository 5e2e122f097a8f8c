"""What the SetupIntent operations take."""

from typing import Literal

from pydantic import Field

from paysaga.simulator.forms import Blankable, Expandable, Flag, Metadata, Params, Text
from paysaga.simulator.intent_params import AutomaticMethods, MandateData, MethodParams
from paysaga.simulator.lists import DatedListParams


class CardSetupOptions(Params):
    """The options for cards that have an effect here."""

    request_three_d_secure: Literal["any", "automatic", "challenge"] | None = None


class SetupOptions(Params):
    """Options by type of method."""

    card: CardSetupOptions | None = None


class SetupParams(MethodParams):
    """What create, update and confirm have in common."""

    payment_method_options: SetupOptions = SetupOptions()


class ConfirmSetup(SetupParams):
    """Parameters of confirm."""

    mandate_data: MandateData | None = None
    return_url: Text | None = None
    use_stripe_sdk: Flag = False


class UpdateSetup(SetupParams):
    """Parameters of update."""

    customer: Text | None = None
    description: Blankable = None
    excluded_payment_method_types: list[str] | None = None
    metadata: Metadata = Field(default_factory=dict)
    payment_method_types: list[str] | None = None


class CreateSetup(ConfirmSetup):
    """Parameters of create; the way back and the mandate count only together with `confirm`."""

    automatic_payment_methods: AutomaticMethods | None = None
    confirm: Flag = False
    customer: Text | None = None
    description: Blankable = None
    excluded_payment_method_types: list[str] | None = None
    metadata: Metadata = Field(default_factory=dict)
    payment_method_types: list[str] | None = None
    usage: Literal["off_session", "on_session"] = "off_session"


class CancelSetup(Expandable):
    """Parameters of cancel."""

    cancellation_reason: Literal["abandoned", "duplicate", "requested_by_customer"] | None = None


class ListSetups(DatedListParams):
    """Filters of the list."""

    customer: str | None = None
    payment_method: str | None = None
