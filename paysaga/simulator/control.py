"""The control API under `/_control`: arm faults, turn knobs, read the journal. Loopback only."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from paysaga.simulator import (
    authentication,
    card_updater,
    chargebacks,
    checkout_payment,
    deliveries,
    faults,
    journal,
    operations,
    timers,
    wallets,
    webhook_faults,
)
from paysaga.simulator.authentication import Outcome
from paysaga.simulator.calls import Call
from paysaga.simulator.card_updater import Renewal
from paysaga.simulator.delivering import Deliverer
from paysaga.simulator.errors import ApiError
from paysaga.simulator.faults import Fault
from paysaga.simulator.problems import first_of, guarded, json_object, read
from paysaga.simulator.simulator import Simulator
from paysaga.simulator.wallets import Wallet
from paysaga.simulator.webhook_faults import WebhookFault

_POLL_SECONDS = 0.005


class Act(BaseModel):
    """What the customer does on the authentication page."""

    model_config = ConfigDict(extra="forbid", strict=True)

    outcome: Outcome


class Pay(BaseModel):
    """With what a customer without a page pays a Checkout Session."""

    model_config = ConfigDict(extra="forbid", strict=True)

    payment_method: str | None = None
    email: str = "buyer@example.com"


class Dispute(BaseModel):
    """What a cardholder tells their bank: of how much (default: all), and why."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")] = "fraudulent"
    amount: Annotated[int, Field(ge=1)] | None = None
    inquiry: bool = False


class Decision(BaseModel):
    """What the bank makes of evidence, in the words that a test's evidence decides by."""

    model_config = ConfigDict(extra="forbid", strict=True)

    by: Literal["winning_evidence", "losing_evidence", "escalate_inquiry_evidence"]


class Flush(BaseModel):
    """How long to wait until nothing is pending, and whether back-offs and delays are cut short."""

    model_config = ConfigDict(extra="forbid", strict=True)

    timeout_seconds: Annotated[float, Field(gt=0, le=120)] = 10.0
    now: bool = True


