"""What becomes of an order from the queue."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import date
from typing import Any

import httpx
import pytest
from pydantic import AnyHttpUrl
from structlog.testing import capture_logs

from activities.method_records import MethodRecords
from paysaga.auth import AuthService
from paysaga.database.engine import Sessions, create_engine, sessions
from paysaga.database.progress import SinkProgress
from paysaga.database.sink_changes import SinkChanges
from paysaga.domain import ids
from paysaga.domain.intent import CaptureMethod
from paysaga.domain.money import Money
from paysaga.domain.sink import Lane, Repeat, SinkStatus, Step
from paysaga.events.delivery import Answer, Verdict
from paysaga.orders import OrderServiceUnavailable
from paysaga.settings import IN_MEMORY, Environment
from paysaga.starting.calls import TemporalUnavailable
from paysaga.starting.limits import AttemptLimit
from paysaga.starting.orders import PaymentOrder
from paysaga.windows import Windows
from tests.api.world import Shop
from tests.database.payments import canceled, succeeded, waiting
from tests.rabbit import until
from tests.saved import processing, saved
from tests.sinks import NOON, configured
from tests.worker.orders import SETTINGS, Counter, a_message, an_event
from worker.order_messages import ACTOR
from worker.order_taking import NotYet, OrderTaking

AWAY = Answer(Verdict.AWAY, "the broker is not there")


@pytest.fixture
def counter(opened: Sessions) -> Counter:
    return Counter(opened)


@pytest.fixture
async def alone() -> AsyncIterator[Counter]:
    """Without a database: whoever needs none asks none."""
    engine = create_engine("sqlite:////nowhere/at/all.db")
    yield Counter(sessions(engine))
    await engine.dispose()


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    made = Shop()
    yield made
    await made.http.aclose()


async def shown(counter: Counter, count: int) -> bool:
    return count == len(await counter.desk.outbox.after(None, 9))


class TestStart:
    async def test_it_is_the_payment_that_the_api_would_start(self, counter: Counter) -> None:
        """Its id, its content and its terms; only the one who asked is another."""
        event = an_event(
            capture_method="manual", description="One mug", metadata={"basket": "17"}, attempts=3
        )

        await counter.take(event, correlation_id="basket-17")

        [payment] = counter.starts.started
        assert ids.derived(ids.PAYMENT, "cst_1", event["event_id"]) == payment.id
        assert (event["order_id"], "cst_1", Money(minor=1250, currency="EUR"), "pm_card_visa") == (
            payment.order_id,
            payment.customer_id,
            payment.money,
            payment.method,
        )
        assert (CaptureMethod.MANUAL, "One mug", {"basket": "17"}, 3) == (
            payment.capture_method,
            payment.description,
            payment.metadata,
            payment.policy.attempts,
        )
        assert ("https://shop.example/return", ACTOR, "basket-17", False) == (
            payment.return_url,
            payment.actor,
            payment.correlation_id,
            payment.has_order_service,
        )
        assert payment.gateway_return_url.endswith(f"/api/v1/payments/{payment.id}/return")

    async def test_a_request_over_http_with_its_id_as_the_key_is_the_same(
        self, counter: Counter
    ) -> None:
        """A shop that is not sure whether its event got through may simply ask."""
        event = an_event(description="One mug")
        body = {name: value for name, value in event.items() if name != "event_id"}

        await counter.take(event)

        [payment] = counter.starts.started
        assert ids.fingerprint(event["event_id"]) == payment.request.key
        posted = PaymentOrder.model_validate(body).fingerprint("start")
        assert posted == payment.request.fingerprint

    async def test_nobody_is_there_to_try_again(self, counter: Counter) -> None:
        """One attempt, if the message does not say otherwise: a decline is the end."""
        await counter.take(an_event())

        assert [1] == [payment.policy.attempts for payment in counter.starts.started]

    async def test_a_saved_method_is_paid_with_as_its_customer_has_it(
        self, counter: Counter, opened: Sessions
    ) -> None:
        """The gateway's customer is whoever saved it."""
        method = await saved_method(opened, "cst_1")

        await counter.take(an_event(payment_method_id=method))

        [payment] = counter.starts.started
        assert ("pm_1", "cus_1") == (payment.method, payment.gateway_customer_id)

    async def test_it_is_done_when_it_is_written_down(self, counter: Counter) -> None:
        """Started is not enough: a run that has written nothing may still lose its order."""
        counter.starts.writes = False
        event = an_event()
        taking = asyncio.create_task(counter.take(event))

        await until(lambda: 3 <= counter.starts.looks)
        was_done = taking.done()
        await counter.starts.write(counter.starts.started[0])
        await taking

        assert not was_done
        assert 1 == len(counter.starts.started)

    async def test_logs_name_the_payment(self, counter: Counter) -> None:
        """Whoever looks for it finds it by the payment and by the shop's own id."""
        with capture_logs() as logs:
            await counter.take(an_event(order_id="order-17"), correlation_id="basket-17")

        assert "order-17" in {line.get("order_id") for line in logs}


