"""What operators read of a payment in Temporal's UI."""

from datetime import timedelta

import pytest

from paysaga.domain import transitions as rules
from paysaga.domain.declines import decline_for
from paysaga.domain.intent import Intent, IntentStatus
from paysaga.domain.payment import Attempt, Fulfillment, PaymentState, PaymentStatus
from paysaga.domain.reasons import Reason
from tests.fakes import NOON, PRICE, a_payment, begun_by, told
from workflows import addresses
from workflows.payment_details import details, next_step, search_attributes

S = PaymentStatus


def begun() -> tuple[PaymentState, Attempt]:
    payment = a_payment(has_order_service=True)
    change, attempt = begun_by(
        rules.attempted(
            rules.opened(payment, NOON).state, payment.method, NOON, actor=payment.actor
        )
    )
    return change.state, attempt


def seen(status: IntentStatus) -> tuple[PaymentState, Attempt]:
    state, attempt = begun()
    is_lost = status is IntentStatus.REQUIRES_PAYMENT_METHOD
    intent = Intent(
        id="pi_1",
        status=status,
        money=PRICE,
        received=PRICE.minor,
        charge_id="ch_1",
        decline=decline_for("insufficient_funds") if is_lost else None,
    )
    changes, attempt = told(
        rules.observed(state, intent, attempt, NOON, timedelta(minutes=15)), attempt
    )
    return changes[-1].state, attempt


class TestHold:
    @pytest.mark.parametrize(
        ("changes", "is_renewed"),
        [
            ({}, False),
            ({"renew_hold_until": NOON + timedelta(days=30)}, True),
            ({"renew_hold_until": NOON + timedelta(days=6)}, False),
            ({"renew_hold_until": NOON + timedelta(days=30), "renewal_failed": True}, False),
        ],
    )
    def test_what_becomes_of_it(self, *, changes: dict[str, object], is_renewed: bool) -> None:
        """It is let go at its end, or replaced before."""
        state, _ = begun()
        held: dict[str, object] = {"status": S.AUTHORIZED, "reason": Reason.AUTHORIZED}
        held |= {"capture_until": NOON + timedelta(days=7), **changes}

        told = next_step(state.model_copy(update=held))

        assert is_renewed is ("another one takes its place" in told)
        assert is_renewed is not ("then the hold is let go" in told)


class TestAskedFor:
    def test_a_request_that_waits_is_told(self) -> None:
        """A cancel was accepted while the gateway does not answer: nobody asks twice."""
        state, attempt = begun()

        assert "- asked for, and not done yet: cancel, by customer:cst_1" in details(
            state, attempt, "cancel, by customer:cst_1"
        )

    def test_what_is_over_waits_for_nothing(self) -> None:
        """It was done, or has lost to the money."""
        state, attempt = seen(IntentStatus.SUCCEEDED)

        assert "asked for" not in details(state, attempt, "cancel, by customer:cst_1")


