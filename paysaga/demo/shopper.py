"""One customer with one order: what the shop and the customer's browser do about it."""

import asyncio
import uuid
from typing import Any, Final

import httpx

from paysaga.demo.trouble import Trouble
from paysaga.demo.world import PAUSE_SECONDS, World, asked
from paysaga.domain.payment import FINAL
from paysaga.tokens import Role

GOOD_CARD: Final = "4242424242424242"
DEBIT_CARD: Final = "4000056655665556"
ASKS_FOR_3DS: Final = "4000002760003184"
NO_FUNDS: Final = "4000000000009995"
DECLINES: Final = "4000000000000002"
EXPIRED: Final = "4000000000000069"
NEXT_YEAR: Final = "2034"

Answer = dict[str, Any]

_UNDER_WAY: Final = frozenset({"created", "processing"})


class Unexpected(Exception):
    """A purchase took a turn that the script does not know."""


class Shopper:
    """Buys one thing. Every request carries a key of its own, so that it may be repeated."""

    def __init__(self, world: World, api: httpx.AsyncClient | None = None) -> None:
        self.customer_id = f"cst_{uuid.uuid4().hex[:12]}"
        self.order: Answer = {}
        self._world = world
        self._api = api or world.api
        self._headers: dict[str, str] = {}

    def pays_alone(self) -> None:
        """From here on the customer's own token is used, not the shop's."""
        self._headers = self._world.token(self.customer_id, Role.CUSTOMER)

    async def chooses(self, product: str) -> None:
        """Make the order at the shop."""
        purchase = {"customer_id": self.customer_id, "product": product}
        answer = await asked(lambda: self._world.shop.post("/orders", json=purchase))
        self.order = _understood(answer)
        await self._tells_the_address()

    async def card(self, number: str) -> str:
        """Give the number to the gateway, as the page does: it never reaches us."""
        details = {
            "type": "card",
            "card[number]": number,
            "card[exp_month]": "12",
            "card[exp_year]": NEXT_YEAR,
            "card[cvc]": "123",
        }
        return await self._method(details)

    async def paypal(self) -> str:
        """Choose PayPal, as the page does."""
        return await self._method({"type": "paypal"})

    async def pays(self, method: str, key: str | None = None) -> Answer:
        """Start the payment and wait for its first outcome."""
        body = {
            "order_id": self.order["order_id"],
            "customer_id": self.customer_id,
            "payment_method_id": method,
            "return_url": f"{self._world.settings.shop_url}/return",
        }
        return await self._settled(await self._post("/payments", body, key))

    async def pays_on_the_page(self, *numbers: str) -> Answer:
        """Have the gateway's page opened and enter these cards there, one after the other."""
        shop = self._world.settings.shop_url
        body = {
            "order_id": self.order["order_id"],
            "customer_id": self.customer_id,
            "customer_email": f"{self.customer_id}@shop.example",
            "success_url": f"{shop}/return",
            "cancel_url": f"{shop}/my/orders/{self.order['order_id']}",
        }
        payment = await self._settled(await self._post("/payments/checkout-session", body))
        if payment["checkout_url"] is None:
            raise Unexpected(f"{payment['id']} is {payment['status']}: it has no page")
        for number in numbers:
            await self._enters(payment["checkout_url"], number)
        return await self._settled(await self._post(f"/payments/{payment['id']}/refresh"))

    async def retries(self, payment: Answer, method: str) -> Answer:
        """Try another method."""
        answer = await self._post(f"/payments/{payment['id']}/retry", {"payment_method_id": method})
        return await self._settled(answer)

    async def cancels(self, payment: Answer) -> Answer:
        """Give up."""
        return await self._settled(await self._post(f"/payments/{payment['id']}/cancel"))

    async def decides(self, payment: Answer, outcome: str) -> Answer:
        """On the gateway's page: `authorize` or `fail`; then come back to the shop."""
        if payment["next_action"] is None:
            raise Unexpected(f"{payment['id']} is {payment['status']}: there is no page to go to")
        page = payment["next_action"]["url"]
        answer = await asked(lambda: self._world.browser.post(page, data={"outcome": outcome}))
        back = answer.headers.get("location")
        if back:
            await asked(lambda: self._world.browser.get(back))
        return await self._settled(await self._post(f"/payments/{payment['id']}/refresh"))

    async def waits(self, payment: Answer) -> Answer:
        """Do nothing until the payment is over."""
        while payment["status"] not in FINAL:
            await asyncio.sleep(PAUSE_SECONDS)
            payment = await self._look(payment["id"])
        return payment

    async def payments(self) -> list[Answer]:
        """All payments of the order."""
        query = {"order_id": self.order["order_id"]}
        answer = await asked(
            lambda: self._api.get("/payments", params=query, headers=self._headers)
        )
        items: list[Answer] = _understood(answer)["items"]
        return items

    async def _tells_the_address(self) -> None:
        where = f"/customers/{self.customer_id}"
        address = {"email": f"{self.customer_id}@shop.example"}
        _understood(
            await asked(lambda: self._api.patch(where, json=address, headers=self._headers))
        )

    async def _enters(self, page: str, number: str) -> None:
        form = {"method": "card", "number": number, "expiry": "12 / 34", "cvc": "123"}
        await asked(lambda: self._world.browser.post(page, data=form))

    async def _method(self, details: dict[str, str]) -> str:
        key = self._world.paysaga.stripe_publishable_key
        headers = {"Authorization": f"Bearer {key}"}
        answer = await asked(
            lambda: self._world.browser.post("/v1/payment_methods", data=details, headers=headers)
        )
        return str(_understood(answer)["id"])

    async def _post(self, path: str, body: Answer | None = None, key: str | None = None) -> Answer:
        headers = {**self._headers, "Idempotency-Key": key or uuid.uuid4().hex}
        answer = await asked(lambda: self._api.post(path, json=body, headers=headers))
        if answer.is_success:
            return _understood(answer)
        payment: Answer | None = _understood(answer, refused=True).get("payment")
        if payment is None:  # a decline has the payment inside; anything else is no outcome
            raise Unexpected(f"{answer.status_code} to {path}: {answer.text}")
        return payment

    async def _settled(self, payment: Answer) -> Answer:
        while payment["status"] in _UNDER_WAY:
            await asyncio.sleep(PAUSE_SECONDS)
            payment = await self._look(payment["id"])
        return payment

    async def _look(self, payment_id: str) -> Answer:
        answer = await asked(
            lambda: self._api.get(f"/payments/{payment_id}", headers=self._headers)
        )
        return _understood(answer)


def _understood(answer: httpx.Response, *, refused: bool = False) -> Answer:
    if not answer.is_success and not refused:
        raise Unexpected(f"{answer.status_code} to {answer.request.url}: {answer.text}")
    try:
        told: Answer = answer.json()
    except ValueError as error:
        raise Trouble(f"{answer.request.url} does not answer with JSON: {answer.text}") from error
    return told
