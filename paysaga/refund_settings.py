"""The part of the settings that says what goes back of a payment."""

from typing import Annotated

from pydantic import ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode

from paysaga.domain.refund_policy import STANDARD, RefundPolicy
from paysaga.domain.zones import zone_of


class RefundSettings(BaseSettings):
    """The terms that new payments are made under. Those that are made keep theirs."""

    refund_policy: Annotated[RefundPolicy, NoDecode] = STANDARD

    @field_validator("refund_policy", mode="before")
    @classmethod
    def _terms(cls, value: object) -> object:
        """Read as JSON. A misspelt word would promise something else than was meant."""
        if not isinstance(value, str):
            return value
        try:
            return RefundPolicy.model_validate_json(value, extra="forbid")
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            raise ValueError("; ".join(_wrong(detail) for detail in found)) from None

    @field_validator("refund_policy")
    @classmethod
    def _zone(cls, policy: RefundPolicy) -> RefundPolicy:
        """Days begin and end by a clock that this machine must know."""
        zone_of(policy.timezone)
        return policy


def _wrong(detail: ErrorDetails) -> str:
    where = ".".join(str(part) for part in detail["loc"])
    said = detail["msg"].removeprefix("Value error, ")
    return f"{where}: {said}" if where else said
