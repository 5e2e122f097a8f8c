"""Who was declined how often of late, on both databases."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.records import Records
from paysaga.database.declines import Declines
from paysaga.database.engine import sessions
from paysaga.domain.declines import CARD_LIMIT_REACHED, decline_for
from paysaga.domain.intent import IntentStatus, MethodFacts
from paysaga.domain.transitions import attempted, observed, opened
from tests.database.payments import NOON, WINDOW, batch, intent, payment
from tests.fakes import begun_by

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
SINCE = NOON - DAY
LOST = IntentStatus.REQUIRES_PAYMENT_METHOD


class Shop:
    """Attempts that were made, and the questions about them."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.declines = Declines(sessions(engine))
        self._records = Records(sessions(engine))

    async def tries(
        self,
        at: datetime,
        *,
        customer: str = "cst_1",
        card: str | None = "card-1",
        token: str = "pm_1",
        status: IntentStatus = LOST,
        code: str = "incorrect_cvc",
    ) -> None:
        """One payment with one attempt that ended at that moment."""
        paid = payment(customer_id=customer)
        first = opened(paid, at)
        begun, attempt = begun_by(attempted(first.state, token, at, actor=paid.actor))
        method = MethodFacts(kind="card", fingerprint=card) if card else None
        told = intent(paid, status).model_copy(
            update={"method": method, "decline": decline_for(code) if status is LOST else None}
        )
        seen = observed(begun.state, told, attempt, at, WINDOW)
        await self._records.record(batch(first, begun))
        await self._records.record(batch(*seen))


@pytest.fixture
def shop(engine: AsyncEngine) -> Shop:
    return Shop(engine)


class TestQuestions:
    async def test_none_reads_a_whole_table(self, shop: Shop, engine: AsyncEngine) -> None:
        """Each attempt asks them: what they cost must not grow with the years."""
        if engine.dialect.name != "sqlite":
            pytest.skip("PostgreSQL reads small tables whole, whatever indexes there are")
        asked: list[tuple[str, Any]] = []
        event.listen(
            engine.sync_engine,
            "before_cursor_execute",
            lambda _connection, _cursor, question, known, *_: asked.append((question, known)),
        )

        await shop.declines.of_customer("cst_1", SINCE, 1)
        await shop.declines.of_token("pm_1", SINCE, 1)
        await shop.declines.cards(SINCE, 1)

        questions = [each for each in asked if each[0].startswith("SELECT")]
        async with engine.connect() as connection:
            plans = [
                step.detail
                for question, known in questions
                for step in await connection.exec_driver_sql(
                    f"EXPLAIN QUERY PLAN {question}", known
                )
            ]
        assert 3 == len(questions)
        assert [] == [step for step in plans if "SCAN pay" in step]


class TestCustomer:
    async def test_the_one_that_fills_the_limit_is_told(self, shop: Shop) -> None:
        """When it no longer counts there is room again: over all payments of the customer."""
        for number in range(4):
            await shop.tries(NOON - number * MINUTE, card=f"card-{number}")

        assert NOON - 2 * MINUTE == await shop.declines.of_customer("cst_1", SINCE, 3)
        assert NOON - 3 * MINUTE == await shop.declines.of_customer("cst_1", SINCE, 4)
        assert await shop.declines.of_customer("cst_1", SINCE, 5) is None

    async def test_only_declines_of_their_own_and_of_late_count(self, shop: Shop) -> None:
        """Neither what was paid, nor others', nor yesterday's."""
        await shop.tries(NOON)
        await shop.tries(NOON, status=IntentStatus.SUCCEEDED)
        await shop.tries(NOON, customer="cst_2")
        await shop.tries(SINCE)

        assert NOON == await shop.declines.of_customer("cst_1", SINCE, 1)
        assert await shop.declines.of_customer("cst_1", SINCE, 2) is None


class TestCard:
    async def test_it_is_one_whoever_shows_it(self, shop: Shop) -> None:
        """Twenty customers with a token of their own each have tried one card."""
        for number in range(20):
            await shop.tries(NOON, customer=f"cst_{number}", token=f"pm_{number}")
        await shop.tries(NOON, customer="cst_1", token="pm_other", card="card-2")

        assert frozenset({"card-1"}) == await shop.declines.cards(SINCE, 20)
        assert frozenset({"card-1", "card-2"}) == await shop.declines.cards(SINCE, 1)
        assert frozenset() == await shop.declines.cards(SINCE, 21)

    async def test_a_known_token_leads_to_it(self, shop: Shop) -> None:
        """Its earlier attempts have shown which card it is: the declines of others count."""
        await shop.tries(NOON - 3 * MINUTE, token="pm_saved", status=IntentStatus.SUCCEEDED)
        await shop.tries(NOON - 2 * MINUTE, token="pm_2")
        await shop.tries(NOON - MINUTE, token="pm_3")

        assert NOON - 2 * MINUTE == await shop.declines.of_token("pm_saved", SINCE, 2)
        assert await shop.declines.of_token("pm_saved", SINCE, 3) is None
        assert await shop.declines.of_token("pm_fresh", SINCE, 1) is None

    async def test_what_does_not_count(self, shop: Shop) -> None:
        """Yesterday's, paid ones, what was no card, and our own declines: they tell nothing new."""
        await shop.tries(SINCE)
        await shop.tries(NOON, status=IntentStatus.SUCCEEDED)
        await shop.tries(NOON, card=None)
        await shop.tries(NOON, code=CARD_LIMIT_REACHED)

        assert frozenset() == await shop.declines.cards(SINCE, 1)
        assert await shop.declines.of_token("pm_1", SINCE, 1) is None
        assert NOON == await shop.declines.of_customer("cst_1", SINCE, 2)
