"""A thin client of the API: the token, the address, and errors as sentences."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx

from paysaga.cli.trouble import CannotAsk, CliError, NoAnswerYet, NotAllowed, Refused

DEFAULT_URL: Final = "http://127.0.0.1:8009"
# The demo leaves both here, so that nothing needs to be set beside it.
STATE_VARIABLE: Final = "DEMO_STATE"
TOKEN_FILE: Final = "cli-token"  # noqa: S105 - a file's name
URL_FILE: Final = "api-url"
TIMEOUT: Final = httpx.Timeout(30, connect=5)

# Nothing was sent: whatever else goes wrong with a POST, it may have been accepted.
_NOT_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.InvalidURL,
    httpx.UnsupportedProtocol,
)

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

    def refund_quote(self, payment_id: str) -> Answer:
        """What goes back if a refund is asked for now."""
        return self._asked(f"/payments/{quote(payment_id, safe='')}/refund-quote")

    def payments(self, *, status: str | None, order_id: str | None, limit: int) -> Answer:
        """A page of payments, newest first."""
        query = {"status": status, "order_id": order_id, "limit": limit}
        return self._asked(
            "/payments", {name: str(value) for name, value in query.items() if value is not None}
        )

    def capture(self, payment_id: str, order: Answer, *, key: str) -> Answer:
        """Take what is held, or part of it."""
        path = f"/payments/{quote(payment_id, safe='')}/capture"
        return self._told(path, order, key, look=f"payments show {payment_id}")

    def why(self, payment_id: str) -> Answer:
        """Why it stands where it stands, and what may be done."""
        return self._asked(f"/admin/payments/{quote(payment_id, safe='')}/why")

    def repair(self, payment_id: str, order: Answer, *, key: str) -> Answer:
        """Decide what becomes of it."""
        path = f"/admin/payments/{quote(payment_id, safe='')}/repair"
        return self._told(path, order, key, look=f"payments why {payment_id}")

    def approve(self, payment_id: str, order: Answer, *, key: str) -> Answer:
        """Agree with what was proposed."""
        path = f"/admin/payments/{quote(payment_id, safe='')}/repair/approve"
        return self._told(path, order, key, look=f"payments why {payment_id}")

    def reconcile(self, period: Answer, *, key: str) -> Answer:
        """Compare a period. Twice does no harm."""
        return self._told("/admin/reconciliations", period, key, look=None)

    def reconciliation(self, reconciliation_id: str) -> Answer:
        """How far the comparison has come."""
        return self._asked(f"/admin/reconciliations/{quote(reconciliation_id, safe='')}")

    def balances(self, *, as_of: str | None, payment_id: str | None) -> Answer:
        """What every account holds."""
        query = {"as_of": as_of, "payment_id": payment_id}
        return self._asked(
            "/admin/ledger/balances", {name: value for name, value in query.items() if value}
        )

    def webhooks(self, **wanted: str | int | bool | None) -> Answer:
        """A page of the gateway's events, newest first."""
        query = {name: value for name, value in wanted.items() if value is not None}
        return self._asked(
            "/admin/webhooks", {name: str(value).lower() for name, value in query.items()}
        )

    def events(self, **wanted: str | int | list[str] | None) -> Answer:
        """A page of our own events, the first first."""
        query = {name: value for name, value in wanted.items() if value is not None}
        return self._asked("/events", query)

    def sinks(self, **wanted: str | int | None) -> Answer:
        """A page of sinks, newest first."""
        return self._asked("/sinks", {name: str(value) for name, value in wanted.items() if value})

    def sink(self, sink_id: str) -> Answer:
        """A sink, and how far it has come."""
        return self._asked(_sink(sink_id))

    def dead_letters(self, sink_id: str, **wanted: str | int | None) -> Answer:
        """What it is not given any more, newest first."""
        query = {name: str(value) for name, value in wanted.items() if value}
        return self._asked(f"{_sink(sink_id)}/dead-letters", query)

    def add_sink(self, order: Answer, *, key: str) -> Answer:
        """Send events there."""
        return self._told("/sinks", order, key, look="sinks list")

    def change_sink(self, sink_id: str, change: Answer) -> Answer:
        """Have it be different. Twice does no harm."""
        path = _sink(sink_id)
        return self._answered(lambda: self._http.patch(path, json=change), path)

    def remove_sink(self, sink_id: str) -> Answer:
        """Send nothing there any more."""
        path = _sink(sink_id)
        return self._answered(lambda: self._http.delete(path), path, perhaps=_perhaps("sinks list"))

    def replay_sink(self, sink_id: str, replay: Answer, *, key: str) -> Answer:
        """Send events again."""
        path = f"{_sink(sink_id)}/replay"
        return self._told(path, replay, key, look=f"sinks show {sink_id}")

    def roll_sink_secret(self, sink_id: str, roll: Answer, *, key: str) -> Answer:
        """Sign with a new secret."""
        path = f"{_sink(sink_id)}/secret"
        return self._told(path, roll, key, look=f"sinks show {sink_id}")

    def webhook(self, event_id: str) -> Answer:
        """One event, and what came of it."""
        return self._asked(f"/admin/webhooks/{quote(event_id, safe='')}")

    def replay(self, event_id: str) -> Answer:
        """Process it once more."""
        path = f"/admin/webhooks/{quote(event_id, safe='')}/replay"
        return self._answered(
            lambda: self._http.post(path), path, perhaps=_perhaps(f"webhooks show {event_id}")
        )

    def _asked(self, path: str, query: Mapping[str, Any] | None = None) -> Answer:
        return self._answered(lambda: self._http.get(path, params=query), path)

    def _told(self, path: str, body: Answer, key: str, *, look: str | None) -> Answer:
        headers = {"Idempotency-Key": key}
        return self._answered(
            lambda: self._http.post(path, json=body, headers=headers), path, perhaps=_perhaps(look)
        )

    def _answered(
        self, call: Callable[[], httpx.Response], path: str, *, perhaps: str | None = None
    ) -> Answer:
        """The answer. `perhaps` says what to do if nobody knows whether the API has done it."""
        try:
            answer = call()
            told = answer.json()
        except _NOT_SENT as error:
            raise self._nobody() from error
        except (httpx.HTTPError, ValueError) as error:
            raise self._unanswered(perhaps) from error
        if not isinstance(told, dict):
            raise self._unanswered(perhaps)
        if not answer.is_success:
            raise _refusal(answer.status_code, told, path, perhaps)
        return told

    def _nobody(self) -> CannotAsk:
        return CannotAsk(
            f"Paysaga's API does not answer at {self._http.base_url}: start it (make demo), or set"
            " PAYSAGA_API_URL to where it is."
        )

    def _unanswered(self, perhaps: str | None) -> CliError:
        if perhaps is None:
            return self._nobody()
        return NoAnswerYet(f"No answer came from {self._http.base_url}. {perhaps}")


