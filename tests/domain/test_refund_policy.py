"""The terms of refunds: how much goes back, until when, and why."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from paysaga.domain.refund_policy import (
    STANDARD,
    Asker,
    RefundPolicy,
    RefundRule,
    promised,
)

DAY = timedelta(days=1)
PAID = datetime(2026, 11, 1, 9, 30, tzinfo=UTC)
SERVICE = date(2026, 12, 20)
LONDON, TOKYO, AUCKLAND, SANTIAGO = (
    "Europe/London",
    "Asia/Tokyo",
    "Pacific/Auckland",
    "America/Santiago",
)


def at(zone: str, year: int, month: int, day: int, *time: int) -> datetime:
    """A moment by a zone's clock."""
    hour, minute, second = (*time, 0, 0, 0)[:3]
    return datetime(year, month, day, hour, minute, second, tzinfo=ZoneInfo(zone))


def dated(*rules: RefundRule, timezone: str = "UTC") -> RefundPolicy:
    """Terms of payments that are for a day."""
    return RefundPolicy(name="dated-1", timezone=timezone, with_service_date=rules)


def undated(*rules: RefundRule, timezone: str = "UTC") -> RefundPolicy:
    """Terms of payments that are for no day."""
    return RefundPolicy(name="undated-1", timezone=timezone, without_service_date=rules)


LATE_OR_SHOP = RefundPolicy(
    name="mixed-1",
    with_service_date=(
        RefundRule(percent=100, asked_by=(Asker.SHOP,)),
        RefundRule(percent=50, days_after_payment=14),
    ),
    without_service_date=(RefundRule(percent=100, asked_by=(Asker.SHOP,)),),
)
BOTH = dated(RefundRule(percent=100, days_before_service=7, days_after_payment=5))


class TestBeforeTheService:
    @pytest.mark.parametrize(
        ("now", "percent"),
        [
            (datetime(2026, 11, 2, tzinfo=UTC), 100),
            (datetime(2026, 12, 6, 23, 59, 59, 999999, tzinfo=UTC), 100),  # 14 days before
            (datetime(2026, 12, 7, tzinfo=UTC), 50),  # 13
            (datetime(2026, 12, 13, 23, 59, 59, 999999, tzinfo=UTC), 50),  # 7
            (datetime(2026, 12, 14, tzinfo=UTC), 0),  # 6
            (datetime(2026, 12, 20, 12, tzinfo=UTC), 0),
            (datetime(2027, 1, 5, tzinfo=UTC), 0),
        ],
    )
    def test_the_standard_changes_at_14_and_at_7_days(self, now: datetime, percent: int) -> None:
        """The whole fourteenth day before belongs to the full refund, the whole seventh to half."""
        assert percent == promised(STANDARD, PAID, SERVICE, Asker.CUSTOMER, now).percent

    @pytest.mark.parametrize(
        ("zone", "last", "until"),
        [
            ("UTC", (6, 23, 59, 59), datetime(2026, 12, 7, tzinfo=UTC)),
            (TOKYO, (6, 23, 59, 59), datetime(2026, 12, 6, 15, tzinfo=UTC)),
            (AUCKLAND, (6, 23, 59, 59), datetime(2026, 12, 6, 11, tzinfo=UTC)),
            (SANTIAGO, (6, 23, 59, 59), datetime(2026, 12, 7, 3, tzinfo=UTC)),
        ],
    )
    def test_a_day_ends_by_the_shops_clock(
        self, zone: str, last: tuple[int, int, int, int], until: datetime
    ) -> None:
        """The customer's last second is the shop's, wherever the servers are."""
        policy = dated(RefundRule(percent=100, days_before_service=14), timezone=zone)
        in_time = at(zone, 2026, 12, *last)

        before = promised(policy, PAID, SERVICE, Asker.CUSTOMER, in_time)
        after = promised(policy, PAID, SERVICE, Asker.CUSTOMER, in_time + timedelta(seconds=1))

        assert (100, until) == before[:2]
        assert 0 == after.percent

    @pytest.mark.parametrize(
        ("service", "now", "percent"),
        [
            (date(2028, 3, 7), (2028, 2, 29, 12), 50),  # 7 days, over the leap day
            (date(2028, 3, 7), (2028, 2, 22, 12), 100),  # 14
            (date(2028, 3, 7), (2028, 3, 1, 0), 0),  # 6
            (date(2027, 3, 7), (2027, 2, 28, 23), 50),  # 7, in a year without one
            (date(2028, 2, 29), (2028, 2, 15, 23), 100),  # for the leap day itself
            (date(2028, 2, 29), (2028, 2, 16, 0), 50),
            (date(2027, 1, 3), (2026, 12, 20, 12), 100),  # over the new year
        ],
    )
    def test_leap_days_and_new_years_count(
        self, service: date, now: tuple[int, int, int, int], percent: int
    ) -> None:
        """The calendar's own days, as a person counts them."""
        asked = at("UTC", *now)

        assert percent == promised(STANDARD, PAID, service, Asker.CUSTOMER, asked).percent

    @pytest.mark.parametrize(
        ("zone", "service", "changes"),
        [
            (LONDON, date(2027, 4, 4), (2027, 3, 28)),  # a day of 23 hours
            (LONDON, date(2027, 11, 7), (2027, 10, 31)),  # of 25
            (SANTIAGO, date(2027, 9, 12), (2027, 9, 5)),  # one without a midnight
        ],
    )
    def test_days_are_whole_when_clocks_change(
        self, zone: str, service: date, changes: tuple[int, int, int]
    ) -> None:
        """The seventh day before has no hour more or less than the shop's clock has."""
        policy = dated(RefundRule(percent=50, days_before_service=7), timezone=zone)
        start = datetime(*changes, tzinfo=ZoneInfo(zone)).astimezone(UTC)
        end = promised(policy, PAID, service, Asker.CUSTOMER, start).until
        assert end is not None

        last = promised(policy, PAID, service, Asker.CUSTOMER, end - timedelta(microseconds=1))
        over = promised(policy, PAID, service, Asker.CUSTOMER, end)

        assert (50, 0) == (last.percent, over.percent)
        assert end == at(zone, changes[0], changes[1], changes[2]) + DAY


