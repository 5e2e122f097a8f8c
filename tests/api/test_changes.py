import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from api.runs import Runs
from paysaga.database.reads import Reads
from paysaga.domain.payment import PaymentState
from paysaga.starting.calls import NoAnswerYet, NotTaken
from paysaga.tokens import Role
from tests.api.world import HOUR, Api, World, a_customer, an_order, ended, refreshes, serving
from tests.fakes import a_payment
from workflows.payment import PaymentWorkflow
from workflows.requests import CancelRequest


class LateReads(Reads):
    """Reads payments as they stand when their hold is just over."""

    def __init__(self, reads: Reads) -> None:
        super().__init__(reads._sessions)

    async def payment(self, payment_id: str) -> PaymentState | None:
        state = await super().payment(payment_id)
        return state and state.model_copy(update={"retry_until": datetime.now(UTC)})


class TiredRuns(Runs):
    """Runs that take no further look."""

    async def refresh(self, payment_id: str) -> PaymentState:
        raise NotTaken(payment_id)


class SlowRuns(Runs):
    """Runs whose answer comes just too late."""

    async def cancel(self, payment_id: str, request: CancelRequest) -> PaymentState:
        await super().cancel(payment_id, request)
        raise NoAnswerYet


class TestRetry:
    async def test_another_method_pays(self, api: Api) -> None:
        """After a decline the customer takes another card, and the same payment succeeds."""
        payment = await api.shop.pay("pm_insufficient_funds")

        answer = await api.shop.post(
            f"/payments/{payment['id']}/retry", {"payment_method_id": "pm_succeeded"}
        )

        told = answer.json()
        assert (200, "succeeded") == (answer.status_code, told["status"])
        assert (payment["id"], 2) == (told["id"], told["attempts_used"])

    async def test_without_a_body_it_is_the_last_method(self, api: Api, world: World) -> None:
        """A passing decline is tried again with the card that is known."""
        payment = await api.shop.pay("pm_try_again_later")

        answer = await api.shop.post(f"/payments/{payment['id']}/retry")

        assert (402, "try_again_later") == (answer.status_code, answer.json()["decline_code"])
        assert 2 == world.gateway.confirms(payment["id"])

    async def test_the_last_attempt_ends_the_payment(self, api: Api) -> None:
        """When the last attempt is declined there is none left, and the answer says so."""
        payment = await api.shop.pay("pm_expired_card")
        await api.shop.post(f"/payments/{payment['id']}/retry")

        last = await api.shop.post(f"/payments/{payment['id']}/retry")

        told = last.json()
        assert (402, 0) == (last.status_code, told["attempts_left"])
        assert "retry_until" not in told
        assert ("failed", "expired_card") == (told["payment"]["status"], told["decline_code"])
        assert told["detail"] == told["payment"]["message"]
        assert "no attempt left" in told["detail"]

    async def test_a_repeat_gets_the_payment_as_it_stands(self, api: Api, world: World) -> None:
        """The same key and body are one attempt, however often they are sent."""
        payment = await api.shop.pay("pm_insufficient_funds")
        path, body = f"/payments/{payment['id']}/retry", {"payment_method_id": "pm_lost_card"}
        await api.shop.post(path, body, key="retry-again")

        again = await api.shop.post(path, body, key="retry-again")

        assert (200, "true") == (again.status_code, again.headers["Idempotent-Replayed"])
        assert 2 == world.gateway.confirms(payment["id"])

    async def test_20_equal_requests_at_once_are_one_attempt(self, api: Api, world: World) -> None:
        """A button that is pressed too often tries once."""
        payment = await api.shop.pay("pm_insufficient_funds")
        path, body = f"/payments/{payment['id']}/retry", {"payment_method_id": "pm_succeeded"}

        answers = await asyncio.gather(
            *(api.shop.post(path, body, key="retry-twenty") for _ in range(20))
        )

        assert {200} == {answer.status_code for answer in answers}
        assert 2 == world.gateway.confirms(payment["id"])

    @pytest.mark.parametrize("body", [{"payment_method_id": "pm_lost_card"}, None])
    async def test_a_key_of_another_request_is_409(
        self, api: Api, body: dict[str, Any] | None
    ) -> None:
        """Neither another body nor another operation takes a key over."""
        payment = await api.shop.pay("pm_insufficient_funds")
        await api.shop.post(
            f"/payments/{payment['id']}/retry",
            {"payment_method_id": "pm_expired_card"},
            key="retry-taken",
        )
        path = "retry" if body else "cancel"

        answer = await api.shop.post(f"/payments/{payment['id']}/{path}", body, key="retry-taken")

        assert (409, "idempotency_key_reused") == (answer.status_code, answer.json()["code"])

    async def test_the_key_that_started_the_payment_is_taken(self, api: Api) -> None:
        """A key is one request of the payment's whole life."""
        answer = await api.shop.post(
            "/payments", an_order(payment_method_id="pm_lost_card"), key="start-and-retry"
        )
        payment_id = answer.json()["payment"]["id"]

        again = await api.shop.post(f"/payments/{payment_id}/retry", key="start-and-retry")

        assert (409, "idempotency_key_reused") == (again.status_code, again.json()["code"])

    @pytest.mark.parametrize("method", ["pm_succeeded", "pm_requires_action", "pm_processing"])
    async def test_a_payment_that_does_not_wait_for_it_is_409(
        self, api: Api, world: World, method: str
    ) -> None:
        """A retry that cannot be is refused with the payment as it stands, and asks nobody."""
        payment = await api.shop.pay(method)

        answer = await api.shop.post(f"/payments/{payment['id']}/retry")

        assert (409, "not_retryable") == (answer.status_code, answer.json()["code"])
        assert payment == answer.json()["payment"]
        assert 1 == world.gateway.confirms(payment["id"])

    async def test_an_attempt_that_is_still_open_says_what_to_do(self, api: Api) -> None:
        """The customer is at a page: there they pay, or the payment is canceled first."""
        payment = await api.shop.pay("pm_requires_action")

        answer = await api.shop.post(f"/payments/{payment['id']}/retry")

        assert "next_action.url" in answer.json()["detail"]

    async def test_two_different_retries_at_once_are_one_attempt(
        self, api: Api, world: World
    ) -> None:
        """The run takes one request at a time; the other hears that it came too late."""
        payment = await api.shop.pay("pm_insufficient_funds")
        path, body = f"/payments/{payment['id']}/retry", {"payment_method_id": "pm_succeeded"}

        answers = await asyncio.gather(*(api.shop.post(path, body) for _ in range(2)))

        assert [200, 409] == sorted(answer.status_code for answer in answers)
        assert 2 == world.gateway.confirms(payment["id"])

    async def test_a_slow_gateway_is_202(self, api: Api, impatient: Api, world: World) -> None:
        """Who does not get the outcome in time gets the payment as it stands."""
        payment = await api.shop.pay("pm_insufficient_funds")
        world.gateway.released.clear()

        answer = await impatient.shop.post(
            f"/payments/{payment['id']}/retry", {"payment_method_id": "pm_slow"}
        )

        world.gateway.released.set()
        assert (202, "processing") == (answer.status_code, answer.json()["status"])
        assert "succeeded" == (await ended(world, payment["id"])).status

    async def test_a_run_that_is_gone_leaves_the_row_to_answer(
        self, api: Api, world: World
    ) -> None:
        """If an operator has ended the run, a retry is refused, not broken."""
        payment = await api.shop.pay("pm_insufficient_funds")
        await world.client.get_workflow_handle(payment["id"]).terminate()

        answer = await api.shop.post(f"/payments/{payment['id']}/retry")

        assert (409, "not_retryable") == (answer.status_code, answer.json()["code"])

    async def test_after_the_hold_it_is_409(self, api: Api, world: World) -> None:
        """The order is not kept any longer: nothing reaches the run."""
        payment = await api.shop.pay("pm_insufficient_funds")
        async with serving(world.settings) as later:
            here = later.app.state.connections
            later.app.state.connections = replace(here, reads=LateReads(here.reads))

            answer = await later.shop.post(f"/payments/{payment['id']}/retry")

        assert (409, "not_retryable") == (answer.status_code, answer.json()["code"])
        assert 1 == world.gateway.confirms(payment["id"])

    async def test_a_wrong_method_is_422(self, api: Api) -> None:
        """The body is checked as strictly as the first one."""
        payment = await api.shop.pay("pm_insufficient_funds")

        answer = await api.shop.post(
            f"/payments/{payment['id']}/retry", {"payment_method_id": "visa", "more": 1}
        )

        assert 422 == answer.status_code
        assert {"payment_method_id", "more"} == {
            error["field"] for error in answer.json()["errors"]
        }

    async def test_by_the_order_it_is_the_same(self, api: Api) -> None:
        """The shop needs to know nothing but its own order."""
        payment = await api.shop.pay("pm_insufficient_funds")

        answer = await api.shop.post(
            f"/orders/{payment['order_id']}/payment/retry", {"payment_method_id": "pm_succeeded"}
        )

        assert (200, payment["id"]) == (answer.status_code, answer.json()["id"])


