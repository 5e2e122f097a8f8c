"""What is repeated and what not, over real connections, awaited and blocking alike."""

import json
import logging
import traceback

import pytest

from paysaga.client import (
    AsyncPaysaga,
    Conflict,
    NotFound,
    OutcomeUnknown,
    PaymentOrder,
    Paysaga,
    Retries,
    TooMany,
    Unavailable,
)
from paysaga.demo.preflight import free_port
from tests.client.conftest import LATE, LOST, QUICK, TOKEN, Client, Reply, Server
from tests.client.told import METHOD_ID, PAYMENT_ID, a_method, a_payment, a_problem

ORDER = PaymentOrder(
    order_id="order-17",
    customer_id="cst_ada",
    amount=1250,
    currency="EUR",
    payment_method_id="pm_card_visa",
    return_url="https://shop.example/return",
)
AWAY = Reply(503, a_problem(503, "temporal_unavailable"))
BROKEN = Reply(500, a_problem(500, "internal_error"))
BUSY = Reply(429, a_problem(429, "too_many_attempts"), {"Retry-After": "1800"})
PAID = Reply(201, a_payment())


class TestRepeats:
    @pytest.mark.parametrize("trouble", [LOST, AWAY, BROKEN], ids=["lost", "503", "500"])
    async def test_a_repeat_is_the_same_request(
        self, client: Client, server: Server, trouble: Reply
    ) -> None:
        """Whatever becomes of the first try, the next has its key and its body, byte for byte."""
        server.answers(trouble, PAID)

        payment = await client.ask("start_payment", ORDER)

        first, second = server.asked
        assert "succeeded" == payment.status
        assert (first.key, first.body) == (second.key, second.body)
        assert first.key
        assert "pm_card_visa" == json.loads(first.body)["payment_method_id"]

    async def test_each_call_has_a_key_of_its_own(self, client: Client, server: Server) -> None:
        """Two calls are two requests, unless the caller says that they are one."""
        server.answers(PAID)

        await client.ask("start_payment", ORDER)
        await client.ask("start_payment", ORDER)
        await client.ask("start_payment", ORDER, key="order-17-1")

        keys = [asked.key for asked in server.asked]
        assert 3 == len(set(keys))
        assert "order-17-1" == keys[2]

    async def test_a_silent_api_is_not_waited_for_without_end(
        self, kind: type[AsyncPaysaga | Paysaga], server: Server
    ) -> None:
        """One try ends at its own limit, and the next is answered."""
        server.answers(LATE, PAID)
        client = Client(kind(server.url, TOKEN, retries=Retries(timeout_seconds=0.3)))

        payment = await client.ask("start_payment", ORDER)

        await client.close()
        assert (2, "succeeded") == (len(server.asked), payment.status)

    async def test_what_stays_broken_is_unknown(self, client: Client, server: Server) -> None:
        """After the last try the caller has the key, to ask again when it likes."""
        server.answers(BROKEN)

        with pytest.raises(OutcomeUnknown) as raised:
            await client.ask("start_payment", ORDER)

        assert QUICK.attempts == len(server.asked)
        assert {raised.value.key} == {asked.key for asked in server.asked}
        assert raised.value.problem
        assert "internal_error" == raised.value.problem.code

    async def test_a_question_has_no_effect_to_be_unsure_of(
        self, client: Client, server: Server
    ) -> None:
        """Whoever only looks is told that nobody answers."""
        server.answers(LOST)

        with pytest.raises(Unavailable):
            await client.ask("refresh_payment", PAYMENT_ID)

        assert QUICK.attempts == len(server.asked)

    async def test_where_nobody_is_nothing_was_done(
        self, kind: type[AsyncPaysaga | Paysaga]
    ) -> None:
        """A refused connection is no effect, for sure."""
        client = Client(kind(f"http://127.0.0.1:{free_port()}", TOKEN, retries=QUICK))

        with pytest.raises(Unavailable):
            await client.ask("start_payment", ORDER)
        await client.close()

    async def test_a_change_without_a_key_is_made_once(
        self, client: Client, server: Server
    ) -> None:
        """The API takes no key for it, so that a late repeat could undo somebody's next choice."""
        server.answers(LOST, Reply(200, a_method()))

        with pytest.raises(OutcomeUnknown) as raised:
            await client.ask("change_payment_method", METHOD_ID)

        assert 1 == len(server.asked)
        assert raised.value.key is None

    async def test_too_many_is_not_waited_for_beyond_the_deadline(
        self, client: Client, server: Server
    ) -> None:
        """The caller learns at once when it may come again, and that nothing was done."""
        server.answers(BUSY)

        with pytest.raises(TooMany) as raised:
            await client.ask("start_payment", ORDER)

        assert (1, 1800) == (len(server.asked), raised.value.retry_after_seconds)

    async def test_a_short_wait_is_kept(self, client: Client, server: Server) -> None:
        """Whoever is asked to come later comes later, and is served."""
        server.answers(Reply(429, a_problem(429), {"Retry-After": "0"}), PAID)

        payment = await client.ask("start_payment", ORDER)

        assert (2, "succeeded") == (len(server.asked), payment.status)

    @pytest.mark.parametrize(
        "stranger",
        [
            Reply(404, "<html>no such site</html>"),
            Reply(200, "<html>welcome</html>"),
            Reply(302, "", {"Location": "/elsewhere"}),
            Reply(200, {"id": PAYMENT_ID}),
        ],
        ids=["404", "200", "302", "half"],
    )
    async def test_a_stranger_s_answer_is_none(
        self, client: Client, server: Server, stranger: Reply
    ) -> None:
        """What a proxy says tells nothing of the request behind it, and no one else is asked."""
        server.answers(stranger, PAID)

        payment = await client.ask("start_payment", ORDER)

        assert ["/api/v1/payments"] * 2 == [asked.target for asked in server.asked]
        assert "succeeded" == payment.status

    async def test_a_no_is_not_repeated(self, client: Client, server: Server) -> None:
        """Asking again would not change it."""
        server.answers(Reply(404, a_problem(404, "not_found")))

        with pytest.raises(NotFound) as raised:
            await client.ask("get_payment", PAYMENT_ID)

        assert (1, "not_found") == (len(server.asked), raised.value.code)

    async def test_a_conflict_shows_the_payment(self, client: Client, server: Server) -> None:
        """Why it cannot be done is seen in what it is about."""
        server.answers(Reply(409, a_problem(409, "already_succeeded", payment=a_payment())))

        with pytest.raises(Conflict) as raised:
            await client.ask("cancel_payment", PAYMENT_ID)

        assert raised.value.payment
        assert "succeeded" == raised.value.payment.status


