"""Where our events go, at the terminal."""

import io
import json
from typing import Any

import pytest

from tests.cli.test_payments import FakeApi, Run, api, run

__all__ = ["api", "run"]

SINK: dict[str, Any] = {
    "id": "snk_aaaaaaaaaaaaaaaaaaaaaaaaaa",
    "kind": "http",
    "status": "active",
    "reason": "created",
    "description": "the shop",
    "url": "https://shop.example/events",
    "exchange": None,
    "routing_key": None,
    "must_be_routed": None,
    "types": [],
    "after": "0-17-18",
    "behind": 12,
    "waiting": 2,
    "dead_letters": 1,
    "delivered": 340,
    "last_answer": "503 Service Unavailable",
    "last_answer_at": "2026-11-22T11:00:00Z",
    "failing_since": "2026-11-22T10:00:00Z",
    "next_try_at": "2026-11-22T11:15:00Z",
    "secret": None,
    "previous_secret_until": None,
    "created_at": "2026-11-20T11:00:00Z",
    "updated_at": "2026-11-20T11:00:00Z",
    "links": {
        "self": "/api/v1/sinks/snk_aaaaaaaaaaaaaaaaaaaaaaaaaa",
        "dead_letters": "/api/v1/sinks/snk_aaaaaaaaaaaaaaaaaaaaaaaaaa/dead-letters",
        "temporal": "http://127.0.0.1:8233/namespaces/default/workflows/snk_a",
    },
}
EXCHANGE = SINK | {
    "kind": "amqp",
    "url": None,
    "exchange": "paysaga.events",
    "routing_key": "{type}",
    "status": "paused",
    "reason": "away_too_long",
}
PATH = "/api/v1/sinks"
ONE = f"{PATH}/{SINK['id']}"


class TestLooking:
    def test_all_of_them(self, api: FakeApi, run: Run) -> None:
        """How each stands, how far behind it is, and what came back last."""
        api.answers[PATH] = (200, {"items": [SINK, EXCHANGE], "next_after": None})

        ran = run("sinks", "list")

        assert 0 == ran.code, ran.err
        for word in ("failing", "503 Service Unavailable", "https://shop.example/events", "12"):
            assert word in ran.out
        assert "paused: away too long" in ran.out
        assert {SINK["id"], EXCHANGE["id"]} <= set(ran.out.split()), "an id is cut"
        assert "paysaga.events / {type}" in ran.out

    def test_none(self, api: FakeApi, run: Run) -> None:
        """That there is none is said."""
        api.answers[PATH] = (200, {"items": [], "next_after": None})

        assert "No sinks." in run("sinks", "list").out

    def test_one(self, api: FakeApi, run: Run) -> None:
        """What a person needs to know in order to mend it."""
        api.answers[ONE] = (200, SINK)

        ran = run("sinks", "show", SINK["id"])

        for word in ("since 2026-11-22 10:00:00", "2026-11-22 11:15:00", "2 objects", "0-17-18"):
            assert word in ran.out

    def test_dead_letters(self, api: FakeApi, run: Run) -> None:
        """Which event of which object, and why."""
        letter = {
            "event_id": f"evn_{'a' * 26}",
            "type": "payment.succeeded",
            "object_id": f"pay_{'b' * 26}",
            "sequence": 3,
            "reason": "gave_up",
            "last_answer": "500 Internal Server Error, and more than a terminal holds",
            "at": "2026-11-22T11:00:00Z",
        }
        api.answers[f"{ONE}/dead-letters"] = (200, {"items": [letter], "next_after": None})

        ran = run("sinks", "dead-letters", SINK["id"])

        for word in (
            f"evn_{'a' * 26}",
            f"pay_{'b' * 26}#3",
            "gave up",
            "500 Internal Server Error",
        ):
            assert word in ran.out

    @pytest.mark.parametrize(
        ("words", "path"),
        [
            (("list",), PATH),
            (("show", SINK["id"]), ONE),
            (("dead-letters", SINK["id"]), f"{ONE}/dead-letters"),
        ],
    )
    def test_for_programs(self, api: FakeApi, run: Run, words: tuple[str, ...], path: str) -> None:
        """As the API said it."""
        told: dict[str, Any] = {"items": [], "next_after": None}
        api.answers[path] = (200, told)

        assert told == json.loads(run("sinks", *words, "--json").out)


