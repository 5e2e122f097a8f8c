"""One Temporal server, one worker and one database for all tests of the API."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import AnyHttpUrl, SecretStr
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from activities.orders import Orders
from paysaga.database.engine import create_engine, sessions
from paysaga.nudging import Nudging
from paysaga.settings import Environment, Settings
from paysaga.waking import Waking
from tests.api.world import Api, Gateway, HeldRecords, Shop, World, migrate, serving, working
from tests.sinks import Receiver
from workflows import addresses

# Its defaults make every step wait for the next 50 ms.
_QUICK = (
    "history.transferProcessorMaxPollRPS=1000",
    'history.timerProcessorMaxTimeShift="1ms"',
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(Path(sys.executable).parent / "temporal"),
        data_converter=pydantic_data_converter,
        search_attributes=addresses.SEARCH_ATTRIBUTES,
        dev_server_log_level="error",
        dev_server_extra_args=[part for one in _QUICK for part in ("--dynamic-config-value", one)],
    ) as started:
        yield started


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world(
    temporal: WorkflowEnvironment, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    url = f"sqlite:///{tmp_path_factory.mktemp('database') / 'paysaga.db'}"
    await migrate(url)
    engine = create_engine(url)
    made = sessions(engine)
    nudging = Nudging(temporal.client, addresses.PAYMENTS, addresses.repair_id, addresses.look_id)
    records, gateway, shop = HeldRecords(made, Waking(made, nudging)), Gateway(), Shop()
    receiver = Receiver()
    settings = Settings(
        environment=Environment.TEST,
        environment_name="test",
        database_url=url,
        temporal_address=temporal.client.service_client.config.target_host,
        stripe_webhook_secret=SecretStr("whsec_new"),
        stripe_webhook_secret_previous=SecretStr("whsec_old"),
        public_base_url=AnyHttpUrl("https://pay.example"),
        cors_origins=("https://shop.example",),
        payment_attempts_per_hour=1000,
    )
    async with working(temporal.client, gateway, records, Orders(shop.service), receiver):
        yield World(temporal.client, settings, gateway, records, shop, receiver)
    await shop.http.aclose()
    await engine.dispose()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def api(world: World) -> AsyncIterator[Api]:
    """A deployment without an order service."""
    async with serving(world.settings) as served:
        yield served


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ordered(world: World) -> AsyncIterator[Api]:
    """A deployment with an order service."""
    async with serving(world.settings, world.shop.service, world.shop.http) as served:
        yield served


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def impatient(world: World) -> AsyncIterator[Api]:
    """A deployment that waits only a moment: long enough for a start that a busy machine takes."""
    async with serving(world.settings.model_copy(update={"api_wait_seconds": 1})) as served:
        yield served
