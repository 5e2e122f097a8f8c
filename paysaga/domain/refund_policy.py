"""The shop's terms for giving money back: who gets how much of it, until when, and why."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import Annotated, Final, NamedTuple, Self

from pydantic import Field, StrictInt, StringConstraints, model_validator

from paysaga.domain import ids
from paysaga.domain.message import Message
from paysaga.domain.zones import zone_of

_DAY: Final = timedelta(days=1)


class Asker(StrEnum):
    """Who asks for the money: the customer, or the shop for them."""

    CUSTOMER = "customer"
    SHOP = "shop"


Percent = Annotated[StrictInt, Field(ge=0, le=100)]
Days = Annotated[StrictInt, Field(ge=0, le=3650)]


class RefundRule(Message):
    """So many percent of what was paid go back, as long as all that is said here holds.

    Days are the calendar's, in the policy's time zone: `days_before_service` 7 holds to the end of
    the seventh day before the service date, `days_after_payment` 14 to the end of the fourteenth
    day after the one it was paid on. Without either it always holds.
    """

    percent: Percent
    asked_by: Annotated[tuple[Asker, ...], Field(min_length=1)] = tuple(Asker)
    days_before_service: Days | None = None
    days_after_payment: Days | None = None


class RefundPolicy(Message):
    """The first rule that holds counts; if none does, nothing goes back.

    A payment with a service date has rules of its own. `name` is the shop's word for this version.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    timezone: Annotated[str, StringConstraints(min_length=1, max_length=64)] = "UTC"
    with_service_date: Annotated[tuple[RefundRule, ...], Field(max_length=20)] = ()
    without_service_date: Annotated[tuple[RefundRule, ...], Field(max_length=20)] = ()

    @property
    def id(self) -> str:
        """The same for the same terms, and for no others."""
        return ids.derived(ids.REFUND_POLICY, self.model_dump_json(exclude_defaults=True))

    @model_validator(mode="after")
    def _counts_to_a_date(self) -> Self:
        if any(rule.days_before_service is not None for rule in self.without_service_date):
            raise ValueError("without_service_date has no day to count days_before_service to")
        return self


# 100 % until 14 days before the service, then half until 7 days before. What has no date may be
# given back as long as the European Union lets buyers from afar (Directive 2011/83/EU, article 9).
STANDARD: Final = RefundPolicy(
    name="standard-1",
    with_service_date=(
        RefundRule(percent=100, days_before_service=14),
        RefundRule(percent=50, days_before_service=7),
    ),
    without_service_date=(RefundRule(percent=100, days_after_payment=14),),
)


class Promise(NamedTuple):
    """What the terms give at a moment: to what percentage, until (not at) when, and why."""

    percent: int
    until: datetime | None
    why: str


def promised(
    policy: RefundPolicy,
    paid_at: datetime,
    service_date: date | None,
    asked_by: Asker,
    at: datetime,
) -> Promise:
    """How much of a payment goes back if it is asked for now.

    Args:
        policy: The terms that were pinned when the payment was made.
        paid_at: When the money was taken.
        service_date: The day that was paid for, if there is one: a night, a journey, a course.
        asked_by: Who asks.
        at: Now.
    """
    days = _Days(zone_of(policy.timezone), paid_at, service_date, at)
    rules = policy.without_service_date if service_date is None else policy.with_service_date
    for rule in rules:
        if asked_by in rule.asked_by and days.are_within(rule):
            return Promise(rule.percent, days.end_of(rule), days.why(rule))
    return Promise(0, None, days.why_not([rule for rule in rules if asked_by in rule.asked_by]))


class _Days:
    """The days between a payment, now, and what was paid for."""

    def __init__(
        self, zone: tzinfo, paid_at: datetime, service_date: date | None, at: datetime
    ) -> None:
        self._zone = zone
        self._paid_on = paid_at.astimezone(zone).date()
        self._service_date = service_date
        today = at.astimezone(zone).date()
        self._since = (today - self._paid_on).days
        self._left = None if service_date is None else (service_date - today).days

    def are_within(self, rule: RefundRule) -> bool:
        return not self._limits(rule, are_kept=False)

    def end_of(self, rule: RefundRule) -> datetime | None:
        last_days = []
        if rule.days_before_service is not None and self._service_date is not None:
            last_days.append(self._service_date - rule.days_before_service * _DAY)
        if rule.days_after_payment is not None:
            last_days.append(self._paid_on + rule.days_after_payment * _DAY)
        if not last_days:
            return None
        return datetime.combine(min(last_days) + _DAY, time(), self._zone).astimezone(UTC)

    def why(self, rule: RefundRule) -> str:
        kept = self._limits(rule, are_kept=True)
        because = f" because {' and '.join(kept)}" if kept else ", at any time"
        return f"{rule.percent} %{because}."

    def why_not(self, rules: Sequence[RefundRule]) -> str:
        """By the rule that held last, if money could ever have gone back."""
        ended = [(end, rule) for rule in rules if rule.percent and (end := self.end_of(rule))]
        if not ended:
            return "Nothing: this is not refundable."
        _, last = max(ended, key=lambda found: found[0])
        return f"Nothing because {' and '.join(self._limits(last, are_kept=False))}."

    def _limits(self, rule: RefundRule, *, are_kept: bool) -> list[str]:
        """The rule's limits that are kept, or those that are not, as reasons."""
        found = []
        if rule.days_before_service is not None and self._left is not None:
            found.append((self._left >= rule.days_before_service, self._remaining()))
        if rule.days_after_payment is not None:
            found.append((self._since <= rule.days_after_payment, self._passed()))
        return [reason for is_kept, reason in found if is_kept is are_kept]

    def _remaining(self) -> str:
        if self._left is not None and self._left < 0:
            return f"the day, {self._service_date}, is over"
        if self._left == 0:
            return f"the day, {self._service_date}, is today"
        verb = "remains" if self._left == 1 else "remain"
        return f"{_counted(self._left)} {verb} until {self._service_date}"

    def _passed(self) -> str:
        if self._since <= 0:
            return "it was paid today"
        verb = "has" if self._since == 1 else "have"
        return f"{_counted(self._since)} {verb} passed since the payment"


def _counted(days: int | None) -> str:
    return "1 day" if days == 1 else f"{days} days"
