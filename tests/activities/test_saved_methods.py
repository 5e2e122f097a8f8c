"""What we ask of the gateway for saved methods, over real HTTP against the simulator."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
import stripe
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.errors import Trouble
from activities.method_orders import CancelSetUpOrder, DetachOrder, SetUpOrder
from activities.saved_methods import MethodCalls
from paysaga.domain.saved_method import AttachedMethod, Setup, SetupStatus
from tests.activities.told import Told
from tests.simulated import Simulated, gateway

S = SetupStatus
NEEDS_3DS = "pm_card_authenticationRequired"


class Desk:
    """The activities as a worker would run them, for one method."""

    def __init__(self, simulated: Simulated) -> None:
        self.simulated = simulated
        self.calls = MethodCalls(simulated.client)
        self.method_id = f"mtd_{uuid4().hex}"

    async def set_up(self, token: str = "pm_card_visa", **changes: Any) -> Setup:
        return await ActivityEnvironment().run(
            self.calls.set_up_method, self.order(token, **changes)
        )

    def order(self, token: str = "pm_card_visa", **changes: Any) -> SetUpOrder:
        facts: dict[str, Any] = {
            "method_id": self.method_id,
            "customer_id": f"cst_{self.method_id}",
            "gateway_customer_id": None,
            "token": token,
            "return_url": "https://pay.example/return",
            "environment": "test",
            "correlation_id": "c",
            "ordered_at": datetime.now(UTC),
            **changes,
        }
        return SetUpOrder.model_validate(facts)

    async def look(self, setup: Setup) -> Setup:
        return await ActivityEnvironment().run(self.calls.retrieve_set_up, setup.id or "")

    async def cancel(self, setup: Setup, generation: int = 0) -> Setup:
        order = CancelSetUpOrder(
            method_id=self.method_id, setup_id=setup.id or "", generation=generation
        )
        return await ActivityEnvironment().run(self.calls.cancel_set_up, order)

    async def detach(self, gateway_method_id: str, generation: int = 0) -> AttachedMethod:
        order = DetachOrder(
            method_id=self.method_id, gateway_method_id=gateway_method_id, generation=generation
        )
        return await ActivityEnvironment().run(self.calls.detach_method, order)

    async def card(self, gateway_method_id: str | None) -> AttachedMethod:
        return await ActivityEnvironment().run(self.calls.retrieve_method, gateway_method_id or "")

    async def made(self) -> list[str]:
        """The SetupIntents that the gateway has of this method."""
        listed = await self.simulated.client.v1.setup_intents.list_async({"limit": 100})
        return [
            setup.id
            for setup in listed.data
            if setup.metadata and setup.metadata.to_dict().get("method_id") == self.method_id
        ]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def simulated(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Simulated]:
    directory: Path = tmp_path_factory.mktemp("simulator")
    async with gateway(directory) as running:
        yield running


@pytest.fixture
def desk(simulated: Simulated) -> Desk:
    return Desk(simulated)


class TestSetUp:
    @pytest.mark.stripe
    async def test_good_card_is_saved_with_its_customer(self, desk: Desk) -> None:
        """The answer names the gateway's method and customer, and shows the card."""
        setup = await desk.set_up()

        card = await desk.card(setup.method_id)
        assert S.SUCCEEDED is setup.status
        assert setup.facts is not None
        assert ("card", "visa", "4242") == (
            setup.facts.kind,
            setup.facts.brand,
            setup.facts.last4,
        )
        assert setup.facts.exp_month is not None
        assert setup.facts.fingerprint is not None
        assert (setup.customer_id, setup.facts) == (card.customer_id, card.facts)
        assert setup.customer_id is not None

    @pytest.mark.stripe
    async def test_it_leads_back_to_us(self, desk: Desk, simulated: Simulated) -> None:
        """Our ids are on the gateway's object, for its webhooks and for our own searches."""
        setup = await desk.set_up()

        made = await simulated.client.v1.setup_intents.retrieve_async(setup.id or "")
        marks = made.metadata.to_dict() if made.metadata else {}
        assert (desk.method_id, f"cst_{desk.method_id}", "test") == (
            marks["method_id"],
            marks["customer_id"],
            marks["environment"],
        )
        assert "off_session" == made.usage

    @pytest.mark.stripe
    async def test_repeat_is_the_same(self, desk: Desk) -> None:
        """However often the step runs, there is one SetupIntent and one saved card."""
        first = await desk.set_up()

        again = await desk.set_up(is_repeat=True)

        assert first == again
        assert [first.id] == await desk.made()

    @pytest.mark.parametrize(
        ("token", "code"),
        [
            ("pm_card_chargeDeclinedExpiredCard", "expired_card"),
            ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
            ("pm_card_visa_chargeDeclinedLostCard", "generic_decline"),
        ],
    )
    async def test_decline_is_an_answer(self, desk: Desk, token: str, code: str) -> None:
        """A card that the bank refuses is not saved, and the answer says why."""
        setup = await desk.set_up(token)

        assert S.REQUIRES_PAYMENT_METHOD is setup.status
        assert setup.decline is not None
        assert code == setup.decline.code

    async def test_decline_is_heard_again(self, desk: Desk) -> None:
        """The repeat of a call whose decline was lost tells the same."""
        first = await desk.set_up("pm_card_chargeDeclined")

        assert first == await desk.set_up("pm_card_chargeDeclined", is_repeat=True)

    async def test_unknown_token_is_the_customers_to_change(self, desk: Desk) -> None:
        """A method that there is not, or that is somebody else's, is a decline of ours."""
        other = Desk(desk.simulated)
        theirs = await other.set_up()

        for token in ("pm_1unknown", theirs.method_id or ""):
            setup = await Desk(desk.simulated).set_up(token)
            assert setup.decline is not None
            assert (None, "payment_method_invalid") == (setup.id, setup.decline.code)

    async def test_customer_deleted_at_the_gateway_gets_another(
        self, desk: Desk, simulated: Simulated
    ) -> None:
        """The customer that we remember is gone: the card is saved with a new one."""
        gone = await simulated.client.v1.customers.create_async({})
        await simulated.client.v1.customers.delete_async(gone.id)

        setup = await desk.set_up(gateway_customer_id=gone.id)
        again = await desk.set_up(gateway_customer_id=gone.id, generation=1)

        assert setup == again
        assert setup.customer_id not in {None, gone.id}

    async def test_what_the_gateway_refuses_is_told(self, desk: Desk) -> None:
        """A refusal that is not about the method is no answer for the customer."""
        calls = MethodCalls(
            stripe.StripeClient(
                "sk_test_1",
                http_client=Told(
                    (400, {"error": {"type": "invalid_request_error", "param": "usage"}})
                ),
            )
        )

        with pytest.raises(ApplicationError) as refused:
            await ActivityEnvironment().run(
                calls.set_up_method, desk.order(gateway_customer_id="cus_1")
            )

        assert Trouble.REFUSED == refused.value.type


