"""What we ask of the gateway about its hosted page, over real HTTP against the simulator."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
import stripe
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.checkout_calls import CheckoutCalls
from activities.checkout_orders import CloseSession, SessionOrder, SessionSearch
from activities.errors import Trouble
from paysaga.domain.checkout import LIFE, LONGER_AT_THE_GATEWAY, CheckoutSession, SessionStatus
from paysaga.domain.intent import CaptureMethod, IntentStatus
from paysaga.domain.money import Money
from tests.activities.told import Told
from tests.fakes import PRICE
from tests.simulated import KEY, Simulated, gateway
from tests.stripe_spec import Specification

I = IntentStatus  # noqa: E741 - read beside the statuses' own names
S = SessionStatus
SUCCESS_URL = "https://shop.example/thanks?payment_id=pay_test"
CANCEL_URL = "https://shop.example/basket?payment_id=pay_test"
NO_FUNDS = "pm_card_visa_chargeDeclinedInsufficientFunds"
THREE_D_SECURE = "pm_card_authenticationRequired"
SESSION = {
    "id": "cs_1",
    "object": "checkout.session",
    "status": "open",
    "url": "https://gateway.example/c/pay/cs_1",
    "expires_at": 1_800_000_000,
    "customer": "cus_1",
    "payment_intent": None,
    "metadata": {},
}


class Book:
    """The addresses that customers gave."""

    def __init__(self) -> None:
        self.emails: dict[str, str] = {}

    async def email(self, customer_id: str) -> str | None:
        return self.emails.get(customer_id)


class Hurried(stripe.HTTPXClient):
    """On its way to expire a page it is overtaken by somebody who does this."""

    def __init__(self, overtake: Callable[[], Awaitable[object]]) -> None:
        super().__init__(timeout=httpx.Timeout(2))
        self._overtake = overtake

    async def request_async(self, method: str, url: str, *args: Any, **more: Any) -> Any:
        if url.endswith("/expire"):
            await self._overtake()
        return await super().request_async(method, url, *args, **more)


def an_order(**facts: Any) -> SessionOrder:
    """A page of 12.50 EUR for a customer whom the gateway does not know."""
    began = datetime.now(UTC)
    order = {
        "payment_id": "pay_1",
        "order_id": "order-1",
        "customer_id": "cst_1",
        "gateway_customer_id": None,
        "attempt": 1,
        "money": PRICE,
        "description": "One test product",
        "success_url": SUCCESS_URL,
        "cancel_url": CANCEL_URL,
        "environment": "test",
        "correlation_id": "c",
        "expires_at": began + LIFE + LONGER_AT_THE_GATEWAY,
        "ordered_at": began,
    }
    return SessionOrder.model_validate({**order, **facts})


class Desk:
    """The activities as a worker would run them, for one payment."""

    def __init__(self, simulated: Simulated) -> None:
        self.simulated = simulated
        self.book = Book()
        self.calls = CheckoutCalls(simulated.client, self.book)
        self.payment_id = f"pay_{uuid4().hex}"
        self.customer_id = f"cst_{self.payment_id}"
        self.began = datetime.now(UTC)

    def order(self, **facts: Any) -> SessionOrder:
        """This payment's first page; a new generation ends a second later."""
        longer = timedelta(seconds=facts.get("generation", 0))
        ours = {
            "payment_id": self.payment_id,
            "customer_id": self.customer_id,
            "expires_at": self.began + LIFE + LONGER_AT_THE_GATEWAY + longer,
        }
        return an_order(**{**ours, **facts})

    async def open(self, **facts: Any) -> CheckoutSession:
        return await ActivityEnvironment().run(self.calls.open_session, self.order(**facts))

    async def fails_to_open(self, **facts: Any) -> ApplicationError:
        """What Temporal is told when the page could not be opened."""
        with pytest.raises(ApplicationError) as failed:
            await self.open(**facts)
        return failed.value

    async def look(self, page: CheckoutSession) -> CheckoutSession:
        return await ActivityEnvironment().run(self.calls.retrieve_session, page.id)

    async def close(self, page: CheckoutSession, *, generation: int = 0) -> CheckoutSession:
        order = CloseSession(payment_id=self.payment_id, session_id=page.id, generation=generation)
        return await ActivityEnvironment().run(self.calls.close_session, order)

    async def find(
        self, customer: str | None = None, *, attempt: int = 1
    ) -> CheckoutSession | None:
        search = SessionSearch(
            payment_id=self.payment_id,
            attempt=attempt,
            gateway_customer_id=customer,
            ordered_at=self.began,
        )
        return (await ActivityEnvironment().run(self.calls.find_session, search)).session

    async def pay(self, page: CheckoutSession, method: str = "pm_card_visa") -> int:
        """The customer pays on the page; answers with the gateway's status code."""
        answer = await self.simulated.control.post(
            f"/checkout_sessions/{page.id}/pay", json={"payment_method": method}
        )
        return answer.status_code

    async def made(self, page: CheckoutSession) -> stripe.checkout.Session:
        """The page in the gateway's own words."""
        return await self.simulated.client.v1.checkout.sessions.retrieve_async(
            page.id, {"expand": ["line_items", "payment_intent", "customer"]}
        )

    async def pages(self) -> list[str]:
        """All of this payment's pages, the newest first."""
        listed = await self.simulated.client.v1.checkout.sessions.list_async({"limit": 100})
        return [
            each.id
            for each in listed.data
            if each.metadata and each.metadata.to_dict()["payment_id"] == self.payment_id
        ]

    async def posted(self, operation: str) -> int:
        """How often the gateway was asked for this, by anybody."""
        told = [entry.get("operation") for entry in await self.simulated.journal()]
        return told.count(operation)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def simulated(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Simulated]:
    directory: Path = tmp_path_factory.mktemp("simulator")
    async with gateway(directory, specification=Specification.from_environment()) as running:
        yield running


