"""Which mail an event means, and for whom: one table, whose rows are looked at in turn."""

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from paysaga.domain.payment import PaymentStatus
from paysaga.domain.reasons import Reason
from paysaga.events.shapes import Event, EventType, PaymentData

# Whoever is at the page right now sees there what has happened: the mail is for those who left.
PATIENCE: Final = timedelta(minutes=3)


class CustomerMail(StrEnum):
    """What customers are written about; each of these they may switch off."""

    RECEIPT = "receipt"
    REFUND = "refund"
    AUTHENTICATION = "authentication"
    RETRY = "retry"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELED = "canceled"


class OperationsMail(StrEnum):
    """What those who run the shop are written about."""

    REFUND_FAILED = "refund_failed"
    NEEDS_OPERATOR = "needs_operator"


MailKind = CustomerMail | OperationsMail


class Step(NamedTuple):
    """A change, and how its object stood before it: `None` if it is the first."""

    now: PaymentData
    before: PaymentData | None

    @property
    def captured(self) -> int:
        """What this very step has taken, in minor units."""
        return self.now.amount_captured - (self.before.amount_captured if self.before else 0)

    @property
    def refunded(self) -> int:
        """What this very step has given back."""
        return self.now.amount_refunded - (self.before.amount_refunded if self.before else 0)

    @property
    def was_held(self) -> bool:
        """Whether the customer's money was held until now."""
        return self.before is not None and self.before.status is PaymentStatus.AUTHORIZED


class Mail(NamedTuple):
    """A row: on these events, if it `is_due`, this mail is sent.

    A `patient` one waits whether the customer goes on by themselves, and is superfluous then. After
    `until` nobody can do any more what it asks for.
    """

    kind: MailKind
    events: frozenset[EventType]
    is_due: Callable[[Step], bool]
    is_patient: bool = False
    until: Callable[[PaymentData], datetime | None] = lambda _: None


def may_mean_mail(event: Event) -> bool:
    """Whether the event's type means a mail at all: of most it need not be asked any further."""
    return any(event.type in mail.events for mail in MAILS)


def mail_of(event: Event, before: PaymentData | None) -> Mail | None:
    """The mail that the event means, if any; `before` is the object as the event before had it."""
    step = Step(event.data, before)
    return next((mail for mail in MAILS if event.type in mail.events and mail.is_due(step)), None)


def too_early(mail: Mail, event: Event, now: datetime) -> timedelta | None:
    """How long a patient mail still has to wait."""
    wait = event.created_at + PATIENCE - now
    return wait if mail.is_patient and wait > timedelta() else None


def too_late(mail: Mail, event: Event, now: datetime) -> bool:
    """Whether what the mail asks for cannot be done any more."""
    until = mail.until(event.data)
    return until is not None and now >= until


def _always(_: Step) -> bool:
    return True


def _is_at_the_bank(step: Step) -> bool:
    """On the gateway's own page there is nothing to confirm: its customer came to pay."""
    return not step.now.is_hosted


def _is_news(step: Step) -> bool:
    """Whoever gave up, or was refused at the page, knows of it; but not of money that was held."""
    on_the_spot = step.now.reason in {Reason.CANCEL_REQUESTED, Reason.ORDER_REFUSED}
    return step.was_held or not on_the_spot


_T = EventType
MAILS: Final = (
    Mail(
        CustomerMail.REFUND,
        frozenset({_T.PAYMENT_REFUNDED, _T.PAYMENT_CANCELED}),
        lambda step: step.refunded > 0,
    ),
    Mail(
        CustomerMail.RECEIPT,
        # A payment that was parked succeeds twice; its money is taken once.
        frozenset({_T.PAYMENT_SUCCEEDED}),
        lambda step: step.captured > 0,
    ),
    Mail(
        CustomerMail.AUTHENTICATION,
        frozenset({_T.PAYMENT_REQUIRES_ACTION}),
        _is_at_the_bank,
        is_patient=True,
        until=lambda payment: payment.action_until,
    ),
    Mail(
        CustomerMail.RETRY,
        # Without an attempt left it fails in the same breath.
        frozenset({_T.PAYMENT_AWAITING_RETRY}),
        lambda step: step.now.attempts_left > 0,
        is_patient=True,
        until=lambda payment: payment.retry_until,
    ),
    Mail(CustomerMail.FAILED, frozenset({_T.PAYMENT_FAILED}), _always, is_patient=True),
    Mail(CustomerMail.EXPIRED, frozenset({_T.PAYMENT_EXPIRED}), _always),
    Mail(CustomerMail.CANCELED, frozenset({_T.PAYMENT_CANCELED}), _is_news),
    Mail(
        OperationsMail.REFUND_FAILED,
        frozenset({_T.PAYMENT_NEEDS_OPERATOR}),
        lambda step: step.now.reason is Reason.REFUND_FAILED,
    ),
    Mail(OperationsMail.NEEDS_OPERATOR, frozenset({_T.PAYMENT_NEEDS_OPERATOR}), _always),
)
