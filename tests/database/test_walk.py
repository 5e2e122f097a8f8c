from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.records import Records
from paysaga.database.balances import Balances
from paysaga.database.engine import Sessions, sessions
from paysaga.database.reads import Reads
from paysaga.database.tables import EVENTS
from paysaga.domain import captures
from paysaga.domain.declines import decline_for
from paysaga.domain.fees import fee_booked
from paysaga.domain.intent import CaptureMethod, IntentStatus
from paysaga.domain.ledger import Account, balances
from paysaga.domain.money import Money
from paysaga.domain.payment import (
    MOVES,
    Attempt,
    Change,
    Payment,
    PaymentState,
    PaymentStatus,
    RequestMark,
)
from paysaga.domain.reasons import Reason
from paysaga.domain.steps import IllegalMove
from paysaga.domain.transitions import (
    attempted,
    ended,
    given_back,
    noted,
    observed,
    opened,
    order_confirmed,
    owed_back,
    parked,
    refused,
    timed_out,
)
from tests.database.payments import NOON, WINDOW, batch, intent, payment

Way = tuple[Change, ...]
_CLOSING = (PaymentStatus.FAILED, PaymentStatus.EXPIRED, PaymentStatus.CANCELED)


class Walk:
    """A payment that goes where chance leads it, among the steps that the domain allows."""

    def __init__(self, paid: Payment) -> None:
        self.paid = paid
        self.at = NOON
        self.steps: list[Change] = [opened(paid, NOON)]
        self.attempts: dict[int, Attempt] = {}
        self._attempt: Attempt | None = None

    @property
    def state(self) -> PaymentState:
        return self.steps[-1].state

    def go(self, choice: int, seconds: int) -> None:
        """Take one of the ways that lead on from here."""
        self.at += timedelta(seconds=seconds)
        ways = [way for make in self._ways() if (way := _allowed(make)) is not None]
        if not ways:
            return
        changes = ways[choice % len(ways)]
        self.steps.extend(changes)
        for change in changes:
            if change.attempt is not None:
                self._attempt = change.attempt
                self.attempts[change.attempt.number] = change.attempt

    def _ways(self) -> list[Callable[[], Way]]:
        ways: list[Callable[[], Way]] = [
            lambda: attempted(self.state, "pm_card_visa", self.at, actor=self.paid.actor),
            lambda: noted(self.state, Reason.GATEWAY_UNREACHABLE, self.at),
            lambda: parked(self.state, Reason.GATEWAY_MISMATCH, self.at),
            self._fee_booked,
        ]
        if self.state.amount_captured:
            return [*ways, *self._ways_of_money()]
        if (attempt := self._attempt) is None:
            return ways
        ways += [partial(self._observed, attempt, status) for status in IntentStatus]
        ways += [partial(self._ended, attempt, status) for status in _CLOSING]
        if self.state.status is PaymentStatus.AUTHORIZED:
            ways += [
                lambda: captures.capture_asked(self.state, 500, self.at, "shop", self._mark()),
                lambda: captures.capture_refused(self.state, self.at, "not now"),
                lambda: captures.hold_ends_soon(self.state, self.at),
                lambda: self._captured(attempt),
            ]
        lost = decline_for("insufficient_funds")
        if attempt.ended_at is None:
            ways += [
                lambda: timed_out(self.state, attempt, lost, self.at),
                lambda: refused(self.state, attempt, Reason.GATEWAY_REFUSED, self.at),
            ]
        return ways

    @property
    def fee(self) -> int:
        """What the gateway has kept of it so far."""
        transfers = (transfer for step in self.steps for transfer in step.transfers)
        return balances(transfers).get(("EUR", Account.FEES), 0)

    def _fee_booked(self) -> Way:
        more = Money(minor=self.fee + 7, currency="EUR")
        return fee_booked(self.state, more, self.fee, self.at)

    def _observed(self, attempt: Attempt, status: IntentStatus) -> Way:
        shown = intent(self.paid, status, attempt.number)
        return observed(self.state, shown, attempt, self.at, WINDOW)

    def _captured(self, attempt: Attempt) -> Way:
        shown = intent(self.paid, IntentStatus.SUCCEEDED, attempt.number)
        taken = shown.model_copy(update={"received": self.state.amount_to_capture or 700})
        return observed(self.state, taken, attempt, self.at, WINDOW)

    def _mark(self) -> RequestMark:
        key = f"capture-{self.state.version}"
        return RequestMark(key=key, fingerprint=key)

    def _ended(self, attempt: Attempt, status: PaymentStatus) -> Way:
        return ended(
            self.state, attempt, status, Reason.HOLD_OVER, self.at, intent=None, actor="workflow"
        )

    def _ways_of_money(self) -> list[Callable[[], Way]]:
        if self.state.amount_refund_pending:
            return [lambda: given_back(self.state, self.at)]
        if self.state.amount_refunded == self.state.amount_captured:
            return []
        return [
            lambda: order_confirmed(self.state, self.at),
            lambda: owed_back(self.state, Reason.ORDER_REFUSED, self.at),
        ]


