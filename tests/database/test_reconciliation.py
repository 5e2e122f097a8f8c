"""What our books say for a comparison, and how its findings are kept, on both databases."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from activities.reconciling import Fee, Fees, Reconciling
from activities.records import Records
from paysaga.database.balances import Balances
from paysaga.database.engine import sessions
from paysaga.database.owners import owners
from paysaga.database.reads import Reads
from paysaga.database.reconciliation import Reconciliations
from paysaga.domain.ledger import Account
from paysaga.domain.money import Money
from paysaga.domain.payment import Payment
from paysaga.domain.reasons import Reason
from paysaga.domain.reconciliation import Drift, DriftKind, Facts, Side, not_compared
from paysaga.domain.reports import Report
from paysaga.domain.transitions import given_back, owed_back, parked
from tests.database.payments import (
    NOON,
    batch,
    canceled,
    intent,
    payment,
    renewed,
    started,
    succeeded,
)

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
REPORT = Report(id="rcn_1", since=NOON - DAY, until=NOON, actor="finance:ann", started_at=NOON)
DRIFT = Drift(subject="pay_1", kind=DriftKind.AMOUNT, wrong=Side.DATABASE, in_database="7")


async def pay(engine: AsyncEngine, at_second: int = 0) -> Payment:
    paid = payment()
    await Records(sessions(engine)).record(batch(*succeeded(paid, NOON + at_second * SECOND)))
    return paid


class TestBooks:
    async def test_row_history_and_ledger_say_the_same(self, engine: AsyncEngine) -> None:
        """Paid, refunded and parked: each voice of the database has it."""
        paid = payment()
        steps = succeeded(paid)
        owed = owed_back(steps[-1].state, Reason.ORDER_REFUSED, NOON)
        back = given_back(owed[-1].state, NOON)
        waits = parked(back[-1].state, Reason.REFUND_FAILED, NOON)
        await Records(sessions(engine)).record(batch(*steps, *owed, *back, *waits))

        [books] = (await Reconciliations(sessions(engine)).these([paid.id])).payments

        assert Facts.of(waits[-1].state) == books.row == books.history
        assert (1250, 1250, True) == (
            books.ledger_captured,
            books.ledger_refunded,
            books.was_parked,
        )

    async def test_pages_miss_nobody(self, engine: AsyncEngine) -> None:
        """Every payment of the period is on one page, also when many changed at one moment."""
        made = {(await pay(engine, second // 2)).id for second in range(5)}
        found = Reconciliations(sessions(engine))

        seen: list[str] = []
        after: str | None = None
        while True:
            page = await found.changed(NOON, NOON + DAY, after, 2)
            seen += [books.payment_id for books in page.payments]
            after = page.next
            if after is None:
                break

        assert (5, made) == (len(seen), set(seen))

    async def test_period_has_two_ends(self, engine: AsyncEngine) -> None:
        """What was changed before or after belongs to another comparison."""
        await pay(engine)
        found = Reconciliations(sessions(engine))

        before = await found.changed(NOON - DAY, NOON, None, 9)
        after = await found.changed(NOON + SECOND, NOON + DAY, None, 9)

        assert ((), ()) == (before.payments, after.payments)


class TestOwners:
    async def test_whose_an_intent_is(self, engine: AsyncEngine) -> None:
        """By the intent that the row has; by the payment it names only while that is open."""
        paid, open_, over = await pay(engine), payment(), payment()
        begun, _ = started(open_)
        await Records(sessions(engine)).record(batch(*begun))
        await Records(sessions(engine)).record(batch(*canceled(over)))
        asked = {
            intent(paid).id: paid.id,
            "pi_of_open": open_.id,
            "pi_of_over": over.id,
            "pi_of_nobody": None,
        }

        found = await owners(sessions(engine), asked)

        assert {(intent(paid).id, paid.id), ("pi_of_open", open_.id)} == {
            (owner.intent_id, owner.payment_id) for owner in found
        }

    async def test_a_renewed_holds_two_intents(self, engine: AsyncEngine) -> None:
        """Both are the payment's; the one that does not count stands beside."""
        held = payment()
        await Records(sessions(engine)).record(batch(*renewed(held)))
        other = f"pi_other_{held.id}"
        names = {other: held.id, intent(held).id: None}

        found = await owners(sessions(engine), names)

        assert {(other, held.id, False), (intent(held).id, held.id, True)} == {
            (owner.intent_id, owner.payment_id, owner.is_beside) for owner in found
        }
        assert held.id == await Reads(sessions(engine)).payment_of(intent(held).id)

    async def test_nobody_is_asked_for(self, engine: AsyncEngine) -> None:
        """No movement, no owner."""
        assert [] == await owners(sessions(engine), {})


