"""Our own events at the terminal: listed, and followed live."""

import json
from typing import Any

import pytest

from tests.cli.test_payments import PAYMENT, FakeApi, Run, api, run

__all__ = ["api", "run"]

EVENT: dict[str, Any] = {
    "id": "evt_aaaaaaaaaaaaaaaaaaaaaaaaaa",
    "type": "payment.succeeded",
    "created_at": "2026-11-22T11:00:00Z",
    "object_id": PAYMENT["id"],
    "sequence": 3,
    "data": {"amount": 6450, "currency": "EUR", "reason": "paid"},
}
PATH = "/api/v1/events"


def page(*events: dict[str, Any], after: str | None = None, more: bool = False) -> dict[str, Any]:
    return {"items": list(events), "next_after": after, "has_more": more}


class TestList:
    def test_one_line_each(self, api: FakeApi, run: Run) -> None:
        """When, what, whose, and how much it is about."""
        api.answers[PATH] = (200, page(EVENT))

        ran = run("events", "list", "--payment", PAYMENT["id"], "--type", "payment.succeeded")

        assert 0 == ran.code, ran.err
        for word in ("2026-11-22 11:00:00", "payment.succeeded", f"{PAYMENT['id']}#3", "64.50 EUR"):
            assert word in ran.out
        [asked] = api.asked
        assert "type=payment.succeeded" in asked
        assert f"object={PAYMENT['id']}" in asked

    def test_for_programs(self, api: FakeApi, run: Run) -> None:
        """One event a line, as the API said it."""
        api.answers[PATH] = (200, page(EVENT, EVENT))

        ran = run("events", "list", "--json")

        assert [EVENT, EVENT] == [json.loads(line) for line in ran.out.splitlines()]

    def test_that_there_is_more_is_told_beside(self, api: FakeApi, run: Run) -> None:
        """Not among the events, which a program may read."""
        api.answers[PATH] = (200, page(EVENT, more=True))

        ran = run("events", "list")

        assert "There are more" in ran.err
        assert "There are more" not in ran.out

    @pytest.mark.parametrize("since", ["15m", "3h", "2d", "2026-11-01T12:00", "2026-11-01"])
    def test_since_a_moment_or_a_while(self, api: FakeApi, run: Run, since: str) -> None:
        """The API hears a moment with its zone."""
        api.answers[PATH] = (200, page())

        ran = run("events", "list", "--since", since)

        assert 0 == ran.code, ran.err
        assert "since=20" in api.asked[0]
        assert "%2B" in api.asked[0] or "Z" in api.asked[0] or "-" in api.asked[0][-6:]

    def test_a_time_without_a_zone_is_utc(self, api: FakeApi, run: Run) -> None:
        """As all that is printed is: what was read can be typed."""
        api.answers[PATH] = (200, page())

        run("events", "list", "--since", "2026-11-01T12:00")

        assert "since=2026-11-01T12%3A00%3A00%2B00%3A00" in api.asked[0]

    def test_a_time_that_is_none(self, api: FakeApi, run: Run) -> None:
        """Wrong usage: exit code 2, and nothing was asked."""
        ran = run("events", "list", "--since", "yesterday")

        assert (2, []) == (ran.code, api.asked)


class TestTail:
    def test_it_goes_on_from_where_it_was(self, api: FakeApi, run: Run) -> None:
        """Each page is asked for after the one before, at once while there are more."""
        api.scripts[PATH] = [
            (200, page(EVENT, after="1-1", more=True)),
            (200, page({**EVENT, "sequence": 4}, after="1-2")),
            (403, {"code": "forbidden", "detail": "no more"}),
        ]

        ran = run("events", "tail", "--json")

        assert 4 == ran.code
        assert [3, 4] == [json.loads(line)["sequence"] for line in ran.out.splitlines()]
        assert "since=" in api.asked[0]
        assert ["after=1-1", "after=1-2"] == [
            part for asked in api.asked for part in asked.split("&") if part.startswith("after=")
        ]
        assert "role service or admin" in ran.err

    def test_it_outlives_the_apis_absence(self, api: FakeApi, run: Run) -> None:
        """An API that cannot answer is asked again, and that is told once."""
        away = (503, {"code": "database_unavailable", "detail": "not now"})
        api.scripts[PATH] = [away, away, (200, page(EVENT, after="1-1")), (401, {})]

        ran = run("events", "tail")

        assert 4 == ran.code
        assert f"{PAYMENT['id']}#3" in ran.out
        assert 1 == ran.err.count("It is asked again")
