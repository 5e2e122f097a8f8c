"""What a caller may ask of a payment that is under way: try again, give up, look."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from fastapi import Response

from api.answers import is_refused_by_a_bank, outcome, payment_view, replayed
from api.bodies import CaptureBody, RetryOrder
from api.chosen import check_renewable
from api.connections import Connections
from api.identity import Caller
from api.refusals import (
    AlreadySucceeded,
    CaptureRefused,
    Invalid,
    KeyReused,
    NotCancelable,
    NotCapturable,
    NotRetryable,
    Refusal,
)
from api.views import PaymentView
from api.visible import order_taken
from paysaga.domain import ids
from paysaga.domain.gateway_event import waits
from paysaga.domain.money import check_chargeable
from paysaga.domain.payment import PaymentState, PaymentStatus, RequestMark
from paysaga.starting.calls import KeyTaken, NoAnswerYet, NotTaken, OrderTaken, RunOver
from paysaga.starting.methods import chosen
from paysaga.starting.orders import Body
from workflows.requests import CancelRequest, CaptureRequest, RetryRequest

# What to do about an attempt that the customer has not finished.
_STILL_OPEN: Final = (
    "The last attempt still waits for the customer: send them to its page (next_action.url or"
    " checkout_url), or cancel the payment to have the order paid in another way."
)


class Changing:
    """One caller's requests about one payment."""

    def __init__(
        self, here: Connections, caller: Caller, state: PaymentState, response: Response
    ) -> None:
        self._here = here
        self._caller = caller
        self._state = state
        self._response = response

    async def retry(self, order: RetryOrder, key: str, address: str | None) -> PaymentView:
        """Another attempt."""
        mark = self._mark("retry", order, key)
        if await self._is_known(mark):
            return replayed(self._view(self._state), self._response)
        if not _takes_an_attempt(self._state):
            raise self._not_retryable(self._state)
        method = await self._method(order)
        known = None if self._state.is_hosted else method
        await self._here.declines.check(self._state.customer_id, known, address)
        await self._here.attempts.count(self._state.customer_id, mark.fingerprint)
        request = RetryRequest(
            method=method,
            actor=self._caller.actor,
            request=mark,
        )
        try:
            state = await self._here.runs.retry(self._state.id, request)
        except KeyTaken as error:
            raise KeyReused from error
        except OrderTaken as taken:
            raise await order_taken(self._here, self._caller, taken.payment_id) from taken
        except (NotTaken, RunOver) as error:
            raise self._not_retryable(await self._now()) from error
        except NoAnswerYet:
            return self._later(await self._now())
        if is_refused_by_a_bank(state):
            await self._here.declines.declined(state.id, state.attempts_used, address)
        return outcome(self._view(state), state, self._response, HTTPStatus.OK)

    async def capture(self, order: CaptureBody, key: str) -> PaymentView:
        """Take what is held, or part of it."""
        mark = self._mark("capture", order, key)
        if await self._is_known(mark):
            return replayed(self._view(self._state), self._response)
        state = self._state
        if state.status is not PaymentStatus.AUTHORIZED:
            raise self._refusal(NotCapturable, state)
        if order.amount is not None and order.amount > state.amount_authorized:
            held = state.money.model_copy(update={"minor": state.amount_authorized})
            raise Invalid("amount", f"No more than {held} is held.")
        part = state.money.model_copy(update={"minor": order.amount or state.amount_authorized})
        check_chargeable(part)
        request = CaptureRequest(amount=order.amount, actor=self._caller.actor, request=mark)
        try:
            state = await self._here.runs.capture(state.id, request)
        except KeyTaken as error:
            raise KeyReused from error
        except (NotTaken, RunOver) as error:
            raise self._refusal(NotCapturable, await self._now()) from error
        except NoAnswerYet:
            return self._later(await self._now())
        if state.amount_to_capture is not None and not state.is_over:
            return self._later(state)  # the gateway is still at it
        if state.status is not PaymentStatus.SUCCEEDED:
            raise self._refusal(CaptureRefused, state)
        return self._view(state)

    async def cancel(self, key: str) -> PaymentView:
        """Give up. The answer is what the payment is then; money that moved stays moved."""
        mark = self._mark("cancel", None, key)
        if await self._is_known(mark):
            return replayed(self._view(self._state), self._response)
        if self._state.is_over:
            return self._canceled(self._state)
        request = CancelRequest(actor=self._caller.actor, request=mark)
        try:
            state = await self._here.runs.cancel(self._state.id, request)
        except KeyTaken as error:
            raise KeyReused from error
        except OrderTaken as taken:
            raise await order_taken(self._here, self._caller, taken.payment_id) from taken
        except (NotTaken, RunOver) as error:
            state = await self._now()
            if not state.is_over:  # nobody has taken it: not accepted, so not 202
                raise self._refusal(NotCancelable, state) from error
        except NoAnswerYet:
            state = await self._now()
        return self._canceled(state)

    async def refresh(self) -> PaymentView:
        """Look at the gateway now, if that could tell anything.

        A parked payment is the operators': it is told as it stands.
        """
        if not waits(self._state) or self._state.status is PaymentStatus.NEEDS_OPERATOR:
            return self._view(self._state)
        try:
            return self._view(await self._here.runs.refresh(self._state.id))
        except (NotTaken, RunOver, OrderTaken, NoAnswerYet):
            return self._view(await self._now())

    def _mark(self, step: str, body: Body | None, key: str) -> RequestMark:
        """The key is part of the fingerprint, which is also the Update's id."""
        about = (step, self._state.id, key)
        return RequestMark(
            key=ids.fingerprint(key),
            fingerprint=body.fingerprint(*about) if body else ids.fingerprint(*about),
        )

    async def _is_known(self, mark: RequestMark) -> bool:
        known = await self._here.reads.request(self._state.id, mark.key)
        if known is not None and known.fingerprint != mark.fingerprint:
            raise KeyReused
        return known is not None

    async def _method(self, order: RetryOrder) -> str:
        method_id = order.payment_method_id
        if method_id is None:
            method_id = (await self._here.reads.attempts(self._state.id))[-1].method
        elif self._state.is_hosted:
            why = "It is chosen on the payment page: leave it out."
            raise Invalid("payment_method_id", why)
        method = await chosen(self._here.methods, self._state.customer_id, method_id)
        if self._state.renew_hold_until is not None:
            check_renewable(method)
        return method.token

    async def _now(self) -> PaymentState:
        return await self._here.reads.payment(self._state.id) or self._state

    def _canceled(self, state: PaymentState) -> PaymentView:
        match state.status:
            case PaymentStatus.SUCCEEDED:
                raise self._refusal(AlreadySucceeded, state)
            case PaymentStatus.CANCELED | PaymentStatus.FAILED | PaymentStatus.EXPIRED:
                return self._view(state)
            case PaymentStatus.NEEDS_OPERATOR:
                raise self._refusal(NotCancelable, state)
        return self._later(state)

    def _later(self, state: PaymentState) -> PaymentView:
        self._response.status_code = HTTPStatus.ACCEPTED
        self._response.headers["Location"] = self._view(state).links.self
        return self._view(state)

    def _not_retryable(self, state: PaymentState) -> Refusal:
        is_open = state.status is PaymentStatus.REQUIRES_ACTION
        return NotRetryable(_STILL_OPEN if is_open else None, payment=self._view(state))

    def _refusal(self, kind: type[Refusal], state: PaymentState) -> Refusal:
        return kind(payment=self._view(state))

    def _view(self, state: PaymentState) -> PaymentView:
        return payment_view(self._here.settings, self._caller, state)


def _takes_an_attempt(state: PaymentState) -> bool:
    return (
        state.status is PaymentStatus.AWAITING_RETRY
        and state.attempts_left > 0
        and datetime.now(UTC) < state.retry_until
    )