def _sink(sink_id: str) -> str:
    return f"/sinks/{quote(sink_id, safe='')}"


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


def _refusal(status: int, told: Answer, path: str, perhaps: str | None) -> CliError:
    match status:
        case HTTPStatus.UNAUTHORIZED:
            return NotAllowed("The API does not take the token: set PAYSAGA_TOKEN to a valid one.")
        case HTTPStatus.FORBIDDEN:
            return NotAllowed(f"The token's role may not do this: use one with {_roles(path)}.")
        case HTTPStatus.NOT_FOUND:
            return Refused("There is no such thing, or the token may not see it.")
    errors = told.get("errors") or ()
    fields = "".join(f" {it['field']}: {it['message'].rstrip('.')}." for it in errors)
    why = told.get("detail") or "no reason given"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return NoAnswerYet(f"The API has no time now ({status}): {why}")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        then = f" {perhaps}" if perhaps else ""
        return NoAnswerYet(f"The API cannot answer now ({status}): {why}{then}")
    return Refused(f"The API refused with {status}: {why}{fields}")


def _perhaps(look: str | None) -> str:
    before = f"look with payment-cli {look} before you try again" if look else "try again"
    return f"It may have been accepted all the same: {before}."


def _roles(path: str) -> str:
    if path.startswith(("/admin/reconciliations", "/admin/ledger")):
        return "role finance or admin"
    if path.endswith("/capture"):
        return "role service, finance or admin"
    if path.startswith(("/events", "/sinks")):
        return "role service or admin"
    return "role admin" if path.startswith("/admin/") else "role support, finance or admin"


def _left_by_the_demo(name: str) -> str | None:
    try:
        return (_state() / name).read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None


def _state() -> Path:
    return Path(os.environ.get(STATE_VARIABLE) or ".paysaga")
