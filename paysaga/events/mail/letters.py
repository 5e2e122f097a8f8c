"""A mail's subject and two forms: pure functions of the event, the language and the shop's name."""

from datetime import tzinfo
from pathlib import Path
from typing import Any, Final, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from paysaga.domain.languages import Language
from paysaga.domain.money import Money
from paysaga.events.mail.english import ENGLISH
from paysaga.events.mail.german import GERMAN
from paysaga.events.mail.kinds import CustomerMail, Mail, Step
from paysaga.events.mail.words import Words, plain
from paysaga.events.shapes import Event, PaymentData

WORDS: Final = {Language.EN: ENGLISH, Language.DE: GERMAN}

_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class Letter(NamedTuple):
    """What is written to somebody. The subject is one line."""

    subject: str
    text: str
    html: str


class Letters:
    """Writes letters of one shop. `runs` is where the runs of payments are in Temporal's UI."""

    def __init__(self, shop: str, zone: tzinfo, runs: str) -> None:
        self._shop = plain(shop)
        self._zone = zone
        self._runs = runs.rstrip("/")

    def letter(
        self, mail: Mail, event: Event, before: PaymentData | None, language: Language, page: str
    ) -> Letter:
        """Write it. Customers are led to `page`, the shop's own; operations to the run."""
        words, step = WORDS[language], Step(event.data, before)
        is_ours = not isinstance(mail.kind, CustomerMail)
        told = self._told(mail, step, words) | {
            "language": language.value,
            "shop": self._shop,
            "link": f"{self._runs}/{event.object_id}" if is_ours else page,
            "facts": self._facts(step, words, is_ours=is_ours),
            "footer": "" if is_ours else words.footer.format(shop=self._shop),
        }
        path = f"{language}/{mail.kind}"
        subject, _, text = _TEMPLATES.get_template(f"{path}.txt").render(told).partition("\n")
        told["subject"] = plain(subject)
        html = _TEMPLATES.get_template(f"{path}.html").render(told)
        return Letter(told["subject"], f"{text.strip()}\n", html)

    def _told(self, mail: Mail, step: Step, words: Words) -> dict[str, Any]:
        now, until = step.now, mail.until(step.now)
        held = step.before.amount_authorized if step.before and step.was_held else 0
        return {
            "amount": _money(now, now.amount, words),
            "captured": _money(now, step.captured, words),
            "refunded": _money(now, step.refunded, words),
            "owed": _money(now, now.amount_refund_pending, words),
            "held": _money(now, held, words) if held else None,
            "let_go": _money(now, held - step.captured, words) if held > step.captured else None,
            "until": words.moment(until, self._zone) if until else None,
            "attempts_left": now.attempts_left,
            "decline": words.decline(now.decline),
            "payment_id": plain(now.id),
            "reason": now.reason.value,
            "why": words.reasons.get(now.reason),
        }

    def _facts(self, step: Step, words: Words, *, is_ours: bool) -> list[tuple[str, str]]:
        now = step.now
        facts = [
            (words.order, plain(now.order_id)),
            (words.purpose, plain(now.description or "")),
            (words.amount, _money(now, now.amount, words)),
            (words.refunded, _money(now, now.amount_refunded, words) if step.refunded else None),
            (words.means, words.method(now.payment_method)),
            (words.at, words.moment(now.updated_at, self._zone)),
            (words.customer, plain(now.customer_id) if is_ours else None),
            (words.payment, plain(now.id)),
        ]
        return [(label, told) for label, told in facts if told]


def _money(payment: PaymentData, minor: int, words: Words) -> str:
    return words.money(Money(minor=minor, currency=payment.currency))
