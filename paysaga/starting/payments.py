"""From an order to the payment that its run is handed."""

import re
from typing import Final, NamedTuple, Self
from uuid import uuid4

from paysaga.domain import ids
from paysaga.domain.cards import holds_card_number
from paysaga.domain.checkout import ON_THE_PAGE
from paysaga.domain.payment import HostedPage, Payment, Policy, RequestMark
from paysaga.settings import Settings
from paysaga.starting.methods import Chosen
from paysaga.starting.orders import CheckoutOrder, PaymentOrder
from paysaga.starting.prices import Price

API: Final = "/api/v1"

_GOOD_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Asked(NamedTuple):
    """One request to pay: the payment's id follows from the customer and the request's key."""

    payment_id: str
    customer_id: str
    mark: RequestMark
    actor: str
    correlation_id: str

    @classmethod
    def by(
        cls, customer_id: str, key: str, fingerprint: str, *, actor: str, correlation_id: str
    ) -> Self:
        """Asked for this customer, under this key.

        Args:
            customer_id: Ours.
            key: The caller's own: the same key is the same request, for ever.
            fingerprint: The same for the same content.
            actor: How the history names the caller.
            correlation_id: What the caller's logs know it by.
        """
        return cls(
            payment_id=ids.derived(ids.PAYMENT, customer_id, key),
            customer_id=customer_id,
            mark=RequestMark(key=ids.fingerprint(key), fingerprint=fingerprint),
            actor=actor,
            correlation_id=correlation_id,
        )


class Findings(NamedTuple):
    """What was found out before the payment may start."""

    price: Price
    method: Chosen | None  # none on the gateway's page
    gateway_customer_id: str | None
    has_order_service: bool
    attempts: int


def correlation_id(told: str | None) -> str:
    """The caller's own, if it is fit to be written everywhere; else a new one."""
    if told and _GOOD_ID.fullmatch(told) and not holds_card_number(told):
        return told
    return uuid4().hex


def payment_address(settings: Settings, payment_id: str) -> str:
    """Where the payment is found from outside."""
    return f"{str(settings.public_base_url).rstrip('/')}{API}/payments/{payment_id}"


def payment_for(
    settings: Settings,
    asked: Asked,
    order: PaymentOrder | CheckoutOrder,
    found: Findings,
    page: HostedPage | None = None,
) -> Payment:
    """All that a run needs to know."""
    return Payment(
        id=asked.payment_id,
        order_id=order.order_id,
        customer_id=asked.customer_id,
        gateway_customer_id=found.gateway_customer_id,
        money=found.price.money,
        method=found.method.token if found.method else ON_THE_PAGE,
        page=page,
        capture_method=order.capture_method,
        renew_hold_until=order.renew_hold_until if isinstance(order, PaymentOrder) else None,
        service_date=found.price.service_date,
        refund_policy=settings.refund_policy,
        refund_policy_id=settings.refund_policy.id,
        description=order.description,
        statement_descriptor_suffix=settings.statement_descriptor_suffix,
        return_url=order.return_url,
        gateway_return_url=f"{payment_address(settings, asked.payment_id)}/return",
        metadata=order.metadata,
        environment=settings.environment_name,
        policy=Policy(
            attempts=found.attempts, hold=settings.hold, action_window=settings.action_window
        ),
        has_order_service=found.has_order_service,
        actor=asked.actor,
        request=asked.mark,
        correlation_id=asked.correlation_id,
    )
