"""What we ask of Stripe: one step of one payment per activity."""

from collections.abc import Awaitable
from datetime import datetime, timedelta
from itertools import count
from typing import Final, TypeVar

import stripe
from stripe.params import (
    PaymentIntentConfirmParams,
    PaymentIntentCreateParams,
    PaymentIntentListParams,
    PaymentIntentRetrieveParams,
)
from temporalio import activity

from activities.errors import about_the_customer, as_failure, not_searched_through
from activities.stripe_orders import (
    CaptureOrder,
    CloseOrder,
    ConfirmOrder,
    FoundIntent,
    IntentOrder,
    IntentSearch,
    RefundOrder,
)
from activities.stripe_words import Refund, Refunds, as_intent, as_refund, id_of, marked_payment
from paysaga.domain.declines import decline_for
from paysaga.domain.intent import CaptureMethod, Intent
from paysaga.domain.money import to_gateway

T = TypeVar("T")

# States in which a PaymentIntent takes no further confirm or cancel (Stripe: "The Payment
# Intents API", life of a PaymentIntent).
_OVER: Final = frozenset({"succeeded", "canceled"})
_CLOCKS_DIFFER: Final = timedelta(minutes=5)
# So many pages of a whole account's intents one activity reads well within its time.
_PAGES_AT_ONCE: Final = 10
# Nothing is to be confirmed again while the money is on its way or there.
_TAKEN: Final = frozenset({"succeeded", "canceled", "processing", "requires_capture"})


