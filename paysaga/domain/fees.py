"""What the gateway keeps for its service: known once it has settled, maybe an hour later."""

from datetime import datetime

from paysaga.domain.ledger import fee_changed
from paysaga.domain.money import Money
from paysaga.domain.payment import Change, PaymentState
from paysaga.domain.reasons import Reason
from paysaga.domain.steps import WORKFLOW, moved


def fee_booked(state: PaymentState, fee: Money, booked: int, at: datetime) -> tuple[Change, ...]:
    """Book what of the fee is not in the books yet: a step of the payment, which stays as it is.

    `booked` is what its transfers say so far, in the fee's currency: that in which the gateway
    settles, not always the payment's own. A payment that is not over is left alone.
    """
    missing = fee.minor - booked
    if missing == 0 or not state.is_final:
        return ()
    after = moved(state, state.status, state.reason, at)
    transfers = fee_changed(state.id, Money(minor=missing, currency=fee.currency))
    return (
        Change(
            state=after,
            actor=WORKFLOW,
            reason=Reason.FEE_BOOKED,
            note=f"the gateway's fee is {fee}",
            transfers=transfers,
        ),
    )
