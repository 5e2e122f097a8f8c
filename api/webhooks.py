"""The inbox of gateway events. An event is kept as it came, and nudges the payment's run."""

import re
import time
from datetime import UTC, datetime
from typing import Any, Final, TypeGuard

import structlog
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from api import signatures
from api.changing import waits
from api.connections import Connections, Here
from api.documents import problems
from api.refusals import NotAnEvent, TemporalUnavailable
from api.run_errors import RunOver
from paysaga.database.inbox import InboxEvent
from paysaga.domain.payment import PaymentState
from paysaga.settings import Settings

router: Final = APIRouter(prefix="/webhooks", tags=["webhooks"])

# The kinds of event that a payment's run waits for (Stripe's API reference, "Types of events").
NUDGES: Final = frozenset(
    {
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
        "payment_intent.canceled",
        "payment_intent.processing",
        "payment_intent.requires_action",
        "payment_intent.amount_capturable_updated",
        "charge.refunded",
        "charge.refund.updated",
        "refund.updated",
        "refund.failed",
    }
)

_LEFT: Final = "left_to_operator"
_COMPARE: Final = (
    "a refund came to nothing after the payment's run was over: compare the refunds at the gateway"
    " with the payment, then pay the customer back by other means"
)

_WORD: Final = r"^[A-Za-z0-9_-]{1,255}$"

log: Final = structlog.stdlib.get_logger("api")


class _About(BaseModel):
    """The gateway's object that an event is about, as far as we read it. Its form is not ours."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: Any = None
    status: Any = None
    payment_intent: Any = None
    charge: Any = None
    metadata: Any = None

    @property
    def ids(self) -> list[str]:
        """The gateway's names for what it is about."""
        return [name for name in (self.id, self.payment_intent, self.charge) if _is_word(name)]

    def mark(self, name: str) -> str | None:
        """One of our own words, which we wrote on the object when we made it."""
        word = self.metadata.get(name) if isinstance(self.metadata, dict) else None
        return word if _is_word(word) else None


class _Data(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    object: _About = _About()


class GatewayEvent(BaseModel):
    """What we read of an event. It is a nudge, never the truth: the rest is only kept."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str = Field(pattern=_WORD)
    type: str = Field(pattern=r"^[a-z0-9_.]{1,255}$")
    livemode: bool = False
    api_version: str | None = Field(default=None, pattern=r"^[a-z0-9_.-]{1,64}$")
    data: _Data = _Data()

    @property
    def about(self) -> _About:
        """The object that it is about."""
        return self.data.object

    @property
    def tells_of_a_lost_refund(self) -> bool:
        """Whether money that was on its way back to the customer does not arrive."""
        is_update = self.type in {"refund.updated", "charge.refund.updated"}
        return self.type == "refund.failed" or (
            is_update and self.about.status in ("failed", "canceled")
        )


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
    event = _read(body)
    if await here.inbox.store(_kept(event, body)):
        return Received(result="already_processed")
    try:
        result = await _nudge(here, event)
    except TemporalUnavailable:
        await here.inbox.mark_failed(event.id, "Temporal did not answer", datetime.now(UTC))
        raise  # Stripe sends it again
    if result != _LEFT:
        await here.inbox.mark_processed(event.id, result, datetime.now(UTC))
    log.info("a gateway event", event_id=event.id, type=event.type, result=result)
    return Received(result=result)


async def _nudge(here: Connections, event: GatewayEvent) -> str:
    """Tell the run, if news tells it something now; the word for what was done."""
    if event.type not in NUDGES:
        return "kept"
    if event.about.mark("environment") not in {None, here.settings.environment_name}:
        return "other_environment"
    payment_id = event.about.mark("payment_id") or await _owner(here, event.about)
    payment = await here.reads.payment(payment_id) if payment_id else None
    if payment is None:
        return "unknown_payment"
    structlog.contextvars.bind_contextvars(payment_id=payment.id)
    result = await _tell_run(here, payment)
    if result != "nudged" and event.tells_of_a_lost_refund:
        await _leave_to_operator(here, event, payment.id)
        return _LEFT
    return result


async def _tell_run(here: Connections, payment: PaymentState) -> str:
    if not waits(payment):
        return "not_waiting"
    try:
        await here.runs.nudge(payment.id)
    except RunOver:
        return "no_run"
    return "nudged"


async def _leave_to_operator(here: Connections, event: GatewayEvent, payment_id: str) -> None:
    """It stays unprocessed until a person has settled it: nothing here will, nor a repeat."""
    await here.inbox.mark_failed(event.id, f"{payment_id}: {_COMPARE}", datetime.now(UTC))
    log.error(_COMPARE, event_id=event.id, type=event.type, payment_id=payment_id)


async def _owner(here: Connections, about: _About) -> str | None:
    for gateway_id in about.ids:
        if found := await here.reads.payment_of(gateway_id):
            return found
    return None


def _kept(event: GatewayEvent, body: bytes) -> InboxEvent:
    return InboxEvent(
        id=event.id,
        type=event.type,
        api_version=event.api_version,
        livemode=event.livemode,
        gateway_object_id=event.about.id if _is_word(event.about.id) else None,
        payment_id=event.about.mark("payment_id"),
        payload=body,
        signature_verified=True,
        received_at=datetime.now(UTC),
    )


def _read(body: bytes) -> GatewayEvent:
    try:
        return GatewayEvent.model_validate_json(body)
    except ValidationError as error:
        raise NotAnEvent from error


def _secrets(settings: Settings) -> list[str]:
    secrets = [settings.stripe_webhook_secret, settings.stripe_webhook_secret_previous]
    return [secret.get_secret_value() for secret in secrets if secret is not None]


def _is_word(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and re.fullmatch(_WORD, value) is not None
