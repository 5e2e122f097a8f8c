"""Events delivered to mailboxes, through a real mail server, with the rows of both databases."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from structlog.testing import capture_logs

from activities.mails import UNKNOWN, MailTarget, NoMailServer
from activities.records import Records
from paysaga.database.customers import Customers
from paysaga.database.engine import Sessions
from paysaga.database.mails import Mails
from paysaga.database.outbox import Outbox
from paysaga.database.tables import MAILS
from paysaga.demo.preflight import free_port
from paysaga.demo.shop.app import create_app
from paysaga.demo.shop.settings import ShopSettings
from paysaga.domain.intent import IntentStatus
from paysaga.domain.languages import Language
from paysaga.domain.outbox import OutboxEvent
from paysaga.domain.payment import Change, Payment, PaymentStatus
from paysaga.domain.reasons import Reason
from paysaga.domain.transitions import (
    attempted,
    ended,
    given_back,
    noted,
    observed,
    owed_back,
    parked,
)
from paysaga.events.delivery import Answer, Verdict
from paysaga.events.mail import smtp as module
from paysaga.events.shapes import Event, published
from paysaga.settings import Settings
from tests.database.payments import (
    NOON,
    WINDOW,
    batch,
    intent,
    payment,
    started,
    succeeded,
    waiting,
)
from tests.fakes import begun_by
from tests.mail.server import Post, serving

ADA = "ada@example.com"
V = Verdict
MINUTE = timedelta(minutes=1)


async def until(outbox: Outbox, payment_id: str, count: int) -> list[OutboxEvent]:
    """So many events. Somebody else's transaction may be under way on the same server."""
    async with asyncio.timeout(30):
        while True:
            found = await outbox.after(None, 100, object_id=payment_id)
            if len(found) >= count:
                return found
            await asyncio.sleep(0.05)


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


class Desk:
    """A deployment that writes mails: its rows, its mail server, and a clock."""

    def __init__(self, opened: Sessions, post: Post) -> None:
        self.opened, self.post, self.clock = opened, post, Clock()
        self.records, self.customers = Records(opened), Customers(opened)
        self.settings = Settings(
            smtp_url=SecretStr(post.url),
            mail_from="Slow Mornings <payments@shop.example>",
            mail_operations_to="operations@shop.example",
            mail_shop_name="Slow Mornings",
        )

    def target(self, **changes: Any) -> MailTarget:
        """One more worker's target."""
        settings = self.settings.model_copy(update=changes)
        return MailTarget(self.opened, settings, self.clock)

    async def deliver(self, event: Event, **changes: Any) -> Answer:
        return await self.target(**changes).deliver(event)

    async def happened(self, changes: Sequence[Change], email: str | None = ADA) -> list[Event]:
        """These steps are in the outbox; their customer has this address."""
        state = changes[0].state
        await self.records.record(batch(*changes))
        if email is not None:
            await self.customers.change(state.customer_id, {"email": email}, {}, NOON)
        return await self.events(state.id, len(changes))

    async def events(self, payment_id: str, count: int) -> list[Event]:
        """So many events of the payment."""
        found = await until(Outbox(self.opened), payment_id, count)
        return [published(event) for event in found]

    async def rows(self) -> list[dict[str, Any]]:
        async with self.opened() as session:
            found = await session.execute(select(MAILS).order_by(MAILS.c.created_at))
            return [row._asdict() for row in found]

    async def statuses(self) -> list[tuple[str, str]]:
        return [(row["kind"], row["status"]) for row in await self.rows()]


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    async with serving(Post()) as served:
        yield served


@pytest.fixture
def desk(opened: Sessions, post: Post) -> Desk:
    return Desk(opened, post)


def paid(name: str = "paid", **changes: Any) -> tuple[Change, ...]:
    return succeeded(payment(name=name, **changes))


def declined(about: Payment) -> tuple[Change, ...]:
    """All its steps, up to the first decline."""
    begun, attempt = started(about)
    lost = intent(about, IntentStatus.REQUIRES_PAYMENT_METHOD)
    return (*begun, *observed(begun[-1].state, lost, attempt, NOON, WINDOW))