def _allowed(make: Callable[[], Way]) -> Way | None:
    try:
        way = make()
    except IllegalMove:
        return None
    return way or None


@settings(
    max_examples=25,
    deadline=None,
    # Each example has a payment of its own: a shared database is what they are to be tried on.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    choices=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 90)), min_size=1, max_size=25),
    cuts=st.lists(st.integers(1, 4), min_size=30, max_size=30),
    repeats=st.lists(st.booleans(), min_size=30, max_size=30),
    method=st.sampled_from(CaptureMethod),
)
async def test_wherever_a_payment_goes_the_rows_follow(
    engine: AsyncEngine,
    choices: list[tuple[int, int]],
    cuts: list[int],
    repeats: list[bool],
    method: CaptureMethod,
) -> None:
    """
    Any legal way, cut into any batches, some of them sent twice: the row is the state, the books
    balance, history and events count every step once and without a gap.
    """
    database = sessions(engine)
    records, reads = Records(database), Reads(database)
    walk = Walk(payment().model_copy(update={"capture_method": method}))
    for choice, seconds in choices:
        walk.go(choice, seconds)

    rest = walk.steps
    for cut, repeat in zip(cuts, repeats, strict=True):
        part, rest = rest[:cut], rest[cut:]
        if part:
            await records.record(batch(*part))
        if part and repeat:
            await records.record(batch(*part))
    if rest:
        await records.record(batch(*rest))

    history = await reads.history(walk.paid.id)
    assert walk.state == await reads.payment(walk.paid.id)
    assert list(walk.attempts.values()) == await reads.attempts(walk.paid.id)
    assert [(step.state.version, step.state.status) for step in walk.steps] == [
        (entry.number, entry.status) for entry in history
    ]
    assert all(
        later.status == earlier.status or later.status in MOVES[earlier.status]
        for earlier, later in pairwise(history)
    )
    secret = {"method": {"fingerprint"}}
    assert [step.state.model_dump(mode="json", exclude=secret) for step in walk.steps] == (
        await _told(database, walk.paid.id)
    )
    captured, given = walk.state.amount_captured, walk.state.amount_refunded
    booked = {
        Account.GATEWAY_CLEARING: captured - given - walk.fee,
        Account.REVENUE: -captured,
        Account.REFUNDS: given,
        Account.FEES: walk.fee,
    }
    held = await Balances(database).all(payment_id=walk.paid.id)
    assert {account: sum_ for account, sum_ in booked.items() if sum_} == {
        balance.account: balance.amount for balance in held if balance.amount
    }
    assert 0 == sum(balance.amount for balance in held)


async def _told(database: Sessions, payment_id: str) -> list[object]:
    async with database() as session:
        told = await session.scalars(
            select(EVENTS.c.data)
            .where(EVENTS.c.object_id == payment_id)
            .order_by(EVENTS.c.sequence)
        )
        return list(told)
