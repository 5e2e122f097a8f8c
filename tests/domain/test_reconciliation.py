"""Whose word counts when database, gateway and workflow do not say the same."""

from datetime import timedelta
from typing import Any

import pytest

from paysaga.domain.intent import Intent, IntentStatus
from paysaga.domain.money import Money
from paysaga.domain.payment import PaymentStatus
from paysaga.domain.reconciliation import (
    HEARD_AFTER,
    MISSING,
    NO_RUN,
    AtGateway,
    Drift,
    DriftKind,
    Facts,
    InDatabase,
    InWorkflow,
    Remedy,
    Side,
    compared,
    not_compared,
)
from paysaga.domain.strangers import unknown_money
from tests.database.payments import NOON, payment, succeeded

K = DriftKind
PAID = Facts(
    status="succeeded", amount=1250, currency="EUR", gateway_id="pi_1", captured=1250, refunded=0
)
CANCELED = PAID.model_copy(update={"status": "canceled", "captured": 0})
WAITING = CANCELED.model_copy(update={"status": "requires_action"})
PARKED = CANCELED.model_copy(update={"status": "needs_operator"})


def books(
    facts: Facts = PAID, *, was_parked: bool = False, is_unsettled: bool = False, **tampered: Any
) -> InDatabase:
    """What the database says; `tampered` is in the row alone."""
    return InDatabase(
        payment_id="pay_1",
        row=facts.model_copy(update=tampered),
        history=facts,
        ledger_captured=facts.captured,
        ledger_refunded=facts.refunded,
        was_parked=was_parked,
        is_unsettled=is_unsettled,
    )


def shown(
    status: IntentStatus = IntentStatus.SUCCEEDED,
    *,
    amount: int = 1250,
    currency: str = "EUR",
    owner: str | None = "pay_1",
    refunded: int = 0,
    ago: timedelta = timedelta(hours=1),
) -> AtGateway:
    """What the gateway says."""
    paid = status is IntentStatus.SUCCEEDED
    intent = Intent(
        id="pi_1",
        status=status,
        money=Money(minor=amount, currency=currency),
        received=amount if paid else 0,
        payment_id=owner,
    )
    decided = status in {IntentStatus.SUCCEEDED, IntentStatus.CANCELED}
    return AtGateway(
        payment_id="pay_1",
        intent=intent,
        refunded=refunded,
        decided_at=NOON - ago if decided else None,
    )


def ended(result: Facts | None = PAID) -> InWorkflow:
    return InWorkflow(payment_id="pay_1", is_known=True, result=result)


OPEN = InWorkflow(payment_id="pay_1", is_known=True, is_open=True)
FORGOTTEN = InWorkflow(payment_id="pay_1")


def told(
    kept: InDatabase, gateway: AtGateway, run: InWorkflow
) -> list[tuple[DriftKind, Side, Remedy]]:
    found = compared(kept, gateway, run, NOON)
    return [(drift.kind, drift.wrong, drift.remedy) for drift in found]


