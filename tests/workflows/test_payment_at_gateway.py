"""Payments with the real activities: database, gateway and run must agree at the end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.testing import WorkflowEnvironment

from activities.checkout_calls import CheckoutCalls
from activities.records import Records
from activities.stripe_calls import StripeCalls
from paysaga.database.customers import Customers
from paysaga.database.engine import create_engine, sessions
from paysaga.database.migrations import migrate
from paysaga.database.reads import Reads
from paysaga.domain.captures import HELD_BY_PAYPAL, MARGIN
from paysaga.domain.checkout import ON_THE_PAGE
from paysaga.domain.intent import CaptureMethod
from paysaga.domain.payment import HostedPage, Payment, PaymentState, PaymentStatus, RequestMark
from paysaga.domain.reasons import Reason
from paysaga.simulator.clock import utc_now
from tests.fakes import a_payment
from tests.simulated import Simulated, gateway
from tests.workers import workflow_worker
from tests.workflows.conftest import Run
from tests.workflows.exchange import Exchange
from workflows.payment import PaymentWorkflow
from workflows.requests import CancelRequest, CaptureRequest, RetryRequest

S = PaymentStatus
DECLINED = "pm_card_visa_chargeDeclined"
DAY = timedelta(hours=24)
AUTHENTICATED = "pm_card_authenticationRequired"
PAGE = HostedPage(success_url="https://shop.example/thanks", cancel_url="https://shop.example/cart")


@dataclass
class Shop:
    """One payment, with everything real around it but the clock."""

    env: WorkflowEnvironment
    run: Run
    reads: Reads
    simulated: Simulated

    async def first_outcome(self) -> PaymentState:
        return await self.run.execute_update(PaymentWorkflow.first_outcome)

    async def retry(self, method: str, key: str) -> PaymentState:
        mark = RequestMark(key=key, fingerprint=key)
        request = RetryRequest(method=method, actor="customer:cst_1", request=mark)
        return await self.run.execute_update(PaymentWorkflow.retry, request)

    async def capture(self, amount: int | None = None) -> PaymentState:
        mark = RequestMark(key="capture", fingerprint="capture")
        request = CaptureRequest(amount=amount, actor="service:shop", request=mark)
        return await self.run.execute_update(PaymentWorkflow.capture, request)

    async def refreshed(self) -> PaymentState:
        return await self.run.execute_update(PaymentWorkflow.refresh)

    async def cancel(self) -> PaymentState:
        mark = RequestMark(key="cancel", fingerprint="cancel")
        request = CancelRequest(actor="customer:cst_1", request=mark)
        return await self.run.execute_update(PaymentWorkflow.cancel, request)

    async def agreed(self) -> PaymentState:
        """The run's result, once row and gateway say the same."""
        result = await self.run.result()
        row = await self.reads.payment(self.run.id)
        intent = await self.simulated.client.v1.payment_intents.retrieve_async(
            result.intent_id or ""
        )
        assert result == row
        assert ("succeeded" if result.status is S.SUCCEEDED else "canceled") == intent.status
        assert (result.amount_captured, "eur") == (intent.amount_received, intent.currency)
        assert result.id == intent.metadata["payment_id"]
        return result


Open = Callable[..., AbstractAsyncContextManager[Shop]]


class Following:
    """The simulator's clock, as far ahead of ours as the server's that skips."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


@pytest.fixture(scope="module")
def clock() -> Following:
    return Following()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def simulated(
    tmp_path_factory: pytest.TempPathFactory, clock: Following
) -> AsyncIterator[Simulated]:
    async with gateway(tmp_path_factory.mktemp("gateway"), clock) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[AsyncEngine]:
    path: Path = tmp_path_factory.mktemp("database") / "paysaga.db"
    await migrate(f"sqlite:///{path}")
    engine = create_engine(f"sqlite:///{path}")
    yield engine
    await engine.dispose()


@pytest.fixture
def shop(
    env: WorkflowEnvironment,
    exchange: Exchange,
    simulated: Simulated,
    engine: AsyncEngine,
    clock: Following,
) -> Open:
    """Start a payment of its own order."""

    @asynccontextmanager
    async def start(
        method: str = "pm_card_visa",
        hold: timedelta = DAY,
        capture_method: CaptureMethod = CaptureMethod.AUTOMATIC,
        page: HostedPage | None = None,
    ) -> AsyncIterator[Shop]:
        clock.ahead = await env.get_current_time() - datetime.now(UTC)
        payment = _payment(method, hold).model_copy(
            update={"capture_method": capture_method, "page": page}
        )
        exchange.checkouts[payment.id] = CheckoutCalls(
            simulated.client, Customers(sessions(engine))
        )
        exchange.gateways[payment.id] = StripeCalls(simulated.client)
        records = Records(sessions(engine))
        queue = f"queue-{payment.id}"
        book = workflow_worker(
            env.client,
            task_queue=queue,
            workflows=[PaymentWorkflow],
            activities=[records.record],
        )
        async with book:
            run = await env.client.start_workflow(
                PaymentWorkflow.run, payment, id=payment.id, task_queue=queue
            )
            yield Shop(env, run, Reads(sessions(engine)), simulated)

    return start


def _payment(method: str, hold: timedelta) -> Payment:
    name = uuid4().hex
    return a_payment(f"pay_{name}", hold=hold).model_copy(
        update={"order_id": f"order-{name}", "customer_id": f"cst_{name}", "method": method}
    )


@pytest.mark.stripe
async def test_good_card_is_paid(shop: Open) -> None:
    """One confirm, one charge, and all three agree."""
    async with shop() as payment:
        first = await payment.first_outcome()
        result = await payment.agreed()

    assert first == result
    assert S.SUCCEEDED is result.status


@pytest.mark.stripe
async def test_second_card_pays_the_same_intent(shop: Open) -> None:
    """After a decline another card takes the money through the one intent."""
    async with shop(DECLINED) as payment:
        first = await payment.first_outcome()
        second = await payment.retry("pm_card_mastercard", "retry-1")
        result = await payment.agreed()

    assert (S.AWAITING_RETRY, S.SUCCEEDED) == (first.status, second.status)
    assert first.intent_id == result.intent_id
    assert 2 == result.attempts_used


@pytest.mark.stripe
async def test_three_declines_fail(shop: Open) -> None:
    """The gateway's intent is canceled when the attempts are used up."""
    async with shop(DECLINED) as payment:
        await payment.first_outcome()
        await payment.retry(DECLINED, "retry-1")
        await payment.retry(DECLINED, "retry-2")
        result = await payment.agreed()

    assert (S.FAILED, Reason.ATTEMPTS_USED_UP) == (result.status, result.reason)


