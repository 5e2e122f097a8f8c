"""Runs that are under way must go on with today's code: histories of every scenario replay."""

import importlib
import inspect
import json
import pkgutil
import re
from functools import cache
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner
from temporalio.workflow import NondeterminismError

import workflows
from paysaga.domain.payment import Payment, PaymentState
from tests.replay.record import HISTORIES
from tests.replay.scenarios import NAMES
from workflows.payment import PaymentWorkflow

WHAT_TO_DO = """

The history of "{name}" does not replay with today's code: a payment that is under way would be
stuck after a deploy. If the order of commands has to change, keep the old way for old runs:

1. name the change in workflows/patches.py: a function that asks workflow.patched("..."), with the
   day on which it may go;
2. ask it in the workflow: the new way if it is true, else the old one;
3. record the new way beside the old: a scenario of its own, `python -m tests.replay.record NAME`.

Recording this history anew would only hide it.
"""


def _history(name: str) -> WorkflowHistory:
    return WorkflowHistory.from_json(f"pay_{name}", _path(name).read_text())


def _path(name: str) -> Path:
    return HISTORIES / f"{name}.json"


def _type_of(name: str) -> str:
    started = json.loads(_path(name).read_text())["events"][0]
    return str(started["workflowExecutionStartedEventAttributes"]["workflowType"]["name"])


@cache
def _workflow_types() -> dict[str, type]:
    """Every workflow of the room, by its type."""
    modules = [
        importlib.import_module(f"workflows.{module.name}")
        for module in pkgutil.iter_modules(workflows.__path__)
    ]
    return {
        kind.__name__: kind
        for module in modules
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if hasattr(kind, "__temporal_workflow_definition") and kind.__module__ == module.__name__
    }


class TestHistories:
    @pytest.mark.parametrize("name", NAMES)
    async def test_history_replays(self, name: str) -> None:
        """A run that began like this goes on with today's code, and inside the sandbox."""
        replayer = Replayer(
            workflows=[_workflow_types()[_type_of(name)]], data_converter=pydantic_data_converter
        )

        try:
            await replayer.replay_workflow(_history(name))
        except NondeterminismError as broken:
            pytest.fail(f"{broken}{WHAT_TO_DO.format(name=name)}")

    def test_every_scenario_has_its_history(self) -> None:
        """A scenario without a history proves nothing: `python -m tests.replay.record`."""
        assert set(NAMES) == {path.stem for path in HISTORIES.glob("*.json")}

    def test_every_workflow_has_a_history(self) -> None:
        """A new workflow comes with a scenario that is recorded."""
        assert set(_workflow_types()) == {_type_of(name) for name in NAMES}

    def test_histories_are_whole(self) -> None:
        """Each ends with its run: half a story would leave the rest of the code unproved."""
        ends = {"Completed", "Failed", "Canceled"}

        open_ended = [
            name
            for name in NAMES
            if not any(
                f"EVENT_TYPE_WORKFLOW_EXECUTION_{end.upper()}"
                == json.loads(_path(name).read_text())["events"][-1]["eventType"]
                for end in ends
            )
        ]

        assert [] == open_ended

    def test_histories_tell_nothing_of_a_machine(self) -> None:
        """No process, no host: the same scenario recorded elsewhere looks the same."""
        strange = [name for name in NAMES if re.search(r'"\d+@[^"]+"', _path(name).read_text())]

        assert [] == strange

    @pytest.mark.parametrize("name", ["paid", "paid_order", "authenticated"])
    def test_plain_checkout_is_cheap(self, name: str) -> None:
        """At most 40 events and 20 kB: history is what Temporal stores, sends and bills."""
        text = _path(name).read_text()

        assert len(json.loads(text)["events"]) <= 40
        assert sum(len(payload) for payload in re.findall(r'"data": "([^"]*)"', text)) <= 20_000


class TestTheCheckItself:
    async def test_changed_order_of_commands_is_found(self) -> None:
        """A timer before the first step: the check must fail, or it protects nothing."""
        replayer = _replayer(Changed)

        with pytest.raises(NondeterminismError):
            await replayer.replay_workflow(_history("paid"))

    async def test_named_patch_mends_it(self) -> None:
        """What the failure's message advises works: old runs keep the old way."""
        replayer = _replayer(Patched)

        result = await replayer.replay_workflow(_history("paid"))

        assert result.replay_failure is None


def _replayer(kind: type) -> Replayer:
    return Replayer(
        workflows=[kind],
        data_converter=pydantic_data_converter,
        workflow_runner=UnsandboxedWorkflowRunner(),  # the sandbox would import pytest
        debug_mode=True,  # as the workers of the other tests
    )


@workflow.defn(name="PaymentWorkflow")
class Changed(PaymentWorkflow):
    """The same, but for one command more."""

    @workflow.run
    async def run(self, payment: Payment) -> PaymentState:
        await workflow.sleep(1)
        return await super().run(payment)


@workflow.defn(name="PaymentWorkflow")
class Patched(PaymentWorkflow):
    """The same change, for new runs only."""

    @workflow.run
    async def run(self, payment: Payment) -> PaymentState:
        if workflow.patched("wait-a-second"):
            await workflow.sleep(1)
        return await super().run(payment)
