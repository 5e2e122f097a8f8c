"""Whether database, gateway and workflow say the same of a payment, and who is wrong if not.

The database has three voices: the row, its history (the snapshot that its last change published)
and the ledger. A row that was tampered with disagrees with the other two.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Self

from pydantic import AwareDatetime

from paysaga.domain.intent import Intent, IntentStatus
from paysaga.domain.message import Message
from paysaga.domain.money import Money
from paysaga.domain.payment import FINAL, WITHOUT_MONEY, PaymentState, PaymentStatus

# A webhook, or the customer's return, makes the run look within seconds. Later something is lost.
HEARD_AFTER: Final = timedelta(minutes=5)


class DriftKind(StrEnum):
    """What disagrees."""

    STATUS = "status"
    AMOUNT = "amount"
    CURRENCY = "currency"
    GATEWAY_ID = "gateway_id"
    CAPTURED = "captured"
    REFUNDED = "refunded"
    # Money at the gateway that no payment of ours has.
    UNKNOWN_MONEY = "unknown_money"
    # Nobody knows whether it agrees: that is not the same as fine.
    NOT_COMPARED = "not_compared"


class Side(StrEnum):
    """Who is wrong."""

    DATABASE = "database"
    GATEWAY = "gateway"
    WORKFLOW = "workflow"
    UNCLEAR = "unclear"


class Remedy(StrEnum):
    """What is done about it without a person."""

    NONE = "none"
    NUDGED = "nudged"
    REPAIR_OPENED = "repair_opened"


class Facts(Message):
    """What is compared of a payment, as one of the sides has it. Plain words: any may be wrong."""

    status: str
    amount: int
    currency: str
    gateway_id: str | None
    captured: int
    refunded: int

    @classmethod
    def of(cls, state: PaymentState) -> Self:
        """As this state has them."""
        return cls(
            status=state.status,
            amount=state.money.minor,
            currency=state.money.currency,
            gateway_id=state.intent_id,
            captured=state.amount_captured,
            refunded=state.amount_refunded,
        )


class InDatabase(Message):
    """What our own books say of a payment.

    `was_parked`: a person has had a hand in it. `is_unsettled`: it is paid and the shop does not
    know it yet, or money is still to go back. `is_hosted`: its intents are the gateway's pages'.
    """

    payment_id: str
    row: Facts
    history: Facts
    ledger_captured: int
    ledger_refunded: int
    was_parked: bool
    is_unsettled: bool
    is_hosted: bool = False

    @property
    def needs_a_run(self) -> bool:
        """Whether something is still to be done that nobody but a run does."""
        return not self.is_parked and (not self.is_over or self.is_unsettled)

    @property
    def is_over(self) -> bool:
        """Whether the payment's own story is over, as its history has it."""
        return self.history.status in FINAL

    @property
    def is_parked(self) -> bool:
        """Whether a person is at it already."""
        return self.history.status == PaymentStatus.NEEDS_OPERATOR


class AtGateway(Message):
    """What the gateway shows of a payment: nothing, if it was never asked for an intent.

    `decided_at` is when the intent got its outcome, `fee` what it cost so far, `trouble` why the
    gateway could not be asked.
    """

    payment_id: str
    intent: Intent | None = None
    is_missing: bool = False
    refunded: int = 0
    decided_at: AwareDatetime | None = None
    fee: Money | None = None
    trouble: str | None = None


class InWorkflow(Message):
    """How the payment's run stands: its own, or its repair's if that came later.

    A run past the namespace's retention is not known any more: two sides are compared then.
    """

    payment_id: str
    is_open: bool = False
    is_known: bool = False
    result: Facts | None = None


class Drift(Message):
    """A disagreement about one subject, what each side says, who is wrong, and what is done."""

    subject: str
    kind: DriftKind
    wrong: Side
    in_database: str | None = None
    in_history: str | None = None
    in_ledger: str | None = None
    at_gateway: str | None = None
    in_workflow: str | None = None
    remedy: Remedy = Remedy.NONE


_K: Final = DriftKind
_COMPARED: Final = (_K.STATUS, _K.AMOUNT, _K.CURRENCY, _K.GATEWAY_ID, _K.CAPTURED, _K.REFUNDED)
NO_RUN: Final = "no run"
MISSING: Final = "missing"


def compared(
    kept: InDatabase, gateway: AtGateway, run: InWorkflow, now: datetime
) -> tuple[Drift, ...]:
    """Field by field, where the sides should agree by now: what does not."""
    if gateway.trouble is not None:
        return (not_compared(kept.payment_id, gateway.trouble),)
    return tuple(_drifts(kept, gateway, run, now))


def not_compared(subject: str, why: str) -> Drift:
    """Nobody could tell whether it agrees."""
    return Drift(subject=subject, kind=_K.NOT_COMPARED, wrong=Side.UNCLEAR, at_gateway=why)


