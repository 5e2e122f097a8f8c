"""A real mail server in this process: it remembers what it has taken, and has moods."""

import asyncio
import email
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from email.policy import default
from functools import partial
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from paysaga.demo.preflight import free_port
from paysaga.mail_settings import Encryption, MailServer


class Post:
    """What the server answers to each command, and what it has.

    With `drops` it has the mail and is gone before it says so; `may_answer` holds its answer back.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.users: list[tuple[bytes, bytes]] = []
        self.to_mail = "250 OK"
        self.to_rcpt = "250 OK"
        self.to_data = "250 OK"
        self.drops = False
        self.has_mail = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}?starttls=never"

    @property
    def address(self) -> MailServer:
        return MailServer(host="127.0.0.1", port=self.port, encryption=Encryption.NONE)

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        envelope.mail_from = address
        return self.to_mail

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any
    ) -> str:
        self.recipients.append(address)
        envelope.rcpt_tos.append(address)
        return self.to_rcpt

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        if self.to_data.startswith("2"):
            content = envelope.content
            assert isinstance(content, bytes)
            self.mails.append(email.message_from_bytes(content, policy=default))
        self.has_mail.set()
        await self.may_answer.wait()
        if self.drops:
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
        return self.to_data

    def lets_in(self, _server: SMTP, _session: Any, _envelope: Any, _how: str, who: Any) -> Any:
        """Takes one password."""
        self.users.append((who.login, who.password))
        return AuthResult(success=who.password == b"p@ss/word", handled=False)


@asynccontextmanager
async def serving(
    post: Post, *, tls: ssl.SSLContext | None = None, from_the_start: bool = False
) -> AsyncIterator[Post]:
    """The server listens; with `tls` it wants that, and a password."""
    loop = asyncio.get_running_loop()
    protocol = partial(
        SMTP,
        post,
        loop=loop,
        hostname="mail.example",
        tls_context=None if from_the_start else tls,
        require_starttls=tls is not None and not from_the_start,
        # It knows of no TLS but its own STARTTLS, and would warn.
        auth_required=tls is not None and not from_the_start,
        auth_require_tls=not from_the_start,
        authenticator=post.lets_in if tls else None,
    )
    listening = await loop.create_server(
        protocol, "127.0.0.1", post.port, ssl=tls if from_the_start else None
    )
    try:
        yield post
    finally:
        listening.close()
