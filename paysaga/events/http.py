"""Events to an HTTP address, signed as Standard Webhooks asks for."""

import asyncio
import ssl
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from socket import IPPROTO_TCP, SOCK_STREAM, gaierror
from typing import Final, NamedTuple
from urllib.parse import urljoin, urlsplit

import httpcore
from standardwebhooks import Webhook

from paysaga.events.delivery import Answer, Verdict
from paysaga.events.shapes import Event

TIMEOUT_SECONDS: Final = 15.0
# Who takes longer to say hello is not there, whatever becomes of this event.
_QUICKLY: Final = {"timeout": {"connect": 5.0}}
_MOST_REDIRECTS: Final = 3
# What keeps method and body. After another redirect a POST would be sent as a GET.
_FOLLOWED: Final = frozenset({HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT})
_NO_TIME: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_KEPT_ALIVE: Final = 64
_LONGEST_ANSWER_READ: Final = 64 * 1024


Headers = Sequence[tuple[str, str]]


class Reply(NamedTuple):
    """What came back, as far as it matters. The body is theirs, and not kept."""

    status: int
    location: str | None
    retry_after: str | None


class ForbiddenAddress(Exception):
    """The address must not be called from here; the message says why."""


class Http:
    """Connections to sinks, one pool for the process.

    Args:
        is_open: Whether any address may be called. Otherwise (production) only https, and only what
            is reachable for everybody: no private, loopback or link-local address, whatever a name
            resolves to at the moment of the connection.
    """

    def __init__(self, *, is_open: bool) -> None:
        self._is_open = is_open
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=None,
            max_keepalive_connections=_KEPT_ALIVE,
            keepalive_expiry=30,
            network_backend=None if is_open else _PublicOnly(),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.aclose()

    async def post(self, url: str, content: bytes, headers: Headers) -> Reply:
        """Post, and follow redirects that keep method and body.

        Raises:
            ForbiddenAddress: It, or where it leads, must not be called.
            httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError: No answer.
        """
        for _ in range(_MOST_REDIRECTS):
            reply = await self._post(url, content, headers)
            if reply.status not in _FOLLOWED or reply.location is None:
                return reply
            url = urljoin(url, reply.location)
        return await self._post(url, content, headers)

    async def _post(self, url: str, content: bytes, headers: Headers) -> Reply:
        check_url(url, is_open=self._is_open)
        async with self._pool.stream(
            "POST", url, headers=headers, content=content, extensions=_QUICKLY
        ) as response:
            read = 0
            async for chunk in response.aiter_stream():
                # To its end, so that the connection is used again; not to the end of time.
                read += len(chunk)
                if read > _LONGEST_ANSWER_READ:
                    break
            told = {name.lower(): value.decode("latin-1") for name, value in response.headers}
        return Reply(response.status, told.get(b"location"), told.get(b"retry-after"))


def check_url(url: str, *, is_open: bool) -> None:
    """Refuse what must not be called, as far as the address itself shows it.

    Raises:
        ForbiddenAddress: It must not.
    """
    try:
        parts = urlsplit(url)
        host, _port = (parts.hostname or "").encode("idna"), parts.port
    except ValueError:
        raise ForbiddenAddress("an http(s) address is needed") from None
    if parts.scheme not in {"http", "https"} or not host or parts.hostname is None:
        raise ForbiddenAddress("an http(s) address is needed")
    if is_open:
        return
    if parts.scheme != "https":
        raise ForbiddenAddress("an https address is needed")
    try:
        is_private = not is_public(parts.hostname)
    except ValueError:
        return  # a name: what it resolves to is checked with each connection
    if is_private:
        raise ForbiddenAddress("a private address is not called")


