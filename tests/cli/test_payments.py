"""`payment-cli` against a small HTTP server that answers like the API."""

import io
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest

from paysaga.cli import commands

TOKEN = "a-token"
PAYMENT: dict[str, Any] = {
    "id": "pay_aaaaaaaaaaaaaaaaaaaaaaaaaa",
    "order_id": "ord_17",
    "customer_id": "cst_ada",
    "status": "awaiting_retry",
    "reason": "declined",
    "amount": 6450,
    "currency": "EUR",
    "amount_authorized": 0,
    "amount_captured": 0,
    "amount_refunded": 0,
    "amount_refund_pending": 0,
    "renew_hold_until": None,
    "service_date": None,
    "paid_at": None,
    "attempts_used": 1,
    "attempts_left": 2,
    "action_until": None,
    "retry_until": "2026-11-22T12:00:00Z",
    "decline_code": "insufficient_funds",
    "payment_method": {"kind": "card", "brand": "visa", "last4": "9995", "funding": "credit"},
    "fulfillment": "pending",
    "gateway_payment_intent_id": "pi_1",
    "links": {"run": "http://127.0.0.1:8233/namespaces/default/workflows/pay_a"},
    "created_at": "2026-11-21T12:00:00Z",
}
HISTORY = {
    "payment_id": PAYMENT["id"],
    "entries": [
        {
            "number": 1,
            "status": "created",
            "reason": "started",
            "actor": "service:shop",
            "at": "2026-11-21T12:00:00Z",
        }
    ],
    "attempts": [
        {
            "number": 1,
            "status": "declined",
            "decline_code": "insufficient_funds",
            "started_at": "2026-11-21T12:00:00Z",
            "ended_at": "2026-11-21T12:00:02Z",
        }
    ],
}


