import asyncio
from datetime import date

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import PoolProxiedConnection
from temporalio.exceptions import ApplicationError

from activities.records import NOT_WRITABLE, Records
from paysaga.database.engine import Sessions, sessions
from paysaga.database.reads import Reads
from paysaga.database.tables import (
    ATTEMPTS,
    CUSTOMERS,
    EVENTS,
    PAYMENTS,
    REFUND_POLICIES,
    STATUS_HISTORY,
    TRANSFERS,
)
from paysaga.domain import repairs
from paysaga.domain.fees import fee_booked
from paysaga.domain.ids import EVENT, derived
from paysaga.domain.intent import IntentStatus
from paysaga.domain.payment import AttemptStatus, Payment, PaymentStatus, Recorded, RequestMark
from paysaga.domain.reasons import Reason
from paysaga.domain.refund_policy import STANDARD, RefundPolicy
from paysaga.domain.repairs import Said
from paysaga.domain.transitions import (
    attempt_after,
    attempted,
    noted,
    observed,
    opened,
    order_confirmed,
    parked,
)
from tests.database.payments import (
    NOON,
    PRICE,
    WINDOW,
    batch,
    canceled,
    intent,
    payment,
    started,
    succeeded,
)
from tests.fakes import told


@pytest.fixture
def database(engine: AsyncEngine) -> Sessions:
    return sessions(engine)


@pytest.fixture
def records(database: Sessions) -> Records:
    return Records(database)


@pytest.fixture
def reads(database: Sessions) -> Reads:
    return Reads(database)


async def _counts(database: Sessions) -> list[int]:
    tables = (PAYMENTS, ATTEMPTS, STATUS_HISTORY, TRANSFERS, EVENTS)
    async with database() as session:
        return [
            (await session.execute(select(func.count()).select_from(table))).scalar_one()
            for table in tables
        ]


class TestTerms:
    async def test_they_come_with_their_first_payment(
        self, records: Records, reads: Reads, database: Sessions
    ) -> None:
        """
        Payments under the same terms share them; other terms stand beside, and none is lost.
        """
        other = RefundPolicy(name="other-1")
        paid = [_under(STANDARD), _under(STANDARD), _under(other)]

        for one in paid:
            await records.record(batch(*succeeded(one)))

        states = [await reads.payment(one.id) for one in paid]
        pinned = [(state and state.refund_policy_id) or "" for state in states]
        assert [STANDARD.id, STANDARD.id, other.id] == pinned
        assert [STANDARD, other] == [await reads.refund_policy(one) for one in pinned[1:]]
        async with database() as session:
            rows = await session.execute(select(REFUND_POLICIES.c.name))
            assert ["other-1", "standard-1"] == sorted(rows.scalars())

    async def test_payments_that_bring_the_same_at_once(
        self, records: Records, reads: Reads
    ) -> None:
        """
        Nobody has written these terms down yet, and all payments of a rush do: each is there.
        """
        paid = [_under(STANDARD) for _ in range(10)]

        await asyncio.gather(*(records.record(batch(*started(one)[0])) for one in paid))

        states = [await reads.payment(one.id) for one in paid]
        assert {STANDARD.id} == {state and state.refund_policy_id for state in states}

    async def test_an_older_worker_unsets_none_of_them(
        self, records: Records, reads: Reads
    ) -> None:
        """
        What it has read does not hold these fields: what it hands on is written without them.
        """
        day = date(2027, 2, 1)
        paid = _under(STANDARD).model_copy(update={"service_date": day})
        steps = succeeded(paid)
        await records.record(batch(*steps))
        unknown = dict.fromkeys(("service_date", "refund_policy_id", "paid_at"))
        known_to_it = steps[-1].state.model_copy(update=unknown)

        await records.record(batch(*order_confirmed(known_to_it, NOON)))

        state = await reads.payment(paid.id)
        assert state is not None
        assert (day, STANDARD.id, NOON) == (
            state.service_date,
            state.refund_policy_id,
            state.paid_at,
        )

    async def test_a_payment_that_an_older_worker_has_opened_goes_on(
        self, records: Records, reads: Reads
    ) -> None:
        """
        It has written no terms down: the run that knows some goes on all the same, without.
        """
        begun, attempt = started(payment())
        await records.record(batch(*begun))
        terms = {"refund_policy_id": RefundPolicy(name="never-written-1").id}
        knows = begun[-1].state.model_copy(update=terms)

        paid = observed(knows, intent(payment(name="x")), attempt, NOON, WINDOW)
        await records.record(batch(*paid))

        state = await reads.payment(knows.id)
        assert state is not None
        assert (PaymentStatus.SUCCEEDED, None) == (state.status, state.refund_policy_id)

    async def test_a_day_and_a_moment_are_read_as_written(
        self, records: Records, reads: Reads
    ) -> None:
        """
        The day that is paid for has no hour, and when it was paid is exact.
        """
        leap = date(2028, 2, 29)
        steps = succeeded(payment().model_copy(update={"service_date": leap}))

        await records.record(batch(*steps))

        state = await reads.payment(steps[-1].state.id)
        assert state is not None
        assert (leap, NOON) == (state.service_date, state.paid_at)


