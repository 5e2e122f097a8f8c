"""What we ask of Stripe for saved methods: one step of one method per activity."""

from typing import Final

import stripe
from stripe.params import (
    SetupIntentConfirmParams,
    SetupIntentCreateParams,
    SetupIntentRetrieveParams,
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
from activities.method_orders import CancelSetUpOrder, DetachOrder, SetUpOrder
from activities.stripe_words import as_attached, as_setup, marks_of
from paysaga.domain.declines import CARD_LIMIT_REACHED, decline_for
from paysaga.domain.saved_method import AttachedMethod, Setup, SetupStatus

# States in which a SetupIntent takes no cancel (Stripe's API reference, "Cancel a SetupIntent").
_NOT_CANCELABLE: Final = frozenset({"succeeded", "canceled", "processing"})
_STATE_CODES: Final = frozenset({"setup_intent_unexpected_state"})


class MethodCalls:
    """Activities that share one Stripe client.

    Every call may be repeated, as those of `StripeCalls` may: its key comes from our own id, step
    and generation, and what is already as wanted counts as success.
    """

    def __init__(self, client: stripe.StripeClient, guard: CardGuard | None = None) -> None:
        self._guard = guard
        self._customers = client.v1.customers
        self._setups = client.v1.setup_intents
        self._methods = client.v1.payment_methods

    @activity.defn
    async def set_up_method(self, order: SetUpOrder) -> Setup:
        """Save the method with its customer, who is made if the gateway does not know them yet.

        A decline is an answer, not an error.
        """
        if refused := await self._guarded(order):
            return refused
        customer = order.gateway_customer_id
        if order.generation and (known := await self._known(order, customer)):
            return known
        if customer:
            try:
                return await self._set_up(order, customer, "setup")
            except stripe.StripeError as error:
                if not is_missing(error, "customer"):
                    raise as_failure(error) from None
            # Somebody has deleted the customer at the gateway: they may save a method all the same.
            if order.generation and (known := await self._known(order, None)):
                return known
        made = await make_customer(self._customers, order)
        step = "setup:again" if customer else "setup"
        return await answer(self._set_up(order, made, step))

    @activity.defn
    async def retrieve_set_up(self, setup_id: str) -> Setup:
        """What the SetupIntent is now."""
        return as_setup(await answer(self._setups.retrieve_async(setup_id, _WITH_METHOD)))

    @activity.defn
    async def cancel_set_up(self, order: CancelSetUpOrder) -> Setup:
        """Cancel the SetupIntent and answer with what it is afterwards: it may have succeeded."""
        setup = await answer(self._setups.retrieve_async(order.setup_id, _WITH_METHOD))
        if setup.status in _NOT_CANCELABLE:
            return as_setup(setup)
        once = key_of(order.method_id, f"cancel:{setup.status}", order.generation)
        try:
            await self._setups.cancel_async(order.setup_id, {}, {"idempotency_key": once})
        except stripe.InvalidRequestError as error:
            # It came to an end between our look and our cancel.
            if code_of(error) not in _STATE_CODES:
                raise as_failure(error) from None
        except stripe.StripeError as error:
            raise as_failure(error) from None
        # Only what a look shows is a proof.
        return await self.retrieve_set_up(order.setup_id)

    @activity.defn
    async def detach_method(self, order: DetachOrder) -> AttachedMethod:
        """Take the method from its customer; one that has none, or is gone, counts as done."""
        try:
            method = await self._methods.retrieve_async(order.gateway_method_id)
        except stripe.StripeError as error:
            if code_of(error) == "resource_missing":
                return AttachedMethod(id=order.gateway_method_id)
            raise as_failure(error) from None
        if method.customer is None:
            return as_attached(method)
        once = key_of(order.method_id, "detach", order.generation)
        try:
            await self._methods.detach_async(order.gateway_method_id, {}, {"idempotency_key": once})
        except stripe.InvalidRequestError as error:
            # Somebody has detached it between our look and our call: that is for a look to show.
            now = await self.retrieve_method(order.gateway_method_id)
            if now.customer_id is not None:
                raise as_failure(error) from None
            return now
        except stripe.StripeError as error:
            raise as_failure(error) from None
        return await self.retrieve_method(order.gateway_method_id)

    @activity.defn
    async def retrieve_method(self, gateway_method_id: str) -> AttachedMethod:
        """What the saved method is now, and whose.

        One that the gateway does not know is an error: nothing vanishes there, so the key may be
        another account's, and a method that is lost here is lost for good.
        """
        return as_attached(await answer(self._methods.retrieve_async(gateway_method_id)))

    async def _set_up(self, order: SetUpOrder, customer: str, step: str) -> Setup:
        params: SetupIntentCreateParams = {
            "customer": customer,
            "payment_method": order.token,
            "usage": "off_session",
            "confirm": True,
            "return_url": order.return_url,
            "metadata": {
                "method_id": order.method_id,
                "customer_id": order.customer_id,
                "environment": order.environment,
                "correlation_id": order.correlation_id,
            },
            "expand": ["payment_method"],
        }
        once = key_of(order.method_id, step, order.generation)
        try:
            made = await self._setups.create_async(params, {"idempotency_key": once})
        except stripe.CardError as error:
            return await self._declined(error)
        except stripe.InvalidRequestError as error:
            if not (getattr(error.error, "param", None) or "").startswith("payment_method"):
                raise
            return _NOT_TAKEN
        except NotAsked as error:
            raise before_the_attempt(as_failure(error)) from None
        if order.is_repeat:  # the answer may be as old as the first try
            return await self.retrieve_set_up(made.id)
        return as_setup(made)

    async def _declined(self, error: stripe.CardError) -> Setup:
        """The gateway's answer to a decline names the SetupIntent, if it came so far."""
        if self._guard is not None:
            self._guard.declined()
        told = error.error
        setup = getattr(told, "setup_intent", None) if told else None
        if setup is not None:
            return await self.retrieve_set_up(setup.id)
        decline = decline_for(
            error.code,
            getattr(told, "decline_code", None),
            getattr(told, "advice_code", None),
        )
        return _NOT_TAKEN.model_copy(update={"decline": decline})

    async def _guarded(self, order: SetUpOrder) -> Setup | None:
        """Our own decline of a card that was declined too often: its bank is not asked.

        A repeat may have had its effect: of that only the gateway can tell.
        """
        if self._guard is None or order.is_repeat:
            return None
        try:
            card = await answer(self._guard.refused(order.token))
        except ApplicationError as failure:
            raise before_the_attempt(failure) from None
        if card is None:
            return None
        decline = decline_for(CARD_LIMIT_REACHED)
        return _NOT_TAKEN.model_copy(update={"decline": decline, "facts": card})

    async def _known(self, order: SetUpOrder, customer: str | None) -> Setup | None:
        """What an unanswered call may have made; a list shows every write at once.

        Without a customer it may be any of the account's since then.
        """
        found = await searched(
            self._setups.list_async,
            {"created": {"gte": int((order.ordered_at - CLOCKS_DIFFER).timestamp())}},
            lambda setup: marks_of(setup).get("method_id") == order.method_id,
            customer=customer,
            searched_to=order.searched_to,
        )
        if found is None:
            return None
        if found.status == "requires_confirmation":
            return await answer(self._confirm(order, found.id))
        return await self.retrieve_set_up(found.id)

    async def _confirm(self, order: SetUpOrder, setup_id: str) -> Setup:
        """The call was cut off after it had made the SetupIntent: the rest of it."""
        params: SetupIntentConfirmParams = {
            "payment_method": order.token,
            "return_url": order.return_url,
            "expand": ["payment_method"],
        }
        once = key_of(order.method_id, "setup:confirm", order.generation)
        try:
            return as_setup(
                await self._setups.confirm_async(setup_id, params, {"idempotency_key": once})
            )
        except stripe.CardError as error:
            return await self._declined(error)
        except stripe.InvalidRequestError as error:
            # The first call was still at work, and has come to its end since our look.
            if code_of(error) not in _STATE_CODES:
                raise
            return await self.retrieve_set_up(setup_id)


_WITH_METHOD: Final[SetupIntentRetrieveParams] = {"expand": ["payment_method"]}
_NOT_TAKEN: Final = Setup(
    status=SetupStatus.REQUIRES_PAYMENT_METHOD, decline=decline_for("payment_method_invalid")
)
