"""A service of the shop's that our events are sent to: it has its moods, and misses nothing."""

import random
from typing import Any, Final

import httpx
from starlette.responses import Response

from paysaga.demo.world import asked
from tests.chaos.customer import until
from tests.chaos.evidence import Row
from tests.receiving import Hook
from tests.sinks import SECRET

# Drawn one after the other for each event that comes.
_FAILS: Final = 0.05
_HAS_IT_AND_FAILS: Final = 0.03
_HAS_NO_TIME: Final = 0.005
_REDIRECTS: Final = 0.02


class Receiver:
    """What came, in the order in which it came. What it refuses has not come."""

    def __init__(self, hook: Hook, seed: int) -> None:
        self._hook = hook
        self._chance = random.Random(seed)
        self._is_moody = True
        hook.says = self._says

    async def subscribe(self, api: httpx.AsyncClient) -> str:
        """Have all events sent here; the sink's id."""
        order = {"kind": "http", "url": self._hook.url, "secret": SECRET}
        key = {"Idempotency-Key": "the-receiver"}
        answer = await asked(lambda: api.post("/sinks", json=order, headers=key))
        return str(answer.raise_for_status().json()["id"])

    async def has_all(self, api: httpx.AsyncClient, sink_id: str, seconds: float) -> bool:
        """Bear with everybody from now on, and wait until nothing is owed."""
        self._is_moody = False
        await asked(lambda: api.patch(f"/sinks/{sink_id}", json={"status": "active"}))

        async def nothing_is_owed() -> bool:
            sink = (await asked(lambda: api.get(f"/sinks/{sink_id}"))).json()
            return bool(sink["behind"] == 0 and sink["waiting"] == 0)

        return await until(nothing_is_owed, seconds)

    @property
    def delivered(self) -> tuple[Row, ...]:
        """Every event that came, as often as it came."""
        return tuple(self._hook.taken)

    async def _says(self, event: dict[str, Any]) -> Response:
        drawn = self._chance.random() if self._is_moody else 1.0
        for likely, answer in (
            (_FAILS, Response(status_code=500)),
            (_HAS_NO_TIME, Response(status_code=503, headers={"retry-after": "1"})),
            (_REDIRECTS, Response(status_code=307, headers={"location": "/elsewhere"})),
        ):
            if drawn < likely:
                return answer
            drawn -= likely
        if drawn < _HAS_IT_AND_FAILS:
            self._hook.taken.append(event)
            return Response(status_code=500)
        return Response(status_code=204)
