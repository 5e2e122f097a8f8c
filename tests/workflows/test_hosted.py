"""Hosted checkout: one open page at a time, and no end without a proof that none takes money."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Protocol

import pytest
from temporalio.client import (
    WorkflowFailureError,
    WorkflowUpdateFailedError,
    WorkflowUpdateStage,
)
from temporalio.exceptions import ApplicationError

from activities.checkout_orders import SessionOrder
from activities.errors import Trouble
from paysaga.domain.checkout import ON_THE_PAGE, SessionStatus
from paysaga.domain.intent import CaptureMethod, IntentStatus
from paysaga.domain.payment import AttemptStatus, Payment, PaymentStatus, RequestMark
from paysaga.domain.reasons import Reason
from tests.fake_checkout import PAGE, FakeCheckout
from tests.fakes import PRICE, a_payment, trouble
from tests.workflows.conftest import Running, Start, World
from tests.workflows.exchange import Road
from workflows.payment import PaymentWorkflow
from workflows.requests import CancelRequest

S = PaymentStatus
LIFE = timedelta(minutes=30)


class OpenPage(Protocol):
    def __call__(
        self,
        gateway: FakeCheckout | None = None,
        payment: Payment | None = None,
        road: Road | None = None,
    ) -> AbstractAsyncContextManager["Hosted"]: ...


class Hosted:
    """A payment on the gateway's page."""

    def __init__(self, running: Running, gateway: FakeCheckout) -> None:
        self.running = running
        self.gateway = gateway
        self.records = running.world.records
        self.orders = running.world.orders

    async def is_open(self) -> None:
        """Wait until the customer has an address to go to."""
        await self.running.first_outcome()

    async def retry(self, key: str = "retry-1") -> None:
        await self.running.retry(ON_THE_PAGE, key)

    async def ask_to_cancel(self) -> None:
        """Do not wait for what comes of it."""
        mark = RequestMark(key="cancel-1", fingerprint="c")
        await self.running.run.start_update(
            PaymentWorkflow.cancel,
            CancelRequest(actor="customer:cst_1", request=mark),
            wait_for_stage=WorkflowUpdateStage.ACCEPTED,
        )

    async def proves_nothing(self, *, for_looks: int) -> None:
        """The page's time is over, and its customer still at their bank, look after look."""
        await self.is_open()
        self.gateway.customer_does("requires_action", finished=False)
        await self.running.sleep(LIFE)
        await self.running.pass_time_until(lambda: self.gateway.calls.count("expire") > for_looks)

    async def customer_does(self, word: str, *, finished: bool = True) -> None:
        """The customer tries to pay, and a webhook tells of it."""
        self.gateway.customer_does(word, finished=finished)
        await self.running.nudge()


def hosted(
    *,
    capture_method: CaptureMethod = CaptureMethod.AUTOMATIC,
    has_order_service: bool = False,
    attempts: int = 3,
) -> Payment:
    return a_payment(
        page=PAGE,
        capture_method=capture_method,
        has_order_service=has_order_service,
        attempts=attempts,
    )


@pytest.fixture
def page(pay: Start) -> OpenPage:
    """Start a payment on the gateway's page."""

    @asynccontextmanager
    async def start(
        gateway: FakeCheckout | None = None,
        payment: Payment | None = None,
        road: Road | None = None,
    ) -> AsyncIterator[Hosted]:
        gateway, road = gateway or FakeCheckout(), road or Road()
        async with pay(World(gateway, road=road), payment or hosted()) as running:
            yield Hosted(running, gateway)

    return start


