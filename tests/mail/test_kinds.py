"""Who is written to about what."""

from datetime import timedelta

import pytest

from paysaga.domain.payment import PaymentState, PaymentStatus
from paysaga.domain.reasons import Reason
from paysaga.events.mail.kinds import (
    MAILS,
    CustomerMail,
    OperationsMail,
    mail_of,
    too_early,
    too_late,
)
from paysaga.events.shapes import PaymentData
from tests.fakes import NOON
from tests.mail.events import DECLINED, HELD, PAID, PROCESSING, SCENES, WAITING, a_state, an_event

S = PaymentStatus
PARKED = a_state(S.NEEDS_OPERATOR, reason=Reason.GATEWAY_MISMATCH)


def kind_of(before: PaymentState | None, after: PaymentState) -> str | None:
    """The mail about this step."""
    event = an_event(after, before)
    mail = mail_of(event, PaymentData.of(before) if before else None)
    return mail.kind if mail else None


class TestTable:
    @pytest.mark.parametrize("kind", SCENES)
    def test_each_kind_has_its_event(self, kind: str) -> None:
        """A change that somebody should hear of means the mail about it."""
        assert kind == kind_of(*SCENES[kind])

    def test_every_kind_is_in_the_table(self) -> None:
        """A kind without a row would never be sent."""
        assert {mail.kind for mail in MAILS} == {*CustomerMail, *OperationsMail} == set(SCENES)

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (None, a_state()),
            (a_state(), PROCESSING),
            (PROCESSING, HELD),
            (PAID, PAID.model_copy(update={"reason": Reason.ORDER_CONFIRMED})),
            # Its customer is at the payment page, which they came to on their own.
            (PROCESSING, WAITING.model_copy(update={"is_hosted": True})),
            # It fails in the same transaction, and that is told.
            (PROCESSING, DECLINED.model_copy(update={"attempts_used": 3})),
            # Whoever gives up at the page has seen it.
            (WAITING, a_state(S.CANCELED, reason=Reason.CANCEL_REQUESTED)),
            (a_state(), a_state(S.CANCELED, reason=Reason.ORDER_REFUSED)),
            # The receipt was sent when the money came.
            (
                a_state(S.NEEDS_OPERATOR, amount_captured=1250),
                a_state(S.SUCCEEDED, reason=Reason.REFUND_ABANDONED, amount_captured=1250),
            ),
            (PARKED, a_state(S.SUCCEEDED, reason=Reason.REFUND_PENDING)),
        ],
    )
    def test_nobody_is_bothered_with_the_rest(
        self, before: PaymentState | None, after: PaymentState
    ) -> None:
        """What customers see at the page, or heard of before, means no mail."""
        assert kind_of(before, after) is None

    @pytest.mark.parametrize(
        ("before", "after", "kind"),
        [
            (PARKED, PAID, "receipt"),
            (DECLINED, a_state(S.EXPIRED, reason=Reason.HOLD_OVER), "expired"),
            (WAITING, a_state(S.CANCELED, reason=Reason.CANCELED_AT_GATEWAY), "canceled"),
            (PARKED, a_state(S.CANCELED, reason=Reason.ABANDONED), "canceled"),
            (
                a_state(S.NEEDS_OPERATOR, amount_captured=1250),
                a_state(S.CANCELED, amount_captured=1250, amount_refunded=1250),
                "refund",
            ),
        ],
    )
    def test_news_reach_who_left(
        self, before: PaymentState, after: PaymentState, kind: str
    ) -> None:
        """What happens while the customer is not there is told, money first."""
        assert kind == kind_of(before, after)

    def test_without_the_event_before_the_whole_counts(self) -> None:
        """Should it be missing, a receipt is still a receipt."""
        event = an_event(PAID, PROCESSING)

        mail = mail_of(event, None)

        assert mail is not None
        assert CustomerMail.RECEIPT is mail.kind


class TestTime:
    @pytest.mark.parametrize(
        ("kind", "waits"),
        [
            ("authentication", True),
            ("retry", True),
            ("failed", True),
            ("receipt", False),
            ("refund", False),
            ("expired", False),
            ("canceled", False),
            ("needs_operator", False),
            ("refund_failed", False),
        ],
    )
    def test_who_is_at_the_page_is_not_hurried(self, kind: str, *, waits: bool) -> None:
        """Three minutes after the event, and not before; what is no request goes out at once."""
        event = an_event(SCENES[kind][1], SCENES[kind][0])
        mail = mail_of(event, PaymentData.of(SCENES[kind][0]))
        assert mail is not None

        at_once = too_early(mail, event, NOON)
        then = too_early(mail, event, NOON + timedelta(minutes=3))

        assert (timedelta(minutes=3) if waits else None, None) == (at_once, then)

    def test_nobody_is_asked_for_what_they_cannot_do(self) -> None:
        """After its deadline a request is no help; other mails have none."""
        mails = {mail.kind: mail for mail in MAILS}
        waiting, declined = an_event(WAITING, PROCESSING), an_event(DECLINED, PROCESSING)
        quarter, day = NOON + timedelta(minutes=15), NOON + timedelta(days=1)
        moment = timedelta(seconds=1)

        late = [
            too_late(mails[CustomerMail.AUTHENTICATION], waiting, quarter - moment),
            too_late(mails[CustomerMail.AUTHENTICATION], waiting, quarter),
            too_late(mails[CustomerMail.RETRY], declined, day - moment),
            too_late(mails[CustomerMail.RETRY], declined, day),
            too_late(mails[CustomerMail.RECEIPT], an_event(PAID, PROCESSING), day),
        ]

        assert [False, True, False, True, False] == late