@pytest.mark.stripe
async def test_cancel_cancels_at_the_gateway(shop: Open) -> None:
    """A canceled payment leaves no open intent behind."""
    async with shop(DECLINED) as payment:
        await payment.first_outcome()
        await payment.cancel()
        result = await payment.agreed()

    assert S.CANCELED is result.status


@pytest.mark.stripe
async def test_unfinished_authentication_expires(shop: Open) -> None:
    """Nobody finishes 3DS: at the end of the hold the intent is canceled."""
    async with shop(AUTHENTICATED, hold=timedelta(minutes=5)) as payment:
        first = await payment.first_outcome()
        result = await payment.agreed()

    assert (S.REQUIRES_ACTION, S.EXPIRED) == (first.status, result.status)


@pytest.mark.stripe
@pytest.mark.parametrize("amount", [None, 500])
async def test_a_hold_is_captured(shop: Open, amount: int | None) -> None:
    """Held first, then taken in all or in part: all three agree on what was taken."""
    async with shop(capture_method=CaptureMethod.MANUAL) as payment:
        first = await payment.first_outcome()
        await payment.capture(amount)
        result = await payment.agreed()

    assert (S.AUTHORIZED, S.SUCCEEDED) == (first.status, result.status)
    assert (amount or result.money.minor) == result.amount_captured


async def test_a_hold_that_nobody_captures_is_let_go(shop: Open) -> None:
    """An hour before the card's hold ends the intent is canceled, and all three agree."""
    async with shop(capture_method=CaptureMethod.MANUAL) as payment:
        await payment.first_outcome()
        result = await payment.agreed()

    assert (S.EXPIRED, Reason.AUTHORIZATION_OVER) == (result.status, result.reason)


@pytest.mark.parametrize("kind", ["effect_reply_lost", "refuse_before", "sticky_500"])
async def test_a_lost_capture_is_taken_once(shop: Open, kind: str) -> None:
    """Whatever became of the first call: one capture of what was asked for."""
    async with shop(AUTHENTICATED, capture_method=CaptureMethod.MANUAL) as payment:
        first = await payment.first_outcome()
        await payment.simulated.authenticate(first.intent_id or "", "authorize")
        held = await payment.run.execute_update(PaymentWorkflow.refresh)
        await payment.simulated.arm("payment_intents.capture", kind)
        # Whoever waits for an update lets no time pass.
        capturing = asyncio.create_task(payment.capture(500))
        while not capturing.done():
            await payment.env.sleep(timedelta(seconds=5))
        result = await payment.agreed()

    assert (S.AUTHORIZED, 500) == (held.status, result.amount_captured)


@pytest.mark.parametrize("outcome", ["authorize", "fail"])
async def test_authentication_decides(shop: Open, outcome: str) -> None:
    """What the customer did at the gateway's page is read from the intent."""
    async with shop(AUTHENTICATED) as payment:
        first = await payment.first_outcome()
        await payment.simulated.authenticate(first.intent_id or "", outcome)
        after = await payment.run.execute_update(PaymentWorkflow.refresh)
        if outcome == "fail":
            await payment.cancel()
        result = await payment.agreed()

    expected = S.SUCCEEDED if outcome == "authorize" else S.AWAITING_RETRY
    assert expected is after.status
    assert result.is_final