@pytest.fixture
def desk(simulated: Simulated) -> Iterator[Desk]:
    """All that is asked and answered here holds to Stripe's own document."""
    simulated.violations.clear()
    yield Desk(simulated)
    assert [] == simulated.violations


class TestOpen:
    @pytest.mark.stripe
    async def test_a_page_takes_no_money_by_itself(self, desk: Desk) -> None:
        """The new page is open and has an address."""
        page = await desk.open()

        assert (S.OPEN, None, None) == (page.status, page.intent, page.outcome)
        assert page.url is not None

    @pytest.mark.stripe
    async def test_what_the_gateway_is_told(self, desk: Desk) -> None:
        """One line with the order's name, our marks, our return addresses, and the page's end."""
        order = desk.order()
        page = await desk.open()

        made = await desk.made(page)
        assert made.line_items is not None
        [line] = made.line_items.data
        assert ("One test product", 1, 1250) == (
            line.description,
            line.quantity,
            line.amount_total,
        )
        assert ("payment", 1250, "eur") == (made.mode, made.amount_total, made.currency)
        assert (SUCCESS_URL, CANCEL_URL) == (made.success_url, made.cancel_url)
        assert int(order.expires_at.timestamp()) == made.expires_at
        assert order.expires_at.replace(microsecond=0) == page.expires_at
        assert desk.payment_id == made.client_reference_id
        assert made.metadata is not None
        assert {
            "payment_id": desk.payment_id,
            "order_id": "order-1",
            "customer_id": desk.customer_id,
            "environment": "test",
            "correlation_id": "c",
            "attempt": "1",
        } == made.metadata.to_dict()

    async def test_the_intent_leads_back_to_the_payment(self, desk: Desk) -> None:
        """Its own events come with its own marks, the description and what the bank shows."""
        page = await desk.open(statement_descriptor_suffix="TEA")
        await desk.pay(page)

        made = await desk.made(page)
        assert isinstance(made.payment_intent, stripe.PaymentIntent)
        assert made.metadata is not None
        assert made.metadata.to_dict() == made.payment_intent.metadata.to_dict()
        assert ("One test product", "TEA", page.customer_id) == (
            made.payment_intent.description,
            made.payment_intent.statement_descriptor_suffix,
            made.payment_intent.customer,
        )

    async def test_an_order_without_words_is_named_by_its_id(self, desk: Desk) -> None:
        """The page must show something; the intent stays without a description."""
        page = await desk.open(description=None)
        await desk.pay(page)

        made = await desk.made(page)
        assert made.line_items is not None
        assert isinstance(made.payment_intent, stripe.PaymentIntent)
        assert ["Order order-1"] == [line.description for line in made.line_items.data]
        assert made.payment_intent.description is None

    @pytest.mark.parametrize(
        ("money", "gateway_amount"),
        [
            (Money(minor=1000, currency="JPY"), 1000),
            (Money(minor=12340, currency="KWD"), 12340),
            (Money(minor=999, currency="ISK"), 99900),
        ],
    )
    async def test_amounts_are_in_the_gateways_units(
        self, desk: Desk, money: Money, gateway_amount: int
    ) -> None:
        """Currencies without and with three decimals arrive as the gateway counts them."""
        page = await desk.open(money=money)
        await desk.pay(page)

        paid = (await desk.look(page)).outcome
        assert gateway_amount == (await desk.made(page)).amount_total
        assert paid is not None
        assert (money, money.minor) == (paid.money, paid.received)

    async def test_manual_capture_holds_the_money(self, desk: Desk) -> None:
        """The page is complete, and nothing is taken before we ask for it."""
        page = await desk.open(capture_method=CaptureMethod.MANUAL)
        await desk.pay(page)

        held = (await desk.look(page)).outcome
        assert held is not None
        assert (I.REQUIRES_CAPTURE, PRICE.minor, 0) == (
            held.status,
            held.capturable,
            held.received,
        )
        assert held.capture_before is not None

    @pytest.mark.stripe
    async def test_a_repeat_is_the_same_page(self, desk: Desk) -> None:
        """However often the step runs, the attempt has one page."""
        first = await desk.open()

        assert first == await desk.open()
        assert [first.id] == await desk.pages()

    @pytest.mark.stripe
    async def test_each_attempt_has_its_own(self, desk: Desk) -> None:
        """The next attempt's key is another one."""
        first = await desk.open()

        second = await desk.open(attempt=2, gateway_customer_id=first.customer_id)

        assert [second.id, first.id] == await desk.pages()

    async def test_a_lost_answer_leaves_one_page(self, desk: Desk) -> None:
        """The page was opened and the answer lost: the repeat finds it under the same key."""
        await desk.simulated.arm("checkout_sessions.create", "effect_reply_lost")

        lost = await desk.fails_to_open()
        page = await desk.open()

        assert Trouble.UNREACHABLE == lost.type
        assert [page.id] == await desk.pages()

    @pytest.mark.parametrize(
        ("kind", "more", "type_"),
        [
            ("rate_limit", {"retry_after": 7}, Trouble.LATER),
            ("key_in_use", {}, Trouble.LATER),
            ("refuse_before", {"status": 503}, Trouble.STICKY),
            ("parameter_mismatch", {}, Trouble.STICKY),
        ],
    )
    async def test_trouble_is_told_as_everywhere(
        self, desk: Desk, kind: str, more: dict[str, int], type_: Trouble
    ) -> None:
        """What may be asked again at once, what only with the next key."""
        await desk.simulated.arm("checkout_sessions.create", kind, **more)

        failed = await desk.fails_to_open()

        assert type_ == failed.type
        assert (type_ is Trouble.STICKY) == failed.non_retryable

    @pytest.mark.parametrize("effect", [True, False])
    async def test_a_remembered_error_leaves_one_page(
        self,
        desk: Desk,
        effect: bool,  # noqa: FBT001 - the case
    ) -> None:
        """A 500, with or without effect: the next generation finds the page, or opens it."""
        customer = (await desk.open(attempt=7)).customer_id
        await desk.simulated.arm("checkout_sessions.create", "sticky_500", effect=effect)

        sticky = await desk.fails_to_open(gateway_customer_id=customer)
        again = await desk.fails_to_open(gateway_customer_id=customer)
        page = await desk.open(gateway_customer_id=customer, generation=1)

        assert [Trouble.STICKY, Trouble.STICKY] == [sticky.type, again.type]
        assert page.id == (await desk.pages())[0]
        assert 2 == len(await desk.pages())
        seconds = 0 if effect else 1
        assert desk.order(generation=seconds).expires_at.replace(microsecond=0) == page.expires_at

    async def test_a_page_that_was_paid_meanwhile_is_found(self, desk: Desk) -> None:
        """Nobody told us of the page; its customer has it from the gateway's own e-mail, say."""
        await desk.simulated.arm("checkout_sessions.create", "sticky_500", effect=True)
        await desk.fails_to_open()
        lost = await desk.find()
        assert lost is not None
        await desk.pay(lost)

        page = await desk.open(generation=1)

        assert (lost.id, S.COMPLETE) == (page.id, page.status)
        assert page.outcome is not None
        assert I.SUCCEEDED is page.outcome.status

    async def test_another_attempts_page_is_not_this_ones(self, desk: Desk) -> None:
        """The first attempt's page is over; the second one's call had no effect."""
        first = await desk.open()
        await desk.close(first)
        await desk.simulated.arm("checkout_sessions.create", "sticky_500", effect=False)
        await desk.fails_to_open(attempt=2, gateway_customer_id=first.customer_id)

        second = await desk.open(attempt=2, gateway_customer_id=first.customer_id, generation=1)

        assert S.OPEN is second.status
        assert [second.id, first.id] == await desk.pages()

    async def test_too_little_time_left_is_a_matter_of_the_next_key(self, desk: Desk) -> None:
        """Nobody answered for so long that the page's end has come near: it gets a new one."""
        near = datetime.now(UTC) + timedelta(minutes=29)

        late = await desk.fails_to_open(expires_at=near)
        page = await desk.open(generation=1)

        assert (Trouble.STICKY, True) == (late.type, late.non_retryable)
        assert "expires_at" == late.details[0]["param"]
        assert [page.id] == await desk.pages()

    async def test_any_other_refusal_is_one(self, desk: Desk) -> None:
        """What the gateway will not have is not asked again."""
        refused = await desk.fails_to_open(success_url="no address")

        assert (Trouble.REFUSED, True) == (refused.type, refused.non_retryable)
        assert [] == await desk.pages()

    async def test_an_error_without_a_body_tells_nothing(self) -> None:
        """An answer that cannot be read may hide a page."""
        told = Told((200, {"id": "cus_1", "object": "customer"}), (502, {}))
        calls = CheckoutCalls(stripe.StripeClient("sk_test_1", http_client=told), Book())

        with pytest.raises(ApplicationError) as unclear:
            await ActivityEnvironment().run(calls.open_session, an_order())

        assert Trouble.STICKY == unclear.value.type