def _under(policy: RefundPolicy) -> Payment:
    """A payment that is made under these terms."""
    terms = {"refund_policy": policy, "refund_policy_id": policy.id}
    return payment().model_copy(update=terms)


class TestRecord:
    async def test_the_row_is_the_state(self, records: Records, reads: Reads) -> None:
        """
        What is read back is, field by field, what the workflow holds.
        """
        steps = succeeded(payment(gateway_customer_id="cus_1"))

        await records.record(batch(*steps))

        assert steps[-1].state == await reads.payment(steps[-1].state.id)

    async def test_each_step_leaves_its_trail(
        self, records: Records, reads: Reads, database: Sessions
    ) -> None:
        """
        Every step has one row of history and one event; the money's step has its transfer.
        """
        paid = payment()
        steps = succeeded(paid)

        await records.record(batch(*steps))

        history = await reads.history(paid.id)
        assert [(1, "created"), (2, "processing"), (3, "succeeded")] == [
            (step.number, step.status) for step in history
        ]
        async with database() as session:
            events = (await session.execute(select(EVENTS).order_by(EVENTS.c.sequence))).all()
            transfers = (await session.execute(select(TRANSFERS))).all()
        assert ["payment.created", "payment.processing", "payment.succeeded"] == [
            told.type for told in events
        ]
        secret = {"method": {"fingerprint"}}
        assert [step.state.model_dump(mode="json", exclude=secret) for step in steps] == [
            told.data for told in events
        ]
        assert [derived(EVENT, paid.id, str(number)) for number in (1, 2, 3)] == [
            told.id for told in events
        ]
        assert [(paid.id, 3, 1, "gateway_clearing", "revenue", 1250, "EUR", NOON)] == [
            tuple(row) for row in transfers
        ]

    async def test_step_by_step_is_the_same_as_at_once(
        self, records: Records, database: Sessions, reads: Reads
    ) -> None:
        """
        How the steps are batched makes no difference.
        """
        together, one_by_one = succeeded(payment()), succeeded(payment())

        await records.record(batch(*together))
        for step in one_by_one:
            await records.record(batch(step))

        assert [2, 2, 6, 2, 6] == await _counts(database)
        assert one_by_one[-1].state == await reads.payment(one_by_one[-1].state.id)

    async def test_a_step_within_a_status_is_an_update(
        self, records: Records, database: Sessions
    ) -> None:
        """
        `payment.succeeded` is told once: what happens after it has another name.
        """
        steps = succeeded(payment())
        confirmed = order_confirmed(steps[-1].state, NOON)
        await records.record(batch(*steps))

        await records.record(batch(*confirmed))

        async with database() as session:
            told = await session.scalars(select(EVENTS.c.type).order_by(EVENTS.c.sequence))
            assert ["payment.succeeded", "payment.updated"] == list(told)[-2:]

    async def test_an_attempt_is_written_before_and_after(
        self, records: Records, reads: Reads
    ) -> None:
        """
        The attempt's row is there before the gateway hears of it, and later says what came of it.
        """
        paid = payment()
        begun, attempt = started(paid)
        lost, over = told(
            observed(
                begun[-1].state,
                intent(paid, IntentStatus.REQUIRES_PAYMENT_METHOD),
                attempt,
                NOON + WINDOW,
                WINDOW,
            ),
            attempt,
        )

        await records.record(batch(*begun))
        before = await reads.attempts(paid.id)
        await records.record(batch(*lost))

        assert [attempt] == before
        assert [over] == await reads.attempts(paid.id)
        assert AttemptStatus.DECLINED is over.status

    async def test_a_few_statements_are_enough(self, records: Records, engine: AsyncEngine) -> None:
        """
        The customer waits for this: one statement for each table, however many steps there are.
        """
        steps = succeeded(payment())
        statements: list[str] = []
        event.listen(
            engine.sync_engine,
            "before_cursor_execute",
            lambda _1, _2, statement, *_: statements.append(statement.split()[0]),
        )

        await records.record(batch(*steps))

        assert ["INSERT", "UPDATE", *["INSERT"] * 5] == [
            word for word in statements if word != "BEGIN"
        ]