class TestFindings:
    async def test_report_is_begun_once(self, engine: AsyncEngine) -> None:
        """A repeat rejoins the one that is there."""
        found = Reconciliations(sessions(engine))
        await found.begin(REPORT)

        again = await found.begin(REPORT.model_copy(update={"actor": "admin:bob"}))

        assert REPORT == again == await found.report("rcn_1")
        assert await found.report("rcn_2") is None

    async def test_open_drift_is_one(self, engine: AsyncEngine) -> None:
        """Found today and tomorrow it is one row; a repeat changes nothing."""
        found = Reconciliations(sessions(engine))
        later = REPORT.model_copy(update={"id": "rcn_2", "compared": 1})
        await found.begin(REPORT)
        await found.begin(later)

        await found.note(REPORT, [DRIFT], [], NOON)
        await found.note(later, [DRIFT], [], NOON + DAY)
        await found.note(later, [DRIFT], [], NOON + DAY)

        [kept] = await found.drifts("rcn_2")
        assert (NOON, NOON + DAY) == (kept.found_at, kept.seen_at)
        assert [] == await found.drifts("rcn_1")
        assert later == await found.report("rcn_2")

    async def test_what_is_clear_is_closed(self, engine: AsyncEngine) -> None:
        """A payment that agrees again has no open drift, nor has a kind that is gone."""
        found = Reconciliations(sessions(engine))
        other = DRIFT.model_copy(update={"kind": DriftKind.STATUS})
        await found.begin(REPORT)
        await found.note(REPORT, [DRIFT, other], [], NOON)

        await found.note(REPORT, [other], [], NOON + SECOND)
        one = await found.drifts("rcn_1")
        await found.note(REPORT, [], ["pay_1"], NOON)  # by a clock that is behind
        none = await found.drifts("rcn_1")

        assert ([DriftKind.STATUS], []) == ([drift.kind for drift in one], none)

    async def test_what_comes_back_is_new(self, engine: AsyncEngine) -> None:
        """One comparison clears it, another one still finds it: it is open again, and once.

        A repeat of what was noted before it was cleared stays without effect.
        """
        found = Reconciliations(sessions(engine))
        other = REPORT.model_copy(update={"id": "rcn_2"})
        await found.begin(REPORT)
        await found.begin(other)
        await found.note(REPORT, [DRIFT], [], NOON)
        await found.note(other, [], ["pay_1"], NOON + SECOND)

        await found.note(REPORT, [DRIFT], [], NOON)
        late = await found.drifts("rcn_1")
        for _ in range(2):
            await found.note(REPORT, [DRIFT], [], NOON + DAY)

        [kept] = await found.drifts("rcn_1")
        assert ([], NOON + DAY, NOON + DAY) == (late, kept.found_at, kept.seen_at)

    async def test_what_was_not_compared_closes_nothing(self, engine: AsyncEngine) -> None:
        """Nobody knows whether it is gone."""
        found = Reconciliations(sessions(engine))
        await found.begin(REPORT)
        await found.note(REPORT, [DRIFT], [], NOON)

        await found.note(REPORT, [not_compared("pay_1", "no answer")], [], NOON + SECOND)

        kinds = [drift.kind for drift in await found.drifts("rcn_1")]
        assert [DriftKind.AMOUNT, DriftKind.NOT_COMPARED] == kinds


class TestFees:
    async def test_they_are_booked_once(self, engine: AsyncEngine) -> None:
        """A repeat, also after a lost answer, finds nothing to book; who is unknown is left out."""
        paid = await pay(engine)
        reconciling = Reconciling(sessions(engine))
        fee = Money(minor=43, currency="EUR")
        fees = Fees(
            fees=(Fee(payment_id=paid.id, fee=fee), Fee(payment_id="pay_none", fee=fee)), at=NOON
        )

        first = await reconciling.book_fees(fees)
        again = await reconciling.book_fees(fees)

        held = await Balances(sessions(engine)).all(payment_id=paid.id)
        assert (1, 0) == (first, again)
        assert [43] == [balance.amount for balance in held if balance.account is Account.FEES]
