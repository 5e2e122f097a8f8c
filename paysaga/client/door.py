"""Where the API is and what is shown at its door: the same for both clients."""

import re
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from paysaga.client.calls import Call
from paysaga.client.exchange import Retries
from paysaga.client.reading import Answer, Lost

API: Final = "/api/v1"
# Whoever waits for news holds a connection, and must not keep others from paying. Servers close an
# idle one after 5 seconds and more: one that is used at that very moment would be lost.
LIMITS: Final = httpx.Limits(
    max_connections=None, max_keepalive_connections=20, keepalive_expiry=4.0
)

# With these nothing has left; whatever else goes wrong, the API may have heard it.
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")


class Door:
    """The API's address. It keeps no token."""

    def __init__(self, base_url: str, retries: Retries) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("base_url is an http(s) address, as https://payments.example")
        if parts.username is not None or parts.password is not None:
            raise ValueError("base_url holds no credentials: there is a token for that")
        self.url = base_url.rstrip("/")
        self._retries = retries

    def request(self, call: Call[Any], token: str, timeout_seconds: float) -> dict[str, Any]:
        """What httpx is told. A redirect is not followed: nobody else is to have the token."""
        connect = min(timeout_seconds, self._retries.connect_timeout_seconds)
        return {
            "method": call.method,
            "url": f"{self.url}{API}{call.path}",
            "params": list(call.query) or None,
            "content": call.body,
            "headers": {**call.headers, "Authorization": f"Bearer {token}"},
            "timeout": httpx.Timeout(timeout_seconds, connect=connect, pool=connect),
            "follow_redirects": False,
        }


def checked(token: str) -> str:
    """A token that may stand in a header.

    Raises:
        ValueError: It may not. The message does not repeat it; that of the HTTP library would.
    """
    if not _TOKEN.fullmatch(token):
        raise ValueError("a token is visible ASCII characters")
    return token


def answer_of(response: httpx.Response) -> Answer:
    """What came, without the request that it answers."""
    return Answer(response.status_code, response.headers, response.content)


def lost(error: Exception) -> Lost:
    """No answer came, for this reason."""
    return Lost(error, may_be_done=not isinstance(error, _NOT_SENT))
