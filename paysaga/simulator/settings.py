"""What the simulator reads from its environment, once, at start."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, HttpUrl, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

_URL = TypeAdapter(HttpUrl)
Rate = Annotated[float, Field(ge=0, le=1)]
Milliseconds = Annotated[int, Field(ge=0, le=600_000)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class FailureScenario(StrEnum):
    """What a random failure turns out to be."""

    INSUFFICIENT_FUNDS = "insufficient_funds"
    CARD_DECLINED = "card_declined"
    NETWORK_ERROR = "network_error"
    INVALID_METHOD = "invalid_method"


class SimulatorSettings(BaseSettings):
    """The environment of one simulator process; every field is the variable of the same name."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    simulator_host: str = "127.0.0.1"
    simulator_port: Annotated[int, Field(ge=0, le=65_535)] = 12111
    simulator_state: Path = Path(".paysaga/simulator.db")
    simulator_public_url: str | None = None
    simulator_seed: int | None = None
    simulator_webhook_url: str | None = None
    simulator_webhook_retry_base_seconds: Seconds = 1.0
    simulator_webhook_retry_cap_seconds: Seconds = 60.0
    simulator_webhook_max_attempts: Annotated[int, Field(ge=1, le=100)] = 16
    simulator_webhook_timeout_seconds: Seconds = 10.0
    simulator_webhook_delivery_rate: Rate = 1.0
    simulator_refund_settle_seconds: Annotated[float, Field(ge=0, le=86_400)] = 2.0
    simulator_balance_delay_seconds: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    simulator_requests_per_second: Annotated[int, Field(ge=0)] = 0
    stripe_secret_key: Annotated[str, Field(pattern=r"^sk_test_\w{4,}$")] = "sk_test_paysaga_demo"  # noqa: S105 - opens a toy
    stripe_publishable_key: Annotated[str, Field(pattern=r"^pk_test_\w{4,}$")] = (
        "pk_test_paysaga_demo"
    )
    stripe_webhook_secret: Annotated[str, Field(pattern=r"^whsec_\S{4,}$")] = (
        "whsec_paysaga_demo_secret"  # noqa: S105 - opens a toy
    )
    payment_success_rate: Rate = 0.95
    payment_processing_delay_min: Milliseconds = 1000
    payment_processing_delay_max: Milliseconds = 3000
    payment_failure_scenarios: Annotated[
        tuple[FailureScenario, ...], NoDecode, Field(min_length=1)
    ] = tuple(FailureScenario)

    @property
    def public_url(self) -> str:
        """Where browsers find the customer's pages: as set, or on the port we listen on."""
        host = "127.0.0.1" if self.simulator_host in ("0.0.0.0", "::") else self.simulator_host  # noqa: S104
        return self.simulator_public_url or f"http://{host}:{self.simulator_port}"

    @field_validator("payment_failure_scenarios", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return [part.strip() for part in value.strip("[]").replace('"', "").split(",")]
        return value

    @field_validator("simulator_public_url", "simulator_webhook_url")
    @classmethod
    def _http(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            _URL.validate_python(value)
        except ValidationError as error:
            raise ValueError("must be an http or https URL") from error
        return value.rstrip("/")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.payment_processing_delay_min > self.payment_processing_delay_max:
            raise ValueError(
                "PAYMENT_PROCESSING_DELAY_MIN must not exceed PAYMENT_PROCESSING_DELAY_MAX"
            )
        return self


def complaint(error: ValidationError) -> str:
    """Say in one sentence which variable is wrong and why."""
    first = error.errors()[0]
    reason = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return f"The simulator cannot start: {reason}."
    name = str(first["loc"][0]).upper()
    return f"The simulator cannot start: {name} is wrong: {reason} (got {first['input']!r})."