class TestDetails:
    def test_start_tells_order_price_and_time(self) -> None:
        """Whose order, for how much, which attempt, until when: without opening anything else."""
        state, attempt = begun()

        text = details(state, attempt)

        for line in (
            "### processing: started",
            "- order `order-1`, 12.50 EUR, customer `cst_1`",
            "- attempts 1 of 3",
            "- hold until 2026-11-22 12:00:00 UTC",
            "- attempt 1: started",
        ):
            assert line in text.splitlines()
        assert "gateway:" not in text

    def test_before_the_first_attempt_there_is_none(self) -> None:
        """Nothing is told that is not there yet."""
        text = details(rules.opened(a_payment(), NOON).state, None)

        assert "- attempt 1" not in text

    def test_decline_is_named_with_its_charge(self) -> None:
        """Support finds the charge at the gateway, and hears why it was declined."""
        text = details(*seen(IntentStatus.REQUIRES_PAYMENT_METHOD))

        assert "- attempt 1: declined, insufficient_funds" in text
        assert "- gateway: `pi_1`, charge `ch_1`" in text

    def test_intent_without_a_charge_is_named_alone(self) -> None:
        """Before a charge there is the intent."""
        state, attempt = begun()

        text = details(state.model_copy(update={"intent_id": "pi_1"}), attempt)

        assert "- gateway: `pi_1`\n" in f"{text}\n"

    def test_authentication_has_its_deadline(self) -> None:
        """Operators see how long the customer still has."""
        text = details(*seen(IntentStatus.REQUIRES_ACTION))

        assert "- 3-D Secure until 2026-11-21 12:15:00 UTC" in text

    def test_money_is_told_when_there_is_some(self) -> None:
        """What was taken and what goes back."""
        state, attempt = seen(IntentStatus.SUCCEEDED)
        (owed,) = rules.owed_back(state, Reason.ORDER_REFUSED, NOON)

        text = details(owed.state, attempt)

        assert "- captured 1250, refunded 0, to be refunded 1250 (minor units)" in text

    @pytest.mark.parametrize("status", PaymentStatus)
    @pytest.mark.parametrize("reason", Reason)
    def test_every_state_says_what_comes_next(self, status: PaymentStatus, reason: Reason) -> None:
        """No operator is left to guess: there is a next step, or the word that there is none."""
        state = begun()[0].model_copy(update={"status": status, "reason": reason})

        following = details(state, None).splitlines()[2]

        assert following.startswith("**Next:** ")
        assert len(following) > len("**Next:** ....")

    def test_paid_order_is_about_to_be_confirmed(self) -> None:
        """Paid is not the end while the shop has not been told."""
        text = details(*seen(IntentStatus.SUCCEEDED))

        assert "**Next:** The order service is told" in text

    @pytest.mark.parametrize(
        ("refunded", "told"),
        [(0, "the money goes back"), (1250, "the customer has the money back")],
    )
    def test_refused_order_tells_where_the_money_is(self, refunded: int, told: str) -> None:
        """It goes back, or it is back."""
        state, attempt = seen(IntentStatus.SUCCEEDED)
        state = state.model_copy(
            update={"fulfillment": Fulfillment.REFUSED, "amount_refunded": refunded}
        )

        assert told in details(state, attempt).splitlines()[2]

    @pytest.mark.parametrize("reason", [Reason.RUN_CANCELED, Reason.REFUNDED])
    def test_given_back_without_an_order_service_is_told(self, reason: Reason) -> None:
        """The run was canceled after the payment: nobody may read that the money is there."""
        state, attempt = seen(IntentStatus.SUCCEEDED)
        state = state.model_copy(
            update={"fulfillment": None, "reason": reason, "amount_refunded": 1250}
        )

        assert "the money is there" not in details(state, attempt)


class TestSearchAttributes:
    def test_waits_have_their_deadline(self) -> None:
        """Operators list what waits, and until when."""
        action = search_attributes(seen(IntentStatus.REQUIRES_ACTION)[0])
        retry = search_attributes(seen(IntentStatus.REQUIRES_PAYMENT_METHOD)[0])

        assert addresses.NEXT_ACTION_AT.value_set(NOON + timedelta(minutes=15)) in action
        assert addresses.NEXT_ACTION_AT.value_set(NOON + timedelta(hours=24)) in retry

    def test_end_takes_the_deadline_away(self) -> None:
        """What is over waits for nothing."""
        shown = search_attributes(seen(IntentStatus.SUCCEEDED)[0])

        assert [
            addresses.PAYMENT_STATUS.value_set("succeeded"),
            addresses.REASON.value_set("paid"),
            addresses.GATEWAY_ID.value_set("pi_1"),
            addresses.NEXT_ACTION_AT.value_unset(),
        ] == shown

    def test_before_the_intent_there_is_no_gateway_id(self) -> None:
        """A payment that never had an intent has none to search for."""
        shown = search_attributes(begun()[0])

        assert addresses.GATEWAY_ID.value_unset() in shown

    def test_list_fits_every_server(self) -> None:
        """SQL visibility takes ten keywords and three of each other type."""
        kinds = [key.indexed_value_type.name for key in addresses.SEARCH_ATTRIBUTES]

        assert kinds.count("KEYWORD") <= 10
        assert all(kinds.count(kind) <= 3 for kind in set(kinds) - {"KEYWORD"})