def _drifts(
    kept: InDatabase, gateway: AtGateway, run: InWorkflow, now: datetime
) -> Iterator[Drift]:
    ledger = {_K.CAPTURED: str(kept.ledger_captured), _K.REFUNDED: str(kept.ledger_refunded)}
    at_gateway = _said_by_gateway(kept, gateway, run, now)
    in_workflow = _said_by_run(kept, run)
    for kind in _COMPARED:
        said = Drift(
            subject=kept.payment_id,
            kind=kind,
            wrong=Side.UNCLEAR,
            in_database=_word(kept.row, kind),
            in_history=_word(kept.history, kind),
            in_ledger=ledger.get(kind),
            at_gateway=at_gateway.get(kind),
            in_workflow=in_workflow.get(kind),
        )
        wrong = _wrong(said, is_behind=not kept.is_over)
        if wrong is not None:
            judged = said.model_copy(update={"wrong": wrong})
            yield judged.model_copy(update={"remedy": _remedy(judged, kept, run)})


def _wrong(said: Drift, *, is_behind: bool) -> Side | None:
    """Who is wrong, if anybody is: by its own books first, then by the majority."""
    ours = {said.in_database, said.in_history, said.in_ledger} - {None}
    gateway_differs = said.at_gateway not in {None, said.in_database}
    workflow_differs = said.in_workflow not in {None, said.in_database}
    if len(ours) > 1:
        return Side.DATABASE
    if is_behind and gateway_differs and said.kind is _K.STATUS:
        return Side.DATABASE  # a lost webhook explains nothing else
    if gateway_differs and workflow_differs:
        return Side.DATABASE if said.at_gateway == said.in_workflow else Side.UNCLEAR
    if gateway_differs:
        return Side.GATEWAY
    return Side.WORKFLOW if workflow_differs else None


def _remedy(drift: Drift, kept: InDatabase, run: InWorkflow) -> Remedy:
    """The one safe repair, if there is one. A repair begins with the row: it must be sound."""
    if kept.row != kept.history:
        return Remedy.NONE
    if kept.needs_a_run and drift.kind is _K.STATUS:
        return Remedy.NUDGED if run.is_open else Remedy.REPAIR_OPENED
    is_idle = kept.is_over and not run.is_open
    if drift.wrong is Side.GATEWAY and is_idle and drift.kind is not _K.GATEWAY_ID:
        return Remedy.REPAIR_OPENED
    return Remedy.NONE


def _said_by_gateway(
    kept: InDatabase, gateway: AtGateway, run: InWorkflow, now: datetime
) -> Mapping[DriftKind, str]:
    """What the gateway says where it should agree by now."""
    intent = gateway.intent
    if kept.is_parked or (gateway.is_missing and kept.was_parked):
        return {}  # a person is at it, or has decided with other evidence
    if gateway.is_missing:
        return {_K.GATEWAY_ID: MISSING}
    if intent is None:
        return {}
    ours = intent.payment_id in {None, kept.payment_id}
    undone = kept.is_over and _is_undone(kept, gateway, intent)
    said = {_K.GATEWAY_ID: intent.id if ours else f"{intent.id} of {intent.payment_id}"}
    if not (kept.was_parked and (undone or intent.status is IntentStatus.CANCELED)):
        # A person has decided about an intent of another amount, and it holds nothing any more.
        said |= {_K.AMOUNT: str(intent.money.minor), _K.CURRENCY: intent.money.currency}
    if kept.is_over:
        said[_K.STATUS] = _status(kept, IntentStatus.CANCELED if undone else intent.status)
        said[_K.CAPTURED] = "0" if undone else str(intent.received)
        if not run.is_open:
            said[_K.REFUNDED] = "0" if undone else str(gateway.refunded)
    elif gateway.decided_at is not None and gateway.decided_at < now - HEARD_AFTER:
        said[_K.STATUS] = _status(kept, intent.status)
    return said


def _is_undone(kept: InDatabase, gateway: AtGateway, intent: Intent) -> bool:
    """Money that should not have moved was given back: as if never taken."""
    return kept.history.status in WITHOUT_MONEY and gateway.refunded == intent.received > 0


def _status(kept: InDatabase, intent: IntentStatus) -> str:
    """The gateway's word for the status: ours, where one of ours fits it."""
    fitting: Mapping[IntentStatus, frozenset[PaymentStatus]] = {
        IntentStatus.SUCCEEDED: frozenset({PaymentStatus.SUCCEEDED}),
        IntentStatus.CANCELED: WITHOUT_MONEY,
        IntentStatus.REQUIRES_CAPTURE: frozenset({PaymentStatus.AUTHORIZED}),
        # A page's intent is never canceled by itself: nobody can pay on a page that is over.
        IntentStatus.REQUIRES_PAYMENT_METHOD: WITHOUT_MONEY if kept.is_hosted else frozenset(),
    }
    for ours in (kept.history.status, kept.row.status):
        if ours in fitting.get(intent, ()):
            return ours
    return intent.value


def _said_by_run(kept: InDatabase, run: InWorkflow) -> Mapping[DriftKind, str]:
    if run.is_open or kept.is_parked:
        return {}
    if kept.needs_a_run:
        return {_K.STATUS: NO_RUN}
    if run.result is None:
        return {}
    return {kind: _word(run.result, kind) for kind in _COMPARED}


def _word(facts: Facts, kind: DriftKind) -> str:
    return str(getattr(facts, kind.value))
