"""The shop's till: what it asks of Paysaga over HTTP, with a service token."""

from datetime import timedelta
from typing import Any, Final

import httpx

from paysaga.domain.money import Money
from paysaga.settings import Settings
from paysaga.tokens import Role, issue_token

_TOKEN_LIFETIME: Final = timedelta(minutes=5)
_TIMEOUT: Final = httpx.Timeout(20, connect=3)
# Well within that: news come at once, and their absence soon enough.
_NEWS_SECONDS: Final = 15

_CLOSED: Final = "Payments are not available at the moment. Try again soon."
_UNKNOWN: Final = (
    "We do not know yet whether that arrived. Look at your order in a moment: if it did, it goes on"
    " by itself, and nothing is charged twice."
)

Payment = dict[str, Any]
Method = dict[str, Any]


class TillClosed(Exception):
    """Paysaga does not answer, or not with what we can use; the message is for the customer."""


class Till:
    """Payments of the shop's orders. A decline comes back as the payment that it left."""

    def __init__(self, paysaga: Settings) -> None:
        self._paysaga = paysaga
        self._base = f"{str(paysaga.public_base_url).rstrip('/')}/api/v1"

    async def payment_of(self, order_id: str) -> Payment | None:
        """The order's payment, if it has one."""
        return await self._asked("GET", f"/orders/{order_id}/payment")

    async def start(
        self, order: dict[str, Any], method: str, key: str, address: str | None
    ) -> Payment | None:
        """Pay an order; `None` if it has a payment already."""
        body = order | {"payment_method_id": method}
        return await self._asked("POST", "/payments", body, key=key, address=address)

    async def open_page(
        self, order: dict[str, Any], back: str, key: str, address: str | None
    ) -> Payment | None:
        """Have an order paid on the gateway's page; who gives up there comes `back`."""
        page = {**order, "success_url": order["return_url"], "cancel_url": back}
        del page["return_url"]
        return await self._asked(
            "POST", "/payments/checkout-session", page, key=key, address=address
        )

    async def retry(
        self, payment_id: str, method: str | None, key: str, address: str | None
    ) -> Payment | None:
        """Try another method, or open a new page."""
        body = {"payment_method_id": method} if method else {}
        return await self._asked(
            "POST", f"/payments/{payment_id}/retry", body, key=key, address=address
        )

    async def held(self) -> list[Payment]:
        """All payments whose money is held, newest first."""
        page = await self._asked("GET", "/payments?status=authorized&limit=100")
        return list(page["items"]) if page else []

    async def capture(self, payment_id: str, money: Money, key: str) -> Payment | None:
        """Take so much of what is held."""
        body = {"amount": money.minor}
        return await self._asked("POST", f"/payments/{payment_id}/capture", body, key=key)

    async def cancel(self, payment_id: str, key: str) -> Payment | None:
        """Give the payment up."""
        return await self._asked("POST", f"/payments/{payment_id}/cancel", key=key)

    async def refresh(self, payment_id: str) -> Payment | None:
        """Look at the gateway now: the customer has come back."""
        return await self._asked("POST", f"/payments/{payment_id}/refresh")

    async def wait_for_news(self, payment: Payment) -> None:
        """Return when the payment has moved, or after a while."""
        question = f"wait={_NEWS_SECONDS}&version={payment['version']}"
        await self._asked("GET", f"/payments/{payment['id']}/status?{question}")

    async def methods_of(self, customer_id: str) -> list[Method]:
        """The customer's saved cards, the default one first, then the newest."""
        saved = await self._methods(customer_id, "active")
        there = [method for method in saved if method["reason"] != "removal_requested"]
        return sorted(there, key=lambda method: not method["is_default"])

    async def unconfirmed_methods_of(self, customer_id: str) -> list[Method]:
        """Those that the customer has still to confirm with their bank."""
        return await self._methods(customer_id, "requires_action")

    async def method(self, method_id: str) -> Method | None:
        """A saved card as it stands."""
        return await self._asked("GET", f"/payment-methods/{method_id}")

    async def save(self, order: dict[str, Any], key: str) -> Method | None:
        """Save a card; one that is declined comes back as it was left. `None`: it is saved."""
        return await self._asked("POST", "/payment-methods", order, key=key)

    async def refresh_method(self, method_id: str) -> Method | None:
        """Look at the gateway now: the customer has come back."""
        return await self._asked("POST", f"/payment-methods/{method_id}/refresh")

    async def make_default(self, method_id: str) -> Method | None:
        """Have it be the customer's default."""
        return await self._asked("PATCH", f"/payment-methods/{method_id}", {"is_default": True})

    async def remove(self, method_id: str, key: str) -> Method | None:
        """Take it from the customer."""
        return await self._asked("DELETE", f"/payment-methods/{method_id}", key=key)

    async def _methods(self, customer_id: str, status: str) -> list[Method]:
        wanted = f"customer_id={customer_id}&status={status}&limit=100"
        page = await self._asked("GET", f"/payment-methods?{wanted}")
        return list(page["items"]) if page else []

    def run_of(self, payment_id: str) -> str:
        """The payment's run in the Temporal UI: for the curious."""
        ui = str(self._paysaga.temporal_ui_url).rstrip("/")
        return f"{ui}/namespaces/{self._paysaga.temporal_namespace}/workflows/{payment_id}"

    async def _asked(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        key: str | None = None,
        address: str | None = None,
    ) -> Payment | None:
        token = issue_token(self._paysaga, "shop", Role.SERVICE, _TOKEN_LIFETIME)
        headers = {"Authorization": f"Bearer {token}"}
        if key:
            headers["Idempotency-Key"] = key
        if address:
            headers["Paysaga-Customer-Address"] = address
        try:
            async with httpx.AsyncClient(timeout=_TIMEOUT, headers=headers) as http:
                answer = await http.request(method, self._base + path, json=body)
            told: Payment = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise TillClosed(_UNKNOWN if key else _CLOSED) from error
        if answer.is_success:
            return told
        left: Payment | None = told.get("payment") or told.get("payment_method")
        if left or answer.status_code in {404, 409}:
            return left
        why = [told.get("detail", "The payment was not taken. Try again.")]
        why += [wrong["message"] for wrong in told.get("errors", ())]
        raise TillClosed(" ".join(why))
