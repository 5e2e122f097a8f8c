"""Saved payment methods over HTTP, with a real Temporal and a real database behind it."""

import asyncio
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle

from paysaga.domain.saved_method import SavedMethod
from paysaga.tokens import Role
from tests.api.events import an_event, send
from tests.api.test_waiting import until
from tests.api.world import SHOP_PAGE, Api, Caller, World, a_customer, an_order

UNKNOWN = "mtd_" + "a" * 26


def an_owner(api: Api) -> Caller:
    return api.as_(Role.CUSTOMER, a_customer())


def a_body(method: str = "pm_succeeded", **more: object) -> dict[str, object]:
    return {"payment_method_id": method, "return_url": SHOP_PAGE, **more}


async def ended(world: World, method_id: str) -> SavedMethod:
    run: WorkflowHandle[Any, SavedMethod] = world.client.get_workflow_handle(
        method_id, result_type=SavedMethod
    )
    return await run.result()


class TestSave:
    async def test_saved_at_once_is_201(self, api: Api, world: World) -> None:
        """The answer shows the card, and nothing of the gateway's to a customer."""
        answer = await an_owner(api).post("/payment-methods", a_body())

        told = answer.json()
        assert 201 == answer.status_code, answer.text
        assert ("active", "saved") == (told["status"], told["reason"])
        assert ("visa", "4242", 12, 2030) == tuple(
            told["payment_method"][name] for name in ("brand", "last4", "exp_month", "exp_year")
        )
        assert "fingerprint" not in told["payment_method"]
        assert (None, None) == (told["gateway_payment_method_id"], told["links"]["run"])
        assert told["links"]["self"] == answer.headers["Location"]

    async def test_shop_saves_for_a_customer(self, api: Api) -> None:
        """The shop's backend names the customer, and sees the gateway's name."""
        customer = a_customer()

        told = await api.shop.save(customer_id=customer)

        assert customer == told["customer_id"]
        assert told["gateway_payment_method_id"].startswith("pm_")

    async def test_3ds_is_201_with_the_next_step(self, api: Api, world: World) -> None:
        """The customer goes to their bank, comes back through us, and the card is saved."""
        owner = an_owner(api)
        answer = await owner.post("/payment-methods", a_body("pm_requires_action"))
        told = answer.json()
        world.gateway.methods.becomes(told["id"], "succeeded")

        back = await api.nobody.get(f"/payment-methods/{told['id']}/return")
        after = await owner.post(f"/payment-methods/{told['id']}/refresh", key=None)

        assert (201, "requires_action") == (answer.status_code, told["status"])
        assert told["next_action"]["url"].startswith("https://gateway.example/")
        assert told["action_until"] is not None
        assert (303, f"{SHOP_PAGE}&payment_method_id={told['id']}") == (
            back.status_code,
            back.headers["Location"],
        )
        assert (200, "active", None) == (
            after.status_code,
            after.json()["status"],
            after.json()["next_action"],
        )

    async def test_decline_is_402_and_says_why(self, api: Api) -> None:
        """A card that its bank refuses is not saved; the answer holds the method."""
        answer = await an_owner(api).post("/payment-methods", a_body("pm_expired_card"))

        told = answer.json()
        assert 402 == answer.status_code
        assert ("payment_method_declined", "expired_card") == (told["code"], told["decline_code"])
        assert "Your card has expired. Please use another card." == told["detail"]
        assert "failed" == told["payment_method"]["status"]

    async def test_what_the_gateway_refuses_is_402(self, api: Api) -> None:
        """The customer is told to use another one."""
        answer = await an_owner(api).post("/payment-methods", a_body("pm_refused"))

        assert (402, "payment_method_declined") == (answer.status_code, answer.json()["code"])
        assert "gateway_refused" == answer.json()["payment_method"]["reason"]

    async def test_unknown_is_202(self, impatient: Api, world: World) -> None:
        """While the gateway does not answer the method is told as it stands."""
        owner = an_owner(impatient)

        answer = await owner.post("/payment-methods", a_body("pm_slow"))
        world.gateway.methods.released.set()
        await ended(world, answer.json()["id"])
        after = await owner.get(answer.headers["Location"])

        assert (202, "processing") == (answer.status_code, answer.json()["status"])
        assert (200, "active") == (after.status_code, after.json()["status"])

    async def test_gateway_that_takes_its_time_is_202(self, api: Api) -> None:
        """That is an answer of the gateway's, but none for the customer."""
        answer = await an_owner(api).post("/payment-methods", a_body("pm_processing"))

        assert (202, "gateway_processing") == (answer.status_code, answer.json()["reason"])

    async def test_repeat_is_the_same(self, api: Api, world: World) -> None:
        """The same key and body give the same method, and the gateway is asked once."""
        owner = an_owner(api)

        first = await owner.post("/payment-methods", a_body(), key="again")
        again = await owner.post("/payment-methods", a_body(), key="again")
        other = await owner.post("/payment-methods", a_body("pm_expired_card"), key="again")

        assert (200, "true") == (again.status_code, again.headers["Idempotent-Replayed"])
        assert first.json() == again.json()
        assert (409, "idempotency_key_reused") == (other.status_code, other.json()["code"])
        assert 1 == world.gateway.methods.calls.count(("set up", first.json()["id"]))

    async def test_twenty_at_once_are_one(self, api: Api, world: World) -> None:
        """Also when all of them come before the first is answered."""
        owner = an_owner(api)

        answers = await asyncio.gather(
            *(owner.post("/payment-methods", a_body(), key="at-once") for _ in range(20))
        )

        assert {200, 201} >= {answer.status_code for answer in answers}
        [method_id] = {answer.json()["id"] for answer in answers}
        assert 1 == world.gateway.methods.calls.count(("set up", method_id))

    async def test_what_is_saved_is_not_saved_twice(self, api: Api) -> None:
        """The answer names the method that the customer has."""
        owner = an_owner(api)
        token = f"pm_same_{a_customer()}"
        first = await owner.save(token)

        answer = await owner.post("/payment-methods", a_body(token))

        assert (409, "payment_method_saved") == (answer.status_code, answer.json()["code"])
        assert first["id"] == answer.json()["payment_method_id"]

    async def test_of_two_at_once_one_is_saved(self, api: Api) -> None:
        """The other one's answer names the first, too."""
        owner = an_owner(api)
        token = f"pm_same_{a_customer()}"

        answers = await asyncio.gather(
            *(owner.post("/payment-methods", a_body(token)) for _ in range(2))
        )

        first, second = sorted(answers, key=lambda answer: answer.status_code)
        assert [201, 409] == [first.status_code, second.status_code]
        assert first.json()["id"] == second.json()["payment_method_id"]

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            (a_body("tok_visa"), "payment_method_id"),
            (a_body(UNKNOWN), "payment_method_id"),
            (a_body(make_default="yes"), "make_default"),
            (a_body(return_url="https://evil.example/"), "return_url"),
            (a_body(number="1"), "number"),
        ],
    )
    async def test_wrong_field_is_named(
        self, api: Api, body: dict[str, object], field: str
    ) -> None:
        """The value is not repeated."""
        answer = await an_owner(api).post("/payment-methods", body)

        assert 422 == answer.status_code
        assert [field] == [error["field"] for error in answer.json()["errors"]]

    async def test_shop_must_name_the_customer(self, api: Api) -> None:
        """And a customer names nobody else."""
        unnamed = await api.shop.post("/payment-methods", a_body())
        other = await an_owner(api).post("/payment-methods", a_body(customer_id=a_customer()))

        assert ([422, "customer_id"], 403) == (
            [unnamed.status_code, unnamed.json()["errors"][0]["field"]],
            other.status_code,
        )

    async def test_card_number_is_refused(self, api: Api) -> None:
        """It is neither stored nor logged."""
        answer = await an_owner(api).post(
            "/payment-methods", a_body(return_url="https://shop.example/4242424242424242")
        )

        assert (400, "card_number_refused") == (answer.status_code, answer.json()["code"])


