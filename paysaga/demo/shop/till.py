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

    async def start(self, order: dict[str, Any], method: str, key: str) -> Payment | None:
        """Pay an order; `None` if it has a payment already."""
        return await self._asked(
            "POST", "/payments", order | {"payment_method_id": method}, key=key
        )

    async def retry(self, payment_id: str, method: str, key: str) -> Payment | None:
        """Try another method."""
        body = {"payment_method_id": method}
        return await self._asked("POST", f"/payments/{payment_id}/retry", body, key=key)

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

    def run_of(self, payment_id: str) -> str:
        """The payment's run in the Temporal UI: for the curious."""
        ui = str(self._paysaga.temporal_ui_url).rstrip("/")
        return f"{ui}/namespaces/{self._paysaga.temporal_namespace}/workflows/{payment_id}"

    async def _asked(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, key: str | None = None
    ) -> Payment | None:
        token = issue_token(self._paysaga, "shop", Role.SERVICE, _TOKEN_LIFETIME)
        headers = {"Authorization": f"Bearer {token}"}
        if key:
            headers["Idempotency-Key"] = key
        try:
            async with httpx.AsyncClient(timeout=_TIMEOUT, headers=headers) as http:
                answer = await http.request(method, self._base + path, json=body)
            told: Payment = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise TillClosed(_UNKNOWN if key else _CLOSED) from error
        if answer.is_success:
            return told
        if told.get("payment") or answer.status_code in {404, 409}:
            payment: Payment | None = told.get("payment")
            return payment
        why = [told.get("detail", "The payment was not taken. Try again.")]
        why += [wrong["message"] for wrong in told.get("errors", ())]
        raise TillClosed(" ".join(why))
