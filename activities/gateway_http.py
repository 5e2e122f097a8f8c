"""The way to the gateway: the SDK's own HTTP client behind our breaker and within our budget."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import httpx
import stripe

from activities.budget import Budget
from activities.circuit import Circuit


class GuardedClient(stripe.HTTPXClient):
    """Sends nothing while the breaker is open or the budget is spent."""

    def __init__(self, timeout: httpx.Timeout, circuit: Circuit, budget: Budget) -> None:
        super().__init__(timeout=timeout)
        self._circuit = circuit
        self._budget = budget

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """One request of the SDK.

        Raises:
            NotAsked: Nothing was sent.
            stripe.APIConnectionError: What it did is unknown.
        """
        await self._budget.spend(method, url)
        is_trial = await self._circuit.enter()
        try:
            answer = await super().request_async(method, url, headers, post_data)
        except stripe.APIConnectionError:
            await self._circuit.failed(is_trial=is_trial)
            raise
        _body, status, told = answer
        # An error that is kept under its key says how the gateway was, not how it is.
        is_kept = told.get("idempotent-replayed") == "true"
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR and not is_kept:
            await self._circuit.failed(is_trial=is_trial)
        else:
            await self._circuit.answered()
        return answer