class TestCustomer:
    @pytest.mark.stripe
    async def test_one_customer_has_all_their_pages(self, desk: Desk) -> None:
        """A customer is made at the gateway once, whichever payment is the first."""
        first = await desk.open()
        desk.payment_id = f"pay_{uuid4().hex}"

        second = await desk.open()
        third = await desk.open(attempt=2, gateway_customer_id=second.customer_id)

        assert first.customer_id is not None
        assert {first.customer_id} == {second.customer_id, third.customer_id}
        made = await desk.simulated.client.v1.customers.retrieve_async(first.customer_id)
        assert made.metadata is not None
        assert {"customer_id": desk.customer_id, "environment": "test"} == made.metadata.to_dict()

    @pytest.mark.stripe
    async def test_customer_deleted_at_the_gateway_may_pay(self, desk: Desk) -> None:
        """The customer that we remember is gone: they get a new one and their page."""
        gone = await desk.simulated.client.v1.customers.create_async({})
        await desk.simulated.client.v1.customers.delete_async(gone.id)
        desk.book.emails[desk.customer_id] = "jo@example.com"

        page = await desk.open(gateway_customer_id=gone.id)
        again = await desk.open(gateway_customer_id=gone.id)

        assert page == again
        assert page.customer_id not in {None, gone.id}
        assert [page.id] == await desk.pages()

    @pytest.mark.parametrize("effect", [True, False])
    async def test_a_deleted_customers_page_is_looked_for(
        self,
        desk: Desk,
        effect: bool,  # noqa: FBT001 - the case
    ) -> None:
        """The new customer's page may be there, and we know neither: it has our marks."""
        gone = await desk.simulated.client.v1.customers.create_async({})
        await desk.simulated.client.v1.customers.delete_async(gone.id)
        refused = {"operation": "checkout_sessions.create", "kind": "sticky_500", "skip": 1}
        await desk.simulated.control.post("/faults", json={**refused, "effect": effect})

        sticky = await desk.fails_to_open(gateway_customer_id=gone.id)
        page = await desk.open(gateway_customer_id=gone.id, generation=1)

        assert Trouble.STICKY == sticky.type
        assert [page.id] == await desk.pages()

    async def test_a_known_customers_page_meets_trouble(self, desk: Desk) -> None:
        """Only a customer who is gone is replaced."""
        customer = (await desk.open(attempt=7)).customer_id
        await desk.simulated.arm("checkout_sessions.create", "rate_limit")

        failed = await desk.fails_to_open(gateway_customer_id=customer)

        assert Trouble.LATER == failed.type

    async def test_a_customers_spent_key_does_not_spend_the_pages(self, desk: Desk) -> None:
        """The page was never asked for: its key stays, and no new one needs a proof."""
        await desk.simulated.arm("customers.create", "sticky_500", effect=True)

        sticky = await desk.fails_to_open()
        await desk.open(customer_generation=1)

        keys = [
            entry["idempotency_key"]
            for entry in await desk.simulated.journal()
            if entry["kind"] == "request" and desk.payment_id in (entry["idempotency_key"] or "")
        ]
        customer = f"test:{desk.customer_id}:customer"
        assert (Trouble.STICKY_CUSTOMER, True) == (sticky.type, sticky.non_retryable)
        assert [customer, f"{customer}:1", f"{desk.payment_id}:page:1"] == list(dict.fromkeys(keys))


