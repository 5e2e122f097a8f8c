from pathlib import Path

import pytest
import stripe

from tests.simulator.support import Control, event_types
from tests.stripe_cli import TRIGGERS, StripeCli, stripe_program


@pytest.fixture
def cli(base_url: str, tmp_path: Path) -> StripeCli:
    return StripeCli(stripe_program(), tmp_path, base_url)


@pytest.mark.parametrize("event", TRIGGERS)
async def test_trigger(
    client: stripe.StripeClient, control: Control, cli: StripeCli, event: str
) -> None:
    """
    Stripe's own tool plays its own call sequence without a refusal, and the event is there.
    """
    await cli.trigger(event)
    await control.flush()

    assert event in await event_types(client)