class TestUnknownOutcome:
    async def test_lost_reply_leaves_one(self, desk: Desk, simulated: Simulated) -> None:
        """The card was saved and the answer lost: the repeat finds it under the same key."""
        await simulated.arm("setup_intents.create", "effect_reply_lost")

        with pytest.raises(ApplicationError) as lost:
            await desk.set_up()
        setup = await desk.set_up(is_repeat=True)

        assert Trouble.UNREACHABLE == lost.value.type
        assert (S.SUCCEEDED, [setup.id]) == (setup.status, await desk.made())

    @pytest.mark.parametrize("effect", [True, False])
    @pytest.mark.parametrize("is_known", [True, False])
    async def test_sticky_error_is_looked_behind(
        self, desk: Desk, simulated: Simulated, *, effect: bool, is_known: bool
    ) -> None:
        """With the next key there is one SetupIntent, whether the 500 had its effect or not."""
        customer = None
        if is_known:
            customer = (await simulated.client.v1.customers.create_async({})).id
        await simulated.arm("setup_intents.create", "sticky_500", effect=effect)

        with pytest.raises(ApplicationError) as sticky:
            await desk.set_up(gateway_customer_id=customer)
        setup = await desk.set_up(gateway_customer_id=customer, generation=1, is_repeat=True)

        assert Trouble.STICKY == sticky.value.type
        assert (S.SUCCEEDED, [setup.id]) == (setup.status, await desk.made())

    async def test_a_customers_spent_key_is_told_apart(
        self, desk: Desk, simulated: Simulated
    ) -> None:
        """The SetupIntent was never asked for: its key stays."""
        await simulated.arm("customers.create", "sticky_500", effect=True)

        with pytest.raises(ApplicationError) as sticky:
            await desk.set_up()
        setup = await desk.set_up(customer_generation=1)

        assert Trouble.STICKY_CUSTOMER == sticky.value.type
        assert [setup.id] == await desk.made()

    @pytest.mark.parametrize(
        ("token", "status"),
        [("pm_card_visa", S.SUCCEEDED), ("pm_card_chargeDeclined", S.REQUIRES_PAYMENT_METHOD)],
    )
    async def test_what_was_made_and_not_confirmed_is_confirmed(
        self, desk: Desk, simulated: Simulated, token: str, status: SetupStatus
    ) -> None:
        """The gateway broke in the middle: the rest of the call is done, with the same object."""
        customer = await simulated.client.v1.customers.create_async({})
        made = await simulated.client.v1.setup_intents.create_async(
            {
                "customer": customer.id,
                "payment_method": token,
                "metadata": {"method_id": desk.method_id},
            }
        )

        setup = await desk.set_up(token, gateway_customer_id=customer.id, generation=1)

        assert (status, made.id) == (setup.status, setup.id)

    async def test_what_is_confirmed_meanwhile_is_looked_at(self, desk: Desk) -> None:
        """The first call was still at work and has saved the card: that is the answer."""
        page = {"object": "list", "url": "/v1/setup_intents", "has_more": False}
        made = a_setup("requires_confirmation") | {"metadata": {"method_id": desk.method_id}}
        told = Told(
            (200, page | {"data": [made]}),
            (400, refusal("setup_intent_unexpected_state")),
            (200, a_setup("succeeded")),
        )
        desk.calls = MethodCalls(stripe.StripeClient("sk_test_1", http_client=told))

        setup = await desk.set_up(gateway_customer_id="cus_1", generation=1)

        assert (S.SUCCEEDED, "seti_1") == (setup.status, setup.id)

    async def test_confirmation_that_is_refused_is_told(self, desk: Desk) -> None:
        """Any other refusal is one."""
        page = {"object": "list", "url": "/v1/setup_intents", "has_more": False}
        made = a_setup("requires_confirmation") | {"metadata": {"method_id": desk.method_id}}
        told = Told((200, page | {"data": [made]}), (400, refusal("something_else")))
        desk.calls = MethodCalls(stripe.StripeClient("sk_test_1", http_client=told))

        with pytest.raises(ApplicationError) as refused:
            await desk.set_up(gateway_customer_id="cus_1", generation=1)

        assert Trouble.REFUSED == refused.value.type

    async def test_search_of_a_whole_account_goes_on_where_it_was(self, desk: Desk) -> None:
        """Without a customer the account's list is read on from the place that was told."""
        page = {"object": "list", "url": "/v1/setup_intents", "has_more": False, "data": []}
        told = Told((200, page), (402, {"error": {"type": "card_error", "code": "expired_card"}}))
        calls = MethodCalls(stripe.StripeClient("sk_test_1", http_client=told))
        order = desk.order(generation=1, searched_to="seti_1000")

        with pytest.raises(ApplicationError):
            await ActivityEnvironment().run(calls.set_up_method, order)

        assert "seti_1000" == told.began_after[0]

    async def test_decline_without_an_object_is_an_answer(self, desk: Desk) -> None:
        """The card was refused before there was a SetupIntent."""
        told = Told((402, {"error": {"type": "card_error", "code": "expired_card"}}))
        calls = MethodCalls(stripe.StripeClient("sk_test_1", http_client=told))

        setup = await ActivityEnvironment().run(
            calls.set_up_method, desk.order(gateway_customer_id="cus_1")
        )

        assert setup.decline is not None
        assert (None, "expired_card") == (setup.id, setup.decline.code)