class TestAdding:
    def test_an_address(self, api: FakeApi, run: Run) -> None:
        """The secret is printed: it is told only now."""
        api.answers[PATH] = (201, SINK | {"secret": "whsec_new"})

        ran = run(
            *("sinks", "add-http", "https://shop.example/events", "--since", "2h"),
            *("--type", "payment.succeeded", "--description", "the shop"),
        )

        assert "whsec_new" in ran.out
        [body] = api.bodies
        assert isinstance(body, dict)
        assert ("http", ["payment.succeeded"], "the shop") == (
            body["kind"],
            body["types"],
            body["description"],
        )
        assert "T" in body["since"]
        assert (api.keys[0] or "").startswith("cli-")

    def test_a_secret_that_the_receiver_knows_already(self, api: FakeApi, run: Run) -> None:
        """It need not learn one afterwards."""
        api.answers[PATH] = (201, SINK | {"secret": "whsec_mine"})

        run("sinks", "add-http", "https://shop.example/events", "--secret", "whsec_mine")

        [body] = api.bodies
        assert isinstance(body, dict)
        assert "whsec_mine" == body["secret"]

    def test_an_exchange(self, api: FakeApi, run: Run) -> None:
        """With its routing key."""
        api.answers[PATH] = (201, EXCHANGE)

        run("sinks", "add-amqp", "paysaga.events", "--routing-key", "a.{type}", "--must-be-routed")

        assert [
            {
                "kind": "amqp",
                "exchange": "paysaga.events",
                "routing_key": "a.{type}",
                "must_be_routed": True,
                "types": [],
            }
        ] == api.bodies


class TestChanging:
    @pytest.mark.parametrize(("word", "status"), [("pause", "paused"), ("resume", "active")])
    def test_paused_and_resumed(self, api: FakeApi, run: Run, word: str, status: str) -> None:
        """One word each."""
        api.answers[ONE] = (200, SINK)

        ran = run("sinks", word, SINK["id"])

        assert 0 == ran.code, ran.err
        assert [{"status": status}] == api.bodies

    def test_removed_when_one_is_sure(
        self, api: FakeApi, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It asks; `--yes` does not."""
        api.answers[ONE] = (200, SINK | {"status": "removed", "reason": "removed"})
        monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))

        asked = run("sinks", "remove", SINK["id"])
        sure = run("sinks", "remove", SINK["id"], "--yes")

        assert 0 != asked.code
        assert 0 == sure.code, sure.err
        assert "removed" in sure.out

    @pytest.mark.parametrize(
        ("words", "body"),
        [
            (("--after", "0-1-2"), {"after": "0-1-2"}),
            (("--dead-letters",), {"dead_letters": True}),
            (("--since", "2026-11-01T12:00+00:00"), {"since": "2026-11-01T12:00:00+00:00"}),
        ],
    )
    def test_sent_again(self, api: FakeApi, run: Run, words: tuple[str, ...], body: object) -> None:
        """From a place, from a time, or what was given up."""
        api.answers[f"{ONE}/replay"] = (200, SINK)

        ran = run("sinks", "replay", SINK["id"], *words)

        assert 0 == ran.code, ran.err
        assert [body] == api.bodies

    @pytest.mark.parametrize("words", [(), ("--after", "0-1-2", "--dead-letters")])
    def test_from_where_must_be_said(self, run: Run, words: tuple[str, ...]) -> None:
        """And once."""
        assert 2 == run("sinks", "replay", SINK["id"], *words).code

    def test_a_new_secret(self, api: FakeApi, run: Run) -> None:
        """It is printed."""
        until = {"previous_secret_until": "2026-11-22T14:00:00Z"}
        api.answers[f"{ONE}/secret"] = (200, SINK | {"secret": "whsec_next"} | until)

        ran = run("sinks", "roll-secret", SINK["id"], "--overlap-hours", "3")

        assert "whsec_next  (told only now)" in ran.out
        assert "until 2026-11-22 14:00:00" in ran.out
        assert [{"overlap_hours": 3}] == api.bodies
