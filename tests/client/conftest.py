"""Both clients before a server of our own that answers as it is told, and remembers."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from paysaga.client import AsyncPaysaga, Paysaga, Retries

TOKEN = "eyJ.the-token-that-nobody-may-see.sig"
QUICK = Retries(
    attempts=3, deadline_seconds=20, first_pause_seconds=0.01, longest_pause_seconds=0.02
)


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def key(self) -> str | None:
        """Its idempotency key."""
        return self.headers.get("idempotency-key")


@dataclass(frozen=True)
class Reply:
    """What the server does: answer, or (`is_lost`) hang up, or (`is_late`) keep silent."""

    status: int = 200
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    is_lost: bool = False
    is_late: bool = False


LOST = Reply(is_lost=True)
LATE = Reply(is_late=True)


class Server:
    """Answers one request after the other as it was told; the last answer stays."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.url = ""
        self._replies: deque[Reply] = deque()
        self._over = asyncio.Event()

    def answers(self, *replies: Reply) -> None:
        """What it does next."""
        self._replies = deque(replies)

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return server

    def end(self) -> None:
        """Nobody waits any longer."""
        self._over.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            self.asked.append(await _request(reader))
            reply = self._replies.popleft() if len(self._replies) > 1 else self._replies[0]
            if reply.is_late:
                await self._over.wait()
            elif not reply.is_lost:
                writer.write(_written(reply))
                await writer.drain()
        writer.close()


async def _request(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {
        name.lower(): value
        for name, _, value in (line.partition(": ") for line in head[1:] if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(method, target, headers, body)


def _written(reply: Reply) -> bytes:
    text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
    headers = {"Content-Length": str(len(text.encode())), "Connection": "close", **reply.headers}
    lines = [f"HTTP/1.1 {reply.status} Told", *(f"{name}: {it}" for name, it in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n" + text).encode()


class Client:
    """Either client, asked in the same way."""

    def __init__(self, client: AsyncPaysaga | Paysaga) -> None:
        self.client = client

    async def ask(self, operation: str, *told: object, **named: object) -> Any:
        """The answer of one operation."""
        method = getattr(self.client, operation)
        if isinstance(self.client, AsyncPaysaga):
            return await method(*told, **named)
        return await asyncio.to_thread(method, *told, **named)

    async def read(self, iteration: str, count: int, **named: object) -> list[Any]:
        """The first things that an iteration finds, all of them if there are fewer."""
        found = getattr(self.client, iteration)(**named)
        items: list[Any] = []
        if isinstance(self.client, AsyncPaysaga):
            async for item in found:
                items.append(item)
                if len(items) == count:
                    await found.aclose()
                    break
            return items
        return await asyncio.to_thread(
            lambda: [item for _, item in zip(range(count), found, strict=False)]
        )

    async def close(self) -> None:
        """Close its connections."""
        if isinstance(self.client, AsyncPaysaga):
            await self.client.close()
        else:
            self.client.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """A server on a port of its own."""
    made = Server()
    async with await made.start():
        yield made
        made.end()


@pytest.fixture(params=[AsyncPaysaga, Paysaga], ids=["awaited", "blocking"])
def kind(request: pytest.FixtureRequest) -> type[AsyncPaysaga | Paysaga]:
    """Which of the two."""
    chosen: type[AsyncPaysaga | Paysaga] = request.param
    return chosen


@pytest.fixture
async def client(kind: type[AsyncPaysaga | Paysaga], server: Server) -> AsyncIterator[Client]:
    """A client of that server."""
    made = Client(kind(server.url, TOKEN, retries=QUICK))
    yield made
    await made.close()