class TestAddress:
    @pytest.mark.stripe
    async def test_the_page_knows_the_address(self, desk: Desk) -> None:
        """The customer need not type what they have told us."""
        desk.book.emails[desk.customer_id] = "jo@example.com"

        made = await desk.made(await desk.open())

        assert made.customer_details is not None
        assert "jo@example.com" == made.customer_details.email

    async def test_one_who_gave_none_has_none(self, desk: Desk) -> None:
        """Then the page asks for it, and the customer at the gateway stays as they are."""
        before = await desk.posted("customers.update")

        made = await desk.made(await desk.open())

        assert isinstance(made.customer, stripe.Customer)
        assert made.customer.email is None
        assert before == await desk.posted("customers.update")

    async def test_an_address_that_is_refused_keeps_nobody_from_paying(self) -> None:
        """The gateway has its own idea of addresses: the page asks for another one."""
        customer = {"id": "cus_1", "object": "customer"}
        refusal = {"error": {"type": "invalid_request_error", "code": "email_invalid"}}
        told = Told((200, customer), (400, refusal), (200, SESSION))
        book = Book()
        calls = CheckoutCalls(stripe.StripeClient("sk_test_1", http_client=told), book)
        book.emails["cst_1"] = "jo@[10.0.0.1]"

        page = await ActivityEnvironment().run(calls.open_session, an_order())

        assert "cs_1" == page.id
        assert ["post", "post", "post"] == told.asked

    @pytest.mark.parametrize("kind", ["refuse_before", "sticky_500"])
    async def test_no_answer_about_it_keeps_nobody_from_paying(self, desk: Desk, kind: str) -> None:
        """It is a kindness: the page opens without it."""
        desk.book.emails[desk.customer_id] = "jo@example.com"
        await desk.simulated.arm("customers.update", kind)

        page = await desk.open()

        assert S.OPEN is page.status

    async def test_a_limited_rate_is_heeded(self, desk: Desk) -> None:
        """The page would be asked for beyond the limit, too."""
        desk.book.emails[desk.customer_id] = "jo@example.com"
        await desk.simulated.arm("customers.update", "rate_limit")

        failed = await desk.fails_to_open()

        assert Trouble.LATER == failed.type


