"""A payment that needs an operator: what a person decides is done here, and nothing else is."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.errors import Trouble
    from activities.orders import OrderRef
    from activities.records import Records
    from activities.runs import RunStart, start_run
    from paysaga.domain import repairs as decisions
    from paysaga.domain.message import Message
    from paysaga.domain.payment import PaymentState, PaymentStatus, Recorded
    from paysaga.domain.reasons import Reason
    from paysaga.domain.repairs import Said, allowed_repairs

from workflows import addresses, policies
from workflows.collection import Collection, Refused
from workflows.judgement import Judgement
from workflows.payment_details import found_by, repair_summary
from workflows.record import Record
from workflows.repair_steps import RepairSteps
from workflows.requests import Approval, KeyReused, NotNow, NotRepaired, RepairRequest
from workflows.reservation import Reservation
from workflows.settlement import Settlement
from workflows.watch import Watch


class RepairCase(Message):
    """The payment that is to be repaired, or compared with the gateway."""

    payment_id: str


@dataclass
class Asked:
    """A request that waits for its turn."""

    request: RepairRequest | Approval
    is_done: bool = False
    refusal: ApplicationError | None = None


@workflow.defn
class RepairWorkflow:
    """One parked payment's repair. Started for one that is not, it compares it with the gateway.

    The row is all that it begins with, so it can be started again at any time.
    """

    @workflow.init
    def __init__(self, case: RepairCase) -> None:
        self._case = case
        self._watch = Watch()
        self._asked: list[Asked] = []
        self._keys: dict[str, str] = {}
        self._proposal: RepairRequest | None = None
        self._record: Record | None = None
        self._is_over = False

    @workflow.run
    async def run(self, case: RepairCase) -> PaymentState:
        """Answers with the payment as it stands when it needs nobody any more."""
        while True:
            record, steps = self._begin(await _standing(case.payment_id))
            if not self._is_parked(record):
                await self._look(steps)
            while self._is_parked(record):
                await self._next(record, steps)
            await steps.conclude()
            if not self._is_parked(record) and not self._watch.must_look:
                break
        self._is_over = True
        await workflow.wait_condition(workflow.all_handlers_finished)
        return record.state

    @workflow.signal
    def nudged(self) -> None:
        """Something has happened at the gateway: look."""
        self._watch.must_look = True

    @workflow.update
    async def repair(self, request: RepairRequest) -> PaymentState:
        """Carry out a repair, or keep it until a second person agrees."""
        return await self._turn(request)

    @repair.validator
    def _may_repair(self, request: RepairRequest) -> None:
        if self._record is not None:
            self._check(request)

    @workflow.update
    async def approve(self, approval: Approval) -> PaymentState:
        """Agree with the proposal, which is then carried out."""
        return await self._turn(approval)

    @approve.validator
    def _may_approve(self, approval: Approval) -> None:
        if self._record is not None:
            self._check(approval)

    async def on_trouble(self, trouble: Trouble, pause: timedelta) -> None:
        """The gateway does not answer: it is asked until it does."""
        workflow.logger.warning(
            "the gateway does not answer", extra={"trouble": trouble, "again_in": str(pause)}
        )

    async def on_silence(self) -> None:
        """The order service does not answer: it is asked until it does."""
        workflow.logger.warning("the order service does not answer")

    def is_over(self) -> bool:
        """A repair is worth asking for as long as it takes."""
        return False

    def _begin(self, found: Recorded) -> tuple[Record, RepairSteps]:
        if found.attempt is None:
            raise AssertionError("a payment is written with its first attempt")
        state = found.state
        record = Record(state, found.attempt)
        collection = Collection(self)
        order = OrderRef(
            order_id=state.order_id,
            payment_id=state.id,
            customer_id=state.customer_id,
            money=state.money,
        )
        reservation = Reservation(order, self)
        settlement = Settlement(record, collection, reservation, self._watch)
        self._record = record
        workflow.upsert_search_attributes(found_by(state))
        record.tell()
        judgement = Judgement(record, collection, settlement, found.evidence)
        return record, RepairSteps(record, judgement, reservation, settlement)

    async def _next(self, record: Record, steps: RepairSteps) -> None:
        await workflow.wait_condition(lambda: bool(self._asked) or self._watch.must_look)
        if not self._asked:
            await self._look(steps)
            return
        asked = self._asked.pop(0)
        try:
            self._check(asked.request)
            await self._carry_out(asked.request, record, steps)
        except (NotRepaired, NotNow, KeyReused) as refusal:
            asked.refusal = refusal
        except Refused as refused:
            asked.refusal = NotRepaired(f"the gateway refuses: {refused.message}")
        asked.is_done = True

    async def _carry_out(
        self, asked: RepairRequest | Approval, record: Record, steps: RepairSteps
    ) -> None:
        if isinstance(asked, Approval):
            request, agreed = self._proposed, f"; {asked.why}"
            by = Said(actor=asked.actor, note=f"{request.note}; by {request.actor}{agreed}")
        else:
            request, by = asked, Said(actor=asked.actor, note=asked.note)
        self._keys[asked.request.key] = asked.request.fingerprint
        waits = request is asked and request.needs_approval
        reason = Reason.REPAIR_PROPOSED if waits else Reason.REPAIR_REQUESTED
        await record.move(
            lambda state, _: (
                decisions.asked(state, reason, workflow.now(), by, asked.request)
                if state.status is PaymentStatus.NEEDS_OPERATOR
                else ()
            )
        )
        self._proposal = request if waits else None
        if waits:
            return
        version = record.state.version
        try:
            await steps.carry_out(request, by)
        except (NotRepaired, Refused) as refusal:
            await self._came_to_nothing(record, Reason.REPAIR_REFUSED, refusal.message)
            raise
        if record.state.version == version:
            await self._came_to_nothing(record, Reason.NOTHING_NEW)

    async def _came_to_nothing(
        self, record: Record, reason: Reason, why: str | None = None
    ) -> None:
        await record.move(
            lambda state, _: (
                decisions.told(state, reason, workflow.now(), why)
                if state.status is PaymentStatus.NEEDS_OPERATOR
                else ()
            )
        )

    async def _look(self, steps: RepairSteps) -> None:
        self._watch.must_look = False
        try:
            await steps.judgement.look()
        except Refused as refused:
            workflow.logger.warning("the gateway refuses to tell", extra={"why": refused.message})
            await steps.judgement.cannot_tell(refused)

    async def _turn(self, request: RepairRequest | Approval) -> PaymentState:
        """Wait until the requests before are done, and this one, too."""
        asked = Asked(request)
        self._asked.append(asked)
        await workflow.wait_condition(lambda: asked.is_done or self._is_over)
        if not asked.is_done:
            raise NotNow("the payment needs no operator any more")
        if asked.refusal is not None:
            raise asked.refusal
        return self._state

    def _check(self, request: RepairRequest | Approval) -> None:
        mark = request.request
        if self._keys.get(mark.key, mark.fingerprint) != mark.fingerprint:
            raise KeyReused
        kind = self._proposed_by_another(request) if isinstance(request, Approval) else request.kind
        if kind not in allowed_repairs(self._state):
            raise NotNow(f"a payment that is {self._state.status} does not take {kind}")

    def _proposed_by_another(self, approval: Approval) -> decisions.RepairKind:
        proposal = self._proposed
        if approval.proposal != self._state.version:
            raise NotNow("the payment has moved since that proposal: look why again")
        if proposal.actor == approval.actor:
            raise NotNow("somebody else must agree than the one who proposed it")
        return proposal.kind

    @property
    def _proposed(self) -> RepairRequest:
        if self._proposal is None:
            raise NotNow("there is no proposal to agree with: propose the repair again")
        return self._proposal

    def _is_parked(self, record: Record) -> bool:
        return record.state.status is PaymentStatus.NEEDS_OPERATOR

    @property
    def _state(self) -> PaymentState:
        if self._record is None:
            raise AssertionError("asked for the payment before it was read")
        return self._record.state


async def start_repair(state: PaymentState) -> None:
    """Leave the payment to a repair of its own, which outlives the run that asks for it."""
    start = RunStart(
        workflow="RepairWorkflow",
        id=addresses.repair_id(state.id),
        argument={"payment_id": state.id},
        signal="nudged",
        summary=repair_summary(state),
    )
    await workflow.execute_activity(
        start_run, start, **(policies.TEMPORAL | {"summary": f"open {start.id}"})
    )


async def _standing(payment_id: str) -> Recorded:
    found = await workflow.execute_activity_method(
        Records.standing,
        payment_id,
        **(policies.DATABASE_IN_PATIENCE | {"summary": f"read {payment_id}"}),
    )
    if found is None:
        raise ApplicationError(
            f"there is no payment {payment_id}", type="UnknownPayment", non_retryable=True
        )
    return found
