"""Take one payment: open, confirm, wait for the customer, fulfill - or put it all back."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum, auto
from typing import assert_never

from temporalio import workflow
from temporalio.exceptions import CancelledError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.errors import Trouble
    from activities.orders import OrderRef
    from paysaga.domain import transitions as rules
    from paysaga.domain.declines import decline_for
    from paysaga.domain.intent import Intent, IntentStatus
    from paysaga.domain.payment import (
        Fulfillment,
        Payment,
        PaymentState,
        PaymentStatus,
        RequestMark,
    )
    from paysaga.domain.reasons import Reason
    from paysaga.domain.steps import WORKFLOW

from workflows import policies
from workflows.collection import Collection, Refused
from workflows.holding import Holding
from workflows.hosted import HostedCheckout
from workflows.record import Record, Rule
from workflows.renewal import Renewal
from workflows.repair import start_repair
from workflows.requests import CancelRequest, CaptureRequest, KeyReused, NotNow, RetryRequest
from workflows.reservation import Reservation
from workflows.saga import Saga, to_the_end
from workflows.settlement import Settlement
from workflows.watch import Watch
from workflows.ways import OneIntent, Way


class Wake(StrEnum):
    """Why the workflow goes on."""

    LOOK = auto()
    DEADLINE = auto()
    END = auto()


@workflow.defn
class PaymentWorkflow:
    """One payment's whole life. Its run has the payment's id."""

    @workflow.init
    def __init__(self, payment: Payment) -> None:
        self._payment = payment
        self._record = Record.of_new(payment)
        self._watch = Watch()
        self._collection = Collection(self)
        self._reservation = Reservation(_order(payment), self)
        self._settlement = Settlement(
            self._record, self._collection, self._reservation, self._watch
        )
        self._holding = Holding(self._record, self._collection, self._watch, self._observe)
        self._way = self._way_of(payment)
        self._renewal = Renewal(payment, self._record, self._collection, self._way, self._holding)
        self._refreshes = 0
        self._refresh_from = workflow.now()
        self._is_refreshing = False
        self._requests = {payment.request.key: payment.request.fingerprint}
        self._retry_request: RetryRequest | None = None
        self._cancel_request: CancelRequest | None = None
        self._failure: FailureError | None = None

    @workflow.run
    async def run(self, payment: Payment) -> PaymentState:
        """Answers with the payment as it stands when its story is over.

        A payment that needs an operator is over for this run: its repair has a run of its own.
        """
        try:
            async with Saga() as saga:
                await self._take(payment, saga)
            await self._leave_to_repair()
        except (FailureError, asyncio.CancelledError) as failure:
            # Whoever still waits for an outcome learns why there is none.
            self._failure = (
                failure if isinstance(failure, FailureError) else CancelledError("run canceled")
            )
            await to_the_end(self._leave_to_repair())
            await to_the_end(workflow.wait_condition(workflow.all_handlers_finished))
            raise
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._state

    @workflow.update
    async def first_outcome(self) -> PaymentState:
        """The payment as soon as there is an answer for the customer."""
        return await self._state_when(lambda: self._record.is_written and self._state.is_settled)

    @workflow.update
    async def retry(self, request: RetryRequest) -> PaymentState:
        """Make another attempt and answer with its outcome."""
        self._remember(request.request)
        self._retry_request = request
        return await self._state_when(
            lambda: (
                self._state.is_over
                or (self._retry_request is not request and self._state.is_settled)
            )
        )

    @retry.validator
    def _may_retry(self, request: RetryRequest) -> None:
        self._check_key(request.request)
        state = self._state
        if state.status is not PaymentStatus.AWAITING_RETRY or state.attempts_left == 0:
            raise NotNow(f"a payment that is {state.status} takes no further attempt")
        if self._retry_request or self._cancel_request:
            raise NotNow("another request for this payment is under way")
        if self._hold_is_over():
            raise NotNow("the time for further attempts is over")

    @workflow.update
    async def cancel(self, request: CancelRequest) -> PaymentState:
        """Give up; the answer tells whether the money had moved before."""
        self._remember(request.request)
        self._cancel_request = self._cancel_request or request
        self._record.asked_for = f"cancel, by {self._cancel_request.actor}"
        self._record.explain()
        return await self._state_when(lambda: self._state.is_over)

    @cancel.validator
    def _may_cancel(self, request: CancelRequest) -> None:
        self._check_key(request.request)
        if self._state.is_over:
            raise NotNow(f"a payment that is {self._state.status} cannot be canceled")
        if self._holding.is_capturing:
            raise NotNow("the payment is being captured")

    @workflow.update
    async def capture(self, request: CaptureRequest) -> PaymentState:
        """Take what is held; the answer tells what has become of it."""
        self._remember(request.request)
        self._holding.request = request
        return await self._state_when(
            lambda: self._state.is_over or self._holding.request is not request
        )

    @capture.validator
    def _may_capture(self, request: CaptureRequest) -> None:
        self._check_key(request.request)
        if self._cancel_request:
            raise NotNow("the payment is being canceled")
        self._holding.check(request)

    @workflow.update
    async def refresh(self) -> PaymentState:
        """Look at the gateway now and answer with what the payment is then."""
        self._watch.must_look = self._is_refreshing = True
        self._refreshes += 1
        if self._refreshes >= policies.REFRESHES_AT_WILL:
            self._refresh_from = workflow.now() + policies.REFRESH_PAUSE
        seen = self._watch.looks
        try:
            return await self._state_when(
                lambda: (
                    self._state.status is PaymentStatus.NEEDS_OPERATOR
                    or (self._state.is_final and not self._state.amount_refund_pending)
                    or (self._watch.looks > seen and self._state.is_settled)
                )
            )
        finally:
            self._is_refreshing = False

    @refresh.validator
    def _may_refresh(self) -> None:
        if self._is_refreshing:
            raise NotNow("the gateway is being looked at already")
        if workflow.now() < self._refresh_from:
            raise NotNow("this payment has been looked at often enough for now")

    @workflow.signal
    def nudged(self) -> None:
        """Something happened at the gateway: look. The webhook's own words are not believed."""
        self._watch.must_look = True

    def _remember(self, request: RequestMark) -> None:
        self._requests[request.key] = request.fingerprint

    def _check_key(self, request: RequestMark) -> None:
        """The database keeps each key once; another request with it must not get that far."""
        if self._requests.get(request.key, request.fingerprint) != request.fingerprint:
            raise KeyReused

    def _way_of(self, payment: Payment) -> Way:
        if payment.page is None:
            return OneIntent(payment, self._record, self._collection, self._time_left)
        return HostedCheckout(
            payment, payment.page, self._record, self._collection, self._watch, self.is_over
        )

    async def _take(self, payment: Payment, saga: Saga) -> None:
        saga.undo_with("release the order", self._release)
        saga.undo_with("write down the end", self._record_the_failure)
        await self._record.open()
        if self._state.is_over:  # a workflow task that was lost has already come to the end
            await self._release()
            return

        if payment.has_order_service:
            kept = await self._reservation.keep(self._time_left())
            if not kept:
                refused = PaymentStatus.CANCELED, Reason.ORDER_REFUSED
                await self._end(*(self._verdict() if kept is None else refused))
                return

        saga.undo_with("cancel the intent or give the money back", self._give_back)
        if not await self._open():
            return
        await self._collect()
        if self._state.status is PaymentStatus.SUCCEEDED:
            await self._fulfill(saga)

    async def _open(self) -> bool:
        """Whether there is something to pay with: the gateway may refuse it."""
        try:
            await self._way.open()
        except Refused:
            workflow.logger.exception("the gateway refuses the intent")
            await self._end(PaymentStatus.CANCELED, Reason.GATEWAY_REFUSED)
            return False
        return True

    async def _collect(self) -> None:
        """Attempts, 3DS and waiting, until the payment is over."""
        await self._confirm(self._payment.method)
        while not self._state.is_over:
            try:
                await self._act(await self._next())
            except Refused as refused:
                workflow.logger.exception("the gateway refuses to tell or to cancel")
                await self._park(refused)
                self._watch.looks += 1
        if self._retry_request is not None:
            await self._answer(self._retry_request)
        await self._holding.answer()

    async def _act(self, wake: Wake | RetryRequest | CaptureRequest) -> None:
        match wake:
            case CaptureRequest():
                await self._holding.capture(wake)
            case Wake.LOOK:
                await self._look()
            case Wake.DEADLINE:
                await self._after_the_deadline()
            case RetryRequest():
                await self._try_again(wake)
            case Wake.END:
                await self._give_up()
            case never:
                assert_never(never)

    async def _confirm(self, method: str) -> None:
        if self.is_over():
            return  # canceled, or the hold ended, on the way here: no money is asked for any more
        self._watch.must_look = False
        try:
            answer = await self._way.attempt(method)
        except Refused:
            workflow.logger.exception("the gateway refuses the attempt")
            await self._record.move(
                lambda state, attempt: rules.refused(
                    state, attempt, Reason.GATEWAY_REFUSED, workflow.now()
                )
            )
        else:
            if answer is not None:
                await self._observe(answer)
        self._watch.looks += 1  # who asked for a look has seen one

    async def _look(self) -> None:
        self._watch.must_look = False
        await self._see(await self._way.look())

    async def _see(self, intent: Intent | None) -> None:
        if intent is not None:
            await self._observe(intent)
        self._watch.looks += 1

    async def _observe(self, intent: Intent) -> None:
        """The one place where the gateway's word moves the payment."""
        self._way.intent = intent
        if intent.status is IntentStatus.CANCELED:
            await self._end(*self._canceled_at_gateway())
            return
        before, window = self._state.status, self._payment.policy.action_window
        await self._record.move(
            lambda state, attempt: rules.observed(state, intent, attempt, workflow.now(), window)
        )
        await self._holding.seen(intent)
        self._watch.saw(news=self._state.status is not before)

    async def _after_the_deadline(self) -> None:
        """Look before the judgment: the webhook of a success may be late."""
        self._watch.must_look = False
        is_actions = self._state.status is PaymentStatus.REQUIRES_ACTION
        await self._see(await (self._way.last_look() if is_actions else self._way.look()))
        await self._record.move(
            lambda state, attempt: rules.timed_out(
                state, attempt, decline_for("authentication_timeout"), workflow.now()
            )
        )
        if self._is_to_renew:
            await self._counts(await self._renewal.renew())
        await self._holding.remind()

    @property
    def _is_to_renew(self) -> bool:
        return self._renewal.is_due and not self._holding.is_capturing and not self.is_over()

    async def _counts(self, intent: Intent | None) -> None:
        if intent is not None:
            await self._observe(intent)

    async def _try_again(self, request: RetryRequest) -> None:
        if self._state.status is not PaymentStatus.AWAITING_RETRY:
            await self._answer(request)
            return
        if (
            self._payment.has_order_service
            and await self._reservation.is_kept(self._time_left()) is False
        ):
            await self._give_up(PaymentStatus.CANCELED, Reason.ORDER_REFUSED)
            return
        intent = self._way.intent
        if intent is not None and intent.status is IntentStatus.REQUIRES_ACTION:
            # The customer may have gone on with the old attempt: that must not be taken for the
            # effect of the new one.
            await self._look()
        if self.is_over() or self._state.status is not PaymentStatus.AWAITING_RETRY:
            return
        await self._written_for_the_retry(
            lambda state, _: rules.attempted(
                state,
                request.method,
                workflow.now(),
                actor=request.actor,
                request=request.request,
            )
        )
        await self._confirm(request.method)

    async def _answer(self, request: RetryRequest) -> None:
        """A look has shown that there is nothing to try again: a repeat is to hear the same."""
        await self._written_for_the_retry(
            lambda state, _: rules.answered(
                state, workflow.now(), actor=request.actor, request=request.request
            )
        )

    async def _written_for_the_retry(self, rule: Rule) -> None:
        """The database keeps each key once: what follows is not written with it again."""
        try:
            await self._record.move(rule)
        finally:  # also if the run was canceled: the write is finished even then
            self._retry_request = None

    async def _give_up(
        self, status: PaymentStatus | None = None, reason: Reason | None = None
    ) -> None:
        """End without money - unless the cancel finds that the money has moved: the truth wins."""
        if status is None or reason is None:
            status, reason = self._verdict()
        closed = await self._way.close()
        if closed.is_proved:
            await self._end(status, reason)
            return
        version = self._state.version
        await self._see(closed.intent)
        if self._state.version == version:  # the gateway neither cancels nor tells: not too often
            if closed.intent is None:
                self._watch.saw(news=False)
            await self._watch.next_look()

    async def _end(self, status: PaymentStatus, reason: Reason) -> None:
        """Over without money. The order is let go first, unless that would keep the news back."""
        has_order = self._payment.has_order_service
        is_let_go = not has_order or await self._reservation.let_go_at_once()
        await self._record_end(status, reason)
        if not is_let_go:
            await self._reservation.let_go()

    async def _record_end(self, status: PaymentStatus, reason: Reason) -> None:
        canceled = self._cancel_request if reason is Reason.CANCEL_REQUESTED else None
        asked = canceled or self._retry_request  # a retry that met the end is known by it
        rule = self._written_for_the_retry if asked is self._retry_request else self._record.move
        await rule(
            lambda state, attempt: rules.ended(
                state,
                attempt,
                status,
                reason,
                workflow.now(),
                intent=self._way.intent,
                actor=canceled.actor if canceled else WORKFLOW,
                request=asked.request if asked else None,
            )
        )

    async def _fulfill(self, saga: Saga) -> None:
        self._watch.must_look = False  # the money was seen just now
        await self._settlement.tell_the_shop()
        if self._state.fulfillment is Fulfillment.REFUSED:
            await saga.unwind()

    async def _release(self) -> None:
        has_order = self._payment.has_order_service and self._record.is_written
        taken = self._state.fulfillment is Fulfillment.CONFIRMED
        if has_order and not taken and not self._may_still_be_paid:
            await self._reservation.let_go()

    @property
    def _may_still_be_paid(self) -> bool:
        """The intent could not be closed: somebody may still pay for the order."""
        parked = self._state.status is PaymentStatus.NEEDS_OPERATOR
        intent = self._way.intent
        is_paid = intent is not None and intent.status is IntentStatus.SUCCEEDED
        return parked and not is_paid and not self._way.is_closed

    async def _give_back(self) -> None:
        """Whatever the intent holds goes back to the customer, unless the shop has the order."""
        if not self._state.is_over:
            if not self._way.is_known and not await self._open():
                return
            await self._counts(await self._renewal.settle())
            closed = await self._way.close()
            if closed.is_proved:
                return
            if closed.intent is not None:
                await self._observe(closed.intent)
        if self._state.fulfillment is Fulfillment.PENDING and self._state.amount_captured:
            await self._settlement.ask_the_shop()
        if self._state.fulfillment is not Fulfillment.CONFIRMED:
            await self._settlement.owe_back(Reason.RUN_CANCELED)
            if self._state.amount_refund_pending:
                await self._settlement.give_back()

    async def _record_the_failure(self) -> None:
        """Everything was put back: say so. What could not be put back is left to a person."""
        if self._state.is_over or not self._record.is_written:
            return
        if self._way.is_closed:
            await self._record_end(PaymentStatus.CANCELED, Reason.RUN_CANCELED)
        else:
            await self._park(None)

    async def _leave_to_repair(self) -> None:
        """What a person must decide has a run of its own, which outlives this one.

        So has news of the money that came while the shop took the order: a refund by hand, say.
        """
        has_news = self._state.fulfillment is Fulfillment.CONFIRMED and self._watch.must_look
        if self._record.was_parked or has_news:
            await start_repair(self._state)

    async def _note(self, reason: Reason) -> None:
        await self._record.move(lambda state, _: rules.noted(state, reason, workflow.now()))

    async def _park(self, refused: Refused | None) -> None:
        said = refused.message if refused else "the gateway refuses to cancel the intent"
        await self._record.move(
            lambda state, _: rules.parked(state, Reason.GATEWAY_REFUSED, workflow.now(), said)
        )

    async def _next(self) -> Wake | RetryRequest | CaptureRequest:
        """Wait until there is something to do."""
        deadline, why = self._deadline()
        try:
            await workflow.wait_condition(
                lambda: self._called() is not None,
                timeout=max(deadline, timedelta()),
                timeout_summary=why,
            )
        except TimeoutError:
            return self._called() or Wake.DEADLINE
        return self._called() or Wake.LOOK

    def _called(self) -> Wake | RetryRequest | CaptureRequest | None:
        if self._holding.request is not None:
            return self._holding.request
        at_gateway = self._state.reason is Reason.GATEWAY_PROCESSING
        if not at_gateway and self.is_over():
            return Wake.END
        if self._watch.must_look:
            return Wake.LOOK
        return self._retry_request

    def _deadline(self) -> tuple[timedelta, str]:
        state, now = self._state, workflow.now()
        match state.status:
            case PaymentStatus.REQUIRES_ACTION if state.action_until:
                return state.action_until - now, "the customer's time for 3DS ends"
            case PaymentStatus.AWAITING_RETRY:
                return state.retry_until - now, "the hold ends"
            case PaymentStatus.AUTHORIZED if self._is_to_renew:
                return timedelta(), "the hold is renewed"
            case PaymentStatus.AUTHORIZED:
                return self._holding.next_moment()
            case _:
                return self._watch.pause, "look at the gateway again"

    def is_over(self) -> bool:
        """Whether there is no point in taking the money any more."""
        if self._cancel_request:
            return True
        match self._state.status:
            case PaymentStatus.AWAITING_RETRY:
                return self._state.attempts_left == 0 or self._hold_is_over()
            case PaymentStatus.PROCESSING:
                return self._hold_is_over()
            case PaymentStatus.AUTHORIZED:
                return self._holding.is_over()
            case _:
                return False

    def _time_left(self) -> timedelta:
        """How long there still is a point in taking the money: until the hold ends."""
        return self._state.retry_until - workflow.now()

    def _verdict(self) -> tuple[PaymentStatus, Reason]:
        if self._cancel_request:
            return PaymentStatus.CANCELED, Reason.CANCEL_REQUESTED
        if self._state.status is PaymentStatus.AUTHORIZED:
            return PaymentStatus.EXPIRED, Reason.AUTHORIZATION_OVER
        if self._hold_is_over():
            return PaymentStatus.EXPIRED, Reason.HOLD_OVER
        return PaymentStatus.FAILED, Reason.ATTEMPTS_USED_UP

    def _canceled_at_gateway(self) -> tuple[PaymentStatus, Reason]:
        """By somebody there; or the hold of what was authorized is over."""
        if self._state.capture_until and workflow.now() >= self._state.capture_until:
            return PaymentStatus.EXPIRED, Reason.AUTHORIZATION_OVER
        return PaymentStatus.CANCELED, Reason.CANCELED_AT_GATEWAY

    def _hold_is_over(self) -> bool:
        return workflow.now() >= self._state.retry_until

    async def _state_when(self, condition: Callable[[], bool]) -> PaymentState:
        await workflow.wait_condition(lambda: condition() or self._failure is not None)
        if self._failure is not None and not condition():
            raise self._failure
        return self._state

    async def on_trouble(self, trouble: Trouble, pause: timedelta) -> None:
        """The gateway does not answer: say so where the customer and the operators look."""
        workflow.logger.warning(
            "the gateway does not answer", extra={"trouble": trouble, "again_in": str(pause)}
        )
        if self._state.status is PaymentStatus.PROCESSING:
            await self._note(Reason.GATEWAY_UNREACHABLE)

    async def on_silence(self) -> None:
        """The order service does not answer: say so in the same places."""
        workflow.logger.warning("the order service does not answer")
        await self._note(Reason.ORDER_UNREACHABLE)

    @property
    def _state(self) -> PaymentState:
        return self._record.state


def _order(payment: Payment) -> OrderRef:
    return OrderRef(
        order_id=payment.order_id,
        payment_id=payment.id,
        customer_id=payment.customer_id,
        money=payment.money,
    )
