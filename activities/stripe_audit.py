"""What the gateway shows of many payments, for a reconciliation: it is read, and nothing else."""

from datetime import UTC, datetime
from typing import Final

import stripe
import structlog
from pydantic import AwareDatetime
from stripe.params import (
    BalanceTransactionListParams,
    PaymentIntentRetrieveParams,
    RefundListParams,
)
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.errors import Trouble, as_failure
from activities.stripe_words import Refunds, as_intent, as_refund, id_of
from paysaga.domain.message import Message
from paysaga.domain.money import Money, from_gateway
from paysaga.domain.reconciliation import AtGateway

# After so many in a row the gateway is away: the others of the page are not even asked for.
_IN_A_ROW: Final = 2
_AWAY: Final = "the gateway did not answer for the payments before"

log: Final = structlog.stdlib.get_logger("activities")


class AuditRef(Message):
    """A payment, and the intent that its history names."""

    payment_id: str
    intent_id: str | None


class AuditOrder(Message):
    """The payments to be looked at."""

    payments: tuple[AuditRef, ...]


class Audited(Message):
    """What the gateway shows, in the same order."""

    payments: tuple[AtGateway, ...]


class MovementsOrder(Message):
    """Money that moved at the gateway in this time, from this balance transaction on."""

    since: AwareDatetime
    until: AwareDatetime
    after: str | None = None


class Movement(Message):
    """A charge's or a refund's money, and whose it says that it is."""

    id: str
    source: str
    intent_id: str | None
    payment_id: str | None
    money: Money

    @property
    def subject(self) -> str:
        """What it belongs to."""
        return self.intent_id or self.source

    def __str__(self) -> str:
        return f"{self.source}: {self.money}"


class Unread(Message):
    """A balance transaction that cannot be read, and why."""

    id: str
    why: str


class Movements(Message):
    """One page, newest first. `count` also counts what belongs to other environments.

    `read` are the balance transactions that were understood, whoever's they are.
    """

    movements: tuple[Movement, ...]
    count: int
    read: tuple[str, ...] = ()
    unread: tuple[Unread, ...] = ()
    next: str | None = None


class StripeAudit:
    """Activities that share one Stripe client. What other environments own is left out."""

    def __init__(self, client: stripe.StripeClient, environment: str) -> None:
        self._intents = client.v1.payment_intents
        self._refunds = client.v1.refunds
        self._movements = client.v1.balance_transactions
        self._environment = environment

    @activity.defn
    async def audit_payments(self, order: AuditOrder) -> Audited:
        """What each payment's intent is now; trouble with one does not hide the others."""
        told: list[AtGateway] = []
        in_a_row = 0
        for ref in order.payments:
            activity.heartbeat(len(told))
            shown = await self._shown(ref) if in_a_row < _IN_A_ROW else _trouble(ref, _AWAY)
            in_a_row = in_a_row + 1 if shown.trouble else 0
            told.append(shown)
        return Audited(payments=tuple(told))

    @activity.defn
    async def list_movements(self, order: MovementsOrder) -> Movements:
        """The charges and refunds of this time that moved money: one page.

        One that cannot be read does not hide the others. While the gateway does not answer, the
        page is asked for again.
        """
        wanted: BalanceTransactionListParams = {
            "limit": 100,
            "created": {"gte": int(order.since.timestamp()), "lt": int(order.until.timestamp())},
            "expand": ["data.source"],
        }
        if order.after is not None:
            wanted["starting_after"] = order.after
        try:
            page = await self._movements.list_async(wanted)
            told = [await self._told(transaction) for transaction in page.data]
        except stripe.StripeError as error:
            raise _to_be_asked_again(error) from None
        unread = tuple(it for it in told if isinstance(it, Unread))
        ids = {it.id for it in page.data} - {it.id for it in unread}
        return Movements(
            movements=tuple(it for it in told if isinstance(it, Movement)),
            count=len(page.data),
            read=tuple(sorted(ids)),
            unread=unread,
            next=page.data[-1].id if page.has_more else None,
        )

    async def _shown(self, ref: AuditRef) -> AtGateway:
        if ref.intent_id is None:
            return AtGateway(payment_id=ref.payment_id)
        try:
            intent = await self._intents.retrieve_async(ref.intent_id, _WITH_MONEY)
            return await self._as_shown(ref, intent)
        except stripe.InvalidRequestError as error:
            if error.code == "resource_missing":
                return AtGateway(payment_id=ref.payment_id, is_missing=True)
            return _trouble(ref, as_failure(error).message)
        except stripe.StripeError as error:
            return _trouble(ref, as_failure(error).message)
        except ValueError as error:  # a status or an amount that we have no word for
            return _trouble(ref, f"{_UNREADABLE}: {error}")

    async def _as_shown(self, ref: AuditRef, intent: stripe.PaymentIntent) -> AtGateway:
        charge = intent.latest_charge
        refunds: list[stripe.Refund] = []
        if isinstance(charge, stripe.Charge) and charge.refunds is not None:
            refunds = charge.refunds.data
            if charge.refunds.has_more:
                wanted: RefundListParams = {"charge": charge.id, "limit": 100, **_WITH_COST}
                listed = await self._refunds.list_async(wanted)
                refunds = [refund async for refund in listed.auto_paging_iter()]
        return AtGateway(
            payment_id=ref.payment_id,
            intent=as_intent(intent),
            refunded=Refunds(refunds=tuple(map(as_refund, refunds))).given_back,
            decided_at=_decided_at(intent),
            fee=_fee(ref, charge, refunds),
        )

    async def _told(self, transaction: stripe.BalanceTransaction) -> Movement | Unread | None:
        activity.heartbeat(transaction.id)
        try:
            return await self._moved(transaction)
        except stripe.InvalidRequestError as error:
            return Unread(id=transaction.id, why=as_failure(error).message)
        except ValueError as error:  # an amount that we have no word for
            return Unread(id=transaction.id, why=f"{_UNREADABLE}: {error}")

    async def _moved(self, transaction: stripe.BalanceTransaction) -> Movement | None:
        """A movement that may be ours, with what it says of itself; payouts and fees are not."""
        source = transaction.source
        if not isinstance(source, stripe.Charge | stripe.Refund):
            return None
        marks = source.metadata.to_dict() if source.metadata else {}
        intent_id = id_of(source.payment_intent)
        if "environment" not in marks and intent_id is not None:
            # A refund does not carry its intent's marks, and one made by hand none at all.
            intent = await self._intents.retrieve_async(intent_id)
            marks = intent.metadata.to_dict()
        if marks.get("environment", self._environment) != self._environment:
            return None
        return Movement(
            id=transaction.id,
            source=source.id,
            intent_id=intent_id,
            payment_id=marks.get("payment_id"),
            money=from_gateway(transaction.amount, transaction.currency),
        )


