"""What we ask of Stripe: one step of one payment per activity."""

from datetime import datetime
from typing import Final

import stripe
from stripe.params import (
    PaymentIntentConfirmParams,
    PaymentIntentCreateParams,
    PaymentIntentRetrieveParams,
)
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.card_guard import CardGuard
from activities.errors import NotAsked, as_failure, before_the_attempt
from activities.gateway_steps import (
    CLOCKS_DIFFER,
    answer,
    code_of,
    is_missing,
    key_of,
    make_customer,
    searched,
)
from activities.stripe_orders import (
    CaptureOrder,
    CloseOrder,
    ConfirmOrder,
    FoundIntent,
    IntentOrder,
    IntentSearch,
    RefundOrder,
)
from activities.stripe_words import (
    Refund,
    Refunds,
    as_intent,
    as_refund,
    id_of,
    marked_payment,
    marks_of,
)
from paysaga.domain.declines import CARD_LIMIT_REACHED, decline_for
from paysaga.domain.intent import CaptureMethod, Intent
from paysaga.domain.money import to_gateway

# States in which a PaymentIntent takes no further confirm or cancel (Stripe: "The Payment
# Intents API", life of a PaymentIntent).
_OVER: Final = frozenset({"succeeded", "canceled"})
# Nothing is to be confirmed again while the money is on its way or there.
_TAKEN: Final = frozenset({"succeeded", "canceled", "processing", "requires_capture"})


