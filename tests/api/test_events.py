"""The shop's services read what has changed, and can prove that they miss nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import jsonschema

from tests.api.world import Api


async def until(ask: Callable[[], Awaitable[dict[str, Any]]], count: int) -> dict[str, Any]:
    """A page with so many events: a transaction of somebody else's may be under way."""
    async with asyncio.timeout(30):
        while True:
            if len((page := await ask())["items"]) >= count:
                return page
            await asyncio.sleep(0.05)


async def told(api: Api, **wanted: Any) -> dict[str, Any]:
    """A page of events."""
    answer = await api.shop.get("/events", **wanted)
    assert 200 == answer.status_code, answer.text
    return dict(answer.json())


class TestEvents:
    async def test_a_payments_story(self, api: Api) -> None:
        """Each change once, numbered without a gap, and the last one tells how it stands."""
        paid = await api.shop.pay("pm_succeeded")

        page = await until(lambda: told(api, object=paid["id"]), 3)

        assert ["payment.created", "payment.processing", "payment.succeeded"] == [
            event["type"] for event in page["items"]
        ]
        assert [1, 2, 3] == [event["sequence"] for event in page["items"]]
        last = page["items"][-1]["data"]
        assert {name: paid[name] for name in last if name in paid and name != "payment_method"} == {
            name: value for name, value in last.items() if name in paid and name != "payment_method"
        }

    async def test_it_goes_on_where_it_was(self, api: Api) -> None:
        """Also from the last page, which names the place where the next events will be."""
        first = await api.shop.pay("pm_succeeded")
        page = await until(lambda: told(api, object=first["id"], limit=2), 2)
        rest = await until(lambda: told(api, object=first["id"], after=page["next_after"]), 1)
        end = await told(api, object=first["id"], after=rest["next_after"])

        assert (True, False) == (page["has_more"], rest["has_more"])
        assert ([], rest["next_after"]) == (end["items"], end["next_after"])

    async def test_only_what_is_asked_for(self, api: Api) -> None:
        """By type, by payment, by time; what is misspelt is refused."""
        paid = await api.shop.pay("pm_succeeded")

        one = await until(
            lambda: told(api, object=paid["id"], type=["payment.succeeded", "payment.failed"]), 1
        )
        none = await told(api, object=paid["id"], since="2099-01-01T00:00:00Z")
        wrong = [
            await api.shop.get("/events", **{name: value})
            for name, value in (
                ("type", "payment.paid"),
                ("kind", "payment.succeeded"),
                ("after", "nonsense"),
                ("since", "2026-11-01T12:00:00"),
                ("object", "pay_1"),
            )
        ]

        assert ["payment.succeeded"] == [event["type"] for event in one["items"]]
        assert [] == none["items"]
        assert {422} == {answer.status_code for answer in wrong}

    async def test_each_is_what_the_schema_says(self, api: Api) -> None:
        """A receiver may check every event against what we publish."""
        declined = await api.shop.pay("pm_insufficient_funds")
        schema = (await api.nobody.get("/events/schema")).json()

        page = await until(lambda: told(api, object=declined["id"]), 3)

        for event in page["items"]:
            jsonschema.validate(event, schema)
        assert "insufficient_funds" == page["items"][-1]["data"]["decline"]["code"]