class TestAgain:
    async def test_twenty_times_is_once(self, counter: Counter) -> None:
        """Brokers deliver at least once."""
        event = an_event()

        for _ in range(20):
            await counter.take(event)

        assert 1 == len(counter.starts.started) == counter.starts.tried
        assert [] == counter.dead.published + counter.refusals.published

    async def test_at_once_is_once(self, counter: Counter) -> None:
        """Two workers have a copy each: one starts it, nobody is refused."""
        event = an_event()

        await asyncio.gather(*(counter.take(event) for _ in range(8)))

        assert 1 == len(counter.starts.started)
        assert [] == counter.dead.published + counter.refusals.published

    async def test_another_order_of_keys_and_defaults_is_the_same(self, counter: Counter) -> None:
        """Content counts, not its spelling."""
        event = an_event()
        spelled = dict(reversed([*event.items(), ("metadata", {}), ("attempts", 1)]))

        await counter.take(event)
        await counter.take(spelled)

        assert 1 == len(counter.starts.started)
        assert [] == counter.dead.published

    @pytest.mark.parametrize(
        "other", [{"amount": 1300}, {"order_id": "order-other"}, {"attempts": 2}]
    )
    async def test_other_content_is_put_aside(self, counter: Counter, other: Any) -> None:
        """One of the two was a mistake, and nobody here knows which: the first one stays."""
        event = an_event()
        await counter.take(event)

        await counter.take(event | other)

        [payment] = counter.starts.started
        assert ["key_reused"] == [reason for reason, _ in counter.dead.reasons]
        assert [("key_reused", payment.id)] == [
            (body["code"], body["payment_id"]) for body in counter.refusals.bodies
        ]

    async def test_other_content_while_the_first_has_written_nothing(
        self, counter: Counter
    ) -> None:
        """Its run knows what it was started with."""
        counter.starts.writes = False
        event = an_event()
        first = asyncio.create_task(counter.take(event))
        await until(lambda: 1 == len(counter.starts.started))

        await counter.take(event | {"amount": 1300})

        await counter.starts.write(counter.starts.started[0])
        await first
        assert ["key_reused"] == [reason for reason, _ in counter.dead.reasons]

    async def test_a_result_is_told_again(self, counter: Counter) -> None:
        """Whoever asks again has missed it: it comes as it came the first time, with its id."""
        event = an_event()
        await counter.take(event)
        [payment] = counter.starts.started
        await counter.goes_on(*succeeded(payment)[1:])

        await counter.take_when_shown(event)
        await counter.take(event)

        told = {(each.id, each.type, each.object_id) for each in counter.results.given}
        [event_row] = await counter.desk.outbox.after(None, 9, types=["payment.succeeded"])
        assert {(event_row.id, "payment.succeeded", payment.id)} == told
        assert 2 == len(counter.results.given)
        assert 1 == len(counter.starts.started)

    async def test_nothing_is_told_before_its_turn(
        self, counter: Counter, opened: Sessions
    ) -> None:
        """What the sink has still to tell, or is not to, it tells itself, in its order."""
        event = an_event()
        await counter.take(event)
        await counter.goes_on(*succeeded(counter.starts.started[0])[1:])
        begun = await configured(opened)
        await until(lambda: shown(counter, 3))
        changes, given = SinkChanges(opened), []

        async def told(what: str) -> None:
            await counter.take(event)
            given.append((what, len(counter.results.given)))

        await told("behind")
        [*_, last] = await counter.desk.outbox.after(None, 9)
        await SinkProgress(opened).note(begun, Step(place=last.place, at=NOON))
        await told("handed over")
        await changes.change(begun.id, {"status": SinkStatus.PAUSED}, NOON)
        await told("paused")
        await changes.change(
            begun.id, {"status": SinkStatus.ACTIVE, "types": ["payment.created"]}, NOON
        )
        await told("not wanted")
        await changes.change(begun.id, {"types": []}, NOON)
        lane = Lane(object_id=last.object_id, sequence=2, next_try_at=NOON)
        moved = await counter.desk.sinks.sink(begun.id)
        assert moved is not None
        await SinkProgress(opened).note(moved, Step(place=last.place, lanes=(lane,), at=NOON))
        await told("waits on its own")

        assert [
            ("behind", 0),
            ("handed over", 1),
            ("paused", 1),
            ("not wanted", 1),
            ("waits on its own", 1),
        ] == given

    async def test_who_has_just_heard_it_may_ask_again(
        self, counter: Counter, opened: Sessions
    ) -> None:
        """The sink has told it, and not yet written that down: the copy comes a moment later."""
        event = an_event()
        await counter.take(event)
        await counter.goes_on(*succeeded(counter.starts.started[0])[1:])
        begun = await configured(opened)
        await until(lambda: shown(counter, 3))

        [*_, last] = await counter.desk.outbox.after(None, 9)
        asking = asyncio.create_task(counter.take(event))
        await until(lambda: Repeat.LATER in counter.sinks.said)
        before = len(counter.results.given)
        await SinkProgress(opened).note(begun, Step(place=last.place, at=NOON))
        await asking

        assert 0 == before
        assert [last.id] == [each.id for each in counter.results.given]

    async def test_so_is_one_without_money(self, counter: Counter) -> None:
        """Given up is a result, too."""
        event = an_event()
        await counter.take(event)
        await counter.goes_on(*canceled(counter.starts.started[0])[1:])

        await counter.take_when_shown(event)

        assert ["payment.canceled"] == [each.type for each in counter.results.given]

    async def test_an_open_payment_tells_nothing(self, counter: Counter) -> None:
        """Its events come when there is news."""
        event = an_event()
        await counter.take(event)
        await counter.goes_on(*waiting(counter.starts.started[0])[1:])

        await counter.take(event)

        assert [] == counter.results.given
        assert [] == counter.dead.published

    async def test_a_result_that_is_not_confirmed_is_told_later(self, counter: Counter) -> None:
        """The message stays unacknowledged."""
        event = an_event()
        await counter.take(event)
        await counter.goes_on(*succeeded(counter.starts.started[0])[1:])
        await counter.take_when_shown(event)
        counter.results.answer = AWAY

        with pytest.raises(NotYet, match="the broker is not there"):
            await counter.take(event)


