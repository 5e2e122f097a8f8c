"""A gateway whose answers are written down beforehand."""

import json
from collections import deque
from collections.abc import Mapping

import httpx
import stripe


class Told(stripe.HTTPClient):
    """A gateway that gives these answers, one after the other, and remembers what it was asked."""

    name = "told"

    def __init__(self, *answers: tuple[int, Mapping[str, object]]) -> None:
        super().__init__()
        self._answers = deque(answers)
        self.asked: list[str] = []
        self.began_after: list[str | None] = []

    async def request_async(
        self, method: str, url: str, *_args: object, **_kwargs: object
    ) -> tuple[bytes, int, dict[str, str]]:
        self.asked.append(method)
        self.began_after.append(httpx.URL(url).params.get("starting_after"))
        status, body = self._answers.popleft()
        return json.dumps(body).encode(), status, {"request-id": "req_1"}
