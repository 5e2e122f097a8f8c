"""The gateway's list of events, over real HTTP against the simulator, into both databases."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import stripe
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.errors import Trouble
from activities.records import Records
from activities.sweeping import OVERLAP, Batch, EventList, InboxWork, Moment, PageRead
from paysaga.database.engine import create_engine, sessions
from paysaga.database.event_sweeps import EventSweeps, Place
from paysaga.database.inbox import Inbox, Result, Source
from paysaga.database.tables import EVENT_SWEEPS, WEBHOOK_EVENTS
from paysaga.incoming import Incoming, as_kept
from paysaga.nudging import NotTold
from paysaga.settings import Environment, Settings
from tests.database.payments import batch, payment, waiting
from tests.fakes import FakeNudging
from tests.simulated import Simulated, running_simulator

SETTINGS = Settings(environment=Environment.TEST, environment_name="test")
OLD, LATER = datetime(2020, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def simulated(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Simulated]:
    directory: Path = tmp_path_factory.mktemp("simulator")
    async with running_simulator(directory) as running:
        yield running


@pytest.fixture
async def gateway(simulated: Simulated) -> Simulated:
    """The simulator as if new."""
    assert (await simulated.control.post("/reset")).is_success
    return simulated


class Sweeper:
    """What a sweep does, without its workflow. A page holds three events."""

    def __init__(self, gateway: Simulated, engine: AsyncEngine) -> None:
        self.nudging = FakeNudging()
        made = sessions(engine)
        self.engine = engine
        self.inbox = Inbox(made)
        self.sweeps = EventSweeps(made)
        self.records = Records(made)
        self.list = EventList(gateway.client, made, page_size=3)
        self.work = InboxWork(made, Incoming(made, self.nudging, SETTINGS))

    async def page(self) -> PageRead:
        return await ActivityEnvironment().run(self.list.read_page)

    async def sweep(self) -> int:
        """Read to the end of the list; how many events were new."""
        stored, more = 0, True
        while more:
            page = await self.page()
            stored, more = stored + page.stored, page.more
        return stored

    async def work_off(self, before: datetime = LATER) -> int:
        return (await self.batch(before)).count

    async def batch(self, before: datetime = LATER) -> Batch:
        return await ActivityEnvironment().run(self.work.work_off, Moment(before=before))

    async def rows(self) -> list[dict[str, Any]]:
        async with self.engine.connect() as connection:
            found = await connection.execute(select(WEBHOOK_EVENTS).order_by(WEBHOOK_EVENTS.c.id))
            return [dict(row._asdict()) for row in found]

    async def place(self) -> Place:
        return await self.sweeps.place(datetime.now(UTC))


@pytest.fixture
def sweeper(gateway: Simulated, engine: AsyncEngine) -> Sweeper:
    return Sweeper(gateway, engine)


async def pay(gateway: Simulated, **metadata: str) -> str:
    """An intent that succeeds at once; its event is one that is waited for."""
    intent = await gateway.client.v1.payment_intents.create_async(
        {
            "amount": 1250,
            "currency": "eur",
            "payment_method": "pm_card_visa",
            "confirm": True,
            "return_url": "https://shop.example/return",
            "metadata": metadata,
        }
    )
    return intent.id


class TestReadPage:
    async def test_events_come_into_the_same_inbox(
        self, gateway: Simulated, sweeper: Sweeper
    ) -> None:
        """
        A swept event is kept like a webhook; it was found, not signed.
        """
        intent_id = await pay(gateway, payment_id="pay_x")

        assert 1 == await sweeper.sweep()

        [row] = await sweeper.rows()
        assert ("sweep", False, False) == (
            row["source"], row["signature_verified"], row["processed"],
        )  # fmt: skip
        assert (intent_id, "pay_x") == (row["gateway_object_id"], row["payment_id"])
        assert intent_id == json.loads(row["payload"])["data"]["object"]["id"]
        assert hashlib.sha256(row["payload"]).hexdigest() == row["payload_sha256"]

    async def test_equal_seconds_and_many_pages_lose_nothing(
        self, gateway: Simulated, sweeper: Sweeper
    ) -> None:
        """
        Ten events of one second, on pages of three, come once each, however often it is swept.
        """
        intents = {await pay(gateway) for _ in range(10)}

        news = [await sweeper.sweep(), await sweeper.sweep()]

        assert [10, 0] == news
        assert intents == {row["gateway_object_id"] for row in await sweeper.rows()}

    async def test_a_sweep_goes_on_where_the_last_one_ended(
        self, gateway: Simulated, sweeper: Sweeper
    ) -> None:
        """
        A run reads so many pages and no more; the place does not move past what is not stored.
        """
        before = await sweeper.place()
        for _ in range(7):
            await pay(gateway)

        first = await sweeper.page()
        on_the_way = await sweeper.place()
        rest = await sweeper.sweep()

        assert PageRead(stored=3, more=True) == first
        assert (before.since, True) == (on_the_way.since, on_the_way.after is not None)
        assert 4 == rest
        assert (await sweeper.place()).after is None

    async def test_news_during_a_long_sweep_are_the_next_ones(
        self, gateway: Simulated, sweeper: Sweeper
    ) -> None:
        """
        What happens while the list is read down stands above, where the next sweep begins.
        """
        for _ in range(4):
            await pay(gateway)
        await sweeper.page()
        late = await pay(gateway)

        await sweeper.sweep()
        known = {row["gateway_object_id"] for row in await sweeper.rows()}
        news = await sweeper.sweep()

        assert late not in known
        assert 1 == news

    async def test_killed_before_the_place_has_moved(
        self, gateway: Simulated, sweeper: Sweeper
    ) -> None:
        """
        What was stored is known when the page is read again.
        """
        await pay(gateway)
        await sweeper.sweep()
        async with sweeper.engine.begin() as connection:
            await connection.execute(update(EVENT_SWEEPS).values(until=None, after=None))

        assert 0 == await sweeper.sweep()
        assert 1 == len(await sweeper.rows())

    async def test_two_at_once(self, gateway: Simulated, sweeper: Sweeper) -> None:
        """
        A worker that was thought dead reads beside another one: each event is there once.
        """
        for _ in range(5):
            await pay(gateway)

        await asyncio.gather(sweeper.sweep(), sweeper.sweep(), sweeper.sweep())
        await sweeper.sweep()

        assert 5 == len(await sweeper.rows())

    async def test_a_forgotten_place(self, gateway: Simulated, sweeper: Sweeper) -> None:
        """
        The event that we stood at is listed no more (30 days): from the top again.
        """
        await pay(gateway)
        place = await sweeper.place()
        gone = Place(since=place.since, until=place.since, after="evt_gone")
        await sweeper.sweeps.move(place, gone)

        lost = await sweeper.page()

        assert PageRead(stored=0, more=True) == lost
        assert 1 == await sweeper.sweep()

    async def test_only_what_is_waited_for_is_listed(
        self, gateway: Simulated, sweeper: Sweeper
    ) -> None:
        """
        Customers and methods of the account are nobody's news.
        """
        await gateway.client.v1.customers.create_async()

        assert 0 == await sweeper.sweep()

    async def test_what_was_before_the_first_sweep_is_not_ours(
        self, gateway: Simulated, sweeper: Sweeper
    ) -> None:
        """
        The first sweep begins now, but for the overlap; a later one goes on from there.
        """
        await pay(gateway)
        await sweeper.sweeps.place(datetime.now(UTC) + OVERLAP + timedelta(minutes=1))

        assert 0 == await sweeper.sweep()

    async def test_an_event_that_cannot_be_read_is_left_out(self, engine: AsyncEngine) -> None:
        """
        One broken event does not keep the others away.
        """
        page = {"object": "list", "url": "/v1/events", "has_more": False, "data": []}
        told = {"object": "event", "type": "refund.failed", "created": 1, "data": {"object": {}}}
        page["data"] = [told | {"id": "evt_2"}, told | {"id": "evt 1"}]
        client = stripe.StripeClient("sk_test_x", http_client=Told(page))
        listed = EventList(client, sessions(engine))

        await ActivityEnvironment().run(listed.read_page)

        assert {"evt_2"} == await Inbox(sessions(engine)).known(["evt 1", "evt_2"])

    @pytest.mark.parametrize(
        ("kind", "trouble"), [("hang", Trouble.UNREACHABLE), ("rate_limit", Trouble.LATER)]
    )
    async def test_a_gateway_that_is_away_moves_nothing(
        self, gateway: Simulated, sweeper: Sweeper, kind: str, trouble: Trouble
    ) -> None:
        """
        Nothing is skipped: the next try reads the same page.
        """
        await pay(gateway)
        before = await sweeper.place()
        await gateway.arm("events.list", kind)

        with pytest.raises(ApplicationError) as failed:
            await sweeper.page()

        assert (trouble, before) == (failed.value.type, await sweeper.place())
        assert 1 == await sweeper.sweep()

    async def test_a_refused_request_is_a_failure(
        self, gateway: Simulated, sweeper: Sweeper, engine: AsyncEngine
    ) -> None:
        """
        A request that Stripe does not understand is our mistake, and shows.
        """
        listed = EventList(gateway.client, sessions(engine), page_size=101)

        with pytest.raises(ApplicationError) as failed:
            await ActivityEnvironment().run(listed.read_page)

        assert Trouble.REFUSED == failed.value.type


class TestWorkOff:
    async def test_owed_events_are_processed(self, gateway: Simulated, sweeper: Sweeper) -> None:
        """
        The payment's run hears what no webhook has told, once.
        """
        paid = payment()
        intent_id = await pay(gateway, payment_id=paid.id, environment="test")
        await sweeper.records.record(batch(*waiting(paid, intent_id)))
        await sweeper.sweep()

        done = [await sweeper.work_off(), await sweeper.work_off()]

        [row] = await sweeper.rows()
        assert ([1, 0], [paid.id]) == (done, sweeper.nudging.told)
        assert (True, "nudged", paid.id) == (row["processed"], row["result"], row["run_id"])

    async def test_those_that_never_succeed_keep_nobody_waiting(
        self, gateway: Simulated, sweeper: Sweeper
    ) -> None:
        """
        What fails is marked and counted, and a new event behind it has its turn in the same batch.
        """
        good = as_kept(json.dumps({"id": "evt_0", "type": "a.b"}).encode(), Source.WEBHOOK)
        for number in range(1, 8):
            bad = {"id": f"evt_{number}", "payload": b"{}", "received_at": OLD}
            await sweeper.inbox.store(good.model_copy(update=bad))
        paid = payment()
        intent_id = await pay(gateway, payment_id=paid.id, environment="test")
        await sweeper.records.record(batch(*waiting(paid, intent_id)))
        await sweeper.sweep()

        done = await sweeper.batch()

        errors = [row["error"] for row in await sweeper.rows() if not row["processed"]]
        assert Batch(count=8, failed=7, more=False) == done
        assert (7 * ["NotAGatewayEvent"], [paid.id]) == (errors, sweeper.nudging.told)

    async def test_without_the_database_nothing_goes_on(self, sweeper: Sweeper) -> None:
        """
        That an event could not be processed must be written: else it is no event's own failure.
        """
        body = json.dumps({"id": "evt_1", "type": "refund.failed"}).encode()
        await sweeper.inbox.store(as_kept(body, Source.WEBHOOK))
        nowhere = sessions(create_engine("sqlite:////nowhere/paysaga.db"))
        work = InboxWork(sessions(sweeper.engine), Incoming(nowhere, sweeper.nudging, SETTINGS))

        with pytest.raises(OperationalError):
            await ActivityEnvironment().run(work.work_off, Moment(before=LATER))

    async def test_one_that_fails_does_not_starve_the_others(
        self, gateway: Simulated, sweeper: Sweeper
    ) -> None:
        """
        While Temporal is away events are marked; one sweep tries each once.
        """
        for paid in (payment(), payment()):
            intent_id = await pay(gateway, payment_id=paid.id, environment="test")
            await sweeper.records.record(batch(*waiting(paid, intent_id)))
        await sweeper.sweep()
        began = datetime.now(UTC)
        sweeper.nudging.away = True
        for _ in range(2):
            with pytest.raises(NotTold):
                await sweeper.work_off(began)
        sweeper.nudging.away = False

        assert 0 == await sweeper.work_off(began)
        assert 2 == await sweeper.work_off()


class TestForget:
    async def test_old_events_go(self, sweeper: Sweeper) -> None:
        """
        What was processed long ago is deleted; what is owed stays.
        """
        for number in range(2):
            body = json.dumps({"id": f"evt_{number}", "type": "a.b"}).encode()
            await sweeper.inbox.store(as_kept(body, Source.WEBHOOK))
        await sweeper.inbox.mark_processed("evt_0", Result(word="kept"), datetime.now(UTC))

        gone = await ActivityEnvironment().run(sweeper.work.forget, Moment(before=LATER))

        assert (1, False) == (gone.count, gone.more)
        assert ["evt_1"] == [row["id"] for row in await sweeper.rows()]


class Told(stripe.HTTPClient):
    """A gateway that always gives this answer."""

    name = "told"

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__()
        self._answer = answer

    async def request_async(
        self, *_args: object, **_kwargs: object
    ) -> tuple[bytes, int, dict[str, str]]:
        return json.dumps(self._answer).encode(), httpx.codes.OK, {"request-id": "req_1"}
