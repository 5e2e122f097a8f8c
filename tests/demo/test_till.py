"""What the till makes of Paysaga's answers: payments, and words for the customer."""

import pytest
from pydantic import AnyHttpUrl

from paysaga.client import PaymentOrder
from paysaga.demo.shop.till import Till, TillClosed
from paysaga.settings import Settings
from tests.client.conftest import LOST, Reply, Server, server
from tests.client.told import PAYMENT_ID, a_method, a_page, a_payment, a_problem

__all__ = ["server"]

ORDER = PaymentOrder(
    order_id="ord_1", payment_method_id="pm_1", return_url="http://127.0.0.1/return"
)


@pytest.fixture
def till(server: Server) -> Till:
    return Till(Settings(public_base_url=AnyHttpUrl(server.url)))


class TestPayments:
    async def test_the_customer_s_click_is_the_key(self, till: Till, server: Server) -> None:
        """Who presses the button twice, or whose request is repeated, pays once."""
        server.answers(LOST, Reply(201, a_payment()))

        await till.start(ORDER, "f" * 32, "203.0.113.7")

        assert ["f" * 32] * 2 == [asked.key for asked in server.asked]
        assert "203.0.113.7" == server.asked[0].headers["paysaga-customer-address"]

    async def test_a_decline_is_the_payment_that_it_left(self, till: Till, server: Server) -> None:
        """The page goes on from there."""
        left = a_payment(status="awaiting_retry", attempts_left=2)
        server.answers(Reply(402, a_problem(402, "payment_declined", payment=left)))

        payment = await till.start(ORDER, "f" * 32, None)

        assert payment
        assert 2 == payment.attempts_left

    async def test_what_cannot_be_done_any_more(self, till: Till, server: Server) -> None:
        """The payment shows why; where another has the order there is none to show."""
        server.answers(
            Reply(409, a_problem(409, "already_succeeded", payment=a_payment())),
            Reply(409, a_problem(409, "order_has_payment")),
            Reply(404, a_problem(404, "not_found")),
        )

        paid = await till.cancel(PAYMENT_ID, "f" * 32)
        none = await till.start(ORDER, "f" * 32, None)
        missing = await till.payment_of("ord_1")

        assert paid
        assert ("succeeded", None, None) == (str(paid.status), none, missing)


class TestWords:
    async def test_nobody_knows_whether_it_arrived(self, till: Till, server: Server) -> None:
        """The customer is not told that it failed, and not asked to pay again."""
        server.answers(LOST)

        with pytest.raises(TillClosed, match="nothing is charged twice"):
            await till.start(ORDER, "f" * 32, None)

    async def test_nobody_answers_a_question(self, till: Till, server: Server) -> None:
        """Nothing was to be done, so nothing is open."""
        server.answers(LOST)

        with pytest.raises(TillClosed, match="not available"):
            await till.refresh(PAYMENT_ID)

    async def test_a_refusal_has_its_own(self, till: Till, server: Server) -> None:
        """What Paysaga says to customers is what they read, fields and all."""
        errors = [{"field": "amount", "message": "It is too little."}]
        server.answers(
            Reply(422, a_problem(422, detail="Some input is not right.", errors=errors)),
            Reply(429, a_problem(429, detail="Too often."), {"Retry-After": "600"}),
        )

        with pytest.raises(TillClosed, match=r"Some input is not right\. It is too little\."):
            await till.start(ORDER, "f" * 32, None)
        with pytest.raises(TillClosed, match=r"Too often\."):
            await till.start(ORDER, "f" * 32, None)


class TestCards:
    async def test_the_default_is_first(self, till: Till, server: Server) -> None:
        """Then the newest; what is being removed is not offered."""
        going = a_method(id="mtd_going", reason="removal_requested")
        server.answers(
            Reply(200, a_page(a_method(id="mtd_new"), going, next_after="x")),
            Reply(200, a_page(a_method(id="mtd_default", is_default=True))),
        )

        methods = await till.methods_of("cst_ada")

        assert ["mtd_default", "mtd_new"] == [method.id for method in methods]