class TestRefused:
    async def test_an_order_of_another_payment(self, counter: Counter) -> None:
        """It is not paid twice; the shop hears which payment has it, and nothing was started."""
        first = an_event()
        await counter.take(first)
        second = first | {"event_id": "event-other"}

        await counter.take(second, correlation_id="basket-18", message_id="m-1")

        [payment] = counter.starts.started
        [(key, told)] = counter.refusals.published
        assert "order.payment-refused" == key == told.type
        assert "basket-18" == told.correlation_id
        assert {
            "id": told.message_id,
            "event_id": "event-other",
            "order_id": first["order_id"],
            "customer_id": "cst_1",
            "code": "order_has_payment",
            "detail": "Another payment for this order is open or succeeded.",
            "payment_id": payment.id,
        } == json.loads(told.body)
        [(queue, dead)] = counter.dead.published
        assert "orders.dead" == queue
        assert second == json.loads(dead.body)
        assert "m-1" == dead.message_id

    async def test_one_that_another_payment_takes_in_the_same_moment(
        self, counter: Counter
    ) -> None:
        """Both runs were started: the one that came too late is told, not forgotten."""
        counter.starts.writes = False
        one, other = an_event(), an_event()
        other["order_id"] = one["order_id"]
        first = asyncio.create_task(counter.take(one))
        second = asyncio.create_task(counter.take(other))
        await until(lambda: 2 == len(counter.starts.started))

        for payment in counter.starts.started:
            await counter.starts.write(payment)
        await asyncio.gather(first, second)
        winner, loser = counter.starts.started
        again = one if ids.fingerprint(one["event_id"]) == loser.request.key else other
        await counter.take(again)

        assert [("order_has_payment", winner.id)] * 2 == [
            (body["code"], body["payment_id"]) for body in counter.refusals.bodies
        ]
        assert 1 == len({body["id"] for body in counter.refusals.bodies})
        assert 2 == len(counter.dead.published)

    async def test_somebody_elses_saved_method(self, counter: Counter, opened: Sessions) -> None:
        """Its field is named."""
        method = await saved_method(opened, "cst_2")

        await counter.take(an_event(payment_method_id=method))
        await counter.take(an_event(payment_method_id="mtd_" + "a" * 26))

        assert [] == counter.starts.started
        told = "payment_method_id: There is no such payment method, or not any more."
        assert [("payment_method_not_found", told)] * 2 == counter.dead.reasons

    @pytest.mark.parametrize(
        ("price", "code"),
        [
            ({"amount": 1}, "amount_too_small"),
            ({"amount": 999_999_999_999}, "amount_too_large"),
            ({"amount": 12345, "currency": "KWD"}, "amount_not_representable"),
        ],
    )
    async def test_an_amount_that_cannot_be_charged(
        self, counter: Counter, price: Any, code: str
    ) -> None:
        """Before anything is started."""
        await counter.take(an_event(**price))

        assert [] == counter.starts.started
        [(reason, detail)] = counter.dead.reasons
        assert code == reason
        assert str(detail).startswith("amount: ")

    async def test_the_sixth_attempt_of_an_hour(self, counter: Counter) -> None:
        """As over HTTP; it may be sent again when there is room."""
        for _ in range(5):
            await counter.take(an_event())

        await counter.take(an_event())

        assert 5 == len(counter.starts.started)
        assert ["too_many_attempts"] == [body["code"] for body in counter.refusals.bodies]

    async def test_repeats_are_no_attempts(self, counter: Counter) -> None:
        """Else a broker that repeats itself would lock customers out."""
        event = an_event()
        for _ in range(9):
            await counter.take(event)

        await counter.take(an_event())

        assert 2 == len(counter.starts.started)

    async def test_a_twin_is_not_refused_for_what_the_first_has_used_up(
        self, counter: Counter, opened: Sessions
    ) -> None:
        """Two workers count the same event twice: there is a payment, so nobody hears a no."""
        event = an_event()
        twin = Counter(opened)
        desk = replace(
            twin.desk,
            starts=counter.starts,
            attempts=Overtaken(lambda: counter.take(event)),
        )
        taking = OrderTaking(desk, twin.results, twin.refusals, twin.dead, "orders")

        await taking.take(a_message(event))

        assert 1 == len(counter.starts.started)
        assert [] == twin.dead.published + twin.refusals.published

    async def test_a_run_that_somebody_has_ended(self, counter: Counter) -> None:
        """It cannot be started again under this event: a person sees it, and so does the shop."""
        counter.starts.writes = False
        event = an_event()
        first = asyncio.create_task(counter.take(event))
        await until(lambda: 1 == len(counter.starts.started))
        counter.starts.ended.add(counter.starts.started[0].id)
        await first

        await counter.take(event)

        assert ["run_ended"] * 2 == [reason for reason, _ in counter.dead.reasons]

    async def test_an_unknown_customer(self, opened: Sessions) -> None:
        """Where the auth service knows customers, it is asked."""
        settings = SETTINGS.model_copy(
            update={
                "auth_service_url": AnyHttpUrl("http://auth.example"),
                "auth_service_knows_customers": True,
            }
        )
        nobody = httpx.MockTransport(lambda _: httpx.Response(404))
        async with httpx.AsyncClient(base_url="http://auth.example", transport=nobody) as http:
            counter = Counter(opened, settings=settings, auth=AuthService(http))

            await counter.take(an_event())

        assert [] == counter.starts.started
        told = "customer_id: There is no such customer, or not any more."
        assert [("validation_failed", told)] == counter.dead.reasons


