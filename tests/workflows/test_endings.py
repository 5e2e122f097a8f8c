"""Requests and webhooks that race a run's end: each is answered, carried out, or refused by name.

Many payments share one worker of Temporal's own server, so that their endings meet as they do in
production. Each race is made of its number alone.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio import activity
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.runs import start_run
from paysaga.domain.intent import IntentStatus
from paysaga.domain.payment import Changes, PaymentState, PaymentStatus, Recorded, RequestMark
from paysaga.domain.repairs import RepairKind
from tests.fakes import FakeGateway, FakeRecords, a_payment
from tests.workers import workflow_worker
from tests.workflows.conftest import House, RepairRun, Run
from tests.workflows.stories import gateway_in, story
from workflows import addresses
from workflows.payment import PaymentWorkflow
from workflows.repair import RepairCase, RepairWorkflow
from workflows.requests import CancelRequest, RepairRequest, RetryRequest

QUEUE = "endings"
AT_ONCE = 25
PATIENCE = 120
S = PaymentStatus

# What a request that came too late may hear.
REFUSALS = {"NotNow", "NotRepaired"}


class ManyRecords:
    """Each payment's records, behind the one worker."""

    def __init__(self) -> None:
        self.of: dict[str, FakeRecords] = {}

    @activity.defn
    async def record(self, batch: Changes) -> Recorded | None:
        return await self.of[batch.changes[0].state.id].record(batch)

    @activity.defn
    async def standing(self, payment_id: str) -> Recorded | None:
        return await self.of[payment_id].standing(payment_id)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def records(house: House) -> AsyncIterator[ManyRecords]:
    many = ManyRecords()
    async with workflow_worker(
        house.env.client,
        task_queue=QUEUE,
        workflows=[PaymentWorkflow, RepairWorkflow],
        activities=[many.record, many.standing, start_run],
    ):
        yield many


async def payment_race(house: House, records: ManyRecords, number: int) -> None:
    """One payment waits for its customer; then everything happens at once."""
    chance = Random(number)
    word = chance.choice(["requires_action", "generic_decline"])
    payment = a_payment(f"pay_{uuid4().hex}")
    gateway = house.exchange.gateways[payment.id] = FakeGateway(word, "succeeded", "succeeded")
    records.of[payment.id] = FakeRecords()
    with house.env.with_time_skipping_disabled():
        run: Run = await house.env.client.start_workflow(
            PaymentWorkflow.run, payment, id=payment.id, task_queue=QUEUE
        )
    await run.execute_update(PaymentWorkflow.first_outcome)

    ending: list[Callable[[], Awaitable[object]]] = [
        lambda: run.execute_update(PaymentWorkflow.cancel, _cancel(number))
    ]
    if word == "requires_action":
        gateway.becomes("succeeded")
        ending.append(lambda: run.signal(PaymentWorkflow.nudged))
    else:
        ending.append(lambda: run.execute_update(PaymentWorkflow.retry, _retry(number)))
    others: list[Callable[[], Awaitable[object]]] = [
        lambda: run.execute_update(PaymentWorkflow.refresh),
        lambda: run.execute_update(PaymentWorkflow.refresh),
        lambda: run.signal(PaymentWorkflow.nudged),
        lambda: run.execute_update(PaymentWorkflow.cancel, _cancel(-number - 1)),
    ]
    answers = await _at_once(chance, [chance.choice(ending), *chance.sample(others, 3)])
    result = await run.result()

    _all_heard(answers)
    assert (result.status is S.SUCCEEDED) == (gateway.intent.status is IntentStatus.SUCCEEDED)
    assert (result.status is S.CANCELED) == (gateway.intent.status is IntentStatus.CANCELED)
    assert result == records.of[payment.id].state
    for answer in answers:  # a promise that was given is kept
        if isinstance(answer, PaymentState) and answer.is_final:
            assert answer.status is result.status


