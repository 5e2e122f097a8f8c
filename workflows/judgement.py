"""A payment held against the gateway: what is proved counts, what does not fit parks."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.stripe_words import Refunds
    from paysaga.domain import repairs as decisions
    from paysaga.domain import transitions as rules
    from paysaga.domain.checkout import shown_page
    from paysaga.domain.intent import Intent, IntentStatus
    from paysaga.domain.money import Money
    from paysaga.domain.payment import WITHOUT_MONEY, PaymentStatus
    from paysaga.domain.reasons import Reason
    from paysaga.domain.repairs import Said
    from paysaga.domain.steps import WORKFLOW
    from paysaga.domain.transitions import shown

from workflows import policies
from workflows.collection import Collection, Refused
from workflows.evidence import Evidence
from workflows.record import OrderTaken, Record, call_an_operator
from workflows.renewal import BothCaptured
from workflows.settlement import Settlement


class Judgement(Evidence):
    """One payment compared with the gateway. What is proved counts; what does not fit parks."""

    def __init__(
        self,
        record: Record,
        collection: Collection,
        settlement: Settlement,
        evidence: str | None = None,
    ) -> None:
        """`evidence` is what was found when the payment was parked."""
        super().__init__(record, collection)
        self._evidence = evidence
        self._settlement = settlement

    async def look(self, *, asked: bool = False) -> None:
        """What the gateway shows counts, if it fits; what does not fit parks.

        Money that came after the payment's end is a person's to accept, who must have `asked`.
        """
        await self.let_go_of_the_other()
        before = self._state
        if before.is_hosted and before.intent_id is None:
            found = await self._look_at_page(asked=asked)
        else:
            found = await self._look_at_intent(asked=asked)
        if found is not None and self._state.status is PaymentStatus.NEEDS_OPERATOR:
            await self._tell(found, is_told=self._state != before)

    async def _look_at_intent(self, *, asked: bool) -> str | None:
        intent = await self.intent()
        if intent is not None:
            await self.judge(intent, asked=asked)
            return shown(intent)
        if not self._state.is_over:
            await self.park(Reason.RUN_LOST, "the payment's run is gone and has no intent")
        return None

    async def _look_at_page(self, *, asked: bool) -> str | None:
        """The gateway's page knows what became of it; the intent is made when somebody pays."""
        page = await self.page()
        if page is None:
            if not self._state.is_over:
                await self.park(Reason.RUN_LOST, "the payment's run is gone and has no page")
            return None
        if self._state.status in WITHOUT_MONEY:
            page = await self._pages.close_of(self._state, page)
        if page.outcome is not None and not page.is_without_money:
            await self.judge(page.outcome, asked=asked)
        elif self._state.amount_captured:
            await self.park(Reason.GATEWAY_MISMATCH, shown_page(page))
        elif page.is_without_money:
            await self._canceled_at_gateway(page.outcome)
        else:
            await self.park(Reason.RUN_LOST, f"the payment's run is gone; {shown_page(page)}")
        return shown_page(page)

    async def _tell(self, found: str, *, is_told: bool) -> None:
        """A parked payment stays parked, and who decides must know what the gateway shows now."""
        if not is_told and self._evidence is not None and found not in self._evidence:
            await self._record.move(
                lambda state, _: decisions.told(state, state.reason, workflow.now(), found)
            )
        self._evidence = found

    async def cannot_tell(self, refused: Refused) -> None:
        """The gateway will not show the payment: if nobody is at it, a person must look."""
        if isinstance(refused, BothCaptured):
            await self.park(Reason.GATEWAY_MISMATCH, refused.message)
        elif not self._state.is_over:
            await self.park(Reason.RUN_LOST, f"the payment's run is gone; {refused.message}")

    async def judge(self, intent: Intent, *, asked: bool) -> None:
        """What the gateway shows of the intent, held against the row."""
        state = self._state
        if state.amount_captured:
            await self._judge_paid(intent)
        elif intent.status is IntentStatus.SUCCEEDED:
            await self._judge_unbooked(intent, asked=asked)
        elif state.status in WITHOUT_MONEY:
            if intent.status is not IntentStatus.CANCELED:
                await self.close(intent.id)
        elif intent.status is IntentStatus.CANCELED:
            await self._canceled_at_gateway(intent)
        else:
            await self.park(Reason.RUN_LOST, f"the payment's run is gone; {shown(intent)}")

    async def _canceled_at_gateway(self, intent: Intent | None) -> None:
        await self._record.move(
            lambda state, attempt: rules.ended(
                state,
                attempt,
                PaymentStatus.CANCELED,
                Reason.CANCELED_AT_GATEWAY,
                workflow.now(),
                intent=intent,
                actor=WORKFLOW,
            )
        )

    async def _judge_unbooked(self, intent: Intent, *, asked: bool) -> None:
        """The gateway has money that our books do not have: it may have gone back already."""
        seen = await self._collection.refunds(intent.id)
        if seen.given_back >= intent.received:
            if self._state.status not in WITHOUT_MONEY:
                evidence = f"{shown(intent)}, and all of it given back"
                await self.park(Reason.GATEWAY_MISMATCH, evidence)
                said = Said(actor=WORKFLOW, note=evidence)
                await self.end(PaymentStatus.CANCELED, Reason.REFUNDED, said)
            return
        try:
            if seen.given_back:
                part = f"{shown(intent)}, and {_in(intent.money, seen.given_back)} given back"
                await self.park(Reason.GATEWAY_MISMATCH, part)
            elif self._state.reason is not Reason.LATE_MONEY or asked:
                await self._believe(intent)
        except OrderTaken:
            await self._too_late(intent, seen)

    async def _believe(self, intent: Intent) -> None:
        """It is paid, or parks."""
        await self._record.move(
            lambda state, attempt: rules.observed(
                state, intent, attempt, workflow.now(), policies.LOOK_MAX
            )
        )

    async def _too_late(self, intent: Intent, seen: Refunds) -> None:
        """Somebody else has paid for the order meanwhile: what is left of the money goes back.

        Once only: what the bank has sent back is a person's.
        """
        left = Money(minor=intent.received - seen.given_back, currency=intent.money.currency)
        failure: str | None = f"{', '.join(seen.lost)} came to nothing"
        if not seen.lost:
            decision = self._state.version
            failure = await self._settlement.refund(left, seen, decision=decision)
        if failure is None:
            await self._record.move(
                lambda state, _: rules.noted(state, Reason.REFUNDED, workflow.now())
            )
            return
        stuck = (
            f"{intent.id} was paid after its order was another payment's, and {left} cannot be"
            f" given back: {failure}. Refund it in the gateway's dashboard"
        )
        await self._record.move(
            lambda state, _: decisions.told(state, Reason.LATE_MONEY, workflow.now(), stuck)
        )
        call_an_operator(self._state.id, Reason.LATE_MONEY)
        raise ApplicationError(stuck, type="LateMoneyStuck", non_retryable=True)

    async def _judge_paid(self, intent: Intent) -> None:
        state = self._state
        if (intent.status, intent.money, intent.received) != (
            IntentStatus.SUCCEEDED,
            state.money,
            state.amount_captured,
        ):
            await self.park(Reason.GATEWAY_MISMATCH, shown(intent))
            return
        refunds = await self._collection.refunds(intent.id)
        if refunds.given_back < state.amount_refunded:
            lost = ", ".join(refunds.lost) or "none"
            shows = f"the gateway shows {_in(state.money, refunds.given_back)} given back"
            evidence = f"{shows}; refunds that came to nothing: {lost}"
            await self._record.move(
                lambda state, _: decisions.refund_lost(
                    state, refunds.given_back, workflow.now(), evidence
                )
            )
            return
        by_others = f"the gateway shows {_in(state.money, refunds.given_back)} given back"
        await self._record.move(
            lambda state, _: decisions.refunded_by_others(
                state, refunds.given_back, workflow.now(), by_others
            )
        )
        owed = state.amount_refund_pending
        is_parked = state.status is PaymentStatus.NEEDS_OPERATOR
        if is_parked and owed and refunds.given_back >= state.amount_refunded + owed:
            said = Said(actor=WORKFLOW, note="the gateway shows the money given back")
            await self.refund_again(said, refunds)

    async def refund_again(self, by: Said, seen: Refunds) -> None:
        """What is owed goes back; if nothing is, all that was taken and not given back."""
        await self._record.move(
            lambda state, _: decisions.refund_decided(state, workflow.now(), by)
        )
        await self._settlement.give_back(seen, decision=self._state.version)

    async def end(self, status: PaymentStatus, reason: Reason, by: Said) -> None:
        """Over without money: a person has decided it, or all of it went back."""
        await self._record.move(
            lambda state, attempt: decisions.over_without_money(
                state, attempt, status, reason, workflow.now(), by
            )
        )

    async def park(self, reason: Reason, evidence: str) -> None:
        """A person must look."""
        await self._record.move(
            lambda state, _: rules.parked(state, reason, workflow.now(), evidence)
        )


def _in(money: Money, minor: int) -> Money:
    return money.model_copy(update={"minor": minor})
