"""What a shop asks about its customers' saved payment methods."""

from paysaga.client.answers import SavedMethod, SavedMethodPage
from paysaga.client.calls import Call, Repeat, change, look, part
from paysaga.client.operations import Found, Iteration, Operation, Reading
from paysaga.client.orders import MethodChange, SaveOrder
from paysaga.client.words import SavedMethodStatus


class PaymentMethods:
    """Saved payment methods: the active ones, unless another status is asked for."""

    @Operation
    def save_payment_method(
        self, order: SaveOrder, *, key: str | None = None, customer_address: str | None = None
    ) -> Call[SavedMethod]:
        """Save a means of payment. One that is declined comes back as it was left: `failed`.

        Args:
            order: The gateway's token, and whose it is.
            key: The idempotency key.
            customer_address: The customer's network address, for the guard against card testing.
        """
        path = "/payment-methods"
        return change(SavedMethod, path, order, key=key, customer_address=customer_address)

    @Operation
    def list_payment_methods(
        self,
        *,
        status: SavedMethodStatus | str | None = None,
        customer_id: str | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> Call[SavedMethodPage]:
        """One page of methods, newest first; `after` is `next_after` of the page before."""
        query = {"status": status, "customer_id": customer_id, "after": after, "limit": limit}
        return look(SavedMethodPage, "/payment-methods", query)

    @Iteration
    def payment_methods(
        self, *, status: SavedMethodStatus | str | None = None, customer_id: str | None = None
    ) -> Reading[SavedMethod]:
        """All methods, newest first, however many pages they take."""
        after: str | None = None
        while True:
            query = {"status": status, "customer_id": customer_id, "after": after, "limit": 100}
            page: SavedMethodPage = yield look(SavedMethodPage, "/payment-methods", query)
            for method in page.items:
                yield Found(method)
            after = page.next_after
            if after is None:
                return

    @Operation
    def get_payment_method(self, method_id: str) -> Call[SavedMethod]:
        """The method as it stands."""
        return look(SavedMethod, _method(method_id))

    @Operation
    def refresh_payment_method(self, method_id: str) -> Call[SavedMethod]:
        """Look at the gateway now: the customer has come back from their bank."""
        return look(SavedMethod, f"{_method(method_id)}/refresh", method="POST")

    @Operation
    def change_payment_method(self, method_id: str) -> Call[SavedMethod]:
        """Make it the customer's default, instead of any other.

        It has no key, so it is not repeated once it may have been carried out: a repeat that is
        late would undo the customer's next choice.
        """
        return Call(
            method="PATCH",
            path=_method(method_id),
            answer=SavedMethod,
            repeat=Repeat.NEVER,
            body=MethodChange().sent(),
        )

    @Operation
    def remove_payment_method(self, method_id: str, *, key: str | None = None) -> Call[SavedMethod]:
        """Take it from the customer, for ever."""
        return change(SavedMethod, _method(method_id), key=key, method="DELETE")


def _method(method_id: str) -> str:
    return f"/payment-methods/{part('method_id', method_id)}"