class TestAgreement:
    @pytest.mark.parametrize(
        ("facts", "status"),
        [(PAID, IntentStatus.SUCCEEDED), (CANCELED, IntentStatus.CANCELED)],
    )
    def test_all_say_the_same(self, facts: Facts, status: IntentStatus) -> None:
        """Each side says it in its own words."""
        assert [] == told(books(facts), shown(status), ended(facts))

    @pytest.mark.parametrize("status", ["failed", "expired"])
    def test_every_end_without_money_is_a_cancel_at_the_gateway(self, status: str) -> None:
        """The gateway does not know why a payment came to nothing."""
        facts = CANCELED.model_copy(update={"status": status})

        assert [] == told(books(facts), shown(IntentStatus.CANCELED), ended(facts))

    @pytest.mark.parametrize("status", ["failed", "expired", "canceled"])
    def test_a_closed_pages_intent_is_never_canceled_by_itself(self, status: str) -> None:
        """Nobody can pay on a page that is over: its bounced debit stays as it is."""
        facts = CANCELED.model_copy(update={"status": status})
        gateway = shown(IntentStatus.REQUIRES_PAYMENT_METHOD)
        hosted = books(facts).model_copy(update={"is_hosted": True})

        assert [] == told(hosted, gateway, ended(facts))
        assert [(K.STATUS, Side.GATEWAY, Remedy.REPAIR_OPENED)] == told(
            books(facts), gateway, ended(facts)
        )

    def test_a_paid_page_whose_intent_is_open_does_not_agree(self) -> None:
        """We have booked money, and the gateway shows none."""
        hosted = books(PAID).model_copy(update={"is_hosted": True})

        assert (K.STATUS, Side.GATEWAY, Remedy.REPAIR_OPENED) in told(
            hosted, shown(IntentStatus.REQUIRES_PAYMENT_METHOD), ended(PAID)
        )

    def test_facts_are_the_states_own(self) -> None:
        """What is compared is what the payment's state says."""
        state = succeeded(payment())[-1].state

        facts = Facts.of(state)

        assert ("succeeded", 1250, "EUR", state.intent_id, 1250, 0) == tuple(
            facts.model_dump().values()
        )

    def test_what_never_came_to_the_gateway_is_not_looked_for(self) -> None:
        """An order that was refused before has no intent."""
        facts = CANCELED.model_copy(update={"gateway_id": None})

        assert [] == told(books(facts), AtGateway(payment_id="pay_1"), ended(facts))

    def test_a_forgotten_run_is_not_missed(self) -> None:
        """Past the retention two sides are compared."""
        assert [] == told(books(), shown(), FORGOTTEN)
        assert [(K.REFUNDED, Side.GATEWAY, Remedy.REPAIR_OPENED)] == told(
            books(), shown(refunded=100), FORGOTTEN
        )

    def test_a_run_that_still_tells_the_shop(self) -> None:
        """It is paid and not told yet, or money is still to go back: the run is at it."""
        assert [] == told(books(is_unsettled=True), shown(), OPEN)

    @pytest.mark.parametrize("status", ["canceled", "expired", "failed"])
    def test_late_money_that_went_back(self, status: str) -> None:
        """It came after the end and was given back: as if it had never been there."""
        facts = CANCELED.model_copy(update={"status": status})

        assert [] == told(books(facts), shown(refunded=1250), ended(facts))


class TestDatabaseIsWrong:
    @pytest.mark.parametrize(
        ("tampered", "kind"),
        [
            ({"status": "canceled"}, K.STATUS),
            ({"amount": 1}, K.AMOUNT),
            ({"currency": "XXX"}, K.CURRENCY),
            ({"gateway_id": "pi_2"}, K.GATEWAY_ID),
            ({"gateway_id": None}, K.GATEWAY_ID),
            ({"captured": 1}, K.CAPTURED),
            ({"refunded": 1}, K.REFUNDED),
        ],
    )
    @pytest.mark.parametrize("run", [ended(), FORGOTTEN])
    def test_a_row_that_was_tampered_with(
        self, run: InWorkflow, tampered: dict[str, Any], kind: DriftKind
    ) -> None:
        """It disagrees with its own history. No repair begins with such a row."""
        assert [(kind, Side.DATABASE, Remedy.NONE)] == told(books(**tampered), shown(), run)

    def test_even_if_the_gateway_is_on_its_side(self) -> None:
        """A row never changes without a line in its history, whoever else says the same."""
        kept = books(CANCELED, status="succeeded")

        (drift,) = (d for d in compared(kept, shown(), FORGOTTEN, NOON) if d.kind is K.STATUS)

        assert (Side.DATABASE, "succeeded", "succeeded", "canceled") == (
            drift.wrong,
            drift.in_database,
            drift.at_gateway,
            drift.in_history,
        )

    def test_a_ledger_that_says_something_else(self) -> None:
        """The amounts of a payment are those that its transfers add up to."""
        kept = books().model_copy(update={"ledger_captured": 0})

        (drift,) = compared(kept, shown(), ended(), NOON)

        assert (K.CAPTURED, Side.DATABASE, "0") == (drift.kind, drift.wrong, drift.in_ledger)

    def test_both_others_say_the_same(self) -> None:
        """A database that was put back to an old copy is one against two."""
        refunded = PAID.model_copy(update={"refunded": 1250})

        assert [(K.REFUNDED, Side.DATABASE, Remedy.NONE)] == told(
            books(), shown(refunded=1250), ended(refunded)
        )

    def test_lost_webhook(self) -> None:
        """The gateway has the money since an hour and the run still waits: it is nudged."""
        assert [(K.STATUS, Side.DATABASE, Remedy.NUDGED)] == told(books(WAITING), shown(), OPEN)

    def test_the_run_is_gone_and_so_is_the_wait(self) -> None:
        """Nobody is there to hear of the money: a repair takes the payment over."""
        drifts = told(books(WAITING), shown(), ended(None))

        assert [(K.STATUS, Side.DATABASE, Remedy.REPAIR_OPENED)] == drifts


