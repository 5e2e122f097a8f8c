"""A mail server that sends nothing on: every mail ends in the shop's letterbox."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from aiosmtpd.smtp import SMTP, Envelope, Session

from paysaga.demo.shop.letterbox import Letterbox

_LARGEST: Final = 1024 * 1024


class Catcher:
    """Takes mails for whomever they are."""

    def __init__(self, letterbox: Letterbox) -> None:
        self._letterbox = letterbox

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Keep it, for each recipient."""
        content = envelope.content or b""
        raw = content.encode() if isinstance(content, str) else content
        try:
            for recipient in envelope.rcpt_tos:
                await asyncio.to_thread(self._letterbox.keep, recipient, raw)
        except sqlite3.Error:
            return "451 The letterbox is stuck"
        return "250 Kept"


@asynccontextmanager
async def catching(letterbox: Letterbox, port: int) -> AsyncIterator[None]:
    """Listen on this machine, as long as the context lasts."""
    loop = asyncio.get_running_loop()
    serve = partial(
        SMTP, Catcher(letterbox), loop=loop, hostname="localhost", data_size_limit=_LARGEST
    )
    listening = await loop.create_server(serve, "127.0.0.1", port)
    try:
        yield
    finally:
        listening.close()
