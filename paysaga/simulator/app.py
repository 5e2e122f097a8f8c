"""The simulator as one ASGI application: `/v1`, the customer's pages, and `/_control`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.routing import Mount

from paysaga.simulator.checkout_page import CheckoutPage
from paysaga.simulator.clock import Clock, utc_now
from paysaga.simulator.connection import Receive, Scope, Send
from paysaga.simulator.control import Control
from paysaga.simulator.delivering import Deliverer
from paysaga.simulator.dispatch import Api
from paysaga.simulator.pages import Pages
from paysaga.simulator.settings import SimulatorSettings
from paysaga.simulator.simulator import Simulator


class SimulatorApp:
    """An ASGI application whose lifespan runs the background work."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        deliverer = Deliverer(simulator)
        self._api = Api(simulator, deliverer.wake)

        @contextlib.asynccontextmanager
        async def lifespan(_app: Starlette) -> AsyncIterator[None]:
            simulator.register_endpoint()
            work = asyncio.create_task(deliverer.run())
            yield
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work
            simulator.storage.close()

        self._rest = Starlette(
            routes=[
                Mount("/_control", routes=Control(simulator, deliverer).routes()),
                *CheckoutPage(simulator, deliverer).routes(),
                *Pages(simulator, deliverer).routes(),
            ],
            lifespan=lifespan,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand `/v1` to the API without a detour, everything else to the routes."""
        if scope["type"] == "http" and scope["path"].startswith("/v1"):
            await self._api(scope, receive, send)
        else:
            await self._rest(scope, receive, send)


def create_app(settings: SimulatorSettings, clock: Clock = utc_now) -> SimulatorApp:
    """Make the application on the state file that the settings name."""
    return SimulatorApp(Simulator(settings, clock))
