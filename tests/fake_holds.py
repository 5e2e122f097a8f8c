"""A gateway where one payment may have several intents: each renewal of its hold has its own."""

from activities.stripe_orders import CaptureOrder, CloseOrder, ConfirmOrder, IntentOrder
from activities.stripe_words import Refund, Refunds
from paysaga.domain.intent import Intent, IntentStatus
from tests.fakes import PRICE, FakeGateway


class FakeHolds(FakeGateway):
    """`intents` holds all of them by their names: `pi_1`, and `pi_r…` for the renewals.

    What is asked of one of them is done to that one; the script goes on from one to the next.
    """

    def __init__(self, *script: str, **more: object) -> None:
        super().__init__(*script, **more)  # type: ignore[arg-type]
        self.intents: dict[str, Intent] = {self.intent.id: self.intent}
        self.refunds_of: dict[str, Refunds] = {}

    async def create_intent(self, order: IntentOrder) -> Intent:
        if order.renewal is not None:
            name = f"pi_r{order.renewal}"
            fresh = Intent(id=name, status=IntentStatus.REQUIRES_PAYMENT_METHOD, money=PRICE)
            self.intents.setdefault(name, fresh.model_copy(update={"customer_id": "cus_1"}))
            self.turn_to(name)
        return self._kept(await super().create_intent(order))

    async def confirm_intent(self, order: ConfirmOrder) -> Intent:
        self.turn_to(order.intent_id)
        return self._kept(await super().confirm_intent(order))

    async def retrieve_intent(self, intent_id: str) -> Intent:
        self.turn_to(intent_id)
        return await super().retrieve_intent(intent_id)

    async def capture_intent(self, order: CaptureOrder) -> Intent:
        self.turn_to(order.intent_id)
        return self._kept(await super().capture_intent(order))

    async def close_intent(self, order: CloseOrder) -> Intent:
        self.turn_to(order.intent_id)
        return self._kept(await super().close_intent(order))

    async def list_refunds(self, intent_id: str) -> Refunds:
        refunds = await super().list_refunds(intent_id)
        return self.refunds_of.get(intent_id, refunds)

    def refunded_there(self, name: str) -> None:
        """Somebody gives all of it back in the gateway's dashboard."""
        refund = Refund(id=f"re_{name}", status="succeeded", amount=PRICE.minor)
        self.refunds_of[name] = Refunds(refunds=(refund,))

    def captured_there(self, name: str) -> None:
        """Somebody captures that one in the gateway's dashboard."""
        self.turn_to(name)
        self.captured_by_hand(PRICE.minor)
        self._kept(self.intent)

    def turn_to(self, name: str) -> None:
        """What the script says next happens to this one."""
        self.intent = self.intents[name]

    @property
    def statuses(self) -> dict[str, str]:
        """What each of them is now."""
        return {name: str(intent.status) for name, intent in self.intents.items()}

    def _kept(self, intent: Intent) -> Intent:
        self.intents[intent.id] = intent
        return intent
