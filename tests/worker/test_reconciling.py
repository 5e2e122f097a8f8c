"""The daily reconciliation's schedule, at Temporal's own server."""

import asyncio

from temporalio.client import ScheduleActionStartWorkflow

from tests.workflows.conftest import House
from worker.reconciling import DAILY, schedule_reconciliation


class TestSchedule:
    async def test_it_is_made_once(self, house: House) -> None:
        """However many workers start, and however often: there is one schedule."""
        await asyncio.gather(*(schedule_reconciliation(house.env.client) for _ in range(3)))
        await schedule_reconciliation(house.env.client)

        described = await house.env.client.get_schedule_handle(DAILY).describe()

        assert isinstance(described.schedule.action, ScheduleActionStartWorkflow)
        assert "ReconciliationWorkflow" == described.schedule.action.workflow
        [hours] = described.schedule.spec.calendars
        assert 3 == hours.hour[0].start
        await house.env.client.get_schedule_handle(DAILY).delete()

    async def test_what_an_operator_changed_stays(self, house: House) -> None:
        """A schedule that was paused is not woken by the next worker's start."""
        await schedule_reconciliation(house.env.client)
        schedule = house.env.client.get_schedule_handle(DAILY)
        await schedule.pause(note="the gateway moves house")

        await schedule_reconciliation(house.env.client)

        assert (await schedule.describe()).schedule.state.paused
        await schedule.delete()
