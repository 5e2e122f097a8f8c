import asyncio
from contextlib import suppress

import pytest
from temporalio.client import WorkflowFailureError

from paysaga.tokens import Role
from tests.api.world import Api, World, a_customer, an_order, ended
from tests.simulator.support import until
from workflows import addresses


class TestFirstAnswer:
    async def test_a_paid_order_is_201_with_the_payment(self, api: Api, world: World) -> None:
        """A payment that succeeds at once is told whole, and where to find it again."""
        order = an_order(description="One book", metadata={"basket": "17"})

        answer = await api.shop.post("/payments", order)

        told = answer.json()
        assert 201 == answer.status_code
        assert told["links"]["self"] == answer.headers["Location"]
        assert f"https://pay.example/api/v1/payments/{told['id']}" == answer.headers["Location"]
        assert {
            "order_id": order["order_id"],
            "customer_id": order["customer_id"],
            "amount": 1250,
            "currency": "EUR",
            "status": "succeeded",
            "amount_captured": 1250,
            "attempts_used": 1,
            "attempts_left": 0,
            "next_action": None,
            "retry_until": None,
            "description": "One book",
            "metadata": {"basket": "17"},
            "payment_method": {
                "kind": "card",
                "brand": "visa",
                "last4": "4242",
                "funding": "credit",
                "wallet": None,
                "exp_month": None,
                "exp_year": None,
            },
            "gateway_payment_intent_id": f"pi_{told['id'].removeprefix('pay_')}",
        }.items() <= told.items()

    async def test_3ds_is_201_with_the_next_step(self, api: Api) -> None:
        """A payment that needs the customer says where their browser goes, and until when."""
        told = await api.shop.pay("pm_requires_action")

        assert "requires_action" == told["status"]
        assert "redirect" == told["next_action"]["type"]
        assert told["next_action"]["url"].startswith("https://gateway.example/3ds/")
        assert told["action_until"]

    async def test_an_outcome_at_the_gateway_is_201(self, api: Api) -> None:
        """A bank debit that the gateway works on is an answer, too."""
        answer = await api.shop.post("/payments", an_order(payment_method_id="pm_processing"))

        assert (201, "processing") == (answer.status_code, answer.json()["status"])

    async def test_a_decline_is_402_with_the_payment_inside(self, api: Api) -> None:
        """A decline says why in the customer's words, and how often they may try until when."""
        answer = await api.shop.post(
            "/payments", an_order(payment_method_id="pm_insufficient_funds")
        )

        told = answer.json()
        assert 402 == answer.status_code
        assert "Your card has insufficient funds. Please use another card." == told["detail"]
        assert "insufficient_funds" == told["decline_code"]
        assert 2 == told["attempts_left"]
        assert told["payment"]["retry_until"] == told["retry_until"]
        assert "awaiting_retry" == told["payment"]["status"]

    async def test_a_stolen_card_is_told_as_a_plain_decline(self, api: Api) -> None:
        """Why the bank really declined is nobody's business."""
        answer = await api.shop.post("/payments", an_order(payment_method_id="pm_stolen_card"))

        assert "generic_decline" == answer.json()["decline_code"]
        assert "stolen" not in answer.text

    async def test_a_method_that_the_gateway_refuses_is_402(self, api: Api) -> None:
        """A token that is used up or of another customer: another one may do."""
        answer = await api.shop.post("/payments", an_order(payment_method_id="pm_refused"))

        told = answer.json()
        assert (402, "awaiting_retry") == (answer.status_code, told["payment"]["status"])
        assert "This payment method cannot be used. Please use another one." == told["detail"]

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"description": "refused"}, "gateway_refused"),
            ({"payment_method_id": "pm_canceled"}, "payment_canceled"),
        ],
    )
    async def test_a_payment_that_is_over_at_once_is_409(
        self, api: Api, changes: dict[str, str], code: str
    ) -> None:
        """What cannot be paid says so with the payment inside, and that nothing was charged."""
        answer = await api.shop.post("/payments", an_order(**changes))

        told = answer.json()
        assert (409, code) == (answer.status_code, told["code"])
        assert "canceled" == told["payment"]["status"]
        assert "not been charged" in told["detail"]

    async def test_what_a_person_must_look_at_is_202(self, api: Api) -> None:
        """When nobody can say what happened, nothing is claimed."""
        answer = await api.shop.post("/payments", an_order(payment_method_id="pm_mismatch"))

        told = answer.json()
        assert (202, "needs_operator") == (answer.status_code, told["status"])
        assert "do not pay again" in told["message"]

    async def test_a_slow_gateway_is_202_and_the_payment_goes_on(
        self, impatient: Api, world: World
    ) -> None:
        """Who does not get the outcome in time gets the payment as it stands, and it goes on."""
        world.gateway.released.clear()

        answer = await impatient.shop.post("/payments", an_order(payment_method_id="pm_slow"))

        told = answer.json()
        assert (202, "processing") == (answer.status_code, told["status"])
        assert told["links"]["self"] == answer.headers["Location"]
        world.gateway.released.set()
        assert "succeeded" == (await ended(world, told["id"])).status

    async def test_before_the_row_the_run_is_the_payment(
        self, impatient: Api, world: World
    ) -> None:
        """A run whose row is not written yet is 202 and can be read, by those who may."""
        world.records.may_write.clear()
        order = an_order(order_id=f"late-{a_customer()}")

        answer = await impatient.shop.post("/payments", order, key="before-the-row")

        told = answer.json()
        read = await impatient.shop.get(f"/payments/{told['id']}")
        foreign = await impatient.as_(Role.CUSTOMER, a_customer()).get(f"/payments/{told['id']}")
        world.records.may_write.set()
        assert (202, "created") == (answer.status_code, told["status"])
        assert (200, told) == (read.status_code, read.json())
        assert 404 == foreign.status_code
        assert "succeeded" == (await ended(world, told["id"])).status


