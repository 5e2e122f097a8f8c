"""The shop says where our events go, and sees how far each place has come."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

from paysaga.database.engine import Sessions, create_engine, sessions
from paysaga.events.delivery import Answer, Verdict
from paysaga.events.shapes import Event
from paysaga.settings import Environment
from paysaga.tokens import Role
from tests.api.world import Api, World, serving, without_sinks
from tests.sinks import FAILED, GONE, REFUSED, SECRET, TAKEN, configured

HTTP = {"kind": "http", "url": "https://shop.example/events?key=1"}
AMQP = {"kind": "amqp", "exchange": "shop.payments", "routing_key": "paysaga.{type}"}


@pytest.fixture(autouse=True)
async def alone(api: Api, world: World) -> AsyncIterator[None]:
    """No other test's sinks, and a receiver that has heard nothing."""
    world.receiver.says = lambda _event: TAKEN
    world.receiver.taken.clear()
    world.receiver.asked.clear()
    yield
    world.receiver.says = lambda _event: TAKEN
    await without_sinks(api)


async def a_sink(api: Api, **body: Any) -> dict[str, Any]:
    answer = await api.shop.post("/sinks", HTTP | body)
    assert 201 == answer.status_code, answer.text
    return dict(answer.json())


@asynccontextmanager
async def world_sessions(world: World) -> AsyncIterator[Sessions]:
    engine = create_engine(world.settings.database_url)
    try:
        yield sessions(engine)
    finally:
        await engine.dispose()