class TestLook:
    async def test_paid(self, desk: Desk) -> None:
        """The page is complete, and its intent tells of the money and the means of payment."""
        page = await desk.open()
        await desk.pay(page)

        seen = await desk.look(page)

        assert (S.COMPLETE, None) == (seen.status, seen.url)
        assert seen.outcome is not None
        assert (I.SUCCEEDED, PRICE.minor) == (seen.outcome.status, seen.outcome.received)
        assert (desk.payment_id, page.customer_id) == (
            seen.outcome.payment_id,
            seen.outcome.customer_id,
        )
        assert seen.outcome.charge_id is not None
        assert seen.outcome.method is not None
        assert "4242" == seen.outcome.method.last4

    async def test_declines_stay_on_the_page(self, desk: Desk) -> None:
        """What goes wrong there is between the page and its customer."""
        page = await desk.open()
        refused = await desk.pay(page, NO_FUNDS)

        seen = await desk.look(page)
        await desk.pay(page)
        paid = await desk.look(page)

        assert 402 == refused
        assert (S.OPEN, None) == (seen.status, seen.outcome)
        assert seen.intent is not None
        assert seen.intent.decline is not None
        assert "insufficient_funds" == seen.intent.decline.code
        assert paid.outcome is not None
        assert (seen.intent.id, I.SUCCEEDED, None) == (
            paid.outcome.id,
            paid.outcome.status,
            paid.outcome.decline,
        )

    async def test_three_d_secure_stays_on_the_page(self, desk: Desk) -> None:
        """The page asks the customer; we hear of it when they have answered."""
        page = await desk.open()
        await desk.pay(page, THREE_D_SECURE)
        seen = await desk.look(page)
        assert seen.intent is not None
        await desk.simulated.authenticate(seen.intent.id, "authorize")

        after = await desk.look(page)

        assert (S.OPEN, I.REQUIRES_ACTION, None) == (
            seen.status,
            seen.intent.status,
            seen.outcome,
        )
        assert (S.COMPLETE, I.SUCCEEDED) == (after.status, after.outcome and after.outcome.status)

    @pytest.mark.parametrize(
        ("method", "ends", "without_money"),
        [
            ("pm_sepaDebit_success_at", I.SUCCEEDED, False),
            ("pm_sepaDebit_failed_at", I.REQUIRES_PAYMENT_METHOD, True),
        ],
    )
    async def test_a_bank_debit_is_told_later(
        self, desk: Desk, method: str, ends: IntentStatus, *, without_money: bool
    ) -> None:
        """The page is complete at once; the bank pays, or sends the debit back, days later."""
        await desk.simulated.control.patch("/knobs", json={"debit_settle_seconds": 3600})
        page = await desk.open()
        await desk.pay(page, method)
        begun = await desk.look(page)
        await desk.simulated.flush()

        settled = await desk.look(page)

        assert (S.COMPLETE, I.PROCESSING, False) == (
            begun.status,
            begun.outcome and begun.outcome.status,
            begun.is_without_money,
        )
        assert (S.COMPLETE, ends, without_money) == (
            settled.status,
            settled.outcome and settled.outcome.status,
            settled.is_without_money,
        )

    @pytest.mark.stripe
    async def test_a_page_that_is_not_there(self, desk: Desk) -> None:
        """The gateway knows no such page: that is no silence."""
        page = (await desk.open()).model_copy(update={"id": "cs_test_nobody_knows_this"})

        with pytest.raises(ApplicationError) as refused:
            await desk.look(page)

        assert (Trouble.REFUSED, True) == (refused.value.type, refused.value.non_retryable)