_UNREADABLE: Final = "the gateway's answer cannot be read"
_WITH_MONEY: Final[PaymentIntentRetrieveParams] = {
    "expand": [
        "latest_charge.balance_transaction",
        "latest_charge.refunds.data.balance_transaction",
    ]
}
_WITH_COST: Final[RefundListParams] = {"expand": ["data.balance_transaction"]}


def _trouble(ref: AuditRef, why: str) -> AtGateway:
    return AtGateway(payment_id=ref.payment_id, trouble=why)


def _to_be_asked_again(error: stripe.StripeError) -> ApplicationError:
    """The failure; a read has no key under which the gateway would keep an internal error."""
    failure = as_failure(error)
    if failure.type != Trouble.STICKY:
        return failure
    return ApplicationError(failure.message, *failure.details, type=failure.type)


def _decided_at(intent: stripe.PaymentIntent) -> datetime | None:
    """When the intent got its outcome, if it has one."""
    charge = intent.latest_charge
    if intent.status == "succeeded" and isinstance(charge, stripe.Charge):
        return datetime.fromtimestamp(charge.created, UTC)
    if intent.canceled_at is not None:
        return datetime.fromtimestamp(intent.canceled_at, UTC)
    return None


def _fee(
    ref: AuditRef, charge: str | stripe.Charge | None, refunds: list[stripe.Refund]
) -> Money | None:
    """What the charge and its refunds have cost; nobody knows before the charge has settled.

    A payment has one fee, in the currency in which its charge has settled. What a refund costs in
    another is no part of it: the log names it, for a person to book.
    """
    if not isinstance(charge, stripe.Charge):
        return None
    settled = charge.balance_transaction
    if not isinstance(settled, stripe.BalanceTransaction):
        return None
    fee = from_gateway(settled.fee, settled.currency)
    for refund in refunds:
        if isinstance(refund.balance_transaction, stripe.BalanceTransaction):
            cost = from_gateway(refund.balance_transaction.fee, refund.balance_transaction.currency)
            if cost.currency == fee.currency:
                fee += cost
            elif cost.minor:
                _tell(ref, refund, cost)
    return fee


def _tell(ref: AuditRef, refund: stripe.Refund, cost: Money) -> None:
    told = {"payment_id": ref.payment_id, "refund_id": refund.id, "fee": str(cost)}
    log.warning("a refund's fee is in another currency than its charge's: it is not booked", **told)
