"""What an HTTP server does to a connection when it is not going to answer."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class HungUp(Exception):
    """The connection is to be closed without a (complete) reply."""


async def hang_up(send: Send) -> None:
    """Close the connection without a byte; under a server other than uvicorn, mid-reply.

    ASGI has no message for this. Uvicorn's `send` belongs to an object that holds the transport;
    where there is none, a started reply that never ends makes the server close the connection.
    """
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    abort = getattr(transport, "abort", None)
    if abort:
        abort()
        return
    head = [(b"content-length", b"1")]
    await send({"type": "http.response.start", "status": 500, "headers": head})
    raise HungUp


async def until_gone(receive: Receive, seconds: float) -> None:
    """Wait until the client leaves, at most `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return


async def read_body(receive: Receive) -> bytes:
    """Read the whole request body."""
    chunks = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    return b"".join(chunks)