class TestSent:
    async def test_a_receipt(self, desk: Desk) -> None:
        """Who has paid has a mail: to their address, from the shop, with what they paid."""
        [*earlier, event] = await desk.happened(paid())

        quiet = [(await desk.deliver(one)) for one in earlier]
        answer = await desk.deliver(event)

        [mail] = desk.post.mails
        text = mail.get_body(("plain",))
        assert text is not None
        assert {Answer(V.PASSED, "no mail is sent about this")} == set(quiet)
        assert Answer(V.TAKEN, "mail sent: receipt") == answer
        assert [ADA] == desk.post.recipients
        assert f"<{event.id}.receipt@shop.example>" == mail["Message-ID"]
        assert f"https://shop.example/return?payment_id={event.object_id}" in text.get_content()
        assert [("receipt", "sent")] == await desk.statuses()

    async def test_what_went_back_by_this_step(self, desk: Desk) -> None:
        """The amount is this refund's, since the event before is looked at."""
        steps = paid()
        back = owed_back(steps[-1].state, Reason.ORDER_REFUSED, NOON)
        done = given_back(back[-1].state, NOON)
        events = await desk.happened((*steps, *back, *done))

        answers = [await desk.deliver(event) for event in events]

        assert ["mail sent: receipt", "mail sent: refund"] == [
            answer.told for answer in answers if answer.told.startswith("mail sent")
        ]
        assert "12.50 EUR paid back to you" == desk.post.mails[-1]["Subject"]

    async def test_operations_are_written_to(self, desk: Desk) -> None:
        """A payment that needs a person finds one, with the way to its run."""
        begun, _ = started(payment(name="parked"))
        lost = parked(begun[-1].state, Reason.GATEWAY_MISMATCH, NOON, "another amount")
        event = (await desk.happened((*begun, *lost), email=None))[-1]

        answer = await desk.deliver(event)

        [mail] = desk.post.mails
        text = mail.get_body(("plain",))
        assert text is not None
        assert Answer(V.TAKEN, "mail sent: needs_operator") == answer
        assert ["operations@shop.example"] == desk.post.recipients
        assert f"payment-cli payments why {event.object_id}" in text.get_content()
        assert (
            f"http://127.0.0.1:8233/namespaces/default/workflows/{event.object_id}"
            in text.get_content()
        )
        assert [None] == [row["customer_id"] for row in await desk.rows()]

    @pytest.mark.parametrize(
        ("language", "default", "subject"),
        [
            ("de-AT", "en", "Ihre Zahlung von 12,50 EUR an Slow Mornings"),
            ("en-GB", "de", "Your payment of 12.50 EUR to Slow Mornings"),
            ("fr", "de", "Ihre Zahlung von 12,50 EUR an Slow Mornings"),
            (None, "en", "Your payment of 12.50 EUR to Slow Mornings"),
        ],
    )
    async def test_in_the_customers_language(
        self, desk: Desk, language: str | None, default: str, subject: str
    ) -> None:
        """Theirs if there is one, else the shop's."""
        event = (await desk.happened(paid()))[-1]
        await desk.customers.change("cst_1", {"language": language}, {}, NOON)

        await desk.deliver(event, mail_language=Language(default))

        assert [subject] == [mail["Subject"] for mail in desk.post.mails]


class TestDemo:
    async def test_a_mail_ends_in_its_inbox(self, desk: Desk, tmp_path: Path) -> None:
        """In the demo the mail server is the shop, where its customer reads it."""
        port = free_port()
        url = SecretStr(f"smtp://127.0.0.1:{port}?starttls=never")
        settings = ShopSettings(shop_state=tmp_path / "shop.db", shop_mail_port=port)
        shop = create_app(settings, Settings())
        event = (await desk.happened(paid(customer_id="cst_ada")))[-1]

        async with shop.router.lifespan_context(shop):
            answer = await desk.deliver(event, smtp_url=url)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(shop)) as browser:
            cookie = {"Cookie": "customer=cst_ada"}
            inbox = await browser.get("http://shop/inbox", headers=cookie)

        assert "mail sent: receipt" == answer.told
        assert "Your payment of 12.50 EUR to Slow Mornings" in inbox.text


