"""A saved method as it stands in the database, and the only way to move it."""

from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.method_records import ALREADY_SAVED, MethodRecords
    from activities.records import NOT_WRITABLE
    from paysaga.domain import saving as rules
    from paysaga.domain.saved_method import SavedMethod, SaveReason, Setup

from workflows import addresses, policies
from workflows.method_details import details
from workflows.saga import unbroken

# What a fact makes of the method as it stands: its next step, `None` if it is nothing new.
Rule = Callable[[SavedMethod], SavedMethod | None]


class AlreadySaved(ApplicationError):
    """Another of our methods is this one of the gateway's already."""

    def __init__(self, told: ApplicationError) -> None:
        super().__init__(told.message, *told.details, type=ALREADY_SAVED, non_retryable=True)


class MethodRecord:
    """Where the method stands. It moves when the database has it, and says so in the run.

    The database has the last word: if it knows more than the run, the run takes that over and
    applies its rule again. A rule comes to rest by itself.
    """

    def __init__(self, method: SavedMethod) -> None:
        self.method = method
        self.is_written = False
        self._shown: str | None = None

    async def open(self) -> None:
        """Write the method's first row, before anybody hears of it."""
        await unbroken(self._write(self.method))

    async def move(self, rule: Rule) -> None:
        """Write down what the rule makes of the method: nothing is told that is not written.

        Raises:
            AlreadySaved: It would become active beside another that is the same.
        """
        await unbroken(self._move(rule))

    async def set_up(self, setup: Setup, action_window: timedelta) -> None:
        """What the gateway's word on the SetupIntent makes of it; nothing is saved twice."""
        try:
            await self.move(lambda it: rules.set_up(it, setup, workflow.now(), action_window))
        except AlreadySaved:
            doubled = SaveReason.ALREADY_SAVED
            await self.move(lambda it: rules.failed(it, doubled, workflow.now(), setup=setup))

    async def _move(self, rule: Rule) -> None:
        while (step := rule(self.method)) is not None:
            await self._write(step)

    async def _write(self, step: SavedMethod) -> None:
        self.method = await _recorded(step)
        self.is_written = True
        self.tell()

    def tell(self) -> None:
        """Show in the run where the method stands."""
        method = self.method
        workflow.set_current_details(details(method))
        name = method.setup_intent_id
        if name is not None and name != self._shown:
            workflow.upsert_search_attributes([addresses.GATEWAY_ID.value_set(name)])
            self._shown = name


async def standing(method_id: str) -> SavedMethod:
    """The method as it stands.

    Raises:
        ApplicationError: There is none of this id.
    """
    method = await workflow.execute_activity_method(
        MethodRecords.method_standing,
        method_id,
        **(policies.DATABASE_IN_PATIENCE | {"summary": f"how {method_id} stands"}),
    )
    if method is None:
        raise ApplicationError(f"there is no method {method_id}", non_retryable=True)
    return method


async def _recorded(step: SavedMethod) -> SavedMethod:
    summary = step.status.value
    try:
        return await workflow.execute_local_activity_method(
            MethodRecords.record_method, step, **(policies.DATABASE | {"summary": summary})
        )
    except FailureError as error:
        _raise_unless_it_is_away(error, step)
    try:
        return await workflow.execute_activity_method(
            MethodRecords.record_method,
            step,
            **(policies.DATABASE_IN_PATIENCE | {"summary": summary}),
        )
    except ActivityError as error:
        raise _meant(error.cause or error) from error


def _raise_unless_it_is_away(error: FailureError, step: SavedMethod) -> None:
    # A local activity's own error comes unwrapped.
    if isinstance(error, ApplicationError) and error.type == NOT_WRITABLE:
        # No failure of the run: a bug, to be mended.
        raise RuntimeError(f"the database refuses the step {step.status}: {error}") from error
    if isinstance(meant := _meant(error), AlreadySaved):
        raise meant


def _meant(error: BaseException) -> BaseException:
    if isinstance(error, ApplicationError) and error.type == ALREADY_SAVED:
        return AlreadySaved(error)
    return error