class TestList:
    async def test_own_and_active_ones(self, api: Api) -> None:
        """Newest first, page by page; failures are shown to who asks for them."""
        owner = an_owner(api)
        saved = [(await owner.save())["id"] for _ in range(3)]
        await owner.save("pm_expired_card")

        first = (await owner.get("/payment-methods", limit=2)).json()
        rest = (await owner.get("/payment-methods", after=first["next_after"])).json()
        failed = (await owner.get("/payment-methods", status="failed")).json()

        shown = [method["id"] for method in [*first["items"], *rest["items"]]]
        assert saved[::-1] == shown
        assert rest["next_after"] is None
        assert ["expired_card"] == [method["decline_code"] for method in failed["items"]]

    async def test_shop_asks_for_one_customers(self, api: Api) -> None:
        """A customer's own filter does not lead to others."""
        customer = a_customer()
        method = await api.shop.save(customer_id=customer)

        theirs = (await api.shop.get("/payment-methods", customer_id=customer)).json()
        foreign = (await an_owner(api).get("/payment-methods", customer_id=customer)).json()

        assert [method["id"]] == [each["id"] for each in theirs["items"]]
        assert [] == foreign["items"]


class TestChange:
    async def test_one_is_the_default(self, api: Api) -> None:
        """The new one takes the place of the old, whichever way it becomes it."""
        owner = an_owner(api)
        first = await owner.save(make_default=True)
        second = await owner.save(make_default=True)

        answer = await owner.patch(f"/payment-methods/{first['id']}", {"is_default": True})

        now = (await owner.get(f"/payment-methods/{second['id']}")).json()
        assert (200, True) == (answer.status_code, answer.json()["is_default"])
        assert ((True, True), False) == (
            (first["is_default"], second["is_default"]),
            now["is_default"],
        )

    async def test_only_an_active_one(self, api: Api) -> None:
        """What was not saved cannot be anybody's default."""
        owner = an_owner(api)
        failed = await owner.save("pm_expired_card")

        answer = await owner.patch(f"/payment-methods/{failed['id']}", {"is_default": True})

        assert (409, "payment_method_not_active") == (answer.status_code, answer.json()["code"])

    async def test_there_is_always_one_once_there_is(self, api: Api) -> None:
        """A default is replaced, not taken away."""
        owner = an_owner(api)
        method = await owner.save()

        answer = await owner.patch(f"/payment-methods/{method['id']}", {"is_default": False})

        assert 422 == answer.status_code


