"""Paying on the gateway's own page: one open page at a time, proved closed before the next."""

from collections.abc import Callable

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.checkout_orders import CloseSession, SessionOrder
    from activities.stripe_orders import CloseOrder
    from paysaga.domain import checkout as rules
    from paysaga.domain.checkout import CheckoutSession
    from paysaga.domain.intent import Intent, IntentStatus
    from paysaga.domain.payment import HostedPage, Payment

from workflows.asking import Refused, Tries
from workflows.collection import Collection
from workflows.pages import Pages
from workflows.record import Record
from workflows.watch import Watch
from workflows.ways import Closed


class HostedCheckout:
    """Each attempt is a Checkout Session, whose intent the gateway makes when somebody pays."""

    def __init__(
        self,
        payment: Payment,
        page: HostedPage,
        record: Record,
        collection: Collection,
        watch: Watch,
        is_over: Callable[[], bool],
    ) -> None:
        self.intent: Intent | None = None
        self._payment = payment
        self._page = page
        self._record = record
        self._collection = collection
        self._pages = Pages(collection)
        self._watch = watch
        self._is_over = is_over
        self._session: CheckoutSession | None = None
        self._opening: Tries | None = None  # a page was asked for, and nobody knows what came of it
        self._closes = 0

    @property
    def is_known(self) -> bool:
        """Whether each page that was asked for is known."""
        return self._opening is None

    @property
    def is_closed(self) -> bool:
        """Whether there is no page, or one on which nobody can pay any more."""
        return self.is_known and (self._session is None or self._session.is_without_money)

    async def open(self) -> None:
        """Learn of the page that was asked for, if nobody knows what came of that."""
        tries = self._opening
        if tries is None:
            return
        try:
            self._session = await self._pages.learn(self._order, tries)
        except Refused:
            workflow.logger.exception("the gateway has no page of this attempt")
        self._opening = None

    async def attempt(self, method: str) -> Intent | None:  # noqa: ARG002 - the page asks for it
        """Open a page: what becomes of it is the customer's, who pays with whatever they like."""
        if not self.is_closed:
            raise AssertionError("a page was to be opened beside one that may still be paid")
        self.intent = self._session = None
        self._opening = Tries(workflow.now())
        told = f"attempt {self._record.attempt.number}: open the hosted page"
        try:
            self._session = await self._pages.open(self._order, told, self._is_over, self._opening)
        except Refused:
            self._opening = None
            raise
        session = self._session
        if session is not None:
            self._opening = None
            await self._record.move(
                lambda state, attempt: rules.page_opened(state, session, attempt, workflow.now())
            )
        return None

    async def look(self) -> Intent | None:
        """Read the page and its intent."""
        if self._session is None:
            return None
        session = await self._pages.look(self._session.id, self._is_over)
        return await self._seen(session) if session is not None else None

    async def last_look(self) -> Intent | None:
        """Close the page: the customer's time is over, and the next one needs a proof of that."""
        if self._session is None:
            raise AssertionError("the time of a page is over that was never opened")
        session = await self._expired(self._session.id)
        intent = await self._seen(session)
        if intent is not None or session.is_without_money:
            return intent
        self._watch.saw(news=False)  # neither closed nor told
        await self._watch.next_look(self._is_over)
        return await self.look()

    async def close(self) -> Closed:
        """Close the page; let go what it holds."""
        await self.open()
        if self._session is None:
            return Closed(is_proved=True)
        session = await self._expired(self._session.id)
        self._session = session
        if session.is_without_money:
            return Closed(is_proved=True)
        intent = session.outcome
        if intent is not None and intent.status is IntentStatus.REQUIRES_CAPTURE:
            order = CloseOrder(
                payment_id=self._payment.id, intent_id=intent.id, generation=self._closes
            )
            intent = await self._collection.close(order)
            self._session = session.model_copy(update={"intent": intent})
            self.intent = intent
        return Closed(intent is not None and intent.status is IntentStatus.CANCELED, intent)

    async def _expired(self, session_id: str) -> CheckoutSession:
        order = CloseSession(
            payment_id=self._payment.id, session_id=session_id, generation=self._closes
        )
        self._closes += 1
        return await self._pages.close(order)

    async def _seen(self, session: CheckoutSession) -> Intent | None:
        """What the page tells of the money; one that is over without any ends the attempt."""
        self._session = session
        if session.outcome is None and session.is_without_money:
            await self._record.move(
                lambda state, attempt: rules.page_expired(state, attempt, workflow.now())
            )
        return session.outcome

    def _order(self, tries: Tries) -> SessionOrder:
        payment, page, state = self._payment, self._page, self._record.state
        return SessionOrder(
            payment_id=payment.id,
            order_id=payment.order_id,
            attempt=self._record.attempt.number,
            customer_id=payment.customer_id,
            gateway_customer_id=state.gateway_customer_id,
            money=payment.money,
            description=payment.description,
            statement_descriptor_suffix=payment.statement_descriptor_suffix,
            capture_method=payment.capture_method,
            environment=payment.environment,
            correlation_id=payment.correlation_id,
            success_url=page.success_url,
            cancel_url=page.cancel_url,
            expires_at=tries.key_since + rules.LIFE + rules.LONGER_AT_THE_GATEWAY,
            ordered_at=state.created_at,
            generation=tries.generation,
            customer_generation=tries.customer_generation,
            searched_to=tries.searched_to,
        )