class TestCancel:
    async def test_an_open_payment_is_given_up(self, api: Api) -> None:
        """What did not move will not move."""
        payment = await api.shop.pay("pm_requires_action")

        answer = await api.shop.post(f"/payments/{payment['id']}/cancel")

        told = answer.json()
        assert (200, "canceled") == (answer.status_code, told["status"])
        assert "cancel_requested" == told["reason"]
        assert "not been charged" in told["message"]

    async def test_a_repeat_gets_the_payment_as_it_stands(self, api: Api) -> None:
        """The same key is one request."""
        payment = await api.shop.pay("pm_requires_action")
        path = f"/payments/{payment['id']}/cancel"
        first = await api.shop.post(path, key="cancel-again")

        again = await api.shop.post(path, key="cancel-again")

        assert (200, "true") == (again.status_code, again.headers["Idempotent-Replayed"])
        assert first.json() == again.json()

    async def test_what_is_canceled_stays_so(self, api: Api) -> None:
        """Somebody else was faster: the wish is fulfilled."""
        payment = await api.shop.pay("pm_requires_action")
        path = f"/payments/{payment['id']}/cancel"
        await api.shop.post(path)

        answer = await api.shop.post(path)

        assert (200, "canceled") == (answer.status_code, answer.json()["status"])

    async def test_money_that_moved_is_409(self, api: Api) -> None:
        """A payment that has succeeded is not canceled but refunded."""
        payment = await api.shop.pay("pm_succeeded")

        answer = await api.shop.post(f"/payments/{payment['id']}/cancel")

        assert (409, "already_succeeded") == (answer.status_code, answer.json()["code"])
        assert payment == answer.json()["payment"]

    async def test_money_that_moved_unseen_is_409(self, api: Api, world: World) -> None:
        """If the cancel finds that the customer has paid meanwhile, the truth wins."""
        payment = await api.shop.pay("pm_requires_action")
        world.gateway.becomes(payment["id"], "succeeded")

        answer = await api.shop.post(f"/payments/{payment['id']}/cancel")

        assert (409, "already_succeeded") == (answer.status_code, answer.json()["code"])
        assert "succeeded" == answer.json()["payment"]["status"]

    async def test_what_a_person_must_look_at_is_409(self, api: Api) -> None:
        """While nobody knows what happened, a cancel would be a guess."""
        payment = await api.shop.pay("pm_mismatch")

        answer = await api.shop.post(f"/payments/{payment['id']}/cancel")

        assert (409, "not_cancelable") == (answer.status_code, answer.json()["code"])

    @pytest.mark.parametrize("step", ["cancel", "retry"])
    async def test_what_nobody_has_taken_is_not_promised(
        self, impatient: Api, api: Api, world: World, step: str
    ) -> None:
        """Without a worker the run cannot accept a request, and the server may forget it: 503.

        The repeat with the same key, when a worker is back, is the request.
        """
        payment = await api.shop.pay(
            "pm_requires_action" if step == "cancel" else "pm_insufficient_funds"
        )
        await world.client.get_workflow_handle(payment["id"]).terminate()
        await world.client.start_workflow(
            PaymentWorkflow.run, a_payment(payment["id"]), id=payment["id"], task_queue="nobody"
        )

        answer = await impatient.shop.post(f"/payments/{payment['id']}/{step}", key=f"{step}-lost")

        assert (503, "temporal_unavailable") == (answer.status_code, answer.json()["code"])
        assert answer.headers["Retry-After"]
        await world.client.get_workflow_handle(payment["id"]).terminate()

    async def test_a_key_of_a_request_under_way_is_not_for_another(
        self, ordered: Api, world: World
    ) -> None:
        """A retry waits for the shop, and is written nowhere yet: its key is no cancel's."""
        customer = a_customer()
        order_id = world.shop.has(f"busy-{customer}", customer)
        body = an_order(
            order_id=order_id,
            customer_id=customer,
            payment_method_id="pm_insufficient_funds",
            amount=None,
            currency=None,
        )
        declined = (await ordered.shop.post("/payments", body)).json()["payment"]
        hasty = world.settings.model_copy(update={"api_wait_seconds": 0.5})
        async with serving(hasty, world.shop.service, world.shop.http) as quick:
            world.shop.is_down = True
            retried = await quick.shop.post(f"/payments/{declined['id']}/retry", key="one-key")
            canceled = await quick.shop.post(f"/payments/{declined['id']}/cancel", key="one-key")
            world.shop.is_down = False

        assert 202 == retried.status_code
        assert (409, "idempotency_key_reused") == (
            canceled.status_code,
            canceled.json()["code"],
        )

    async def test_a_run_that_is_gone_takes_no_cancel(self, api: Api, world: World) -> None:
        """If an operator has ended the run, nobody would carry out what 202 promises."""
        payment = await api.shop.pay("pm_requires_action")
        await world.client.get_workflow_handle(payment["id"]).terminate()

        answer = await api.shop.post(f"/payments/{payment['id']}/cancel")

        assert (409, "not_cancelable") == (answer.status_code, answer.json()["code"])

    async def test_an_unknown_outcome_is_202(self, impatient: Api, api: Api, world: World) -> None:
        """While the gateway works on the money, nobody can say how a cancel ends."""
        payment = await api.shop.pay("pm_processing")
        world.gateway.released.clear()

        answer = await impatient.shop.post(f"/payments/{payment['id']}/cancel")

        assert (202, "processing") == (answer.status_code, answer.json()["status"])
        assert answer.headers["Location"]

    async def test_an_answer_that_comes_too_late_is_read(self, api: Api, world: World) -> None:
        """What the row says by then is the outcome: nobody is told to wait for what is known."""
        payment = await api.shop.pay("pm_requires_action")
        async with serving(world.settings) as slow:
            here = slow.app.state.connections
            slow.app.state.connections = replace(here, runs=SlowRuns(world.client, HOUR))

            answer = await slow.shop.post(f"/payments/{payment['id']}/cancel")

        assert (200, "canceled") == (answer.status_code, answer.json()["status"])

    async def test_a_key_is_needed(self, api: Api) -> None:
        """A cancel moves the state."""
        payment = await api.shop.pay("pm_requires_action")

        answer = await api.shop.post(f"/payments/{payment['id']}/cancel", key=None)

        assert (400, "idempotency_key_required") == (answer.status_code, answer.json()["code"])