class TestStanding:
    async def test_the_last_state_and_attempt(self, records: Records) -> None:
        """
        A run that begins with the row knows what the run before knew.
        """
        steps = succeeded(payment())
        await records.record(batch(*steps))

        found = await records.standing(steps[-1].state.id)

        assert found
        assert steps[-1].state == found.state
        assert attempt_after(steps) == found.attempt
        assert found.evidence is None

    async def test_what_a_parked_payment_was_found_with_last(self, records: Records) -> None:
        """
        What the gateway showed, not what was said about repairs.
        """
        steps = list(succeeded(payment()))
        for change in (
            *parked(steps[-1].state, Reason.GATEWAY_MISMATCH, NOON, "first"),
            *repairs.told(steps[-1].state, Reason.GATEWAY_MISMATCH, NOON, "then"),
            *repairs.told(steps[-1].state, Reason.REPAIR_REFUSED, NOON, "the gateway refuses"),
        ):
            version = steps[-1].state.version + 1
            state = change.state.model_copy(
                update={"version": version, "status": PaymentStatus.NEEDS_OPERATOR}
            )
            steps.append(change.model_copy(update={"state": state}))
        await records.record(batch(*steps))

        found = await records.standing(steps[-1].state.id)

        assert found
        assert "then" == found.evidence

    async def test_there_is_none(self, records: Records) -> None:
        """
        An id that nobody has is no error: who asks decides what it means.
        """
        assert await records.standing("pay_nobody") is None

    async def test_whose_intent_it_is(self, records: Records) -> None:
        """
        By the gateway's id, and nobody's if no payment has it.
        """
        steps = succeeded(payment())
        await records.record(batch(*steps))
        intent_id = str(steps[-1].state.intent_id)

        assert steps[-1].state.id == await records.payment_of(intent_id)
        assert await records.payment_of("pi_unknown") is None

    async def test_notes_are_kept(self, records: Records, reads: Reads) -> None:
        """
        The evidence of a parked payment and an operator's words stand in its history.
        """
        steps = succeeded(payment())
        await records.record(batch(*steps))
        state = steps[-1].state
        left = parked(state, Reason.GATEWAY_MISMATCH, NOON, "another amount")
        said = Said(actor="admin:alice", note="I look into it")
        mark = RequestMark(key="k", fingerprint="f")
        asked = repairs.asked(left[-1].state, Reason.REPAIR_REQUESTED, NOON, said, mark)
        await records.record(batch(*left, *asked))

        history = await reads.history(state.id)

        assert [
            ("gateway_mismatch", "workflow", "another amount"),
            ("repair_requested", "admin:alice", "I look into it"),
        ] == [(step.reason, step.actor, step.note) for step in history[-2:]]


