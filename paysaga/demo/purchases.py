"""The scripted purchases: what customers do, and how each payment must end."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from paysaga.demo import shopper as cards
from paysaga.demo.shopper import Answer, Shopper, Unexpected
from paysaga.demo.trouble import Trouble
from paysaga.demo.verdict import Story, judged
from paysaga.demo.world import World
from paysaga.domain.payment import PaymentStatus

Act = Callable[[Shopper], Awaitable[Answer]]

TWENTY: Final = 20
SAME_TIME_LIMIT_SECONDS: Final = 240.0


@dataclass(frozen=True)
class Purchase:
    """One line of the script."""

    title: str
    product: str
    act: Act
    ends: PaymentStatus
    hastily: bool = False


async def play(world: World) -> Sequence[Story]:
    """Everybody buys at once; then each story is told by database, gateway and workflow."""
    return await asyncio.gather(*(_played(world, purchase) for purchase in PURCHASES))


async def _played(world: World, purchase: Purchase) -> Story:
    shopper = Shopper(world, world.hasty_api if purchase.hastily else None)
    try:
        async with asyncio.timeout(SAME_TIME_LIMIT_SECONDS):
            await shopper.chooses(purchase.product)
            payment = await purchase.act(shopper)
            return await judged(world, purchase.title, shopper.order, payment["id"], purchase.ends)
    except (Unexpected, Trouble, TimeoutError) as error:
        return Story(purchase.title, purchase.ends, (str(error) or "took too long",))


async def _paid_at_once(shopper: Shopper) -> Answer:
    return await shopper.pays(await shopper.card(cards.GOOD_CARD))


async def _paid_by_debit(shopper: Shopper) -> Answer:
    shopper.pays_alone()
    return await shopper.pays(await shopper.card(cards.DEBIT_CARD))


async def _approved_at_paypal(shopper: Shopper) -> Answer:
    return await shopper.decides(await shopper.pays(await shopper.paypal()), "authorize")


async def _on_the_page(shopper: Shopper) -> Answer:
    return await shopper.pays_on_the_page(cards.NO_FUNDS, cards.GOOD_CARD)


async def _authorized(shopper: Shopper) -> Answer:
    payment = await shopper.pays(await shopper.card(cards.ASKS_FOR_3DS))
    return await shopper.decides(payment, "authorize")


async def _refused(shopper: Shopper) -> Answer:
    payment = await shopper.pays(await shopper.card(cards.ASKS_FOR_3DS))
    return await shopper.cancels(await shopper.decides(payment, "fail"))


async def _second_card(shopper: Shopper) -> Answer:
    payment = await shopper.pays(await shopper.card(cards.NO_FUNDS))
    return await shopper.retries(payment, await shopper.card(cards.GOOD_CARD))


async def _three_declines(shopper: Shopper) -> Answer:
    payment = await shopper.pays(await shopper.card(cards.DECLINES))
    payment = await shopper.retries(payment, await shopper.card(cards.NO_FUNDS))
    return await shopper.waits(await shopper.retries(payment, await shopper.card(cards.EXPIRED)))


async def _abandoned(shopper: Shopper) -> Answer:
    return await shopper.waits(await shopper.pays(await shopper.card(cards.ASKS_FOR_3DS)))


async def _canceled(shopper: Shopper) -> Answer:
    payment = await shopper.pays(await shopper.card(cards.DECLINES))
    return await shopper.cancels(payment)


async def _twenty_times(shopper: Shopper) -> Answer:
    method, key = await shopper.card(cards.GOOD_CARD), uuid.uuid4().hex
    answers = await asyncio.gather(*(shopper.pays(method, key) for _ in range(TWENTY)))
    known = await shopper.payments()
    if len({answer["id"] for answer in answers}) != 1 or len(known) != 1:
        raise Unexpected(f"one key made {len(known)} payments")
    return answers[0]


PURCHASES: Final = (
    Purchase("Card, paid at once", "morning-roast", _paid_at_once, PaymentStatus.SUCCEEDED),
    Purchase("Debit card, own token", "linen-cloth", _paid_by_debit, PaymentStatus.SUCCEEDED),
    Purchase("PayPal, approved", "stoneware-mug", _approved_at_paypal, PaymentStatus.SUCCEEDED),
    Purchase("Payment page, second card", "linen-cloth", _on_the_page, PaymentStatus.SUCCEEDED),
    Purchase("3-D Secure, authorized", "pour-over-kettle", _authorized, PaymentStatus.SUCCEEDED),
    Purchase("3-D Secure, refused; gives up", "walnut-tray", _refused, PaymentStatus.CANCELED),
    Purchase("Declined, then another card", "stoneware-mug", _second_card, PaymentStatus.SUCCEEDED),
    Purchase("Declined three times", "hand-grinder", _three_declines, PaymentStatus.FAILED),
    Purchase(
        "Left at 3-D Secure, hold over",
        "walnut-tray",
        _abandoned,
        PaymentStatus.EXPIRED,
        hastily=True,
    ),
    Purchase("Declined, then canceled", "linen-cloth", _canceled, PaymentStatus.CANCELED),
    Purchase("One key, 20 times at once", "hand-grinder", _twenty_times, PaymentStatus.SUCCEEDED),
)