class TestClose:
    @pytest.mark.stripe
    async def test_an_open_page_is_closed(self, desk: Desk) -> None:
        """What a look shows afterwards is the proof."""
        page = await desk.open()

        closed = await desk.close(page)

        assert (S.EXPIRED, None, True) == (closed.status, closed.url, closed.is_without_money)

    @pytest.mark.stripe
    async def test_the_second_close_is_as_good(self, desk: Desk) -> None:
        """A page that is over counts as closed."""
        page = await desk.open()

        assert await desk.close(page) == await desk.close(page)

    async def test_nobody_pays_on_a_closed_page(self, desk: Desk) -> None:
        """Its declines are over, too: the intent is canceled."""
        page = await desk.open()
        await desk.pay(page, NO_FUNDS)

        closed = await desk.close(page)
        refused = await desk.pay(page)

        assert 409 == refused
        assert closed.intent is not None
        assert (I.CANCELED, None, True) == (
            closed.intent.status,
            closed.outcome,
            closed.is_without_money,
        )

    async def test_three_d_secure_ends_with_the_page(self, desk: Desk) -> None:
        """The customer is at their bank while the page is closed: no money moves."""
        page = await desk.open()
        await desk.pay(page, THREE_D_SECURE)

        closed = await desk.close(page)

        assert closed.is_without_money
        assert [] == [
            entry
            for entry in await desk.simulated.charged()
            if entry["metadata"].get("payment_id") == desk.payment_id
        ]

    @pytest.mark.parametrize(
        ("capture_method", "status"),
        [(CaptureMethod.AUTOMATIC, I.SUCCEEDED), (CaptureMethod.MANUAL, I.REQUIRES_CAPTURE)],
    )
    async def test_money_that_moved_stays_moved(
        self, desk: Desk, capture_method: CaptureMethod, status: IntentStatus
    ) -> None:
        """A paid page is answered as it is, and nothing is asked of the gateway."""
        page = await desk.open(capture_method=capture_method)
        await desk.pay(page)
        before = await desk.posted("checkout_sessions.expire")

        closed = await desk.close(page)

        assert closed.outcome is not None
        assert (S.COMPLETE, status, False) == (
            closed.status,
            closed.outcome.status,
            closed.is_without_money,
        )
        assert before == await desk.posted("checkout_sessions.expire")

    async def test_paid_between_look_and_close(self, desk: Desk) -> None:
        """The gateway refuses to close what was just paid: the look tells."""
        page = await desk.open()
        http = Hurried(lambda: desk.pay(page))
        base: Any = {"api": desk.simulated.url}
        client = stripe.StripeClient(KEY, http_client=http, base_addresses=base)
        desk.calls = CheckoutCalls(client, desk.book)

        closed = await desk.close(page)
        await http.close_async()  # type: ignore[no-untyped-call]

        assert closed.outcome is not None
        assert (S.COMPLETE, I.SUCCEEDED) == (closed.status, closed.outcome.status)

    async def test_a_refused_close_of_an_open_page_is_no_proof(self) -> None:
        """It could not be closed for a moment: it is told as open."""
        refusal = {"error": {"type": "invalid_request_error", "message": ""}}
        told = Told((200, SESSION), (400, refusal), (200, SESSION))
        calls = CheckoutCalls(stripe.StripeClient("sk_test_1", http_client=told), Book())

        closed = await calls.close_session(CloseSession(payment_id="pay_1", session_id="cs_1"))

        assert (S.OPEN, False) == (closed.status, closed.is_without_money)
        assert ["get", "post", "get"] == told.asked

    @pytest.mark.parametrize(
        ("kind", "more", "type_"),
        [
            ("effect_reply_lost", {}, Trouble.UNREACHABLE),
            ("refuse_before", {}, Trouble.UNREACHABLE),
            ("sticky_500", {"effect": True}, Trouble.STICKY),
            ("sticky_500", {"effect": False}, Trouble.STICKY),
            ("rate_limit", {}, Trouble.LATER),
        ],
    )
    async def test_a_lost_close_is_proved_by_the_next(
        self, desk: Desk, kind: str, more: dict[str, bool], type_: Trouble
    ) -> None:
        """Whatever became of the first call, the next one sees it or does it."""
        page = await desk.open()
        await desk.simulated.arm("checkout_sessions.expire", kind, **more)
        with pytest.raises(ApplicationError) as lost:
            await desk.close(page)

        closed = await desk.close(page, generation=int(type_ is Trouble.STICKY))

        assert type_ == lost.value.type
        assert S.EXPIRED is closed.status


