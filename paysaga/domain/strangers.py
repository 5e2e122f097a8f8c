"""Money at the gateway: whose it is, and what of it nothing in the books belongs to."""

from pydantic import AwareDatetime

from paysaga.domain.message import Message
from paysaga.domain.reconciliation import (
    AtGateway,
    Drift,
    DriftKind,
    InWorkflow,
    Side,
    not_compared,
)


class Owner(Message):
    """The payment that an intent belongs to, and when it was last changed.

    `is_beside`: another one counts. Money that moved there belongs to nothing that is booked.
    """

    intent_id: str
    payment_id: str
    updated_at: AwareDatetime
    is_beside: bool = False


def unknown_money(subject: str, shown: str, run: InWorkflow | None) -> Drift:
    """Money at the gateway that no row of ours has. If a run knows it, the row was lost."""
    lost = run is not None and run.is_known
    return Drift(
        subject=subject,
        kind=DriftKind.UNKNOWN_MONEY,
        wrong=Side.DATABASE if lost else Side.GATEWAY,
        at_gateway=shown,
    )


def money_beside(intent_id: str, gateway: AtGateway) -> Drift | None:
    """Money on an intent of a payment whose other intent counts, unless all of it went back."""
    if gateway.trouble is not None:
        return not_compared(intent_id, gateway.trouble)
    intent = gateway.intent
    if intent is None or intent.received == gateway.refunded:
        return None
    left = intent.money.model_copy(update={"minor": intent.received - gateway.refunded})
    return unknown_money(intent_id, f"{left} beside the intent of {gateway.payment_id}", None)
