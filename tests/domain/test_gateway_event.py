"""What events mean for payments: each word's examples, and what holds for all of them."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paysaga.domain import transitions as rules
from paysaga.domain.gateway_event import (
    NUDGES,
    OWN_CALL,
    Duty,
    Flag,
    GatewayEvent,
    contradicts,
    duty,
    duty_without_run,
    foreign,
    waits,
)
from paysaga.domain.payment import WITHOUT_MONEY, PaymentState, PaymentStatus
from paysaga.domain.reasons import Reason
from tests.fakes import NOON, a_payment

S = PaymentStatus
NOW = timedelta()
OPEN = (S.REQUIRES_ACTION, S.AWAITING_RETRY, S.AUTHORIZED)


def state(status: PaymentStatus = S.REQUIRES_ACTION, **facts: Any) -> PaymentState:
    """A payment of 12.50 EUR that stands so."""
    opened = rules.opened(a_payment(), NOON).state
    return opened.model_copy(update={"status": status, "intent_id": "pi_1", **facts})


def event(kind: str = "payment_intent.succeeded", **changes: Any) -> GatewayEvent:
    """An event about the payment's intent."""
    about = {"id": "pi_1", "object": "payment_intent", "amount": 1250, "currency": "eur"}
    about |= {"metadata": {"payment_id": "pay_test"}} | changes.pop("about", {})
    told = {"id": "evt_1", "type": kind, "data": {"object": about}, **changes}
    return GatewayEvent.model_validate_json(json.dumps(told))


def refund(kind: str, status: object, amount: int = 1250) -> GatewayEvent:
    about = {"id": "re_1", "object": "refund", "payment_intent": "pi_1"}
    return event(kind, about=about | {"status": status, "amount": amount})


class TestForeign:
    def test_our_own_mode_and_account(self) -> None:
        """An event of our own account has no `account`; its mode is that of our key."""
        assert foreign(event(livemode=True), livemode=True) is None
        assert foreign(event(), livemode=False) is None

    def test_other_mode(self) -> None:
        """A test event must not move what real money has paid, nor the other way round."""
        assert Flag.OTHER_MODE == foreign(event(livemode=True), livemode=False)

    def test_other_account(self) -> None:
        """What belongs to a connected account is not ours."""
        assert Flag.OTHER_ACCOUNT == foreign(event(account="acct_1"), livemode=False)


class TestContradicts:
    @pytest.mark.parametrize(
        ("about", "flag"),
        [
            ({}, None),
            ({"id": "pi_2"}, Flag.OTHER_INTENT),
            ({"currency": "usd"}, Flag.OTHER_CURRENCY),
            ({"currency": "nonsense"}, Flag.OTHER_CURRENCY),
            ({"amount": 1251}, Flag.OTHER_AMOUNT),
            ({"amount": 1249}, Flag.OTHER_AMOUNT),
            ({"amount": "1250"}, Flag.OTHER_AMOUNT),
            ({"amount": True}, Flag.OTHER_AMOUNT),
            ({"amount": None}, None),
            ({"currency": None}, Flag.OTHER_AMOUNT),
            ({"object": "charge", "id": "ch_1", "payment_intent": None}, None),
            ({"object": "charge", "id": "ch_1", "payment_intent": "pi_2"}, Flag.OTHER_INTENT),
            ({"object": "refund", "id": "re_1", "amount": 1}, None),
            ({"object": "refund", "id": "re_1", "amount": 1251}, Flag.OTHER_AMOUNT),
        ],
    )
    def test_money_and_intent(self, about: dict[str, Any], flag: Flag | None) -> None:
        """An intent and its charge are of the payment's price; refunds may be parts of it."""
        assert flag == contradicts(event(about=about), state())

    def test_an_intent_that_we_do_not_know_yet(self) -> None:
        """The event may be here before the row names the intent."""
        assert contradicts(event(about={"id": "pi_2"}), state(intent_id=None)) is None

    def test_the_other_hold_is_ours(self) -> None:
        """While a hold is renewed, and after: news of either is no stranger's."""
        renewed = state(other_intent_id="pi_2")

        assert contradicts(event(about={"id": "pi_2"}), renewed) is None
        assert Flag.OTHER_INTENT == contradicts(event(about={"id": "pi_3"}), renewed)

    def test_a_parked_payment(self) -> None:
        """Other money is why it is parked: what happens there is its repair's to see."""
        assert contradicts(event(about={"amount": 1}), state(S.NEEDS_OPERATOR)) is None

    def test_an_amount_that_no_currency_has(self) -> None:
        """A fraction of a unit is nobody's money."""
        price = state().money.model_copy(update={"currency": "UGX"})
        told = event(about={"currency": "ugx", "amount": 1251})

        assert Flag.OTHER_AMOUNT == contradicts(told, state(money=price))