class TestRepeats:
    async def test_a_repeat_changes_nothing(
        self, records: Records, reads: Reads, database: Sessions
    ) -> None:
        """
        When the answer to the COMMIT is lost, the same batch comes again and finds its work done.
        """
        steps = succeeded(payment())
        news = await records.record(batch(*steps))
        before = await _counts(database)

        repeats = [
            await records.record(batch(*steps)),
            await records.record(batch(*steps[:2])),
            await records.record(batch(steps[1])),
        ]

        standing = Recorded(state=steps[-1].state, attempt=steps[-1].attempt, taken=True)
        assert before == await _counts(database)
        assert steps[-1].state == await reads.payment(steps[-1].state.id)
        assert (None, [standing] * 3) == (news, repeats)

    async def test_a_repeat_at_another_time_is_told_the_first_time(self, records: Records) -> None:
        """
        A workflow task that is done again does the same a moment later: what stands counts.
        """
        paid = payment()
        first, again = started(paid)[0], started(paid, NOON + WINDOW)[0]
        await records.record(batch(*first))

        recorded = await records.record(batch(*again))

        assert recorded == Recorded(state=first[-1].state, attempt=first[-1].attempt, taken=True)

    async def test_another_step_of_the_same_number_is_not_taken(
        self, records: Records, database: Sessions
    ) -> None:
        """
        A lost workflow task wrote one end, and another is decided now: the first one stands, and
        whoever comes second hears of it.
        """
        paid = payment()
        won, lost = succeeded(paid), canceled(paid)
        await records.record(batch(*won))
        before = await _counts(database)

        recorded = await records.record(batch(*lost[2:]))

        assert recorded == Recorded(state=won[-1].state, attempt=won[-1].attempt, taken=False)
        assert before == await _counts(database)

    async def test_nothing_follows_a_step_that_was_not_taken(
        self, records: Records, reads: Reads
    ) -> None:
        """
        What was decided upon another past is not written, even where it would be news.
        """
        paid = payment()
        won, lost = succeeded(paid), canceled(paid)
        more = noted(lost[-1].state, Reason.REFUND_PENDING, NOON)
        await records.record(batch(*won))

        await records.record(batch(*lost, *more))

        assert won[-1].state == await reads.payment(paid.id)

    async def test_a_lost_commit_is_asked_again(
        self,
        records: Records,
        engine: AsyncEngine,
        database: Sessions,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """
        Whether the connection broke before or after the COMMIT, the retry ends in the same rows.
        """
        steps = succeeded(payment())
        dialect = engine.sync_engine.dialect
        commit = dialect.do_commit
        committed = iter([False, True])

        def lose_the_answer(connection: PoolProxiedConnection) -> None:
            if next(committed):
                commit(connection)
            raise ConnectionResetError

        with monkeypatch.context() as broken:
            broken.setattr(dialect, "do_commit", lose_the_answer)
            for _ in range(2):
                with pytest.raises(ConnectionResetError):
                    await records.record(batch(*steps))
        await records.record(batch(*steps))

        assert [1, 1, 3, 1, 3] == await _counts(database)

    async def test_only_the_new_part_of_a_batch_is_written(
        self, records: Records, reads: Reads, database: Sessions
    ) -> None:
        """
        A batch whose beginning is known goes on from there.
        """
        steps = succeeded(payment())
        await records.record(batch(*steps[:2]))

        await records.record(batch(*steps))

        assert [1, 1, 3, 1, 3] == await _counts(database)
        assert steps[-1].state == await reads.payment(steps[-1].state.id)

    @pytest.mark.parametrize("known", [0, 2])
    async def test_copies_at_the_same_time_are_written_once(
        self, records: Records, database: Sessions, known: int
    ) -> None:
        """
        A worker that was thought dead and its successor may both write: one of them does.
        """
        steps = succeeded(payment())
        if known:
            await records.record(batch(*steps[:known]))

        await asyncio.gather(*(records.record(batch(*steps)) for _ in range(10)))

        assert [1, 1, 3, 1, 3] == await _counts(database)

    @pytest.mark.parametrize("first", [1, 2])
    async def test_a_gap_is_a_bug(self, records: Records, database: Sessions, first: int) -> None:
        """
        A step whose predecessor is not there is not written, nor is anything beside it.
        """
        steps = succeeded(payment())
        if first > 1:
            await records.record(batch(*steps[: first - 1]))
        before = await _counts(database)

        with pytest.raises(ApplicationError, match="cannot") as bug:
            await records.record(batch(*steps[first:]))

        assert NOT_WRITABLE == bug.value.type
        assert before == await _counts(database)

    async def test_a_gap_within_a_batch_is_a_bug(
        self, records: Records, database: Sessions
    ) -> None:
        """
        All or none: the good beginning of a bad batch is not written either.
        """
        first, _, third = succeeded(payment())

        with pytest.raises(ApplicationError, match="cannot follow"):
            await records.record(batch(first, third))

        assert [0, 0, 0, 0, 0] == await _counts(database)

    async def test_all_or_none(self, records: Records, database: Sessions) -> None:
        """
        If the database refuses one row, none of its transaction stays, and the bug is named
        without the row.
        """
        first, second, third = succeeded(payment())
        wrong = third.model_copy(update={"actor": ""})

        with pytest.raises(ApplicationError, match="actor") as bug:
            await records.record(batch(first, second, wrong))

        assert NOT_WRITABLE == bug.value.type
        assert first.state.order_id not in f"{bug.value} {bug.value.__cause__}"
        assert [0, 0, 0, 0, 0] == await _counts(database)


class TestOrderSlot:
    async def test_a_second_payment_names_the_first(self, records: Records) -> None:
        """
        An order with a payment takes no other, and whoever tries learns which one it is.
        """
        first = payment()
        second = payment(order_id=first.order_id)
        await records.record(batch(*succeeded(first)))

        with pytest.raises(ApplicationError) as refusal:
            await records.record(batch(*started(second)[0]))

        assert ("OrderTaken", True) == (refusal.value.type, refusal.value.non_retryable)
        assert (first.id,) == refusal.value.details

    async def test_of_two_at_once_exactly_one_wins(
        self, records: Records, database: Sessions, reads: Reads
    ) -> None:
        """
        Two payments of one order, started at the same moment: one opens, the other is told so.
        """
        rivals = [payment(order_id="order-1", customer_id=f"cst_{n}") for n in range(8)]

        answers = await asyncio.gather(
            *(records.record(batch(*started(rival)[0])) for rival in rivals),
            return_exceptions=True,
        )

        refused = [answer for answer in answers if isinstance(answer, ApplicationError)]
        [winner] = [rival for rival, answer in zip(rivals, answers, strict=True) if answer is None]
        assert 7 == len(refused)
        assert {(winner.id,)} == {tuple(answer.details) for answer in refused}
        assert winner.id == await reads.holder("order-1")
        assert [1, 1, 2, 0, 2] == await _counts(database)

    async def test_a_given_up_payment_makes_room(self, records: Records, reads: Reads) -> None:
        """
        After a cancel the customer may start anew.
        """
        first = payment()
        second = payment(order_id=first.order_id)
        await records.record(batch(*canceled(first)))

        await records.record(batch(*started(second)[0]))

        assert second.id == await reads.holder(first.order_id)

    async def test_a_repeat_is_not_a_rival(self, records: Records) -> None:
        """
        A payment that has ended stays recorded when its beginning is repeated beside a new one.
        """
        first = payment()
        await records.record(batch(*canceled(first)))
        await records.record(batch(*started(payment(order_id=first.order_id))[0]))

        await records.record(batch(*canceled(first)))

    async def test_who_comes_back_finds_the_order_taken(self, records: Records) -> None:
        """
        A payment that had let its order go cannot be parked beside its successor unseen.
        """
        first = payment()
        second = payment(order_id=first.order_id)
        steps = canceled(first)
        await records.record(batch(*steps))
        await records.record(batch(*started(second)[0]))

        with pytest.raises(ApplicationError) as refusal:
            await records.record(batch(*parked(steps[-1].state, Reason.GATEWAY_MISMATCH, NOON)))

        assert (second.id,) == refusal.value.details

    async def test_another_refusal_is_a_bug_all_the_same(self, records: Records) -> None:
        """
        What the database refuses for another reason is told as that, whoever has the order now.
        """
        first = payment()
        steps = canceled(first)
        await records.record(batch(*steps))
        await records.record(batch(*started(payment(order_id=first.order_id))[0]))
        (booked,) = fee_booked(steps[-1].state, PRICE, 0, NOON)

        with pytest.raises(ApplicationError, match="actor") as bug:
            await records.record(batch(booked.model_copy(update={"actor": ""})))

        assert NOT_WRITABLE == bug.value.type


class TestCustomer:
    async def _known(self, database: Sessions) -> list[tuple[object, ...]]:
        async with database() as session:
            rows = await session.execute(select(CUSTOMERS.c.id, CUSTOMERS.c.gateway_customer_id))
            return [tuple(row) for row in rows]

    async def test_the_first_payment_makes_the_customer_known(
        self, records: Records, database: Sessions
    ) -> None:
        """
        Nobody has to register a customer before.
        """
        await records.record(batch(opened(payment(), NOON)))

        assert [("cst_1", None)] == await self._known(database)

    async def test_the_first_gateway_customer_stays(
        self, records: Records, database: Sessions, reads: Reads
    ) -> None:
        """
        Two payments that each made a gateway customer agree on the first from then on.
        """
        await records.record(batch(opened(payment(), NOON)))
        await records.record(batch(opened(payment(gateway_customer_id="cus_first"), NOON)))
        await records.record(batch(opened(payment(gateway_customer_id="cus_second"), NOON)))

        assert [("cst_1", "cus_first")] == await self._known(database)
        assert "cus_first" == await reads.gateway_customer("cst_1")

    async def test_a_later_step_names_the_gateway_customer(
        self, records: Records, reads: Reads
    ) -> None:
        """
        The gateway makes its customer while the payment runs.
        """
        steps = succeeded(payment())
        await records.record(batch(*steps[:2]))

        await records.record(batch(steps[2]))

        assert "cus_cst_1" == await reads.gateway_customer("cst_1")


class TestRequests:
    async def test_a_request_is_known_by_its_key(self, records: Records, reads: Reads) -> None:
        """
        A repeated key finds the fingerprint of the request that moved the payment.
        """
        paid = payment()
        await records.record(batch(*canceled(paid)))

        opening = await reads.request(paid.id, paid.request.key)
        cancel = await reads.request(paid.id, "cancel")
        other = await reads.request(paid.id, "never")

        assert paid.request == opening
        assert "nothing" == (cancel and cancel.fingerprint)
        assert other is None

    async def test_a_key_moves_a_payment_once(self, records: Records) -> None:
        """
        Should the workflow ever act on one request twice, the database refuses.
        """
        paid = payment()
        first = opened(paid, NOON)
        (again,) = attempted(first.state, paid.method, NOON, actor=paid.actor, request=paid.request)

        with pytest.raises(ApplicationError, match="request") as bug:
            await records.record(batch(first, again))

        assert NOT_WRITABLE == bug.value.type


class TestBatches:
    async def test_many_at_once_all_arrive(self, records: Records, database: Sessions) -> None:
        """
        Writers that come together wait for each other; none fails, none is lost.
        """
        ways = [succeeded(payment(customer_id=f"cst_{n % 5}"), NOON) for n in range(30)]

        await asyncio.gather(*(records.record(batch(*way)) for way in ways))

        assert [30, 30, 90, 30, 90] == await _counts(database)
