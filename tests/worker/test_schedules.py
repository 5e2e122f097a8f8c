"""Schedules that Temporal does not let a worker make."""

from typing import NoReturn

import pytest
from structlog.testing import capture_logs
from temporalio.client import Client, CreateScheduleInput, Interceptor, OutboundInterceptor
from temporalio.service import RPCError, RPCStatusCode

from paysaga.settings import Environment, Settings
from worker.schedules import keep_schedules
from workflows import addresses

SETTINGS = Settings(environment=Environment.TEST, environment_name="test")


class Refusing(Interceptor):
    """A Temporal that makes no schedule."""

    def __init__(self, status: RPCStatusCode) -> None:
        self._status = status

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002 - the SDK's word
        return _Refuses(next, self._status)


class _Refuses(OutboundInterceptor):
    def __init__(self, following: OutboundInterceptor, status: RPCStatusCode) -> None:
        super().__init__(following)
        self._status = status

    async def create_schedule(self, input: CreateScheduleInput) -> NoReturn:  # noqa: A002 - the SDK's word
        raise RPCError("no", self._status, b"")


async def refusing(status: RPCStatusCode) -> Client:
    return await Client.connect("127.0.0.1:1", lazy=True, interceptors=[Refusing(status)])


class TestRefusal:
    async def test_worker_that_may_make_no_schedules_works(self) -> None:
        """Payments do not stop because a sweep cannot be scheduled: it is told for each."""
        with capture_logs() as logs:
            await keep_schedules(await refusing(RPCStatusCode.PERMISSION_DENIED), SETTINGS)

        assert [addresses.SWEEP, addresses.INBOX_CLEANUP] == [line["schedule"] for line in logs]

    async def test_temporal_that_is_away_is_asked_again(self) -> None:
        """Else there would be no sweep until the next start."""
        with pytest.raises(RPCError):
            await keep_schedules(await refusing(RPCStatusCode.UNAVAILABLE), SETTINGS)