@pytest.mark.parametrize("outcome", ["authorize", "fail"])
async def test_paypal_decides(shop: Open, simulated: Simulated, outcome: str) -> None:
    """The customer approves at PayPal, or cancels there and pays with a card out of a wallet."""
    async with shop(await simulated.paypal()) as payment:
        first = await payment.first_outcome()
        await simulated.authenticate(first.intent_id or "", outcome)
        after = await payment.run.execute_update(PaymentWorkflow.refresh)
        if outcome == "fail":
            assert after.decline is not None
            assert ("payment_method_customer_decline", 2) == (
                after.decline.code,
                after.attempts_left,
            )
            await payment.retry(await simulated.from_wallet("apple_pay"), "retry-1")
        result = await payment.agreed()

    assert (S.REQUIRES_ACTION, S.SUCCEEDED) == (first.status, result.status)
    assert result.method is not None
    assert ("paypal" if outcome == "authorize" else "card") == result.method.kind
    assert (None if outcome == "authorize" else "apple_pay") == result.method.wallet


async def test_a_hold_at_paypal_is_let_go_in_time(shop: Open, simulated: Simulated) -> None:
    """PayPal does not say until when it holds the money: Stripe's ten days count."""
    token = await simulated.paypal()
    async with shop(token, capture_method=CaptureMethod.MANUAL) as payment:
        first = await payment.first_outcome()
        await simulated.authenticate(first.intent_id or "", "authorize")
        held = await payment.run.execute_update(PaymentWorkflow.refresh)
        result = await payment.agreed()

    assert held.capture_until is not None
    assert HELD_BY_PAYPAL - MARGIN - timedelta(minutes=1) < held.capture_until - first.updated_at
    assert held.capture_until - held.updated_at <= HELD_BY_PAYPAL - MARGIN
    assert (S.EXPIRED, Reason.AUTHORIZATION_OVER) == (result.status, result.reason)


@pytest.mark.parametrize("kind", ["effect_reply_lost", "refuse_before", "key_in_use"])
@pytest.mark.parametrize(
    "operation", ["payment_intents.create", "payment_intents.confirm", "customers.create"]
)
async def test_lost_calls_charge_once(shop: Open, operation: str, kind: str) -> None:
    """Whichever call is lost, with or without its effect: one charge, and all three agree."""
    async with shop("pm_card_authenticationRequired") as warm:
        await warm.cancel()
        await warm.simulated.arm(operation, kind)
    async with shop() as payment:
        result = await payment.agreed()
        charges = await payment.simulated.client.v1.charges.list_async(
            {"payment_intent": result.intent_id or ""}
        )

    assert S.SUCCEEDED is result.status
    assert ["succeeded"] == [charge.status for charge in charges.data]


async def _pays_on_the_page(payment: Shop, state: PaymentState, method: str) -> None:
    """Do what the customer does on the gateway's page."""
    answer = await payment.simulated.control.post(
        f"/checkout_sessions/{state.session_id}/pay", json={"payment_method": method}
    )
    assert 200 == answer.status_code, answer.text
    await payment.run.signal(PaymentWorkflow.nudged)


async def test_page_is_paid(shop: Open) -> None:
    """A decline there, then a good card: one charge, one attempt, and all three agree."""
    async with shop(page=PAGE) as payment:
        first = await payment.first_outcome()
        await payment.simulated.control.post(
            f"/checkout_sessions/{first.session_id}/pay", json={"payment_method": DECLINED}
        )
        await _pays_on_the_page(payment, first, "pm_card_visa")
        result = await payment.agreed()

    assert Reason.CHECKOUT_OPEN is first.reason
    assert (S.SUCCEEDED, 1) == (result.status, result.attempts_used)
    assert result.method is not None
    assert "4242" == result.method.last4


async def test_abandoned_page_is_closed_and_the_next_one_is_paid(shop: Open) -> None:
    """Our half hour ends before the gateway's: we close the page, and nobody can pay on it."""
    async with shop(page=PAGE) as payment:
        first = await payment.first_outcome()
        await payment.env.sleep(timedelta(minutes=31))
        again = await payment.retry(ON_THE_PAGE, "retry-1")
        old = await payment.simulated.client.v1.checkout.sessions.retrieve_async(
            str(first.session_id)
        )
        await _pays_on_the_page(payment, again, "pm_card_visa")
        result = await payment.agreed()

    assert "expired" == old.status
    assert (S.SUCCEEDED, 2) == (result.status, result.attempts_used)
    assert first.session_id != again.session_id


async def test_page_holds_and_a_part_is_captured(shop: Open) -> None:
    """Manual capture: the page's intent holds the money until we take so much of it."""
    async with shop(page=PAGE, capture_method=CaptureMethod.MANUAL) as payment:
        first = await payment.first_outcome()
        await _pays_on_the_page(payment, first, "pm_card_visa")
        held = await payment.refreshed()
        await payment.capture(500)
        result = await payment.agreed()

    assert S.AUTHORIZED is held.status
    assert (S.SUCCEEDED, 500) == (result.status, result.amount_captured)
