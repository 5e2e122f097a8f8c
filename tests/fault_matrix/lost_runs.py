"""The product's calls, and runs that are lost when something is done and nobody knows yet."""

from temporalio import activity

from activities.checkout_calls import CheckoutCalls
from activities.checkout_orders import SessionOrder
from activities.stripe_calls import StripeCalls
from activities.stripe_orders import ConfirmOrder
from paysaga.domain.checkout import CheckoutSession
from paysaga.domain.intent import Intent
from tests.fault_matrix.cells import LOST


class LostRuns(StripeCalls):
    """Confirms like the product; a run in `LOST` is terminated before it has heard the answer."""

    @activity.defn
    async def confirm_intent(self, order: ConfirmOrder) -> Intent:
        intent = await super().confirm_intent(order)
        if order.payment_id in LOST:
            await activity.client().get_workflow_handle(order.payment_id).terminate("lost")
        return intent


class LostPages(CheckoutCalls):
    """Opens pages like the product; a run in `LOST` never hears of its page."""

    @activity.defn
    async def open_session(self, order: SessionOrder) -> CheckoutSession:
        page = await super().open_session(order)
        if order.payment_id in LOST:
            await activity.client().get_workflow_handle(order.payment_id).terminate("lost")
        return page