async def repair_race(house: House, records: ManyRecords, number: int) -> None:
    """One parked payment is put right at the gateway, abandoned and looked at, all at once."""
    chance = Random(number)
    past = story(f"pay_{uuid4().hex}").parks()
    payment_id = past.state.id
    gateway = house.exchange.gateways[payment_id] = gateway_in("processing")
    records.of[payment_id] = FakeRecords()
    records.of[payment_id].changes.extend(past.changes)
    with house.env.with_time_skipping_disabled():
        run: RepairRun = await house.env.client.start_workflow(
            RepairWorkflow.run,
            RepairCase(payment_id=payment_id),
            id=addresses.repair_id(payment_id),
            task_queue=QUEUE,
        )
    await run.execute_update(RepairWorkflow.repair, _repair(RepairKind.LOOK_AGAIN, "first"))

    async def put_right() -> None:
        gateway.becomes("succeeded")
        await run.signal(RepairWorkflow.nudged)

    acts: list[Callable[[], Awaitable[object]]] = [
        put_right,
        lambda: run.execute_update(RepairWorkflow.repair, _repair(RepairKind.ABANDON, "abandon")),
        lambda: run.execute_update(RepairWorkflow.repair, _repair(RepairKind.LOOK_AGAIN, "look")),
        lambda: run.execute_update(RepairWorkflow.repair, _repair(RepairKind.ABANDON, "again")),
        lambda: run.signal(RepairWorkflow.nudged),
    ]
    answers = await _at_once(chance, acts)
    result = await run.result()

    _all_heard(answers)
    assert result.status in {S.SUCCEEDED, S.CANCELED}
    assert result == records.of[payment_id].state


async def _at_once(chance: Random, acts: list[Callable[[], Awaitable[object]]]) -> list[object]:
    """In any order: some together, the others as soon as the first of them is answered."""
    chance.shuffle(acts)
    together = chance.randrange(1, len(acts) + 1)
    async with asyncio.timeout(PATIENCE):
        first = [asyncio.ensure_future(act()) for act in acts[:together]]
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        rest = [asyncio.ensure_future(act()) for act in acts[together:]]
        return await asyncio.gather(*first, *rest, return_exceptions=True)


def _all_heard(answers: list[object]) -> None:
    """An answer, a refusal by name, or that the run was over: nothing is taken and forgotten."""
    for answer in answers:
        if isinstance(answer, RPCError):
            assert answer.status is RPCStatusCode.NOT_FOUND, answer
        elif isinstance(answer, WorkflowUpdateFailedError):
            assert isinstance(answer.cause, ApplicationError), answer
            assert answer.cause.type in REFUSALS, answer.cause
        else:
            assert answer is None or isinstance(answer, PaymentState), answer


def _mark(key: str) -> RequestMark:
    return RequestMark(key=key, fingerprint=key)


def _cancel(number: int) -> CancelRequest:
    return CancelRequest(actor="customer:1", request=_mark(f"cancel-{number}"))


def _retry(number: int) -> RetryRequest:
    return RetryRequest(method="pm_card_visa", actor="customer:1", request=_mark(f"retry-{number}"))


def _repair(kind: RepairKind, key: str) -> RepairRequest:
    return RepairRequest(kind=kind, why="a race", actor="admin:alice", request=_mark(key))


Race = Callable[[House, ManyRecords, int], Awaitable[None]]


async def _races(race: Race, house: House, records: ManyRecords, numbers: range) -> None:
    room = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with room:
            try:
                await race(house, records, number)
            except Exception as error:
                error.add_note(f"race {number}")
                raise

    async with asyncio.TaskGroup() as group:
        for number in numbers:
            group.create_task(one(number))


@pytest.mark.parametrize("race", [payment_race, repair_race])
class TestEndings:
    async def test_nothing_is_lost(self, house: House, records: ManyRecords, race: Race) -> None:
        """Whatever meets a run's end is answered, and the end is the gateway's truth."""
        await _races(race, house, records, range(30))

    @pytest.mark.full
    @pytest.mark.timeout(1200)
    async def test_nothing_is_lost_in_thousands_of_races(
        self, house: House, records: ManyRecords, race: Race
    ) -> None:
        """The same a thousand times each."""
        await _races(race, house, records, range(1000, 2000))
