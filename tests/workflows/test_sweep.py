"""Sweeps on Temporal's own server, and the schedules that start them."""

import asyncio
from datetime import timedelta
from uuid import uuid4

from temporalio.client import Client, ScheduleActionStartWorkflow, ScheduleOverlapPolicy
from temporalio.worker import Worker

from activities.errors import Trouble
from paysaga.settings import Environment, Settings
from tests.workers import workflow_worker
from tests.workflows.conftest import House
from tests.workflows.inbox import FakeInbox, batches, pages
from worker.schedules import keep_schedules
from workflows import addresses
from workflows.sweep import (
    MOST_BATCHES,
    MOST_PAGES,
    InboxCleanupWorkflow,
    KeepingTime,
    SweepWorkflow,
    Swept,
)

DAY = timedelta(days=1)


async def swept(house: House, inbox: FakeInbox) -> Swept:
    run_id = f"sweep-{uuid4().hex}"
    house.exchange.lists[run_id] = inbox
    async with _worker(house.env.client, run_id, inbox):
        return await house.env.client.execute_workflow(
            SweepWorkflow.run, id=run_id, task_queue=run_id
        )


def _worker(client: Client, queue: str, inbox: FakeInbox) -> Worker:
    return workflow_worker(
        client,
        task_queue=queue,
        workflows=[SweepWorkflow, InboxCleanupWorkflow],
        activities=inbox.beside_the_gateway,
    )


class TestSweep:
    async def test_the_list_is_read_to_its_end_and_the_inbox_worked_off(self, house: House) -> None:
        """Page after page, then batch after batch."""
        inbox = FakeInbox(pages=pages(3, 2), batches=batches(100, 5, failed=2))

        result = await swept(house, inbox)

        assert Swept(stored=5, tried=105, failed=4, gateway_answered=True) == result

    async def test_it_comes_to_an_end(self, house: House) -> None:
        """After a long outage it does its part; the next sweep goes on from there."""
        inbox = FakeInbox(
            pages=pages(*[1] * (MOST_PAGES + 1), more=True),
            batches=batches(*[1] * (MOST_BATCHES + 1), more=True),
        )

        result = await swept(house, inbox)

        assert (MOST_PAGES, MOST_BATCHES) == (result.stored, result.tried)
        assert (1, 1) == (len(inbox.pages), len(inbox.batches))

    async def test_a_gateway_that_is_away_is_the_next_ones_trouble(self, house: House) -> None:
        """What is in the inbox is worked off all the same."""
        inbox = FakeInbox(pages=pages(Trouble.STICKY), batches=batches(7))

        result = await swept(house, inbox)

        assert Swept(stored=0, tried=7, failed=0, gateway_answered=False) == result


class TestCleanup:
    async def test_what_is_old_goes_in_batches(self, house: House) -> None:
        """Everything that was processed before the time that is kept."""
        inbox = FakeInbox(batches=batches(100, 100, 3))
        queue = f"clean-{uuid4().hex}"
        async with _worker(house.env.client, queue, inbox):
            run = await house.env.client.start_workflow(
                InboxCleanupWorkflow.run, KeepingTime(days=90), id=queue, task_queue=queue
            )
            gone = await run.result()
            began = (await run.describe()).start_time

        assert 203 == gone
        assert 1 == len({moment.before for moment in inbox.asked})
        assert abs(began - 90 * DAY - inbox.asked[0].before) < DAY


class TestSchedules:
    async def test_they_are_there_once_and_as_the_settings_say(self, house: House) -> None:
        """Every start of every worker keeps them; one that is paused stays paused."""
        client = house.env.client
        sweep = client.get_schedule_handle(addresses.SWEEP)
        cleanup = client.get_schedule_handle(addresses.INBOX_CLEANUP)
        slow = Settings(environment=Environment.TEST, sweep_interval_seconds=3600)
        await asyncio.gather(*(keep_schedules(client, slow) for _ in range(3)))
        await sweep.pause(note="an operator's reason")

        await keep_schedules(client, slow.model_copy(update={"sweep_interval_seconds": 1800}))

        told = (await sweep.describe()).schedule
        assert [timedelta(minutes=30)] == [interval.every for interval in told.spec.intervals]
        assert ScheduleOverlapPolicy.SKIP == told.policy.overlap
        assert (True, "an operator's reason") == (told.state.paused, told.state.note)
        action = (await cleanup.describe()).schedule.action
        assert isinstance(action, ScheduleActionStartWorkflow)
        assert "InboxCleanupWorkflow" == action.workflow
        for schedule in (sweep, cleanup):
            await schedule.delete()


class TestOutbox:
    async def test_a_sweep_wakes_the_sinks_that_nobody_has_woken(self, house: House) -> None:
        """Also when the gateway does not answer."""
        inbox = FakeInbox(pages=pages(Trouble.STICKY), batches=batches(0))

        await swept(house, inbox)

        assert 1 == inbox.woken

    async def test_sinks_that_cannot_be_woken_spoil_no_sweep(self, house: House) -> None:
        """Stripe's events were read, and are worked off: the next sweep looks at the sinks."""
        inbox = FakeInbox(pages=pages(2), batches=batches(2), sinks_are_away=True)

        result = await swept(house, inbox)

        assert (2, 2, True) == (result.stored, result.tried, result.gateway_answered)

    async def test_old_events_of_ours_go_by_a_time_of_their_own(self, house: House) -> None:
        """In batches, as those of the inbox; without a time none goes."""
        times = []
        for days in (90, None):
            inbox, run_id = FakeInbox(batches=batches(0)), f"cleanup-{uuid4().hex}"
            async with _worker(house.env.client, run_id, inbox):
                await house.env.client.execute_workflow(
                    InboxCleanupWorkflow.run,
                    KeepingTime(days=30, event_days=days),
                    id=run_id,
                    task_queue=run_id,
                )
            times.append([moment.before for moment in inbox.forgotten])

        assert ([2, 0], 1) == ([len(each) for each in times], len(set(times[0])))