class TestOrderService:
    async def test_its_price_counts(self, opened: Sessions, shop: Shop) -> None:
        """It is the same, so the payment is started, and reserves the order."""
        counter = Counter(opened, orders=shop.service)
        order = shop.has("order-1", "cst_1")

        await counter.take(an_event(order_id=order))

        [payment] = counter.starts.started
        assert payment.has_order_service
        assert Money(minor=1250, currency="EUR") == payment.money

    @pytest.mark.parametrize(
        ("facts", "code"),
        [
            ({"amount": 1300}, "order_amount_mismatch"),
            ({"currency": "USD"}, "order_amount_mismatch"),
            ({"customer_id": "cst_2"}, "order_not_found"),
            ({"status": "paid"}, "order_not_open"),
            ({"status": "reserved", "payment_id": "pay_other"}, "order_has_payment"),
        ],
    )
    async def test_what_it_contradicts_is_refused(
        self, opened: Sessions, shop: Shop, facts: Any, code: str
    ) -> None:
        """The shop's two sides do not agree: nothing is started."""
        counter = Counter(opened, orders=shop.service)
        shop.has("order-1", **{"customer_id": "cst_1", **facts})

        await counter.take(an_event(order_id="order-1"))

        assert [] == counter.starts.started
        assert [code] == [body["code"] for body in counter.refusals.bodies]
        assert [code] == [reason for reason, _ in counter.dead.reasons]

    async def test_its_day_counts(self, opened: Sessions, shop: Shop) -> None:
        """Refunds depend on it: what is told must be the order's, what is not told is."""
        counter = Counter(opened, orders=shop.service)
        order = shop.has("order-1", "cst_1", service_date="2027-02-01")

        await counter.take(an_event(order_id=order, service_date="2028-02-01"))
        await counter.take(an_event(order_id=order))

        assert ["order_service_date_mismatch"] == [reason for reason, _ in counter.dead.reasons]
        assert [date(2027, 2, 1)] == [paid.service_date for paid in counter.starts.started]

    async def test_it_may_be_away(self, opened: Sessions, shop: Shop) -> None:
        """The order is not refused: it is taken up again."""
        counter = Counter(opened, orders=shop.service)
        event = an_event(order_id=shop.has("order-1", "cst_1"))
        shop.is_down = True
        with pytest.raises(OrderServiceUnavailable):
            await counter.take(event)

        shop.is_down = False
        await counter.take(event)

        assert 1 == len(counter.starts.started)
        assert [] == counter.dead.published