class TestNobodyToWriteTo:
    async def test_no_address(self, desk: Desk) -> None:
        """The event is taken: whoever gave no address wants no mail."""
        event = (await desk.happened(paid(), email=None))[-1]

        answer = await desk.deliver(event)

        assert Answer(V.PASSED, "no address") == answer
        assert [("receipt", "skipped")] == await desk.statuses()

    async def test_not_wanted(self, desk: Desk) -> None:
        """Who switched a kind off gets none of it, and all others."""
        event = (await desk.happened(paid()))[-1]
        await desk.customers.change("cst_1", {}, {"receipt": False, "refund": True}, NOON)

        off = await desk.deliver(event)
        await desk.customers.change("cst_1", {}, {"receipt": True}, NOON)
        on = await desk.deliver(event)

        assert ["not wanted", "mail sent: receipt"] == [off.told, on.told]
        assert 1 == len(desk.post.mails)

    async def test_an_address_that_is_none(self, desk: Desk) -> None:
        """It is refused before anybody is asked, and told without it."""
        event = (await desk.happened(paid(), email="ada,eve@example.com"))[-1]

        answer = await desk.deliver(event)

        assert Answer(V.UNDELIVERABLE, "the address is none that mails can be sent to") == answer
        assert [] == desk.post.recipients

    async def test_operations_without_an_address(self, desk: Desk) -> None:
        """Their events are taken as well."""
        begun, _ = started(payment(name="parked"))
        event = (await desk.happened((*begun, *parked(begun[-1].state, Reason.RUN_LOST, NOON))))[-1]

        assert "no address" == (await desk.deliver(event, mail_operations_to=None)).told

    def test_without_a_mail_server_there_is_no_target(self, opened: Sessions) -> None:
        """Whoever wires it is told, at once."""
        with pytest.raises(NoMailServer):
            MailTarget(opened, Settings())


class TestPatience:
    async def test_who_is_still_at_the_page(self, desk: Desk) -> None:
        """They get three minutes, and then the mail."""
        event = (await desk.happened(waiting(payment(name="3ds"))))[-1]
        desk.clock.now = NOON + MINUTE

        early = await desk.deliver(event)
        desk.clock.now += early.wait or timedelta()
        then = await desk.deliver(event)

        assert (V.NOT_YET, 2 * MINUTE) == (early.verdict, early.wait)
        assert Answer(V.TAKEN, "mail sent: authentication") == then
        assert 1 == len(desk.post.mails)

    @pytest.mark.parametrize("later", [timedelta(), 3 * MINUTE])
    async def test_who_went_on(self, desk: Desk, later: timedelta) -> None:
        """Who has tried again, or paid, needs no mail, however early that is known."""
        about = payment(name="declined")
        lost = declined(about)
        again, _ = begun_by(attempted(lost[-1].state, "pm_2", NOON, actor="service:shop"))
        event = (await desk.happened((*lost, again)))[-2]
        desk.clock.now = NOON + later

        answer = await desk.deliver(event)

        assert Answer(V.PASSED, "superseded") == answer
        assert [("retry", "skipped")] == await desk.statuses()

    async def test_a_note_is_no_step(self, desk: Desk) -> None:
        """That the gateway did not answer meanwhile does not help the customer."""
        lost = declined(payment(name="noted"))
        note = noted(lost[-1].state, Reason.GATEWAY_UNREACHABLE, NOON)
        event = (await desk.happened((*lost, *note)))[-2]
        desk.clock.now = NOON + 3 * MINUTE

        assert "mail sent: retry" == (await desk.deliver(event)).told

    async def test_too_late(self, desk: Desk) -> None:
        """After a long outage nobody is asked to confirm what is over."""
        event = (await desk.happened(waiting(payment(name="late"))))[-1]
        desk.clock.now = NOON + WINDOW

        answer = await desk.deliver(event)

        assert Answer(V.PASSED, "what it asks for cannot be done any more") == answer
        assert [] == desk.post.mails

    async def test_an_end_is_told_once(self, desk: Desk) -> None:
        """Of an attempt that was the last one only the end is told."""
        about = payment(name="over")
        lost = declined(about)
        over = ended(
            lost[-1].state,
            lost[-1].attempt or started(about)[1],
            PaymentStatus.FAILED,
            Reason.ATTEMPTS_USED_UP,
            NOON,
            intent=None,
            actor="workflow",
        )
        events = await desk.happened((*lost, *over))
        desk.clock.now = NOON + 3 * MINUTE

        told = [(await desk.deliver(event)).told for event in events[-2:]]

        assert ["superseded", "mail sent: failed"] == told


