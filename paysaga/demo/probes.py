"""How the supervisor knows that a process works: it asks what its users would ask."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from workflows import addresses

# Asked with the time at which the process was started.
Probe = Callable[[datetime], Awaitable[bool]]

ASK_TIMEOUT: Final = timedelta(seconds=2)


async def always(_started: datetime) -> bool:
    """For a program that is asked nothing."""
    return True


def answers(url: str) -> Probe:
    """Whether the URL answers 200."""

    async def probe(_started: datetime) -> bool:
        try:
            async with httpx.AsyncClient(timeout=ASK_TIMEOUT.total_seconds()) as http:
                return (await http.get(url)).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    return probe


def temporal_serves(address: str) -> Probe:
    """Whether the server knows its default namespace, which it makes last."""

    async def probe(_started: datetime) -> bool:
        try:
            client = await Client.connect(address, connect_timeout=ASK_TIMEOUT)
            await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace="default"), timeout=ASK_TIMEOUT
            )
        except (RPCError, RuntimeError):
            return False
        return True

    return probe


def queues_are_polled(address: str) -> Probe:
    """Whether the process has asked both queues for work."""

    async def probe(started: datetime) -> bool:
        try:
            client = await Client.connect(address, connect_timeout=ASK_TIMEOUT)
            return await _is_polled(
                client, addresses.PAYMENTS, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, started
            ) and await _is_polled(
                client, addresses.GATEWAY, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY, started
            )
        except (RPCError, RuntimeError):
            return False

    return probe


async def _is_polled(
    client: Client, queue: str, kind: "TaskQueueType.ValueType", since: datetime
) -> bool:
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
        ),
        timeout=ASK_TIMEOUT,
    )
    return any(poller.last_access_time.ToDatetime(tzinfo=UTC) >= since for poller in answer.pollers)