class StripeCalls:
    """Activities that share one Stripe client.

    Every call may be repeated: its idempotency key comes from our own id, step and generation,
    never from the activity's try, and an object that is already as wanted counts as success.
    """

    def __init__(self, client: stripe.StripeClient, guard: CardGuard | None = None) -> None:
        self._guard = guard
        self._customers = client.v1.customers
        self._intents = client.v1.payment_intents
        self._refunds = client.v1.refunds

    @activity.defn
    async def create_intent(self, order: IntentOrder) -> Intent:
        """Make the payment's intent, and its customer if the gateway does not know them yet.

        Two objects in one step, since neither moves money and each has a key of its own.
        """
        customer = order.gateway_customer_id
        made = "intent" if order.renewal is None else f"renewal:{order.renewal}"
        this = order.payment_id, order.renewal, order.ordered_at
        if order.generation and (
            known := await self._known_intent(*this, customer, order.searched_to)
        ):
            return known
        if customer:
            try:
                return await self._make_intent(order, customer, made)
            except stripe.StripeError as error:
                if not is_missing(error, "customer"):
                    raise as_failure(error) from None
            # Somebody has deleted the customer at the gateway: they may pay all the same.
            if order.generation and (
                known := await self._known_intent(*this, None, order.searched_to)
            ):
                return known
        step = f"{made}:again" if customer else made
        return await answer(
            self._make_intent(order, await make_customer(self._customers, order), step)
        )

    @activity.defn
    async def confirm_intent(self, order: ConfirmOrder) -> Intent:
        """Take the money with this method; a decline is an answer, not an error.

        A repeat sends the same key, which the gateway runs at most once; its answer may be as old
        as the first try, so what the intent is now counts. A new key needs a look that shows that
        the earlier one had no effect.
        """
        if order.generation:
            intent = await answer(self._intents.retrieve_async(order.intent_id, _WITH_METHOD))
            if had_effect(intent, order):
                return as_intent(intent)
        if refused := await self._guarded(order):
            return refused
        params: PaymentIntentConfirmParams = {
            "payment_method": order.method,
            "return_url": order.return_url,
            "expand": ["payment_method", "latest_charge"],
        }
        step = f"confirm:{order.attempt}"
        if order.renewal is not None:
            params["off_session"] = True
            step = f"renewal:{order.renewal}:confirm"
        try:
            key = key_of(order.payment_id, step, order.generation)
            confirmed = await self._intents.confirm_async(
                order.intent_id, params, {"idempotency_key": key}
            )
        except stripe.CardError as error:
            return await self._declined(order, error)
        except stripe.InvalidRequestError as error:
            return await self._refused(order, error)
        except NotAsked as error:
            raise before_the_attempt(as_failure(error)) from None
        except stripe.StripeError as error:
            raise as_failure(error) from None
        if order.is_repeat:
            return await self.retrieve_intent(order.intent_id)
        return as_intent(confirmed)

    @activity.defn
    async def retrieve_intent(self, intent_id: str) -> Intent:
        """What the intent is now."""
        return as_intent(await answer(self._intents.retrieve_async(intent_id, _WITH_METHOD)))

    @activity.defn
    async def capture_intent(self, order: CaptureOrder) -> Intent:
        """Take what the intent holds, or part of it, and answer with what it is then.

        A hold is captured once: what is captured or canceled already is an answer.
        """
        intent = await answer(self._intents.retrieve_async(order.intent_id, _WITH_METHOD))
        if intent.status != "requires_capture":
            return as_intent(intent)
        try:
            key = key_of(order.payment_id, f"capture:{order.decision}", order.generation)
            await self._intents.capture_async(
                order.intent_id,
                {"amount_to_capture": to_gateway(order.money)},
                {"idempotency_key": key},
            )
        except stripe.InvalidRequestError as error:
            # It was captured, or canceled, between our look and our capture.
            if code_of(error) not in _STATE_CODES:
                raise as_failure(error) from None
        except stripe.StripeError as error:
            raise as_failure(error) from None
        return as_intent(await answer(self._intents.retrieve_async(order.intent_id, _WITH_METHOD)))

    @activity.defn
    async def close_intent(self, order: CloseOrder) -> Intent:
        """Cancel the intent and answer with what it is afterwards; money that moved stays moved."""
        intent = await answer(self._intents.retrieve_async(order.intent_id, _WITH_METHOD))
        if intent.status in _OVER:
            return as_intent(intent)
        try:
            step = f"cancel:{intent.status}"
            if order.decision is not None:
                step = f"{step}:by:{order.decision}"
            key = key_of(order.payment_id, step, order.generation)
            await self._intents.cancel_async(order.intent_id, {}, {"idempotency_key": key})
        except stripe.InvalidRequestError as error:
            # It became final, or `processing`, between our look and our cancel.
            if code_of(error) not in _STATE_CODES:
                raise as_failure(error) from None
        except stripe.StripeError as error:
            raise as_failure(error) from None
        # Only what a look shows is a proof.
        return as_intent(await answer(self._intents.retrieve_async(order.intent_id, _WITH_METHOD)))

    @activity.defn
    async def refund_intent(self, order: RefundOrder) -> Refund:
        """Give back what the intent took; what was given back already counts as done.

        It looks first, always: somebody may have refunded in the gateway's dashboard.
        """
        if known := await self._known_refund(order):
            return known
        step = f"give_back:by:{order.decision}" if order.decision else "give_back"
        refund = await answer(
            self._refunds.create_async(
                {
                    "payment_intent": order.intent_id,
                    "amount": to_gateway(order.money),
                    "metadata": {"payment_id": order.payment_id},
                },
                {"idempotency_key": key_of(order.payment_id, step, order.generation)},
            )
        )
        return as_refund(refund)

    @activity.defn
    async def retrieve_refund(self, refund_id: str) -> Refund:
        """What the refund is now."""
        return as_refund(await answer(self._refunds.retrieve_async(refund_id)))

    @activity.defn
    async def list_refunds(self, intent_id: str) -> Refunds:
        """Every refund of the intent, whoever made it."""
        return Refunds(refunds=tuple(map(as_refund, await self._all_refunds(intent_id))))

    @activity.defn
    async def find_intent(self, search: IntentSearch) -> FoundIntent:
        """The payment's intent, by what we wrote on it; a list shows every write at once."""
        return FoundIntent(
            intent=await self._known_intent(
                search.payment_id,
                None,
                search.ordered_at,
                search.gateway_customer_id,
                search.searched_to,
            )
        )

    async def _make_intent(self, order: IntentOrder, customer: str, step: str) -> Intent:
        params: PaymentIntentCreateParams = {
            "amount": to_gateway(order.money),
            "currency": order.money.currency.lower(),
            "customer": customer,
            "metadata": _marks(order),
        }
        if order.description:
            params["description"] = order.description
        if order.capture_method is CaptureMethod.MANUAL:
            params["capture_method"] = "manual"
        if order.statement_descriptor_suffix:
            params["statement_descriptor_suffix"] = order.statement_descriptor_suffix
        key = key_of(order.payment_id, step, order.generation)
        return as_intent(await self._intents.create_async(params, {"idempotency_key": key}))

    async def _known_intent(
        self,
        payment_id: str,
        renewal: int | None,
        ordered_at: datetime,
        customer: str | None,
        searched_to: str | None,
    ) -> Intent | None:
        """The intent that an unanswered call may have made: the payment's first, or a renewal's."""
        wanted = payment_id, renewal and str(renewal)
        found = await searched(
            self._intents.list_async,
            {"created": {"gte": int((ordered_at - CLOCKS_DIFFER).timestamp())}},
            lambda intent: (marked_payment(intent), marks_of(intent).get("renewal")) == wanted,
            customer=customer,
            searched_to=searched_to,
        )
        return as_intent(found) if found is not None else None

    async def _guarded(self, order: ConfirmOrder) -> Intent | None:
        """Our own decline of a card that was declined too often.

        A repeat may have had its effect: of that only the gateway can tell.
        """
        if self._guard is None or order.is_repeat:
            return None
        try:
            card = await answer(self._guard.refused(order.method))
            if card is None:
                return None
            intent = await self.retrieve_intent(order.intent_id)
        except ApplicationError as failure:
            raise before_the_attempt(failure) from None
        if intent.status in _TAKEN:
            return intent
        return intent.model_copy(
            update={
                "decline": decline_for(CARD_LIMIT_REACHED),
                "method": card,
                "charge_id": None,  # the one that it may show is an earlier attempt's
            }
        )

    async def _declined(self, order: ConfirmOrder, error: stripe.CardError) -> Intent:
        """The gateway's answer to a decline holds the intent as the decline left it."""
        if self._guard is not None:
            self._guard.declined()
        intent = await answer(self._intents.retrieve_async(order.intent_id, _WITH_METHOD))
        told = error.error
        decline = decline_for(
            error.code,
            told.decline_code if told else None,
            getattr(told, "advice_code", None) if told else None,
        )
        return as_intent(intent).model_copy(update={"decline": decline})

    async def _refused(self, order: ConfirmOrder, error: stripe.InvalidRequestError) -> Intent:
        """A method that cannot be used is the customer's to change; a wrong state is a fact."""
        about_method = (getattr(error.error, "param", None) or "").startswith("payment_method")
        if not about_method and code_of(error) not in _METHOD_CODES | _STATE_CODES:
            raise as_failure(error) from None
        intent = await answer(self._intents.retrieve_async(order.intent_id, _WITH_METHOD))
        if intent.status in _TAKEN:
            return as_intent(intent)
        # What the intent may still show is an earlier attempt's.
        return as_intent(intent).model_copy(
            update={
                "decline": decline_for("payment_method_invalid"),
                "method": None,
                "charge_id": None,
            }
        )

    async def _known_refund(self, order: RefundOrder) -> Refund | None:
        refunds = [
            refund
            for refund in await self._all_refunds(order.intent_id)
            if refund.id not in order.after
        ]
        for refund in refunds:
            marks = refund.metadata.to_dict() if refund.metadata else {}
            if marks.get("payment_id") == order.payment_id:
                return as_refund(refund)
        by_hand = [refund for refund in refunds if refund.status in {"succeeded", "pending"}]
        if by_hand and sum(refund.amount for refund in by_hand) >= to_gateway(order.money):
            return as_refund(by_hand[0])
        return None

    async def _all_refunds(self, intent_id: str) -> list[stripe.Refund]:
        found = await answer(self._refunds.list_async({"payment_intent": intent_id, "limit": 100}))
        return found.data


