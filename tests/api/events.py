"""Events as Stripe sends them, signed and sent to the API, and the rows that they leave."""

import hashlib
import hmac
import json
import time
from itertools import count
from typing import Any

import httpx
from sqlmodel import col, select

from paysaga.database.engine import create_engine
from paysaga.database.tables import WebhookEventRow
from tests.api.world import Api, World

_events = count(1)


def an_event(payment: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """What Stripe sends when a payment's intent has succeeded."""
    about: dict[str, Any] = {"id": "pi_unknown", "object": "payment_intent", "metadata": {}}
    if payment is not None:
        about["id"] = payment["gateway_payment_intent_id"]
        about["metadata"] = {"payment_id": payment["id"], "environment": "test"}
    return {
        "id": f"evt_{next(_events)}_{time.time_ns()}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": int(time.time()),
        "type": "payment_intent.succeeded",
        "livemode": False,
        "data": {"object": about},
        **changes,
    }


def signature(body: bytes, secret: str = "whsec_new", at: float | None = None) -> str:
    moment = int(time.time() if at is None else at)
    digest = hmac.digest(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256)
    return f"t={moment},v1={digest.hex()}"


async def send(
    api: Api, event: object, *, secret: str = "whsec_new", header: str | None = None
) -> httpx.Response:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    sent = signature(body, secret) if header is None else header
    return await api.http.post("/webhooks/stripe", content=body, headers={"Stripe-Signature": sent})


async def stored(world: World, event_id: str) -> WebhookEventRow | None:
    engine = create_engine(world.settings.database_url)
    async with engine.connect() as connection:
        found = await connection.execute(
            select(WebhookEventRow).where(col(WebhookEventRow.id) == event_id)
        )
        row = found.mappings().one_or_none()
    await engine.dispose()
    return None if row is None else WebhookEventRow(**row)
