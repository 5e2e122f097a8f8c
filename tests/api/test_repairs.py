"""What an admin hears of a parked payment, and decides about it."""

from decimal import Decimal
from typing import Any

import httpx
import pytest

from paysaga.domain.repairs import RepairKind
from paysaga.tokens import Role
from tests.api.world import Api, Caller, World, an_order, ended, serving
from workflows.addresses import repair_id

ABANDON = {"kind": "abandon", "why": "the customer has paid in cash"}
REFUND = {"kind": "refund", "why": "it was another amount"}
AGREE = {"why": "I have seen the bank's letter"}


async def parked(api: Api, world: World, **body: Any) -> str:
    """A payment whose intent has received another amount than ours."""
    paid = await api.shop.pay("pm_mismatch", **body)
    assert "needs_operator" == paid["status"]
    await ended(world, paid["id"])  # its repair is open
    return str(paid["id"])


def alice(api: Api) -> Caller:
    return api.as_(Role.ADMIN, "alice")


async def repair(
    who: Caller, payment_id: str, order: dict[str, Any], *, key: str | None = ""
) -> httpx.Response:
    return await who.post(f"/admin/payments/{payment_id}/repair", order, key=key)


async def approve(
    who: Caller, payment_id: str, *, key: str | None = "", proposal: int = 0
) -> httpx.Response:
    """Agree with this proposal, or with the one that waits."""
    path = f"/admin/payments/{payment_id}"
    if not proposal:
        waiting = (await who.get(f"{path}/why")).json()["proposal"]
        proposal = waiting["number"] if waiting else 1
    return await who.post(f"{path}/repair/approve", {**AGREE, "proposal": proposal}, key=key)


async def refund(api: Api, payment_id: str) -> httpx.Response:
    """What is not in our books needs two."""
    proposed = await repair(alice(api), payment_id, REFUND)
    assert 202 == proposed.status_code, proposed.text
    return await approve(api.as_(Role.ADMIN, "bob"), payment_id)


class TestWhy:
    async def test_evidence_and_ways_out_are_told(self, api: Api, world: World) -> None:
        """Whoever opens it learns what was found, what may be done and where to look further."""
        payment_id = await parked(api, world)

        told = (await alice(api).get(f"/admin/payments/{payment_id}/why")).json()

        assert ("needs_operator", "gateway_mismatch") == (
            told["payment"]["status"],
            told["payment"]["reason"],
        )
        assert "25.00 EUR" in told["evidence"]
        assert [kind.value for kind in RepairKind] == told["allowed_repairs"]
        assert told["repair_run"].endswith(f"/workflows/{repair_id(payment_id)}")
        assert told["evidence"] == told["history"][-1]["note"]
        assert told["proposal"] is None
        assert told["next"]

    async def test_payment_that_needs_nobody_is_told_as_it_stands(self, api: Api) -> None:
        """There is nothing to do, and it is said so."""
        paid = await api.shop.pay()

        told = (await alice(api).get(f"/admin/payments/{paid['id']}/why")).json()

        assert ([], None) == (told["allowed_repairs"], told["evidence"])

    async def test_customer_does_not_read_the_notes(self, api: Api, world: World) -> None:
        """Evidence and an admin's words are the shop's: its customer sees that it was done."""
        payment_id = await parked(api, world, customer_id="cst_notes")
        path = f"/payments/{payment_id}/history"

        theirs = (await api.as_(Role.CUSTOMER, "cst_notes").get(path)).json()["entries"]
        ours = (await api.as_(Role.SUPPORT).get(path)).json()["entries"]

        assert {None} == {entry["note"] for entry in theirs}
        assert ours[-1]["note"]