class TestRemove:
    async def test_removed_it_is_gone(self, api: Api, world: World) -> None:
        """It is detached at the gateway, not listed any more, and a repeat is the same."""
        owner = an_owner(api)
        method = await owner.save(make_default=True)

        answer = await owner.delete(f"/payment-methods/{method['id']}", key="away")
        again = await owner.delete(f"/payment-methods/{method['id']}", key="away")

        listed = (await owner.get("/payment-methods")).json()
        assert (200, "removed", False) == (
            answer.status_code,
            answer.json()["status"],
            answer.json()["is_default"],
        )
        assert (200, answer.json(), []) == (again.status_code, again.json(), listed["items"])
        name = f"pm_{method['id'].removeprefix('mtd_')}"
        assert 1 == world.gateway.methods.calls.count(("detach", name))

    async def test_while_it_is_unknown_it_is_202(self, impatient: Api, world: World) -> None:
        """Nobody can pay with it meanwhile; in the end it is gone."""
        world.gateway.methods.released.clear()
        owner = an_owner(impatient)
        method = await owner.save("pm_sticky")

        answer = await owner.delete(f"/payment-methods/{method['id']}")
        paid = await impatient.shop.post(
            "/payments",
            an_order(payment_method_id=method["id"], customer_id=method["customer_id"]),
        )
        world.gateway.methods.released.set()
        await ended(world, f"remove-{method['id']}")
        after = (await owner.get(f"/payment-methods/{method['id']}")).json()

        assert (202, "active", "removal_requested") == (
            answer.status_code,
            answer.json()["status"],
            answer.json()["reason"],
        )
        assert (404, "payment_method_not_found") == (paid.status_code, paid.json()["code"])
        assert "removed" == after["status"]

    async def test_refused_it_is_told_so(self, api: Api) -> None:
        """Nobody is at it, so nothing is promised; the same request tries again."""
        owner = an_owner(api)
        method = await owner.save("pm_stubborn")
        path = f"/payment-methods/{method['id']}"

        refused = await owner.delete(path, key="away")
        again = await owner.delete(path, key="away")

        told = refused.json()
        assert (409, "payment_method_not_removed") == (refused.status_code, told["code"])
        assert ("active", "removal_requested") == (
            told["payment_method"]["status"],
            told["payment_method"]["reason"],
        )
        assert (200, "removed") == (again.status_code, again.json()["status"])

    @pytest.mark.parametrize("end", ["cancel", "terminate"])
    async def test_broken_off_it_begins_anew(
        self, api: Api, impatient: Api, world: World, end: str
    ) -> None:
        """The run was ended by somebody: the client's repeat, with its own key, starts another."""
        world.gateway.methods.released.clear()
        customer = a_customer()
        owner, in_haste = (each.as_(Role.CUSTOMER, customer) for each in (api, impatient))
        method = await owner.save("pm_sticky")
        path = f"/payment-methods/{method['id']}"

        waiting = await in_haste.delete(path, key="away")
        run = world.client.get_workflow_handle(f"remove-{method['id']}")
        await getattr(run, end)()
        with pytest.raises(WorkflowFailureError):
            await run.result()
        world.gateway.methods.released.set()
        again = await owner.delete(path, key="away")

        assert (202, "removal_requested") == (waiting.status_code, waiting.json()["reason"])
        assert (200, "removed") == (again.status_code, again.json()["status"])

    async def test_who_waits_while_it_is_broken_off_is_told(self, api: Api, world: World) -> None:
        """202 would promise what nobody does any more."""
        world.gateway.methods.released.clear()
        owner = an_owner(api)
        method = await owner.save("pm_sticky")
        name = f"pm_{method['id'].removeprefix('mtd_')}"

        removing = asyncio.create_task(owner.delete(f"/payment-methods/{method['id']}"))
        await until(lambda: ("detach", name) in world.gateway.methods.calls)
        await world.client.get_workflow_handle(f"remove-{method['id']}").cancel()
        answer = await removing
        world.gateway.methods.released.set()

        assert (409, "payment_method_not_removed") == (answer.status_code, answer.json()["code"])

    async def test_twenty_at_once_are_one(self, api: Api, world: World) -> None:
        """The gateway is asked once, and all hear the same."""
        owner = an_owner(api)
        method = await owner.save()
        path = f"/payment-methods/{method['id']}"

        answers = await asyncio.gather(*(owner.delete(path, key="away") for _ in range(20)))

        assert {(200, "removed")} == {
            (answer.status_code, answer.json()["status"]) for answer in answers
        }
        name = f"pm_{method['id'].removeprefix('mtd_')}"
        assert 1 == world.gateway.methods.calls.count(("detach", name))

    async def test_what_was_not_saved_is_not_removed(self, api: Api) -> None:
        """There is nothing to remove."""
        owner = an_owner(api)
        failed = await owner.save("pm_expired_card")

        answer = await owner.delete(f"/payment-methods/{failed['id']}")

        assert (409, "payment_method_not_removable") == (
            answer.status_code,
            answer.json()["code"],
        )