class TestRun:
    async def test_the_run_can_be_found_and_read(self, api: Api, world: World) -> None:
        """Whoever knows the order finds its run, which says at once what it is about."""
        order = an_order()

        answer = await api.shop.post("/payments", order, **{"X-Correlation-Id": "basket-17"})

        run = world.client.get_workflow_handle(answer.json()["id"])
        found = await run.describe()
        assert order["order_id"] == found.typed_search_attributes[addresses.ORDER_ID]
        assert order["customer_id"] == found.typed_search_attributes[addresses.CUSTOMER_ID]
        assert 1250 == found.typed_search_attributes[addresses.AMOUNT]
        assert {"correlation_id": "basket-17"} == await found.memo()
        assert f"{order['order_id']} · 12.50 EUR" == await found.static_summary()

    async def test_the_payment_carries_what_was_agreed(self, api: Api, world: World) -> None:
        """What the gateway is told comes from the request and the settings."""
        order = an_order(currency="jpy", amount=900)

        answer = await api.shop.post("/payments", order, **{"X-Correlation-Id": "basket-18"})

        told = world.gateway.orders[answer.json()["id"]]
        assert "900 JPY" == str(told.money)
        assert ("test", "basket-18") == (told.environment, told.correlation_id)

    async def test_the_gateways_customer_is_made_once(self, api: Api, world: World) -> None:
        """A customer's second payment goes to the same customer at the gateway."""
        customer = a_customer()
        first = await api.shop.pay(customer_id=customer)
        second = await api.shop.pay(customer_id=customer)

        known = [world.gateway.orders[told["id"]].gateway_customer_id for told in (first, second)]
        assert [None, f"cus_{customer}"] == known


