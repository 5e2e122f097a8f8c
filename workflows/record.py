"""A payment as it stands in the database, and the only way to move it."""

from collections.abc import Callable, Sequence
from typing import Any, Self

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.records import NOT_WRITABLE, ORDER_TAKEN, Records
    from paysaga.domain import transitions as rules
    from paysaga.domain.payment import (
        Attempt,
        Change,
        Changes,
        Fulfillment,
        Payment,
        PaymentState,
        PaymentStatus,
        Recorded,
    )
    from paysaga.domain.reasons import UNREACHABLE, Reason

from workflows import policies
from workflows.payment_details import details, search_attributes
from workflows.saga import unbroken

# What a fact means for the payment as it stands: the changes to write, none if it is nothing new.
Rule = Callable[[PaymentState, Attempt], tuple[Change, ...]]


class OrderTaken(ApplicationError):
    """Another payment has the order: this one cannot have it, or have it back."""

    def __init__(self, told: ApplicationError) -> None:
        super().__init__(told.message, *told.details, type=ORDER_TAKEN, non_retryable=True)


class Record:
    """Where the payment stands. It moves when the database has it, and says so in the run.

    A workflow task may be lost after its local activities have written, and what was done in it is
    then decided anew. So the database has the last word: if it knows more than the run, the run
    takes that over and applies its rule again.
    """

    def __init__(
        self, state: PaymentState, attempt: Attempt, first: tuple[Change, ...] = ()
    ) -> None:
        self.state = state
        self.attempt = attempt
        self.is_written = not first
        self.was_parked = state.status is PaymentStatus.NEEDS_OPERATOR
        self.asked_for: str | None = None  # by whom, and not done yet
        self._first = first
        self._shown: Sequence[SearchAttributeUpdate[Any]] = ()

    @classmethod
    def of_new(cls, payment: Payment) -> Self:
        """A payment that nobody knows of yet."""
        opened = rules.opened(payment, workflow.now())
        first = (
            opened,
            *rules.attempted(opened.state, payment.method, workflow.now(), actor=payment.actor),
        )
        return cls(opened.state, rules.attempt_after(first), first)

    async def open(self) -> None:
        """Write the payment and its first attempt, before anybody hears of it.

        Raises:
            OrderTaken: Another payment has the order.
        """
        await unbroken(self._open())

    async def move(self, rule: Rule) -> None:
        """Write down what the rule makes of the payment: nothing is told that is not written.

        Raises:
            OrderTaken: It would have its order again, and another payment has it.
        """
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
        before = self.state.status
        recorded = await _recorded(changes)
        if recorded is None:
            self.state = changes[-1].state
            self.attempt = rules.attempt_after(changes, self.attempt)
        else:
            self.state, self.attempt = recorded.state, recorded.attempt or self.attempt
        self.is_written = True
        self.tell()
        if self.state.status is PaymentStatus.NEEDS_OPERATOR is not before:
            self.was_parked = True
            call_an_operator(self.state.id, self.state.reason)
        return recorded is None or recorded.taken

    def explain(self) -> None:
        """Say in the run where the payment stands, and what was asked for."""
        workflow.set_current_details(details(self.state, self.attempt, self.asked_for))

    def tell(self) -> None:
        """Show in the run where the payment stands."""
        self.explain()
        state = self.state
        if state.reason not in UNREACHABLE:
            if not state.is_settled:
                return  # the first were given when the run was started; the next are on their way
            if state.status is PaymentStatus.SUCCEEDED and _awaits_the_shop(state):
                return  # the order's answer follows at once
        shown = search_attributes(state)
        if shown != self._shown:
            workflow.upsert_search_attributes(shown)
            self._shown = shown


def call_an_operator(payment_id: str, reason: Reason) -> None:
    """Have everybody's alerts hear of a payment that a person must look at."""
    told = {"payment_id": payment_id, "reason": reason.value}
    workflow.logger.error(
        "the payment needs an operator: payment-cli payments why %s says what to do",
        payment_id,
        extra=told,
    )
    workflow.metric_meter().create_counter(
        "paysaga_needs_operator", "payments that were parked for a person"
    ).add(1, {"reason": reason.value})


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
        raise _meant(error.cause or error) from error  # as a local activity would fail


def _raise_unless_it_is_away(error: FailureError, summary: str) -> None:
    # A local activity's own error comes unwrapped.
    if isinstance(error, ApplicationError) and error.type == NOT_WRITABLE:
        # No failure of the run, which would put everything back: a bug, to be mended.
        raise RuntimeError(f"the database refuses the step {summary}: {error}") from error
    if isinstance(meant := _meant(error), OrderTaken):
        raise meant


def _meant(error: BaseException) -> BaseException:
    if isinstance(error, ApplicationError) and error.type == ORDER_TAKEN:
        return OrderTaken(error)
    return error
