"""Save a means of payment for later: set it up, wait for the customer, and know how it ended."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import CancelledError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.errors import Trouble
    from activities.method_orders import CancelSetUpOrder, SetUpOrder
    from paysaga.domain import saving as rules
    from paysaga.domain.saved_method import (
        MethodOrder,
        SavedMethod,
        SavedMethodStatus,
        SaveReason,
        Setup,
        SetupStatus,
    )

from workflows import policies
from workflows.asking import Refused
from workflows.method_calls import MethodAsking
from workflows.method_record import MethodRecord
from workflows.requests import NotNow
from workflows.saga import to_the_end
from workflows.watch import Watch


@workflow.defn
class SavedMethodWorkflow:
    """From the customer's wish to a method that can be paid with, or to the reason why not.

    Its run has the method's id, and ends with the outcome: what comes later (a new card from the
    bank, a removal) has runs of its own.
    """

    @workflow.init
    def __init__(self, order: MethodOrder) -> None:
        self._order = order
        self._record = MethodRecord(rules.begun(order, workflow.now()))
        self._gateway = MethodAsking(self)
        self._watch = Watch()
        self._setup: Setup | None = None
        self._has_asked = False
        self._cancels = 0
        self._refreshes = 0
        self._refresh_from = workflow.now()
        self._is_refreshing = False
        self._failure: FailureError | None = None

    @workflow.run
    async def run(self, order: MethodOrder) -> SavedMethod:  # noqa: ARG002 - `__init__` has it
        """Answers with the method as it stands when its saving is over."""
        try:
            await self._save()
        except (FailureError, asyncio.CancelledError) as failure:
            self._failure = (
                failure if isinstance(failure, FailureError) else CancelledError("run canceled")
            )
            await to_the_end(self._abandon())
            await to_the_end(workflow.wait_condition(workflow.all_handlers_finished))
            raise
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._method

    @workflow.update
    async def first_outcome(self) -> SavedMethod:
        """The method as soon as there is an answer for the customer."""
        return await self._method_when(lambda: self._record.is_written and self._method.is_settled)

    @workflow.update
    async def refresh(self) -> SavedMethod:
        """Look at the gateway now and answer with what the method is then."""
        self._watch.must_look = self._is_refreshing = True
        self._refreshes += 1
        if self._refreshes >= policies.REFRESHES_AT_WILL:
            self._refresh_from = workflow.now() + policies.REFRESH_PAUSE
        seen = self._watch.looks
        try:
            return await self._method_when(
                lambda: not self._method.is_open or self._watch.looks > seen
            )
        finally:
            self._is_refreshing = False

    @refresh.validator
    def _may_refresh(self) -> None:
        if self._is_refreshing:
            raise NotNow("the gateway is being looked at already")
        if workflow.now() < self._refresh_from:
            raise NotNow("this method has been looked at often enough for now")

    @workflow.signal
    def nudged(self) -> None:
        """Something happened at the gateway: look. The webhook's own words are not believed."""
        self._watch.must_look = True

    async def _save(self) -> None:
        await self._record.open()
        try:
            if self._method.is_open:
                await self._set_up()
            while self._method.is_open:
                await self._go_on()
        except Refused:
            workflow.logger.exception("the gateway refuses to save the method")
            await self._fail(SaveReason.GATEWAY_REFUSED)

    async def _set_up(self) -> None:
        order = self._order
        self._has_asked = True
        self._watch.must_look = False
        setup = await self._gateway.set_up(
            SetUpOrder(
                method_id=order.id,
                customer_id=order.customer_id,
                gateway_customer_id=order.gateway_customer_id,
                token=order.token,
                return_url=order.gateway_return_url,
                environment=order.environment,
                correlation_id=order.correlation_id,
                ordered_at=self._method.created_at,
            )
        )
        await self._observe(setup)
        self._watch.looks += 1  # who asked for a look has seen one

    async def _go_on(self) -> None:
        deadline, why = self._deadline()
        try:
            await workflow.wait_condition(
                lambda: self._watch.must_look,
                timeout=max(deadline, timedelta()),
                timeout_summary=why,
            )
        except TimeoutError:
            await self._after_the_deadline()
        else:
            await self._look()

    def _deadline(self) -> tuple[timedelta, str]:
        until = self._method.action_until
        if self._method.status is SavedMethodStatus.REQUIRES_ACTION and until:
            return until - workflow.now(), "the customer's time for 3DS ends"
        return self._watch.pause, "look at the gateway again"

    async def _look(self) -> None:
        self._watch.must_look = False
        await self._observe(await self._gateway.look(self._setup_id))
        self._watch.looks += 1

    async def _after_the_deadline(self) -> None:
        """Look before the judgment: the webhook of a success may be late."""
        await self._look()
        until = self._method.action_until
        if self._method.status is not SavedMethodStatus.REQUIRES_ACTION or (
            until and workflow.now() < until
        ):
            return
        closed = await self._cancel()
        await self._record.move(lambda method: rules.timed_out(method, closed, workflow.now()))
        await self._observe(closed)  # whatever else it has become
        if self._method.is_open:
            await self._watch.next_look()

    async def _cancel(self) -> Setup:
        order = CancelSetUpOrder(
            method_id=self._order.id, setup_id=self._setup_id, generation=self._cancels
        )
        self._cancels += 1  # a refusal is kept under its key
        return await self._gateway.cancel(order)

    async def _observe(self, setup: Setup) -> None:
        """The one place where the gateway's word moves the method."""
        self._setup = setup
        before = self._method.status
        await self._record.set_up(setup, self._order.action_window)
        self._watch.saw(news=self._method.status is not before)

    async def _fail(self, reason: SaveReason) -> None:
        await self._record.move(
            lambda method: rules.failed(method, reason, workflow.now(), setup=self._setup)
        )

    async def _abandon(self) -> None:
        """The run is canceled: what the gateway has of it is closed, or found to be saved."""
        try:
            if self._method.is_open and self._has_asked and self._setup is None:
                await self._set_up()
            if self._method.is_open and self._setup is not None:
                closed = await self._cancel()
                if closed.status in {SetupStatus.SUCCEEDED, SetupStatus.PROCESSING}:
                    await self._observe(closed)
                if closed.status is SetupStatus.PROCESSING:
                    return  # the gateway decides yet: its event begins a look
        except Refused:
            workflow.logger.exception("the gateway refuses to cancel the set-up")
        await self._fail(SaveReason.RUN_CANCELED)

    async def _method_when(self, condition: Callable[[], bool]) -> SavedMethod:
        await workflow.wait_condition(lambda: condition() or self._failure is not None)
        if self._failure is not None and not condition():
            raise self._failure
        return self._method

    async def on_trouble(self, trouble: Trouble, pause: timedelta) -> None:
        """The gateway does not answer: say so where the customer and the operators look."""
        workflow.logger.warning(
            "the gateway does not answer", extra={"trouble": trouble, "again_in": str(pause)}
        )
        await self._record.move(
            lambda method: rules.noted(method, SaveReason.GATEWAY_UNREACHABLE, workflow.now())
        )

    @property
    def _method(self) -> SavedMethod:
        return self._record.method

    @property
    def _setup_id(self) -> str:
        if self._setup is None or self._setup.id is None:
            raise AssertionError("asked for the SetupIntent before it was made")
        return self._setup.id