class TestOnce:
    async def test_an_event_that_comes_again(self, desk: Desk) -> None:
        """At least once for events is once for mails."""
        event = (await desk.happened(paid()))[-1]

        first = await desk.deliver(event)
        again = await desk.deliver(event)

        assert ["mail sent: receipt", "it was sent before"] == [first.told, again.told]
        assert (V.TAKEN, V.PASSED) == (first.verdict, again.verdict)
        assert 1 == len(desk.post.mails)

    async def test_to_two_workers_at_once(self, desk: Desk) -> None:
        """Of those who have the recipient accepted one sends; the others come again."""
        event = (await desk.happened(paid()))[-1]

        answers = await asyncio.gather(*(desk.deliver(event) for _ in range(4)))
        later = await desk.deliver(event)

        assert 1 == len(desk.post.mails)
        assert "mail sent: receipt" in [answer.told for answer in answers]
        assert {V.TAKEN, V.PASSED, V.NOT_YET} >= {answer.verdict for answer in answers}
        assert V.PASSED is later.verdict

    async def test_while_another_is_at_it(self, desk: Desk) -> None:
        """Who finds it begun waits for whoever began it, and then for what came of it."""
        event = (await desk.happened(paid()))[-1]
        desk.post.may_answer.clear()
        first = asyncio.create_task(desk.deliver(event))
        await desk.post.has_mail.wait()
        desk.clock.now += MINUTE

        second = await desk.deliver(event)
        desk.post.may_answer.set()
        sent = await first
        third = await desk.deliver(event)

        assert Answer(V.NOT_YET, "another worker is sending it", MINUTE) == second
        assert ["mail sent: receipt", "it was sent before"] == [sent.told, third.told]
        assert 1 == len(desk.post.mails)

    async def test_killed_in_the_middle(self, desk: Desk) -> None:
        """The mail may be gone or not: it is not sent again, and somebody is told."""
        event = (await desk.happened(paid()))[-1]
        desk.post.may_answer.clear()
        killed = asyncio.create_task(desk.deliver(event))
        await desk.post.has_mail.wait()
        killed.cancel()
        with pytest.raises(asyncio.CancelledError):
            await killed
        desk.post.may_answer.set()

        early = await desk.deliver(event)
        desk.clock.now += early.wait or timedelta()
        then = await desk.deliver(event)
        again = await desk.deliver(event)

        assert (V.NOT_YET, 2 * MINUTE) == (early.verdict, early.wait)
        assert {Answer(V.UNDELIVERABLE, UNKNOWN)} == {then, again}
        assert [("receipt", "unknown")] == await desk.statuses()
        assert 1 == len(desk.post.mails)

    async def test_who_was_thought_dead_tells_the_truth(self, desk: Desk) -> None:
        """A worker that was stopped for long and then gets its answer: the mail is sent."""
        event = (await desk.happened(paid()))[-1]
        desk.post.may_answer.clear()
        slow = asyncio.create_task(desk.deliver(event))
        await desk.post.has_mail.wait()
        desk.clock.now += 2 * MINUTE

        thought = await desk.deliver(event)
        desk.post.may_answer.set()
        sent = await slow

        assert [V.UNDELIVERABLE, V.TAKEN] == [thought.verdict, sent.verdict]
        assert [("receipt", "sent")] == await desk.statuses()
        assert 1 == len(desk.post.mails)

    async def test_the_answer_is_lost(self, desk: Desk) -> None:
        """The server is gone after it had the mail: nobody knows, and nobody sends it again."""
        event = (await desk.happened(paid()))[-1]
        desk.post.drops = True

        lost = await desk.deliver(event)
        desk.post.drops = False
        again = await desk.deliver(event)

        assert [V.REFUSED, V.UNDELIVERABLE] == [lost.verdict, again.verdict]
        assert lost.told.startswith(UNKNOWN)
        assert [("receipt", "unknown")] == await desk.statuses()
        assert 1 == len(desk.post.mails)

    async def test_the_database_does_not_take_the_beginning(self, desk: Desk) -> None:
        """What cannot be written down is not sent, although the recipient was accepted."""
        event = (await desk.happened(paid()))[-1]
        target = desk.target()
        target._mails = Deaf(desk.opened, "begin")  # type: ignore[assignment]

        with pytest.raises(SQLAlchemyError):
            await target.deliver(event)
        then = await desk.deliver(event)

        assert "mail sent: receipt" == then.told
        assert 1 == len(desk.post.mails)

    async def test_the_database_does_not_take_the_end(self, desk: Desk) -> None:
        """It was sent, and nobody knows: better told to operators than sent twice."""
        event = (await desk.happened(paid()))[-1]
        target = desk.target()
        target._mails = Deaf(desk.opened, "end")  # type: ignore[assignment]

        with pytest.raises(SQLAlchemyError):
            await target.deliver(event)
        desk.clock.now += 2 * MINUTE
        then = await desk.deliver(event)

        assert Answer(V.UNDELIVERABLE, UNKNOWN) == then
        assert 1 == len(desk.post.mails)