class TestRefresh:
    async def test_it_looks_at_the_gateway(self, api: Api, world: World) -> None:
        """The customer is back from 3DS: the shop need not wait for the webhook."""
        payment = await api.shop.pay("pm_requires_action")
        world.gateway.becomes(payment["id"], "succeeded")

        answer = await api.shop.post(f"/payments/{payment['id']}/refresh", key=None)

        assert (200, "succeeded") == (answer.status_code, answer.json()["status"])

    async def test_a_final_payment_is_told_as_it_stands(self, api: Api, world: World) -> None:
        """Nobody is asked about what is over."""
        payment = await api.shop.pay("pm_succeeded")
        calls = len(world.gateway.calls)

        answer = await api.shop.post(f"/payments/{payment['id']}/refresh", key=None)

        assert (200, payment) == (answer.status_code, answer.json())
        assert calls == len(world.gateway.calls)

    async def test_a_run_that_is_gone_leaves_the_row_to_answer(
        self, api: Api, world: World
    ) -> None:
        """If an operator has ended the run, the payment is told as it stands."""
        payment = await api.shop.pay("pm_requires_action")
        await world.client.get_workflow_handle(payment["id"]).terminate()

        answer = await api.shop.post(f"/payments/{payment['id']}/refresh", key=None)

        assert (200, payment) == (answer.status_code, answer.json())

    @pytest.mark.parametrize("role", [Role.CUSTOMER, Role.SERVICE, Role.ADMIN])
    async def test_a_parked_payment_is_the_operators_to_decide(
        self, api: Api, world: World, role: Role
    ) -> None:
        """Whoever asks is told how it stands, and nothing is asked of its run."""
        payment = await api.shop.pay("pm_mismatch")
        caller = api.as_(role, payment["customer_id"] if role is Role.CUSTOMER else None)

        answer = await caller.post(f"/payments/{payment['id']}/refresh", key=None)

        assert (200, "needs_operator") == (answer.status_code, answer.json()["status"])
        assert 0 == await refreshes(world, payment["id"])

    async def test_a_pending_refund_is_looked_at(self, ordered: Api, world: World) -> None:
        """The payment is over, but its money is still on its way back."""
        customer = a_customer()
        order_id = world.shop.has(f"slow-{customer}", customer, refuses="confirm")
        world.gateway.refund_is_pending.clear()
        payment = await ordered.shop.pay(
            order_id=order_id, customer_id=customer, description="slow refund"
        )
        await world.gateway.refund_is_pending.wait()

        answer = await ordered.shop.post(f"/payments/{payment['id']}/refresh", key=None)

        told = answer.json()
        assert (200, "succeeded", 1250) == (
            answer.status_code,
            told["status"],
            told["amount_refund_pending"],
        )
        assert 1 == await refreshes(world, payment["id"])

    async def test_a_run_that_has_looked_often_enough_leaves_the_row_to_answer(
        self, api: Api, world: World
    ) -> None:
        """A run takes so many looks and no more: beyond, the payment is told as it stands."""
        payment = await api.shop.pay("pm_requires_action")
        async with serving(world.settings) as tired:
            here = tired.app.state.connections
            tired.app.state.connections = replace(here, runs=TiredRuns(world.client, HOUR))

            answer = await tired.shop.post(f"/payments/{payment['id']}/refresh", key=None)

        assert (200, payment) == (answer.status_code, answer.json())


