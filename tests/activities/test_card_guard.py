"""Cards that were declined too often, kept away from the gateway."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import pytest_asyncio
import stripe
from structlog.testing import capture_logs
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.card_guard import CardGuard
from activities.errors import NOTHING_SENT, Trouble
from activities.stripe_calls import StripeCalls
from activities.stripe_orders import ConfirmOrder, IntentOrder
from paysaga.database.declines import Declines
from paysaga.database.engine import create_engine, sessions
from paysaga.domain.declines import CARD_LIMIT_REACHED, DeclineClass
from paysaga.domain.intent import Intent, IntentStatus
from tests.activities.told import Told
from tests.fakes import NOON, PRICE
from tests.simulated import Simulated, running_simulator

GOOD = "pm_card_visa"


class Known(Declines):
    """What the database would say, and how often it was asked."""

    def __init__(self, *cards: str) -> None:
        self.over = frozenset(cards)
        self.asked: list[tuple[datetime, int]] = []

    async def cards(self, since: datetime, number: int) -> frozenset[str]:
        self.asked.append((since, number))
        return self.over


class Away(Declines):
    """A database that is not there, or takes questions and never answers, until it `is_back`."""

    def __init__(self, *, is_silent: bool) -> None:
        self.is_back = False
        self._is_silent = is_silent

    async def cards(self, _since: datetime, _number: int) -> frozenset[str]:
        if self.is_back:
            return frozenset()
        if self._is_silent:
            await asyncio.Event().wait()
        raise ConnectionRefusedError


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def simulated(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Simulated]:
    async with running_simulator(tmp_path_factory.mktemp("simulator")) as running:
        yield running


async def fingerprint(simulated: Simulated, token: str = GOOD) -> str:
    """By what the gateway knows this card."""
    method = await simulated.client.v1.payment_methods.retrieve_async(token)
    assert method.card is not None
    return str(method.card.fingerprint)


class Desk:
    """The gateway's activities behind a guard, for one payment."""

    def __init__(
        self, simulated: Simulated, declines: Declines, clock: Clock | None = None
    ) -> None:
        self.guard = CardGuard(simulated.client, declines, 6, clock or Clock())
        self.simulated = simulated
        self.calls = StripeCalls(simulated.client, self.guard)
        self.payment_id = f"pay_{uuid4().hex}"

    async def intent(self) -> Intent:
        order = IntentOrder(
            payment_id=self.payment_id,
            order_id="order-1",
            customer_id=f"cst_{self.payment_id}",
            gateway_customer_id=None,
            money=PRICE,
            description=None,
            environment="test",
            correlation_id="c",
            ordered_at=datetime.now(UTC),
        )
        return await ActivityEnvironment().run(self.calls.create_intent, order)

    async def confirm(self, intent: Intent, token: str = GOOD, **more: object) -> Intent:
        order = ConfirmOrder(
            payment_id=self.payment_id,
            intent_id=intent.id,
            attempt=1,
            method=token,
            return_url="https://pay.example/return",
            seen_status=intent.status,
            seen_charge_id=intent.charge_id,
        ).model_copy(update=more)
        return await ActivityEnvironment().run(self.calls.confirm_intent, order)

    async def asked(self, path: str) -> int:
        """How often the gateway was asked for paths that end so."""
        journal = await self.simulated.journal()
        sent = [entry for entry in journal if entry["kind"] == "request"]
        return sum(str(entry["path"]).endswith(path) for entry in sent)


