"""What the gateway has of one payment: its intent, its page and its refunds, found and canceled."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.stripe_orders import CloseOrder, IntentSearch
    from activities.stripe_words import Refunds
    from paysaga.domain import repairs as decisions
    from paysaga.domain.checkout import CheckoutSession, shown_page
    from paysaga.domain.intent import Intent, IntentStatus
    from paysaga.domain.payment import PaymentState
    from paysaga.domain.repairs import Said
    from paysaga.domain.steps import WORKFLOW
    from paysaga.domain.transitions import shown

from workflows.asking import Refused
from workflows.collection import Collection
from workflows.pages import Pages
from workflows.record import Record
from workflows.renewal import let_go_of_the_other


class Evidence:
    """One payment's things at the gateway, whoever made them and whatever the row knows of them."""

    def __init__(self, record: Record, collection: Collection) -> None:
        self._record = record
        self._collection = collection
        self._pages = Pages(collection)

    async def intent(self) -> Intent | None:
        """The payment's intent as it is now; `None` if the gateway has none.

        A page's counts when it has decided something, and is the payment's own once it has money.
        """
        state = self._state
        if state.intent_id is not None:
            return await self._collection.look(state.intent_id)
        if state.is_hosted:
            page = await self.page()
            found = page.outcome if page is not None else None
            if found is not None and found.status is IntentStatus.SUCCEEDED:
                await self._attach(found)
            return found
        found = await self._collection.find(
            IntentSearch(
                payment_id=state.id,
                gateway_customer_id=state.gateway_customer_id,
                ordered_at=state.created_at,
            )
        )
        if found is not None:
            await self._attach(found)
        return found

    async def _attach(self, found: Intent) -> None:
        said = Said(actor=WORKFLOW, note=shown(found))
        await self._record.move(
            lambda state, _: decisions.attached(state, found, workflow.now(), said)
        )

    async def close(self, intent_id: str) -> Intent:
        """Cancel the intent, and answer with what it is then."""
        state = self._state
        return await self._collection.close(
            CloseOrder(payment_id=state.id, intent_id=intent_id, generation=state.version)
        )

    async def let_go_of_the_other(self) -> None:
        """Of two holds one is let go before anything is judged."""
        await let_go_of_the_other(self._record, self._collection)

    async def page(self) -> CheckoutSession | None:
        """The last page of a hosted payment as it is now; `None` if the gateway has none."""
        return await self._pages.last_of(self._state)

    async def what_is_open(self, but: str | None = None) -> str | None:
        """What could still take money, or has, when all is canceled that can be.

        A page is closed, then an intent of it canceled that holds money, and so is one that was
        attached by hand. The intent `but` stays as it is.
        """
        state, page = self._state, None
        found: list[Intent | None] = []
        if state.is_hosted and (page := await self.page()) is not None:
            page = await self._pages.close_of(state, page)
            if not page.is_without_money:
                if page.outcome is None:
                    return shown_page(page)
                # Of a page's intents the gateway cancels only those that hold money.
                is_held = page.outcome.status is IntentStatus.REQUIRES_CAPTURE
                if not is_held and page.outcome.id != but:
                    return shown(page.outcome)
                found = [page.outcome]
        of_the_page = page.intent.id if page is not None and page.intent is not None else None
        if not state.is_hosted or state.intent_id not in {None, of_the_page}:
            found.append(await self.intent())
        for intent in found:
            if intent is not None and intent.id != but:
                closed = await self.close(intent.id)
                if closed.status is not IntentStatus.CANCELED:
                    return shown(closed)
        return None

    async def refunds(self) -> Refunds:
        """All refunds of the payment's intent.

        Raises:
            Refused: It has none, or the gateway will not show them.
        """
        if self._state.intent_id is None:
            raise Refused("the payment has no intent: there is nothing to refund")
        return await self._collection.refunds(self._state.intent_id)

    async def show(self, intent_id: str) -> Intent | None:
        """An intent, whosever it is."""
        return await self._collection.look(intent_id)

    @property
    def _state(self) -> PaymentState:
        return self._record.state
