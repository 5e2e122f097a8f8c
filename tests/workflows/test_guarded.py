"""Runs whose attempts meet the guard against card testing, which stands before the gateway."""

import pytest
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.errors import Trouble, before_the_attempt
from activities.stripe_orders import ConfirmOrder
from paysaga.domain.declines import CARD_LIMIT_REACHED, decline_for
from paysaga.domain.intent import Intent
from paysaga.domain.payment import PaymentStatus
from tests.fakes import FakeGateway, trouble
from tests.workflows.conftest import Start, World

UNSEEN = [before_the_attempt(trouble(kind)) for kind in (Trouble.NOT_ASKED, Trouble.STICKY)]


class Guarded(FakeGateway):
    """Declines a card itself where the script says so: the intent stays as the bank left it."""

    @activity.defn
    async def confirm_intent(self, order: ConfirmOrder) -> Intent:
        if self.script[0] != CARD_LIMIT_REACHED:
            return await super().confirm_intent(order)
        self._called("confirm", order)
        self.script.popleft()
        ours = {"decline": decline_for(CARD_LIMIT_REACHED), "charge_id": None}
        return self.intent.model_copy(update=ours)


def confirms(gateway: FakeGateway) -> list[ConfirmOrder]:
    return [order for order in gateway.orders if isinstance(order, ConfirmOrder)]


@pytest.mark.parametrize("unseen", UNSEEN)
async def test_a_card_that_was_not_seen_is_looked_at_again(
    pay: Start, unseen: ApplicationError
) -> None:
    """Nothing was sent: the next try is no repeat, under the same key, so the guard sees it."""
    lost = trouble(Trouble.UNREACHABLE)
    gateway = FakeGateway("succeeded", troubles={"confirm": [unseen, unseen, lost]})

    async with pay(World(gateway)) as payment:
        await payment.result()

    told = [(order.is_repeat, order.generation) for order in confirms(gateway)]
    assert [(False, 0), (False, 0), (False, 0), (True, 0)] == told


async def test_what_may_be_sent_stays_so(pay: Start) -> None:
    """A try that came to nothing on its way says nothing of the one before it."""
    lost = trouble(Trouble.UNREACHABLE)
    gateway = FakeGateway("succeeded", troubles={"confirm": [lost, UNSEEN[0]]})

    async with pay(World(gateway)) as payment:
        await payment.result()

    assert [False, True, True] == [order.is_repeat for order in confirms(gateway)]


async def test_an_earlier_attempts_charge_is_not_the_next_ones(pay: Start) -> None:
    """The bank declines one card, we another: a third is not taken for declined by the first."""
    gateway = Guarded("generic_decline", CARD_LIMIT_REACHED, "succeeded")

    async with pay(World(gateway)) as payment:
        await payment.first_outcome()
        await payment.retry(key="retry-1")
        await payment.retry(key="retry-2")
        result = await payment.result()

    assert PaymentStatus.SUCCEEDED is result.status
    assert [None, "ch_1", "ch_1"] == [order.seen_charge_id for order in confirms(gateway)]