class TestDuty:
    @pytest.mark.parametrize("status", OPEN)
    def test_who_waits_is_told(self, status: PaymentStatus) -> None:
        """News for a payment that waits is its run's."""
        assert Duty.RUN == duty(event(), state(status), NOW)

    def test_a_parked_payment_is_its_repairs(self) -> None:
        """The payment's own run is over by then."""
        assert Duty.REPAIR == duty(event(), state(S.NEEDS_OPERATOR), NOW)

    def test_an_own_call_is_waited_for(self) -> None:
        """Its answer tells the same; if it does not come, the event is not forgotten."""
        under_way = state(S.PROCESSING, reason=Reason.STARTED)

        assert Duty.LATER == duty(event(), under_way, NOW)
        assert Duty.RUN == duty(event(), under_way, OWN_CALL)

    def test_money_on_its_way_is_waited_for(self) -> None:
        """A bank debit is told by the webhook alone."""
        at_bank = state(S.PROCESSING, reason=Reason.GATEWAY_PROCESSING)

        assert Duty.RUN == duty(event(), at_bank, NOW)
        assert Duty.NOBODY == duty(event("payment_intent.processing"), at_bank, NOW)

    def test_a_refund_under_way_is_the_runs(self) -> None:
        """The run waits until the money is back."""
        paid = state(S.SUCCEEDED, amount_captured=1250, amount_refund_pending=1250)

        assert Duty.RUN == duty(refund("refund.updated", "succeeded"), paid, NOW)

    @pytest.mark.parametrize(
        ("kind", "about", "known"),
        [
            ("payment_intent.requires_action", {}, state(S.REQUIRES_ACTION)),
            (
                "payment_intent.payment_failed",
                {"latest_charge": "ch_1"},
                state(S.AWAITING_RETRY, charge_id="ch_1"),
            ),
        ],
    )
    def test_what_the_call_has_told_is_no_news(
        self, kind: str, about: dict[str, Any], known: PaymentState
    ) -> None:
        """A look would show what the row says already."""
        assert Duty.NOBODY == duty(event(kind, about=about), known, NOW)

    @pytest.mark.parametrize("charge", [None, "ch_2", 17])
    def test_another_attempts_failure_is_news(self, charge: object) -> None:
        """A failed 3DS has no charge, and another charge is another attempt."""
        failed = event("payment_intent.payment_failed", about={"latest_charge": charge})

        assert Duty.RUN == duty(failed, state(S.AWAITING_RETRY, charge_id="ch_1"), NOW)

    def test_a_decline_on_an_open_page_is_no_news(self) -> None:
        """The customer takes another card there; a debit that bounces later is told of."""
        failed = event("payment_intent.payment_failed", about={"latest_charge": "ch_2"})
        on_its_way = {"is_hosted": True, "reason": Reason.GATEWAY_PROCESSING}

        assert Duty.NOBODY == duty(failed, state(is_hosted=True), NOW)
        assert Duty.RUN == duty(failed, state(S.PROCESSING, **on_its_way), NOW)

    @pytest.mark.parametrize("status", sorted(WITHOUT_MONEY))
    @pytest.mark.parametrize(
        "kind", ["payment_intent.succeeded", "payment_intent.amount_capturable_updated"]
    )
    def test_money_after_the_end_is_looked_into(self, status: PaymentStatus, kind: str) -> None:
        """The payment ended without money, and yet some moves."""
        assert Duty.REPAIR == duty(event(kind), state(status), NOW)

    def test_money_that_a_repair_gave_back_is_known(self) -> None:
        """It was refunded by an operator, and the payment canceled."""
        given_back = state(S.CANCELED, reason=Reason.REFUNDED)

        assert Duty.NOBODY == duty(event(), given_back, NOW)

    def test_a_paid_payment_whose_intent_is_canceled(self) -> None:
        """Somebody said that it was paid, and the gateway says the contrary."""
        canceled = event("payment_intent.canceled")

        assert Duty.REPAIR == duty(canceled, state(S.SUCCEEDED), NOW)
        assert Duty.NOBODY == duty(canceled, state(S.EXPIRED), NOW)

    def test_the_hold_beside_a_paid_payment(self) -> None:
        """Captured it is money taken twice; canceled it is what was wanted."""
        about = {"id": "pi_2"}
        captured, canceled = (
            event(f"payment_intent.{word}", about=about) for word in ("succeeded", "canceled")
        )
        open_, closed = (
            state(S.SUCCEEDED, amount_captured=1250, other_intent_id="pi_2", other_intent_open=it)
            for it in (True, False)
        )

        assert [Duty.REPAIR, Duty.NOBODY] == [duty(captured, it, NOW) for it in (open_, closed)]
        assert Duty.NOBODY == duty(canceled, open_, NOW)

    @pytest.mark.parametrize(
        ("told", "known", "whose"),
        [(1250, 1250, Duty.NOBODY), (1250, 0, Duty.REPAIR), ("?", 1250, Duty.REPAIR)],
    )
    def test_a_refund_by_hand(self, told: object, known: int, whose: Duty) -> None:
        """What was given back in the dashboard, the row does not know."""
        about = {"object": "charge", "id": "ch_1", "amount_refunded": told}
        paid = state(S.SUCCEEDED, amount_captured=1250, amount_refunded=known)

        assert whose == duty(event("charge.refunded", about=about), paid, NOW)

    @pytest.mark.parametrize(
        ("kind", "status", "whose"),
        [
            ("refund.failed", "pending", Duty.REPAIR),
            ("refund.updated", "failed", Duty.REPAIR),
            ("charge.refund.updated", "canceled", Duty.REPAIR),
            ("refund.updated", "succeeded", Duty.NOBODY),
            ("refund.updated", ["failed"], Duty.NOBODY),
        ],
    )
    def test_a_lost_refund_is_never_left_alone(
        self, kind: str, status: object, whose: Duty
    ) -> None:
        """Money that does not arrive is looked into, days after the payment's end."""
        paid = state(S.SUCCEEDED, amount_captured=1250, amount_refunded=1250)

        assert whose == duty(refund(kind, status), paid, NOW)


