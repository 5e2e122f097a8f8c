import asyncio
import os
import shutil
from pathlib import Path

import pytest
import stripe

from tests.simulator.support import SECRET_KEY, Control, event_types

EVENTS = [
    "payment_intent.created",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
    "payment_intent.amount_capturable_updated",
    "payment_intent.requires_action",
    "charge.succeeded",
    "charge.failed",
    "charge.captured",
    "charge.refunded",
    "charge.refund.updated",
    "setup_intent.created",
    "setup_intent.succeeded",
    "setup_intent.setup_failed",
    "setup_intent.canceled",
    "customer.created",
    "customer.updated",
    "customer.deleted",
    "payment_method.detached",
    "payment_method.attached",
    "product.created",
    "price.created",
    "checkout.session.completed",
    "checkout.session.expired",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
]


@pytest.fixture
def cli(*, in_ci: bool) -> str:
    """The official Stripe CLI: from `STRIPE_CLI`, or found on the path."""
    found = os.environ.get("STRIPE_CLI") or shutil.which("stripe")
    if not found and in_ci:
        pytest.fail("CI must check the simulator with the official Stripe CLI: set STRIPE_CLI")
    if not found:
        pytest.skip("not checked with the official Stripe CLI: STRIPE_CLI names none")
    return found


@pytest.mark.parametrize("event", EVENTS)
async def test_trigger(
    client: stripe.StripeClient,
    control: Control,
    base_url: str,
    cli: str,
    tmp_path: Path,
    event: str,
) -> None:
    """
    Stripe's own tool plays its own call sequence without a refusal, and the event is there.
    """
    process = await asyncio.create_subprocess_exec(
        *(cli, "trigger", event, "--api-base", base_url, "--api-key", SECRET_KEY),
        env={**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    await control.flush()

    assert 0 == process.returncode, said.decode()
    assert event in await event_types(client)
