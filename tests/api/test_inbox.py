"""The inbox as admins look at it, and events that are processed once more."""

from typing import Any
from urllib.parse import quote

import pytest

from paysaga.tokens import Role
from tests.api.events import an_event, send
from tests.api.world import Api, Caller, World, ended


@pytest.fixture
def admin(api: Api) -> Caller:
    return api.as_(Role.ADMIN)


async def listed(admin: Caller, **wanted: Any) -> list[dict[str, Any]]:
    answer = await admin.get("/admin/webhooks", **wanted)
    assert 200 == answer.status_code, answer.text
    return list(answer.json()["items"])


class TestList:
    async def test_newest_first_in_pages(self, api: Api, admin: Caller) -> None:
        """Pages go on where the last one ended, whatever comes meanwhile."""
        kind = "test.pages_of_events"
        events = [an_event(type=kind) for _ in range(5)]
        for event in events:
            await send(api, event)

        seen, after = [], None
        while True:
            wanted = {"type": kind, "limit": 2} | ({"after": after} if after else {})
            page = (await admin.get("/admin/webhooks", **wanted)).json()
            seen += [event["id"] for event in page["items"]]
            after = page["next_after"]
            if after is None:
                break

        assert [event["id"] for event in reversed(events)] == seen

    async def test_by_payment_and_flag(self, api: Api, admin: Caller) -> None:
        """What contradicts a payment is found by the payment, and by its being flagged."""
        payment = await api.shop.pay("pm_requires_action")
        fits, other = an_event(payment), an_event(payment)
        other["data"]["object"] |= {"amount": 1, "currency": "eur"}
        for event in (other, fits):
            await send(api, event)

        about = {"payment_id": payment["id"]}
        everything = await listed(admin, **about)
        flagged = await listed(admin, **about, flagged=True)
        plain = await listed(admin, **about, flagged=False)

        assert [fits["id"], other["id"]] == [event["id"] for event in everything]
        assert [(other["id"], "other_amount", True)] == [
            (event["id"], event["result"], event["flagged"]) for event in flagged
        ]
        assert [fits["id"]] == [event["id"] for event in plain]

    async def test_by_what_is_owed(self, api: Api, admin: Caller) -> None:
        """What is processed is no more owed."""
        kind = "test.owed_or_not"
        event = an_event(type=kind)
        await send(api, event)

        assert [event["id"]] == [one["id"] for one in await listed(admin, type=kind)]
        assert [] == await listed(admin, type=kind, processed=False)
        assert 1 == len(await listed(admin, type=kind, processed=True))

    @pytest.mark.parametrize(
        "wanted",
        [
            {"limit": 101},
            {"after": "nonsense"},
            {"payment": "pay_misspelt"},
            {"type": "A B"},
            {"payment_id": "%"},
        ],
    )
    async def test_what_cannot_be_meant_is_422(self, admin: Caller, wanted: dict[str, Any]) -> None:
        """A misspelt filter would find everything."""
        answer = await admin.get("/admin/webhooks", **wanted)

        assert (422, "validation_failed") == (answer.status_code, answer.json()["code"])


class TestOne:
    async def test_it_is_shown_as_it_came(self, api: Api, admin: Caller) -> None:
        """Every byte, how we came by it, and the run that was told."""
        payment = await api.shop.pay("pm_requires_action")
        event = an_event(payment)
        sent = await send(api, event)

        told = (await admin.get(f"/admin/webhooks/{event['id']}")).json()

        assert sent.request.content.decode() == told["payload"]
        assert ("webhook", True, "nudged") == (
            told["source"], told["signature_verified"], told["result"],
        )  # fmt: skip
        assert told["run"].endswith(f"/workflows/{payment['id']}")

    @pytest.mark.parametrize("event_id", ["evt_none", "\u0000", "a b", "%", "é" * 300])
    async def test_none_is_404(self, admin: Caller, event_id: str) -> None:
        """There is none, or there can be none."""
        path = f"/admin/webhooks/{quote(event_id, safe='')}"

        answers = [await admin.get(path), await admin.post(f"{path}/replay", {})]

        assert [404, 404] == [answer.status_code for answer in answers]


class TestReplay:
    async def test_the_run_is_told_again(self, api: Api, admin: Caller, world: World) -> None:
        """The first nudge came before the gateway showed anything; the second one finds it."""
        payment = await api.shop.pay("pm_requires_action")
        event = an_event(payment)
        await send(api, event)
        await api.shop.post(f"/payments/{payment['id']}/refresh", key=None)
        world.gateway.becomes(payment["id"], "succeeded")

        answer = await admin.post(f"/admin/webhooks/{event['id']}/replay", key=None)

        assert (200, "nudged") == (answer.status_code, answer.json()["result"])
        assert "succeeded" == (await ended(world, payment["id"])).status

    async def test_a_repeat_changes_nothing(self, api: Api, admin: Caller) -> None:
        """A payment that is over needs nothing, however often it is told."""
        payment = await api.shop.pay("pm_succeeded")
        event = an_event(payment)
        await send(api, event)

        answers = [
            await admin.post(f"/admin/webhooks/{event['id']}/replay", key=None) for _ in range(3)
        ]

        after = await api.shop.get(f"/payments/{payment['id']}")
        assert {"nothing_to_do"} == {answer.json()["result"] for answer in answers}
        assert payment["version"] == after.json()["version"]