async def seen(api: Api, sink_id: str, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The sink once it is as wanted."""
    async with asyncio.timeout(30):
        return await until(api, sink_id, true)


async def until(api: Api, sink_id: str, true: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    while True:
        sink = (await api.shop.get(f"/sinks/{sink_id}")).json()
        if true(sink):
            return dict(sink)
        await asyncio.sleep(0.02)


def of(world: World, payment_id: str) -> list[Event]:
    return [event for event in world.receiver.taken if event.object_id == payment_id]


class TestMaking:
    async def test_events_go_there_from_now_on(self, api: Api, world: World) -> None:
        """Each payment wakes it; what was before is not told."""
        before = await api.shop.pay()
        sink = await a_sink(api)

        paid = await api.shop.pay()
        await seen(api, sink["id"], lambda sink: sink["delivered"] >= 3)
        again = await api.shop.pay()
        told = await seen(api, sink["id"], lambda sink: sink["delivered"] >= 6)

        assert [1, 2, 3] == [event.sequence for event in of(world, paid["id"])]
        assert [1, 2, 3] == [event.sequence for event in of(world, again["id"])]
        assert [] == of(world, before["id"])
        assert ("active", 0, 0, 0) == tuple(
            told[name] for name in ("status", "behind", "waiting", "dead_letters")
        )

    async def test_the_secret_is_told_once(self, api: Api) -> None:
        """In the answer to its maker, good for signing; nobody reads it later."""
        sink = await a_sink(api)

        later = (await api.shop.get(f"/sinks/{sink['id']}")).json()

        assert Webhook(sink["secret"]).sign("evn_1", datetime.now(UTC), "{}")
        assert None is later["secret"]
        assert sink["secret"] not in (await api.shop.get("/sinks")).text

    async def test_a_secret_that_the_shop_brings(self, api: Api) -> None:
        """Its receiver may know it before we do."""
        assert SECRET == (await a_sink(api, secret=SECRET))["secret"]

    async def test_a_repeat_makes_no_second_one(self, api: Api) -> None:
        """The same key and body give the same sink, with its secret; another body is refused."""
        first = await api.shop.post("/sinks", HTTP, key="sink-1")
        again = await api.shop.post("/sinks", HTTP, key="sink-1")
        other = await api.shop.post("/sinks", AMQP, key="sink-1")
        secret = await api.shop.post("/sinks", HTTP | {"secret": SECRET}, key="sink-1")

        assert (201, 200, 409, 409) == (
            first.status_code,
            again.status_code,
            other.status_code,
            secret.status_code,
        )
        assert "true" == again.headers["Idempotent-Replayed"]
        assert (first.json()["id"], first.json()["secret"]) == (
            again.json()["id"],
            again.json()["secret"],
        )

    async def test_from_the_beginning_of_a_time(self, api: Api, world: World) -> None:
        """Who comes late may hear what was before."""
        began = datetime.now(UTC).isoformat()
        before = await api.shop.pay()

        sink = await a_sink(api, since=began)
        await seen(api, sink["id"], lambda sink: sink["delivered"] >= 3)

        assert [1, 2, 3] == [event.sequence for event in of(world, before["id"])]

    async def test_an_exchange(self, api: Api) -> None:
        """It has no secret, and no address."""
        sink = (await api.shop.post("/sinks", AMQP)).json()

        assert ("amqp", "shop.payments", "paysaga.{type}", False, None, None) == tuple(
            sink[name]
            for name in ("kind", "exchange", "routing_key", "must_be_routed", "url", "secret")
        )

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"kind": "pigeon"}, "kind"),
            ({"kind": "http"}, "url"),
            (HTTP | {"url": "shop.example"}, "url"),
            (HTTP | {"url": "https://key@shop.example/"}, "url"),
            (HTTP | {"secret": "whsec_short"}, "secret"),
            (HTTP | {"secret": "c2VjcmV0IGJ1dCBubyBwcmVmaXgsIGFuZCBsb25n"}, "secret"),
            (HTTP | {"types": ["payment.levitated"]}, "types"),
            (HTTP | {"types": ["payment.created"] * 2}, "types"),
            (HTTP | {"exchange": "shop"}, "exchange"),
            (HTTP | {"after": "1-2-3", "since": "2026-11-22T00:00:00Z"}, ""),
            (HTTP | {"after": "nonsense"}, "after"),
            (AMQP | {"routing_key": "{secret}"}, "routing_key"),
            (AMQP | {"exchange": "a b"}, "exchange"),
        ],
    )
    async def test_what_is_wrong_is_named(self, api: Api, body: Any, field: str) -> None:
        """With its field, and nothing is made."""
        answer = await api.shop.post("/sinks", body)

        assert 422 == answer.status_code, answer.text
        assert any(field in wrong["field"] for wrong in answer.json()["errors"]), answer.text
        assert [] == (await api.shop.get("/sinks")).json()["items"]

    @pytest.mark.parametrize("url", ["http://shop.example/", "https://10.0.0.1/", "https://[::1]/"])
    async def test_production_calls_nobodys_inside(self, world: World, url: str) -> None:
        """Neither without https nor at an address of our own networks."""
        settings = world.settings.model_copy(update={"environment": Environment.PRODUCTION})
        async with serving(settings) as api:
            caller = replace(api, settings=world.settings).shop
            answer = await caller.post("/sinks", HTTP | {"url": url})

        assert (422, "url") == (answer.status_code, answer.json()["errors"][0]["field"])


class TestChanging:
    async def test_paused_and_resumed(self, api: Api, world: World) -> None:
        """What comes meanwhile waits; then it goes on where it stood."""
        sink = await a_sink(api)
        paused = await api.shop.patch(f"/sinks/{sink['id']}", {"status": "paused"})
        paid = await api.shop.pay()
        waiting = await seen(api, sink["id"], lambda sink: sink["behind"] >= 3)
        meanwhile = of(world, paid["id"])

        resumed = await api.shop.patch(f"/sinks/{sink['id']}", {"status": "active"})
        await seen(api, sink["id"], lambda sink: sink["behind"] == 0)

        assert ("paused", "requested") == (paused.json()["status"], paused.json()["reason"])
        assert ("active", "resumed") == (resumed.json()["status"], resumed.json()["reason"])
        assert ([], 0) == (meanwhile, waiting["delivered"])
        assert [1, 2, 3] == [event.sequence for event in of(world, paid["id"])]

    async def test_one_that_wants_no_more(self, api: Api, world: World) -> None:
        """410 pauses it, and says so; resumed, it is given the same event again."""
        world.receiver.says = lambda _event: GONE
        sink = await a_sink(api)
        paid = await api.shop.pay()
        gone = await seen(api, sink["id"], lambda sink: sink["status"] == "paused")
        world.receiver.says = lambda _event: TAKEN

        await api.shop.patch(f"/sinks/{sink['id']}", {"status": "active"})
        await seen(api, sink["id"], lambda sink: sink["behind"] == 0)

        assert ("gone", "410 Gone") == (gone["reason"], gone["last_answer"])
        assert [1, 2, 3] == [event.sequence for event in of(world, paid["id"])]

    async def test_another_address_and_filter(self, api: Api, world: World) -> None:
        """From the next event on; what was not said stays."""
        sink = await a_sink(api, description="the shop")
        change = {"url": "https://new.example/", "types": ["payment.succeeded"]}

        changed = (await api.shop.patch(f"/sinks/{sink['id']}", change)).json()
        paid = await api.shop.pay()
        await seen(api, sink["id"], lambda sink: sink["delivered"] == 1 and not sink["behind"])

        assert ("https://new.example/", "the shop") == (changed["url"], changed["description"])
        assert [3] == [event.sequence for event in of(world, paid["id"])]

    async def test_what_it_does_not_have(self, api: Api) -> None:
        """An HTTP address has no exchange."""
        sink = await a_sink(api)

        answer = await api.shop.patch(f"/sinks/{sink['id']}", {"exchange": "shop"})

        assert (422, "exchange") == (answer.status_code, answer.json()["errors"][0]["field"])

    async def test_what_the_settings_made_is_paused_before(self, api: Api, world: World) -> None:
        """While events go there it stays; of one that nobody serves any more one can be rid."""
        async with world_sessions(world) as opened:
            await configured(opened)
        refused = await api.shop.delete("/sinks/snk_amqp")
        await api.shop.patch("/sinks/snk_amqp", {"status": "paused"})
        removed = await api.shop.delete("/sinks/snk_amqp")

        assert (409, "sink_configured") == (refused.status_code, refused.json()["code"])
        assert (200, "removed") == (removed.status_code, removed.json()["status"])

    async def test_removed(self, api: Api, world: World) -> None:
        """It is given nothing more, and is told as missing."""
        sink = await a_sink(api)
        removed = await api.shop.delete(f"/sinks/{sink['id']}")
        await world.client.get_workflow_handle(sink["id"]).result()

        paid = await api.shop.pay()
        again = await api.shop.delete(f"/sinks/{sink['id']}")

        assert (200, "removed") == (removed.status_code, removed.json()["status"])
        assert (404, 404) == (
            again.status_code,
            (await api.shop.get(f"/sinks/{sink['id']}")).status_code,
        )
        assert [] == of(world, paid["id"])


class TestReplay:
    async def test_from_a_place_that_a_page_has_told(self, api: Api, world: World) -> None:
        """What follows it comes again, with the same ids; the same request is done once."""
        sink = await a_sink(api)
        paid = await api.shop.pay()
        told = await seen(api, sink["id"], lambda sink: sink["delivered"] == 3)

        for _ in range(2):
            await api.shop.post(f"/sinks/{sink['id']}/replay", {"after": sink["after"]}, key="one")
            await seen(api, sink["id"], lambda sink: sink["delivered"] == 6)
        end = await api.shop.post(f"/sinks/{sink['id']}/replay", {"after": told["after"]})

        events = of(world, paid["id"])
        assert [1, 2, 3, 1, 2, 3] == [event.sequence for event in events]
        assert 3 == len({event.id for event in events})
        assert 0 == end.json()["behind"]

    async def test_dead_letters_are_seen_and_tried_again(self, api: Api, world: World) -> None:
        """Each with what the other side said; then they are gone."""
        world.receiver.says = lambda event: REFUSED if event.sequence == 2 else TAKEN
        sink = await a_sink(api)
        paid = await api.shop.pay()
        await seen(api, sink["id"], lambda sink: sink["dead_letters"] == 1)
        letters = (await api.shop.get(f"/sinks/{sink['id']}/dead-letters")).json()["items"]
        world.receiver.says = lambda _event: TAKEN

        await api.shop.post(f"/sinks/{sink['id']}/replay", {"dead_letters": True})
        told = await seen(api, sink["id"], lambda sink: not sink["waiting"])

        assert [(paid["id"], 2, "payment.processing", "refused", "no such mailbox")] == [
            tuple(
                letter[name] for name in ("object_id", "sequence", "type", "reason", "last_answer")
            )
            for letter in letters
        ]
        assert 0 == told["dead_letters"]
        assert 2 in [event.sequence for event in of(world, paid["id"])]

    @pytest.mark.parametrize(
        "body", [{}, {"after": "1-2-3", "dead_letters": True}, {"dead_letters": False}]
    )
    async def test_it_says_from_where(self, api: Api, body: Any) -> None:
        """One of the three, and no other."""
        sink = await a_sink(api)

        answer = await api.shop.post(f"/sinks/{sink['id']}/replay", body)

        assert 422 == answer.status_code


class TestSecret:
    async def test_rolled(self, api: Api) -> None:
        """A new one is told, and the one before signs for a while; a repeat rolls it once."""
        sink = await a_sink(api)

        roll = {"overlap_hours": 2}
        first = (await api.shop.post(f"/sinks/{sink['id']}/secret", roll, key="roll")).json()
        again = (await api.shop.post(f"/sinks/{sink['id']}/secret", roll, key="roll")).json()

        other = await api.shop.post(f"/sinks/{sink['id']}/secret", {"overlap_hours": 3}, key="roll")

        until_then = datetime.fromisoformat(first["previous_secret_until"])
        assert (409, "idempotency_key_reused") == (other.status_code, other.json()["code"])
        assert sink["secret"] != first["secret"] == again["secret"]
        assert timedelta(hours=1) < until_then - datetime.now(UTC) <= timedelta(hours=2)

    async def test_an_old_one_that_signs_no_more_is_not_told(self, api: Api) -> None:
        """Whoever reads a time there may count on it."""
        sink = await a_sink(api)

        await api.shop.post(f"/sinks/{sink['id']}/secret", {"overlap_hours": 0})

        told = (await api.shop.get(f"/sinks/{sink['id']}")).json()
        assert None is told["previous_secret_until"]

    async def test_an_exchange_has_none(self, api: Api) -> None:
        """Nothing is signed there."""
        sink = (await api.shop.post("/sinks", AMQP)).json()

        assert 422 == (await api.shop.post(f"/sinks/{sink['id']}/secret", {})).status_code


class TestTrouble:
    async def test_one_object_waits_on_its_own(self, api: Api, world: World) -> None:
        """It is seen, with what the other side said; others go on."""
        stuck: list[str] = []

        def says(event: Event) -> Answer:
            stuck[:] = stuck or [event.object_id]
            return FAILED if event.object_id == stuck[0] else TAKEN

        world.receiver.says = says
        sink = await a_sink(api)
        await api.shop.pay()
        other = await api.shop.pay()
        told = await seen(
            api, sink["id"], lambda sink: sink["delivered"] == 3 and sink["waiting"] == 1
        )

        assert [1, 2, 3] == [event.sequence for event in of(world, other["id"])]
        assert 0 == told["behind"]
        assert datetime.now(UTC) < datetime.fromisoformat(told["next_try_at"])

    async def test_nobody_is_there(self, api: Api, world: World) -> None:
        """Since when, what came back, and when it is tried next."""
        world.receiver.says = lambda _event: Answer(
            Verdict.AWAY, "503 Service Unavailable", timedelta(hours=1)
        )
        sink = await a_sink(api)
        await api.shop.pay()

        told = await seen(api, sink["id"], lambda sink: sink["failing_since"] is not None)

        assert ("active", "503 Service Unavailable", 3) == (
            told["status"],
            told["last_answer"],
            told["behind"],
        )
        wait = datetime.fromisoformat(told["next_try_at"]) - datetime.now(UTC)
        assert timedelta(minutes=59) < wait <= timedelta(hours=1)

    async def test_somebody_who_has_mended_it_need_not_wait(self, api: Api, world: World) -> None:
        """Resumed, it is tried at once, also if it was not paused but waits."""
        world.receiver.says = lambda _event: Answer(Verdict.AWAY, "503", timedelta(hours=1))
        sink = await a_sink(api)
        paid = await api.shop.pay()
        await seen(api, sink["id"], lambda sink: sink["failing_since"] is not None)
        world.receiver.says = lambda _event: TAKEN

        await api.shop.patch(f"/sinks/{sink['id']}", {"status": "active"})
        told = await seen(api, sink["id"], lambda sink: sink["behind"] == 0)

        assert ("created", None) == (told["reason"], told["failing_since"])
        assert [1, 2, 3] == [event.sequence for event in of(world, paid["id"])]

    async def test_a_foreign_id_is_missing(self, api: Api) -> None:
        """Whatever is no id of a sink, and one that there is not."""
        for sink_id in ("snk_" + "a" * 26, "pay_1", "%20"):
            answer = await api.as_(Role.ADMIN).get(f"/sinks/{sink_id}")
            assert 404 == answer.status_code