class TestPay:
    async def test_saved_method_pays(self, api: Api, world: World) -> None:
        """The gateway gets its own name for it, and the customer who has it there."""
        customer = a_customer()
        method = await api.shop.save(customer_id=customer)

        answer = await api.shop.post(
            "/payments", an_order(payment_method_id=method["id"], customer_id=customer)
        )

        payment = answer.json().get("payment", answer.json())
        [attempt] = await api.app.state.connections.reads.attempts(payment["id"])
        assert method["gateway_payment_method_id"] == attempt.method
        assert f"cus_{customer}" == world.gateway.orders[payment["id"]].gateway_customer_id

    @pytest.mark.parametrize("whose", ["nobody", "another", "failed", "removed"])
    async def test_only_ones_own_and_active(self, api: Api, whose: str) -> None:
        """Another customer's method is told as a missing one, and the field is named."""
        customer = a_customer()
        method_id = UNKNOWN
        if whose == "another":
            method_id = (await api.shop.save(customer_id=a_customer()))["id"]
        if whose == "failed":
            method_id = (await api.shop.save("pm_expired_card", customer_id=customer))["id"]
        if whose == "removed":
            method_id = (await api.shop.save(customer_id=customer))["id"]
            await api.shop.delete(f"/payment-methods/{method_id}")

        answer = await api.shop.post(
            "/payments", an_order(payment_method_id=method_id, customer_id=customer)
        )

        told = answer.json()
        assert (404, "payment_method_not_found") == (answer.status_code, told["code"])
        assert ["payment_method_id"] == [error["field"] for error in told["errors"]]

    @pytest.mark.parametrize("whose", ["another", "going", "removed"])
    async def test_its_token_is_no_way_around_that(
        self, api: Api, impatient: Api, world: World, whose: str
    ) -> None:
        """What is somebody else's, or taken away, is not paid with under the gateway's name."""
        customer = a_customer()
        world.gateway.methods.released.clear()
        saved_by = a_customer() if whose == "another" else customer
        method = await api.shop.save(
            "pm_sticky" if whose == "going" else "pm_succeeded", customer_id=saved_by
        )
        payment = await api.shop.pay("pm_lost_card", customer_id=customer)
        if whose != "another":
            await impatient.shop.delete(f"/payment-methods/{method['id']}")
        token = method["gateway_payment_method_id"]

        answers = [
            await api.shop.post(
                "/payments", an_order(payment_method_id=token, customer_id=customer)
            ),
            await api.shop.post(f"/payments/{payment['id']}/retry", {"payment_method_id": token}),
        ]
        world.gateway.methods.released.set()

        assert [(404, "payment_method_not_found")] * 2 == [
            (answer.status_code, answer.json()["code"]) for answer in answers
        ]

    async def test_what_could_not_be_saved_can_be_tried(self, api: Api) -> None:
        """A token that was not saved is paid with, and tried again, as if nobody had asked."""
        customer = a_customer()
        failed = await api.shop.save("pm_expired_card", customer_id=customer)
        payment = await api.shop.pay(failed["gateway_payment_method_id"], customer_id=customer)

        answer = await api.shop.post(f"/payments/{payment['id']}/retry")

        assert (402, "payment_declined") == (answer.status_code, answer.json()["code"])
        assert 2 == answer.json()["payment"]["attempts_used"]

    async def test_next_attempt_with_a_saved_one(self, api: Api) -> None:
        """`retry` takes it as well, and refuses what is not the customer's."""
        customer = a_customer()
        method = await api.shop.save(customer_id=customer)
        payment = await api.shop.pay("pm_lost_card", customer_id=customer)
        path = f"/payments/{payment['id']}/retry"

        foreign = await api.shop.post(path, {"payment_method_id": UNKNOWN})
        answer = await api.shop.post(path, {"payment_method_id": method["id"]})

        assert (404, "payment_method_not_found") == (
            foreign.status_code,
            foreign.json()["code"],
        )
        assert 402 == answer.status_code  # the stand-in declines a word that it does not know
        assert 2 == answer.json()["payment"]["attempts_used"]