class TestFind:
    @pytest.mark.stripe
    async def test_the_attempts_page_is_found_by_our_marks(self, desk: Desk) -> None:
        """With its intent, whether or not we know the gateway's customer."""
        first = await desk.open()
        await desk.close(first)
        second = await desk.open(attempt=2, gateway_customer_id=first.customer_id)

        by_marks = await desk.find(attempt=2)
        by_customer = await desk.find(first.customer_id, attempt=2)

        assert second == by_marks == by_customer
        assert await desk.find(attempt=3) is None

    async def test_a_paid_page_is_found_with_its_intent(self, desk: Desk) -> None:
        """What the search shows is as good as a look."""
        page = await desk.open()
        await desk.pay(page)

        assert await desk.look(page) == await desk.find()

    @pytest.mark.stripe
    async def test_there_is_none(self, desk: Desk) -> None:
        """Other payments' pages are not taken for it."""
        other = await desk.open()
        desk.payment_id = "pay_other"

        assert await desk.find(other.customer_id) is None

    async def test_account_with_many_pages_is_read_in_parts(self) -> None:
        """An activity reads no more than it has time for, and says how far it has come."""
        pages = [SESSION | {"id": f"cs_{number}"} for number in range(12)]
        pages[-1] = pages[-1] | {"metadata": {"payment_id": "pay_1", "attempt": "1"}}
        lists = [
            (200, {"object": "list", "url": "/", "has_more": n < 11, "data": [page]})
            for n, page in enumerate(pages)
        ]
        told = Told(*lists, (200, pages[-1]))
        calls = CheckoutCalls(stripe.StripeClient("sk_test_1", http_client=told), Book())
        search = SessionSearch(
            payment_id="pay_1",
            attempt=1,
            gateway_customer_id=None,
            ordered_at=datetime.now(UTC),
        )

        with pytest.raises(ApplicationError) as part:
            await ActivityEnvironment().run(calls.find_session, search)
        place = part.value.details[0]["searched_to"]
        rest = search.model_copy(update={"searched_to": place})
        found = await ActivityEnvironment().run(calls.find_session, rest)

        assert (Trouble.SEARCHING, "cs_9") == (part.value.type, place)
        assert "cs_11" == (found.session and found.session.id)
        assert ["cs_9"] == told.began_after[10:11]