class TestConfirm:
    async def test_a_card_over_the_limit_is_not_tried(self, simulated: Simulated) -> None:
        """It is declined by us, as a card that is known: the gateway is asked for no money."""
        desk = Desk(simulated, Known(await fingerprint(simulated)))
        opened = await desk.intent()

        declined = await desk.confirm(opened)

        assert IntentStatus.REQUIRES_PAYMENT_METHOD is declined.status
        assert declined.decline is not None
        assert (CARD_LIMIT_REACHED, DeclineClass.NEEDS_NEW_CARD) == (
            declined.decline.code,
            declined.decline.kind,
        )
        assert declined.method is not None
        assert await fingerprint(simulated) == declined.method.fingerprint
        assert 0 == await desk.asked(f"/{opened.id}/confirm")

    async def test_others_pay(self, simulated: Simulated) -> None:
        """Another card, and PayPal, which has none, are none the worse for it."""
        known = Known(await fingerprint(simulated))
        one, other = Desk(simulated, known), Desk(simulated, known)

        paid = await one.confirm(await one.intent(), "pm_card_mastercard")
        asked = await other.confirm(await other.intent(), await simulated.paypal())

        assert IntentStatus.SUCCEEDED is paid.status
        assert IntentStatus.REQUIRES_ACTION is asked.status

    async def test_while_there_is_none_nothing_is_looked_up(self, simulated: Simulated) -> None:
        """In normal life a payment costs the gateway no more than without a guard."""
        desk = Desk(simulated, Known())
        opened = await desk.intent()
        method = await simulated.client.v1.payment_methods.create_async({"type": "paypal"})

        await desk.confirm(opened, method.id)

        assert 0 == await desk.asked(f"/payment_methods/{method.id}")
        assert 1 == await desk.asked(f"/{opened.id}/confirm")

    @pytest.mark.parametrize("kind", ["effect_reply_lost", "refuse_before"])
    @pytest.mark.parametrize("generation", [0, 1])
    async def test_a_repeat_is_the_gateways_to_answer(
        self, simulated: Simulated, kind: str, generation: int
    ) -> None:
        """The first try may take the money yet: only the gateway can tell that it will not."""
        known = Known()
        desk = Desk(simulated, known)
        opened = await desk.intent()
        await simulated.arm("payment_intents.confirm", kind)
        with pytest.raises(ApplicationError) as lost:
            await desk.confirm(opened)
        known.over = frozenset({await fingerprint(simulated)})
        desk.guard.declined()  # so that it asks anew

        found = await desk.confirm(opened, is_repeat=True, generation=generation)

        assert Trouble.UNREACHABLE == lost.value.type
        assert (IntentStatus.SUCCEEDED, None) == (found.status, found.decline)

    async def test_money_that_is_there_stays_there(self, simulated: Simulated) -> None:
        """The customer has finished 3DS of an earlier attempt meanwhile: that is what counts."""
        desk = Desk(simulated, Known(await fingerprint(simulated)))
        asked = await desk.confirm(await desk.intent(), "pm_card_authenticationRequired")
        await simulated.authenticate(asked.id, "authorize")

        found = await desk.confirm(asked)

        assert (IntentStatus.SUCCEEDED, None) == (found.status, found.decline)

    async def test_a_token_that_is_none_is_the_confirms_to_tell(self, simulated: Simulated) -> None:
        """It is declined for what it is, and not on the account of the card before it."""
        desk = Desk(simulated, Known(await fingerprint(simulated)))

        opened = await desk.intent()
        by_its_bank = await desk.confirm(opened, "pm_card_chargeDeclined")
        declined = await desk.confirm(opened, "pm_nothing", attempt=2)

        assert declined.decline is not None
        assert "payment_method_invalid" == declined.decline.code
        assert by_its_bank.charge_id is not None
        assert (None, None) == (declined.method, declined.charge_id)

    @pytest.mark.parametrize("kind", ["refuse_before", "rate_limit", "hang", "sticky_500"])
    async def test_a_lookup_without_answer_is_asked_again(
        self, simulated: Simulated, kind: str
    ) -> None:
        """Nobody is tried unseen because the gateway did not say which card it is."""
        desk = Desk(simulated, Known(await fingerprint(simulated)))
        opened = await desk.intent()
        more = {"seconds": 3} if kind == "hang" else {}
        await simulated.arm("payment_methods.retrieve", kind, **more)

        with pytest.raises(ApplicationError) as failed:
            await desk.confirm(opened)
        declined = await desk.confirm(opened)

        assert failed.value.type in {Trouble.UNREACHABLE, Trouble.LATER}
        assert failed.value.details[0][NOTHING_SENT]
        assert declined.decline is not None
        assert CARD_LIMIT_REACHED == declined.decline.code


class TestAsking:
    async def test_the_database_is_asked_every_few_seconds(self, simulated: Simulated) -> None:
        """Many payments in a moment cost one question about the last day."""
        known, clock = Known(), Clock()
        guard = CardGuard(simulated.client, known, 6, clock)

        await asyncio.gather(*(guard.refused(GOOD) for _ in range(10)))
        clock.passes(2.9)
        await guard.refused(GOOD)
        clock.passes(0.2)
        await guard.refused(GOOD)

        later = timedelta(seconds=3.1)
        assert [(NOON - timedelta(days=1), 6), (NOON + later - timedelta(days=1), 6)] == known.asked

    async def test_after_a_decline_it_is_asked_each_time(self, simulated: Simulated) -> None:
        """Who tests cards comes again at once: what this worker has seen itself counts at once."""
        known, clock = Known(), Clock()
        desk = Desk(simulated, known, clock)
        await desk.confirm(await desk.intent(), "pm_card_chargeDeclinedIncorrectCvc")
        asked = len(known.asked)

        known.over = frozenset({await fingerprint(simulated)})
        declined = await desk.confirm(await desk.intent())
        clock.passes(3)
        await desk.guard.refused(GOOD)
        await desk.guard.refused(GOOD)

        assert declined.decline is not None
        assert CARD_LIMIT_REACHED == declined.decline.code
        assert [1, 3] == [asked, len(known.asked)]

    async def test_zero_asks_nothing(self, simulated: Simulated) -> None:
        """A limit that is turned off costs nothing."""
        known = Known(await fingerprint(simulated))

        assert await CardGuard(simulated.client, known, 0).refused(GOOD) is None
        assert [] == known.asked

    @pytest.mark.parametrize("is_silent", [True, False])
    async def test_without_the_database_payments_pass(
        self, simulated: Simulated, *, is_silent: bool
    ) -> None:
        """A limit must not close the shop; the log says so once, and again after it was back."""
        clock, away = Clock(), Away(is_silent=is_silent)
        guard = CardGuard(simulated.client, away, 6, clock)

        with capture_logs() as logs:
            for is_back in (False, False, True, False):
                away.is_back = is_back
                assert await guard.refused(GOOD) is None
                guard.declined()
                clock.passes(4)

        assert ["declines cannot be counted"] * 2 == [entry["event"] for entry in logs]

    async def test_a_key_that_may_not_look_lets_pass(self) -> None:
        """A restricted key without that permission is told of in the log."""
        told = Told((403, {"error": {"type": "invalid_request_error", "message": "not allowed"}}))
        client = stripe.StripeClient("rk_test_1", http_client=told)

        with capture_logs() as logs:
            refused = await CardGuard(client, Known("card-1"), 6).refused("pm_1")

        assert refused is None
        assert "may not read payment methods" in logs[0]["event"]

    async def test_no_connection_is_no_database(self, simulated: Simulated) -> None:
        """However its driver tells it."""
        engine = create_engine("postgresql://nobody@127.0.0.1:9/none")
        guard = CardGuard(simulated.client, Declines(sessions(engine)), 6)

        refused = await guard.refused(GOOD)

        await engine.dispose()
        assert refused is None