_WITH_METHOD: Final[PaymentIntentRetrieveParams] = {"expand": ["payment_method", "latest_charge"]}
_STATE_CODES: Final = frozenset({"payment_intent_unexpected_state"})
# Codes of a payment method that this customer cannot use (Stripe: "Error codes").
_METHOD_CODES: Final = frozenset(
    {
        "payment_method_invalid_parameter",
        "payment_method_unactivated",
        "payment_method_unexpected_state",
        "payment_method_provider_decline",
        "payment_method_customer_decline",
        "payment_intent_incompatible_payment_method",
        "payment_method_not_available",
        "resource_missing",
    }
)


def had_effect(intent: stripe.PaymentIntent, order: ConfirmOrder) -> bool:
    """Whether the intent shows more than we knew before the attempt."""
    asks_the_customer = intent.status == "requires_action" != order.seen_status
    charged = id_of(intent.latest_charge) != order.seen_charge_id
    return intent.status in _TAKEN or charged or asks_the_customer


def _marks(order: IntentOrder) -> dict[str, str]:
    """Our ids in the gateway's object: they lead its webhooks back to the payment."""
    return {
        "payment_id": order.payment_id,
        "order_id": order.order_id,
        "customer_id": order.customer_id,
        "environment": order.environment,
        "correlation_id": order.correlation_id,
        **({} if order.renewal is None else {"renewal": str(order.renewal)}),
    }
