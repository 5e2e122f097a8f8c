"""What we ask of Stripe about its hosted page: one step of one payment per activity."""

from typing import Final, Protocol

import stripe
from stripe.params.checkout import (
    SessionCreateParams,
    SessionCreateParamsPaymentIntentData,
    SessionRetrieveParams,
)
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.checkout_orders import CloseSession, FoundSession, SessionOrder, SessionSearch
from activities.errors import NotAsked, Trouble, as_failure
from activities.gateway_steps import (
    CLOCKS_DIFFER,
    answer,
    is_missing,
    key_of,
    make_customer,
    searched,
)
from activities.stripe_words import as_session, marks_of
from paysaga.domain.checkout import CheckoutSession
from paysaga.domain.intent import CaptureMethod
from paysaga.domain.money import to_gateway


class Addresses(Protocol):
    """Where customers are written to."""

    async def email(self, customer_id: str) -> str | None:
        """The customer's e-mail address, if they gave one."""


class CheckoutCalls:
    """Activities that share one Stripe client. Every call may be repeated, as in `StripeCalls`."""

    def __init__(self, client: stripe.StripeClient, addresses: Addresses) -> None:
        self._customers = client.v1.customers
        self._sessions = client.v1.checkout.sessions
        self._addresses = addresses

    @activity.defn
    async def open_session(self, order: SessionOrder) -> CheckoutSession:
        """Open the page of this attempt, and make its customer if the gateway has none."""
        customer = order.gateway_customer_id
        if order.generation and (known := await self._known(order, customer)):
            return known
        if customer:
            try:
                return await self._open(order, customer, "page")
            except stripe.StripeError as error:
                if not is_missing(error, "customer"):
                    raise _failure(error) from None
            # Somebody has deleted the customer at the gateway: they may pay all the same.
            if order.generation and (known := await self._known(order, None)):
                return known
        step = "page:again" if customer else "page"
        customer = await make_customer(self._customers, order)
        try:
            return await self._open(order, customer, step)
        except stripe.StripeError as error:
            raise _failure(error) from None

    @activity.defn
    async def retrieve_session(self, session_id: str) -> CheckoutSession:
        """What the page is now, and its intent."""
        return as_session(await answer(self._sessions.retrieve_async(session_id, _WHOLE)))

    @activity.defn
    async def close_session(self, order: CloseSession) -> CheckoutSession:
        """Expire the page and answer with what it is afterwards; money that moved stays moved."""
        session = await answer(self._sessions.retrieve_async(order.session_id, _WHOLE))
        if session.status != "open":
            return as_session(session)
        try:
            key = key_of(order.payment_id, f"expire:{order.session_id}", order.generation)
            await self._sessions.expire_async(order.session_id, {}, {"idempotency_key": key})
        except stripe.InvalidRequestError:
            pass  # its customer was faster, or its time was over: the look tells
        except stripe.StripeError as error:
            raise as_failure(error) from None
        # Only what a look shows is a proof.
        return as_session(await answer(self._sessions.retrieve_async(order.session_id, _WHOLE)))

    @activity.defn
    async def find_session(self, search: SessionSearch) -> FoundSession:
        """The attempt's page, by what we wrote on it."""
        return FoundSession(session=await self._known(search, search.gateway_customer_id))

    async def _open(self, order: SessionOrder, customer: str, step: str) -> CheckoutSession:
        await self._introduce(order.customer_id, customer)
        key = key_of(order.payment_id, f"{step}:{order.attempt}", order.generation)
        opened = await self._sessions.create_async(
            _params(order, customer), {"idempotency_key": key}
        )
        return as_session(opened)

    async def _introduce(self, customer_id: str, customer: str) -> None:
        """Tell the gateway the customer's address: the page has it filled in.

        It is written, not added, so a repeat changes nothing. One that the gateway will not have
        keeps nobody from paying.
        """
        email = await self._addresses.email(customer_id)
        if email is None:
            return
        try:
            await self._customers.update_async(customer, {"email": email})
        except (NotAsked, stripe.RateLimitError):
            raise  # nor is the page to be asked for
        except stripe.StripeError:
            # A customer who is not there any more is told by the session's own creation.
            activity.logger.warning("the gateway does not take the customer's e-mail address")

    async def _known(
        self, wanted: SessionOrder | SessionSearch, customer: str | None
    ) -> CheckoutSession | None:
        """The page that an unanswered call may have opened for this attempt."""
        ours = {"payment_id": wanted.payment_id, "attempt": str(wanted.attempt)}
        found = await searched(
            self._sessions.list_async,
            {"created": {"gte": int((wanted.ordered_at - CLOCKS_DIFFER).timestamp())}},
            lambda session: ours.items() <= marks_of(session).items(),
            customer=customer,
            searched_to=wanted.searched_to,
        )
        return await self.retrieve_session(found.id) if found is not None else None


_WHOLE: Final[SessionRetrieveParams] = {
    "expand": ["payment_intent.payment_method", "payment_intent.latest_charge"]
}


def _params(order: SessionOrder, customer: str) -> SessionCreateParams:
    name = order.description or f"Order {order.order_id}"
    return {
        "mode": "payment",
        "customer": customer,
        "client_reference_id": order.payment_id,
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": order.money.currency.lower(),
                    "unit_amount": to_gateway(order.money),
                    "product_data": {"name": name},
                },
            }
        ],
        "success_url": order.success_url,
        "cancel_url": order.cancel_url,
        "expires_at": int(order.expires_at.timestamp()),
        "metadata": _marks(order),
        # The intent's events lead back to the payment by its own marks.
        "payment_intent_data": _intent_data(order),
    }


def _intent_data(order: SessionOrder) -> SessionCreateParamsPaymentIntentData:
    data: SessionCreateParamsPaymentIntentData = {"metadata": _marks(order)}
    if order.description:
        data["description"] = order.description
    if order.statement_descriptor_suffix:
        data["statement_descriptor_suffix"] = order.statement_descriptor_suffix
    if order.capture_method is CaptureMethod.MANUAL:
        data["capture_method"] = "manual"
    return data


def _marks(order: SessionOrder) -> dict[str, str]:
    return {
        "payment_id": order.payment_id,
        "order_id": order.order_id,
        "customer_id": order.customer_id,
        "environment": order.environment,
        "correlation_id": order.correlation_id,
        "attempt": str(order.attempt),
    }


def _failure(error: stripe.StripeError) -> ApplicationError:
    """What Temporal is told. The time to pay may have grown short while nobody answered.

    The gateway refuses such a moment before it keeps anything under the key (Stripe: "Idempotent
    requests"), unless it had its effect before: so the next key, after a look.
    """
    failure = as_failure(error)
    param = getattr(error.error, "param", None) if error.error else None
    if failure.type == Trouble.REFUSED and param == "expires_at":
        return ApplicationError(
            "the gateway finds the page's time too short: it gets a new one",
            *failure.details,
            type=Trouble.STICKY,
            non_retryable=True,
        )
    return failure