class TestAway:
    async def test_temporal_comes_back(self, counter: Counter) -> None:
        """Nothing is refused and nothing is counted twice: the same order is taken later."""
        counter.starts.is_away = True
        event = an_event()
        for _ in range(8):
            with pytest.raises(TemporalUnavailable):
                await counter.take(event)

        counter.starts.is_away = False
        await counter.take(event)

        assert 1 == len(counter.starts.started)
        assert [] == counter.dead.published + counter.refusals.published

    async def test_whoever_is_cut_off_after_the_start_begins_no_other(
        self, counter: Counter
    ) -> None:
        """Killed between Temporal's yes and the acknowledgement: the message comes again."""
        counter.starts.writes = False
        event = an_event()
        first = asyncio.create_task(counter.take(event))
        await until(lambda: 1 == len(counter.starts.started))
        first.cancel()
        await asyncio.wait([first])
        await counter.starts.write(counter.starts.started[0])

        await counter.take(event)

        assert 1 == len(counter.starts.started)
        assert [] == counter.dead.published + counter.refusals.published

    async def test_a_refusal_that_nobody_heard_is_told_again(self, counter: Counter) -> None:
        """First the shop, then the dead letter, then the acknowledgement; each with its id."""
        counter.refusals.answers.append(AWAY)
        event = an_event(amount=1)
        with pytest.raises(NotYet):
            await counter.take(event)
        assert [] == counter.dead.published

        counter.dead.answers.append(AWAY)
        with pytest.raises(NotYet):
            await counter.take(event)
        await counter.take(event)

        assert 1 == len({message.message_id for _, message in counter.refusals.published})
        assert 1 == len(counter.dead.published)


