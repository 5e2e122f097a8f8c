"""Handing a mail to the mail server, in two halves: what can be taken back, and what cannot."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from typing import Final

import aiosmtplib
from aiosmtplib.errors import (
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
)

from paysaga.mail_settings import Encryption, MailServer

COMMAND_SECONDS: Final = 20.0
DATA_SECONDS: Final = 60.0
_AT_ONCE: Final = 4  # mail servers do not like more
# Of the server's words only these say nothing about anybody (RFC 3463).
_ENHANCED: Final = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\b")
# Said of one recipient, but meant for us: it wants TLS, a password, or another one.
_ABOUT_US: Final = frozenset({530, 534, 535, 538})
_CLOSING: Final = 421
# The same in enhanced codes (RFC 3463): the sender's address, its limit.
_MEANT_FOR_US: Final = re.compile(r"5\.(?:1\.7|1\.8|4\.5)\b")
# Policy: it may be about us (no relaying), or about this mail (spam, a closed group). A while later
# somebody may have mended it; that it is about all of them shows when it is said of all.
_POLICY: Final = re.compile(r"5\.7\.\d{1,3}\b")


class Trouble(StrEnum):
    """Why a mail was not sent."""

    AWAY = "away"  # no mail is taken at the moment, or none of ours
    LATER = "later"  # this one is not, now
    REFUSED = "refused"  # this one never will be
    UNKNOWN = "unknown"  # nobody knows whether it was


class NotSent(Exception):
    """The mail server does not take it. The message holds codes and no words of the server."""

    def __init__(self, trouble: Trouble, told: str) -> None:
        super().__init__(told)
        self.trouble = trouble


class Envelope:
    """A mail whose recipient the server has accepted. Nothing is sent before `send`."""

    def __init__(self, connection: aiosmtplib.SMTP) -> None:
        self._connection = connection

    async def send(self, message: bytes) -> None:
        """Hand the mail over: the server answers for it from here on.

        Raises:
            NotSent: With `UNKNOWN` if the answer is missing, or says neither yes nor no.
        """
        try:
            async with asyncio.timeout(DATA_SECONDS):
                await self._connection.data(message, timeout=DATA_SECONDS)
        except SMTPDataError as error:
            raise NotSent(_verdict(error), _coded("the mail", error)) from None
        except (SMTPException, OSError) as error:
            raise NotSent(
                Trouble.UNKNOWN, f"the answer to the mail is missing: {type(error).__name__}"
            ) from None


class Smtp:
    """The mail server. Each mail has a connection of its own, a few at a time."""

    def __init__(self, server: MailServer, tls: ssl.SSLContext | None = None) -> None:
        self._server = server
        self._tls = tls
        self._places = asyncio.Semaphore(_AT_ONCE)

    @asynccontextmanager
    async def accepted(self, sender: str, recipient: str) -> AsyncIterator[Envelope]:
        """An envelope that the server takes; who leaves without `send` has sent nothing.

        Raises:
            NotSent: The server is not there, or refuses us or the recipient.
        """
        async with self._places:
            connection = self._connection()
            try:
                await _connected(connection)
                await _addressed(connection, sender, recipient)
                yield Envelope(connection)
            finally:
                await _left(connection)

    def _connection(self) -> aiosmtplib.SMTP:
        server = self._server
        return aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.user,
            password=server.password.get_secret_value() if server.password else None,
            use_tls=server.encryption is Encryption.FROM_THE_START,
            start_tls=server.encryption is Encryption.STARTTLS,
            tls_context=self._tls,
            timeout=COMMAND_SECONDS,
        )


async def _connected(connection: aiosmtplib.SMTP) -> None:
    """Greet, encrypt, and say who we are."""
    try:
        async with asyncio.timeout(2 * COMMAND_SECONDS):
            await connection.connect()
    except SMTPResponseException as error:
        raise NotSent(Trouble.AWAY, _coded("us", error)) from None
    except (SMTPException, OSError) as error:  # also a certificate that is not good
        raise NotSent(Trouble.AWAY, _unreachable(error)) from None


async def _addressed(connection: aiosmtplib.SMTP, sender: str, recipient: str) -> None:
    try:
        await connection.mail(sender)
        await connection.rcpt(recipient)
    except SMTPRecipientRefused as error:
        verdict = _verdict(error, unclear=Trouble.LATER)
        raise NotSent(verdict, _coded("the recipient", error)) from None
    except SMTPResponseException as error:
        raise NotSent(Trouble.AWAY, _coded("the sender", error)) from None
    except (SMTPException, OSError) as error:
        raise NotSent(Trouble.AWAY, _unreachable(error)) from None


def _verdict(error: SMTPResponseException, unclear: Trouble = Trouble.UNKNOWN) -> Trouble:
    """What is said of one mail or its recipient, and for how long it holds."""
    code, words = error.code, str(error.message).strip()
    if code in _ABOUT_US or code == _CLOSING or _MEANT_FOR_US.match(words):
        return Trouble.AWAY
    if _POLICY.match(words):
        return Trouble.LATER
    match code // 100:
        case 4:  # RFC 5321: for now
            return Trouble.LATER
        case 5:  # for ever
            return Trouble.REFUSED
        case _:
            return unclear


def _coded(what: str, error: SMTPResponseException) -> str:
    enhanced = _ENHANCED.match(str(error.message).strip())
    codes = f"{error.code} {enhanced[0]}" if enhanced else f"{error.code}"
    return f"the mail server does not take {what}: {codes}"


def _unreachable(error: Exception) -> str:
    cause = error.__cause__ or error
    return f"the mail server cannot be reached: {type(cause).__name__}"


async def _left(connection: aiosmtplib.SMTP) -> None:
    """Say good-bye, if there is somebody still."""
    try:
        if connection.is_connected:
            with suppress(SMTPException, OSError):
                await connection.quit(timeout=1)
    finally:
        connection.close()