class WebhookTarget:
    """One HTTP address. It gets each event signed with every secret that is good now."""

    def __init__(self, http: Http, url: str, secrets: Iterable[str]) -> None:
        self._http = http
        self._url = url
        self._signers = [Webhook(secret) for secret in secrets]

    async def deliver(self, event: Event) -> Answer:
        """Post the event; an answer that does not come in time is none."""
        content = event.model_dump_json()
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                reply = await self._http.post(
                    self._url, content.encode(), self._signed(event.id, content)
                )
        except ForbiddenAddress as error:
            return Answer(Verdict.AWAY, str(error))
        except TimeoutError:
            return Answer(Verdict.FAILED, f"no answer within {TIMEOUT_SECONDS:.0f} s")
        except (httpcore.ConnectError, httpcore.TimeoutException, OSError) as error:
            return Answer(Verdict.AWAY, f"no connection: {_why(error)}")
        except (ValueError, TypeError, httpcore.UnsupportedProtocol):
            # Theirs, by a redirect; what is wrong with ours is refused when it is given.
            return Answer(Verdict.FAILED, "it leads to what is no address")
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            return Answer(Verdict.FAILED, f"the connection broke ({type(error).__name__})")
        return _answer(reply)

    def _signed(self, event_id: str, content: str) -> Headers:
        # The receiver compares it with its own clock, so it is the time of this very try.
        now = datetime.now(UTC)
        signatures = [signer.sign(event_id, now, content) for signer in self._signers]
        return [
            ("Content-Type", "application/json"),
            ("User-Agent", "Paysaga"),
            ("webhook-id", event_id),
            ("webhook-timestamp", str(int(now.timestamp()))),
            ("webhook-signature", " ".join(signatures)),
        ]


def _why(error: BaseException) -> str:
    """What somebody may mend. Behind the library's own error stands the one of the machine."""
    cause: BaseException | None = error
    while cause is not None:
        match cause:
            case gaierror():
                return "there is no such name"
            case ssl.SSLCertVerificationError():
                return f"its certificate is not good ({cause.verify_message})"
            case ssl.SSLError():
                return "it does not speak TLS"
            case ConnectionRefusedError():
                return "refused"
            case httpcore.TimeoutException():
                return "it takes too long"
            case BaseExceptionGroup():
                cause = cause.exceptions[0]
            case _:
                cause = cause.__cause__ or cause.__context__
    return type(error).__name__


def _answer(reply: Reply) -> Answer:
    told = _in_words(reply.status)
    if HTTPStatus.OK <= reply.status < HTTPStatus.MULTIPLE_CHOICES:
        return Answer(Verdict.TAKEN, told)
    if reply.status == HTTPStatus.GONE:
        return Answer(Verdict.GONE, told)
    if HTTPStatus.MULTIPLE_CHOICES <= reply.status < HTTPStatus.BAD_REQUEST:
        return Answer(Verdict.FAILED, f"{told}: give the address that it leads to")
    wait = _wait(reply.retry_after)
    verdict = Verdict.AWAY if reply.status in _NO_TIME else Verdict.FAILED
    return Answer(verdict, told, wait)


def _in_words(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _wait(retry_after: str | None) -> timedelta | None:
    """The header's time: in seconds, or as a date."""
    if retry_after is None:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return timedelta(seconds=min(int(retry_after), 10**6))
    try:
        return parsedate_to_datetime(retry_after) - datetime.now(UTC)
    except (ValueError, TypeError):
        return None


class _PublicOnly(httpcore.AsyncNetworkBackend):
    """Resolves names itself, and connects to the very address that it has checked."""

    def __init__(self) -> None:
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect, unless the name leads to an address that is not public."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=SOCK_STREAM, proto=IPPROTO_TCP)
        addresses = [str(entry[4][0]) for entry in found]
        if not all(is_public(address) for address in addresses):
            raise ForbiddenAddress("the name leads to a private address, which is not called")
        return await self._backend.connect_tcp(
            addresses[0], port, timeout, local_address, socket_options
        )

    async def sleep(self, seconds: float) -> None:
        """Wait between two tries to connect."""
        await self._backend.sleep(seconds)


def is_public(address: str) -> bool:
    """Whether everybody may reach this address: it is nobody's own network, machine or group."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo and found.teredo[1])
        if inner:
            return is_public(str(inner))
        if found in _NAT64:
            return is_public(str(IPv4Address(int(found) & 0xFFFFFFFF)))
    return found.is_global and not found.is_multicast and not found.is_reserved


_NAT64: Final = IPv6Network("64:ff9b::/96")
