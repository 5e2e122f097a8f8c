import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from paysaga.tokens import Role
from tests.api.world import Api, World, a_customer, an_order, ended


async def held(api: Api, **more: Any) -> dict[str, Any]:
    """A payment whose money is held."""
    return await api.shop.pay("pm_requires_capture", capture_method="manual", **more)


class TestCapture:
    async def test_a_hold_is_told(self, api: Api) -> None:
        """How much is held, and until when it may be captured."""
        payment = await held(api)

        assert ("authorized", "manual") == (payment["status"], payment["capture_method"])
        assert (1250, 0) == (payment["amount_authorized"], payment["amount_captured"])
        assert payment["capture_until"] > payment["updated_at"]
        await api.shop.post(f"/payments/{payment['id']}/cancel")

    async def test_all_of_it(self, api: Api, world: World) -> None:
        """Without a body everything is captured."""
        payment = await held(api)

        answer = await api.shop.post(f"/payments/{payment['id']}/capture")

        told = answer.json()
        assert (200, "succeeded", 1250) == (
            answer.status_code,
            told["status"],
            told["amount_captured"],
        )
        assert 1250 == (await ended(world, payment["id"])).amount_captured

    async def test_a_part_of_it(self, api: Api) -> None:
        """What was asked for is captured; the rest was never taken."""
        payment = await held(api)

        answer = await api.shop.post(f"/payments/{payment['id']}/capture", {"amount": 1000})

        told = answer.json()
        assert (1250, 1250, 1000) == (
            told["amount"],
            told["amount_authorized"],
            told["amount_captured"],
        )

    async def test_a_repeat_is_the_same_capture(self, api: Api, world: World) -> None:
        """Twenty at once and one later, with one key: one capture, and everybody hears of it."""
        payment = await held(api)
        path = f"/payments/{payment['id']}/capture"

        answers = await asyncio.gather(
            *(api.shop.post(path, {"amount": 500}, key="once") for _ in range(20))
        )
        answers.append(await api.shop.post(path, {"amount": 500}, key="once"))

        intent = payment["gateway_payment_intent_id"]
        assert {(200, 500)} == {
            (answer.status_code, answer.json()["amount_captured"]) for answer in answers
        }
        assert 1 == world.gateway.calls.count(("capture", intent))

    async def test_a_key_has_one_body(self, api: Api) -> None:
        """The same key with another amount is refused."""
        payment = await held(api)
        path = f"/payments/{payment['id']}/capture"
        await api.shop.post(path, {"amount": 500}, key="once")

        answer = await api.shop.post(path, {"amount": 600}, key="once")

        assert (409, "idempotency_key_reused") == (answer.status_code, answer.json()["code"])

    async def test_a_hold_is_captured_once(self, api: Api) -> None:
        """A second capture is refused, and told how the payment stands."""
        payment = await held(api)
        path = f"/payments/{payment['id']}/capture"
        await api.shop.post(path, {"amount": 500})

        answer = await api.shop.post(path, {"amount": 500})

        told = answer.json()
        assert (409, "not_capturable") == (answer.status_code, told["code"])
        assert 500 == told["payment"]["amount_captured"]

    async def test_more_than_is_held_names_the_field(self, api: Api) -> None:
        """The amount is wrong, and nothing has happened."""
        payment = await held(api)

        answer = await api.shop.post(f"/payments/{payment['id']}/capture", {"amount": 1251})

        now = (await api.shop.get(f"/payments/{payment['id']}")).json()
        assert (422, "amount") == (answer.status_code, answer.json()["errors"][0]["field"])
        assert payment == now
        await api.shop.post(f"/payments/{payment['id']}/cancel")

    async def test_what_is_not_held_is_not_captured(self, api: Api) -> None:
        """A payment that was captured at once has nothing left."""
        payment = await api.shop.pay()

        answer = await api.shop.post(f"/payments/{payment['id']}/capture")

        assert (409, "not_capturable") == (answer.status_code, answer.json()["code"])

    async def test_the_customer_does_not_capture(self, api: Api) -> None:
        """Taking the money is the shop's decision; letting it go may be the customer's."""
        payment = await held(api)
        customer = api.as_(Role.CUSTOMER, payment["customer_id"])

        capture = await customer.post(f"/payments/{payment['id']}/capture")
        cancel = await customer.post(f"/payments/{payment['id']}/cancel")

        assert (403, 200) == (capture.status_code, cancel.status_code)

    async def test_of_capture_and_cancel_one_wins(self, api: Api) -> None:
        """Sent together: one is done, and the other gets a 409 with a code of its own."""
        payment = await held(api)
        path = f"/payments/{payment['id']}"

        capture, cancel = await asyncio.gather(
            api.shop.post(f"{path}/capture"), api.shop.post(f"{path}/cancel")
        )

        now = (await api.shop.get(path)).json()
        if now["status"] == "succeeded":
            assert (200, 409) == (capture.status_code, cancel.status_code)
            assert cancel.json()["code"] in {"not_cancelable", "already_succeeded"}
        else:
            assert (409, 200) == (capture.status_code, cancel.status_code)
            assert "not_capturable" == capture.json()["code"]