class TestAfterThePayment:
    @pytest.mark.parametrize(
        ("now", "percent"),
        [
            (PAID, 100),
            (datetime(2026, 11, 15, 23, 59, 59, tzinfo=UTC), 100),
            (datetime(2026, 11, 16, tzinfo=UTC), 0),
        ],
    )
    def test_what_is_for_no_day_counts_from_the_payment(self, now: datetime, percent: int) -> None:
        """Fourteen days, however late on its day it was paid."""
        assert percent == promised(STANDARD, PAID, None, Asker.CUSTOMER, now).percent

    def test_the_day_of_the_payment_is_the_shops(self) -> None:
        """Paid at half past midnight in Tokyo is paid today there, and yesterday in London."""
        paid = datetime(2026, 11, 1, 15, 30, tzinfo=UTC)
        rule = RefundRule(percent=100, days_after_payment=0)

        tokyo = promised(undated(rule, timezone=TOKYO), paid, None, Asker.SHOP, paid)
        london = promised(undated(rule, timezone=LONDON), paid, None, Asker.SHOP, paid)

        assert datetime(2026, 11, 2, 15, tzinfo=UTC) == tokyo.until
        assert datetime(2026, 11, 2, 0, tzinfo=UTC) == london.until

    def test_a_clock_that_is_behind_takes_nothing(self) -> None:
        """Asked a moment before it was paid, by another machine's clock: it counts as today."""
        rule = RefundRule(percent=100, days_after_payment=0)
        midnight = datetime(2026, 11, 1, tzinfo=UTC)

        told = promised(undated(rule), midnight, None, Asker.CUSTOMER, midnight - timedelta(0, 1))

        assert (100, "100 % because it was paid today.") == (told.percent, told.why)


class TestRules:
    def test_the_first_that_holds_decides(self) -> None:
        """A day to change one's mind, also shortly before the service; then the usual terms."""
        policy = dated(
            RefundRule(percent=100, days_after_payment=1),
            RefundRule(percent=50, days_before_service=7),
        )
        paid = datetime(2026, 12, 18, 12, tzinfo=UTC)

        soon = promised(policy, paid, SERVICE, Asker.CUSTOMER, paid + DAY)
        later = promised(policy, paid, SERVICE, Asker.CUSTOMER, paid + 2 * DAY)
        early = promised(policy, PAID, SERVICE, Asker.CUSTOMER, PAID + 2 * DAY)

        assert [100, 0, 50] == [soon.percent, later.percent, early.percent]

    def test_both_kinds_of_days_must_hold(self) -> None:
        """A rule with two ends is over at the first of them."""
        policy = dated(RefundRule(percent=80, days_before_service=7, days_after_payment=30))

        told = promised(policy, PAID, SERVICE, Asker.CUSTOMER, PAID + 10 * DAY)

        assert BOTH_HOLD == told
        assert 0 == promised(policy, PAID, SERVICE, Asker.CUSTOMER, PAID + 31 * DAY).percent

    def test_who_asks_may_matter(self) -> None:
        """The shop may give back what its customers could not ask for."""
        policy = undated(
            RefundRule(percent=100, asked_by=(Asker.SHOP,)),
            RefundRule(percent=20, asked_by=(Asker.CUSTOMER,), days_after_payment=3),
        )

        shop = promised(policy, PAID, None, Asker.SHOP, PAID + 400 * DAY)
        customer = promised(policy, PAID, None, Asker.CUSTOMER, PAID)

        assert (100, None, "100 %, at any time.") == shop
        assert 20 == customer.percent

    @pytest.mark.parametrize(
        ("policy", "service", "after", "why"),
        [
            (STANDARD, SERVICE, 39, "50 % because 10 days remain until 2026-12-20."),
            (STANDARD, SERVICE, 43, "Nothing because 6 days remain until 2026-12-20."),
            (STANDARD, SERVICE, 48, "Nothing because 1 day remains until 2026-12-20."),
            (STANDARD, SERVICE, 49, "Nothing because the day, 2026-12-20, is today."),
            (STANDARD, SERVICE, 50, "Nothing because the day, 2026-12-20, is over."),
            (STANDARD, None, 1, "100 % because 1 day has passed since the payment."),
            (STANDARD, None, 15, "Nothing because 15 days have passed since the payment."),
            (LATE_OR_SHOP, SERVICE, 20, "Nothing because 20 days have passed since the payment."),
            (LATE_OR_SHOP, None, 0, "Nothing: this is not refundable."),
            (BOTH, SERVICE, 10, "Nothing because 10 days have passed since the payment."),
            (
                BOTH,
                SERVICE,
                45,
                "Nothing because 4 days remain until 2026-12-20"  # noqa: ISC004 - one sentence
                " and 45 days have passed since the payment.",
            ),
            (undated(), None, 0, "Nothing: this is not refundable."),
            (dated(), SERVICE, 0, "Nothing: this is not refundable."),
        ],
    )
    def test_a_person_is_told_why(
        self, policy: RefundPolicy, service: date | None, after: int, why: str
    ) -> None:
        """Each answer comes with its reason, in days."""
        assert why == promised(policy, PAID, service, Asker.CUSTOMER, PAID + after * DAY).why