class FakeApi(ThreadingHTTPServer):
    """Answers what it was given by path, and remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.tokens: set[str | None] = set()
        self.answers: dict[str, tuple[int, object]] = {}
        self.scripts: dict[str, list[tuple[int, object]]] = {}  # one answer after the other
        self.hangs_up = False
        self.bodies: list[object] = []
        self.keys: list[str | None] = []


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, FakeApi)
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.server.bodies.append(json.loads(body) if body else None)
        self.server.keys.append(self.headers["Idempotency-Key"])
        self.do_GET()

    def do_PATCH(self) -> None:
        self.do_POST()

    def do_DELETE(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        assert isinstance(self.server, FakeApi)
        self.server.asked.append(self.path)
        self.server.tokens.add(self.headers["Authorization"])
        if self.server.hangs_up:
            return
        missing = (404, {"code": "not_found", "detail": "There is no such thing."})
        path = self.path.partition("?")[0]
        script = self.server.scripts.get(path)
        status, told = script.pop(0) if script else self.server.answers.get(path, missing)
        body = told.encode() if isinstance(told, str) else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Tests are quiet."""


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeApi]:
    with FakeApi() as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        monkeypatch.setenv("PAYSAGA_API_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("PAYSAGA_TOKEN", TOKEN)
        monkeypatch.setenv("DEMO_STATE", str(tmp_path))
        payment = f"/api/v1/payments/{PAYMENT['id']}"
        server.answers[payment] = (200, PAYMENT)
        server.answers[f"{payment}/history"] = (200, HISTORY)
        server.answers["/api/v1/payments"] = (200, {"items": [PAYMENT], "next_after": None})
        yield server
        server.shutdown()
        serving.join()


class Ran:
    """What a command left behind."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


class Run:
    """Runs `payment-cli` with these arguments."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: str) -> Ran:
        self._monkeypatch.setattr(sys, "argv", ["payment-cli", *arguments])
        with pytest.raises(SystemExit) as end:
            commands.main()
        printed = self._capsys.readouterr()
        return Ran(int(end.value.code or 0), printed.out, printed.err)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(monkeypatch, capsys)


class TestShow:
    def test_status_history_attempts_and_run_are_told(self, api: FakeApi, run: Run) -> None:
        """
        One look tells where a payment stands, what happened and where to look further.
        """
        ran = run("payments", "show", PAYMENT["id"])

        assert 0 == ran.code
        for word in (
            "awaiting retry",
            "64.50 EUR",
            "service:shop",
            "2 left",
            PAYMENT["links"]["run"],
        ):
            assert word in ran.out
        assert 2 == ran.out.count("insufficient_funds")

    @pytest.mark.parametrize(
        ("status", "action_until", "until"),
        [
            ("awaiting_retry", None, "2026-11-22 12:00:00"),
            ("requires_action", "2026-11-21T12:15:00Z", "2026-11-21 12:15:00"),
            ("needs_operator", None, None),
        ],
    )
    def test_until_is_the_next_deadline(
        self, api: FakeApi, run: Run, status: str, action_until: str | None, until: str | None
    ) -> None:
        """
        The customer's, while one runs; a payment that needs an operator has none.
        """
        path = f"/api/v1/payments/{PAYMENT['id']}"
        api.answers[path] = (200, {**PAYMENT, "status": status, "action_until": action_until})

        told = run("payments", "show", PAYMENT["id"]).out

        assert (until is None) == ("Until" not in told)
        assert str(until or "") in told

    @pytest.mark.parametrize(
        ("status", "fulfillment", "told"),
        [
            ("awaiting_retry", "pending", "ord_17 (pending)"),
            ("succeeded", "confirmed", "ord_17 (confirmed)"),
            ("failed", "refused", "ord_17 (refused)"),
            ("failed", "pending", "ord_17"),
            ("expired", "pending", "ord_17"),
            ("canceled", "pending", "ord_17"),
            ("canceled", None, "ord_17 (no order service)"),
        ],
    )
    def test_an_order_waits_only_while_its_payment_does(
        self, api: FakeApi, run: Run, status: str, fulfillment: str | None, told: str
    ) -> None:
        """
        A payment that ended without money leaves no order pending.
        """
        changed = {**PAYMENT, "status": status, "fulfillment": fulfillment}
        api.answers[f"/api/v1/payments/{PAYMENT['id']}"] = (200, changed)

        ran = run("payments", "show", PAYMENT["id"])

        [order] = [line for line in ran.out.splitlines() if line.strip().startswith("Order")]
        assert told == order.strip().removeprefix("Order").strip()

    def test_json_is_what_the_api_said(self, api: FakeApi, run: Run) -> None:
        """
        Programs get the API's own words.
        """
        ran = run("payments", "show", PAYMENT["id"], "--json")

        assert {"payment": PAYMENT, "history": HISTORY} == json.loads(ran.out)

    def test_a_missing_payment_is_one_sentence(self, api: FakeApi, run: Run) -> None:
        """
        Exit code 1, nothing on standard output.
        """
        ran = run("payments", "show", "pay_none")

        assert (1, "") == (ran.code, ran.out)
        assert 1 == len(ran.err.splitlines())

    def test_an_id_is_never_a_path(self, api: FakeApi, run: Run) -> None:
        """
        What is typed as an id stays one segment of the address.
        """
        run("payments", "show", "../../health?x=")

        assert ["/api/v1/payments/..%2F..%2Fhealth%3Fx%3D"] == api.asked


class TestList:
    def test_filters_reach_the_api(self, api: FakeApi, run: Run) -> None:
        """
        Status and order narrow the list; the token goes along.
        """
        ran = run("payments", "list", "--status", "failed", "--order", "ord_17")

        assert 0 == ran.code
        assert PAYMENT["id"] in ran.out
        assert ["/api/v1/payments?status=failed&order_id=ord_17&limit=20"] == api.asked
        assert {f"Bearer {TOKEN}"} == api.tokens

    def test_an_empty_list_is_said(self, api: FakeApi, run: Run) -> None:
        """
        Nothing found is no error.
        """
        api.answers["/api/v1/payments"] = (200, {"items": [], "next_after": None})

        ran = run("payments", "list")

        assert (0, "No payments.\n") == (ran.code, ran.out)

    @pytest.mark.parametrize("width", [60, 80, 100, 200])
    def test_no_id_is_cut_in_a_terminal(
        self, api: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch, width: int
    ) -> None:
        """
        Shortened, an id is of no use: a narrow terminal shows two lines for each payment.
        """
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("COLUMNS", str(width))

        ran = run("payments", "list")

        for word in (PAYMENT["id"], "awaiting retry", "64.50 EUR", "ord_17", "cst_ada"):
            assert word in ran.out

    def test_no_id_is_cut_in_a_pipe(self, api: FakeApi, run: Run) -> None:
        """
        Programs that read lines find a payment in one line, however long its ids are.
        """
        order = "order-" + "9" * 100
        listed = {"items": [{**PAYMENT, "order_id": order}], "next_after": None}
        api.answers["/api/v1/payments"] = (200, listed)

        ran = run("payments", "list")

        [line] = [line for line in ran.out.splitlines() if PAYMENT["id"] in line]
        assert order in line

    def test_a_status_that_is_none_is_wrong_usage(self, api: FakeApi, run: Run) -> None:
        """
        Exit code 2, and nothing was asked.
        """
        ran = run("payments", "list", "--status", "paid")

        assert (2, []) == (ran.code, api.asked)


HELD = {
    **PAYMENT,
    "status": "authorized",
    "reason": "authorized",
    "amount_authorized": 6450,
    "capture_until": "2026-11-28T11:00:00Z",
    "retry_until": None,
    "attempts_left": 0,
}


class TestCapture:
    @pytest.fixture
    def shop(self, api: FakeApi) -> FakeApi:
        path = f"/api/v1/payments/{PAYMENT['id']}"
        api.answers[path] = (200, HELD)
        taken = {**HELD, "status": "succeeded", "amount_captured": 5000}
        api.answers[f"{path}/capture"] = (200, taken)
        return api

    def test_what_is_held_and_until_when(self, shop: FakeApi, run: Run) -> None:
        """
        Who looks at a hold sees how much it is, and when it ends.
        """
        ran = run("payments", "show", PAYMENT["id"])

        assert 0 == ran.code
        assert "64.50 EUR held" in ran.out
        assert "2026-11-28 11:00:00" in ran.out
        assert "Renewed" not in ran.out

    def test_until_when_it_is_renewed(self, shop: FakeApi, run: Run) -> None:
        """
        A hold that is replaced before it ends has two moments: this one's end and the last one's.
        """
        renewed = {**HELD, "renew_hold_until": "2026-12-24T11:00:00Z"}
        shop.answers[f"/api/v1/payments/{PAYMENT['id']}"] = (200, renewed)

        told = run("payments", "show", PAYMENT["id"]).out

        assert "2026-11-28 11:00:00" in told
        assert "until 2026-12-24 11:00:00" in told

    def test_what_a_part_has_let_go(self, shop: FakeApi, run: Run) -> None:
        """
        A part was taken: the rest is the customer's again, and is told as that.
        """
        taken = {**HELD, "status": "succeeded", "amount_captured": 5000}
        shop.answers[f"/api/v1/payments/{PAYMENT['id']}"] = (200, taken)

        assert "50.00 EUR captured, 14.50 EUR let go" in run("payments", "show", PAYMENT["id"]).out

    @pytest.mark.parametrize(
        ("typed", "sent"), [([], 6450), (["--amount", "50"], 5000), (["--amount", "50.5"], 5050)]
    )
    def test_all_or_a_part_is_taken(
        self, shop: FakeApi, run: Run, typed: list[str], sent: int
    ) -> None:
        """
        Typed in major units, sent in minor ones, with a key of its own.
        """
        ran = run("payments", "capture", PAYMENT["id"], *typed, "--yes")

        assert 0 == ran.code, ran.err
        assert [{"amount": sent}] == shop.bodies
        assert [True] == [bool(key) for key in shop.keys]
        assert "captured 50.00 EUR" in ran.out

    def test_it_asks_before(self, shop: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """
        Without a yes nothing is sent; the question says what is let go.
        """
        monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))

        ran = run("payments", "capture", PAYMENT["id"], "--amount", "50")

        assert 1 == ran.code
        assert "Capture 50.00 EUR of 64.50 EUR? The other 14.50 EUR are let go." in ran.out
        assert [] == shop.bodies

    @pytest.mark.parametrize("typed", ["much", "0", "-5", "50.001", "64.51"])
    def test_a_wrong_amount_is_one_sentence(self, shop: FakeApi, run: Run, typed: str) -> None:
        """
        It is told before anything is sent.
        """
        ran = run("payments", "capture", PAYMENT["id"], f"--amount={typed}", "--yes")

        assert 2 == ran.code
        assert f"--amount {typed}" in ran.err
        assert [] == shop.bodies

    def test_what_is_not_held_is_not_captured(self, api: FakeApi, run: Run) -> None:
        """
        The payment's status is the reason.
        """
        ran = run("payments", "capture", PAYMENT["id"], "--yes")

        assert (1, "Nothing is held: the payment is awaiting_retry.\n") == (ran.code, ran.err)

    def test_a_role_that_may_not(self, shop: FakeApi, run: Run) -> None:
        """
        The sentence names the roles that may.
        """
        path = f"/api/v1/payments/{PAYMENT['id']}/capture"
        shop.answers[path] = (403, {"detail": "This role may not do that."})

        ran = run("payments", "capture", PAYMENT["id"], "--yes")

        assert 4 == ran.code
        assert "role service, finance or admin" in ran.err


