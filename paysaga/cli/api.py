"""A thin client of the API: the token, the address, and errors as sentences."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx

from paysaga.cli.trouble import CannotAsk, Refused

DEFAULT_URL: Final = "http://127.0.0.1:8009"
# The demo leaves both here, so that nothing needs to be set beside it.
STATE_VARIABLE: Final = "DEMO_STATE"
TOKEN_FILE: Final = "cli-token"  # noqa: S105 - a file's name
URL_FILE: Final = "api-url"
TIMEOUT: Final = httpx.Timeout(30, connect=5)

Answer = dict[str, Any]


class PaymentsApi:
    """What the commands ask of the API."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def payment(self, payment_id: str) -> Answer:
        """The payment as it stands."""
        return self._asked(f"/payments/{quote(payment_id, safe='')}")

    def history(self, payment_id: str) -> Answer:
        """Its changes and attempts."""
        return self._asked(f"/payments/{quote(payment_id, safe='')}/history")

    def payments(self, *, status: str | None, order_id: str | None, limit: int) -> Answer:
        """A page of payments, newest first."""
        query = {"status": status, "order_id": order_id, "limit": limit}
        return self._asked(
            "/payments", {name: str(value) for name, value in query.items() if value is not None}
        )

    def _asked(self, path: str, query: dict[str, str] | None = None) -> Answer:
        try:
            answer = self._http.get(path, params=query)
            told = answer.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise self._nobody() from error
        if not isinstance(told, dict):
            raise self._nobody()
        if not answer.is_success:
            raise _refusal(answer.status_code, told)
        return told

    def _nobody(self) -> CannotAsk:
        return CannotAsk(
            f"Paysaga's API does not answer at {self._http.base_url}: start it (make demo), or set"
            " PAYSAGA_API_URL to where it is."
        )


@contextmanager
def connected() -> Iterator[PaymentsApi]:
    """The API that the environment names, or the demo's.

    Raises:
        CannotAsk: There is no token to ask with.
    """
    base = os.environ.get("PAYSAGA_API_URL") or _left_by_the_demo(URL_FILE) or DEFAULT_URL
    token = os.environ.get("PAYSAGA_TOKEN") or _left_by_the_demo(TOKEN_FILE)
    if not token:
        raise CannotAsk(
            "There is no token: set PAYSAGA_TOKEN, or come to the directory where the demo runs:"
            f" it leaves one, looked for in {(_state() / TOKEN_FILE).absolute()}."
        )
    if not token.isascii() or not token.isprintable():
        raise CannotAsk("PAYSAGA_TOKEN is not a token: it has characters that none can have.")
    with httpx.Client(
        base_url=f"{base.rstrip('/')}/api/v1",
        headers={"Authorization": f"Bearer {token}"},
        timeout=TIMEOUT,
    ) as http:
        yield PaymentsApi(http)


def _refusal(status: int, told: Answer) -> Refused:
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return Refused("The API does not take the token: set PAYSAGA_TOKEN to a valid one.")
        case HTTPStatus.FORBIDDEN:
            return Refused("The token's role may not do this: use one with role support or admin.")
        case HTTPStatus.NOT_FOUND:
            return Refused("There is no such payment, or the token may not see it.")
    return Refused(f"The API refused with {status}: {told.get('detail') or 'no reason given'}")


def _left_by_the_demo(name: str) -> str | None:
    try:
        return (_state() / name).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None


def _state() -> Path:
    return Path(os.environ.get(STATE_VARIABLE) or ".paysaga")
