"""The demo's purchases with every webhook, and with none: only the time may differ."""

import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from paysaga.demo.purchases import PURCHASES
from tests.end_to_end import journal
from tests.end_to_end.demo_process import demo_process, environment_for

pytestmark = [pytest.mark.full, pytest.mark.timeout(400)]

LEDGER = """
    SELECT debit || ' > ' || credit || ' ' || ledger_transfers.amount FROM ledger_transfers
    WHERE payment_id = ? ORDER BY version, position
"""
EVENTS = "SELECT type FROM events WHERE object_id = ? ORDER BY sequence"
PAYMENTS = """
    SELECT id, amount, status, reason, fulfillment, amount_captured, amount_refunded,
        attempts_used, decline_code FROM payments
"""
BY_SOURCE = "SELECT source, count(*) FROM webhook_events GROUP BY source"


class Ended:
    """What a demo's purchases came to, as its own database and the gateway's book tell it."""

    def __init__(self, state: Path, *, delivery_rate: str) -> None:
        environment = environment_for(
            state,
            SIMULATOR_WEBHOOK_DELIVERY_RATE=delivery_rate,
            SWEEP_INTERVAL_SECONDS="1",
        )
        with demo_process(state, environment=environment) as demo:
            demo.wait_for("Serving until Ctrl-C", seconds=250)
            self.printed = demo.printed()
            self.charges = journal.charges(journal.entries(demo.simulator_url))
        with closing(sqlite3.connect(state / "paysaga.db")) as database:
            self.payments = Counter(
                (*facts, _column(database, LEDGER, name), _column(database, EVENTS, name))
                for name, *facts in database.execute(PAYMENTS)
            )
            self.sources = dict(database.execute(BY_SOURCE).fetchall())


class TestWithoutWebhooks:
    def test_everything_ends_as_with_them(self, tmp_path: Path) -> None:
        """
        States, ledger and events are the same; the sweep has found what no webhook told.
        """
        with_all = Ended(_made(tmp_path / "all"), delivery_rate="1")
        with_none = Ended(_made(tmp_path / "none"), delivery_rate="0")

        count = len(PURCHASES)
        assert f"{count} of {count} purchases ended as they should" in with_none.printed
        assert with_all.payments == with_none.payments
        assert {1} == set(with_none.charges.values())
        assert {"sweep"} == set(with_none.sources)
        assert "webhook" in with_all.sources


def _column(database: sqlite3.Connection, query: str, name: str) -> tuple[str, ...]:
    return tuple(value for (value,) in database.execute(query, (name,)))


def _made(state: Path) -> Path:
    state.mkdir()
    return state
