import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import stripe

from paysaga.simulator.app import create_app
from tests.simulator.support import Control, Receiver, gateway, served, settings
from tests.simulator.test_cards import pay


class TestControl:
    async def test_health(self, http: httpx.AsyncClient) -> None:
        """
        A process that works says so.
        """
        answer = await http.get("/_control/health")

        assert {"status": "ok", "pending_webhooks": 0} == answer.json()

    @pytest.mark.parametrize(
        "change",
        [
            {"payment_success_rate": 2},
            {"payment_processing_delay_min": 10, "payment_processing_delay_max": 5},
            {"volume": 11},
        ],
    )
    async def test_wrong_knob(self, http: httpx.AsyncClient, change: dict[str, float]) -> None:
        """
        A knob that does not exist, or does not go so far, is not turned.
        """
        before = (await http.get("/_control/knobs")).json()

        refused = await http.patch("/_control/knobs", json=change)

        assert 422 == refused.status_code
        assert before == (await http.get("/_control/knobs")).json()

    async def test_reset(self, client: stripe.StripeClient, control: Control) -> None:
        """
        A reset forgets the objects, the faults, the knobs and the journal.
        """
        await pay(client, "pm_card_visa")
        await control.fault("*", "hang", skip=100)
        await control.knobs(payment_success_rate=0.1)

        await control.post("/reset")

        assert [] == (await client.v1.payment_intents.list_async()).data
        assert [[], []] == [await control.get("/faults"), await control.get("/journal")]
        assert 0.95 == (await control.knobs())["payment_success_rate"]

    async def test_journal_after(self, client: stripe.StripeClient, control: Control) -> None:
        """
        The journal is read on from where the last reading ended.
        """
        await pay(client, "pm_card_visa")
        first = await control.get("/journal")
        await pay(client, "pm_card_visa")

        rest = await control.get(f"/journal?after={first[-1]['seq']}")

        assert [entry["seq"] + len(first) for entry in first] == [entry["seq"] for entry in rest]

    async def test_strangers_are_kept_out(self, state: Path) -> None:
        """
        The control API answers this machine only.
        """
        transport = httpx.ASGITransport(
            create_app(settings(simulator_state=state)),
            client=("10.0.0.7", 5000),
        )

        async with httpx.AsyncClient(transport=transport, base_url="http://simulator") as http:
            answer = await http.get("/_control/health")

        assert 403 == answer.status_code


class TestJournalFile:
    @pytest.mark.parametrize("statement", ["DELETE FROM journal", "UPDATE journal SET at = 0"])
    async def test_append_only(self, state: Path, statement: str) -> None:
        """
        The journal cannot be changed, not even by somebody who has its file.
        """
        app = create_app(settings(simulator_state=state))
        async with served(lambda _url: app) as url, gateway(url) as client:
            await client.v1.customers.create_async()
            with sqlite3.connect(state) as file, pytest.raises(sqlite3.IntegrityError):
                file.execute(statement)
            file.close()


class TestTime:
    async def test_keys_are_forgotten_after_a_day(self, state: Path) -> None:
        """
        After 24 hours an idempotency key is as good as new: repeating a payment pays twice.
        """
        now = datetime.now(UTC)
        app = create_app(settings(simulator_state=state), clock=lambda: now)
        async with served(lambda _url: app) as url, gateway(url) as client:
            first = await client.v1.customers.create_async({}, {"idempotency_key": "k"})
            now += timedelta(hours=23, minutes=59)
            same = await client.v1.customers.create_async({}, {"idempotency_key": "k"})
            now += timedelta(minutes=1)
            other = await client.v1.customers.create_async({}, {"idempotency_key": "k"})

        assert first.id == same.id
        assert first.id != other.id

    async def test_events_are_listed_for_thirty_days(self, state: Path) -> None:
        """
        Older events are not listed any more.
        """
        now = datetime.now(UTC)
        app = create_app(settings(simulator_state=state), clock=lambda: now)
        async with served(lambda _url: app) as url, gateway(url) as client:
            await client.v1.customers.create_async()
            now += timedelta(days=31)
            await client.v1.customers.create_async()
            events = await client.v1.events.list_async()

        assert 1 == len(events.data)


class TestConfiguredEndpoint:
    async def test_is_there_from_the_start(self, state: Path) -> None:
        """
        The configured webhook URL gets events signed with the configured secret, and after a
        restart still only once.
        """
        receiver = Receiver()
        async with served(lambda _url: receiver) as hook:
            ours = settings(
                simulator_state=state,
                simulator_webhook_url=hook,
                stripe_webhook_secret="whsec_ours",
            )
            for _ in range(2):
                async with served(lambda _url: create_app(ours)) as url, gateway(url) as client:
                    await client.v1.customers.create_async()
                    async with httpx.AsyncClient(base_url=url) as http:
                        await Control(http).flush()

        one = receiver.received[-1]
        client.construct_event(one.body, one.signature, "whsec_ours")
        assert 2 == len(receiver.received)
