"""Money that is held: taken when the shop asks for it, let go in time when it does not."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.stripe_orders import CaptureOrder
    from paysaga.domain import captures
    from paysaga.domain import transitions as rules
    from paysaga.domain.intent import Intent, IntentStatus
    from paysaga.domain.money import Money
    from paysaga.domain.payment import PaymentState, PaymentStatus

from workflows.collection import Collection, Refused
from workflows.record import Record
from workflows.requests import CaptureRequest, NotNow
from workflows.watch import Watch


class Holding:
    """One payment's authorization. A capture that was accepted is asked for until it is decided."""

    def __init__(
        self,
        record: Record,
        collection: Collection,
        watch: Watch,
        observe: Callable[[Intent], Awaitable[None]],
    ) -> None:
        self.request: CaptureRequest | None = None
        self._is_asking = False
        self._record = record
        self._collection = collection
        self._watch = watch
        self._observe = observe

    def check(self, request: CaptureRequest) -> None:
        """Whether the capture can be taken on.

        Raises:
            NotNow: Nothing is held, or less, or somebody else was first.
        """
        state = self._state
        if state.status is not PaymentStatus.AUTHORIZED:
            raise NotNow(f"a payment that is {state.status} holds nothing to capture")
        if self.is_capturing:
            raise NotNow("another capture of this payment is under way")
        if self.is_over():
            raise NotNow("the time to capture is over")
        if request.amount is not None and request.amount > state.amount_authorized:
            raise NotNow("more than is held cannot be captured")

    @property
    def is_capturing(self) -> bool:
        """Whether a capture was taken on and is not decided yet."""
        return self.request is not None or self._state.amount_to_capture is not None

    def is_over(self) -> bool:
        """Whether the money has to be let go, a little before the gateway does."""
        return not self.is_capturing and workflow.now() >= self._end

    def next_moment(self) -> tuple[timedelta, str]:
        """When there is something to do if nobody asks for anything."""
        now = workflow.now()
        if self.is_capturing:
            return self._watch.pause, "look at the gateway again"
        if now < self._reminder:
            return self._reminder - now, "the shop is reminded to capture"
        return self._end - now, "the time to capture ends"

    async def remind(self) -> None:
        """The shop hears that the hold ends soon, if it does."""
        held = self._state.status is PaymentStatus.AUTHORIZED and not self.is_capturing
        if held and workflow.now() >= self._reminder:
            await self._record.move(lambda state, _: captures.hold_ends_soon(state, workflow.now()))

    async def capture(self, request: CaptureRequest) -> None:
        """Take what was asked for; what becomes of it is what the gateway shows then."""
        try:
            await self._record.move(
                lambda state, _: captures.capture_asked(
                    state, request.amount, workflow.now(), request.actor, request.request
                )
            )
            if self._state.status is PaymentStatus.AUTHORIZED:
                await self._take(self._state)
        finally:
            self.request = None

    async def seen(self, intent: Intent) -> None:
        """A look that shows the money held as before: what was asked for came to nothing."""
        if intent.status is IntentStatus.REQUIRES_CAPTURE and not self._is_asking:
            await self._refused("the gateway holds the money still")

    async def answer(self) -> None:
        """The payment ended before the capture could begin: a repeat is to hear the same."""
        request = self.request
        if request is None:
            return
        await self._record.move(
            lambda state, _: rules.answered(
                state, workflow.now(), actor=request.actor, request=request.request
            )
        )
        self.request = None

    async def _take(self, asked: PaymentState) -> None:
        order = CaptureOrder(
            payment_id=asked.id,
            intent_id=str(asked.intent_id),
            money=Money(minor=asked.amount_to_capture or 0, currency=asked.money.currency),
            decision=asked.version,
        )
        self._is_asking = True
        try:
            intent = await self._collection.capture(order)
        except Refused as refused:
            workflow.logger.exception("the gateway refuses the capture")
            await self._refused(refused.message)
            return
        finally:
            self._is_asking = False
        await self._observe(intent)

    async def _refused(self, why: str) -> None:
        await self._record.move(
            lambda state, _: captures.capture_refused(state, workflow.now(), why)
        )

    @property
    def _end(self) -> datetime:
        until = self._state.capture_until
        if until is None:
            raise AssertionError("asked for the end of a hold that there is not")
        return until

    @property
    def _reminder(self) -> datetime:
        return self._end - captures.REMINDER

    @property
    def _state(self) -> PaymentState:
        return self._record.state
