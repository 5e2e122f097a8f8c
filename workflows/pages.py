"""The gateway's hosted pages: opened, looked at, closed, found."""

from collections.abc import Callable

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.checkout_calls import CheckoutCalls
    from activities.checkout_orders import CloseSession, SessionOrder, SessionSearch
    from paysaga.domain.checkout import CheckoutSession
    from paysaga.domain.payment import PaymentState

from workflows import policies
from workflows.asking import Tries
from workflows.collection import Collection

OrderOf = Callable[[Tries], SessionOrder]


class Pages:
    """One payment's pages. A call that is not answered is asked again, as in `Collection`.

    Each call is one activity when all is well.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def open(
        self, order: OrderOf, told: str, is_over: Callable[[], bool], tries: Tries
    ) -> CheckoutSession | None:
        """Open a page; `None` if the bill was over before it was known."""
        return await self._collection.ask_while(
            CheckoutCalls.open_session, order, told, is_over, tries=tries
        )

    async def learn(self, order: OrderOf, tries: Tries) -> CheckoutSession:
        """The page that was asked for with these keys, however long the answer takes."""
        return await self._collection.ask(
            CheckoutCalls.open_session, order, "learn of the hosted page", tries
        )

    async def look(self, session_id: str, is_over: Callable[[], bool]) -> CheckoutSession | None:
        """Read the page; `None` if the bill was over before the gateway answered."""
        return await self._collection.ask_while(
            CheckoutCalls.retrieve_session, lambda _: session_id, f"look at {session_id}", is_over
        )

    async def close(self, order: CloseSession) -> CheckoutSession:
        """Expire the page, unless somebody has paid on it, however long that takes."""
        return await self._collection.ask(
            CheckoutCalls.close_session,
            lambda tries: order.model_copy(
                update={"generation": order.generation + tries.generation}
            ),
            f"close {order.session_id}",
        )

    async def find(self, search: SessionSearch) -> CheckoutSession | None:
        """The page of an attempt that does not know it; absence is believed after a while."""
        found = await self._find(search)
        if found is None:
            await workflow.sleep(policies.SETTLING, summary="is there really no page?")
            found = await self._find(search)
        return found

    async def last_of(self, state: PaymentState) -> CheckoutSession | None:
        """The last page of a payment whose run is gone; `None` if the gateway has none."""
        if state.session_id is not None:
            return await self.look(state.session_id, _never)
        return await self.find(
            SessionSearch(
                payment_id=state.id,
                attempt=state.attempts_used,
                gateway_customer_id=state.gateway_customer_id,
                ordered_at=state.created_at,
            )
        )

    async def close_of(self, state: PaymentState, page: CheckoutSession) -> CheckoutSession:
        """Close a page of that payment."""
        return await self.close(
            CloseSession(payment_id=state.id, session_id=page.id, generation=state.version)
        )

    async def _find(self, search: SessionSearch) -> CheckoutSession | None:
        found = await self._collection.ask(
            CheckoutCalls.find_session,
            lambda tries: search.model_copy(update={"searched_to": tries.searched_to}),
            f"look for the page of {search.payment_id}",
        )
        return found.session


def _never() -> bool:
    return False
