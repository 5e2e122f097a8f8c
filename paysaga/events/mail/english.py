"""English words of mails."""

from typing import Final

from paysaga.domain.declines import DECLINES
from paysaga.domain.reasons import Reason
from paysaga.events.mail.words import Words

ENGLISH: Final = Words(
    decimal_point=".",
    thousands=",",
    months=(
        *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
        *("October", "November", "December"),
    ),
    date="{day} {month} {year}, {time} {zone}",
    account="Account",
    order="Order",
    purpose="For",
    amount="Amount",
    refunded="Paid back",
    means="Means of payment",
    at="Date",
    customer="Customer",
    payment="Payment",
    footer="You receive this mail because of your order at {shop}.",
    declines={decline.message: decline.message for decline in DECLINES.values()},
    declined="The payment was declined. Please use another payment method.",
    reasons={
        Reason.GATEWAY_MISMATCH: "Stripe shows another amount, currency or state than was asked"
        " for. If no money has moved: abandon. If it has: refund, and settle it with the customer.",
        Reason.LATE_MONEY: "Money has come after the payment had ended without any. look_again"
        " honours it if the shop still takes the order, and gives it back if not; or refund.",
        Reason.GATEWAY_REFUSED: "Stripe refuses to show or to cancel what belongs to it. Put that"
        " right at Stripe, then look_again.",
        Reason.REFUND_FAILED: "The money could not be given back.",
        Reason.RUN_LOST: "Its run is gone, or Stripe does not show its intent. look_again if the"
        " customer may have paid; abandon cancels the intent, and proves it.",
    },
)