class Control:
    """The handlers of `/_control`; each answers with JSON, a problem document on bad input."""

    def __init__(self, simulator: Simulator, deliverer: Deliverer) -> None:
        self._simulator = simulator
        self._deliverer = deliverer

    def routes(self) -> list[Route]:
        """List the routes, below `/_control`."""
        return [
            Route("/health", guarded(self.health), methods=["GET"]),
            Route("/faults", guarded(self.arm_fault), methods=["POST"]),
            Route("/faults", guarded(self.armed_faults), methods=["GET"]),
            Route("/faults", guarded(self.clear_faults), methods=["DELETE"]),
            Route("/webhook_faults", guarded(self.arm_webhook_fault), methods=["POST"]),
            Route("/webhook_faults", guarded(self.armed_webhook_faults), methods=["GET"]),
            Route("/webhook_faults", guarded(self.clear_webhook_faults), methods=["DELETE"]),
            Route("/intents/{id}/authenticate", guarded(self.authenticate), methods=["POST"]),
            Route(
                "/payment_methods/{id}/automatic_update",
                guarded(self.update_card),
                methods=["POST"],
            ),
            Route("/payment_methods/{id}/wallet", guarded(self.take_from_wallet), methods=["POST"]),
            Route("/checkout_sessions/{id}/pay", guarded(self.pay), methods=["POST"]),
            Route("/charges/{id}/dispute", guarded(self.dispute), methods=["POST"]),
            Route("/disputes/{id}/decide", guarded(self.decide), methods=["POST"]),
            Route("/journal", guarded(self.journal), methods=["GET"]),
            Route("/deliveries", guarded(self.deliveries), methods=["GET"]),
            Route("/webhooks/flush", guarded(self.flush), methods=["POST"]),
            Route("/knobs", guarded(self.knobs), methods=["GET"]),
            Route("/knobs", guarded(self.turn_knobs), methods=["PATCH"]),
            Route("/reset", guarded(self.reset), methods=["POST"]),
        ]

    async def health(self, _request: Request) -> JSONResponse:
        """Answer that the process works."""
        return JSONResponse({"status": "ok", "pending_webhooks": self._pending()})

    async def arm_fault(self, request: Request) -> JSONResponse:
        """Arm a fault of API calls."""
        fault = await read(request, Fault)
        if fault.operation != "*" and fault.operation not in operations.NAMES:
            raise HTTPException(422, f"operation: there is no {fault.operation}")
        if fault.kind == "decline" and fault.operation not in (
            "payment_intents.create",
            "payment_intents.confirm",
            "setup_intents.create",
            "setup_intents.confirm",
        ):
            raise HTTPException(422, "kind: only create and confirm of an intent can decline")
        faults.arm(self._simulator.storage, fault)
        return JSONResponse(fault.model_dump(), 201)

    async def armed_faults(self, _request: Request) -> JSONResponse:
        """List the faults of API calls and how often they fired."""
        return _dumped(faults.armed(self._simulator.storage))

    async def clear_faults(self, _request: Request) -> JSONResponse:
        """Disarm all faults of API calls."""
        faults.disarm(self._simulator.storage)
        return JSONResponse({"data": []})

    async def arm_webhook_fault(self, request: Request) -> JSONResponse:
        """Arm a fault of webhooks."""
        fault = await read(request, WebhookFault)
        webhook_faults.arm(self._simulator.storage, fault)
        return JSONResponse(fault.model_dump(), 201)

    async def armed_webhook_faults(self, _request: Request) -> JSONResponse:
        """List the faults of webhooks and how often they fired."""
        return _dumped(webhook_faults.armed(self._simulator.storage))

    async def clear_webhook_faults(self, _request: Request) -> JSONResponse:
        """Disarm all faults of webhooks."""
        webhook_faults.disarm(self._simulator.storage)
        return JSONResponse({"data": []})

    async def authenticate(self, request: Request) -> JSONResponse:
        """Do what the customer would do on the 3DS or PayPal page; answer with the intent."""
        wish = await read(request, Act)
        call = self._simulator.call(target=request.path_params["id"])
        with self._effect(call):
            record = call.own(authentication.kind_of(call.target))
            authentication.act(call, record, wish.outcome)
        return JSONResponse(record.body)

    async def update_card(self, request: Request) -> JSONResponse:
        """Do what Stripe's card updater does; answer with the payment method."""
        renewal = await read(request, Renewal)
        call = self._simulator.call(target=request.path_params["id"])
        with self._effect(call):
            body = card_updater.renew(call, renewal)
        return JSONResponse(body)

    async def take_from_wallet(self, request: Request) -> JSONResponse:
        """Do what the customer's phone does; answer with the payment method."""
        wallet = await read(request, Wallet)
        call = self._simulator.call(target=request.path_params["id"])
        with self._effect(call):
            body = wallets.take_from(call, wallet)
        return JSONResponse(body)

    async def pay(self, request: Request) -> JSONResponse:
        """Pay a Checkout Session as its page would; answer with the session."""
        wish = await read(request, Pay)
        call = self._simulator.call(target=request.path_params["id"])
        with self._effect(call):
            record = call.own("checkout.session")
            declined = checkout_payment.attempt(call, record, wish.payment_method, wish.email)
        if declined:
            raise HTTPException(declined.status, declined.message)
        return JSONResponse(call.own("checkout.session").body)

    async def dispute(self, request: Request) -> JSONResponse:
        """Do what a cardholder's bank does, whatever the card; answer with the dispute."""
        wish = await read(request, Dispute)
        call = self._simulator.call(target=request.path_params["id"])
        with self._effect(call):
            charge = call.own("charge").body
            left = charge["amount_captured"] - chargebacks.held(call, charge["id"])
            wanted = left if wish.amount is None else wish.amount
            if not 0 < wanted <= left:
                raise HTTPException(409, "not so much was captured, or its bank has it already")
            body = chargebacks.dispute(call, charge, wish.reason, wanted, inquiry=wish.inquiry)
        return JSONResponse(body, 201)

    async def decide(self, request: Request) -> JSONResponse:
        """Do what the bank does with evidence in a seller's own words; answer with the dispute."""
        wish = await read(request, Decision)
        call = self._simulator.call(target=request.path_params["id"])
        with self._effect(call):
            record = call.own("dispute")
            if record.body["status"] not in chargebacks.IN_REVIEW.values():
                raise HTTPException(409, "the bank has nothing to read: submit evidence first")
            chargebacks.decide(call, record, wish.by)
        return JSONResponse(record.body)

    async def journal(self, request: Request) -> JSONResponse:
        """Read the money journal from `after` on."""
        entries = journal.read(self._simulator.storage, _after(request))
        return JSONResponse({"data": entries})

    async def deliveries(self, request: Request) -> JSONResponse:
        """List webhook deliveries from `after` on."""
        rows = deliveries.listed(self._simulator.storage, _after(request))
        return JSONResponse({"data": rows})

    async def flush(self, request: Request) -> JSONResponse:
        """Deliver what is pending, now, and wait until nothing is, or the time is over."""
        wish = await read(request, Flush)
        storage = self._simulator.storage
        try:
            async with asyncio.timeout(wish.timeout_seconds):
                while self._pending() or timers.waiting(storage, self._simulator.time()):
                    if wish.now:
                        deliveries.hasten(storage, self._simulator.time())
                        timers.hasten(storage, self._simulator.time())
                    self._deliverer.wake()
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            pass
        return JSONResponse({"pending": self._pending()})

    async def knobs(self, _request: Request) -> JSONResponse:
        """Tell where the knobs stand."""
        return JSONResponse(self._simulator.knobs.model_dump(mode="json"))

    async def turn_knobs(self, request: Request) -> JSONResponse:
        """Turn the given knobs and tell where all of them stand."""
        changes = await json_object(request)
        try:
            self._simulator.turn(changes)
        except ValidationError as error:
            raise HTTPException(422, first_of(error)) from error
        return JSONResponse(self._simulator.knobs.model_dump(mode="json"))

    async def reset(self, _request: Request) -> JSONResponse:
        """Forget everything, as if started on an empty file."""
        await self._deliverer.abandon()
        self._simulator.reset()
        self._simulator.register_endpoint()
        return JSONResponse({"status": "ok"})

    @contextlib.contextmanager
    def _effect(self, call: Call) -> Iterator[None]:
        try:
            with call.storage.transaction():
                yield
        except ApiError as error:
            status = 404 if error.code == "resource_missing" else 409
            raise HTTPException(status, error.message) from error
        self._deliverer.wake()

    def _pending(self) -> int:
        return deliveries.pending(self._simulator.storage)


def _dumped(armed: Sequence[BaseModel]) -> JSONResponse:
    return JSONResponse({"data": [fault.model_dump() for fault in armed]})


def _after(request: Request) -> int:
    value = request.query_params.get("after", "0")
    if not value.isdecimal():
        raise HTTPException(422, "after: must be a sequence number")
    return int(value)
