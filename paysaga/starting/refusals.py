"""Everything for which no payment is started, however it was asked for."""

from typing import ClassVar


class NotStarted(Exception):
    """A payment is not started. `told` may be shown to the customer.

    `code` is for programs. `field` is the one of the request that it is about, if it is about one.
    """

    code: ClassVar[str]
    sentence: ClassVar[str]
    field: ClassVar[str | None] = None

    def __init__(
        self,
        detail: str | None = None,
        *,
        payment_id: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        """Say why.

        Args:
            detail: More than `sentence` says.
            payment_id: The payment that is in the way.
            retry_after: In how many seconds it may be asked again.
        """
        super().__init__(detail)
        self.detail = detail
        self.payment_id = payment_id
        self.retry_after = retry_after

    @property
    def told(self) -> str:
        """The sentence for people."""
        return self.detail or self.sentence


class CustomerMissing(NotStarted):
    """The auth service does not know the customer."""

    code = "validation_failed"
    sentence = "There is no such customer, or not any more."
    field = "customer_id"


class OrderMissing(NotStarted):
    """The order service knows no such order of this customer."""

    code = "order_not_found"
    sentence = "There is no such order."


class OrderHasPayment(NotStarted):
    """Another payment holds the order."""

    code = "order_has_payment"
    sentence = "Another payment for this order is open or succeeded."


class AmountMismatch(NotStarted):
    """The request's price is not the order's."""

    code = "order_amount_mismatch"
    sentence = "The order has another price."


class ServiceDateMismatch(NotStarted):
    """The request's service date is not the order's."""

    code = "order_service_date_mismatch"
    sentence = "The order is for another day."


class OrderNotOpen(NotStarted):
    """The shop does not wait for this order's money."""

    code = "order_not_open"
    sentence = "This order does not wait for a payment."


class MethodMissing(NotStarted):
    """The customer has no such payment method to pay with."""

    code = "payment_method_not_found"
    sentence = "There is no such payment method, or not any more."
    field = "payment_method_id"


class TooManyAttempts(NotStarted):
    """The customer has tried to pay too often in the last hour."""

    code = "too_many_attempts"
    sentence = "There were too many attempts to pay. Please try again later."


class TooManyDeclines(NotStarted):
    """There were too many declines, of whom or what is not told."""

    code = "too_many_declines"
    sentence = "Too many declined attempts. Please try again later or use another payment method."
