import asyncio
import hashlib
import hmac
import json
import time
from itertools import count
from typing import Any

import httpx
import pytest
from sqlmodel import col, select
from structlog.testing import capture_logs

from api import signatures
from api.refusals import BadSignature
from paysaga.database.engine import create_engine
from paysaga.database.tables import WebhookEventRow
from tests.api.world import Api, World, ended, serving

_events = count(1)


def an_event(payment: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """What Stripe sends when a payment's intent has succeeded."""
    about: dict[str, Any] = {"id": "pi_unknown", "object": "payment_intent", "metadata": {}}
    if payment is not None:
        about["id"] = payment["gateway_payment_intent_id"]
        about["metadata"] = {"payment_id": payment["id"], "environment": "test"}
    return {
        "id": f"evt_{next(_events)}_{time.time_ns()}",
        "object": "event",
        "api_version": "2026-10-28.endive",
        "created": int(time.time()),
        "type": "payment_intent.succeeded",
        "livemode": False,
        "data": {"object": about},
        **changes,
    }


def signature(body: bytes, secret: str = "whsec_new", at: float | None = None) -> str:
    moment = int(time.time() if at is None else at)
    digest = hmac.digest(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256)
    return f"t={moment},v1={digest.hex()}"


async def send(
    api: Api, event: object, *, secret: str = "whsec_new", header: str | None = None
) -> httpx.Response:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    sent = signature(body, secret) if header is None else header
    return await api.http.post("/webhooks/stripe", content=body, headers={"Stripe-Signature": sent})


async def stored(world: World, event_id: str) -> WebhookEventRow | None:
    engine = create_engine(world.settings.database_url)
    async with engine.connect() as connection:
        found = await connection.execute(
            select(WebhookEventRow).where(col(WebhookEventRow.id) == event_id)
        )
        row = found.mappings().one_or_none()
    await engine.dispose()
    return None if row is None else WebhookEventRow(**row)


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

        assert "not_waiting" == answer.json()["result"]

    async def test_another_environments_event_is_kept_only(self, api: Api) -> None:
        """Several environments may share one Stripe account."""
        payment = await api.shop.pay("pm_requires_action")
        event = an_event(payment)
        event["data"]["object"]["metadata"]["environment"] = "staging"

        answer = await send(api, event)

        assert (200, "other_environment") == (answer.status_code, answer.json()["result"])

    async def test_a_run_that_is_gone_is_no_trouble(self, api: Api, world: World) -> None:
        """If an operator has ended the run, nobody is there to be told."""
        payment = await api.shop.pay("pm_requires_action")
        await world.client.get_workflow_handle(payment["id"]).terminate()

        answer = await send(api, an_event(payment))

        assert (200, "no_run") == (answer.status_code, answer.json()["result"])

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


def a_lost_refund(
    payment: dict[str, Any], kind: str = "refund.failed", status: str = "failed"
) -> dict[str, Any]:
    """What Stripe sends when a refund comes to nothing, days after it was accepted."""
    about = {
        "id": f"re_{next(_events)}",
        "object": "refund",
        "status": status,
        "payment_intent": payment["gateway_payment_intent_id"],
        "metadata": {},
    }
    return an_event(type=kind, data={"object": about})


class TestLostRefund:
    @pytest.mark.parametrize(
        ("kind", "status"),
        [
            ("refund.failed", "failed"),
            ("refund.failed", "pending"),
            ("refund.updated", "failed"),
            ("charge.refund.updated", "failed"),
            ("refund.updated", "canceled"),
        ],
    )
    async def test_after_the_run_it_is_left_to_a_person(
        self, api: Api, world: World, kind: str, status: str
    ) -> None:
        """Money that does not arrive is never forgotten: it stays owed, and an error says so."""
        payment = await api.shop.pay("pm_succeeded")
        event = a_lost_refund(payment, kind, status)

        with capture_logs() as lines:
            answer = await send(api, event)

        row = await stored(world, event["id"])
        assert (200, "left_to_operator") == (answer.status_code, answer.json()["result"])
        assert row is not None
        assert (False, None) == (row.processed, row.result)
        assert row.error is not None
        assert row.error.startswith(f"{payment['id']}: a refund came to nothing")
        [error] = [line for line in lines if line["log_level"] == "error"]
        assert payment["id"] == error["payment_id"]
        assert "compare the refunds at the gateway" in error["event"]

    async def test_a_copy_is_taken_as_well(self, api: Api, world: World) -> None:
        """Stripe may send it again: it is still owed, and answered 200."""
        payment = await api.shop.pay("pm_succeeded")
        event = a_lost_refund(payment)
        await send(api, event)

        copies = await asyncio.gather(*(send(api, event) for _ in range(5)))

        row = await stored(world, event["id"])
        assert [(200, "left_to_operator")] * 5 == [
            (answer.status_code, answer.json()["result"]) for answer in copies
        ]
        assert row is not None
        assert not row.processed

    async def test_a_run_that_is_gone_does_not_hear_it(self, api: Api, world: World) -> None:
        """A payment that waits, without its run, is no better off."""
        payment = await api.shop.pay("pm_mismatch")
        await world.client.get_workflow_handle(payment["id"]).terminate()

        answer = await send(api, a_lost_refund(payment))

        assert (200, "left_to_operator") == (answer.status_code, answer.json()["result"])

    async def test_a_run_that_is_there_is_told(self, api: Api, world: World) -> None:
        """While the run waits it is the run's to find out what became of the refund."""
        payment = await api.shop.pay("pm_mismatch")
        event = a_lost_refund(payment)

        answer = await send(api, event)

        row = await stored(world, event["id"])
        assert (200, "nudged") == (answer.status_code, answer.json()["result"])
        assert row is not None
        assert row.processed

    @pytest.mark.parametrize("kind", ["refund.updated", "charge.refund.updated"])
    async def test_a_refund_that_goes_well_is_no_news(self, api: Api, kind: str) -> None:
        """What arrives is what everybody expects."""
        payment = await api.shop.pay("pm_succeeded")

        answer = await send(api, a_lost_refund(payment, kind, "succeeded"))

        assert (200, "not_waiting") == (answer.status_code, answer.json()["result"])

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
