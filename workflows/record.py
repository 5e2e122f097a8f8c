"""A payment as it stands in the database, and the only way to move it."""

from collections.abc import Callable, Sequence
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.records import NOT_WRITABLE, ORDER_TAKEN, Records
    from paysaga.domain import transitions as rules
    from paysaga.domain.payment import (
        UNREACHABLE,
        Attempt,
        Change,
        Changes,
        Fulfillment,
        Payment,
        PaymentState,
        PaymentStatus,
        Recorded,
    )

from workflows import policies
from workflows.payment_details import details, search_attributes
from workflows.saga import unbroken

# What a fact means for the payment as it stands: the changes to write, none if it is nothing new.
Rule = Callable[[PaymentState, Attempt], tuple[Change, ...]]


class Record:
    """Where the payment stands. It moves when the database has it, and says so in the run.

    A workflow task may be lost after its local activities have written, and what was done in it is
    then decided anew. So the database has the last word: if it knows more than the run, the run
    takes that over and applies its rule again.
    """

    def __init__(self, payment: Payment) -> None:
        opened = rules.opened(payment, workflow.now())
        (first,) = rules.attempted(
            opened.state, payment.method, workflow.now(), actor=payment.actor
        )
        self._first = (opened, first)
        self._shown: Sequence[SearchAttributeUpdate[Any]] = ()
        self.state = opened.state
        self.attempt = rules.attempt_after(self._first)
        self.is_written = False

    async def open(self) -> None:
        """Write the payment and its first attempt, before anybody hears of it."""
        await unbroken(self._open())

    async def move(self, rule: Rule) -> None:
        """Write down what the rule makes of the payment: nothing is told that is not written."""
        await unbroken(self._move(rule))

    async def _open(self) -> None:
        if not await self._write(self._first):
            raise RuntimeError("the database has another payment of this id")

    async def _move(self, rule: Rule) -> None:
        while changes := rule(self.state, self.attempt):
            if await self._write(changes):
                return

    async def _write(self, changes: tuple[Change, ...]) -> bool:
        """Whether these changes are what has happened to the payment."""
        recorded = await _recorded(changes)
        if recorded is None:
            self.state = changes[-1].state
            self.attempt = rules.attempt_after(changes, self.attempt)
        else:
            self.state, self.attempt = recorded.state, recorded.attempt or self.attempt
        self.is_written = True
        self._tell()
        return recorded is None or recorded.taken

    def _tell(self) -> None:
        state = self.state
        workflow.set_current_details(details(state, self.attempt))
        if state.reason not in UNREACHABLE:
            if not state.is_settled:
                return  # the first were given when the run was started; the next are on their way
            if state.status is PaymentStatus.SUCCEEDED and _awaits_the_shop(state):
                return  # the order's answer follows at once
        shown = search_attributes(state)
        if shown != self._shown:
            workflow.upsert_search_attributes(shown)
            self._shown = shown


def _awaits_the_shop(state: PaymentState) -> bool:
    return state.fulfillment is Fulfillment.PENDING


async def _recorded(changes: tuple[Change, ...]) -> Recorded | None:
    batch = Changes(changes=changes)
    summary = ", ".join(change.state.status for change in changes)
    if not any(change.request for change in changes if change.state.version > 1):
        try:
            return await workflow.execute_local_activity_method(
                Records.record, batch, **(policies.DATABASE | {"summary": summary})
            )
        except FailureError as error:
            _raise_unless_it_is_away(error, summary)
    try:
        return await workflow.execute_activity_method(
            Records.record, batch, **(policies.DATABASE_IN_PATIENCE | {"summary": summary})
        )
    except ActivityError as error:
        raise error.cause or error from error  # as a local activity would fail


def _raise_unless_it_is_away(error: FailureError, summary: str) -> None:
    # A local activity's own error comes unwrapped.
    kind = error.type if isinstance(error, ApplicationError) else None
    if kind == NOT_WRITABLE:
        # No failure of the run, which would put everything back: a bug, to be mended.
        raise RuntimeError(f"the database refuses the step {summary}: {error}") from error
    if kind == ORDER_TAKEN:
        raise error