class TestToken:
    async def test_it_is_asked_for_at_each_try(
        self, kind: type[AsyncPaysaga | Paysaga], server: Server
    ) -> None:
        """Tokens expire, also between two tries."""
        server.answers(LOST, PAID)
        tokens = iter(["first", "second"])
        client = Client(kind(server.url, lambda: next(tokens), retries=QUICK))

        await client.ask("start_payment", ORDER)

        await client.close()
        sent = [asked.headers["authorization"] for asked in server.asked]
        assert ["Bearer first", "Bearer second"] == sent

    async def test_an_awaited_one(self, server: Server) -> None:
        """It may come from somewhere else."""
        server.answers(PAID)

        async def token() -> str:
            return "fetched"

        async with AsyncPaysaga(server.url, token) as client:
            await client.start_payment(ORDER)

        assert "Bearer fetched" == server.asked[0].headers["authorization"]

    async def test_without_one_nothing_is_sent(
        self, kind: type[AsyncPaysaga | Paysaga], server: Server
    ) -> None:
        """Who has no token yet has done nothing; the reason is not lost."""

        def none() -> str:
            raise RuntimeError("the auth service is away")

        client = Client(kind(server.url, none, retries=QUICK))

        with pytest.raises(Unavailable) as raised:
            await client.ask("start_payment", ORDER)

        await client.close()
        assert ([], "the auth service is away") == (server.asked, str(raised.value.__cause__))

    async def test_a_lost_try_is_not_forgotten_for_it(
        self, kind: type[AsyncPaysaga | Paysaga], server: Server
    ) -> None:
        """A token that cannot be had for the repeat leaves the first try as open as it was."""
        server.answers(LOST)
        tokens = iter(["first"])
        client = Client(kind(server.url, lambda: next(tokens), retries=QUICK))

        with pytest.raises(OutcomeUnknown):
            await client.ask("start_payment", ORDER)
        await client.close()

    async def test_nobody_sees_it(
        self,
        client: Client,
        kind: type[AsyncPaysaga | Paysaga],
        server: Server,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """Neither what is logged, nor what is raised, nor the client itself shows the token."""
        caplog.set_level(logging.DEBUG)
        server.answers(LOST)
        with pytest.raises(OutcomeUnknown) as lost:
            await client.ask("start_payment", ORDER)
        with pytest.raises(ValueError, match="visible ASCII") as wrong:
            kind(server.url, f"{TOKEN}\n")
        late = Client(kind(server.url, lambda: f"{TOKEN}\n", retries=QUICK))
        with pytest.raises(Unavailable) as never:
            await late.ask("start_payment", ORDER)
        await late.close()

        shown = [caplog.text, repr(client.client), str(vars(client.client))]
        for raised in (lost.value, wrong.value, never.value):
            shown += traceback.format_exception(raised)
        assert [] == [text for text in shown if "nobody-may-see" in text]


class TestInput:
    @pytest.mark.parametrize(
        "base_url", ["payments.example", "ftp://payments.example", "https://ada:secret@pay.example"]
    )
    def test_an_address_is_one(self, kind: type[AsyncPaysaga | Paysaga], base_url: str) -> None:
        """Where no API can be is told at once, and credentials are not kept in an address."""
        with pytest.raises(ValueError, match="base_url"):
            kind(base_url, TOKEN)

    @pytest.mark.parametrize("payment_id", ["", ".", ".."])
    async def test_an_id_does_not_lead_elsewhere(
        self, client: Client, server: Server, payment_id: str
    ) -> None:
        """What would be another path is not asked."""
        with pytest.raises(ValueError, match="payment_id"):
            await client.ask("get_payment", payment_id)

        assert [] == server.asked

    async def test_an_id_is_quoted(self, client: Client, server: Server) -> None:
        """Whatever it holds stays in its place."""
        server.answers(Reply(200, a_payment()))

        await client.ask("get_order_payment", "../payments?x=1")

        assert ["/api/v1/orders/..%2Fpayments%3Fx%3D1/payment"] == [
            it.target for it in server.asked
        ]

    @pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "x" * 256])
    async def test_a_key_is_one(self, client: Client, server: Server, key: str) -> None:
        """What the API would not take as a key is not sent."""
        with pytest.raises(ValueError, match="key"):
            await client.ask("cancel_payment", PAYMENT_ID, key=key)

        assert [] == server.asked
