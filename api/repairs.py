"""Payments that need an operator: why, and what a person decides. For admins only."""

from collections.abc import Sequence
from decimal import Decimal
from http import HTTPStatus
from itertools import takewhile
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import AwareDatetime, Field, StringConstraints, ValidationInfo, field_validator

from api.answers import payment_view, run_address
from api.bodies import IdempotencyKey
from api.connections import Connections, Here
from api.documents import SEEN, changed
from api.identity import Caller, allowed
from api.refusals import KeyReused, NotApprovable, NotRepairable
from api.views import HistoryEntry, PaymentView, View
from api.visible import VisiblePayment
from paysaga.database.reads import HistoryEntry as Step
from paysaga.domain import ids
from paysaga.domain.payment import PaymentState, PaymentStatus, RequestMark
from paysaga.domain.reasons import Reason
from paysaga.domain.repairs import (
    ABOUT_REPAIRS,
    WITH_EVIDENCE,
    RepairKind,
    allowed_repairs,
    needs_approval,
)
from paysaga.starting.calls import KeyTaken, NoAnswerYet, NotDone, NotTaken, OrderTaken, RunOver
from paysaga.starting.orders import Body
from paysaga.tokens import Role
from workflows.addresses import repair_id
from workflows.payment_details import next_step
from workflows.requests import Approval, RepairRequest

router: Final = APIRouter(prefix="/admin/payments", tags=["admin"])

Admin = Annotated[Caller, Depends(allowed(Role.ADMIN))]

_REQUESTS: Final = frozenset({Reason.REPAIR_REQUESTED, Reason.REPAIR_PROPOSED})
_ON_THE_WAY_TO_A_REFUND: Final = frozenset({Reason.LATE_MONEY, Reason.REFUND_PENDING})
_OVERTAKEN: Final = "The proposal was not carried out: the payment has moved since. Look why again."
_PLAIN: Final = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"
Why = Annotated[str, StringConstraints(min_length=3, max_length=300, pattern=_PLAIN)]
Evidence = Annotated[str, StringConstraints(min_length=3, max_length=800, pattern=_PLAIN)]
IntentId = Annotated[str, StringConstraints(pattern=r"^pi_[A-Za-z0-9_]{1,250}$")]


class RepairOrder(Body):
    """What is to be done with the parked payment, and why. Both stand in its history."""

    kind: RepairKind
    why: Why
    evidence: Annotated[
        Evidence | None, Field(validate_default=True, description="What shows it; needed to mark")
    ] = None
    gateway_payment_intent_id: Annotated[IntentId | None, Field(validate_default=True)] = None

    @field_validator("evidence")
    @classmethod
    def _is_shown(cls, evidence: str | None, info: ValidationInfo) -> str | None:
        kind = info.data.get("kind")
        if kind in WITH_EVIDENCE and evidence is None:
            raise ValueError(f"{kind} needs evidence (payment-cli: --evidence)")
        return evidence

    @field_validator("gateway_payment_intent_id")
    @classmethod
    def _is_named(cls, intent_id: str | None, info: ValidationInfo) -> str | None:
        kind = info.data.get("kind")
        if kind is not None and (kind is RepairKind.ATTACH_INTENT) != (intent_id is not None):
            raise ValueError("it belongs to attach_intent, which needs it (payment-cli: --intent)")
        return intent_id


class ApprovalOrder(Body):
    """Agree with the repair that somebody else has proposed, as `why` has numbered it."""

    proposal: Annotated[int, Field(ge=1, le=1_000_000)]
    why: Why


class Proposal(View):
    """A repair that waits for a second person."""

    number: int
    by: str
    note: str | None
    at: AwareDatetime


class WhyView(View):
    """Why the payment stands where it stands, and what may be done."""

    payment: PaymentView
    next: str
    evidence: str | None
    allowed_repairs: list[RepairKind]
    approval_needed_above: Decimal
    proposal: Proposal | None
    repair_run: str
    history: list[HistoryEntry]


class RepairView(View):
    """What became of the repair, and the payment as it stands then."""

    outcome: Literal["done", "proposed", "under_way"]
    payment: PaymentView


@router.get("/{payment_id}/why", operation_id="explain_payment", responses=SEEN | changed(WhyView))
async def explain_payment(here: Here, who: Admin, payment: VisiblePayment) -> WhyView:
    """What was found, what happens next, and what a person may do."""
    entries = await here.reads.history(payment.id)
    history = [HistoryEntry.model_validate(entry, from_attributes=True) for entry in entries]
    return WhyView(
        payment=payment_view(here.settings, who, payment),
        next=next_step(payment),
        evidence=_evidence(history),
        allowed_repairs=list(allowed_repairs(payment)),
        approval_needed_above=here.settings.repair_approval_above,
        proposal=_proposal(history),
        repair_run=run_address(here.settings, repair_id(payment.id)),
        history=history,
    )


@router.post("/{payment_id}/repair", operation_id="repair_payment", responses=changed(RepairView))
async def repair_payment(
    response: Response,
    here: Here,
    who: Admin,
    payment: VisiblePayment,
    key: IdempotencyKey,
    order: RepairOrder,
) -> RepairView:
    """Decide what becomes of a parked payment; 202 while a second person must agree."""
    asked = Repairing(here, who, payment, response)
    return await asked.repair(order, key)


