"""A newer API does not break an older client, and lists are read to their end."""

import pytest
from pydantic import ValidationError

from paysaga.client import (
    AsyncPaysaga,
    Event,
    EventType,
    Payment,
    PaymentOrder,
    PaymentStatus,
    Turn,
    turn_of,
)
from tests.client.conftest import Client, Reply, Server
from tests.client.told import PAYMENT_ID, a_method, a_page, a_payment, an_event


class TestNewerApis:
    async def test_what_is_new_is_no_error(self, client: Client, server: Server) -> None:
        """Fields that this client does not know are dropped, and words stay as they are."""
        newer = a_payment(
            status="partially_paid",
            fulfillment="shipped",
            capture_method="later",
            next_action={"type": "scan", "url": "https://bank.example", "code": "1"},
            surprise={"a": [1]},
        )
        server.answers(Reply(200, newer))

        payment = await client.ask("get_payment", PAYMENT_ID)

        assert ("partially_paid", "shipped") == (payment.status, payment.fulfillment)
        assert (False, False) == (payment.is_settled, payment.is_final)
        assert "scan" == payment.next_action.type

    def test_a_known_word_is_a_member(self) -> None:
        """So that it may be compared either way."""
        payment = Payment.model_validate(a_payment())

        assert PaymentStatus.SUCCEEDED is payment.status
        assert "succeeded" == str(payment.status)

    @pytest.mark.parametrize(
        ("status", "is_settled", "is_final"),
        [
            ("created", False, False),
            ("processing", False, False),
            ("needs_operator", False, False),
            ("requires_action", True, False),
            ("awaiting_retry", True, False),
            ("authorized", True, False),
            ("succeeded", True, True),
            ("failed", True, True),
            ("expired", True, True),
            ("canceled", True, True),
        ],
    )
    def test_what_the_shop_may_tell(self, status: str, *, is_settled: bool, is_final: bool) -> None:
        """Settled is what the customer can be told; final is what does not change any more."""
        payment = Payment.model_validate(a_payment(status=status))

        assert (is_settled, is_final) == (payment.is_settled, payment.is_final)

    def test_an_event_of_a_new_object(self) -> None:
        """It can be counted and passed over; its data is what came."""
        event = Event.model_validate(
            an_event(type="refund.created", object_type="refund", data={"id": "rfd_1"})
        )

        assert ("refund.created", {"id": "rfd_1"}, None) == (event.type, event.data, event.payment)

    def test_an_event_of_a_payment(self) -> None:
        """Its data is the payment."""
        event = Event.model_validate(an_event())

        assert event.type is EventType.PAYMENT_SUCCEEDED
        assert event.payment
        assert 1250 == event.payment.amount

    def test_an_answer_is_not_changed(self) -> None:
        """It says what was said."""
        payment = Payment.model_validate(a_payment())

        with pytest.raises(ValidationError):
            payment.status = PaymentStatus.FAILED  # type: ignore[misc]

    def test_money_is_whole(self) -> None:
        """An amount that is no whole number of minor units is refused, and not repeated."""
        with pytest.raises(ValidationError) as raised:
            PaymentOrder(
                order_id="order-17",
                payment_method_id="pm_1",
                return_url="https://shop.example",
                amount=12.5,  # type: ignore[arg-type]
                currency="EUR",
            )

        assert "12.5" not in str(raised.value)


class TestLists:
    async def test_all_pages_are_read(self, client: Client, server: Server) -> None:
        """One after the other, each with the cursor of the one before."""
        server.answers(
            Reply(200, a_page(a_payment(), a_payment(), next_after="two")),
            Reply(200, a_page(next_after="three")),
            Reply(200, a_page(a_payment(order_id="order-18"))),
        )

        payments = await client.read("payments", 99, status="authorized")

        assert ["order-17", "order-17", "order-18"] == [payment.order_id for payment in payments]
        assert [
            "/api/v1/payments?status=authorized&limit=100",
            "/api/v1/payments?status=authorized&after=two&limit=100",
            "/api/v1/payments?status=authorized&after=three&limit=100",
        ] == [asked.target for asked in server.asked]

    async def test_methods_too(self, client: Client, server: Server) -> None:
        """A customer's saved methods, on however many pages."""
        server.answers(
            Reply(200, a_page(a_method(), next_after="two")), Reply(200, a_page(a_method()))
        )

        methods = await client.read("payment_methods", 99, customer_id="cst_ada")

        assert 2 == len(methods)

    async def test_nothing_is_asked_before_it_is_wanted(
        self, client: Client, server: Server
    ) -> None:
        """Whoever stops at the first costs one page."""
        server.answers(Reply(200, a_page(a_payment(), a_payment(), next_after="two")))

        await client.read("payments", 1)

        assert 1 == len(server.asked)


class TestFollowing:
    async def test_it_goes_on_where_it_was(self, client: Client, server: Server) -> None:
        """From the cursor that was kept, at once while there are more, then after a pause."""
        server.answers(
            Reply(200, {"items": [an_event(1)], "next_after": "1-1", "has_more": True}),
            Reply(503, "<html>"),
            Reply(200, {"items": [], "next_after": "1-1", "has_more": False}),
            Reply(200, {"items": [an_event(2)], "next_after": "1-2", "has_more": False}),
        )

        pages = await client.read(
            "follow_events",
            2,
            after="1-0",
            types=[EventType.PAYMENT_SUCCEEDED, "payment.refunded"],
            pause_seconds=0.01,
        )

        kinds = "type=payment.succeeded&type=payment.refunded"
        assert [1, 2] == [event.sequence for page in pages for event in page.items]
        assert ["1-1", "1-2"] == [page.next_after for page in pages]
        assert [
            f"/api/v1/events?{kinds}&after={place}&limit=100"
            for place in ("1-0", "1-1", "1-1", "1-1")
        ] == [asked.target for asked in server.asked]

    @pytest.mark.parametrize(
        ("last", "turn"), [(0, Turn.EARLY), (1, Turn.NEXT), (2, Turn.SEEN), (7, Turn.SEEN)]
    )
    def test_a_gap_is_seen(self, last: int, turn: Turn) -> None:
        """Who has handled 1 handles 2 next, knows 2 when it comes again, and misses it before 3."""
        assert turn is turn_of(Event.model_validate(an_event(2)), last)


async def test_a_client_of_yours_stays_open() -> None:
    """What was handed over is its owner's to close."""
    import httpx

    async with httpx.AsyncClient() as http:
        async with AsyncPaysaga("https://pay.example", "token", http=http):
            pass

        assert not http.is_closed
