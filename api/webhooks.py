"""The gateway's webhooks: a signed event is kept as it came, and whoever must look is told."""

import time
from typing import Final

from fastapi import APIRouter, Request
from pydantic import BaseModel

from api import signatures
from api.connections import Here
from api.documents import problems
from paysaga.settings import Settings

router: Final = APIRouter(prefix="/webhooks", tags=["webhooks"])


class Received(BaseModel):
    """What became of the event."""

    result: str


@router.post(
    "/stripe",
    operation_id="receive_stripe_event",
    responses=problems(401, 503),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        "parameters": [
            {
                "name": signatures.HEADER,
                "in": "header",
                "required": True,
                "schema": {"type": "string"},
            }
        ],
    },
)
async def receive_stripe_event(request: Request, here: Here) -> Received:
    """Keep a signed event, and tell the payment's run to look. A copy is answered at once."""
    body = await request.body()
    header = request.headers.get(signatures.HEADER)
    signatures.check(body, header, _secrets(here.settings), time.time())
    return Received(result=await here.incoming.take(body))


def _secrets(settings: Settings) -> list[str]:
    secrets = [settings.stripe_webhook_secret, settings.stripe_webhook_secret_previous]
    return [secret.get_secret_value() for secret in secrets if secret is not None]