class TestMalformed:
    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"event_id": None}, "event_id"),
            ({"event_id": "a b"}, "event_id"),
            ({"event_id": "x" * 256}, "event_id"),
            ({"event_id": 17}, "event_id"),
            ({"order_id": None}, "order_id"),
            ({"order_id": "../17"}, "order_id"),
            ({"customer_id": None}, "customer_id"),
            ({"customer_id": "jane@shop.example"}, "customer_id"),
            ({"amount": None}, "amount"),
            ({"amount": 12.5}, "amount"),
            ({"amount": "1250"}, "amount"),
            ({"amount": 0}, "amount"),
            ({"currency": None}, "currency"),
            ({"currency": "euro"}, "currency"),
            ({"payment_method_id": None}, "payment_method_id"),
            ({"payment_method_id": "tok_visa"}, "payment_method_id"),
            ({"return_url": None}, "return_url"),
            ({"return_url": "javascript:alert(1)"}, "return_url"),
            ({"capture_method": "later"}, "capture_method"),
            ({"description": "x" * 501}, "description"),
            ({"metadata": {"a": 1}}, "metadata.a"),
            ({"attempts": 0}, "attempts"),
            ({"attempts": 4}, "attempts"),
            ({"renew_hold_until": "2027-02-01T00:00:00Z"}, "renew_hold_until"),
            ({"amuont": 17}, "amuont"),
        ],
    )
    async def test_the_field_is_named(self, alone: Counter, changes: Any, field: str) -> None:
        """Put aside with its body as it came, and with what to correct; no value is repeated."""
        body = an_event(**changes)

        await alone.take(body)

        assert [] == alone.starts.started
        [(reason, detail)] = alone.dead.reasons
        assert "validation_failed" == reason
        assert str(detail).startswith(f"{field}: ")
        assert [body] == alone.dead.bodies
        assert [] == alone.refusals.published

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b"", "malformed_json"),
            (b"{", "malformed_json"),
            (b"[]", "validation_failed"),
            (b"17", "validation_failed"),
            (b"[" * 60_000, "malformed_json"),
        ],
    )
    async def test_what_is_no_order_is_put_aside(
        self, alone: Counter, body: bytes, code: str
    ) -> None:
        """Byte for byte."""
        await alone.take(body, content_type="text/plain", headers={"shop": "1"})

        [(_, dead)] = alone.dead.published
        assert code == dead.headers["x-reason"]
        assert (body, "text/plain", "1") == (dead.body, dead.content_type, dead.headers["shop"])

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b"\xff\xfe", "malformed_json"),
            ("4242 4242 4242 4242".encode("utf-16"), "malformed_json"),
            (b'{"description": "' + b"x" * 65536 + b'"}', "body_too_large"),
        ],
    )
    async def test_what_nobody_has_read_is_not_kept(
        self, alone: Counter, body: bytes, code: str
    ) -> None:
        """It may hold anything, a card number, too; the reason is kept, and who sent it."""
        await alone.take(body, headers={"shop": "1", "binary": bytearray(b"\xff"), "raw": b"\xff"})

        [(_, dead)] = alone.dead.published
        assert (code, b"", "1") == (dead.headers["x-reason"], dead.body, dead.headers["shop"])
        assert "raw" not in dead.headers

    @pytest.mark.parametrize(
        "body",
        [
            rb'{"description": "\u0034242 4242 4242 4242"',
            b'{"description": "4242 4242 4242 4242"',
        ],
    )
    async def test_a_card_number_in_what_is_no_json(self, alone: Counter, body: bytes) -> None:
        """In whatever spelling: it is not kept."""
        await alone.take(body)

        [(_, dead)] = alone.dead.published
        assert ("card_number_refused", b"") == (dead.headers["x-reason"], dead.body)

    async def test_headers_that_would_not_fit_are_left_out(self, alone: Counter) -> None:
        """The broker would end the connection, and others' messages with it."""
        await alone.take(b"{", headers={"shop": "x" * 100_000})

        [(_, dead)] = alone.dead.published
        assert {"x-reason", "x-detail"} == set(dead.headers)

    async def test_production_sends_customers_over_https_only(self, alone: Counter) -> None:
        """As over HTTP."""
        live = SETTINGS.model_copy(update={"environment": Environment.PRODUCTION})
        desk = replace(alone.desk, settings=live)
        taking = OrderTaking(desk, alone.results, alone.refusals, alone.dead, "orders")

        await taking.take(a_message(an_event(return_url="http://shop.example/")))

        assert [("validation_failed", "return_url: An https address is needed.")] == (
            alone.dead.reasons
        )

    async def test_no_header_steers_the_dead_letter_elsewhere(self, alone: Counter) -> None:
        """`CC` is an order to the broker, and not the sender's to give here."""
        await alone.take(b"{", headers={"CC": ["elsewhere"], "BCC": ["there"], "shop": "1"})

        [(_, dead)] = alone.dead.published
        assert {"shop", "x-reason", "x-detail"} == set(dead.headers)


