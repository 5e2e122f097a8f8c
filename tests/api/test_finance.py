"""Reconciliations and balances over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from paysaga.database.engine import create_engine, sessions
from paysaga.database.reconciliation import Reconciliations
from paysaga.domain.reconciliation import Drift, DriftKind, Side
from paysaga.tokens import Role
from tests.api.world import Api, Caller, World, ended
from workflows import addresses

# Long before any payment of these tests: there is nothing to compare.
QUIET = {"since": "2012-01-01T00:00:00Z", "until": "2012-01-02T00:00:00Z"}


@pytest.fixture
def finance(api: Api) -> Caller:
    return api.as_(Role.FINANCE, "ann")


def period(**changes: object) -> dict[str, Any]:
    return {**QUIET, **changes}


async def finished(world: World, finance: Caller, reconciliation_id: str) -> dict[str, Any]:
    run = world.client.get_workflow_handle(addresses.reconciliation_run(reconciliation_id))
    await run.result()
    answer = await finance.get(f"/admin/reconciliations/{reconciliation_id}")
    return dict(answer.json())


async def finds(world: World, reconciliation_id: str, drift: Drift) -> None:
    """It notes what a second look would show 20 seconds later."""
    engine = create_engine(world.settings.database_url)
    found = Reconciliations(sessions(engine))
    report = await found.report(reconciliation_id)
    assert report is not None
    await found.note(report, [drift], [], datetime.now(UTC))
    await engine.dispose()


class TestReconciliation:
    async def test_it_is_started_and_looked_at(
        self, api: Api, world: World, finance: Caller
    ) -> None:
        """202 with its id at once; asked for later it tells what was found, and who is wrong."""
        paid = await api.shop.pay()
        await ended(world, paid["id"])
        drift = Drift(
            subject=paid["id"],
            kind=DriftKind.AMOUNT,
            wrong=Side.DATABASE,
            in_database="99999",
            at_gateway="1250",
        )
        since = datetime.fromisoformat(paid["updated_at"])
        until = since + timedelta(microseconds=1)  # nobody else's payment

        answer = await finance.post(
            "/admin/reconciliations", period(since=str(since), until=str(until))
        )
        agrees = await finished(world, finance, answer.json()["id"])
        await finds(world, answer.json()["id"], drift)
        told = await finished(world, finance, answer.json()["id"])

        assert (202, "running") == (answer.status_code, answer.json()["status"])
        assert ("finished", 1, 1, 0, []) == (
            agrees["status"],
            agrees["compared"],
            agrees["agreed"],
            agrees["not_compared"],
            agrees["drifts"],
        )
        assert [(paid["id"], "amount", "database", "99999", "1250")] == [
            (it["subject"], it["kind"], it["wrong"], it["in_database"], it["at_gateway"])
            for it in told["drifts"]
        ]

    async def test_a_repeat_is_the_same(self, world: World, finance: Caller) -> None:
        """The same key and body lead to the same comparison, also when it is long over."""
        body = {"since": datetime.now(UTC).isoformat()}  # up to when it is asked for
        first = await finance.post("/admin/reconciliations", body, key="repeat-rcn")
        await finished(world, finance, first.json()["id"])

        again = await finance.post("/admin/reconciliations", body, key="repeat-rcn")

        assert (200, "true") == (again.status_code, again.headers["Idempotent-Replayed"])
        assert first.json()["id"] == again.json()["id"]
        assert "finished" == again.json()["status"]

    async def test_a_key_is_for_one_period(self, finance: Caller) -> None:
        """Another period under the same key is refused."""
        await finance.post("/admin/reconciliations", period(), key="reuse-rcn")

        other = await finance.post(
            "/admin/reconciliations", {"since": "2026-01-01T00:00:00Z"}, key="reuse-rcn"
        )

        assert (409, "idempotency_key_reused") == (other.status_code, other.json()["code"])

    @pytest.mark.parametrize(
        "changes",
        [
            {"since": "2026-11-02T00:00:00Z", "until": "2026-11-01T00:00:00Z"},
            {"since": "2024-11-02T00:00:00Z", "until": "2026-11-01T00:00:00Z"},
            {"since": "1999-11-02T00:00:00Z", "until": None},
            {"since": "2099-11-02T00:00:00Z", "until": None},
            {"since": "2026-11-02T00:00:00"},
            {"colour": "red"},
        ],
    )
    async def test_a_period_is_a_time(self, finance: Caller, changes: dict[str, object]) -> None:
        """What is no period, or far too long a one, is refused with the field's name."""
        answer = await finance.post("/admin/reconciliations", period(**changes))

        assert (422, "validation_failed") == (answer.status_code, answer.json()["code"])

    async def test_a_period_that_is_to_come_is_told_so(self, finance: Caller) -> None:
        """What its fields say together has a sentence of its own."""
        body = period(since="2099-11-02T00:00:00Z", until=None)

        answer = await finance.post("/admin/reconciliations", body)

        [error] = answer.json()["errors"]
        assert "since must come before until (or now)" in error["message"]

    @pytest.mark.parametrize("name", ["rcn_" + "a" * 26, "pay_1", "%00"])
    async def test_what_is_not_there_is_missing(self, finance: Caller, name: str) -> None:
        """Whatever is not a comparison of ours is 404."""
        answer = await finance.get(f"/admin/reconciliations/{name}")

        assert 404 == answer.status_code


class TestBalances:
    async def test_they_add_up_to_nothing(self, api: Api, world: World, finance: Caller) -> None:
        """Every currency's accounts balance, and a payment's own say what it brought."""
        paid = await api.shop.pay()
        await ended(world, paid["id"])

        everything = (await finance.get("/admin/ledger/balances")).json()["items"]
        own = await finance.get("/admin/ledger/balances", payment_id=paid["id"])
        before = await finance.get(
            "/admin/ledger/balances", payment_id=paid["id"], as_of="2020-01-01T00:00:00Z"
        )

        assert 0 == sum(it["amount"] for it in everything if it["currency"] == "EUR")
        assert {("gateway_clearing", 1250), ("revenue", -1250)} == {
            (it["account"], it["amount"]) for it in own.json()["items"]
        }
        assert [] == before.json()["items"]

    async def test_misspelt_filter_is_refused(self, finance: Caller) -> None:
        """A wrong filter would show everybody's books."""
        answer = await finance.get("/admin/ledger/balances", payment="pay_1")

        assert 422 == answer.status_code
