"""The two clients: one is awaited, one blocks."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Self, TypeVar

import httpx

from paysaga.client.answers import Told
from paysaga.client.calls import Call
from paysaga.client.customers import Customers
from paysaga.client.door import LIMITS, Door, answer_of, checked, lost
from paysaga.client.exchange import Exchange, Pause, Retries
from paysaga.client.feed import Feed
from paysaga.client.operations import AsyncSide, Found, Reading, SyncSide
from paysaga.client.payment_methods import PaymentMethods
from paysaga.client.payments import Payments
from paysaga.client.reading import Answer, Lost

Item = TypeVar("Item")
T = TypeVar("T", bound=Told)


class AsyncPaysaga(Payments, PaymentMethods, Customers, Feed, AsyncSide):
    """Paysaga's API, for asyncio.

    Args:
        base_url: Where Paysaga is, as `https://payments.example`.
        token: The bearer token, or what gives one, or an awaitable one; it is asked at each try.
        retries: What is repeated, and how long.
        http: A client of yours, with proxies or certificates of its own. It stays yours to close.

    Raises:
        ValueError: Address or token cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        token: str | Callable[[], str | Awaitable[str]],
        *,
        retries: Retries | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._retries = retries or Retries()
        self._door = Door(base_url, self._retries)
        self._token = token if callable(token) else _always(token)
        self._is_own = http is None
        self._http = http or httpx.AsyncClient(limits=LIMITS)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._door.url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._is_own:
            await self._http.aclose()

    async def ask(self, call: Call[T]) -> T:
        """Carry out one call, with all its tries.

        Raises:
            Refused: The API's answer is no.
            Unavailable: There was no answer, and surely no effect.
            OutcomeUnknown: There was no answer, and perhaps an effect.
        """
        steps = Exchange(call, self._retries).steps()
        came: Answer | Lost | None = None
        while True:
            try:
                step = steps.send(came)
            except StopIteration as done:
                told: T = done.value
                return told
            came = None
            if isinstance(step, Pause):
                await asyncio.sleep(step.seconds)
            else:
                came = await self._sent(call, step.timeout_seconds)

    async def read(self, reading: Reading[Item]) -> AsyncIterator[Item]:
        """What is found, one after the other; errors as of `ask`."""
        came: Told | None = None
        while True:
            try:
                step = reading.send(came)
            except StopIteration:
                return
            came = None
            match step:
                case Found(item):
                    yield item
                case Pause(seconds):
                    await asyncio.sleep(seconds)
                case _:
                    came = await self.ask(step)

    async def _sent(self, call: Call[T], timeout_seconds: float) -> Answer | Lost:
        try:
            token = self._token()
            token = checked(await token if inspect.isawaitable(token) else token)
        except Exception as error:  # noqa: BLE001 - an earlier try's open end is not forgotten for it
            return Lost(error, may_be_done=False)
        try:
            request = self._door.request(call, token, timeout_seconds)
            return answer_of(await self._http.request(**request))
        except httpx.HTTPError as error:
            return lost(error)


class Paysaga(Payments, PaymentMethods, Customers, Feed, SyncSide):
    """Paysaga's API, for code that blocks. It may be shared by threads.

    Args:
        base_url: Where Paysaga is, as `https://payments.example`.
        token: The bearer token, or what gives one; it is asked at each try.
        retries: What is repeated, and how long.
        http: A client of yours, with proxies or certificates of its own. It stays yours to close.

    Raises:
        ValueError: Address or token cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        token: str | Callable[[], str],
        *,
        retries: Retries | None = None,
        http: httpx.Client | None = None,
    ) -> None:
        self._retries = retries or Retries()
        self._door = Door(base_url, self._retries)
        self._token = token if callable(token) else _always(token)
        self._is_own = http is None
        self._http = http or httpx.Client(limits=LIMITS)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._door.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        if self._is_own:
            self._http.close()

    def ask(self, call: Call[T]) -> T:
        """Carry out one call, with all its tries.

        Raises:
            Refused: The API's answer is no.
            Unavailable: There was no answer, and surely no effect.
            OutcomeUnknown: There was no answer, and perhaps an effect.
        """
        steps = Exchange(call, self._retries).steps()
        came: Answer | Lost | None = None
        while True:
            try:
                step = steps.send(came)
            except StopIteration as done:
                told: T = done.value
                return told
            came = None
            if isinstance(step, Pause):
                time.sleep(step.seconds)
            else:
                came = self._sent(call, step.timeout_seconds)

    def read(self, reading: Reading[Item]) -> Iterator[Item]:
        """What is found, one after the other; errors as of `ask`."""
        came: Told | None = None
        while True:
            try:
                step = reading.send(came)
            except StopIteration:
                return
            came = None
            match step:
                case Found(item):
                    yield item
                case Pause(seconds):
                    time.sleep(seconds)
                case _:
                    came = self.ask(step)

    def _sent(self, call: Call[T], timeout_seconds: float) -> Answer | Lost:
        try:
            token = checked(self._token())
        except Exception as error:  # noqa: BLE001 - an earlier try's open end is not forgotten for it
            return Lost(error, may_be_done=False)
        try:
            request = self._door.request(call, token, timeout_seconds)
            return answer_of(self._http.request(**request))
        except httpx.HTTPError as error:
            return lost(error)


def _always(token: str) -> Callable[[], str]:
    checked(token)
    return lambda: token
