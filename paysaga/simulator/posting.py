"""One webhook over the wire: a POST on its own connection, of which only the status matters.

A general HTTP client costs several times the processor time of everything else a checkout needs.
"""

import asyncio
import contextlib
from urllib.parse import urlsplit


async def post(url: str, payload: bytes, signature: str, timeout_seconds: float) -> int:
    """Send the event and answer with the HTTP status.

    Raises:
        OSError: The endpoint cannot be reached, is too slow, or does not speak HTTP.
        ValueError: What it says is longer than any status line.
    """
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    head = (
        f"POST {target} HTTP/1.1\r\n"
        f"Host: {parts.netloc.rpartition('@')[2]}\r\n"
        "User-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\n"
        "Accept: */*\r\n"
        "Content-Type: application/json; charset=utf-8\r\n"
        f"Content-Length: {len(payload)}\r\n"
        f"Stripe-Signature: {signature}\r\n"
        "Connection: close\r\n\r\n"
    )
    async with asyncio.timeout(timeout_seconds):
        reader, writer = await asyncio.open_connection(
            parts.hostname, port, ssl=True if secure else None
        )
        try:
            writer.write(head.encode() + payload)
            status = _status(await reader.readline())
            await reader.read()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    return status


def _status(line: bytes) -> int:
    words = line.split(maxsplit=2)
    if not words:
        raise ConnectionError("the endpoint closed the connection without an answer")
    if len(words) == 1 or not line.startswith(b"HTTP/") or not words[1].isdigit():
        raise ConnectionError("the endpoint does not speak HTTP")
    return int(words[1])
