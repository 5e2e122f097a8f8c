"""Bugs that a payment service has had somewhere, planted one at a time: each must be caught.

A bug is a variant of one of our own classes, given to a worker or an API of its own.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, ClassVar
from uuid import uuid4

import stripe
from fastapi import FastAPI
from sqlalchemy import insert
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.checkout_calls import CheckoutCalls
from activities.checkout_orders import CloseSession
from activities.errors import Trouble
from activities.orders import OrderAnswer, OrderRef, Orders
from activities.records import Records
from activities.stripe_calls import StripeCalls
from activities.stripe_orders import CloseOrder, ConfirmOrder, IntentOrder, RefundOrder
from activities.stripe_words import Refund, as_refund
from api.app import create_app
from paysaga.database.rows import transfer_columns
from paysaga.database.tables import TRANSFERS
from paysaga.domain.checkout import CheckoutSession, SessionStatus
from paysaga.domain.intent import Intent, IntentStatus
from paysaga.domain.money import Money
from paysaga.domain.payment import Changes, Recorded
from paysaga.incoming import Incoming
from paysaga.settings import Settings


class NewKeyPerRetry(StripeCalls):
    """The key is drawn when the call is made, so a repeat is another call to the gateway."""

    async def _make_intent(self, order: IntentOrder, customer: str, step: str) -> Intent:
        return await super()._make_intent(order, customer, f"{step}:{uuid4().hex}")


class BlindRetryAfter500(StripeCalls):
    """A 500 is taken for "nothing happened": the same again, under the next key, at once."""

    async def _make_intent(self, order: IntentOrder, customer: str, step: str) -> Intent:
        try:
            return await super()._make_intent(order, customer, step)
        except stripe.APIError:
            return await super()._make_intent(order, customer, f"{step}:1")


class TimeoutIsFailure(StripeCalls):
    """Who does not answer has not taken the money, says this one."""

    @activity.defn
    async def confirm_intent(self, order: ConfirmOrder) -> Intent:
        try:
            return await super().confirm_intent(order)
        except ApplicationError as error:
            if error.type != Trouble.UNREACHABLE:
                raise
            none = Money(minor=1, currency="EUR")
            return Intent(id=order.intent_id, status=IntentStatus.CANCELED, money=none)


class FloatMoney(StripeCalls):
    """Amounts go through a float on their way: 19.99 becomes 1998 cents."""

    async def _make_intent(self, order: IntentOrder, customer: str, step: str) -> Intent:
        cents = int(float(order.money.major) * 100)
        lossy = order.model_copy(update={"money": order.money.model_copy(update={"minor": cents})})
        return await super()._make_intent(lossy, customer, step)


class RefundWithoutCap(StripeCalls):
    """Gives back whatever it is told, and here it is told too much."""

    @activity.defn
    async def refund_intent(self, order: RefundOrder) -> Refund:
        generous = order.model_copy(update={"money": order.money + order.money})
        return await super().refund_intent(generous)


class CompensationTwice(StripeCalls):
    """The refund is asked for anew whenever its answer was lost."""

    @activity.defn
    async def refund_intent(self, order: RefundOrder) -> Refund:
        half = order.money.minor // 2
        try:
            return as_refund(await self._give(order, half))
        except stripe.APIConnectionError:
            return as_refund(await self._give(order, half))

    async def _give(self, order: RefundOrder, amount: int) -> stripe.Refund:
        return await self._refunds.create_async(
            {
                "payment_intent": order.intent_id,
                "amount": amount,
                "metadata": {"payment_id": order.payment_id},
            },
            {"idempotency_key": f"{order.payment_id}:give_back:{uuid4().hex}"},
        )


class CancelWithoutProof(StripeCalls):
    """Says that the intent is canceled, and forgets to ask."""

    @activity.defn
    async def close_intent(self, order: CloseOrder) -> Intent:
        intent = await self.retrieve_intent(order.intent_id)
        return intent.model_copy(update={"status": IntentStatus.CANCELED})


class LedgerApart(Records):
    """State first, ledger in a transaction of its own; and the process dies in between."""

    deaths: ClassVar[int] = 1

    def __init__(self, sessions: Any) -> None:
        super().__init__(sessions)
        self._deaths_left = self.deaths

    @activity.defn
    async def record(self, batch: Changes) -> Recorded | None:
        stateless = [change.model_copy(update={"transfers": ()}) for change in batch.changes]
        recorded = await super().record(Changes(changes=tuple(stateless)))
        rows = [row for change in batch.changes for row in transfer_columns(change)]
        if rows and recorded is None:
            if self._deaths_left:
                self._deaths_left -= 1
                raise ConnectionError("the process died here")
            async with self._sessions.begin() as session:
                await session.execute(insert(TRANSFERS), rows)
        return recorded


class PageLeftOpen(CheckoutCalls):
    """Takes its own wish for the gateway's deed."""

    @activity.defn
    async def close_session(self, order: CloseSession) -> CheckoutSession:
        page = await self.retrieve_session(order.session_id)
        return page.model_copy(update={"status": SessionStatus.EXPIRED})


class OrderNotKept(Orders):
    """Takes the shop's yes for granted."""

    @activity.defn
    async def reserve(self, ref: OrderRef) -> OrderAnswer:
        return OrderAnswer(accepted=True)


class StoredLater(Incoming):
    """Acknowledges first, and means to store afterwards; the process does not live that long."""

    async def take(self, payload: bytes) -> str:
        return "kept"


def hasty_api(settings: Settings) -> FastAPI:
    """The API that takes events in so."""
    app = create_app(settings)
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with inner(app):
            connections = app.state.connections
            known = connections.incoming
            incoming = StoredLater(known._inbox._sessions, known._nudging, settings)
            app.state.connections = replace(connections, incoming=incoming)
            yield

    app.router.lifespan_context = lifespan
    return app
