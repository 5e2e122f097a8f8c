import asyncio
import hashlib
import json
import time
from typing import Any

import pytest

from api import signatures
from api.refusals import BadSignature
from tests.api.events import an_event, send, signature, stored
from tests.api.world import Api, World, ended, serving
from workflows.addresses import repair_id


class TestSignature:
    """Pure: which headers pass, and which do not."""

    BODY = b'{"id": "evt_1"}'

    @pytest.mark.parametrize("age", [0, 299, 300, -59, -60])
    def test_about_now_passes(self, age: int) -> None:
        """Five minutes late, one minute early: that is what clocks and queues come to."""
        at = 1_800_000_000

        signatures.check(self.BODY, signature(self.BODY, at=at - age), ["whsec_new"], at)

    @pytest.mark.parametrize("age", [301, -61, 10**9])
    def test_another_time_is_refused(self, age: int) -> None:
        """An old event that somebody has kept, or one from the future, is not taken."""
        at = 1_800_000_000
        header = signature(self.BODY, at=at - age)

        with pytest.raises(BadSignature):
            signatures.check(self.BODY, header, ["whsec_new"], at)

    @pytest.mark.parametrize("secret", ["whsec_new", "whsec_old"])
    def test_while_the_secret_changes_both_are_good(self, secret: str) -> None:
        """Stripe signs with the old one for a while."""
        header = signature(self.BODY, secret)

        signatures.check(self.BODY, header, ["whsec_new", "whsec_old"], time.time())

    def test_one_good_signature_of_several_is_enough(self) -> None:
        """While the secret changes Stripe sends one for each."""
        header = signature(self.BODY) + ",v1=" + "0" * 64 + ",v0=ignored"

        signatures.check(self.BODY, header, ["whsec_new"], time.time())

    @pytest.mark.parametrize(
        "header",
        [
            None,
            "",
            "nonsense",
            "t=,v1=",
            "t=now,v1=00",
            "v1=" + "0" * 64,
            "t=1800000000",
            "t=1800000000,v1=" + "0" * 64,
            "t=1800000000,v1=ä",
            "t=1800000000,t=1,v1=00",
            "t=" + "9" * 5000 + ",v1=00",
            "t=٣,v1=00",
            "," * 100_000,
        ],
    )
    def test_everything_else_is_refused(self, header: str | None) -> None:
        """Whatever a header looks like, it is refused and breaks nothing."""
        with pytest.raises(BadSignature):
            signatures.check(self.BODY, header, ["whsec_new"], 1_800_000_000)