class TestTrouble:
    @pytest.mark.parametrize(
        ("status", "code", "word"),
        [
            (400, 1, "400"),
            (401, 4, "PAYSAGA_TOKEN"),
            (403, 4, "role support, finance or admin"),
            (429, 5, "429"),
            (500, 5, "500"),
        ],
    )
    def test_a_refusal_is_one_sentence(
        self, api: FakeApi, run: Run, status: int, code: int, word: str
    ) -> None:
        """
        An exit code that tells them apart, and what to do about it.
        """
        api.answers["/api/v1/payments"] = (status, {"detail": "No."})

        ran = run("payments", "list")

        assert (code, True) == (ran.code, word in ran.err)

    @pytest.mark.parametrize("told", ["<html>", "[]"])
    def test_something_else_at_the_address(self, api: FakeApi, run: Run, told: str) -> None:
        """
        A server that is not Paysaga's is no crash.
        """
        api.answers["/api/v1/payments"] = (200, told)

        ran = run("payments", "list")

        assert (2, True) == (ran.code, "does not answer" in ran.err)

    def test_nobody_at_the_address(
        self, api: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """
        Exit code 2, with the address and what to do.
        """
        monkeypatch.setenv("PAYSAGA_API_URL", "http://127.0.0.1:1")

        ran = run("payments", "list")

        assert (2, True) == (ran.code, "http://127.0.0.1:1" in ran.err)

    def test_no_token_anywhere(
        self, api: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """
        Exit code 2, and nothing was asked.
        """
        monkeypatch.delenv("PAYSAGA_TOKEN")

        ran = run("payments", "list")

        assert (2, []) == (ran.code, api.asked)
        assert "cli-token" in ran.err

    def test_the_directory_that_was_looked_in_is_named(
        self, api: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """
        Beside no demo one learns where its token would have been found.
        """
        monkeypatch.delenv("PAYSAGA_TOKEN")
        monkeypatch.delenv("DEMO_STATE")
        monkeypatch.chdir(tmp_path)

        ran = run("payments", "list")

        assert str(tmp_path / ".paysaga" / "cli-token") in ran.err

    def test_the_demo_s_token_is_found(
        self, api: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """
        Beside a demo no token needs to be set.
        """
        monkeypatch.delenv("PAYSAGA_TOKEN")
        (tmp_path / "cli-token").write_text("left-by-the-demo\n")

        run("payments", "list")

        assert {"Bearer left-by-the-demo"} == api.tokens


class TestToken:
    def test_it_is_taken_by_the_api_s_check(self, run: Run) -> None:
        """
        The token names its bearer and role, for the default development secret.
        """
        import jwt

        ran = run("token", "--role", "support", "--subject", "ops")

        claims = jwt.decode(ran.out.strip(), options={"verify_signature": False})
        assert ("ops", "support", 0) == (claims["sub"], claims["role"], ran.code)

    def test_not_in_production(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """
        In production the auth service issues tokens: exit code 1.
        """
        monkeypatch.setenv("ENVIRONMENT", "production")
        monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_live_" + "x" * 24)
        monkeypatch.setenv("STRIPE_PUBLISHABLE_KEY", "pk_live_" + "x" * 24)
        monkeypatch.setenv("JWT_SECRET", "s" * 40)
        monkeypatch.setenv("STRIPE_WEBHOOK_SECRET", "whsec_" + "x" * 24)
        monkeypatch.setenv("PUBLIC_BASE_URL", "https://pay.example")

        ran = run("token", "--role", "support", "--subject", "ops")

        assert (1, "") == (ran.code, ran.out)
        assert "production" in ran.err

    def test_production_is_told_before_its_keys(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """
        Whoever asks for a token in production learns who issues it, not that keys are missing.
        """
        monkeypatch.setenv("ENVIRONMENT", "production")

        ran = run("token", "--role", "support", "--subject", "ops")

        told = "No token: in production the shop's auth service issues tokens.\n"
        assert (1, "", told) == (ran.code, ran.out, ran.err)

    @pytest.mark.parametrize("subject", ["bob", "cst_", "cst_a b", "cst_ada\n"])
    def test_a_customer_s_subject_is_the_customer_s_id(self, run: Run, subject: str) -> None:
        """
        A token that the API would refuse is not issued: exit code 2.
        """
        ran = run("token", "--role", "customer", "--subject", subject)

        assert (2, "") == (ran.code, ran.out)
        assert "the customer's id, cst_..." in ran.err

    def test_a_customer_gets_a_token(self, run: Run) -> None:
        """
        A customer's id is taken as the subject.
        """
        ran = run("token", "--role", "customer", "--subject", "cst_ada")

        assert (0, "") == (ran.code, ran.err)

    def test_wrong_settings_are_named(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """
        Exit code 2 and the variable.
        """
        monkeypatch.setenv("LOG_LEVEL", "loud")

        ran = run("token", "--role", "support", "--subject", "ops")

        assert (2, True) == (ran.code, "LOG_LEVEL" in ran.err)

    def test_wrong_settings_are_told_in_our_words(
        self, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """
        The library that checks the settings does not speak along.
        """
        monkeypatch.setenv("JWT_ALGORITHMS", "none")

        ran = run("token", "--role", "support", "--subject", "ops")

        assert (2, True) == (ran.code, ran.err.startswith("JWT_ALGORITHMS must name"))


class TestTemporalSetup:
    def test_nobody_at_the_address(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """
        Exit code 2, with the variable that says where Temporal is.
        """
        monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")

        ran = run("temporal", "setup")

        assert (2, True) == (ran.code, "TEMPORAL_ADDRESS" in ran.err)


EVENT: dict[str, Any] = {
    "id": "evt_1",
    "type": "payment_intent.succeeded",
    "source": "sweep",
    "received_at": "2026-11-21T12:00:00Z",
    "processed": True,
    "processed_at": "2026-11-21T12:00:01Z",
    "result": "repair_nudged",
    "flagged": False,
    "error": None,
    "payment_id": PAYMENT["id"],
    "gateway_object_id": "pi_1",
    "run": "http://127.0.0.1:8233/namespaces/default/workflows/repair-pay_a",
    "payload_sha256": "0" * 64,
}
OWED = EVENT | {"id": "evt_2", "processed": False, "result": None, "error": "Temporal is away"}


WHY: dict[str, Any] = {
    "payment": {**PAYMENT, "status": "needs_operator", "reason": "gateway_mismatch"},
    "next": "A person decides: `payment-cli payments repair`.",
    "evidence": "the gateway shows pi_1 succeeded: 65.00 EUR of 65.00 EUR",
    "allowed_repairs": ["look_again", "refund"],
    "approval_needed_above": "500",
    "proposal": None,
    "repair_run": "http://127.0.0.1:8233/namespaces/default/workflows/repair-pay_a",
    "history": [{**HISTORY["entries"][0], "note": "written down"}],
}


class TestRefundQuote:
    QUOTE: Final = {
        "payment_id": PAYMENT["id"],
        "amount": 3225,
        "currency": "EUR",
        "percent": 50,
        "why": "50 % because 10 days remain until 2026-12-03.",
        "until": "2026-11-27T00:00:00Z",
        "amount_left": 6450,
        "policy": "standard-1",
        "at": "2026-11-23T11:00:00Z",
    }

    def test_how_much_until_when_and_why(self, api: FakeApi, run: Run) -> None:
        """
        One look tells what a customer would get, and what there is at most.
        """
        api.answers[f"/api/v1/payments/{PAYMENT['id']}/refund-quote"] = (200, self.QUOTE)

        ran = run("payments", "refund-quote", PAYMENT["id"])

        assert 0 == ran.code
        assert "32.25 EUR  50 % because 10 days remain until 2026-12-03." in ran.out
        assert "2026-11-27 00:00:00" in ran.out
        assert "standard-1" in ran.out
        assert "64.50 EUR could go back at most" in ran.out

    def test_nothing_that_ends(self, api: FakeApi, run: Run) -> None:
        """
        What does not change has no moment at which it would.
        """
        quote = {**self.QUOTE, "amount": 0, "until": None}
        api.answers[f"/api/v1/payments/{PAYMENT['id']}/refund-quote"] = (200, quote)

        assert "Until" not in run("payments", "refund-quote", PAYMENT["id"]).out

    def test_for_programs_it_is_what_the_api_said(self, api: FakeApi, run: Run) -> None:
        """
        With --json nothing is left out.
        """
        api.answers[f"/api/v1/payments/{PAYMENT['id']}/refund-quote"] = (200, self.QUOTE)

        assert self.QUOTE == json.loads(
            run("payments", "refund-quote", PAYMENT["id"], "--json").out
        )


class TestRepairs:
    @pytest.fixture
    def admin(self, api: FakeApi) -> FakeApi:
        path = f"/api/v1/admin/payments/{PAYMENT['id']}"
        done = {"outcome": "done", "payment": {**PAYMENT, "status": "canceled"}}
        api.answers[f"{path}/why"] = (200, WHY)
        api.answers[f"{path}/repair"] = (200, done)
        api.answers[f"{path}/repair/approve"] = (200, done)
        return api

    def test_why_tells_what_was_found_and_what_may_be_done(self, admin: FakeApi, run: Run) -> None:
        """
        One page for whoever has to decide.
        """
        ran = run("payments", "why", PAYMENT["id"])

        assert 0 == ran.code
        for word in (
            "65.00 EUR of 65.00 EUR",
            "look_again, refund",
            "written down",
            "repair-pay_a",
        ):
            assert word in ran.out
        assert "Proposed" not in ran.out

    def test_proposal_is_told_with_its_author(self, admin: FakeApi, run: Run) -> None:
        """
        Who is to agree sees with what.
        """
        proposal = {
            "number": 4,
            "by": "admin:alice",
            "note": "refund: twice",
            "at": PAYMENT["created_at"],
        }
        admin.answers[f"/api/v1/admin/payments/{PAYMENT['id']}/why"] = (
            200,
            {**WHY, "proposal": proposal},
        )

        told = run("payments", "why", PAYMENT["id"]).out
        assert "refund: twice, by admin:alice" in told
        assert f"payment-cli payments approve {PAYMENT['id']} 4 --why" in told

    def test_what_was_typed_is_what_is_asked(self, admin: FakeApi, run: Run) -> None:
        """
        Nothing that was left out is sent; each request has a key of its own.
        """
        found = ("attach_intent", "--why", "found", "--intent", "pi_2")
        ran = run("payments", "repair", PAYMENT["id"], *found)
        run("payments", "approve", PAYMENT["id"], "4", "--why", "seen")

        assert "Done." in ran.out
        assert "canceled" in ran.out
        assert admin.bodies == [
            {"kind": "attach_intent", "why": "found", "gateway_payment_intent_id": "pi_2"},
            {"proposal": 4, "why": "seen"},
        ]
        assert 2 == len(set(admin.keys))

    @pytest.mark.parametrize(
        ("outcome", "told"), [("proposed", "second person"), ("under_way", "not answered yet")]
    )
    def test_what_is_not_done_yet_is_said(
        self, admin: FakeApi, run: Run, outcome: str, told: str
    ) -> None:
        """
        Nobody takes a proposal for a deed.
        """
        admin.answers[f"/api/v1/admin/payments/{PAYMENT['id']}/repair"] = (
            202,
            {"outcome": outcome, "payment": WHY["payment"]},
        )

        assert told in run("payments", "repair", PAYMENT["id"], "refund", "--why", "twice").out

    def test_refusal_names_the_field(self, admin: FakeApi, run: Run) -> None:
        """
        Exit code 1 and the API's words.
        """
        refusal = {
            "code": "validation_failed",
            "detail": "Some input is not valid.",
            "errors": [{"field": "evidence", "message": "mark_failed needs evidence"}],
        }
        admin.answers[f"/api/v1/admin/payments/{PAYMENT['id']}/repair"] = (422, refusal)

        ran = run("payments", "repair", PAYMENT["id"], "mark_failed", "--why", "never came")

        assert (1, "") == (ran.code, ran.out)
        assert "evidence: mark_failed needs evidence" in ran.err

    @pytest.mark.parametrize(
        "arguments", [("repair", "refund", "--why", "twice"), ("approve", "4", "--why", "seen")]
    )
    @pytest.mark.parametrize("answer", [None, (503, {"detail": "Later."}), (200, "<html>")])
    def test_decision_without_an_answer_may_have_been_taken(
        self,
        admin: FakeApi,
        run: Run,
        arguments: tuple[str, ...],
        answer: tuple[int, object] | None,
    ) -> None:
        """
        Nobody is told to start the API and decide once more: they are told to look.
        """
        command, *rest = arguments
        path = f"/api/v1/admin/payments/{PAYMENT['id']}/repair"
        admin.hangs_up = answer is None
        for asked in (path, f"{path}/approve"):
            admin.answers[asked] = answer or (200, {})

        ran = run("payments", command, PAYMENT["id"], *rest)

        assert (5, "") == (ran.code, ran.out)
        assert f"payment-cli payments why {PAYMENT['id']}" in ran.err
        assert "make demo" not in ran.err

    def test_decision_that_reached_nobody(
        self, admin: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """
        Nothing was sent, so nothing was decided: the address is what is wrong.
        """
        monkeypatch.setenv("PAYSAGA_API_URL", "http://127.0.0.1:1")

        ran = run("payments", "repair", PAYMENT["id"], "refund", "--why", "twice")

        assert (2, True) == (ran.code, "make demo" in ran.err)

    def test_role_that_is_needed_is_named(self, admin: FakeApi, run: Run) -> None:
        """
        Repairs are an admin's.
        """
        admin.answers[f"/api/v1/admin/payments/{PAYMENT['id']}/why"] = (403, {"detail": "No."})

        ran = run("payments", "why", PAYMENT["id"])

        assert (4, True) == (ran.code, "use one with role admin." in ran.err)

    @pytest.mark.parametrize(
        "arguments",
        [
            ("why",),
            ("repair", "refund", "--why", "twice"),
            ("approve", "4", "--why", "seen"),
        ],
    )
    def test_json_is_what_the_api_said(
        self, admin: FakeApi, run: Run, arguments: tuple[str, ...]
    ) -> None:
        """
        Programs get the API's own words.
        """
        command, *rest = arguments

        told = json.loads(run("payments", command, PAYMENT["id"], *rest, "--json").out)

        assert told in [answer for _, answer in admin.answers.values()]


class TestWebhooks:
    @pytest.fixture
    def inbox(self, api: FakeApi) -> FakeApi:
        path = "/api/v1/admin/webhooks"
        api.answers[path] = (200, {"items": [EVENT, OWED], "next_after": "more"})
        for event in (EVENT, OWED):
            api.answers[f"{path}/{event['id']}"] = (200, event)
            api.answers[f"{path}/{event['id']}/replay"] = (200, event)
        return api

    def test_the_list_tells_what_came_of_each(self, inbox: FakeApi, run: Run) -> None:
        """
        One line for each event, no id cut; what is not processed is owed.
        """
        ran = run("webhooks", "list")

        assert 0 == ran.code
        for word in ("evt_1", "repair nudged", "evt_2", "owed", PAYMENT["id"], "There are more"):
            assert word in ran.out

    def test_filters_reach_the_api(self, inbox: FakeApi, run: Run) -> None:
        """
        What was typed is what is asked.
        """
        run("webhooks", "list", "--owed", "--flagged", "--type", "a.b", "--payment", "pay_1")

        [asked] = inbox.asked
        assert {"processed=false", "flagged=true", "type=a.b", "payment_id=pay_1", "limit=20"} == {
            *asked.partition("?")[2].split("&")
        }

    def test_an_empty_list_is_said(self, inbox: FakeApi, run: Run) -> None:
        """
        Nothing found is not nothing said.
        """
        inbox.answers["/api/v1/admin/webhooks"] = (200, {"items": [], "next_after": None})

        assert "No events." in run("webhooks", "list").out

    @pytest.mark.parametrize("command", ["show", "replay"])
    def test_one_event(self, inbox: FakeApi, run: Run, command: str) -> None:
        """
        What came, how, and what came of it; an owed one says why.
        """
        done, owed = run("webhooks", command, "evt_1"), run("webhooks", command, "evt_2")

        for word in ("by sweep", "repair_nudged", PAYMENT["id"], EVENT["run"], "0" * 64):
            assert word in done.out
        assert "not yet" in owed.out
        assert "Temporal is away" in owed.out

    @pytest.mark.parametrize("arguments", [("list",), ("show", "evt_1"), ("replay", "evt_1")])
    def test_json_is_what_the_api_said(
        self, inbox: FakeApi, run: Run, arguments: tuple[str, ...]
    ) -> None:
        """
        Programs get the API's own words.
        """
        told = json.loads(run("webhooks", *arguments, "--json").out)

        assert told in (EVENT, {"items": [EVENT, OWED], "next_after": "more"})

    def test_none_is_one_sentence(self, inbox: FakeApi, run: Run) -> None:
        """
        Exit code 1, nothing on standard output.
        """
        ran = run("webhooks", "show", "evt_none")

        assert (1, "") == (ran.code, ran.out)
        assert 1 == len(ran.err.splitlines())
