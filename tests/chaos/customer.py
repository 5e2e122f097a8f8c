"""A customer in the middle of it: asks again while nobody answers, and notes what was answered."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final

import httpx

from paysaga.demo.world import asked
from tests.chaos.evidence import Answer
from tests.chaos.plan import Kind, Saga

GOOD: Final = "pm_card_visa"
ASKS_FOR_3DS: Final = "pm_card_authenticationRequired"
DECLINED: Final = "pm_card_chargeDeclined"
SLOW_TO_GIVE_BACK: Final = "pm_card_pendingRefund"
CHECKOUT: Final = "/payments/checkout-session"
METHODS: Final = "/payment-methods"
MANY: Final = 5
PAUSE_SECONDS: Final = 0.7
# Long enough to hear of a hold that has ended.
PATIENCE_SECONDS: Final = 240.0

Body = dict[str, Any]

_UNDER_WAY: Final = frozenset({"created", "processing"})
_SAVED_OR_NOT: Final = frozenset({"active", "failed", "removed"})


class Streets:
    """How customers reach the API and the gateway's pages; every answer of the API is kept."""

    def __init__(self, api: httpx.AsyncClient, browser: httpx.AsyncClient) -> None:
        self.api = api
        self.browser = browser
        self.answers: list[Answer] = []
        api.event_hooks["response"].append(self._note)

    async def _note(self, response: httpx.Response) -> None:
        request = response.request
        if request.method not in {"POST", "DELETE"}:
            return
        try:
            body = json.loads(await response.aread())
        except ValueError:
            body = {}
        key = request.headers.get("Idempotency-Key")
        path = request.url.path
        self.answers.append(Answer(request.method, path, key, response.status_code, body))


