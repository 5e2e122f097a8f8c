"""Each operation is written once: with one client it is awaited, with the other it blocks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from paysaga.client.answers import Told
from paysaga.client.calls import Call
from paysaga.client.exchange import Pause

P = ParamSpec("P")
Item = TypeVar("Item")
T = TypeVar("T", bound=Told)


@dataclass(frozen=True)
class Found(Generic[Item]):
    """A step of reading: this is the next one."""

    item: Item


# Asks page after page; whoever carries it out sends it each page.
Reading = Generator[Call[Any] | Pause | Found[Item], Any, None]


class AsyncSide(ABC):
    """A client that is awaited."""

    @abstractmethod
    async def ask(self, call: Call[T]) -> T:
        """Carry out one call, with all its tries."""

    @abstractmethod
    def read(self, reading: Reading[Item]) -> AsyncIterator[Item]:
        """What is found, one after the other."""


class SyncSide(ABC):
    """A client that blocks."""

    @abstractmethod
    def ask(self, call: Call[T]) -> T:
        """Carry out one call, with all its tries."""

    @abstractmethod
    def read(self, reading: Reading[Item]) -> Iterator[Item]:
        """What is found, one after the other."""


class Operation(Generic[P, T]):
    """A method of both clients, made from a method that says what to ask."""

    def __init__(self, build: Callable[Concatenate[Any, P], Call[T]]) -> None:
        self.build = build
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: AsyncSide, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, client: SyncSide, owner: type) -> Callable[P, T]: ...
    def __get__(self, client: AsyncSide | SyncSide | None, owner: type) -> Any:
        if client is None:
            return self

        @wraps(self.build)
        def asked(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.ask(self.build(client, *args, **kwargs))

        return asked


class Iteration(Generic[P, Item]):
    """A method of both clients that reads page after page."""

    def __init__(self, build: Callable[Concatenate[Any, P], Reading[Item]]) -> None:
        self.build = build
        self.__doc__ = build.__doc__

    @overload
    def __get__(self, client: None, owner: type) -> Self: ...
    @overload
    def __get__(self, client: AsyncSide, owner: type) -> Callable[P, AsyncIterator[Item]]: ...
    @overload
    def __get__(self, client: SyncSide, owner: type) -> Callable[P, Iterator[Item]]: ...
    def __get__(self, client: AsyncSide | SyncSide | None, owner: type) -> Any:
        if client is None:
            return self

        @wraps(self.build)
        def read(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.read(self.build(client, *args, **kwargs))

        return read