class TestReplay:
    async def test_the_same_request_gets_the_same_payment(self, api: Api, world: World) -> None:
        """A repeat is answered with the payment as it stands, and causes nothing."""
        order = an_order()
        first = await api.shop.post("/payments", order, key="again")
        calls = len(world.gateway.calls)

        again = await api.shop.post("/payments", order, key="again")

        assert 200 == again.status_code
        assert "true" == again.headers["Idempotent-Replayed"]
        assert first.json() == again.json()
        assert calls == len(world.gateway.calls)

    async def test_spelling_is_no_difference(self, api: Api) -> None:
        """What means the same is the same request, however it is written."""
        order = an_order(metadata={"a": "1", "b": "2"})
        first = await api.shop.post("/payments", order, key="spelling")
        spelled = dict(reversed(order.items())) | {
            "metadata": {"b": "2", "a": "1"},
            "capture_method": "automatic",
            "currency": "eur",
        }

        again = await api.shop.post("/payments", spelled, key="spelling")

        assert (200, first.json()["id"]) == (again.status_code, again.json()["id"])

    async def test_the_same_key_with_another_body_is_409(self, api: Api) -> None:
        """A key that is used for two things is a mistake of the caller's."""
        order = an_order()
        await api.shop.post("/payments", order, key="other-body")

        answer = await api.shop.post("/payments", order | {"amount": 1300}, key="other-body")

        assert (409, "idempotency_key_reused") == (answer.status_code, answer.json()["code"])

    async def test_the_same_key_of_another_customer_is_another_payment(self, api: Api) -> None:
        """Keys belong to the customer whose payment they name."""
        first = await api.shop.post("/payments", an_order(), key="shared")
        second = await api.shop.post("/payments", an_order(), key="shared")

        assert (201, 201) == (first.status_code, second.status_code)
        assert first.json()["id"] != second.json()["id"]

    async def test_20_equal_requests_at_once_are_one_payment(self, api: Api, world: World) -> None:
        """However often a button is pressed, there is one payment, and all hear of it alike."""
        order = an_order()

        answers = await asyncio.gather(
            *(api.shop.post("/payments", order, key="twenty") for _ in range(20))
        )

        assert {200, 201} >= {answer.status_code for answer in answers}
        assert 1 == len({answer.text for answer in answers})
        assert 1 == world.gateway.confirms(answers[0].json()["id"])

    async def test_a_client_that_hung_up_finds_its_payment(self, api: Api, world: World) -> None:
        """Nobody hears the answer, and the payment goes on; the same request finds it."""
        world.gateway.released.clear()
        order, before = an_order(payment_method_id="pm_slow"), len(world.gateway.calls)
        asking = asyncio.create_task(api.shop.post("/payments", order, key="hung-up"))
        await until(lambda: any(call == "confirm" for call, _ in world.gateway.calls[before:]))

        asking.cancel()
        world.gateway.released.set()
        again = await api.shop.post("/payments", order, key="hung-up")

        told = again.json()
        assert "succeeded" == (await ended(world, told["id"])).status
        assert 1 == world.gateway.confirms(told["id"])

    async def test_two_bodies_at_once_are_one_payment_and_a_409(
        self, api: Api, world: World
    ) -> None:
        """Of two requests with the same key at the same moment one wins, the other hears so."""
        order = an_order()
        bodies = [order, order | {"description": "another"}]

        answers = await asyncio.gather(
            *(api.shop.post("/payments", body, key="two-bodies") for body in bodies)
        )

        assert [201, 409] == sorted(answer.status_code for answer in answers)

    async def test_a_request_that_lost_its_order_stays_refused(
        self, api: Api, impatient: Api, world: World
    ) -> None:
        """Of two requests for an order one wins; the other's key is answered alike for ever."""
        world.records.may_write.clear()
        order = an_order(order_id=f"late-{a_customer()}", payment_method_id="pm_lost_card")
        bodies = {f"rival-{number}": order | {"customer_id": a_customer()} for number in (1, 2)}
        for key, body in bodies.items():
            await impatient.shop.post("/payments", body, key=key)
        world.records.may_write.set()
        answers = {
            key: await api.shop.post("/payments", body, key=key) for key, body in bodies.items()
        }
        [won] = [key for key, answer in answers.items() if answer.status_code != 409]
        [lost] = set(bodies) - {won}

        other = await api.shop.post("/payments", bodies[lost] | {"amount": 999}, key=lost)
        await api.shop.post(f"/payments/{answers[lost].json()['payment_id']}/cancel")
        later = await api.shop.post("/payments", bodies[lost], key=lost)
        afresh = await api.shop.post("/payments", bodies[lost] | {"amount": 999}, key=lost)

        assert "order_has_payment" == answers[lost].json()["code"]
        assert "order_has_payment" == other.json()["code"]
        assert (409, "order_has_payment") == (later.status_code, later.json()["code"])
        assert "new Idempotency-Key" in later.json()["detail"]
        assert (409, "idempotency_key_reused") == (afresh.status_code, afresh.json()["code"])


