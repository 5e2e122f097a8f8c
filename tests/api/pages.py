"""The gateway's hosted pages in the API's tests: one for each attempt of each payment."""

from typing import Protocol

from temporalio import activity

from activities.checkout_orders import (
    CloseSession,
    FoundSession,
    SessionOrder,
    SessionSearch,
)
from paysaga.domain.checkout import CheckoutSession, SessionStatus
from paysaga.domain.intent import Intent, IntentStatus


class Intents(Protocol):
    """The gateway behind the pages."""

    def knows(self, intent: Intent) -> None: ...
    def becomes(self, payment_id: str, word: str) -> Intent: ...


class Pages:
    """The activities of `CheckoutCalls`. What becomes of a page is the test's word."""

    def __init__(self, intents: Intents) -> None:
        self.orders: dict[str, SessionOrder] = {}
        self._intents = intents
        self._sessions: dict[str, CheckoutSession] = {}

    @activity.defn
    async def open_session(self, order: SessionOrder) -> CheckoutSession:
        session_id = f"cs_{order.payment_id.removeprefix('pay_')}_{order.attempt}"
        self.orders[session_id] = order
        self._sessions[session_id] = CheckoutSession(
            id=session_id,
            status=SessionStatus.OPEN,
            url=f"https://gateway.example/c/pay/{session_id}",
            expires_at=order.expires_at,
            customer_id=f"cus_{order.customer_id}",
        )
        return self._sessions[session_id]

    @activity.defn
    async def retrieve_session(self, session_id: str) -> CheckoutSession:
        return self._sessions[session_id]

    @activity.defn
    async def close_session(self, order: CloseSession) -> CheckoutSession:
        if self._sessions[order.session_id].status is SessionStatus.OPEN:
            self._is(order.session_id, status=SessionStatus.EXPIRED, url=None)
        return self._sessions[order.session_id]

    @activity.defn
    async def find_session(self, search: SessionSearch) -> FoundSession:
        session_id = f"cs_{search.payment_id.removeprefix('pay_')}_{search.attempt}"
        return FoundSession(session=self._sessions.get(session_id))

    def pays(self, session_id: str, word: str) -> None:
        """The customer has done their part on the page, and this is what came of it."""
        order = self.orders[session_id]
        self._intents.knows(
            Intent(
                id=f"pi_{order.payment_id.removeprefix('pay_')}",
                status=IntentStatus.REQUIRES_PAYMENT_METHOD,
                money=order.money,
                customer_id=f"cus_{order.customer_id}",
            )
        )
        intent = self._intents.becomes(order.payment_id, word)
        self._is(session_id, intent=intent, status=SessionStatus.COMPLETE)

    def expires(self, session_id: str) -> None:
        """The page's time is over."""
        self._is(session_id, status=SessionStatus.EXPIRED, url=None)

    def _is(self, session_id: str, **facts: object) -> None:
        self._sessions[session_id] = self._sessions[session_id].model_copy(update=facts)
