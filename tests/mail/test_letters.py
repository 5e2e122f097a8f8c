"""Every mail in every language, and what must never be in one."""

import email
import re
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from paysaga.domain.declines import DECLINES, decline_for
from paysaga.domain.intent import MethodFacts
from paysaga.domain.languages import Language
from paysaga.domain.money import Money
from paysaga.domain.payment import PaymentState, PaymentStatus
from paysaga.domain.reasons import Reason
from paysaga.domain.zones import zone_of
from paysaga.events.mail import letters as module
from paysaga.events.mail.envelope import message, message_id
from paysaga.events.mail.kinds import MAILS, CustomerMail, mail_of
from paysaga.events.mail.letters import WORDS, Letter, Letters
from paysaga.events.mail.words import plain
from paysaga.events.shapes import DeclineTold, Method, PaymentData
from paysaga.mail_settings import Sender
from tests.fakes import NOON
from tests.mail.events import HELD, PROCESSING, SCENES, a_state, an_event

TEMPLATES = Path(module.__file__).with_name("templates")
PAGE = "https://shop.example/return?payment_id=pay_test"
RUN = "http://temporal.example/namespaces/default/workflows/pay_test"
LETTERS = Letters("Slow Mornings", UTC, RUN.removesuffix("/pay_test"))
SENDER = Sender(name="Slow Mornings", address="payments@shop.example")
NBSP = "\N{NO-BREAK SPACE}"
EVIL = 'Mug</td><script>alert("1")</script> & "co"\r\nBcc: eve@example.com\u202e\u2028'


def a_letter(
    kind: str, language: Language = Language.EN, letters: Letters = LETTERS, **changes: object
) -> Letter:
    """The mail about the scene of its kind; `changes` are the payment's own."""
    before, after = SCENES[kind]
    return written(before, after.model_copy(update=changes), language, letters)


def written(
    before: PaymentState,
    after: PaymentState,
    language: Language = Language.EN,
    letters: Letters = LETTERS,
) -> Letter:
    event, earlier = an_event(after, before), PaymentData.of(before)
    mail = mail_of(event, earlier)
    assert mail is not None
    return letters.letter(mail, event, earlier, language, PAGE)


def sent(letter: Letter) -> EmailMessage:
    """The mail as its recipient reads it."""
    raw = message(
        letter,
        sender=SENDER,
        to="ada@example.com",
        language=Language.EN,
        named=message_id("evn_1", "receipt", SENDER),
        at=NOON,
    )
    return email.message_from_bytes(raw, policy=default)


class TestEveryMail:
    @pytest.mark.parametrize("language", Language)
    @pytest.mark.parametrize("kind", SCENES)
    def test_it_says_what_it_is_about(self, kind: str, language: Language) -> None:
        """Order, purpose, amount, card and payment stand in both forms, with a way on."""
        letter = a_letter(kind, language)

        amount = {"en": f"12.50{NBSP}EUR", "de": f"12,50{NBSP}EUR"}[language]
        way_on = PAGE if kind in set(CustomerMail) else RUN
        for told in ("order-1", "One test product", amount, "Visa •••• 4242", "pay_test", way_on):
            assert told in letter.text
            assert told in letter.html
        assert letter.subject in letter.html
        assert "Slow Mornings" in letter.text

    @pytest.mark.parametrize("language", Language)
    def test_nothing_is_fetched(self, language: Language) -> None:
        """No picture, font or script of anybody's: opening a mail tells nobody of it."""
        pages = [a_letter(kind, language).html for kind in SCENES]

        assert [] == [
            found
            for page in pages
            for found in re.findall(r"<(?:img|script|link|iframe)|url\(", page)
        ]

    def test_every_language_is_complete(self) -> None:
        """Each kind has a pair of templates in each language, and there is none besides."""
        there = {
            path.relative_to(TEMPLATES).as_posix()
            for path in TEMPLATES.glob("*/*")
            if path.is_file()
        }

        assert there == {
            f"{language}/{mail.kind}.{form}"
            for language in Language
            for mail in MAILS
            for form in ("html", "txt")
        }
        assert set(Language) == set(WORDS)

    @pytest.mark.parametrize("language", Language)
    def test_every_decline_is_told(self, language: Language) -> None:
        """Whatever the bank said, the customer reads it in their language, and no two alike."""
        words = WORDS[language]

        told = {
            decline.message: words.decline(DeclineTold(code=decline.code, message=decline.message))
            for decline in DECLINES.values()
        }

        assert set(told) == set(words.declines)
        assert len(told) == len(set(told.values()))
        assert words.declined == words.decline(DeclineTold(code="new", message="Never heard of."))

    @pytest.mark.parametrize("language", Language)
    @pytest.mark.parametrize(
        "reason", [*sorted(set(WORDS[Language.EN].reasons) - {Reason.REFUND_FAILED}), Reason.PAID]
    )
    def test_operations_learn_what_to_do(self, reason: Reason, language: Language) -> None:
        """Each reason to park is explained; one that is not known yet is told by its word."""
        letter = a_letter("needs_operator", language, reason=reason)

        assert reason.value in letter.subject
        assert "payment-cli payments why pay_test" in letter.text
        assert (WORDS[language].reasons.get(reason) or "") in letter.text

    def test_both_languages_explain_the_same_reasons(self) -> None:
        """No operator is told less."""
        assert WORDS[Language.EN].reasons.keys() == WORDS[Language.DE].reasons.keys()