class TestGatewayIsWrong:
    def test_refund_behind_our_back(self) -> None:
        """Somebody has refunded at the gateway: a repair writes it into the books."""
        assert [(K.REFUNDED, Side.GATEWAY, Remedy.REPAIR_OPENED)] == told(
            books(), shown(refunded=1250), ended()
        )

    def test_refund_that_came_back(self) -> None:
        """Money that had gone back is with us again: a repair parks the payment."""
        refunded = PAID.model_copy(update={"refunded": 1250})

        assert [(K.REFUNDED, Side.GATEWAY, Remedy.REPAIR_OPENED)] == told(
            books(refunded), shown(refunded=0), ended(refunded)
        )

    @pytest.mark.parametrize(
        ("gateway", "kinds"),
        [
            (shown(amount=1), [K.AMOUNT, K.CAPTURED]),
            (shown(currency="USD"), [K.CURRENCY]),
            (shown(IntentStatus.CANCELED), [K.STATUS, K.CAPTURED]),
            (shown(IntentStatus.REQUIRES_PAYMENT_METHOD), [K.STATUS, K.CAPTURED]),
        ],
    )
    def test_the_money_is_not_what_was_taken(
        self, gateway: AtGateway, kinds: list[DriftKind]
    ) -> None:
        """A repair looks at it and parks the payment."""
        assert [(kind, Side.GATEWAY, Remedy.REPAIR_OPENED) for kind in kinds] == told(
            books(), gateway, ended()
        )

    def test_money_of_a_canceled_payment(self) -> None:
        """The intent was to be canceled for good, and has taken money."""
        assert [
            (K.STATUS, Side.GATEWAY, Remedy.REPAIR_OPENED),
            (K.CAPTURED, Side.GATEWAY, Remedy.REPAIR_OPENED),
        ] == told(books(CANCELED), shown(), ended(CANCELED))

    def test_intent_is_gone(self) -> None:
        """The gateway does not know the intent any more: no repair could look at it."""
        gateway = AtGateway(payment_id="pay_1", is_missing=True)

        (drift,) = compared(books(), gateway, ended(), NOON)

        assert (K.GATEWAY_ID, Side.GATEWAY, MISSING, Remedy.NONE) == (
            drift.kind,
            drift.wrong,
            drift.at_gateway,
            drift.remedy,
        )

    def test_intent_is_of_another_payment(self) -> None:
        """An intent says whose it is."""
        (drift,) = compared(books(), shown(owner="pay_2"), ended(), NOON)

        assert (K.GATEWAY_ID, "pi_1 of pay_2") == (drift.kind, drift.at_gateway)

    @pytest.mark.parametrize("run", [OPEN, ended(None)])
    @pytest.mark.parametrize(
        ("gateway", "kind"),
        [
            (shown(IntentStatus.REQUIRES_ACTION, amount=1), K.AMOUNT),
            (shown(IntentStatus.REQUIRES_ACTION, currency="USD"), K.CURRENCY),
            (shown(IntentStatus.REQUIRES_ACTION, owner="pay_2"), K.GATEWAY_ID),
        ],
    )
    def test_payment_that_is_not_over(
        self, run: InWorkflow, gateway: AtGateway, kind: DriftKind
    ) -> None:
        """A lost webhook explains another status, never other money or another intent."""
        drifts = told(books(WAITING), gateway, run)

        assert (kind, Side.GATEWAY, Remedy.NONE) in drifts

    def test_run_that_is_open_mends_it(self) -> None:
        """A paid payment whose run still talks to the shop is not given to a repair."""
        assert [
            (K.AMOUNT, Side.GATEWAY, Remedy.NONE),
            (K.CAPTURED, Side.GATEWAY, Remedy.NONE),
        ] == told(books(), shown(amount=1), OPEN)


class TestWorkflowIsWrong:
    def test_result_says_something_else(self) -> None:
        """Database and gateway are two against one."""
        other = PAID.model_copy(update={"captured": 1})

        assert [(K.CAPTURED, Side.WORKFLOW, Remedy.NONE)] == told(books(), shown(), ended(other))

    @pytest.mark.parametrize("run", [ended(None), FORGOTTEN])
    def test_payment_that_is_not_over_has_no_run(self, run: InWorkflow) -> None:
        """Nobody would ever end it: a repair takes it over."""
        gateway = shown(IntentStatus.REQUIRES_ACTION)

        (drift,) = compared(books(WAITING), gateway, run, NOON)

        assert (Side.WORKFLOW, NO_RUN, Remedy.REPAIR_OPENED) == (
            drift.wrong,
            drift.in_workflow,
            drift.remedy,
        )

    @pytest.mark.parametrize("run", [ended(), FORGOTTEN])
    def test_payment_whose_end_has_no_run(self, run: InWorkflow) -> None:
        """It is paid and the shop was never told, or money is owed: a repair does it."""
        (drift,) = compared(books(is_unsettled=True), shown(), run, NOON)

        assert (K.STATUS, Side.WORKFLOW, NO_RUN, Remedy.REPAIR_OPENED) == (
            drift.kind,
            drift.wrong,
            drift.in_workflow,
            drift.remedy,
        )

    def test_three_words_are_no_majority(self) -> None:
        """If each side says something else, a person must look."""
        other = PAID.model_copy(update={"refunded": 7})

        assert [(K.REFUNDED, Side.UNCLEAR, Remedy.NONE)] == told(
            books(), shown(refunded=9), ended(other)
        )