class TestNews:
    async def test_card_updater_is_shown(self, api: Api, world: World) -> None:
        """An event makes a run look, and the customer sees the new card."""
        method = await api.shop.save(customer_id=a_customer())
        about = {"id": method["gateway_payment_method_id"], "object": "payment_method"}

        answer = await send(
            api, an_event(type="payment_method.automatically_updated", data={"object": about})
        )
        await ended(world, f"look-{method['id']}")

        now = (await api.shop.get(f"/payment-methods/{method['id']}")).json()
        assert 200 == answer.status_code
        assert (2039, "updated_at_gateway") == (now["payment_method"]["exp_year"], now["reason"])

    async def test_webhook_ends_the_wait(self, api: Api, world: World) -> None:
        """The customer closed the page: the bank's yes is heard all the same."""
        method = await api.shop.save("pm_requires_action", customer_id=a_customer())
        setup = world.gateway.methods.becomes(method["id"], "succeeded")
        about: dict[str, Any] = {"id": setup.id, "object": "setup_intent"}
        about["metadata"] = {"method_id": method["id"], "environment": "test"}

        await send(api, an_event(type="setup_intent.succeeded", data={"object": about}))

        assert "active" == (await ended(world, method["id"])).status

    async def test_webhook_after_a_lost_run_saves_it(self, api: Api, world: World) -> None:
        """Somebody has ended the run while the customer was at the bank: the card is theirs."""
        method = await api.shop.save("pm_requires_action", customer_id=a_customer())
        await world.client.get_workflow_handle(method["id"]).terminate()
        setup = world.gateway.methods.becomes(method["id"], "succeeded")
        about: dict[str, Any] = {"id": setup.id, "object": "setup_intent"}
        about["metadata"] = {"method_id": method["id"], "environment": "test"}

        await send(api, an_event(type="setup_intent.succeeded", data={"object": about}))
        await ended(world, f"look-{method['id']}")

        now = (await api.shop.get(f"/payment-methods/{method['id']}")).json()
        assert ("active", "saved", None) == (now["status"], now["reason"], now["next_action"])


class TestLimit:
    async def test_saving_counts_as_an_attempt(self, world: World, api: Api) -> None:
        """Who tries out cards is stopped here as well; a repeat is none."""
        customer = a_customer()
        connections = api.app.state.connections
        limit = connections.settings.payment_attempts_per_hour
        for number in range(limit):
            await connections.attempts.count(customer, f"{customer}-{number}")

        answer = await api.as_(Role.CUSTOMER, customer).post("/payment-methods", a_body())

        assert (429, "too_many_attempts") == (answer.status_code, answer.json()["code"])
        assert "Retry-After" in answer.headers