class TestAuthentication:
    async def waiting(self, desk: Desk) -> Setup:
        setup = await desk.set_up(NEEDS_3DS)
        assert S.REQUIRES_ACTION is setup.status
        assert setup.action_url is not None
        return setup

    async def test_finished_it_is_saved(self, desk: Desk, simulated: Simulated) -> None:
        """After the bank's page a look shows the saved card."""
        setup = await self.waiting(desk)
        await simulated.authenticate(setup.id or "", "authorize")

        done = await desk.look(setup)

        assert S.SUCCEEDED is done.status
        assert (await desk.card(done.method_id)).customer_id == setup.customer_id

    async def test_failed_it_is_a_decline(self, desk: Desk, simulated: Simulated) -> None:
        """A customer who did not confirm is told so, and the card is still shown."""
        setup = await self.waiting(desk)
        await simulated.authenticate(setup.id or "", "fail")

        done = await desk.look(setup)

        assert S.REQUIRES_PAYMENT_METHOD is done.status
        assert done.decline is not None
        assert "setup_intent_authentication_failure" == done.decline.code
        assert done.facts is not None

    @pytest.mark.stripe
    async def test_canceled_it_cannot_succeed_any_more(
        self, desk: Desk, simulated: Simulated
    ) -> None:
        """After the deadline the bank's page leads nowhere, and the card is not attached."""
        setup = await self.waiting(desk)

        closed = await desk.cancel(setup)
        again = await desk.cancel(setup)

        assert S.CANCELED is closed.status
        assert closed == again
        method = await simulated.client.v1.payment_methods.retrieve_async(setup.method_id or "")
        assert method.customer is None

    async def test_success_before_the_cancel_wins(self, desk: Desk, simulated: Simulated) -> None:
        """What was confirmed in the last moment is saved."""
        setup = await self.waiting(desk)
        await simulated.authenticate(setup.id or "", "authorize")

        assert S.SUCCEEDED is (await desk.cancel(setup)).status

    async def test_success_between_look_and_cancel_wins(self, desk: Desk) -> None:
        """The gateway refuses the cancel of what has come to its end: a look tells how."""
        waiting = a_setup("requires_action")
        told = Told(
            (200, waiting),
            (400, {"error": {"type": "x", "code": "setup_intent_unexpected_state"}}),
            (200, a_setup("succeeded")),
        )
        desk.calls = MethodCalls(stripe.StripeClient("sk_test_1", http_client=told))

        closed = await desk.cancel(Setup(id="seti_1", status=S.REQUIRES_ACTION))

        assert S.SUCCEEDED is closed.status

    @pytest.mark.parametrize(("status", "trouble"), [(400, Trouble.REFUSED), (500, Trouble.STICKY)])
    async def test_cancel_that_fails_is_told(
        self, desk: Desk, status: int, trouble: Trouble
    ) -> None:
        """Nobody takes it for a proof."""
        error = {"error": {"type": "invalid_request_error", "code": "something_else"}}
        told = Told((200, a_setup("requires_action")), (status, error))
        desk.calls = MethodCalls(stripe.StripeClient("sk_test_1", http_client=told))

        with pytest.raises(ApplicationError) as failed:
            await desk.cancel(Setup(id="seti_1", status=S.REQUIRES_ACTION))

        assert trouble == failed.value.type