class TestWording:
    @pytest.mark.parametrize(
        ("minor", "currency", "english", "german"),
        [
            (6450, "EUR", "64.50 EUR", "64,50 EUR"),
            (123456789, "EUR", "1,234,567.89 EUR", "1.234.567,89 EUR"),
            (5, "EUR", "0.05 EUR", "0,05 EUR"),
            (1250, "JPY", "1,250 JPY", "1.250 JPY"),
            (1240, "KWD", "1.240 KWD", "1,240 KWD"),
            (1234567, "KWD", "1,234.567 KWD", "1.234,567 KWD"),
        ],
    )
    def test_amounts(self, minor: int, currency: str, english: str, german: str) -> None:
        """All decimals of the currency, none that it has not, and the language's own marks."""
        money = Money(minor=minor, currency=currency)

        told = [WORDS[language].money(money).replace(NBSP, " ") for language in Language]

        assert [english, german] == told

    @pytest.mark.parametrize(("currency", "told"), [("JPY", "1,250 JPY"), ("KWD", "1.250 KWD")])
    def test_a_receipt_in_any_currency(self, currency: str, told: str) -> None:
        """The amount in the mail is the one that was paid."""
        letter = a_letter("receipt", money=Money(minor=1250, currency=currency))

        assert f"Your payment of {told} to Slow Mornings" == letter.subject

    def test_moments_name_their_zone(self) -> None:
        """Nobody has to guess whose clock it is; summer time is told as such."""
        winter, summer = NOON, datetime(2026, 7, 1, 22, 30, tzinfo=UTC)
        berlin = zone_of("Europe/Berlin")

        told = [
            WORDS[Language.EN].moment(winter, UTC),
            WORDS[Language.DE].moment(winter, UTC),
            WORDS[Language.EN].moment(summer, berlin),
            WORDS[Language.DE].moment(summer, ZoneInfo("Europe/Berlin")),
        ]

        assert [
            "21 November 2026, 12:00 UTC",
            "21. November 2026, 12:00 Uhr UTC",
            "2 July 2026, 00:30 CEST",
            "2. Juli 2026, 00:30 Uhr CEST",
        ] == told

    @pytest.mark.parametrize(
        ("facts", "told"),
        [
            ({"brand": "visa", "last4": "4242"}, "Visa •••• 4242"),
            ({"brand": "amex", "last4": "0005"}, "American Express •••• 0005"),
            (
                {"brand": "visa", "last4": "4242", "wallet": "apple_pay"},
                "Apple Pay (Visa •••• 4242)",
            ),
            ({"kind": "sepa_debit", "last4": "3000"}, "Account •••• 3000"),
            ({"kind": "paypal"}, "PayPal"),
            ({"kind": "klarna"}, None),
            (None, None),
        ],
    )
    def test_the_means_of_payment(self, facts: dict[str, str] | None, told: str | None) -> None:
        """As its owner calls it, with no more of a number than its end."""
        method = MethodFacts.model_validate({"kind": "card", **facts}) if facts else None

        assert told == WORDS[Language.EN].method(Method.of(method))

    def test_a_refund_tells_what_went_back_now(self) -> None:
        """Of the second part the second part is told, and beside it all that went back so far."""
        before = a_state(PaymentStatus.SUCCEEDED, amount_captured=1250, amount_refunded=500)
        after = before.model_copy(update={"amount_refunded": 800, "reason": Reason.REFUNDED})

        letter = written(before, after)

        assert "3.00 EUR paid back to you" == letter.subject
        assert f"Paid back: 8.00{NBSP}EUR" in letter.text

    def test_a_part_of_a_hold_is_told_as_one(self) -> None:
        """What was taken, what was held, and what is free again."""
        paid = a_state(PaymentStatus.SUCCEEDED, amount_captured=1000)

        letter = written(HELD, paid)

        assert "payment of 10.00 EUR" in letter.subject
        assert f"12.50{NBSP}EUR were held for it. The rest, 2.50{NBSP}EUR, is free" in letter.text

    def test_until_when_and_how_often(self) -> None:
        """Who may try again hears why it failed, how many attempts are left, and until when."""
        last = a_letter("retry", attempts_used=2).text
        text = a_letter("retry", Language.DE).text

        assert "You can try once more." in last
        assert "Ihre Karte ist nicht ausreichend gedeckt." in text
        assert "bis 22. November 2026, 12:00 Uhr UTC" in text
        assert "noch 2-mal versuchen" in text

    def test_why_a_card_was_stolen_stays_with_us(self) -> None:
        """A decline that must not give its reason away is told as a plain one."""
        text = a_letter("retry", decline=decline_for("card_declined", "stolen_card")).text

        assert "Your card was declined." in text
        assert "stolen" not in text