class Customer:
    """One saga's customer."""

    def __init__(self, streets: Streets, saga: Saga) -> None:
        self._streets = streets
        self._saga = saga
        self._requests = 0
        self.payment_id = saga.payment_id
        self.delay = saga.delay
        self.is_odd = saga.number % 2 == 1
        self.is_tidy = saga.number % 4 > 1

    async def acts(self) -> None:
        """Do what the saga says, and leave."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await _STORIES[self._saga.kind](self)

    async def pays(
        self, method: str, key: str | None = None, *, capture_method: str = "automatic"
    ) -> Body:
        """Start the payment and wait for its first outcome."""
        order = {
            "capture_method": capture_method,
            "order_id": self._saga.order_id,
            "customer_id": self._saga.customer_id,
            "payment_method_id": method,
            "return_url": "https://shop.example/return",
        }
        return await self._post("/payments", order, key or self._saga.key)

    async def goes_to_checkout(self) -> Body:
        """To the gateway's own page."""
        order = {
            "order_id": self._saga.order_id,
            "customer_id": self._saga.customer_id,
            "success_url": "https://shop.example/thanks",
            "cancel_url": "https://shop.example/basket",
        }
        return await self._post(CHECKOUT, order, self._saga.key)

    async def tries_on_the_page(self, payment: Body, method: str) -> bool:
        """Fill it in once; whether the page is done with them (paid, or closed meanwhile)."""
        url = payment.get("checkout_url") or (payment.get("next_action") or {}).get("url")
        if url is None:
            return True  # it was refused, or is over already
        page = str(url).rpartition("/")[2]
        answer = await asked(
            lambda: self._streets.browser.post(
                f"/_control/checkout_sessions/{page}/pay", json={"payment_method": method}
            )
        )
        return answer.status_code != HTTPStatus.PAYMENT_REQUIRED

    async def retries(self, payment: Body, method: str) -> Body:
        """Another card."""
        return await self._post(f"/payments/{payment['id']}/retry", {"payment_method_id": method})

    async def captures(self, payment: Body) -> Body:
        """What is held, or a part of it: the shop's part in it."""
        amount = {"amount": payment["amount"] // 2} if self.is_odd else {}
        return await self._post(f"/payments/{payment['id']}/capture", amount)

    async def cancels(self, payment_id: str) -> Body:
        """Give up."""
        return await self._post(f"/payments/{payment_id}/cancel")

    async def decides(self, payment: Body, outcome: str) -> None:
        """On the bank's page."""
        if action := payment.get("next_action"):
            page = action["url"]
            await asked(lambda: self._streets.browser.post(page, data={"outcome": outcome}))

    async def comes_back(self, payment: Body) -> Body:
        """To the shop's page, which looks."""
        return await self._post(f"/payments/{payment['id']}/refresh")

    async def paypal(self) -> str:
        """A method of the customer's own, made in the browser."""
        answer = await asked(
            lambda: self._streets.browser.post(
                "/v1/payment_methods",
                data={"type": "paypal"},
                headers={"Authorization": "Bearer pk_test_paysaga_demo"},
            )
        )
        return str(answer.json()["id"])

    async def saves(self, card: str) -> Body:
        """A card, for this payment and later ones; what has become of it in the end."""
        order = {
            "customer_id": self._saga.customer_id,
            "payment_method_id": card,
            "return_url": "https://shop.example/cards",
        }
        headers = {"Idempotency-Key": f"{self._saga.key}-save"}
        answer = await asked(lambda: self._streets.api.post(METHODS, json=order, headers=headers))
        told: Body = answer.json()
        method = told if answer.is_success else dict(told["payment_method"])
        path = f"{METHODS}/{method['id']}"

        async def has_come_to(*ends: str) -> None:
            async def look() -> bool:
                nonlocal method
                method = (await asked(lambda: self._streets.api.get(path))).json()
                return method["status"] in ends

            await until(look, PATIENCE_SECONDS)

        await has_come_to("requires_action", *_SAVED_OR_NOT)
        if method["status"] == "requires_action":
            await self.decides(method, "authorize")
            await asked(lambda: self._streets.api.post(f"{path}/refresh"))
            await has_come_to(*_SAVED_OR_NOT)
        return method

    async def removes(self, method: Body) -> None:
        """It is not wanted any more."""
        headers = {"Idempotency-Key": f"{self._saga.key}-remove"}
        path = f"{METHODS}/{method['id']}"
        await asked(lambda: self._streets.api.delete(path, headers=headers))

    async def waits(self, seconds: float) -> None:
        """Think about it."""
        await until(_never, seconds)

    async def _post(self, path: str, body: Body | None = None, key: str | None = None) -> Body:
        self._requests += 1
        headers = {"Idempotency-Key": key or f"{self._saga.key}-{self._requests}"}
        answer = await asked(
            lambda: (
                self._streets.api.post(path, json=body or {}, headers=headers)
                if path.endswith(("/retry", "/capture")) or path in {"/payments", CHECKOUT}
                else self._streets.api.post(path, headers=headers)
            )
        )
        told: Body = answer.json()
        payment = told if answer.is_success else told.get("payment")
        return await self._settled(payment or {"id": self._saga.payment_id, "status": "unknown"})

    async def _settled(self, payment: Body) -> Body:
        path = f"/payments/{payment['id']}"

        async def look() -> bool:
            nonlocal payment
            if payment["status"] in _UNDER_WAY:
                answer = await asked(lambda: self._streets.api.get(path))
                # Another payment may have been quicker to take the order.
                payment = answer.json() if answer.is_success else {**payment, "status": "refused"}
            return payment["status"] not in _UNDER_WAY

        await until(look, PATIENCE_SECONDS)
        return payment


async def until(condition: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    """Poll the condition until it holds; whether it came to hold in that time."""
    end = asyncio.get_running_loop().time() + seconds
    while not await condition():
        left = end - asyncio.get_running_loop().time()
        if left <= 0:
            return False
        await asyncio.sleep(min(PAUSE_SECONDS, left))
    return True


async def _never() -> bool:
    return False


async def _pays(customer: Customer) -> None:
    payment = await customer.pays(GOOD)
    while payment["status"] == "awaiting_retry":  # the gateway's dice
        payment = await customer.retries(payment, GOOD)


async def _authorizes(customer: Customer) -> None:
    payment = await customer.pays(ASKS_FOR_3DS)
    await customer.decides(payment, "authorize")
    await customer.comes_back(payment)


async def _authorizes_and_leaves(customer: Customer) -> None:
    await customer.decides(await customer.pays(ASKS_FOR_3DS), "authorize")


async def _fails_to_authorize(customer: Customer) -> None:
    payment = await customer.pays(ASKS_FOR_3DS)
    await customer.decides(payment, "fail")
    payment = await customer.comes_back(payment)
    if payment["status"] == "awaiting_retry":
        await customer.retries(payment, GOOD)


async def _abandons(customer: Customer) -> None:
    await customer.pays(ASKS_FOR_3DS)


async def _pays_at_paypal(customer: Customer) -> None:
    payment = await customer.pays(await customer.paypal())
    await customer.decides(payment, "authorize")
    await customer.comes_back(payment)


async def _second_card(customer: Customer) -> None:
    payment = await customer.pays(DECLINED)
    await customer.retries(payment, GOOD)


async def _three_declines(customer: Customer) -> None:
    payment = await customer.pays(DECLINED)
    payment = await customer.retries(payment, DECLINED)
    await customer.retries(payment, DECLINED)


async def _is_held(customer: Customer) -> Body:
    payment = await customer.pays(GOOD, capture_method="manual")
    while payment["status"] == "awaiting_retry":  # the gateway's dice
        payment = await customer.retries(payment, GOOD)
    return payment


async def _captures(customer: Customer) -> None:
    payment = await _is_held(customer)
    while payment["status"] == "authorized":
        payment = await customer.captures(payment)
        await customer.waits(customer.delay)


async def _captures_or_cancels(customer: Customer) -> None:
    payment = await _is_held(customer)
    while payment["status"] == "authorized":
        _, payment = await asyncio.gather(
            customer.captures(payment), customer.cancels(customer.payment_id)
        )
        await customer.waits(customer.delay)


async def _cancels(customer: Customer) -> None:
    paying = asyncio.create_task(customer.pays(ASKS_FOR_3DS if customer.is_odd else GOOD))
    await customer.waits(customer.delay)
    await customer.cancels(customer.payment_id)
    await paying


async def _asks_many_times(customer: Customer) -> None:
    await asyncio.gather(*(customer.pays(GOOD) for _ in range(MANY)))


async def _two_tabs(customer: Customer) -> None:
    await asyncio.gather(customer.pays(GOOD), customer.pays(GOOD, f"{customer.payment_id}-tab"))


async def _refused_at_confirm(customer: Customer) -> None:
    await customer.pays(SLOW_TO_GIVE_BACK if customer.is_odd else GOOD)


async def _pays_on_a_page(customer: Customer) -> None:
    payment = await customer.goes_to_checkout()
    if customer.is_odd:
        await customer.tries_on_the_page(payment, DECLINED)
    while not await customer.tries_on_the_page(payment, GOOD):  # the gateway's dice
        pass
    if payment["status"] == "requires_action":
        await customer.comes_back(payment)


async def _leaves_a_page(customer: Customer) -> None:
    payment = await customer.goes_to_checkout()
    if customer.is_odd:
        await customer.tries_on_the_page(payment, DECLINED)
    await customer.waits(customer.delay)
    await customer.cancels(customer.payment_id)


async def _saves_a_card(customer: Customer) -> None:
    method = await customer.saves(ASKS_FOR_3DS if customer.is_odd else GOOD)
    chosen = method["id"] if method["status"] == "active" else GOOD
    payment = await customer.pays(chosen)
    while payment["status"] == "awaiting_retry":  # the gateway's dice
        payment = await customer.retries(payment, chosen)
    if payment["status"] == "requires_action":
        await customer.decides(payment, "authorize")
        await customer.comes_back(payment)
    if chosen != GOOD and customer.is_tidy:
        await customer.removes(method)


_STORIES: Final[dict[Kind, Callable[[Customer], Awaitable[None]]]] = {
    Kind.PAYS: _pays,
    Kind.AUTHORIZES: _authorizes,
    Kind.AUTHORIZES_AND_LEAVES: _authorizes_and_leaves,
    Kind.FAILS_TO_AUTHORIZE: _fails_to_authorize,
    Kind.ABANDONS: _abandons,
    Kind.PAYS_AT_PAYPAL: _pays_at_paypal,
    Kind.SECOND_CARD: _second_card,
    Kind.THREE_DECLINES: _three_declines,
    Kind.CAPTURES: _captures,
    Kind.CAPTURES_OR_CANCELS: _captures_or_cancels,
    Kind.CANCELS: _cancels,
    Kind.ASKS_MANY_TIMES: _asks_many_times,
    Kind.TWO_TABS: _two_tabs,
    Kind.REFUSED_AT_CONFIRM: _refused_at_confirm,
    Kind.SHOP_IS_SILENT: _pays,
    Kind.PAYS_ON_A_PAGE: _pays_on_a_page,
    Kind.LEAVES_A_PAGE: _leaves_a_page,
    Kind.SAVES_A_CARD: _saves_a_card,
}
