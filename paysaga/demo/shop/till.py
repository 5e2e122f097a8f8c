"""The shop's till: what it asks of Paysaga, with a service token, and what customers are told."""

from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta
from typing import Final, TypeVar

from paysaga.client import (
    AsyncPaysaga,
    CheckoutOrder,
    Conflict,
    CustomerChange,
    NoAnswer,
    NotFound,
    OutcomeUnknown,
    Payment,
    PaymentOrder,
    PaymentStatus,
    Refused,
    Retries,
    RetryOrder,
    SavedMethod,
    SavedMethodStatus,
    SaveOrder,
)
from paysaga.domain.money import Money
from paysaga.settings import Settings
from paysaga.tokens import Role, issue_token

_TOKEN_LIFETIME: Final = timedelta(minutes=5)
# A customer waits for the page that comes of it.
_RETRIES: Final = Retries(attempts=3, deadline_seconds=20)
# News come at once, and their absence soon enough.
_NEWS_SECONDS: Final = 15

_CLOSED: Final = "Payments are not available at the moment. Try again soon."
_UNKNOWN: Final = (
    "We do not know yet whether that arrived. Look at your order in a moment: if it did, it goes on"
    " by itself, and nothing is charged twice."
)

T = TypeVar("T")


class TillClosed(Exception):
    """Paysaga does not answer, or not with what we can use; the message is for the customer."""


class Till:
    """Payments of the shop's orders. A decline comes back as the payment that it left."""

    def __init__(self, paysaga: Settings) -> None:
        self._paysaga = paysaga
        self._client = AsyncPaysaga(
            str(paysaga.public_base_url),
            lambda: issue_token(paysaga, "shop", Role.SERVICE, _TOKEN_LIFETIME),
            retries=_RETRIES,
        )

    async def close(self) -> None:
        """The shop shuts: nothing is asked any more."""
        await self._client.close()

    async def introduce(self, customer_id: str, email: str) -> None:
        """Say where the customer is written to."""
        await _open(self._client.change_customer(customer_id, CustomerChange(email=email)))

    async def payment_of(self, order_id: str) -> Payment | None:
        """The order's payment, if it has one."""
        return await _payment(self._client.get_order_payment(order_id))

    async def start(self, order: PaymentOrder, key: str, address: str | None) -> Payment | None:
        """Pay an order; `None` if it has a payment already."""
        return await _payment(self._client.start_payment(order, key=key, customer_address=address))

    async def open_page(
        self, order: CheckoutOrder, key: str, address: str | None
    ) -> Payment | None:
        """Have an order paid on the gateway's page; `None` if it has a payment already."""
        return await _payment(self._client.start_checkout(order, key=key, customer_address=address))

    async def retry(
        self, payment_id: str, method: str | None, key: str, address: str | None
    ) -> Payment | None:
        """Try another method, or open a new page."""
        order = RetryOrder(payment_method_id=method)
        return await _payment(
            self._client.retry_payment(payment_id, order, key=key, customer_address=address)
        )

    async def held(self) -> list[Payment]:
        """All payments whose money is held, newest first."""
        return await _open(_all(self._client.payments(status=PaymentStatus.AUTHORIZED)))

    async def capture(self, payment_id: str, money: Money, key: str) -> Payment | None:
        """Take so much of what is held."""
        return await _payment(self._client.capture_payment(payment_id, amount=money.minor, key=key))

    async def cancel(self, payment_id: str, key: str) -> Payment | None:
        """Give the payment up."""
        return await _payment(self._client.cancel_payment(payment_id, key=key))

    async def refresh(self, payment_id: str) -> Payment | None:
        """Look at the gateway now: the customer has come back."""
        return await _payment(self._client.refresh_payment(payment_id))

    async def wait_for_news(self, payment: Payment) -> None:
        """Return when the payment has moved, or after a while."""
        await _open(
            self._client.get_payment_status(
                payment.id, wait_seconds=_NEWS_SECONDS, version=payment.version
            )
        )

    async def methods_of(self, customer_id: str) -> list[SavedMethod]:
        """The customer's saved cards, the default one first, then the newest."""
        saved = await _open(_all(self._client.payment_methods(customer_id=customer_id)))
        there = [method for method in saved if method.reason != "removal_requested"]
        return sorted(there, key=lambda method: not method.is_default)

    async def unconfirmed_methods_of(self, customer_id: str) -> list[SavedMethod]:
        """Those that the customer has still to confirm with their bank."""
        unconfirmed = self._client.payment_methods(
            customer_id=customer_id, status=SavedMethodStatus.REQUIRES_ACTION
        )
        return await _open(_all(unconfirmed))

    async def method(self, method_id: str) -> SavedMethod | None:
        """A saved card as it stands."""
        return await _method(self._client.get_payment_method(method_id))

    async def save(self, order: SaveOrder, key: str) -> SavedMethod | None:
        """Save a card; one that is declined comes back as it was left. `None`: it is saved."""
        return await _method(self._client.save_payment_method(order, key=key))

    async def refresh_method(self, method_id: str) -> SavedMethod | None:
        """Look at the gateway now: the customer has come back."""
        return await _method(self._client.refresh_payment_method(method_id))

    async def make_default(self, method_id: str) -> SavedMethod | None:
        """Have it be the customer's default."""
        return await _method(self._client.change_payment_method(method_id))

    async def remove(self, method_id: str, key: str) -> SavedMethod | None:
        """Take it from the customer."""
        return await _method(self._client.remove_payment_method(method_id, key=key))

    def run_of(self, payment_id: str) -> str:
        """The payment's run in the Temporal UI: for the curious."""
        ui = str(self._paysaga.temporal_ui_url).rstrip("/")
        return f"{ui}/namespaces/{self._paysaga.temporal_namespace}/workflows/{payment_id}"


async def _payment(asked: Awaitable[Payment]) -> Payment | None:
    """The payment, also if it could not be done; `None` if there is none to show."""
    try:
        return await _open(asked)
    except NotFound:
        return None
    except Conflict as conflict:
        return conflict.payment


async def _method(asked: Awaitable[SavedMethod]) -> SavedMethod | None:
    try:
        return await _open(asked)
    except NotFound:
        return None
    except Conflict as conflict:
        return conflict.payment_method


async def _open(asked: Awaitable[T]) -> T:
    """The answer, or why there is none in words for the customer."""
    try:
        return await asked
    except (NotFound, Conflict):
        raise
    except OutcomeUnknown as unknown:
        raise TillClosed(_UNKNOWN) from unknown
    except NoAnswer as away:
        raise TillClosed(_CLOSED) from away
    except Refused as refused:
        why = [refused.detail, *(wrong.message for wrong in refused.errors)]
        raise TillClosed(" ".join(why)) from refused


async def _all(found: AsyncIterator[T]) -> list[T]:
    return [each async for each in found]