class TestInbox:
    async def test_a_success_ends_the_payment(self, api: Api, world: World) -> None:
        """The webhook makes the run look; what it sees ends the payment."""
        payment = await api.shop.pay("pm_requires_action")
        world.gateway.becomes(payment["id"], "succeeded")

        answer = await send(api, an_event(payment))

        assert (200, "nudged") == (answer.status_code, answer.json()["result"])
        assert "succeeded" == (await ended(world, payment["id"])).status

    async def test_its_words_are_not_believed(self, api: Api, world: World) -> None:
        """An event says succeeded, the gateway itself does not: nothing is paid."""
        payment = await api.shop.pay("pm_requires_action")

        await send(api, an_event(payment))

        answer = await api.shop.post(f"/payments/{payment['id']}/refresh", key=None)
        assert "requires_action" == answer.json()["status"]

    async def test_it_is_kept_as_it_came(self, api: Api, world: World) -> None:
        """Every byte is there, and what became of it."""
        event = an_event(type="customer.created")
        body = json.dumps(event, indent=3).encode()

        await send(api, body)

        row = await stored(world, event["id"])
        assert row is not None
        assert body == row.payload
        assert hashlib.sha256(body).hexdigest() == row.payload_sha256
        assert ("kept", True, True) == (row.result, row.processed, row.signature_verified)

    async def test_copies_have_one_effect(self, api: Api, world: World) -> None:
        """Stripe may send an event often, also at once."""
        payment = await api.shop.pay("pm_requires_action")
        event = an_event(payment)
        await send(api, event)

        copies = await asyncio.gather(*(send(api, event) for _ in range(20)))

        assert {(200, "already_processed")} == {
            (answer.status_code, answer.json()["result"]) for answer in copies
        }

    async def test_20_at_once_are_all_answered(self, api: Api, world: World) -> None:
        """Who comes while the first is under way is let through: a nudge too many does no harm."""
        payment = await api.shop.pay("pm_requires_action")
        world.gateway.becomes(payment["id"], "succeeded")
        event = an_event(payment)

        answers = await asyncio.gather(*(send(api, event) for _ in range(20)))

        assert {200} == {answer.status_code for answer in answers}
        assert "succeeded" == (await ended(world, payment["id"])).status

    async def test_a_payment_is_found_by_the_gateways_id(self, api: Api, world: World) -> None:
        """Also an object without our words on it has an owner."""
        payment = await api.shop.pay("pm_requires_action")
        world.gateway.becomes(payment["id"], "succeeded")
        about = {"id": "ch_x", "payment_intent": payment["gateway_payment_intent_id"]}

        answer = await send(api, an_event(type="charge.refunded", data={"object": about}))

        assert "nudged" == answer.json()["result"]
        assert "succeeded" == (await ended(world, payment["id"])).status

    async def test_a_final_payment_is_left_alone(self, api: Api, world: World) -> None:
        """The event that tells what the call has told already costs nothing."""
        payment = await api.shop.pay("pm_succeeded")

        answer = await send(api, an_event(payment))

        assert "nothing_to_do" == answer.json()["result"]

    async def test_another_environments_event_is_kept_only(self, api: Api) -> None:
        """Several environments may share one Stripe account."""
        payment = await api.shop.pay("pm_requires_action")
        event = an_event(payment)
        event["data"]["object"]["metadata"]["environment"] = "staging"

        answer = await send(api, event)

        assert (200, "other_environment") == (answer.status_code, answer.json()["result"])

    async def test_a_run_that_is_gone_is_made_up_for(self, api: Api, world: World) -> None:
        """If an operator has ended the run, a repair looks at the gateway in its place."""
        payment = await api.shop.pay("pm_requires_action")
        world.gateway.becomes(payment["id"], "succeeded")
        await world.client.get_workflow_handle(payment["id"]).terminate()

        answer = await send(api, an_event(payment))

        assert (200, "repair_nudged") == (answer.status_code, answer.json()["result"])
        assert "succeeded" == (await ended(world, repair_id(payment["id"]))).status

    async def test_a_parked_payments_repair_is_told(self, api: Api, world: World) -> None:
        """A payment that needs an operator has a run of its own, which hears the news."""
        payment = await api.shop.pay("pm_mismatch")
        world.gateway.becomes(payment["id"], "canceled")

        answer = await send(api, an_event(payment, type="payment_intent.canceled"))

        assert (200, "repair_nudged") == (answer.status_code, answer.json()["result"])
        assert "canceled" == (await ended(world, repair_id(payment["id"]))).status

    async def test_money_after_the_end_is_looked_into(self, api: Api, world: World) -> None:
        """The payment was canceled, and then money moved at the gateway: a person decides."""
        payment = await api.shop.pay("pm_requires_action")
        await api.shop.post(f"/payments/{payment['id']}/cancel", {})
        world.gateway.becomes(payment["id"], "succeeded")

        answer = await send(api, an_event(payment))

        assert (200, "repair_nudged") == (answer.status_code, answer.json()["result"])
        assert "late_money" == (await until(api, payment["id"], "needs_operator"))["reason"]

    async def test_while_its_own_call_is_under_way_it_is_kept_for_later(
        self, api: Api, impatient: Api, world: World
    ) -> None:
        """It came before our own answer, which tells the same: it is owed, and never dropped."""
        world.gateway.released.clear()
        payment = await impatient.shop.pay("pm_slow")
        event = an_event(payment)
        event["data"]["object"]["id"] = f"pi_{payment['id'].removeprefix('pay_')}"

        answer = await send(api, event)

        row = await stored(world, event["id"])
        world.gateway.released.set()
        assert (200, "kept_for_later") == (answer.status_code, answer.json()["result"])
        assert row is not None
        assert not row.processed

    @pytest.mark.parametrize(
        ("changes", "about", "flag"),
        [
            ({"livemode": True}, {}, "other_mode"),
            ({"account": "acct_other"}, {}, "other_account"),
            ({}, {"amount": 1251, "currency": "eur"}, "other_amount"),
            ({}, {"amount": 1250, "currency": "usd"}, "other_currency"),
            ({}, {"id": "pi_other"}, "other_intent"),
        ],
    )
    async def test_what_is_not_ours_is_flagged(
        self,
        api: Api,
        world: World,
        changes: dict[str, Any],
        about: dict[str, Any],
        flag: str,
    ) -> None:
        """Other money, another account or another mode than ours: kept, shown, without effect."""
        payment = await api.shop.pay("pm_requires_action")
        world.gateway.becomes(payment["id"], "succeeded")
        event = an_event(payment, **changes)
        event["data"]["object"] |= {"object": "payment_intent", **about}

        answer = await send(api, event)

        row = await stored(world, event["id"])
        unmoved = await api.shop.get(f"/payments/{payment['id']}")
        assert (200, flag) == (answer.status_code, answer.json()["result"])
        assert row is not None
        assert (flag, True, None) == (row.result, row.processed, row.run_id)
        assert "requires_action" == unmoved.json()["status"]

    @pytest.mark.parametrize(
        "data",
        [
            {"object": {"id": "pi_of_somebody", "metadata": {"payment_id": "pay_of_somebody"}}},
            {"object": {"id": None, "metadata": None}},
            {"object": {"id": 17, "metadata": ["payment_id"], "payment_intent": {"id": "pi_1"}}},
            {"object": {"metadata": {"payment_id": 17}}},
            {"object": {"id": "\u0000", "metadata": {"payment_id": "pay_\u0000"}}},
            {"object": {}},
            {},
        ],
    )
    async def test_unknown_objects_are_kept(
        self, api: Api, world: World, data: dict[str, Any]
    ) -> None:
        """What is not ours, or not as we know it, is kept and answered 200."""
        event = an_event(data=data)

        answer = await send(api, event)

        assert (200, "unknown_payment") == (answer.status_code, answer.json()["result"])
        assert await stored(world, event["id"])


