"""What each repair of a parked payment does. Nothing is believed that the gateway contradicts."""

from typing import Final, assert_never

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.records import Records
    from paysaga.domain import repairs as decisions
    from paysaga.domain import transitions as rules
    from paysaga.domain.checkout import shown_page
    from paysaga.domain.intent import IntentStatus
    from paysaga.domain.money import Money
    from paysaga.domain.payment import WITHOUT_MONEY, Fulfillment, PaymentState, PaymentStatus
    from paysaga.domain.reasons import Reason
    from paysaga.domain.repairs import RepairKind, Said
    from paysaga.domain.transitions import shown

from workflows import policies
from workflows.collection import Refused
from workflows.judgement import Judgement
from workflows.record import Record
from workflows.renewal import BothCaptured
from workflows.requests import NotRepaired, RepairRequest
from workflows.reservation import Reservation
from workflows.settlement import Settlement

# What a person can show by other means than the gateway's answer.
_BY_EVIDENCE: Final = frozenset({RepairKind.MARK_SUCCEEDED, RepairKind.MARK_FAILED})


class RepairSteps:
    """One payment's repairs. A step that cannot be done raises, and has changed nothing."""

    def __init__(
        self,
        record: Record,
        judgement: Judgement,
        reservation: Reservation,
        settlement: Settlement,
    ) -> None:
        self._record = record
        self.judgement = judgement
        self._reservation = reservation
        self._settlement = settlement

    async def carry_out(self, request: RepairRequest, by: Said) -> None:
        """Do what was decided.

        Raises:
            NotRepaired: The gateway contradicts it.
            Refused: The gateway will not do or show it.
        """
        try:
            await self.judgement.let_go_of_the_other()
        except Refused as refused:
            if request.kind not in _BY_EVIDENCE or isinstance(refused, BothCaptured):
                raise
            workflow.logger.warning("the other hold cannot be let go: evidence counts")
        match request.kind:
            case RepairKind.LOOK_AGAIN:
                await self.judgement.look(asked=True)
            case RepairKind.ATTACH_INTENT:
                await self._attach(str(request.gateway_id), by)
            case RepairKind.MARK_SUCCEEDED:
                await self._mark_succeeded(by)
            case RepairKind.MARK_FAILED:
                await self._mark_failed(by)
            case RepairKind.REFUND:
                await self._refund(by)
            case RepairKind.ABANDON:
                await self._abandon(by)
            case never:
                assert_never(never)

    async def conclude(self) -> None:
        """The payment is decided: the shop hears of it, and what is owed goes back."""
        if self._state.status is PaymentStatus.SUCCEEDED:
            await self._settlement.tell_the_shop()
            if self._state.amount_refund_pending:
                await self._give_back()
        if self._is_nobodys:
            await self._reservation.let_go()

    async def _give_back(self) -> None:
        decision = self._state.version
        try:
            seen = await self.judgement.refunds()
        except Refused as refused:
            await self._settlement.park(refused.message)
        else:
            await self._settlement.give_back(seen, decision=decision)

    @property
    def _is_nobodys(self) -> bool:
        """The shop may sell the order to somebody else."""
        state = self._state
        if state.fulfillment is None or state.status is PaymentStatus.NEEDS_OPERATOR:
            return False
        return state.status in WITHOUT_MONEY or state.fulfillment is Fulfillment.REFUSED

    async def _attach(self, gateway_id: str, by: Said) -> None:
        state = self._state
        if gateway_id == state.other_intent_id:
            raise NotRepaired(
                f"{gateway_id} is the payment's other hold, which counts by itself if it has money"
            )
        intent = await self.judgement.show(gateway_id)
        if intent is None:
            raise AssertionError("a repair looks until it sees")
        owner = await workflow.execute_activity_method(
            Records.payment_of,
            gateway_id,
            **(policies.DATABASE_IN_PATIENCE | {"summary": f"whose is {gateway_id}?"}),
        )
        if {intent.payment_id, owner} - {None, state.id}:
            raise NotRepaired(f"{gateway_id} belongs to {intent.payment_id or owner}")
        if intent.money != state.money:
            raise NotRepaired(f"{gateway_id} is of {intent.money}, the payment of {state.money}")
        is_known = intent.payment_id == state.id or state.intent_id == gateway_id
        if not is_known and intent.customer_id not in {None, state.gateway_customer_id}:
            raise NotRepaired(
                f"{gateway_id} is of the gateway's customer {intent.customer_id}, who is not this"
                f" payment's: mark it succeeded if you can show that it was paid by that"
            )
        if state.is_hosted:
            if left := await self.judgement.what_is_open(but=gateway_id):
                raise NotRepaired(f"{left}: its customer could pay twice")
        elif state.intent_id not in {None, gateway_id}:
            old = await self.judgement.close(str(state.intent_id))
            if old.status is not IntentStatus.CANCELED:
                raise NotRepaired(f"the payment has an intent that is not canceled: {shown(old)}")
        await self._record.move(
            lambda state, _: decisions.attached(state, intent, workflow.now(), by)
        )
        await self.judgement.judge(intent, asked=True)

    async def _mark_succeeded(self, by: Said) -> None:
        try:
            intent = await self.judgement.intent()
            if intent is None and self._state.is_hosted:
                await self._refuse_unpaid_page()
        except Refused:
            intent = None  # that is what the evidence is for
        if intent is not None:
            if intent.status is not IntentStatus.SUCCEEDED:
                raise NotRepaired(f"{shown(intent)}: no money has moved")
            if not self._state.amount_captured:
                await self.judgement.judge(intent, asked=True)
                if self._state.status is PaymentStatus.NEEDS_OPERATOR:
                    raise NotRepaired(f"{shown(intent)}: it is not what was asked for; refund it")
                return
        await self._record.move(
            lambda state, attempt: decisions.marked_succeeded(state, attempt, workflow.now(), by)
        )

    async def _refuse_unpaid_page(self) -> None:
        page = await self.judgement.page()
        if page is not None:
            raise NotRepaired(f"{shown_page(page)}: no money has moved")

    async def _mark_failed(self, by: Said) -> None:
        try:
            await self._closed()
        except Refused:
            workflow.logger.warning("the gateway will not cancel the intent: evidence counts")
        await self.judgement.end(PaymentStatus.FAILED, Reason.MARKED_FAILED, by)

    async def _abandon(self, by: Said) -> None:
        if self._state.amount_refund_pending:
            await self._record.move(
                lambda state, _: decisions.refund_abandoned(state, workflow.now(), by)
            )
            return
        await self._closed()
        await self.judgement.end(PaymentStatus.CANCELED, Reason.ABANDONED, by)

    async def _refund(self, by: Said) -> None:
        if self._state.amount_captured:
            await self.judgement.refund_again(by, await self.judgement.refunds())
            return
        intent = await self.judgement.intent()
        if intent is None or intent.status is not IntentStatus.SUCCEEDED or not intent.received:
            raise NotRepaired("the gateway holds no money of this payment: abandon it")
        # Whatever becomes of it: from now on this money is not taken for a paid order by itself.
        await self._record.move(
            lambda state, _: rules.noted(state, Reason.LATE_MONEY, workflow.now())
        )
        seen = await self.judgement.refunds()
        left = Money(minor=intent.received - seen.given_back, currency=intent.money.currency)
        if failure := left.minor > 0 and await self._settlement.refund(
            left, seen, decision=self._state.version
        ):
            raise NotRepaired(f"the refund came to nothing: {failure}")
        await self.judgement.end(PaymentStatus.CANCELED, Reason.REFUNDED, by)

    async def _closed(self) -> None:
        """No money can move any more: the gateway has canceled the intent, or never had one."""
        if left := await self.judgement.what_is_open():
            raise NotRepaired(f"{left}: the money has moved, or is about to")

    @property
    def _state(self) -> PaymentState:
        return self._record.state
