"""The parts of one running simulator, and the calls made from them."""

import random
from typing import Any

from paysaga.simulator import knobs, webhook_endpoints
from paysaga.simulator.calls import Call
from paysaga.simulator.clock import Clock, utc_now
from paysaga.simulator.settings import SimulatorSettings
from paysaga.simulator.storage import Storage


class Simulator:
    """Storage, clock, dice and knobs of one process."""

    def __init__(self, settings: SimulatorSettings, clock: Clock = utc_now) -> None:
        self.settings = settings
        self.storage = Storage(settings.simulator_state)
        # Reproducible outcomes are the point; nothing secret is drawn from these dice.
        self.chance = random.Random(settings.simulator_seed)  # noqa: S311
        self.knobs = knobs.load(self.storage, settings)
        self._clock = clock

    def time(self) -> float:
        """Tell the time in Unix seconds."""
        return self._clock().timestamp()

    def call(self, **more: Any) -> Call:
        """Make the surroundings of one effect that happens now."""
        now = self.time()
        return Call(
            storage=self.storage,
            knobs=self.knobs,
            chance=self.chance,
            now=int(now),
            exact_now=now,
            public_url=self.settings.public_url,
            **more,
        )

    def register_endpoint(self) -> None:
        """Make sure that the configured webhook endpoint exists."""
        url = self.settings.simulator_webhook_url
        if url:
            with self.storage.transaction():
                webhook_endpoints.ensure(self.call(), url, self.settings.stripe_webhook_secret)

    def turn(self, changes: dict[str, object]) -> None:
        """Turn knobs, also for the processes that come after this one."""
        self.knobs = knobs.turn(self.storage, self.knobs, changes)

    def reset(self) -> None:
        """Forget all objects, faults, deliveries, knobs and the journal."""
        self.storage.reset()
        self.knobs = knobs.load(self.storage, self.settings)
