"""What a shop asks about payments. The operations' names are those of the API's own document."""

from paysaga.client.answers import History, Payment, PaymentPage, PaymentStanding, RefundQuote
from paysaga.client.calls import Call, change, look, part
from paysaga.client.operations import Found, Iteration, Operation, Reading
from paysaga.client.orders import CaptureOrder, CheckoutOrder, PaymentOrder, RetryOrder
from paysaga.client.words import Asker, PaymentStatus


class Payments:
    """Payments by their own id, and by the shop's order id.

    What changes something takes a `key`; without one each call makes a new one. Give your own, and
    write it down before, if the call may be made again after your process has ended.
    """

    @Operation
    def start_payment(
        self, order: PaymentOrder, *, key: str | None = None, customer_address: str | None = None
    ) -> Call[Payment]:
        """Pay an order. A decline comes back as the payment that it left.

        Args:
            order: What is to be paid, with what.
            key: The idempotency key.
            customer_address: The customer's network address, for the guard against card testing.
        """
        return change(Payment, "/payments", order, key=key, customer_address=customer_address)

    @Operation
    def start_checkout(
        self, order: CheckoutOrder, *, key: str | None = None, customer_address: str | None = None
    ) -> Call[Payment]:
        """Have an order paid on the gateway's page: the customer's browser goes to `checkout_url`.

        Args:
            order: What is to be paid.
            key: The idempotency key.
            customer_address: The customer's network address, for the guard against card testing.
        """
        path = "/payments/checkout-session"
        return change(Payment, path, order, key=key, customer_address=customer_address)

    @Operation
    def list_payments(
        self,
        *,
        status: PaymentStatus | str | None = None,
        order_id: str | None = None,
        customer_id: str | None = None,
        after: str | None = None,
        limit: int | None = None,
    ) -> Call[PaymentPage]:
        """One page of payments, newest first; `after` is `next_after` of the page before."""
        query = {
            "status": status,
            "order_id": order_id,
            "customer_id": customer_id,
            "after": after,
            "limit": limit,
        }
        return look(PaymentPage, "/payments", query)

    @Iteration
    def payments(
        self,
        *,
        status: PaymentStatus | str | None = None,
        order_id: str | None = None,
        customer_id: str | None = None,
    ) -> Reading[Payment]:
        """All payments, newest first, however many pages they take."""
        after: str | None = None
        while True:
            query = {"status": status, "order_id": order_id, "customer_id": customer_id}
            page: PaymentPage = yield look(
                PaymentPage, "/payments", query | {"after": after, "limit": 100}
            )
            for payment in page.items:
                yield Found(payment)
            after = page.next_after
            if after is None:
                return

    @Operation
    def get_payment(self, payment_id: str) -> Call[Payment]:
        """The payment as it stands."""
        return look(Payment, _payment(payment_id))

    @Operation
    def get_payment_status(
        self, payment_id: str, *, wait_seconds: int = 0, version: int | None = None
    ) -> Call[PaymentStanding]:
        """Where the payment stands.

        Args:
            payment_id: Whose.
            wait_seconds: Wait for news so long, 30 at most. What nothing will move is told at once.
            version: The last version that was seen: any later one is news.
        """
        return _standing(f"{_payment(payment_id)}/status", wait_seconds, version)

    @Operation
    def get_payment_history(self, payment_id: str) -> Call[History]:
        """Every change of the payment, and its attempts."""
        return look(History, f"{_payment(payment_id)}/history")

    @Operation
    def quote_refund(self, payment_id: str, *, asked_by: Asker | None = None) -> Call[RefundQuote]:
        """What goes back if a refund is asked for now. Nothing is promised by asking.

        Args:
            payment_id: The payment.
            asked_by: Of a storefront: the customer, for what is shown to them. Else whoever asks.
        """
        path = f"{_payment(payment_id)}/refund-quote"
        return look(RefundQuote, path, {"asked_by": asked_by})

    @Operation
    def retry_payment(
        self,
        payment_id: str,
        order: RetryOrder = RetryOrder(),  # noqa: B008 - it is frozen
        *,
        key: str | None = None,
        customer_address: str | None = None,
    ) -> Call[Payment]:
        """Another attempt, with the same or another payment method."""
        path = f"{_payment(payment_id)}/retry"
        return change(Payment, path, order, key=key, customer_address=customer_address)

    @Operation
    def capture_payment(
        self, payment_id: str, *, amount: int | None = None, key: str | None = None
    ) -> Call[Payment]:
        """Take what is held, or so many minor units of it: the rest is let go."""
        path = f"{_payment(payment_id)}/capture"
        return change(Payment, path, CaptureOrder(amount=amount), key=key)

    @Operation
    def cancel_payment(self, payment_id: str, *, key: str | None = None) -> Call[Payment]:
        """Give the payment up. If the money has moved, that is a `Conflict`."""
        return change(Payment, f"{_payment(payment_id)}/cancel", key=key)

    @Operation
    def refresh_payment(self, payment_id: str) -> Call[Payment]:
        """Look at the gateway now: the customer has come back from their bank."""
        return look(Payment, f"{_payment(payment_id)}/refresh", method="POST")

    @Operation
    def get_order_payment(self, order_id: str) -> Call[Payment]:
        """The order's payment: the open or succeeded one, else the newest."""
        return look(Payment, _order(order_id))

    @Operation
    def get_order_payment_status(
        self, order_id: str, *, wait_seconds: int = 0, version: int | None = None
    ) -> Call[PaymentStanding]:
        """Where the order's payment stands; as `get_payment_status`."""
        return _standing(f"{_order(order_id)}/status", wait_seconds, version)

    @Operation
    def retry_order_payment(
        self,
        order_id: str,
        order: RetryOrder = RetryOrder(),  # noqa: B008 - it is frozen
        *,
        key: str | None = None,
        customer_address: str | None = None,
    ) -> Call[Payment]:
        """Another attempt for the order's payment."""
        path = f"{_order(order_id)}/retry"
        return change(Payment, path, order, key=key, customer_address=customer_address)


def _payment(payment_id: str) -> str:
    return f"/payments/{part('payment_id', payment_id)}"


def _order(order_id: str) -> str:
    return f"/orders/{part('order_id', order_id)}/payment"


def _standing(path: str, wait_seconds: int, version: int | None) -> Call[PaymentStanding]:
    query = {"wait": wait_seconds or None, "version": version}
    return look(PaymentStanding, path, query, patience_seconds=wait_seconds)