class TestOpening:
    async def test_the_first_outcome_is_an_address(self, page: OpenPage) -> None:
        """The customer is to go to the page, half an hour long; no intent is made by us."""
        async with page() as checkout:
            first = await checkout.running.first_outcome()
            await checkout.running.cancel()

        [order] = [each for each in checkout.gateway.orders if isinstance(each, SessionOrder)]
        assert (S.REQUIRES_ACTION, Reason.CHECKOUT_OPEN) == (first.status, first.reason)
        assert "https://gateway.example/c/pay/cs_1" == first.action_url
        assert first.action_until is not None
        assert LIFE == first.action_until - (order.expires_at - timedelta(minutes=35))
        assert (PRICE, PAGE.success_url) == (order.money, order.success_url)
        assert ("cs_1", None) == (first.session_id, first.intent_id)
        assert "create" not in checkout.gateway.calls

    async def test_a_refused_page_is_another_try(self, page: OpenPage) -> None:
        """What the gateway will not open has had no effect: the customer may try again."""
        gateway = FakeCheckout(troubles={"open": [trouble(Trouble.REFUSED)]})

        async with page(gateway) as checkout:
            first = await checkout.running.first_outcome()
            await checkout.retry()
            await checkout.customer_does("succeeded")
            result = await checkout.running.result()

        assert (S.AWAITING_RETRY, Reason.GATEWAY_REFUSED) == (first.status, first.reason)
        assert (S.SUCCEEDED, 2) == (result.status, result.attempts_used)

    async def test_a_refused_page_is_not_looked_for(self, page: OpenPage) -> None:
        """There is none: a look shows nothing, and a cancel has nothing to close."""
        gateway = FakeCheckout(troubles={"open": [trouble(Trouble.REFUSED)]})

        async with page(gateway) as checkout:
            refused = await checkout.running.first_outcome()
            seen = await checkout.running.refresh()
            await checkout.running.cancel()
            result = await checkout.running.result()

        assert refused == seen
        assert (S.CANCELED, Reason.CANCEL_REQUESTED) == (result.status, result.reason)
        assert ["open"] == gateway.calls

    async def test_a_lost_answer_opens_one_page(self, page: OpenPage) -> None:
        """The same key, with the same moment of its end, finds the page that is there."""
        road = Road()
        road.after["open_session"].extend([trouble(Trouble.UNREACHABLE), trouble(Trouble.STICKY)])
        async with page(road=road) as checkout:
            await checkout.running.pass_time_until(lambda: checkout.gateway.calls.count("open") > 2)
            await checkout.is_open()
            await checkout.customer_does("succeeded")
            result = await checkout.running.result()

        asked = [each for each in checkout.gateway.orders if isinstance(each, SessionOrder)]
        assert S.SUCCEEDED is result.status
        assert [0, 0, 1] == [order.generation for order in asked]
        assert asked[0].expires_at == asked[1].expires_at < asked[2].expires_at
        assert 1 == len(checkout.gateway.sessions)


