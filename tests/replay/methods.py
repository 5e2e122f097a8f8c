"""The lives of saved methods whose histories are kept."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from temporalio.client import WorkflowFailureError, WorkflowHandle

from activities.errors import Trouble
from tests.fakes import trouble
from tests.saved import FakeMethodRecords, FakeMethods, an_order, attached, processing, saved
from workflows import addresses
from workflows.method_changes import LookAtMethodWorkflow, MethodRef, RemoveMethodWorkflow
from workflows.saving_method import SavedMethodWorkflow

Play = Callable[[WorkflowHandle[Any, Any], FakeMethods], Awaitable[object]]


async def _to_the_end(_run: WorkflowHandle[Any, Any], _gateway: FakeMethods) -> None:
    """Nothing happens that the run does not do by itself."""


def _comes(word: str) -> Play:
    """The customer has been to the bank, and comes back."""

    async def play(run: WorkflowHandle[Any, Any], gateway: FakeMethods) -> None:
        await run.execute_update(SavedMethodWorkflow.first_outcome)
        gateway.becomes(word)
        await run.execute_update(SavedMethodWorkflow.refresh)

    return play


async def _cancel(run: WorkflowHandle[Any, Any], _gateway: FakeMethods) -> None:
    await run.execute_update(SavedMethodWorkflow.first_outcome)
    await run.cancel()
    with suppress(WorkflowFailureError):
        await run.result()


@dataclass
class MethodScenario:
    """Which run, what the gateway does, and what the customer does meanwhile."""

    gateway: FakeMethods
    play: Play = _to_the_end
    workflow: type[Any] = SavedMethodWorkflow
    records: FakeMethodRecords = field(default_factory=FakeMethodRecords)
    setup_id: str | None = None  # known from an event alone: the method is still being saved

    def begins_with(self, method_id: str) -> tuple[Any, str]:
        """What the run is given, and its id."""
        if self.workflow is SavedMethodWorkflow:
            return an_order(method_id), method_id
        self.records.steps = [processing(method_id)]
        if self.setup_id is None:
            self.records.steps.append(saved(method_id))
        named = addresses.look_id
        if self.workflow is RemoveMethodWorkflow:
            named = addresses.removal_id
        return MethodRef(method_id=method_id, setup_id=self.setup_id), named(method_id)


def saved_methods() -> dict[str, MethodScenario]:
    """All of them, new each time."""
    away = [trouble(Trouble.UNREACHABLE) for _ in range(5)]
    refused = [trouble(Trouble.REFUSED)]
    renewed = FakeMethods()
    renewed.attached = attached(exp_year=2031)
    confirmed = FakeMethods()
    confirmed.becomes("succeeded")
    return {
        "method_saved": MethodScenario(FakeMethods()),
        "method_saved_with_3ds": MethodScenario(
            FakeMethods("requires_action"), _comes("succeeded")
        ),
        "method_not_confirmed": MethodScenario(
            FakeMethods("requires_action"), _comes("setup_intent_authentication_failure")
        ),
        "method_confirmed_too_late": MethodScenario(FakeMethods("requires_action")),
        "method_declined": MethodScenario(FakeMethods("expired_card")),
        "method_refused": MethodScenario(FakeMethods(troubles={"set up": refused})),
        "method_saved_twice": MethodScenario(
            FakeMethods(), records=FakeMethodRecords(doubles="mtd_first")
        ),
        "method_saved_after_an_outage": MethodScenario(FakeMethods(troubles={"set up": away})),
        "method_run_canceled": MethodScenario(FakeMethods("requires_action"), _cancel),
        "method_removed": MethodScenario(FakeMethods(), workflow=RemoveMethodWorkflow),
        "method_renewed": MethodScenario(renewed, workflow=LookAtMethodWorkflow),
        "method_run_lost": MethodScenario(
            confirmed, workflow=LookAtMethodWorkflow, setup_id="seti_1"
        ),
    }