class TestRepair:
    async def test_refund_is_done_and_stands_in_the_history(self, api: Api, world: World) -> None:
        """What was taken goes back, once, and who decided it is known."""
        payment_id = await parked(api, world)

        answer = await refund(api, payment_id)

        told = answer.json()
        assert (200, "done") == (answer.status_code, told["outcome"])
        assert ("canceled", "refunded") == (told["payment"]["status"], told["payment"]["reason"])
        history = (await alice(api).get(f"/admin/payments/{payment_id}/why")).json()["history"]
        decided = [entry for entry in history if entry["actor"].startswith("admin:")]
        assert ["repair_proposed", "repair_requested", "refunded"] == [
            entry["reason"] for entry in decided
        ]
        assert all(REFUND["why"] in entry["note"] for entry in decided)
        assert "by admin:alice" in decided[-1]["note"]

    async def test_repeat_does_nothing_again(self, api: Api, world: World) -> None:
        """The same key gets the same answer, also long after the repair's run is over."""
        payment_id = await parked(api, world)
        await repair(alice(api), payment_id, REFUND)
        bob = api.as_(Role.ADMIN, "bob")
        number = (await bob.get(f"/admin/payments/{payment_id}/why")).json()["proposal"]["number"]
        first = await approve(bob, payment_id, key="refund-1", proposal=number)
        await ended(world, repair_id(payment_id))

        again = await approve(bob, payment_id, key="refund-1", proposal=number)

        assert first.json() == again.json()
        intent = f"pi_{payment_id.removeprefix('pay_')}"
        assert 1 == world.gateway.calls.count(("refund", intent))

    async def test_key_of_another_request_is_refused(self, api: Api, world: World) -> None:
        """A key that was used up for one decision makes no other one."""
        payment_id = await parked(api, world)
        look = {"kind": "look_again", "why": "the gateway was put right"}
        await repair(alice(api), payment_id, look, key="look-1")

        answer = await repair(alice(api), payment_id, REFUND, key="look-1")

        assert (409, "idempotency_key_reused") == (answer.status_code, answer.json()["code"])

    async def test_what_the_gateway_contradicts_is_not_done(self, api: Api, world: World) -> None:
        """Money that has moved does not fail by decree; the answer says what was found."""
        payment_id = await parked(api, world)
        failed = {"kind": "mark_failed", "why": "never arrived", "evidence": "bank statement 11"}

        answer = await repair(alice(api), payment_id, failed)

        told = answer.json()
        assert (409, "not_repairable") == (answer.status_code, told["code"])
        assert "the money has moved" in told["detail"]
        assert "needs_operator" == told["payment"]["status"]

    async def test_repeat_of_a_refused_repair_is_refused(self, api: Api, world: World) -> None:
        """The same key hears again why it was not done, and that stands in the history."""
        payment_id = await parked(api, world)
        failed = {"kind": "mark_failed", "why": "never arrived", "evidence": "bank statement 11"}
        first = await repair(alice(api), payment_id, failed, key="fail-1")

        again = await repair(alice(api), payment_id, failed, key="fail-1")

        assert (409, 409) == (first.status_code, again.status_code)
        assert "the money has moved" in again.json()["detail"]
        why = (await alice(api).get(f"/admin/payments/{payment_id}/why")).json()
        assert "repair_refused" == why["history"][-1]["reason"]
        assert "25.00 EUR" in why["evidence"]

    async def test_repeat_of_a_look_without_news_is_done(self, api: Api, world: World) -> None:
        """Nothing came of it, and it was done."""
        payment_id = await parked(api, world)
        look = {"kind": "look_again", "why": "the gateway was put right"}

        answers = [await repair(alice(api), payment_id, look, key="look-2") for _ in range(2)]

        assert ["done", "done"] == [answer.json()["outcome"] for answer in answers]
        assert answers[0].json() == answers[1].json()

    async def test_payment_that_needs_nobody_is_left_alone(self, api: Api) -> None:
        """A paid one is refunded by other ways than a repair."""
        paid = await api.shop.pay()

        answer = await repair(alice(api), paid["id"], REFUND)

        assert (409, "not_repairable") == (answer.status_code, answer.json()["code"])

    async def test_repair_run_that_is_gone_is_opened_again(self, api: Api, world: World) -> None:
        """Somebody has terminated it: the row is all that a repair begins with."""
        payment_id = await parked(api, world)
        await world.client.get_workflow_handle(repair_id(payment_id)).terminate()

        answer = await refund(api, payment_id)

        assert (200, "canceled") == (answer.status_code, answer.json()["payment"]["status"])

    async def test_slow_gateway_is_not_waited_for(self, impatient: Api, world: World) -> None:
        """The refund is under way: the repair goes on behind the answer."""
        body = an_order(payment_method_id="pm_mismatch", description="slow refund")
        paid = (await impatient.shop.post("/payments", body)).json()
        paid = paid.get("payment", paid)
        await ended(world, paid["id"])

        await repair(alice(impatient), paid["id"], REFUND)
        bob = impatient.as_(Role.ADMIN, "bob")
        number = (await bob.get(f"/admin/payments/{paid['id']}/why")).json()["proposal"]["number"]

        async def agree() -> tuple[int, str]:
            answer = await approve(bob, paid["id"], key="slow-1", proposal=number)
            return answer.status_code, answer.json()["outcome"]

        world.gateway.refund_may_begin.clear()
        world.gateway.refund_is_pending.clear()
        before = [await agree() for _ in range(2)]
        world.gateway.refund_may_begin.set()
        await world.gateway.refund_is_pending.wait()
        after = await agree()

        assert [(202, "under_way")] * 3 == [*before, after]

    @pytest.mark.parametrize(
        ("order", "field"),
        [
            ({"kind": "forget", "why": "tired"}, "kind"),
            ({"kind": "abandon"}, "why"),
            ({"kind": "mark_failed", "why": "never arrived"}, "evidence"),
            ({"kind": "attach_intent", "why": "found it"}, "gateway_payment_intent_id"),
            ({**ABANDON, "gateway_payment_intent_id": "pi_1"}, "gateway_payment_intent_id"),
            ({**ABANDON, "amount": 5}, "amount"),
            ({"kind": "abandon", "why": "a\nb\nc"}, "why"),
        ],
    )
    async def test_wrong_order_names_the_field(
        self, api: Api, world: World, order: dict[str, Any], field: str
    ) -> None:
        """Nothing is done that was not asked for in full."""
        answer = await repair(alice(api), await parked(api, world), order)

        assert 422 == answer.status_code
        assert field in answer.text