class TestAfterwards:
    @pytest.mark.stripe
    async def test_detached_it_is_nobodys(self, desk: Desk) -> None:
        """The customer does not have it any more; a repeat finds it so."""
        setup = await desk.set_up()

        gone = await desk.detach(setup.method_id or "")
        again = await desk.detach(setup.method_id or "", generation=1)

        assert gone.customer_id is None
        assert gone == again == await desk.card(setup.method_id)

    async def test_what_the_gateway_does_not_know_is_detached(self, desk: Desk) -> None:
        """There is nothing to take away."""
        assert AttachedMethod(id="pm_1unknown") == await desk.detach("pm_1unknown")

    async def test_a_look_that_finds_nothing_proves_nothing(self, desk: Desk) -> None:
        """The key may be another account's: the customer keeps the card here."""
        with pytest.raises(ApplicationError) as failed:
            await desk.card("pm_1unknown")

        assert Trouble.REFUSED == failed.value.type

    async def test_lost_answer_is_asked_again(self, desk: Desk, simulated: Simulated) -> None:
        """The method was detached and the answer lost: the repeat finds it done."""
        setup = await desk.set_up()
        await simulated.arm("payment_methods.detach", "effect_reply_lost")

        with pytest.raises(ApplicationError) as lost:
            await desk.detach(setup.method_id or "")

        assert Trouble.UNREACHABLE == lost.value.type
        assert (await desk.detach(setup.method_id or "")).customer_id is None

    @pytest.mark.parametrize(
        ("answers", "is_done"),
        [
            ([(200, "cus_1"), (400, None), (200, None)], True),
            ([(200, "cus_1"), (400, None), (200, "cus_1")], False),
            ([(200, "cus_1"), (500, None)], False),
            ([(500, None)], False),
        ],
    )
    async def test_only_a_look_is_a_proof(
        self, desk: Desk, answers: list[tuple[int, str | None]], *, is_done: bool
    ) -> None:
        """An error of the gateway's says nothing of the method."""
        error = {"error": {"type": "invalid_request_error", "code": "something"}}
        told = Told(
            *[
                (status, a_method(customer) if status == httpx.codes.OK else error)
                for status, customer in answers
            ]
        )
        desk.calls = MethodCalls(stripe.StripeClient("sk_test_1", http_client=told))

        if is_done:
            assert (await desk.detach("pm_1")).customer_id is None
            return
        with pytest.raises(ApplicationError):
            await desk.detach("pm_1")

    async def test_card_updater_is_seen(self, desk: Desk, simulated: Simulated) -> None:
        """A look shows the card that the bank has sent meanwhile."""
        setup = await desk.set_up()
        answer = await simulated.control.post(
            f"/payment_methods/{setup.method_id}/automatic_update",
            json={"exp_month": 7, "exp_year": 2039, "last4": "9999"},
        )
        assert 200 == answer.status_code, answer.text

        card = await desk.card(setup.method_id)

        assert card.facts is not None
        assert ("9999", 7, 2039) == (card.facts.last4, card.facts.exp_month, card.facts.exp_year)
        assert card.customer_id == setup.customer_id


def refusal(code: str) -> dict[str, object]:
    return {"error": {"type": "invalid_request_error", "code": code}}


def a_setup(status: str) -> dict[str, object]:
    return {
        "id": "seti_1",
        "object": "setup_intent",
        "status": status,
        "customer": "cus_1",
        "payment_method": "pm_1",
        "last_setup_error": None,
        "next_action": None,
        "metadata": {},
    }


def a_method(customer: str | None) -> dict[str, object]:
    return {"id": "pm_1", "object": "payment_method", "type": "paypal", "customer": customer}