async def until(api: Api, payment_id: str, status: str) -> dict[str, Any]:
    """The payment, once it stands so."""
    async with asyncio.timeout(20):
        while True:
            payment = dict((await api.shop.get(f"/payments/{payment_id}")).json())
            if payment["status"] == status:
                return payment
            await asyncio.sleep(0.02)


def a_lost_refund(payment: dict[str, Any]) -> dict[str, Any]:
    """What Stripe sends when a refund comes to nothing, days after it was accepted."""
    about = {
        "id": f"re_{time.time_ns()}",
        "object": "refund",
        "status": "failed",
        "payment_intent": payment["gateway_payment_intent_id"],
        "metadata": {},
    }
    return an_event(type="refund.failed", data={"object": about})


class TestLostRefund:
    async def test_after_the_run_it_is_looked_into(self, api: Api, world: World) -> None:
        """Money that does not arrive is never forgotten: a repair compares the refunds."""
        payment = await api.shop.pay("pm_succeeded")
        event = a_lost_refund(payment)

        answer = await send(api, event)

        row = await stored(world, event["id"])
        run = repair_id(payment["id"])
        assert (200, "repair_nudged") == (answer.status_code, answer.json()["result"])
        assert row is not None
        assert (True, payment["id"], run) == (row.processed, row.payment_id, row.run_id)
        assert "succeeded" == (await ended(world, run)).status

    async def test_another_environments_is_not_ours(self, api: Api) -> None:
        """It is the other environment's to tell its people."""
        payment = await api.shop.pay("pm_succeeded")
        event = a_lost_refund(payment)
        event["data"]["object"]["metadata"]["environment"] = "staging"

        answer = await send(api, event)

        assert (200, "other_environment") == (answer.status_code, answer.json()["result"])