BOTH_HOLD = (
    80,
    datetime(2026, 12, 2, tzinfo=UTC),
    "80 % because 39 days remain until 2026-12-20 and 10 days have passed since the payment.",
)

RULES = st.builds(
    RefundRule,
    percent=st.integers(0, 100),
    days_before_service=st.none() | st.integers(0, 30),
    days_after_payment=st.none() | st.integers(0, 30),
)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2029, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds the zone


class TestProperties:
    @given(
        rules=st.lists(RULES, max_size=4),
        zone=st.sampled_from(["UTC", LONDON, TOKYO, AUCKLAND, SANTIAGO]),
        paid=MOMENTS,
        ahead=st.integers(0, 60),
        asked_after=st.integers(0, 60 * 24 * 60),
    )
    def test_it_changes_at_until_and_not_before(
        self, rules: list[RefundRule], zone: str, paid: datetime, ahead: int, asked_after: int
    ) -> None:
        """What is told to hold until a moment holds to its eve, and another rule decides then."""
        policy = dated(*rules, timezone=zone)
        service = paid.date() + ahead * DAY
        now = paid + timedelta(minutes=asked_after)

        told = promised(policy, paid, service, Asker.CUSTOMER, now)

        assert 0 <= told.percent <= 100
        if told.until is None:
            assert told.percent == 0 or any(
                rule.days_before_service is None and rule.days_after_payment is None
                for rule in rules
            )
            return
        assert now < told.until
        eve = promised(
            policy, paid, service, Asker.CUSTOMER, told.until - timedelta(microseconds=1)
        )
        assert (told.percent, told.until) == (eve.percent, eve.until)
        then = promised(policy, paid, service, Asker.CUSTOMER, told.until)
        assert then.until is None or then.until > told.until

    @given(rules=st.lists(RULES, max_size=4))
    def test_terms_survive_being_written_down(self, rules: list[RefundRule]) -> None:
        """What is pinned is read back as it was, under the same id."""
        policy = dated(*rules)

        read = RefundPolicy.model_validate_json(policy.model_dump_json())

        assert (policy, policy.id) == (read, read.id)


class TestId:
    def test_other_terms_under_one_name_are_other_terms(self) -> None:
        """A name that was used again does not change what earlier payments were promised."""
        ours = undated(RefundRule(percent=100))

        assert ours.id != undated(RefundRule(percent=99)).id
        assert ours.id == undated(RefundRule(percent=100)).id

    def test_the_standard_never_changes_under_its_name(self) -> None:
        """Whoever changes the standard gives it another name: payments are known by this one."""
        assert ("standard-1", "rpl_kuwifrnhmfaxktzimkf5usuk4e") == (STANDARD.name, STANDARD.id)


class TestWrong:
    @pytest.mark.parametrize(
        "rule",
        [
            {"percent": 101},
            {"percent": -1},
            {"percent": 12.5},
            {"percent": "50"},
            {"percent": 50, "days_before_service": -1},
            {"percent": 50, "days_after_payment": 1.5},
            {"percent": 50, "asked_by": []},
            {"percent": 50, "asked_by": ["bank"]},
        ],
    )
    def test_a_rule_that_means_nothing_is_refused(self, rule: dict[str, object]) -> None:
        """Percentages and days are whole, and somebody must be able to ask."""
        with pytest.raises(ValidationError):
            RefundPolicy.model_validate({"name": "wrong-1", "with_service_date": [rule]})

    def test_days_before_a_service_need_one(self) -> None:
        """A rule that could never hold is a mistake of whoever wrote it."""
        with pytest.raises(ValidationError, match="no day to count days_before_service to"):
            undated(RefundRule(percent=100, days_before_service=7))