class TestOneOrderOnePayment:
    async def test_what_was_accepted_and_lost_its_order_says_so(
        self, impatient: Api, world: World
    ) -> None:
        """Two requests were answered 202; one of them finds its order taken, and is not lost."""
        world.records.may_write.clear()
        customer = a_customer()
        order = an_order(order_id=f"late-{customer}", customer_id=customer)
        rivals = [await impatient.shop.post("/payments", order) for _ in range(2)]
        world.records.may_write.set()
        for rival in rivals:
            run = world.client.get_workflow_handle(rival.json()["id"])
            with suppress(WorkflowFailureError):
                await run.result()

        found = {
            rival.json()["id"]: await impatient.shop.get(f"/payments/{rival.json()['id']}")
            for rival in rivals
        }

        [won] = [payment_id for payment_id, answer in found.items() if answer.status_code == 200]
        [lost] = [answer for payment_id, answer in found.items() if payment_id != won]
        assert [202, 202] == [rival.status_code for rival in rivals]
        assert (409, "order_has_payment", won) == (
            lost.status_code,
            lost.json()["code"],
            lost.json()["payment_id"],
        )

    @pytest.mark.parametrize("step", ["cancel", "refresh"])
    async def test_asking_for_what_loses_its_order_is_answered(
        self, impatient: Api, api: Api, world: World, step: str
    ) -> None:
        """Whoever cancels or refreshes a payment that turns out to be too late hears so."""
        world.records.may_write.clear()
        customer = a_customer()
        order = an_order(order_id=f"late-{customer}", customer_id=customer)
        rivals = [await impatient.shop.post("/payments", order) for _ in range(2)]
        asked = [
            asyncio.create_task(api.shop.post(f"/payments/{rival.json()['id']}/{step}"))
            for rival in rivals
        ]
        while len(world.records.waiting) < len(rivals):
            await asyncio.wait(asked, timeout=0.05)
        world.records.may_write.set()

        answers = await asyncio.gather(*asked)

        assert all(answer.status_code < 500 for answer in answers)

    async def test_what_a_stranger_lost_is_missing(self, impatient: Api, world: World) -> None:
        """Nobody learns from it whose order it was."""
        world.records.may_write.clear()
        order = an_order(order_id=f"late-{a_customer()}")
        rivals = [await impatient.shop.post("/payments", order) for _ in range(2)]
        world.records.may_write.set()
        stranger = impatient.as_(Role.CUSTOMER, a_customer())
        for rival in rivals:
            run = world.client.get_workflow_handle(rival.json()["id"])
            with suppress(WorkflowFailureError):
                await run.result()

        answers = [await stranger.get(f"/payments/{rival.json()['id']}") for rival in rivals]

        assert [404, 404] == [answer.status_code for answer in answers]

    async def test_a_second_payment_is_409_and_names_the_first(self, api: Api) -> None:
        """An order is paid once: the second try hears of the first."""
        order = an_order()
        first = await api.shop.post("/payments", order)

        second = await api.shop.post("/payments", order)

        assert (409, "order_has_payment") == (second.status_code, second.json()["code"])
        assert first.json()["id"] == second.json()["payment_id"]

    async def test_the_order_is_free_again_after_a_failure(self, api: Api) -> None:
        """A payment that came to nothing is in nobody's way."""
        order = an_order(payment_method_id="pm_insufficient_funds")
        first = await api.shop.post("/payments", order)
        await api.shop.post(f"/payments/{first.json()['payment']['id']}/cancel")

        second = await api.shop.post("/payments", order | {"payment_method_id": "pm_succeeded"})

        assert 201 == second.status_code
