import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from paysaga.demo.purchases import PURCHASES
from paysaga.demo.shopper import Shopper
from paysaga.domain.payment import PaymentStatus
from paysaga.tokens import Role
from tests.end_to_end import journal
from tests.end_to_end.demo_process import (
    DemoProcess,
    demo_process,
    environment_for,
    is_alive,
    open_world_of,
    until,
)

pytestmark = pytest.mark.timeout(300)

SERVING = "Serving until Ctrl-C"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoProcess]:
    """Every process real; the scripted purchases have been played."""
    with demo_process(tmp_path_factory.mktemp("demo")) as running:
        running.wait_for(SERVING, seconds=200)
        yield running


@pytest.fixture
def api(demo: DemoProcess) -> Iterator[httpx.Client]:
    token = (demo.state / "cli-token").read_text().strip()
    with httpx.Client(
        base_url=f"{demo.api_url}/api/v1", headers={"Authorization": f"Bearer {token}"}
    ) as http:
        yield http


class TestPurchases:
    def test_each_ends_as_the_script_says(self, demo: DemoProcess) -> None:
        """
        Database, gateway and workflow agree on every purchase, and it ended as it should.
        """
        count = len(PURCHASES)

        assert f"{count} of {count} purchases ended as they should" in demo.printed()

    def test_one_charge_for_each_paid_order_and_none_for_others(
        self, demo: DemoProcess, api: httpx.Client
    ) -> None:
        """
        The gateway's own book has exactly the price of each paid order, once.
        """
        payments = api.get("/payments", params={"limit": 100}).json()["items"]

        book = journal.entries(demo.simulator_url)

        paid = {one["order_id"]: one["amount"] for one in payments if one["status"] == "succeeded"}
        assert paid == journal.captured(book)
        assert {1} == set(journal.charges(book).values())

    def test_all_ways_to_end_are_seen(self, api: httpx.Client) -> None:
        """
        The demo shows succeeded, failed, expired and canceled payments.
        """
        payments = api.get("/payments", params={"limit": 100}).json()["items"]

        assert {purchase.ends for purchase in PURCHASES} == {
            PaymentStatus(one["status"]) for one in payments
        }


class TestMails:
    def test_who_has_paid_gets_a_receipt(self, demo: DemoProcess, api: httpx.Client) -> None:
        """
        The shop has kept a receipt for each order that was paid, and one each.
        """
        payments = api.get("/payments", params={"limit": 100, "status": "succeeded"}).json()
        orders = sorted(one["order_id"] for one in payments["items"])

        until(lambda: len(receipts(demo, orders)) >= len(orders), seconds=60)

        assert orders == receipts(demo, orders)


def receipts(demo: DemoProcess, orders: list[str]) -> list[str]:
    """The order of each receipt that the shop has kept."""
    with sqlite3.connect(demo.state / "shop.db") as book:
        told = [str(text) for (text,) in book.execute("SELECT text FROM mails")]
    return sorted(order for text in told for order in orders if order in text and "receipt" in text)


class TestBesideARunningDemo:
    def test_a_second_one_says_what_to_do(self, demo: DemoProcess) -> None:
        """
        A second demo ends at once with exit code 2 and one sentence.
        """
        second = subprocess.run(
            [sys.executable, "-m", "paysaga.demo"],
            env=demo.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

        assert 2 == second.returncode
        assert "A demo is already running here" in second.stderr
        assert 1 == len(second.stderr.strip().splitlines())

    def test_the_command_line_needs_no_setting_up(self, demo: DemoProcess) -> None:
        """
        `payment-cli` finds the demo's token and address, and the token is its owner's only.
        """
        shown = subprocess.run(
            [sys.executable, "-m", "paysaga.cli", "payments", "list", "--status", "failed"],
            env={**os.environ, "DEMO_STATE": str(demo.state)},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

        assert (0, "") == (shown.returncode, shown.stderr)
        assert "pay_" in shown.stdout
        assert 0o600 == stat.S_IMODE((demo.state / "cli-token").stat().st_mode)

    def test_the_run_of_a_payment_is_linked(self, demo: DemoProcess, api: httpx.Client) -> None:
        """
        A payment's link leads to the Temporal UI that this demo runs.
        """
        payment = api.get("/payments").json()["items"][0]

        assert payment["links"]["run"].startswith(demo.temporal_ui_url)
        assert httpx.get(payment["links"]["run"]).is_success


class TestRefundTerms:
    @pytest.mark.parametrize(
        ("product", "percent", "why"),
        [
            ("barista-evening", 50, "days remain until"),
            ("stoneware-mug", 100, "100 % because"),
        ],
    )
    async def test_what_would_go_back(
        self, demo: DemoProcess, product: str, percent: int, why: str
    ) -> None:
        """
        From the order service's day to the customer's own quote, under the terms that are shipped.
        """
        async with open_world_of(demo) as world:
            shopper = Shopper(world)
            await shopper.chooses(product)
            payment = await shopper.pays("pm_card_visa")
            customer = world.token(shopper.customer_id, Role.CUSTOMER)
            address = f"/payments/{payment['id']}/refund-quote"
            told = (await world.api.get(address, headers=customer)).json()

        assert (percent, payment["amount"] * percent // 100) == (told["percent"], told["amount"])
        assert why in told["why"]


class TestStopping:
    def test_a_restart_continues_and_a_stop_leaves_nothing(self, tmp_path: Path) -> None:
        """
        After Ctrl-C nothing runs any more, and what was there is there again after a restart.
        """
        environment = environment_for(tmp_path)
        with demo_process(tmp_path, "--serve-only", environment=environment) as first:
            first.wait_for(SERVING)
            children = first.children()
            order = _new_order(first)
            code = first.stop()

        assert 0 == code
        assert {"Temporal", "simulator", "shop", "worker", "API"} == set(children)
        assert not [name for name, pid in children.items() if is_alive(pid)]
        with demo_process(tmp_path, "--serve-only", environment=environment) as second:
            second.until(lambda: 2 == second.printed().count(SERVING), "it did not come back")
            assert "open" == _look(second, order)["status"]

    def test_a_killed_supervisor_takes_its_children_along(self, tmp_path: Path) -> None:
        """
        SIGKILL of the supervisor leaves no process behind that would hold the ports.
        """
        with demo_process(tmp_path, "--serve-only") as demo:
            demo.wait_for(SERVING)
            children = demo.children()

            demo.process.kill()
            demo.process.wait()

            until(lambda: not [name for name, pid in children.items() if is_alive(pid)])


ORDERS_TOKEN = {"Authorization": "Bearer demo-order-service-token"}


def _new_order(demo: DemoProcess) -> str:
    order = {"customer_id": "cst_ada", "product": "walnut-tray"}
    answer = httpx.post(f"{demo.shop_url}/orders", json=order, headers=ORDERS_TOKEN)
    return str(answer.json()["order_id"])


def _look(demo: DemoProcess, order_id: str) -> dict[str, str]:
    answer = httpx.get(f"{demo.shop_url}/orders/{order_id}", headers=ORDERS_TOKEN)
    order: dict[str, str] = answer.json()
    return order
