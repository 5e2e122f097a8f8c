"""Payments over HTTP. The Idempotency-Key names the payment, so a repeat rejoins it."""

import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Body, Query, Request, Response
from fastapi.responses import RedirectResponse

from api.answers import outcome, payment_view, quote_view, replayed
from api.bodies import (
    PAYMENT_ID_PATTERN,
    CaptureBody,
    IdempotencyKey,
    PaymentFilter,
    QuoteQuestion,
    RetryOrder,
    StatusQuestion,
)
from api.changing import Changing
from api.connections import Here
from api.declines import CustomerAddress
from api.documents import READ, SEEN, attempted, changed, problems
from api.refusals import Forbidden, Missing
from api.returning import back_to_the_shop
from api.starting import Start
from api.views import (
    AttemptView,
    HistoryEntry,
    HistoryView,
    PaymentPage,
    PaymentView,
    RefundQuoteView,
    StatusView,
)
from api.visible import Merchant, Payer, PaymentId, VisiblePayment, Who
from paysaga.domain.reasons import Reason
from paysaga.domain.refund_policy import Asker
from paysaga.domain.refund_quote import quoted
from paysaga.starting.orders import CheckoutOrder, PaymentOrder

router: Final = APIRouter(prefix="/payments", tags=["payments"])


@router.post(
    "",
    operation_id="start_payment",
    status_code=HTTPStatus.CREATED,
    responses=attempted(PaymentView),
)
async def start_payment(
    request: Request,
    response: Response,
    here: Here,
    who: Payer,
    key: IdempotencyKey,
    address: CustomerAddress,
    order: PaymentOrder,
) -> PaymentView:
    """Pay an order, and answer with the first outcome, or with 202 while there is none."""
    start = Start(here, who, order, key, request.state.correlation_id)
    return await _started(start, address, response)


@router.post(
    "/checkout-session",
    operation_id="start_checkout",
    status_code=HTTPStatus.CREATED,
    responses=attempted(PaymentView),
)
async def start_checkout(
    request: Request,
    response: Response,
    here: Here,
    who: Payer,
    key: IdempotencyKey,
    address: CustomerAddress,
    order: CheckoutOrder,
) -> PaymentView:
    """Pay an order on the gateway's page: the customer's browser goes to `checkout_url`.

    The page lives for half an hour. When it is over without money, `retry` opens a new one.
    """
    start = Start(here, who, order, key, request.state.correlation_id)
    return await _started(start, address, response)


async def _started(start: Start, address: str | None, response: Response) -> PaymentView:
    if known := await start.known():
        return replayed(start.view(known), response)
    state = await start.carry_out(address)
    return outcome(start.view(state), state, response, HTTPStatus.CREATED)


@router.get("", operation_id="list_payments", responses=READ)
async def list_payments(
    here: Here, who: Who, wanted: Annotated[PaymentFilter, Query()]
) -> PaymentPage:
    """The caller's payments (everybody's for the shop), newest first."""
    page = await here.reads.payments(
        customer_id=who.only_customer or wanted.customer_id,
        status=wanted.status,
        order_id=wanted.order_id,
        after=wanted.after,
        limit=wanted.limit,
    )
    items = [payment_view(here.settings, who, state) for state in page.payments]
    return PaymentPage(items=items, next_after=page.next)


@router.get("/{payment_id}", operation_id="get_payment", responses=SEEN)
async def get_payment(here: Here, who: Who, payment: VisiblePayment) -> PaymentView:
    """The payment as it stands."""
    return payment_view(here.settings, who, payment)


@router.get("/{payment_id}/status", operation_id="get_payment_status", responses=SEEN)
async def get_payment_status(
    here: Here, payment: VisiblePayment, wanted: Annotated[StatusQuestion, Query()]
) -> StatusView:
    """Where the payment stands: what a page that waits needs.

    With `wait` the answer comes as soon as the payment goes beyond `version` (without it: beyond
    where it stands), or when the seconds are over, or at once if nothing is going to happen.
    """
    return StatusView.of(await here.waiting.awaited(payment, wanted.version, wanted.wait))


