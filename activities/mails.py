"""The place for events that is people's mailboxes: each event means one mail at most, sent once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import structlog

from paysaga.database.customers import Correspondent, Customers
from paysaga.database.engine import Sessions
from paysaga.database.mails import Mails
from paysaga.database.reads import Reads
from paysaga.domain.languages import Language, spoken
from paysaga.domain.mailbox import NoMailbox, mailbox
from paysaga.domain.mails import NOT_SENT, SENDING_LASTS, KnownMail, MailRef, MailStatus, Recipient
from paysaga.domain.payment import PaymentState
from paysaga.domain.returning import shop_address
from paysaga.domain.zones import zone_of
from paysaga.events.delivery import Answer, Verdict
from paysaga.events.mail.envelope import message, message_id
from paysaga.events.mail.kinds import (
    CustomerMail,
    Mail,
    mail_of,
    may_mean_mail,
    too_early,
    too_late,
)
from paysaga.events.mail.letters import Letters
from paysaga.events.mail.smtp import Envelope, NotSent, Smtp, Trouble
from paysaga.events.shapes import Event, PaymentData
from paysaga.settings import Settings

UNKNOWN: Final = "nobody knows whether it was sent"
_ANSWERS: Final = {
    Trouble.AWAY: Verdict.AWAY,
    Trouble.LATER: Verdict.FAILED,
    Trouble.REFUSED: Verdict.REFUSED,
    Trouble.UNKNOWN: Verdict.REFUSED,
}
# What the server said to a mail that was already begun.
_ENDINGS: Final = {
    Trouble.AWAY: MailStatus.POSTPONED,
    Trouble.LATER: MailStatus.POSTPONED,
    Trouble.REFUSED: MailStatus.REFUSED,
    Trouble.UNKNOWN: MailStatus.UNKNOWN,
}

# Who hears of something later than that wonders what has happened now.
NEWS: Final = timedelta(days=7)

log: Final = structlog.stdlib.get_logger("mail")


class NoMailServer(ValueError):
    """`SMTP_URL` is not set: no mail can be sent."""


class _Due(NamedTuple):
    """A mail that is to be written, about this event."""

    mail: Mail
    ref: MailRef
    event: Event
    before: PaymentData | None


class MailTarget:
    """Writes to customers and operations about events: a `Target` of events.

    An event that comes again, also to several workers at once, means no second mail: what was begun
    is never begun again, unless the mail server itself has refused it.

    Raises:
        NoMailServer: The settings name none.
    """

    def __init__(
        self,
        sessions: Sessions,
        settings: Settings,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        smtp: Smtp | None = None,
    ) -> None:
        if settings.mail_server is None or settings.mail_sender is None:
            raise NoMailServer
        ui = str(settings.temporal_ui_url).rstrip("/")
        runs = f"{ui}/namespaces/{settings.temporal_namespace}/workflows"
        self._settings = settings
        self._sender = settings.mail_sender
        self._smtp = smtp or Smtp(settings.mail_server)
        self._letters = Letters(settings.mail_shop, zone_of(settings.mail_timezone), runs)
        self._mails = Mails(sessions)
        self._customers = Customers(sessions)
        self._reads = Reads(sessions)
        self._clock = clock

    async def deliver(self, event: Event) -> Answer:
        """Send the mail that the event means, if it still does."""
        due = await self._due(event)
        if due is None:
            return Answer(Verdict.PASSED, "no mail is sent about this")
        known = await self._mails.known(due.ref)
        if known is not None and known.status not in NOT_SENT:
            return await self._begun_before(due.ref, known)
        if due.mail.is_patient and await self._mails.has_moved_on(event.object_id, event.sequence):
            return await self._skipped(due, "superseded")
        if too_late(due.mail, event, self._clock()):
            return await self._skipped(due, "what it asks for cannot be done any more")
        if self._clock() - event.created_at > NEWS:
            return await self._skipped(due, "it is no news any more")
        if wait := too_early(due.mail, event, self._clock()):
            return Answer(Verdict.NOT_YET, "it waits: whoever is at the page needs no mail", wait)
        return await self._addressed(due)

    async def _due(self, event: Event) -> _Due | None:
        if not may_mean_mail(event):
            return None
        earlier = await self._mails.before(event.object_id, event.sequence)
        if earlier is None and event.sequence > 1:
            return None  # it is not kept any more: nobody can tell what this step has changed
        before = PaymentData.of(PaymentState.model_validate(earlier)) if earlier else None
        mail = mail_of(event, before)
        if mail is None:
            return None
        is_theirs = isinstance(mail.kind, CustomerMail)
        ref = MailRef(
            event_id=event.id,
            kind=mail.kind,
            recipient=Recipient.CUSTOMER if is_theirs else Recipient.OPERATIONS,
            customer_id=event.data.customer_id if is_theirs else None,
            message_id=message_id(event.id, mail.kind, self._sender),
        )
        return _Due(mail, ref, event, before)

    async def _begun_before(self, ref: MailRef, known: KnownMail) -> Answer:
        """It is sent, or nobody knows, or somebody is at it: then we come again."""
        if known.status is MailStatus.SENT:
            return Answer(Verdict.PASSED, "it was sent before")
        left = known.updated_at + SENDING_LASTS - self._clock()
        if known.status is MailStatus.SENDING:
            if left > timedelta():
                return Answer(Verdict.NOT_YET, "another worker is sending it", left)
            told = f"{UNKNOWN}: who was sending it is gone"
            await self._ended(ref, known.tries, MailStatus.UNKNOWN, told)
        return Answer(Verdict.UNDELIVERABLE, UNKNOWN)

    async def _addressed(self, due: _Due) -> Answer:
        """Find out who is written to, in what language, and whether they want that."""
        settings, customer_id = self._settings, due.ref.customer_id
        who = Correspondent(email=settings.mail_operations_to, language=None, mails={})
        if customer_id is not None:
            nobody = Correspondent(email=None, language=None, mails={})
            who = await self._customers.correspondent(customer_id) or nobody
        if not who.wants(due.mail.kind):
            return await self._skipped(due, "not wanted")
        if who.email is None:
            return await self._skipped(due, "no address")
        try:
            address = mailbox(who.email)
        except NoMailbox:
            told = "the address is none that mails can be sent to"
            await self._mails.note(due.ref, MailStatus.REFUSED, told, self._clock())
            return Answer(Verdict.UNDELIVERABLE, told)
        return await self._sent(due, address, spoken(who.language, settings.mail_language))

    async def _sent(self, due: _Due, address: str, language: Language) -> Answer:
        written = await self._written(due, address, language)
        try:
            async with self._smtp.accepted(self._sender.address, address) as envelope:
                return await self._handed_over(due, envelope, written)
        except NotSent as problem:  # nothing was begun
            if problem.trouble is Trouble.REFUSED:
                await self._mails.note(due.ref, MailStatus.REFUSED, str(problem), self._clock())
            _tell(due, _ENDINGS[problem.trouble], str(problem))
            return Answer(_ANSWERS[problem.trouble], str(problem))

    async def _handed_over(self, due: _Due, envelope: Envelope, written: bytes) -> Answer:
        """From `begin` on the mail is never sent by anybody else, whatever becomes of us."""
        tries = await self._mails.begin(due.ref, self._clock())
        if tries is None:
            return Answer(Verdict.NOT_YET, "another worker is sending it", SENDING_LASTS)
        try:
            await envelope.send(written)
        except NotSent as problem:
            ending = _ENDINGS[problem.trouble]
            told = str(problem)
            if ending is MailStatus.UNKNOWN:
                told = f"{UNKNOWN}: {told}"
            await self._ended(due.ref, tries, ending, told)
            _tell(due, ending, told)
            return Answer(_ANSWERS[problem.trouble], told)
        await self._ended(due.ref, tries, MailStatus.SENT, "the mail server has it")
        _tell(due, MailStatus.SENT, "the mail server has it")
        return Answer(Verdict.TAKEN, f"mail sent: {due.mail.kind}")

    async def _written(self, due: _Due, address: str, language: Language) -> bytes:
        payment = await self._reads.payment(due.event.object_id)
        if payment is None:
            raise RuntimeError(f"{due.event.object_id} has an event and no row")
        page = shop_address(payment.return_url, "payment_id", payment.id)
        letter = self._letters.letter(due.mail, due.event, due.before, language, page)
        return message(
            letter,
            sender=self._sender,
            to=address,
            language=language,
            named=due.ref.message_id,
            at=self._clock(),
        )

    async def _skipped(self, due: _Due, told: str) -> Answer:
        await self._mails.note(due.ref, MailStatus.SKIPPED, told, self._clock())
        return Answer(Verdict.PASSED, told)

    async def _ended(self, ref: MailRef, tries: int, status: MailStatus, told: str) -> None:
        await self._mails.end(ref, tries, status, told, self._clock())


def _tell(due: _Due, status: MailStatus, told: str) -> None:
    facts = {"event_id": due.event.id, "kind": due.mail.kind, "status": status.value}
    if status is MailStatus.SENT:
        log.info("a mail is sent", **facts)
    else:
        log.warning("a mail is not sent", **facts, told=told)