class StripeCalls:
    """Activities that share one Stripe client.

    Every call may be repeated: its idempotency key comes from our own id, step and generation,
    never from the activity's try, and an object that is already as wanted counts as success.
    """

    def __init__(self, client: stripe.StripeClient) -> None:
        self._customers = client.v1.customers
        self._intents = client.v1.payment_intents
        self._refunds = client.v1.refunds

    @activity.defn
    async def create_intent(self, order: IntentOrder) -> Intent:
        """Make the payment's intent, and its customer if the gateway does not know them yet.

        Two objects in one step, since neither moves money and each has a key of its own.
        """
        customer = order.gateway_customer_id
        this = order.payment_id, order.ordered_at
        if order.generation and (
            known := await self._known_intent(*this, customer, order.searched_to)
        ):
            return known
        if customer:
            try:
                return await self._make_intent(order, customer, "intent")
            except stripe.StripeError as error:
                if not _is_missing(error, "customer"):
                    raise as_failure(error) from None
            # Somebody has deleted the customer at the gateway: they may pay all the same.
            if order.generation and (
                known := await self._known_intent(*this, None, order.searched_to)
            ):
                return known
        step = "intent:again" if customer else "intent"
        return await _answer(self._make_intent(order, await self._create_customer(order), step))

    @activity.defn
    async def confirm_intent(self, order: ConfirmOrder) -> Intent:
        """Take the money with this method; a decline is an answer, not an error.

        A repeat sends the same key, which the gateway runs at most once; its answer may be as old
        as the first try, so what the intent is now counts. A new key needs a look that shows that
        the earlier one had no effect.
        """
        if order.generation:
            intent = await _answer(self._intents.retrieve_async(order.intent_id, _WITH_METHOD))
            if had_effect(intent, order):
                return as_intent(intent)
        params: PaymentIntentConfirmParams = {
            "payment_method": order.method,
            "return_url": order.return_url,
            "expand": ["payment_method", "latest_charge"],
        }
        try:
            key = _key(order.payment_id, f"confirm:{order.attempt}", order.generation)
            confirmed = await self._intents.confirm_async(
                order.intent_id, params, {"idempotency_key": key}
            )
        except stripe.CardError as error:
            return await self._declined(order, error)
        except stripe.InvalidRequestError as error:
            return await self._refused(order, error)
        except stripe.StripeError as error:
            raise as_failure(error) from None
        if order.is_repeat:
            return await self.retrieve_intent(order.intent_id)
        return as_intent(confirmed)

    @activity.defn
    async def retrieve_intent(self, intent_id: str) -> Intent:
        """What the intent is now."""
        return as_intent(await _answer(self._intents.retrieve_async(intent_id, _WITH_METHOD)))

    @activity.defn
    async def capture_intent(self, order: CaptureOrder) -> Intent:
        """Take what the intent holds, or part of it, and answer with what it is then.

        A hold is captured once: what is captured or canceled already is an answer.
        """
        intent = await _answer(self._intents.retrieve_async(order.intent_id, _WITH_METHOD))
        if intent.status != "requires_capture":
            return as_intent(intent)
        try:
            key = _key(order.payment_id, f"capture:{order.decision}", order.generation)
            await self._intents.capture_async(
                order.intent_id,
                {"amount_to_capture": to_gateway(order.money)},
                {"idempotency_key": key},
            )
        except stripe.InvalidRequestError as error:
            # It was captured, or canceled, between our look and our capture.
            if _code(error) not in _STATE_CODES:
                raise as_failure(error) from None
        except stripe.StripeError as error:
            raise as_failure(error) from None
        return as_intent(await _answer(self._intents.retrieve_async(order.intent_id, _WITH_METHOD)))

    @activity.defn
    async def close_intent(self, order: CloseOrder) -> Intent:
        """Cancel the intent and answer with what it is afterwards; money that moved stays moved."""
        intent = await _answer(self._intents.retrieve_async(order.intent_id, _WITH_METHOD))
        if intent.status in _OVER:
            return as_intent(intent)
        try:
            key = _key(order.payment_id, f"cancel:{intent.status}", order.generation)
            await self._intents.cancel_async(order.intent_id, {}, {"idempotency_key": key})
        except stripe.InvalidRequestError as error:
            # It became final, or `processing`, between our look and our cancel.
            if _code(error) not in _STATE_CODES:
                raise as_failure(error) from None
        except stripe.StripeError as error:
            raise as_failure(error) from None
        # Only what a look shows is a proof.
        return as_intent(await _answer(self._intents.retrieve_async(order.intent_id, _WITH_METHOD)))

    @activity.defn
    async def refund_intent(self, order: RefundOrder) -> Refund:
        """Give back what the intent took; what was given back already counts as done.

        It looks first, always: somebody may have refunded in the gateway's dashboard.
        """
        if known := await self._known_refund(order):
            return known
        step = f"give_back:by:{order.decision}" if order.decision else "give_back"
        refund = await _answer(
            self._refunds.create_async(
                {
                    "payment_intent": order.intent_id,
                    "amount": to_gateway(order.money),
                    "metadata": {"payment_id": order.payment_id},
                },
                {"idempotency_key": _key(order.payment_id, step, order.generation)},
            )
        )
        return as_refund(refund)

    @activity.defn
    async def retrieve_refund(self, refund_id: str) -> Refund:
        """What the refund is now."""
        return as_refund(await _answer(self._refunds.retrieve_async(refund_id)))

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
        key = _key(order.payment_id, step, order.generation)
        return as_intent(await self._intents.create_async(params, {"idempotency_key": key}))

    async def _create_customer(self, order: IntentOrder) -> str:
        gone = order.gateway_customer_id
        key = _key(
            f"{order.environment}:{order.customer_id}",
            f"customer:after:{gone}" if gone else "customer",
            order.customer_generation,
        )
        marks = {"customer_id": order.customer_id, "environment": order.environment}
        try:
            customer = await self._customers.create_async(
                {"metadata": marks}, {"idempotency_key": key}
            )
        except stripe.StripeError as error:
            raise about_the_customer(as_failure(error)) from None
        return customer.id

    async def _known_intent(
        self, payment_id: str, ordered_at: datetime, customer: str | None, searched_to: str | None
    ) -> Intent | None:
        """The intent that an unanswered call may have made; a list shows every write at once.

        Without a customer it may be any of the account's since then, up to now: a call is repeated
        for as long as the gateway is away, so nothing bounds when it had its effect. Many are read
        some pages at a time: the error says how far.
        """
        since = int((ordered_at - _CLOCKS_DIFFER).timestamp())
        newest: PaymentIntentListParams = {"limit": 100, "created": {"gte": since}}
        if customer:
            newest["customer"] = customer
        elif searched_to:
            newest["starting_after"] = searched_to
        for number in count(1):
            page = await _answer(self._intents.list_async(newest))
            for intent in page.data:
                if marked_payment(intent) == payment_id:
                    return as_intent(intent)
            if not page.has_more:
                break
            newest["starting_after"] = page.data[-1].id
            if number == _PAGES_AT_ONCE and not customer:
                raise not_searched_through(page.data[-1].id)
        return None

    async def _declined(self, order: ConfirmOrder, error: stripe.CardError) -> Intent:
        """The gateway's answer to a decline holds the intent as the decline left it."""
        intent = await _answer(self._intents.retrieve_async(order.intent_id, _WITH_METHOD))
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
        if not about_method and _code(error) not in _METHOD_CODES | _STATE_CODES:
            raise as_failure(error) from None
        intent = await _answer(self._intents.retrieve_async(order.intent_id, _WITH_METHOD))
        if intent.status in _TAKEN:
            return as_intent(intent)
        return as_intent(intent).model_copy(
            update={"decline": decline_for("payment_method_invalid")}
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
        found = await _answer(self._refunds.list_async({"payment_intent": intent_id, "limit": 100}))
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


def _key(owner: str, step: str, generation: int) -> str:
    return f"{owner}:{step}:{generation}" if generation else f"{owner}:{step}"


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
    }


def _is_missing(error: stripe.StripeError, param: str) -> bool:
    return _code(error) == "resource_missing" and getattr(error.error, "param", None) == param


def _code(error: stripe.StripeError) -> str | None:
    return error.error.code if error.error else error.code


async def _answer(call: Awaitable[T]) -> T:
    try:
        return await call
    except stripe.StripeError as error:
        raise as_failure(error) from None