class TestCardNumbers:
    @pytest.mark.parametrize(
        ("body", "properties"),
        [
            (an_event(description="4242 4242 4242 4242"), {}),
            (an_event(metadata={"4242424242424242": "x"}), {}),
            (b'{"description": "\\u0034242424242424242"}', {}),
            (b"4242-4242-4242-4242 is not even JSON", {}),
            (an_event(), {"message_id": "4242424242424242"}),
            (an_event(), {"headers": {"card": "4242424242424242"}}),
        ],
    )
    async def test_none_is_kept(self, alone: Counter, body: Any, properties: Any) -> None:
        """Neither in a dead letter nor in a log: only that it came."""
        with capture_logs() as logs:
            await alone.take(body, **properties)

        [(_, dead)] = alone.dead.published
        assert "card_number_refused" == dead.headers["x-reason"]
        assert b"" == dead.body
        kept = f"{dead.headers} {dead.message_id} {dead.correlation_id} {logs}"
        assert "4242" not in kept.replace(" ", "")
        assert [] == alone.starts.started


class Overtaken(AttemptLimit):
    """Its worker has looked whether the event is new, and then another one takes it."""

    def __init__(self, other: Callable[[], Awaitable[None]]) -> None:
        super().__init__(Windows(IN_MEMORY), 1)
        self._other = other

    async def count(self, customer_id: str, request: str) -> None:
        await self._other()
        await super().count(customer_id, "something else")
        await super().count(customer_id, request)


async def saved_method(sessions: Sessions, customer_id: str) -> str:
    """A method that this customer has saved."""
    method_id = f"mtd_{'a' * 26}"
    records = MethodRecords(sessions)
    await records.record_method(processing(method_id, customer_id=customer_id))
    return (await records.record_method(saved(method_id, customer_id=customer_id))).id