@router.get("/{payment_id}/history", operation_id="get_payment_history", responses=SEEN)
async def get_payment_history(here: Here, who: Who, payment: VisiblePayment) -> HistoryView:
    """Every change of the payment, and its attempts. Customers see roles, the shop sees names."""
    entries = await here.reads.history(payment.id)
    attempts = await here.reads.attempts(payment.id)
    shown = [HistoryEntry.model_validate(entry, from_attributes=True) for entry in entries]
    if who.only_customer:
        shown = [
            entry.model_copy(update={"actor": entry.actor.partition(":")[0], "note": None})
            for entry in shown
        ]
    return HistoryView(payment_id=payment.id, entries=shown, attempts=AttemptView.all_of(attempts))


@router.get("/{payment_id}/refund-quote", operation_id="quote_refund", responses=SEEN)
async def quote_refund(
    here: Here, who: Who, payment: VisiblePayment, wanted: Annotated[QuoteQuestion, Query()]
) -> RefundQuoteView:
    """What goes back if a refund is asked for now, and why. Nothing is promised by asking."""
    own = Asker.CUSTOMER if who.only_customer else Asker.SHOP
    asked_by = wanted.asked_by or own
    if own is Asker.CUSTOMER is not asked_by:
        raise Forbidden("What the shop may give back is not told to customers.")
    pinned = payment.refund_policy_id
    policy = await here.reads.refund_policy(pinned) if pinned else None
    terms = policy or here.settings.refund_policy
    history = await here.reads.history(payment.id)
    elsewhere = any(entry.reason is Reason.REFUND_ABANDONED for entry in history)
    at = datetime.now(UTC)
    quote = quoted(payment, terms, asked_by, at, settled_elsewhere=elsewhere)
    return quote_view(payment.id, quote, terms.name, at)


@router.post(
    "/{payment_id}/retry",
    operation_id="retry_payment",
    responses=attempted(PaymentView),
)
async def retry_payment(
    response: Response,
    here: Here,
    who: Payer,
    payment: VisiblePayment,
    key: IdempotencyKey,
    address: CustomerAddress,
    order: Annotated[RetryOrder, Body(default_factory=RetryOrder)],
) -> PaymentView:
    """Another attempt, with the same or another payment method."""
    return await Changing(here, who, payment, response).retry(order, key, address)


@router.post(
    "/{payment_id}/capture",
    operation_id="capture_payment",
    responses=changed(PaymentView) | problems(404),
)
async def capture_payment(
    response: Response,
    here: Here,
    who: Merchant,
    payment: VisiblePayment,
    key: IdempotencyKey,
    order: Annotated[CaptureBody, Body(default_factory=CaptureBody)],
) -> PaymentView:
    """Take what is held, or part of it: the rest is let go. A hold is captured once."""
    return await Changing(here, who, payment, response).capture(order, key)


@router.post(
    "/{payment_id}/cancel",
    operation_id="cancel_payment",
    responses=changed(PaymentView) | problems(404),
)
async def cancel_payment(
    response: Response, here: Here, who: Who, payment: VisiblePayment, key: IdempotencyKey
) -> PaymentView:
    """Give the payment up; 202 while it is not known whether the money has moved."""
    return await Changing(here, who, payment, response).cancel(key)


@router.post("/{payment_id}/refresh", operation_id="refresh_payment", responses=SEEN)
async def refresh_payment(
    response: Response, here: Here, who: Who, payment: VisiblePayment
) -> PaymentView:
    """Look at the gateway now. The shop calls it when the customer comes back from 3DS."""
    return await Changing(here, who, payment, response).refresh()


@router.get(
    "/{payment_id}/return",
    operation_id="return_from_gateway",
    status_code=HTTPStatus.SEE_OTHER,
    response_class=RedirectResponse,
    responses=problems(404, 503),
)
async def return_from_gateway(here: Here, payment_id: PaymentId) -> RedirectResponse:
    """The gateway sends the customer's browser here; it goes on to the shop, with our id only.

    It asks nothing of the run: whoever knows an address without a token could ask without end.
    The shop's page calls `refresh`.
    """
    if not re.fullmatch(PAYMENT_ID_PATTERN, payment_id):
        raise Missing
    payment = await here.reads.payment(payment_id)
    if payment is None:
        raise Missing
    return back_to_the_shop(payment.return_url, "payment_id", payment.id)