class TestRefused:
    @pytest.mark.parametrize(
        ("secret", "at"), [("whsec_forged", 0), ("whsec_new", -301), ("whsec_new", 62)]
    )
    async def test_a_bad_signature_is_401_and_nothing_is_kept(
        self, api: Api, world: World, secret: str, at: int
    ) -> None:
        """Forged, stale and from the future alike."""
        event = an_event()
        header = signature(json.dumps(event).encode(), secret, time.time() + at)

        answer = await send(api, event, header=header)

        assert (401, "invalid_signature") == (answer.status_code, answer.json()["code"])
        assert await stored(world, event["id"]) is None

    async def test_the_old_secret_is_taken(self, api: Api) -> None:
        """While secrets change, nothing is lost."""
        answer = await send(api, an_event(), secret="whsec_old")

        assert 200 == answer.status_code

    async def test_a_changed_byte_is_401(self, api: Api) -> None:
        """What was signed is what counts."""
        event = an_event()
        header = signature(json.dumps(event).encode())

        answer = await send(api, event | {"livemode": True}, header=header)

        assert 401 == answer.status_code

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"no json",
            b"[]",
            b"{}",
            b'{"id": "", "type": "a.b"}',
            b'{"id": "evt 1", "type": "a.b"}',
            b'{"id": "evt_1"}',
            b"\xff\xfe",
            b"[" * 10_000,
        ],
    )
    async def test_no_event_is_400(self, api: Api, body: bytes) -> None:
        """Signed, but not an event: our endpoint is wrongly used."""
        answer = await send(api, body)

        assert (400, "not_an_event") == (answer.status_code, answer.json()["code"])

    async def test_256_kb_are_taken_and_no_more(self, api: Api) -> None:
        """An event has a size that is known; more is not even read."""
        event = an_event(data={"object": {"id": "x", "filler": ""}})
        room = 256 * 1024 - len(json.dumps(event))
        event["data"]["object"]["filler"] = "a" * room
        fits = await send(api, event)
        event["data"]["object"]["filler"] += "a"

        too_large = await send(api, event)

        assert (200, 413) == (fits.status_code, too_large.status_code)

    async def test_while_the_database_is_down_it_is_503(self, world: World) -> None:
        """Stripe sends again what was not kept."""
        settings = world.settings.model_copy(
            update={"database_url": "sqlite:////nowhere/paysaga.db"}
        )
        async with serving(settings) as api:
            answer = await send(api, an_event())

        assert (503, "database_unavailable") == (answer.status_code, answer.json()["code"])

    async def test_while_temporal_is_down_it_is_503_and_comes_again(
        self, api: Api, world: World
    ) -> None:
        """An event whose nudge failed is kept as owed; its copy is let through."""
        payment = await api.shop.pay("pm_requires_action")
        world.gateway.becomes(payment["id"], "succeeded")
        event = an_event(payment)
        settings = world.settings.model_copy(update={"temporal_address": "127.0.0.1:9"})
        async with serving(settings) as lonely:
            down = await send(lonely, event)
        owed = await stored(world, event["id"])

        again = await send(api, event)

        assert (503, "temporal_unavailable") == (down.status_code, down.json()["code"])
        assert owed is not None
        assert (False, "Temporal did not answer") == (owed.processed, owed.error)
        assert (200, "nudged") == (again.status_code, again.json()["result"])
        assert "succeeded" == (await ended(world, payment["id"])).status