class TestWithoutRun:
    @pytest.mark.parametrize(
        ("left", "whose"),
        [
            (state(S.REQUIRES_ACTION), Duty.REPAIR),
            (state(S.PROCESSING), Duty.REPAIR),
            (state(S.NEEDS_OPERATOR), Duty.REPAIR),
            (state(S.SUCCEEDED, amount_captured=1250, amount_refund_pending=1), Duty.REPAIR),
            (state(S.SUCCEEDED, amount_captured=1250), Duty.NOBODY),
            (state(S.FAILED), Duty.REPAIR),
        ],
    )
    def test_what_is_not_settled_is_repaired(self, left: PaymentState, whose: Duty) -> None:
        """If the run was terminated, nobody but a repair will ever look."""
        assert whose == duty_without_run(event(), left)


TEXTS = st.text("aA1_-.\x00ü", max_size=5)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
FIELDS = ("id", "object", "status", "amount", "amount_refunded", "currency", "latest_charge")
objects = st.dictionaries(
    st.sampled_from([*FIELDS, "payment_intent", "charge", "metadata"]), json_values
)
states = st.builds(
    state,
    st.sampled_from(PaymentStatus),
    reason=st.sampled_from(Reason),
    amount_refund_pending=st.sampled_from([0, 1250]),
    charge_id=st.sampled_from([None, "ch_1"]),
)


class TestEverything:
    @given(about=objects, kind=st.sampled_from(sorted(NUDGES)), payment=states)
    def test_no_object_breaks_it(
        self, about: dict[str, Any], kind: str, payment: PaymentState
    ) -> None:
        """Whatever an object looks like, there is an answer."""
        told = {"id": "evt_1", "type": kind, "data": {"object": about}}
        read = GatewayEvent.model_validate_json(json.dumps(told))

        assert contradicts(read, payment) in {None, *Flag}
        assert duty(read, payment, NOW) in Duty
        assert all(isinstance(name, str) for name in read.about.ids)
        assert read.about.mark("payment_id") is None or read.about.metadata

    @given(payment=states, kind=st.sampled_from(sorted(NUDGES)))
    def test_later_ends(self, payment: PaymentState, kind: str) -> None:
        """An event of some age is never put off again, so none is put off for ever."""
        assert Duty.LATER != duty(event(kind), payment, OWN_CALL)

    @given(payment=states)
    def test_a_success_is_never_lost_on_a_payment_that_waits(self, payment: PaymentState) -> None:
        """Whoever waits for money hears of it."""
        whose = duty(event(), payment, OWN_CALL)

        assert not waits(payment) or whose in {Duty.RUN, Duty.REPAIR}