class TestNotYet:
    @pytest.mark.parametrize("status", IntentStatus)
    def test_open_run_may_not_have_heard(self, status: IntentStatus) -> None:
        """What has just happened at the gateway is on its way to the run."""
        assert [] == told(books(WAITING), shown(status, ago=HEARD_AFTER / 2), OPEN)

    def test_refund_of_an_open_run_is_under_way(self) -> None:
        """The run gives the money back, and writes it down afterwards."""
        assert [] == told(books(), shown(refunded=1250), OPEN)

    @pytest.mark.parametrize("run", [ended(), OPEN, FORGOTTEN])
    def test_parked_payment_waits_for_a_person(self, run: InWorkflow) -> None:
        """That something is wrong with it is known already."""
        assert [] == told(books(PARKED, was_parked=True), shown(amount=7), run)

    def test_parked_payment_still_agrees_with_its_own_history(self) -> None:
        """Nobody may tamper with what waits for a person."""
        kept = books(PARKED, was_parked=True, amount=1)

        assert [(K.AMOUNT, Side.DATABASE, Remedy.NONE)] == told(kept, shown(), OPEN)


class TestByHand:
    def test_marked_without_the_gateway(self) -> None:
        """A person had other evidence than the gateway's, which shows nothing."""
        gateway = AtGateway(payment_id="pay_1", is_missing=True)

        assert [] == told(books(was_parked=True), gateway, ended())

    def test_wrong_money_that_was_given_back(self) -> None:
        """Money that should not have moved was refunded by a repair: as if it had never moved."""
        kept = books(CANCELED, was_parked=True)

        assert [] == told(kept, shown(amount=1250, refunded=1250), ended(CANCELED))

    @pytest.mark.parametrize(
        "gateway",
        [shown(amount=2500, refunded=2500), shown(IntentStatus.CANCELED, amount=2500)],
    )
    def test_wrong_amount_that_a_person_has_settled(self, gateway: AtGateway) -> None:
        """Refunded or canceled: it holds nothing, and is no news every night."""
        assert [] == told(books(CANCELED, was_parked=True), gateway, ended(CANCELED))
        assert K.AMOUNT in [kind for kind, _, _ in told(books(CANCELED), gateway, ended(CANCELED))]

    def test_wrong_money_that_was_not_given_back(self) -> None:
        """Of a payment that has ended without money none may be left at the gateway."""
        kept = books(CANCELED, was_parked=True)

        kinds = [kind for kind, _, _ in told(kept, shown(refunded=1000), ended(CANCELED))]

        assert [K.STATUS, K.CAPTURED, K.REFUNDED] == kinds


class TestOthers:
    def test_trouble_is_not_agreement(self) -> None:
        """Whom the gateway was not asked about is never told as fine."""
        gateway = AtGateway(payment_id="pay_1", trouble="no answer")

        assert (not_compared("pay_1", "no answer"),) == compared(books(), gateway, ended(), NOON)

    @pytest.mark.parametrize(
        ("run", "wrong"),
        [(None, Side.GATEWAY), (FORGOTTEN, Side.GATEWAY), (ended(), Side.DATABASE)],
    )
    def test_money_that_no_row_has(self, run: InWorkflow | None, wrong: Side) -> None:
        """Only the gateway knows it; if a run does, too, our row was lost."""
        drift = unknown_money("pi_9", "ch_9: 12.50 EUR", run)

        assert (
            Drift(subject="pi_9", kind=K.UNKNOWN_MONEY, wrong=wrong, at_gateway="ch_9: 12.50 EUR")
            == drift
        )


def test_every_status_is_a_word_that_is_known() -> None:
    """The facts hold plain words, so that a wrong one is found instead of refused."""
    assert {PAID.status, CANCELED.status, WAITING.status, PARKED.status} <= set(PaymentStatus)
