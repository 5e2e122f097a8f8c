"""A gateway with a page of its own, which remembers what was asked of it."""

from collections.abc import Iterable
from datetime import datetime

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.checkout_orders import (
    CloseSession,
    FoundSession,
    SessionOrder,
    SessionSearch,
)
from paysaga.domain.checkout import CheckoutSession, SessionStatus
from paysaga.domain.intent import Intent, IntentStatus
from paysaga.domain.payment import HostedPage
from tests.fakes import PRICE, FakeGateway

PAGE = HostedPage(
    success_url="https://shop.example/thanks?payment_id=pay_test",
    cancel_url="https://shop.example/basket?payment_id=pay_test",
)


class FakeCheckout(FakeGateway):
    """The activities of `CheckoutCalls`, too: `session` is the last page, `intent` its intent."""

    def __init__(self, troubles: dict[str, Iterable[ApplicationError]] | None = None) -> None:
        super().__init__(troubles=troubles)
        self.sessions: dict[str, CheckoutSession] = {}
        self.pages: dict[int, str] = {}
        self.cannot_expire = False

    @activity.defn
    async def open_session(self, order: SessionOrder) -> CheckoutSession:
        """One attempt has one page, whoever heard of it: by its key, or found by a later one."""
        self._called("open", order)
        if order.attempt not in self.pages:
            self.opens(order.expires_at, attempt=order.attempt)
        return self.sessions[self.pages[order.attempt]]

    def opens(self, expires_at: datetime, *, attempt: int = 1) -> CheckoutSession:
        """There is a page for this attempt now, whoever knows of it."""
        session_id = f"cs_{attempt}"
        self.pages[attempt] = session_id
        self.sessions[session_id] = CheckoutSession(
            id=session_id,
            status=SessionStatus.OPEN,
            url=f"https://gateway.example/c/pay/{session_id}",
            expires_at=expires_at,
            customer_id="cus_1",
        )
        return self.session

    @activity.defn
    async def retrieve_session(self, session_id: str) -> CheckoutSession:
        self._called("look at page", session_id)
        return self.sessions[session_id]

    @activity.defn
    async def close_session(self, order: CloseSession) -> CheckoutSession:
        self._called("expire", order)
        if self.sessions[order.session_id].status is SessionStatus.OPEN and not self.cannot_expire:
            self._session_is(order.session_id, status=SessionStatus.EXPIRED, url=None)
        return self.sessions[order.session_id]

    @activity.defn
    async def find_session(self, search: SessionSearch) -> FoundSession:
        self._called("find page", search)
        session_id = None if self.is_lost else self.pages.get(search.attempt)
        return FoundSession(session=self.sessions[session_id] if session_id else None)

    @property
    def session(self) -> CheckoutSession:
        """The page that was opened last."""
        return list(self.sessions.values())[-1]

    @property
    def open_pages(self) -> int:
        """How many pages somebody could pay on."""
        return [each.status for each in self.sessions.values()].count(SessionStatus.OPEN)

    def customer_does(self, word: str, *, finished: bool = True) -> None:
        """The customer has tried to pay on the last page, and this is what the intent is now."""
        number = len(self.sessions)
        if self.session.intent is None:
            self.intent = Intent(
                id=f"pi_{number}",
                status=IntentStatus.REQUIRES_PAYMENT_METHOD,
                money=PRICE,
                customer_id="cus_1",
            )
        self.becomes(word)
        status = SessionStatus.COMPLETE if finished else self.session.status
        self._session_is(self.session.id, intent=self.intent, status=status)

    def expires(self) -> None:
        """The gateway closes the last page, whose time is over."""
        self._session_is(self.session.id, status=SessionStatus.EXPIRED, url=None)

    def _intent_is(self, status: str, **facts: object) -> None:
        super()._intent_is(status, **facts)
        if self.sessions and self.session.intent is not None:
            self._session_is(self.session.id, intent=self.intent)

    def _session_is(self, session_id: str, **facts: object) -> None:
        self.sessions[session_id] = self.sessions[session_id].model_copy(update=facts)
