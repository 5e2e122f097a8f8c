import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import stripe

from paysaga.simulator.app import create_app
from tests.simulator.support import Control, Receiver, gateway, served, settings
from tests.stripe_spec import App, SpecCheck, Specification


def pytest_configure(config: pytest.Config) -> None:
    # The SDK hands its bodies to httpx in a way that httpx is about to retire.
    config.addinivalue_line("filterwarnings", "ignore:Use 'content=<...>':DeprecationWarning")


@pytest.fixture(scope="session")
def checked() -> SpecCheck:
    """Every exchange of these tests, held to Stripe's document if there is one."""
    return SpecCheck(_unbound, Specification.from_environment())


@pytest.fixture(scope="session")
async def base_url(
    tmp_path_factory: pytest.TempPathFactory, checked: SpecCheck
) -> AsyncIterator[str]:
    state = tmp_path_factory.mktemp("simulator") / "state.db"

    def make(url: str) -> App:
        checked._app = create_app(settings(simulator_state=state, simulator_public_url=url))
        return checked

    async with served(make) as url:
        yield url


@pytest.fixture(scope="session")
async def shared_http(base_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=base_url, timeout=20) as client:
        yield client


@pytest.fixture(scope="session")
async def shared_stripe(base_url: str) -> AsyncIterator[stripe.StripeClient]:
    async with gateway(base_url) as client:
        yield client


@pytest.fixture
async def http(shared_http: httpx.AsyncClient) -> httpx.AsyncClient:
    """Plain HTTP to a simulator that has forgotten everything."""
    (await shared_http.post("/_control/reset")).raise_for_status()
    return shared_http


@pytest.fixture
def client(shared_stripe: stripe.StripeClient, http: httpx.AsyncClient) -> stripe.StripeClient:
    """The official SDK on a simulator that has forgotten everything."""
    return shared_stripe


@pytest.fixture
def control(http: httpx.AsyncClient) -> Control:
    return Control(http)


@pytest.fixture
async def receiver(client: stripe.StripeClient) -> AsyncIterator[Receiver]:
    """An endpoint that is registered for all events and takes them."""
    receiver = Receiver()
    async with served(lambda _url: receiver) as url:
        endpoint = await client.v1.webhook_endpoints.create_async(
            {"url": url, "enabled_events": ["*"]}
        )
        receiver.secret = endpoint.secret or ""
        receiver.endpoint = endpoint.id
        yield receiver
        await client.v1.webhook_endpoints.delete_async(endpoint.id)


@pytest.fixture(autouse=True)
def _faithful(checked: SpecCheck) -> Iterator[None]:
    """No exchange of a test may depart from Stripe's document."""
    checked.violations.clear()
    yield
    assert [] == checked.violations


async def _unbound(*_: object) -> None:
    raise NotImplementedError


@pytest.fixture(scope="session")
def in_ci() -> bool:
    return os.environ.get("CI") == "true"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state.db"