class TestHarm:
    @pytest.mark.parametrize("language", Language)
    @pytest.mark.parametrize("kind", SCENES)
    def test_a_description_is_text_and_nothing_else(self, kind: str, language: Language) -> None:
        """What a customer or shop wrote is shown as written, on one line, in both forms."""
        letter = a_letter(kind, language, description=EVIL, order_id=EVIL)

        assert "<script>" not in letter.html
        assert "&lt;script&gt;" in letter.html
        assert "\nBcc:" not in letter.text + letter.html
        assert not {"\u202e", "\u2028", "\r"} & set(letter.text + letter.html)

    def test_no_header_is_smuggled_in(self) -> None:
        """Whatever the shop, its customer or the sender are called, the headers are ours."""
        letters = Letters(EVIL, UTC, RUN)

        mail = sent(a_letter("receipt", letters=letters, description=EVIL, order_id=EVIL))

        assert sorted(mail.keys()) == sorted(
            [
                *("Auto-Submitted", "Content-Language", "Content-Type", "Date", "From"),
                *("MIME-Version", "Message-ID", "Subject", "To", "X-Auto-Response-Suppress"),
            ]
        )
        assert "ada@example.com" == mail["To"]

    def test_a_line_break_in_a_subject_is_refused(self) -> None:
        """Should one ever come so far, no mail is made of it."""
        with pytest.raises(ValueError, match="Header values"):
            sent(Letter("Hello\r\nBcc: eve@example.com", "text", "html"))

    @pytest.mark.parametrize(
        ("told", "shown"),
        [
            ("  two \t words ", "two words"),
            ("Ünïcode, 日本語", "Ünïcode, 日本語"),
            ("a\x00b\u200bc\ud800", "a b c"),
        ],
    )
    def test_plain_text(self, told: str, shown: str) -> None:
        """Letters stay; what only controls how others are shown goes."""
        assert shown == plain(told)


class TestMessage:
    def test_its_name_is_for_ever(self) -> None:
        """Of the same event it is the same, so that servers and people find it again."""
        assert "<evn_1.receipt@shop.example>" == message_id("evn_1", "receipt", SENDER)

    def test_headers(self) -> None:
        """Who, when, and that no person wrote it: nobody's assistant answers."""
        mail = sent(a_letter("receipt"))

        assert "Slow Mornings <payments@shop.example>" == mail["From"]
        assert "<evn_1.receipt@shop.example>" == mail["Message-ID"]
        assert NOON == mail["Date"].datetime
        assert "auto-generated" == mail["Auto-Submitted"]

    def test_both_forms(self) -> None:
        """Plain text for those who want it, HTML for the others, in seven bits for all servers."""
        letter = a_letter("refund", Language.DE, description="Ünïcode, 日本語")
        mail = sent(letter)

        text, html = (mail.get_body((form,)) for form in ("plain", "html"))

        assert text is not None
        assert html is not None
        assert letter.text.split() == text.get_content().split()
        assert letter.html.split() == html.get_content().split()
        assert mail.as_bytes().isascii()

    def test_processing_means_no_mail(self) -> None:
        """The scenes of these tests are no accident."""
        assert mail_of(an_event(PROCESSING, None), None) is None