class TestReturn:
    async def test_the_browser_goes_on_to_the_shop_with_our_id_only(
        self, api: Api, world: World
    ) -> None:
        """The gateway's words stay with us; the shop's own query stays as it was."""
        payment = await api.shop.pay("pm_requires_action")
        world.gateway.becomes(payment["id"], "succeeded")

        answer = await api.nobody.get(
            f"/payments/{payment['id']}/return",
            payment_intent="pi_1",
            payment_intent_client_secret="pi_1_secret_2",
        )

        assert 303 == answer.status_code
        expected = f"https://shop.example/thanks?basket=17&payment_id={payment['id']}"
        assert expected == answer.headers["Location"]
        assert "no-referrer" == answer.headers["Referrer-Policy"]

    async def test_a_stranger_asks_nothing_of_the_run(self, api: Api, world: World) -> None:
        """An address without a token must not make the run work, however often it is called."""
        payment = await api.shop.pay("pm_requires_action")
        run = world.client.get_workflow_handle(payment["id"])
        before = (await run.describe()).history_length

        for _ in range(20):
            await api.nobody.get(f"/payments/{payment['id']}/return")

        assert before == (await run.describe()).history_length

    @pytest.mark.parametrize(
        ("return_url", "start"),
        [
            ("https://shop.example", "https://shop.example/?payment_id="),
            ("https://shop.example/a?payment_id=x&b#c", "https://shop.example/a?b&payment_id="),
        ],
    )
    async def test_the_shops_address_is_kept(self, api: Api, return_url: str, start: str) -> None:
        """Whatever the shop's address looks like, it gets one payment_id: ours."""
        payment = await api.shop.pay("pm_succeeded", return_url=return_url)

        answer = await api.nobody.get(f"/payments/{payment['id']}/return")

        assert answer.headers["Location"].startswith(f"{start}{payment['id']}")

    @pytest.mark.parametrize("payment_id", ["pay_unknown", "pay_" + "a" * 26])
    async def test_an_unknown_payment_is_404(self, api: Api, payment_id: str) -> None:
        """There is nowhere to go on to."""
        answer = await api.nobody.get(f"/payments/{payment_id}/return")

        assert (404, "not_found") == (answer.status_code, answer.json()["code"])