class TestPaying:
    async def test_paid_on_the_page(self, page: OpenPage) -> None:
        """The intent that the gateway made there is the payment's, and its money is booked."""
        async with page(payment=hosted(has_order_service=True)) as checkout:
            await checkout.is_open()
            await checkout.customer_does("succeeded")
            result = await checkout.running.result()

        assert (S.SUCCEEDED, PRICE.minor) == (result.status, result.amount_captured)
        assert ("pi_1", "ch_1") == (result.intent_id, result.charge_id)
        assert AttemptStatus.SUCCEEDED is checkout.records.attempts[0].status
        assert ["reserve", "confirm"] == checkout.orders.calls
        [booked] = [move for change in checkout.records.changes for move in change.transfers]
        assert PRICE.minor == booked.amount

    async def test_a_decline_on_the_page_is_no_attempt(self, page: OpenPage) -> None:
        """The customer takes another card on the same page; the shop hears of the money alone."""
        async with page() as checkout:
            await checkout.is_open()
            await checkout.customer_does("insufficient_funds", finished=False)
            still = await checkout.running.refresh()
            await checkout.customer_does("requires_action", finished=False)
            asked = await checkout.running.refresh()
            await checkout.customer_does("succeeded")
            result = await checkout.running.result()

        assert (S.REQUIRES_ACTION, None) == (still.status, still.decline)
        assert still == asked
        assert (S.SUCCEEDED, 1) == (result.status, result.attempts_used)

    async def test_money_on_its_way_is_waited_for(self, page: OpenPage) -> None:
        """A bank debit is complete at once, and paid days later."""
        async with page() as checkout:
            await checkout.is_open()
            await checkout.customer_does("processing")
            waiting = await checkout.running.refresh()
            checkout.gateway.becomes("succeeded")
            await checkout.running.nudge()
            result = await checkout.running.result()

        assert (S.PROCESSING, Reason.GATEWAY_PROCESSING) == (waiting.status, waiting.reason)
        assert S.SUCCEEDED is result.status

    async def test_a_voucher_is_waited_for(self, page: OpenPage) -> None:
        """The customer has left the page to pay at a counter: no deadline of ours is theirs."""
        async with page() as checkout:
            await checkout.is_open()
            await checkout.customer_does("requires_action")
            waiting = await checkout.running.refresh()
            await checkout.running.sleep(3 * LIFE)
            checkout.gateway.becomes("succeeded")
            await checkout.running.nudge()
            result = await checkout.running.result()

        assert (S.PROCESSING, Reason.GATEWAY_PROCESSING) == (waiting.status, waiting.reason)
        assert (S.SUCCEEDED, 1) == (result.status, result.attempts_used)
        assert "expire" not in checkout.gateway.calls

    async def test_a_debit_that_bounces_is_a_decline(self, page: OpenPage) -> None:
        """The page is over, so the next attempt has a page, and an intent, of its own."""
        async with page() as checkout:
            await checkout.is_open()
            await checkout.customer_does("processing")
            await checkout.running.refresh()
            checkout.gateway.becomes("insufficient_funds")
            declined = await checkout.running.refresh()
            await checkout.retry()
            again = checkout.records.state
            await checkout.customer_does("succeeded")
            result = await checkout.running.result()

        assert (S.AWAITING_RETRY, Reason.DECLINED) == (declined.status, declined.reason)
        assert ("cs_2", None) == (again.session_id, again.intent_id)
        assert (S.SUCCEEDED, "pi_2") == (result.status, result.intent_id)

    async def test_what_is_held_is_captured_or_let_go(self, page: OpenPage) -> None:
        """Manual capture works from the page, too: its intent holds the money."""
        manual = hosted(capture_method=CaptureMethod.MANUAL)
        results = []
        for take in (True, False):
            async with page(payment=manual) as checkout:
                await checkout.is_open()
                await checkout.customer_does("requires_capture")
                await checkout.running.refresh()
                held = checkout.records.state
                await (checkout.running.capture(500) if take else checkout.running.cancel())
                results.append(await checkout.running.result())
                assert (S.AUTHORIZED, PRICE.minor) == (held.status, held.amount_authorized)
                final = IntentStatus.SUCCEEDED if take else IntentStatus.CANCELED
                assert final is checkout.gateway.intent.status

        assert [(S.SUCCEEDED, 500), (S.CANCELED, 0)] == [
            (result.status, result.amount_captured) for result in results
        ]

    async def test_a_hold_that_is_canceled_there_ends_the_payment(self, page: OpenPage) -> None:
        """Somebody let it go in the gateway's dashboard."""
        async with page(payment=hosted(capture_method=CaptureMethod.MANUAL)) as checkout:
            await checkout.is_open()
            await checkout.customer_does("requires_capture")
            await checkout.running.refresh()
            checkout.gateway.becomes("canceled")
            await checkout.running.nudge()
            result = await checkout.running.result()

        assert (S.CANCELED, Reason.CANCELED_AT_GATEWAY) == (result.status, result.reason)


