"""What may be turned while the simulator runs: how long it thinks and how often it says no."""

import json
import random
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from paysaga.simulator.settings import FailureScenario, Milliseconds, Rate, SimulatorSettings
from paysaga.simulator.storage import Storage


class Knobs(BaseModel):
    """The present position of every knob; delays in milliseconds, settling in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    payment_success_rate: Rate
    payment_processing_delay_min: Milliseconds
    payment_processing_delay_max: Milliseconds
    payment_failure_scenarios: Annotated[tuple[FailureScenario, ...], Field(min_length=1)]
    webhook_delivery_rate: Rate
    refund_settle_seconds: Annotated[float, Field(ge=0, le=86_400)]
    balance_delay_seconds: Annotated[float, Field(ge=0, le=86_400)]
    requests_per_second: Annotated[int, Field(ge=0)]
    debit_settle_seconds: Annotated[float, Field(ge=0, le=86_400)] = 2.0
    dispute_open_seconds: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    dispute_settle_seconds: Annotated[float, Field(ge=0, le=86_400)] = 2.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.payment_processing_delay_min > self.payment_processing_delay_max:
            raise ValueError("payment_processing_delay_min must not exceed the maximum")
        return self

    def delay_seconds(self, chance: random.Random) -> float:
        """Draw how long the processing of one confirm or capture takes."""
        return (
            chance.randint(self.payment_processing_delay_min, self.payment_processing_delay_max)
            / 1000
        )


def load(storage: Storage, settings: SimulatorSettings) -> Knobs:
    """Read the knobs: the settings' positions, and over them what was turned since."""
    turned = {row["name"]: json.loads(row["value"]) for row in storage.rows("SELECT * FROM knobs")}
    return Knobs.model_validate(
        {
            "payment_success_rate": settings.payment_success_rate,
            "payment_processing_delay_min": settings.payment_processing_delay_min,
            "payment_processing_delay_max": settings.payment_processing_delay_max,
            "payment_failure_scenarios": settings.payment_failure_scenarios,
            "webhook_delivery_rate": settings.simulator_webhook_delivery_rate,
            "refund_settle_seconds": settings.simulator_refund_settle_seconds,
            "balance_delay_seconds": settings.simulator_balance_delay_seconds,
            "requests_per_second": settings.simulator_requests_per_second,
            **turned,
        }
    )


def turn(storage: Storage, knobs: Knobs, changes: dict[str, object]) -> Knobs:
    """Check and keep the changes, for this process and the next one."""
    turned = Knobs.model_validate({**knobs.model_dump(mode="json"), **changes})
    for name in changes:
        storage.execute(
            "INSERT OR REPLACE INTO knobs (name, value) VALUES (?, ?)",
            (name, json.dumps(turned.model_dump(mode="json")[name])),
        )
    return turned
