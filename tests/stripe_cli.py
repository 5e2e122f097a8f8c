"""Stripe's own command line, which knows nothing of us."""

import asyncio
import os
import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.simulator.support import SECRET_KEY

# Every kind of event that its triggers make of checkouts, setup intents, payment intents, charges
# and what these need.
TRIGGERS: Final = (
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
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
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
)


class StripeCli:
    """Its program, with a home of its own and a gateway that is not Stripe."""

    def __init__(self, program: str, home: Path, gateway: str) -> None:
        self._command = (program, "--api-key", SECRET_KEY)
        self._gateway = gateway
        self._environment = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home)}

    async def trigger(
        self, event: str, *, marks: dict[str, str] | None = None, **instead: object
    ) -> None:
        """Play the calls that lead to the event; the gateway must refuse none of them.

        A PaymentIntent among them gets these `marks` as metadata, and these parameters instead of
        its own.
        """
        more = []
        for name, value in (marks or {}).items():
            more += ["--add", f"payment_intent:metadata.{name}={value}"]
        for name, given in instead.items():
            more += ["--override", f"payment_intent:{name}={given}"]
        process = await asyncio.create_subprocess_exec(
            *(*self._command, "trigger", event, "--api-base", self._gateway, *more),
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        # Having said so it may still panic at its own goodbye: its exit code says less.
        assert "Trigger succeeded" in said.decode(), said.decode()


def stripe_program() -> str:
    """Where the program is: `STRIPE_CLI`, or on the path. Without it only CI fails."""
    found = os.environ.get("STRIPE_CLI") or shutil.which("stripe")
    if not found and os.environ.get("CI") == "true":
        pytest.fail("CI must check with the official Stripe CLI: set STRIPE_CLI")
    if not found:
        pytest.skip("not checked with the official Stripe CLI: STRIPE_CLI names none")
    return found