@router.post(
    "/{payment_id}/repair/approve", operation_id="approve_repair", responses=changed(RepairView)
)
async def approve_repair(
    response: Response,
    here: Here,
    who: Admin,
    payment: VisiblePayment,
    key: IdempotencyKey,
    order: ApprovalOrder,
) -> RepairView:
    """Agree with the proposal of somebody else, which is then carried out."""
    asked = Repairing(here, who, payment, response)
    return await asked.approve(order, key)


class Repairing:
    """One admin's word about one parked payment."""

    def __init__(
        self, here: Connections, who: Caller, payment: PaymentState, response: Response
    ) -> None:
        self._here = here
        self._who = who
        self._payment = payment
        self._response = response

    async def repair(self, order: RepairOrder, key: str) -> RepairView:
        """Carry it out, or propose it."""
        mark = self._mark("repair", order, key)
        if known := await self._known(mark):
            return known
        if order.kind not in allowed_repairs(self._payment):
            raise NotRepairable(
                f"A payment that is {self._payment.status} does not take {order.kind}: only one"
                " that needs an operator is repaired. If its run is gone, a reconciliation opens"
                " its repair (payment-cli reconcile).",
                payment=self._view(self._payment),
            )
        limit = self._here.settings.repair_approval_above
        request = RepairRequest(
            kind=order.kind,
            why=order.why,
            evidence=order.evidence,
            gateway_id=order.gateway_payment_intent_id,
            needs_approval=needs_approval(order.kind, self._payment, limit),
            actor=self._who.actor,
            request=mark,
        )
        try:
            state = await self._here.runs.repair(self._payment, request)
        except KeyTaken as error:
            raise KeyReused from error
        except (NotDone, NotTaken) as error:
            raise NotRepairable(
                str(error) or None, payment=self._view(await self._now())
            ) from error
        except (RunOver, OrderTaken) as error:
            raise NotRepairable(payment=self._view(await self._now())) from error
        except NoAnswerYet:
            return self._told("under_way", await self._now())
        return self._told("proposed" if request.needs_approval else "done", state)

    async def approve(self, order: ApprovalOrder, key: str) -> RepairView:
        """Let the proposal be carried out."""
        mark = self._mark("approve", order, key)
        if known := await self._known(mark):
            return known
        approval = Approval(
            proposal=order.proposal, why=order.why, actor=self._who.actor, request=mark
        )
        try:
            state = await self._here.runs.approve(self._payment.id, approval)
        except KeyTaken as error:
            raise KeyReused from error
        except (NotDone, NotTaken) as error:
            raise NotApprovable(
                str(error) or None, payment=self._view(await self._now())
            ) from error
        except (RunOver, OrderTaken) as error:
            raise NotApprovable(payment=self._view(await self._now())) from error
        except NoAnswerYet:
            return self._told("under_way", await self._now())
        return self._told("done", state)

    async def _known(self, mark: RequestMark) -> RepairView | None:
        known = await self._here.reads.request(self._payment.id, mark.key)
        if known is None:
            return None
        if known.fingerprint != mark.fingerprint:
            raise KeyReused
        number = await self._here.reads.request_number(self._payment.id, mark.key)
        entries = await self._here.reads.history(self._payment.id)
        return self._again([entry for entry in entries if entry.number >= (number or 0)])

    def _again(self, entries: Sequence[Step]) -> RepairView:
        """What became of a request that has made the first of these steps."""
        asked, *after = entries
        if asked.reason is Reason.REPAIR_PROPOSED:
            if not after:
                return self._told("proposed", self._payment)
            if not _is_agreement(after[0], asked):
                raise NotRepairable(_OVERTAKEN, payment=self._view(self._payment))
            return self._again(after)
        mine = list(takewhile(lambda entry: entry.reason not in _REQUESTS, after))
        for entry in mine:
            if entry.reason is Reason.REPAIR_REFUSED:
                raise NotRepairable(entry.note, payment=self._view(self._payment))
        is_done = mine and mine[-1].reason not in _ON_THE_WAY_TO_A_REFUND
        return self._told("done" if is_done else "under_way", self._payment)

    def _mark(self, step: str, body: Body, key: str) -> RequestMark:
        return RequestMark(
            key=ids.fingerprint(key),
            fingerprint=body.fingerprint(step, self._payment.id, key, self._who.actor),
        )

    async def _now(self) -> PaymentState:
        return await self._here.reads.payment(self._payment.id) or self._payment

    def _told(
        self, outcome: Literal["done", "proposed", "under_way"], state: PaymentState
    ) -> RepairView:
        self._response.status_code = HTTPStatus.OK if outcome == "done" else HTTPStatus.ACCEPTED
        return RepairView(outcome=outcome, payment=self._view(state))

    def _view(self, state: PaymentState) -> PaymentView:
        return payment_view(self._here.settings, self._who, state)


def _is_agreement(entry: Step, proposal: Step) -> bool:
    """Whether the step lets the proposal be carried out: it repeats its words and who said them."""
    said = f"{proposal.note}; by {proposal.actor};"
    return entry.reason is Reason.REPAIR_REQUESTED and (entry.note or "").startswith(said)


def _evidence(history: list[HistoryEntry]) -> str | None:
    """What was found when the payment was parked last."""
    parked = [
        entry
        for entry in history
        if entry.status is PaymentStatus.NEEDS_OPERATOR and entry.reason not in ABOUT_REPAIRS
    ]
    return next((entry.note for entry in reversed(parked) if entry.note), None)


def _proposal(history: list[HistoryEntry]) -> Proposal | None:
    last = history[-1]
    if last.reason is not Reason.REPAIR_PROPOSED:
        return None
    return Proposal(number=last.number, by=last.actor, note=last.note, at=last.at)