class TestClosing:
    async def test_an_abandoned_page_is_closed_before_the_next(self, page: OpenPage) -> None:
        """Nobody pays on a page whose time is over, and there is never a second open one."""
        async with page() as checkout:
            await checkout.is_open()
            await checkout.running.sleep(LIFE)
            await checkout.running.pass_time_until(
                lambda: checkout.records.state.status is S.AWAITING_RETRY
            )
            expired = checkout.records.state
            closed = checkout.gateway.open_pages
            await checkout.retry()
            pages = checkout.gateway.open_pages
            await checkout.customer_does("succeeded")
            result = await checkout.running.result()

        assert (Reason.CHECKOUT_EXPIRED, 2) == (expired.reason, expired.attempts_left)
        assert (0, 1) == (closed, pages)
        assert AttemptStatus.TIMED_OUT is checkout.records.attempts[0].status
        assert (S.SUCCEEDED, 2) == (result.status, result.attempts_used)

    async def test_three_abandoned_pages_are_the_end(self, page: OpenPage) -> None:
        """Each counts as an attempt; the last one's end is the payment's."""
        async with page(payment=hosted(attempts=2, has_order_service=True)) as checkout:
            await checkout.is_open()
            await checkout.running.sleep(LIFE)
            await checkout.running.pass_time_until(
                lambda: checkout.records.state.status is S.AWAITING_RETRY
            )
            await checkout.retry()
            await checkout.running.sleep(LIFE)
            await checkout.running.pass_time_until(lambda: checkout.records.is_final)
            result = await checkout.running.result()

        assert (S.FAILED, Reason.ATTEMPTS_USED_UP) == (result.status, result.reason)
        assert 0 == checkout.gateway.open_pages
        assert "release" == checkout.orders.calls[-1]

    async def test_a_page_that_the_gateway_closed_is_over(self, page: OpenPage) -> None:
        """The gateway's own word comes by webhook, before our time is over."""
        async with page() as checkout:
            await checkout.is_open()
            checkout.gateway.expires()
            await checkout.running.nudge()
            await checkout.running.refresh()
            told = checkout.records.state
            seen = await checkout.running.refresh()
            await checkout.running.cancel()
            result = await checkout.running.result()

        assert (S.AWAITING_RETRY, Reason.CHECKOUT_EXPIRED) == (told.status, told.reason)
        assert told == seen
        assert S.CANCELED is result.status

    async def test_paid_in_the_last_second(self, page: OpenPage) -> None:
        """The webhook is lost: what the close finds is the truth."""
        async with page() as checkout:
            await checkout.is_open()
            checkout.gateway.customer_does("succeeded")
            await checkout.running.sleep(LIFE)
            result = await checkout.running.result()

        assert (S.SUCCEEDED, 1) == (result.status, result.attempts_used)

    async def test_a_cancel_closes_the_page(self, page: OpenPage) -> None:
        """The customer has gone back to the shop: nobody can pay any more."""
        async with page(payment=hosted(has_order_service=True)) as checkout:
            await checkout.is_open()
            canceled = await checkout.running.cancel()
            result = await checkout.running.result()

        assert canceled == result
        assert (S.CANCELED, Reason.CANCEL_REQUESTED) == (result.status, result.reason)
        assert SessionStatus.EXPIRED is checkout.gateway.session.status
        assert ["reserve", "release"] == checkout.orders.calls

    async def test_a_cancel_after_the_money_moved_finds_it(self, page: OpenPage) -> None:
        """The truth wins: the payment is paid."""
        async with page() as checkout:
            await checkout.is_open()
            checkout.gateway.customer_does("succeeded")
            told = await checkout.running.cancel()
            result = await checkout.running.result()

        assert told == result
        assert S.SUCCEEDED is result.status

    async def test_a_page_that_will_not_close_is_asked_again(self, page: OpenPage) -> None:
        """Neither the end of its time nor a cancel is believed before the gateway has closed it."""
        async with page() as checkout:
            await checkout.is_open()
            checkout.gateway.cannot_expire = True
            await checkout.running.sleep(LIFE)
            await checkout.running.pass_time_until(
                lambda: checkout.gateway.calls.count("expire") > 2
            )
            late = checkout.records.state
            checkout.gateway.cannot_expire = False
            await checkout.running.pass_time_until(
                lambda: checkout.records.state.status is S.AWAITING_RETRY
            )
            await checkout.running.cancel()
            result = await checkout.running.result()

        assert S.REQUIRES_ACTION is late.status
        assert S.CANCELED is result.status

    async def test_an_expired_page_whose_customer_is_at_the_bank(self, page: OpenPage) -> None:
        """The page is over, its intent is not: that is no proof, and what comes of it counts."""
        async with page() as checkout:
            await checkout.proves_nothing(for_looks=2)
            still = checkout.records.state
            checkout.gateway.becomes("succeeded")
            await checkout.running.nudge()
            await checkout.running.pass_time_until(lambda: checkout.records.is_final)
            result = await checkout.running.result()

        assert S.REQUIRES_ACTION is still.status
        assert S.SUCCEEDED is result.status

    async def test_a_cancel_waits_for_the_proof(self, page: OpenPage) -> None:
        """The page stays open for a while: the payment is not over before it is closed."""
        async with page() as checkout:
            await checkout.is_open()
            checkout.gateway.cannot_expire = True
            await checkout.ask_to_cancel()
            await checkout.running.pass_time_until(
                lambda: checkout.gateway.calls.count("expire") > 1
            )
            open_ = checkout.records.is_final
            checkout.gateway.cannot_expire = False
            await checkout.running.pass_time_until(lambda: checkout.records.is_final)
            result = await checkout.running.result()

        assert not open_
        assert S.CANCELED is result.status

    async def test_a_cancel_that_proves_nothing_is_tried_ever_less(self, page: OpenPage) -> None:
        """The customer stays at the bank for a week: the run's history does not fill up."""
        async with page() as checkout:
            await checkout.is_open()
            checkout.gateway.customer_does("requires_action", finished=False)
            await checkout.ask_to_cancel()
            await checkout.running.pass_time_until(
                lambda: checkout.gateway.calls.count("expire") > 1
            )
            await checkout.running.sleep(timedelta(days=7))
            tries = checkout.gateway.calls.count("expire")
            checkout.gateway.becomes("canceled")
            await checkout.running.nudge()
            result = await checkout.running.result()

        assert tries < 200
        assert (S.CANCELED, Reason.CANCEL_REQUESTED) == (result.status, result.reason)

    async def test_who_comes_back_late_hears_what_is_now(self, page: OpenPage) -> None:
        """The page's time is over and proves nothing: a refresh looks, before it answers."""
        async with page() as checkout:
            await checkout.proves_nothing(for_looks=1)
            checkout.gateway.becomes("succeeded")
            told = await checkout.running.refresh()
            await checkout.running.result()

        assert S.SUCCEEDED is told.status

    async def test_a_cancel_does_not_wait_for_the_next_look(self, page: OpenPage) -> None:
        """Whoever gives up while a page proves nothing is heard at once."""
        async with page() as checkout:
            await checkout.proves_nothing(for_looks=5)
            checkout.gateway.becomes("canceled")
            asked = await checkout.running.env.get_current_time()
            result = await checkout.running.cancel()
            took = await checkout.running.env.get_current_time() - asked

        assert S.CANCELED is result.status
        assert took < timedelta(minutes=1)

    async def test_a_debit_under_way_is_not_canceled(self, page: OpenPage) -> None:
        """Money on its way cannot be called back: the payment waits for its outcome."""
        async with page() as checkout:
            await checkout.is_open()
            checkout.gateway.customer_does("processing")
            await checkout.ask_to_cancel()
            await checkout.running.pass_time_until(
                lambda: checkout.records.state.reason is Reason.GATEWAY_PROCESSING
            )
            checkout.gateway.becomes("succeeded")
            await checkout.running.nudge()
            await checkout.running.pass_time_until(lambda: checkout.records.is_final)
            result = await checkout.running.result()

        assert S.SUCCEEDED is result.status

    async def test_a_page_nobody_heard_of_is_closed_too(self, page: OpenPage) -> None:
        """Canceled while the gateway did not answer: the page is learned of, then closed."""
        road = Road()
        road.after["open_session"].extend(trouble(Trouble.UNREACHABLE) for _ in range(3))
        async with page(road=road) as checkout:
            await checkout.running.pass_time_until(
                lambda: checkout.gateway.calls.count("open") > 1, timedelta(seconds=1)
            )
            await checkout.running.cancel()
            result = await checkout.running.result()

        assert S.CANCELED is result.status
        assert ([SessionStatus.EXPIRED], 0) == (
            [each.status for each in checkout.gateway.sessions.values()],
            checkout.gateway.open_pages,
        )

    async def test_a_page_that_never_was_needs_no_close(self, page: OpenPage) -> None:
        """Canceled while the gateway did not answer, which then refuses: there is no page."""
        away = [trouble(Trouble.UNREACHABLE)] * 3 + [trouble(Trouble.REFUSED)]
        async with page(FakeCheckout(troubles={"open": away})) as checkout:
            await checkout.running.pass_time_until(
                lambda: checkout.gateway.calls.count("open") > 2, timedelta(seconds=1)
            )
            await checkout.running.cancel()
            result = await checkout.running.result()

        assert (S.CANCELED, Reason.CANCEL_REQUESTED) == (result.status, result.reason)
        assert {} == checkout.gateway.sessions

    async def test_a_canceled_run_leaves_no_open_page(self, page: OpenPage) -> None:
        """An operator ends the run in the Temporal UI: what it opened is closed."""
        async with page(payment=hosted(has_order_service=True)) as checkout:
            await checkout.is_open()
            await checkout.running.run.cancel()
            with pytest.raises(WorkflowFailureError):
                await checkout.running.result()

        assert 0 == checkout.gateway.open_pages
        assert (S.CANCELED, Reason.RUN_CANCELED) == (
            checkout.records.state.status,
            checkout.records.state.reason,
        )
        assert "release" == checkout.orders.calls[-1]

    async def test_money_that_a_canceled_run_finds_goes_back(self, page: OpenPage) -> None:
        """It was paid a moment before: all of it is given back."""
        async with page() as checkout:
            await checkout.is_open()
            checkout.gateway.customer_does("succeeded")
            await checkout.running.run.cancel()
            with pytest.raises(WorkflowFailureError):
                await checkout.running.result()

        state = checkout.records.state
        assert (S.SUCCEEDED, PRICE.minor) == (state.status, state.amount_refunded)

    async def test_a_refused_order_closes_nothing_that_is_not_there(self, page: OpenPage) -> None:
        """The shop has not reserved the order: no page is opened."""
        world_order = hosted(has_order_service=True)
        async with page(payment=world_order) as checkout:
            checkout.orders.refused.add("still_waits")
            await checkout.is_open()
            checkout.gateway.expires()
            await checkout.running.nudge()
            await checkout.running.refresh()
            await checkout.retry()
            result = await checkout.running.result()

        assert (S.CANCELED, Reason.ORDER_REFUSED) == (result.status, result.reason)
        assert 1 == len(checkout.gateway.sessions)


class TestRefusals:
    async def test_a_retry_beside_an_open_page_is_refused(self, page: OpenPage) -> None:
        """There is never a second page while somebody can pay on the first."""
        async with page() as checkout:
            await checkout.is_open()
            with pytest.raises(WorkflowUpdateFailedError) as failure:
                await checkout.retry()
            await checkout.running.cancel()

        cause = failure.value.cause
        assert isinstance(cause, ApplicationError)
        assert "NotNow" == cause.type

    async def test_what_the_gateway_will_not_show_is_a_persons(self, page: OpenPage) -> None:
        """It refuses the look for good: the payment parks, and its order is not sold again."""
        gateway = FakeCheckout(troubles={"look at page": [trouble(Trouble.REFUSED)]})
        async with page(gateway, hosted(has_order_service=True)) as checkout:
            await checkout.is_open()
            await checkout.running.nudge()
            result = await checkout.running.result()

        assert (S.NEEDS_OPERATOR, Reason.GATEWAY_REFUSED) == (result.status, result.reason)
        assert ["reserve"] == checkout.orders.calls