class TestTrouble:
    @pytest.mark.parametrize(
        ("command", "answer", "verdict", "left"),
        [
            ("to_rcpt", "451 4.7.1 greylisted", V.FAILED, []),
            ("to_rcpt", "421 4.3.2 later", V.AWAY, []),
            ("to_mail", "553 5.7.1 not yours", V.AWAY, []),
            ("to_data", "452 4.2.2 full", V.FAILED, [("receipt", "postponed")]),
            ("to_data", "421 later", V.AWAY, [("receipt", "postponed")]),
        ],
    )
    async def test_for_now(
        self,
        desk: Desk,
        command: str,
        answer: str,
        verdict: Verdict,
        left: list[tuple[str, str]],
    ) -> None:
        """What the server does not take now it takes later, once."""
        event = (await desk.happened(paid()))[-1]
        setattr(desk.post, command, answer)

        refused = await desk.deliver(event)
        rows = await desk.statuses()
        setattr(desk.post, command, "250 OK")
        then = await desk.deliver(event)

        assert (verdict, left) == (refused.verdict, rows)
        assert "mail sent: receipt" == then.told
        assert 1 == len(desk.post.mails)

    @pytest.mark.parametrize("command", ["to_rcpt", "to_data"])
    async def test_for_ever(self, desk: Desk, command: str) -> None:
        """It is a dead letter. Whoever replays it with a better address has it sent."""
        event = (await desk.happened(paid()))[-1]
        setattr(desk.post, command, f"550 5.1.1 <{ADA}> is unknown")

        refused = await desk.deliver(event)
        rows = await desk.statuses()
        setattr(desk.post, command, "250 OK")
        await desk.customers.change("cst_1", {"email": "ada@new.example"}, {}, NOON)
        then = await desk.deliver(event)

        assert V.REFUSED is refused.verdict
        assert [("receipt", "refused")] == rows
        assert "mail sent: receipt" == then.told
        assert [ADA, "ada@new.example"] == desk.post.recipients

    async def test_nobody_there(self, opened: Sessions) -> None:
        """All mails wait until the server is back, and none was begun."""
        desk = Desk(opened, Post())
        event = (await desk.happened(paid()))[-1]

        away = await desk.deliver(event)
        rows = await desk.rows()
        async with serving(desk.post):
            then = await desk.deliver(event)

        assert (V.AWAY, []) == (away.verdict, rows)
        assert "mail sent: receipt" == then.told

    async def test_no_answer(self, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
        """A server that keeps the mail and says nothing leaves it unknown."""
        monkeypatch.setattr(module, "DATA_SECONDS", 0.1)
        event = (await desk.happened(paid()))[-1]
        desk.post.may_answer.clear()

        answer = await desk.deliver(event)

        desk.post.may_answer.set()
        assert V.REFUSED is answer.verdict
        assert [("receipt", "unknown")] == await desk.statuses()


class TestPrivacy:
    async def test_no_address_is_told(self, desk: Desk) -> None:
        """Neither answers nor rows nor logs hold it, whatever the server repeats."""
        event = (await desk.happened(paid()))[-1]
        told = []

        with capture_logs() as logged:
            for command in ("to_mail", "to_rcpt", "to_data"):
                for code in ("421", "451", "550"):
                    setattr(desk.post, command, f"{code} 5.1.1 {ADA} is not wanted here")
                    told += [await desk.deliver(event), await desk.rows()]
                setattr(desk.post, command, "250 OK")
            told += [await desk.deliver(event), await desk.rows()]

        assert 10 == len(logged)
        assert "ada@" not in f"{told} {logged}"


class Deaf:
    """The rows of mails, one of whose statements the database does not take."""

    def __init__(self, opened: Sessions, name: str) -> None:
        self._mails, self._name = Mails(opened), name

    def __getattr__(self, name: str) -> Any:
        if name == self._name:
            return self._refuse
        return getattr(self._mails, name)

    async def _refuse(self, *_: object) -> None:
        raise SQLAlchemyError("gone")
