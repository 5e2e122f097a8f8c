"""`payment-cli reconcile` and `payment-cli ledger` against the API's own answers."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner, Result

from paysaga.cli import commands
from paysaga.cli.trouble import CliError, Disagree, NoAnswerYet, NotAllowed

DRIFT: dict[str, Any] = {
    "subject": "pay_1",
    "kind": "captured",
    "wrong": "database",
    "in_database": "1",
    "in_history": "1250",
    "in_ledger": "1250",
    "at_gateway": "1250",
    "in_workflow": None,
    "remedy": "none",
}
DONE: dict[str, Any] = {
    "id": "rcn_1",
    "status": "finished",
    "since": "2026-11-01T00:00:00Z",
    "until": "2026-11-21T12:00:00Z",
    "compared": 7,
    "agreed": 7,
    "not_compared": 0,
    "parked": 0,
    "without_run": 1,
    "movements": 9,
    "fees_booked": 3,
    "drifts": [],
}
RUNNING = DONE | {"status": "running"}
BALANCES = {
    "items": [
        {"currency": "EUR", "account": "gateway_clearing", "amount": 1207},
        {"currency": "EUR", "account": "fees", "amount": 43},
    ]
}


class Told(ThreadingHTTPServer):
    """An API that answers with these, one after the other, and remembers what it was asked.

    A number is the status of a refusal.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[dict[str, Any] | int] = []
        self.asked: list[tuple[str, str]] = []
        self.bodies: list[Any] = []


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Told)
        self.server.asked.append((self.command, self.path))
        answer = self.server.answers.pop(0)
        refusal = {"detail": "No."}
        body = json.dumps(refusal if isinstance(answer, int) else answer).encode()
        self.send_response(answer if isinstance(answer, int) else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        assert isinstance(self.server, Told)
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(json.loads(sent))
        self.do_GET()

    def log_message(self, *_arguments: object) -> None:
        """Tests are quiet."""


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    with Told() as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        monkeypatch.setenv("PAYSAGA_API_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("PAYSAGA_TOKEN", "a-token")
        yield server
        server.shutdown()
        serving.join()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(commands.app, [*arguments])


class TestReconcile:
    def test_parked_payments_are_no_agreement(self, told: Told) -> None:
        """Nobody compares them with the gateway before a person has decided: that is said."""
        told.answers = [DONE | {"agreed": 6, "parked": 1}]

        ran = run("reconcile", "--since", "2026-11-01")

        assert "1 wait for a person" in ran.output
        assert "payment-cli payments list --status needs_operator" in ran.output
        assert "of the others agree" in ran.output

    def test_agreement(self, told: Told) -> None:
        """Everything agrees: the figures, and exit code 0."""
        told.answers = [DONE]

        ran = run("reconcile", "--since", "2026-11-01")

        assert 0 == ran.exit_code
        assert "agree." in ran.output
        assert "7 payments, 1 of them without a run" in ran.output
        assert {"since": "2026-11-01T00:00:00+00:00"} == told.bodies[0]

    def test_it_waits_until_it_is_done(self, told: Told) -> None:
        """The command asks until the comparison is finished."""
        told.answers = [RUNNING, DONE]

        ran = run("reconcile", "--since", "2026-11-01", "--until", "2026-11-21")

        assert 0 == ran.exit_code
        path = "/api/v1/admin/reconciliations"
        assert [("POST", path), ("GET", f"{path}/rcn_1")] == told.asked

    def test_drift(self, told: Told) -> None:
        """Each side's word, who is wrong, what was done; and an exit code that a job can see."""
        told.answers = [DONE | {"agreed": 6, "drifts": [DRIFT]}]

        ran = run("reconcile", "--since", "2026-11-01")

        assert isinstance(ran.exception, Disagree)
        assert 3 == ran.exception.exit_code
        assert "a person must look" in ran.output
        assert "database 1, history 1250, ledger 1250, gateway 1250" in ran.output

    def test_drift_for_programs(self, told: Told) -> None:
        """As JSON it is what the API said; the exit code is the same."""
        answer = DONE | {"drifts": [DRIFT]}
        told.answers = [answer]

        ran = run("reconcile", "--since", "2026-11-01", "--json")

        assert isinstance(ran.exception, Disagree)
        assert answer == json.loads(ran.output)

    def test_patience_ends(self, told: Told) -> None:
        """A comparison that takes too long goes on without the command, and says its id."""
        told.answers = [RUNNING] * 3

        ran = run("reconcile", "--since", "2026-11-01", "--patience", "1")

        assert isinstance(ran.exception, NoAnswerYet)
        assert 5 == ran.exception.exit_code
        assert "payment-cli reconciliation rcn_1" in str(ran.exception)

    def test_lost_answer_is_no_end(self, told: Told) -> None:
        """The API is away for a moment while the comparison goes on: it is asked again."""
        told.answers = [RUNNING, 503, DONE]

        ran = run("reconcile", "--since", "2026-11-01")

        assert (0, 3) == (ran.exit_code, len(told.asked))
        assert "rcn_1 is under way" in ran.stderr

    def test_api_that_stays_away(self, told: Told) -> None:
        """When patience ends it says which comparison it was, and what was wrong."""
        told.answers = [RUNNING, 503, 503]

        ran = run("reconcile", "--since", "2026-11-01", "--patience", "1")

        assert isinstance(ran.exception, NoAnswerYet)
        assert "rcn_1" in str(ran.exception)
        assert "503" in str(ran.exception)

    def test_token_that_ends_meanwhile(self, told: Told) -> None:
        """Nobody waits for that to pass: the comparison is named, and goes on."""
        told.answers = [RUNNING, 401]

        ran = run("reconcile", "--since", "2026-11-01")

        assert isinstance(ran.exception, NotAllowed)
        assert "payment-cli reconciliation rcn_1" in str(ran.exception)

    @pytest.mark.parametrize(("status", "code"), [(401, 4), (403, 4), (409, 1), (503, 5)])
    def test_what_was_not_compared_is_no_drift(self, told: Told, status: int, code: int) -> None:
        """A job can tell whether it does not agree, or nobody has looked."""
        told.answers = [status]

        ran = run("reconcile", "--since", "2026-11-01")

        assert isinstance(ran.exception, CliError)
        assert code == ran.exception.exit_code

    def test_finance_may_compare(self, told: Told) -> None:
        """Whose role is not enough learns which ones are."""
        told.answers = [403]

        ran = run("reconcile", "--since", "2026-11-01")

        assert "role finance or admin" in str(ran.exception)


class TestReconciliation:
    def test_it_is_shown_by_its_id(self, told: Told) -> None:
        """Whoever did not wait looks later."""
        told.answers = [DONE]

        ran = run("reconciliation", "rcn_1")

        assert 0 == ran.exit_code
        assert "agree." in ran.output
        assert [("GET", "/api/v1/admin/reconciliations/rcn_1")] == told.asked

    def test_drift(self, told: Told) -> None:
        """The exit code is that of `reconcile`."""
        told.answers = [RUNNING | {"drifts": [DRIFT]}]

        ran = run("reconciliation", "rcn_1", "--json")

        assert isinstance(ran.exception, Disagree)
        assert [DRIFT] == json.loads(ran.output)["drifts"]

    def test_one_that_is_not_done_does_not_agree_yet(self, told: Told) -> None:
        """Nothing was found so far, and that is not the same as fine."""
        told.answers = [RUNNING]

        ran = run("reconciliation", "rcn_1")

        assert isinstance(ran.exception, NoAnswerYet)
        assert "results agree" not in ran.output


class TestBalances:
    def test_they_are_shown_in_major_units(self, told: Told) -> None:
        """People see 12.07 EUR."""
        told.answers = [BALANCES]

        ran = run("ledger", "balances", "--as-of", "2026-11-01", "--payment", "pay_1")

        assert 0 == ran.exit_code
        assert "gateway clearing" in ran.output
        assert "12.07 EUR" in ran.output
        [(_, asked)] = told.asked
        query = parse_qs(urlsplit(asked).query)
        assert {"as_of": ["2026-11-01T00:00:00+00:00"], "payment_id": ["pay_1"]} == query

    def test_nothing_was_booked(self, told: Told) -> None:
        """Empty books are said to be so."""
        told.answers = [{"items": []}]

        assert "Nothing was booked." in run("ledger", "balances").output

    def test_for_programs(self, told: Told) -> None:
        """As JSON it is what the API said."""
        told.answers = [BALANCES]

        assert BALANCES == json.loads(run("ledger", "balances", "--json").output)