class TestApproval:
    @pytest.fixture
    async def strict(self, world: World) -> Any:
        """A deployment in which 10.00 are the most that one person decides about."""
        limit = {"repair_approval_above": Decimal(10)}
        async with serving(world.settings.model_copy(update=limit)) as served:
            yield served

    async def test_second_person_agrees(self, strict: Api, world: World) -> None:
        """Proposed by one, done when another agrees; both names stand in the history."""
        payment_id = await parked(strict, world)
        proposed = await repair(alice(strict), payment_id, REFUND)
        why = (await alice(strict).get(f"/admin/payments/{payment_id}/why")).json()

        done = await approve(strict.as_(Role.ADMIN, "bob"), payment_id)

        assert (202, "proposed") == (proposed.status_code, proposed.json()["outcome"])
        assert "needs_operator" == proposed.json()["payment"]["status"]
        proposal = why["proposal"]
        assert ("admin:alice", f"refund: {REFUND['why']}") == (proposal["by"], proposal["note"])
        assert "25.00 EUR" in why["evidence"]
        assert (200, "done") == (done.status_code, done.json()["outcome"])
        assert "canceled" == done.json()["payment"]["status"]

    async def test_nobody_agrees_with_themselves(self, strict: Api, world: World) -> None:
        """Two persons are two names."""
        payment_id = await parked(strict, world)
        await repair(alice(strict), payment_id, REFUND)

        answer = await approve(alice(strict), payment_id)

        assert (409, "not_approvable") == (answer.status_code, answer.json()["code"])
        assert "somebody else" in answer.json()["detail"]

    async def test_another_proposal_than_was_read_is_not_carried_out(
        self, strict: Api, world: World
    ) -> None:
        """Bob has read one proposal, and Alice makes another: his word is not for that one."""
        payment_id = await parked(strict, world)
        bob = strict.as_(Role.ADMIN, "bob")
        await repair(alice(strict), payment_id, ABANDON)
        read = (await bob.get(f"/admin/payments/{payment_id}/why")).json()["proposal"]["number"]
        await repair(alice(strict), payment_id, REFUND)

        answer = await approve(bob, payment_id, proposal=read)

        assert (409, "not_approvable") == (answer.status_code, answer.json()["code"])
        assert "look why again" in answer.json()["detail"]

    async def test_nothing_to_agree_with(self, strict: Api, world: World) -> None:
        """No proposal, or a payment that needs nobody."""
        payment_id = await parked(strict, world)
        paid = await strict.shop.pay()

        answers = [await approve(alice(strict), one) for one in (payment_id, paid["id"])]

        assert {(409, "not_approvable")} == {
            (answer.status_code, answer.json()["code"]) for answer in answers
        }

    async def test_repeated_proposal_and_agreement(self, strict: Api, world: World) -> None:
        """Each key is carried out once."""
        payment_id = await parked(strict, world)
        bob = strict.as_(Role.ADMIN, "bob")
        first = await repair(alice(strict), payment_id, REFUND, key="propose")
        again = await repair(alice(strict), payment_id, REFUND, key="propose")
        number = (await bob.get(f"/admin/payments/{payment_id}/why")).json()["proposal"]["number"]
        done = await approve(bob, payment_id, key="agree", proposal=number)
        await ended(world, repair_id(payment_id))

        repeated = await approve(bob, payment_id, key="agree", proposal=number)

        assert ("proposed", "proposed") == (first.json()["outcome"], again.json()["outcome"])
        assert done.json() == repeated.json()

    async def test_agreement_under_a_used_key_is_refused(self, strict: Api, world: World) -> None:
        """A key belongs to one request, whoever sends it."""
        payment_id = await parked(strict, world)
        await repair(alice(strict), payment_id, REFUND, key="one-key")

        answer = await approve(strict.as_(Role.ADMIN, "bob"), payment_id, key="one-key")

        assert (409, "idempotency_key_reused") == (answer.status_code, answer.json()["code"])

    async def test_repeat_of_a_proposal_tells_what_became_of_it(
        self, api: Api, world: World
    ) -> None:
        """Whoever has proposed learns that it was done, once somebody else has agreed."""
        payment_id = await parked(api, world)
        await repair(alice(api), payment_id, REFUND, key="propose-done")
        done = await approve(api.as_(Role.ADMIN, "bob"), payment_id)
        await ended(world, repair_id(payment_id))

        again = await repair(alice(api), payment_id, REFUND, key="propose-done")

        assert (200, done.json()) == (again.status_code, again.json())

    async def test_repeat_of_a_proposal_that_was_overtaken(self, api: Api, world: World) -> None:
        """Another one was agreed with: that is not told as if hers had been done."""
        payment_id = await parked(api, world)
        await repair(alice(api), payment_id, REFUND, key="propose-late")
        await repair(api.as_(Role.ADMIN, "carol"), payment_id, REFUND)
        other = await approve(api.as_(Role.ADMIN, "bob"), payment_id)
        await ended(world, repair_id(payment_id))

        again = await repair(alice(api), payment_id, REFUND, key="propose-late")

        assert (200, "done") == (other.status_code, other.json()["outcome"])
        assert (409, "not_repairable") == (again.status_code, again.json()["code"])
        assert "was not carried out" in again.json()["detail"]
        assert other.json()["payment"]["status"] == again.json()["payment"]["status"]
