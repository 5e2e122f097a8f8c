import asyncio
from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.records import Records
from paysaga.database.engine import sessions
from paysaga.database.paging import WrongCursor, cursor
from paysaga.database.reads import Reads
from paysaga.domain.intent import IntentStatus
from paysaga.domain.payment import PaymentState, PaymentStatus
from paysaga.domain.reasons import Reason
from paysaga.domain.transitions import attempted, observed, opened
from tests.database.payments import (
    NOON,
    WINDOW,
    batch,
    canceled,
    intent,
    payment,
    started,
    succeeded,
)
from tests.fakes import begun_by

SECOND = timedelta(seconds=1)


@pytest.fixture
def records(engine: AsyncEngine) -> Records:
    return Records(sessions(engine))


@pytest.fixture
def reads(engine: AsyncEngine) -> Reads:
    return Reads(sessions(engine))


async def _all_pages(reads: Reads, limit: int, after: str | None = None) -> list[PaymentState]:
    seen: list[PaymentState] = []
    while True:
        page = await reads.payments(limit=limit, after=after)
        seen += page.payments
        after = page.next
        if after is None:
            return seen


class TestPayments:
    async def test_the_newest_comes_first(self, records: Records, reads: Reads) -> None:
        """
        Page by page, every payment comes once, newest first, also those of the same moment.
        """
        steps = [opened(payment(), NOON + (n // 3) * SECOND) for n in range(10)]
        for step in steps:
            await records.record(batch(step))

        seen = await _all_pages(reads, limit=4)

        expected = sorted(
            (step.state for step in steps),
            key=lambda state: (state.created_at, state.id),
            reverse=True,
        )
        assert expected == seen

    async def test_new_payments_do_not_shift_the_pages(
        self, records: Records, reads: Reads
    ) -> None:
        """
        Who turns pages while others pay sees nothing twice and misses nothing.
        """
        before = [opened(payment(), NOON + n * SECOND) for n in range(6)]
        for step in before:
            await records.record(batch(step))

        first = await reads.payments(limit=2)
        await records.record(batch(opened(payment(), NOON + timedelta(hours=1))))
        rest = await _all_pages(reads, limit=2, after=first.next)

        assert [step.state for step in reversed(before)] == [*first.payments, *rest]

    @pytest.mark.parametrize("limit", [3, 4])
    async def test_the_last_page_says_so(self, records: Records, reads: Reads, limit: int) -> None:
        """
        No next page is promised that would be empty.
        """
        for n in range(3):
            await records.record(batch(opened(payment(), NOON + n * SECOND)))

        page = await reads.payments(limit=limit)

        assert (3, None) == (len(page.payments), page.next)

    async def test_filters_are_combined(self, records: Records, reads: Reads) -> None:
        """
        Customer, status and order each narrow the list.
        """
        ours, theirs = payment(), payment(customer_id="cst_2")
        lost = payment(order_id=ours.order_id)
        for way in (canceled(lost), succeeded(ours), succeeded(theirs)):
            await records.record(batch(*way))

        succeeded_ones = await reads.payments(status=PaymentStatus.SUCCEEDED)
        of_customer = await reads.payments(customer_id="cst_1")
        of_both = await reads.payments(customer_id="cst_1", status=PaymentStatus.SUCCEEDED)
        of_order = await reads.payments(order_id=ours.order_id)
        of_nobody = await reads.payments(customer_id="cst_2", order_id=ours.order_id)

        assert {ours.id, theirs.id} == {found.id for found in succeeded_ones.payments}
        assert {ours.id, lost.id} == {found.id for found in of_customer.payments}
        assert {ours.id} == {found.id for found in of_both.payments}
        assert {ours.id, lost.id} == {found.id for found in of_order.payments}
        assert () == of_nobody.payments

    @pytest.mark.parametrize(
        "wrong",
        [
            "",
            "a",
            "%%%",
            "é",
            "bm90aGluZw",
            cursor(NOON, "pay_1") + "=",
            cursor(NOON, "pay_1")[:-1],
            cursor(NOON, "pay\x001"),
            "MjAyNi0xMS0yMVQxMjowMDowMCBwYXlfMQ",
            "MDAwMS0wMS0wMVQwMDowMDowMCsyMzo1OSBwYXlfMQ",
        ],
    )
    async def test_a_cursor_of_others_is_refused(self, reads: Reads, wrong: str) -> None:
        """
        What we did not hand out is a client's mistake, never a failure of ours.
        """
        with pytest.raises(WrongCursor):
            await reads.payments(after=wrong)


class TestOrder:
    async def test_the_open_payment_stands_for_its_order(
        self, records: Records, reads: Reads
    ) -> None:
        """
        An open or succeeded payment comes before newer ones that came to nothing.
        """
        held, later = payment(), payment()
        later = later.model_copy(update={"order_id": held.order_id})
        await records.record(batch(*canceled(later, NOON + SECOND)))
        await records.record(batch(*succeeded(held)))

        found = await reads.order_payment(held.order_id)

        assert held.id == (found and found.id)
        assert held.id == await reads.holder(held.order_id)

    async def test_else_the_newest_does(self, records: Records, reads: Reads) -> None:
        """
        When all have ended, the last word counts, and the order is free.
        """
        old = payment()
        new = payment(order_id=old.order_id)
        await records.record(batch(*canceled(new, NOON + SECOND)))
        await records.record(batch(*canceled(old)))

        found = await reads.order_payment(old.order_id)

        assert new.id == (found and found.id)
        assert await reads.holder(old.order_id) is None

    async def test_an_order_of_others_is_not_there(self, records: Records, reads: Reads) -> None:
        """
        Asked for a customer, the order of another one looks as if it did not exist.
        """
        ours = payment()
        await records.record(batch(*started(ours)[0]))

        assert await reads.order_payment(ours.order_id, customer_id="cst_2") is None
        assert await reads.order_payment("order-nobody") is None


class TestFacts:
    async def test_what_is_not_there_is_none(self, reads: Reads) -> None:
        """
        Unknown ids are answered, not raised.
        """
        assert await reads.payment("pay_nobody") is None
        assert await reads.holder("order-nobody") is None
        assert await reads.gateway_customer("cst_nobody") is None
        assert await reads.payment_of("pi_nobody") is None
        assert await reads.request("pay_nobody", "key") is None
        assert [] == await reads.history("pay_nobody")
        assert [] == await reads.attempts("pay_nobody")

    async def test_history_says_who_and_why(self, records: Records, reads: Reads) -> None:
        """
        Support reads from the history what happened, in order.
        """
        paid = payment()
        await records.record(batch(*canceled(paid)))

        history = await reads.history(paid.id)

        assert [
            ("created", "started", "service:shop"),
            ("processing", "started", "service:shop"),
            ("canceled", "cancel_requested", "customer:cst_1"),
        ] == [(step.status, step.reason, step.actor) for step in history]

    async def test_a_payment_is_found_by_what_the_gateway_calls_it(
        self, records: Records, reads: Reads
    ) -> None:
        """
        Its intent leads to it, its charge does, and so does the charge of an earlier attempt.
        """
        paid = payment()
        begun, first = started(paid)
        lost = observed(
            begun[-1].state,
            intent(paid, IntentStatus.REQUIRES_PAYMENT_METHOD),
            first,
            NOON,
            WINDOW,
        )
        again, second = begun_by(attempted(lost[-1].state, paid.method, NOON, actor=paid.actor))
        won = observed(again.state, intent(paid, number=2), second, NOON, WINDOW)
        await records.record(batch(*begun, *lost, again, *won))

        found = [
            await reads.payment_of(name)
            for name in (f"pi_{paid.id}", f"ch_{paid.id}_1", f"ch_{paid.id}_2")
        ]

        assert [paid.id] * 3 == found

    async def test_moments_come_back_as_they_were(self, records: Records, reads: Reads) -> None:
        """
        To the microsecond, and always with their zone.
        """
        paid = payment()
        await records.record(batch(opened(paid, NOON)))

        found = await reads.payment(paid.id)

        assert found is not None
        assert (NOON, timedelta(0)) == (found.created_at, found.created_at.utcoffset())

    async def test_readers_do_not_wait_for_a_writer(
        self, records: Records, reads: Reads, engine: AsyncEngine
    ) -> None:
        """
        A page is shown while a transaction is under way, as things stood before it.
        """
        paid = payment()
        begun, _ = started(paid)
        await records.record(batch(*begun))

        async with engine.connect() as writer:
            await writer.exec_driver_sql("UPDATE payments SET version = 3, reason = 'other'")
            found = await asyncio.wait_for(reads.payment(paid.id), timeout=5)
            await writer.rollback()

        assert Reason.STARTED is (found and found.reason)

    async def test_ping_says_nothing_when_all_is_well(self, reads: Reads) -> None:
        """
        Readiness asks the database something trivial.
        """
        await reads.ping()
