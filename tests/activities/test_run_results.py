"""How many runs are asked about at once."""

import asyncio

from temporalio.client import (
    Client,
    DescribeWorkflowInput,
    Interceptor,
    OutboundInterceptor,
    WorkflowExecutionDescription,
)
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from activities.run_results import AT_ONCE, RunRef, RunRefs, run_results

PATIENCE = 20


class Nobody(Interceptor):
    """A Temporal that knows no run, and answers once so many have asked."""

    def __init__(self, together: int) -> None:
        self.answer = asyncio.Barrier(together)
        self.asking = self.most = 0

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002 - the SDK's word
        return _Counting(next, self)


class _Counting(OutboundInterceptor):
    def __init__(self, following: OutboundInterceptor, nobody: Nobody) -> None:
        super().__init__(following)
        self._nobody = nobody

    async def describe_workflow(
        self,
        input: DescribeWorkflowInput,  # noqa: A002 - the SDK's word
    ) -> WorkflowExecutionDescription:
        self._nobody.asking += 1
        self._nobody.most = max(self._nobody.most, self._nobody.asking)
        await self._nobody.answer.wait()
        self._nobody.asking -= 1
        raise RPCError(f"no {input.id}", RPCStatusCode.NOT_FOUND, b"")


class TestRunResults:
    async def test_a_page_is_asked_about_some_at_a_time(self) -> None:
        """A page of movements may name a hundred payments: neither one by one nor all at once."""
        nobody = Nobody(AT_ONCE)
        client = await Client.connect("127.0.0.1:1", lazy=True, interceptors=[nobody])
        names = [f"pay_{number}" for number in range(100)]
        refs = tuple(
            RunRef(payment_id=name, repair_id=f"repair-{name}", was_parked=False) for name in names
        )

        async with asyncio.timeout(PATIENCE):
            told = await ActivityEnvironment(client).run(run_results, RunRefs(payments=refs))

        assert names == [run.payment_id for run in told.payments]
        assert not any(run.is_known for run in told.payments)
        assert AT_ONCE == nobody.most