def a_hold(until: datetime, **more: Any) -> dict[str, Any]:
    return an_order(
        payment_method_id="pm_requires_capture",
        capture_method="manual",
        renew_hold_until=until.isoformat(),
        **more,
    )


class TestRenewal:
    async def test_a_saved_method_may_be_held_longer(self, api: Api) -> None:
        """The shop says until when; the answer tells it."""
        until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
        method = await api.shop.save("pm_requires_capture__saved", customer_id=a_customer())
        body = a_hold(until, customer_id=method["customer_id"])

        answer = await api.shop.post("/payments", body | {"payment_method_id": method["id"]})

        told = answer.json()
        assert (201, "authorized") == (answer.status_code, told["status"]), answer.text
        assert until == datetime.fromisoformat(told["renew_hold_until"])
        await api.shop.post(f"/payments/{told['id']}/cancel")

    async def test_a_method_that_is_not_saved_may_not(self, api: Api, world: World) -> None:
        """Nobody would be there to enter it again."""
        answer = await api.shop.post("/payments", a_hold(datetime.now(UTC) + timedelta(days=30)))

        assert 422 == answer.status_code
        assert ["payment_method_id"] == [error["field"] for error in answer.json()["errors"]]

    async def test_nor_may_another_attempt_with_one(self, api: Api) -> None:
        """After a decline, too, only a method that was saved will do."""
        until = datetime.now(UTC) + timedelta(days=30)
        saved = await api.shop.save("pm_stolen_card__saved", customer_id=a_customer())
        body = a_hold(until, customer_id=saved["customer_id"])
        declined = await api.shop.post("/payments", body | {"payment_method_id": saved["id"]})
        path = f"/payments/{declined.json()['payment']['id']}/retry"

        other = await api.shop.post(path, {"payment_method_id": "pm_requires_capture"})
        again = await api.shop.post(path, {"payment_method_id": saved["id"]})

        assert (422, ["payment_method_id"]) == (
            other.status_code,
            [error["field"] for error in other.json()["errors"]],
        )
        assert 402 == again.status_code

    @pytest.mark.parametrize("days", [-1, 91])
    async def test_within_90_days(self, api: Api, days: int) -> None:
        """Not in the past, and not for ever."""
        answer = await api.shop.post("/payments", a_hold(datetime.now(UTC) + timedelta(days=days)))

        assert 422 == answer.status_code
        assert ["renew_hold_until"] == [error["field"] for error in answer.json()["errors"]]

    @pytest.mark.parametrize(
        "wrong", [{"capture_method": "automatic"}, {"renew_hold_until": "2027-01-01T00:00:00"}]
    )
    async def test_only_a_hold_and_only_in_a_time_zone(
        self, api: Api, wrong: dict[str, str]
    ) -> None:
        """The error names the field."""
        body = a_hold(datetime.now(UTC) + timedelta(days=30)) | wrong

        answer = await api.shop.post("/payments", body)

        assert 422 == answer.status_code
        assert ["renew_hold_until"] == [error["field"] for error in answer.json()["errors"]]
