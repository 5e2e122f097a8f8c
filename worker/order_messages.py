"""The messages that orders come in, and what is told of those that are refused."""

import re
from typing import Annotated, Final

from pydantic import Field, StrictInt, StringConstraints, ValidationError

from paysaga.domain import ids
from paysaga.domain.cards import holds_card_number, json_holds_card_number
from paysaga.domain.intent import CaptureMethod
from paysaga.domain.message import Message
from paysaga.domain.money import Currency, Money
from paysaga.domain.service_date import ServiceDate
from paysaga.settings import Environment, Settings
from paysaga.starting.fields import field_of, what_is_wrong
from paysaga.starting.orders import (
    Body,
    CustomerId,
    Description,
    Metadata,
    MethodId,
    OrderId,
    PaymentOrder,
    WebAddress,
)
from paysaga.starting.payments import Asked

STOCK_CONFIRMED: Final = "order.stock-confirmed"
PAYMENT_REFUSED: Final = "order.payment-refused"
ACTOR: Final = f"broker:{STOCK_CONFIRMED}"

_ESCAPED: Final = re.compile(r"\\u([0-9a-fA-F]{4})")
LONGEST_BODY: Final = 64 * 1024
_LONGEST_DETAIL: Final = 500


class NotAnOrder(Exception):
    """The message is none that a payment could be started for, now or ever."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail


class HoldsCardNumber(NotAnOrder):
    """It holds a card number, and must not be kept anywhere."""

    def __init__(self) -> None:
        told = "A card number must not be sent here. The message was neither kept nor logged."
        super().__init__("card_number_refused", told)


class StockConfirmed(Body):
    """The shop has what was ordered: it is to be paid. Amounts are whole minor units.

    Nobody sits at a page: a decline is the end, unless `attempts` leaves the customer more.
    """

    event_id: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$")]
    order_id: OrderId
    customer_id: CustomerId
    amount: Annotated[StrictInt, Field(ge=1, le=999_999_999_999)]
    currency: Currency
    payment_method_id: MethodId
    return_url: WebAddress
    capture_method: CaptureMethod = CaptureMethod.AUTOMATIC
    service_date: ServiceDate | None = None
    description: Description | None = None
    metadata: Metadata = Field(default_factory=dict)
    attempts: Annotated[StrictInt, Field(ge=1, le=10)] = 1

    @property
    def money(self) -> Money:
        """What the shop says that it costs."""
        return Money(minor=self.amount, currency=self.currency)

    @property
    def as_order(self) -> PaymentOrder:
        """The body of the same request over HTTP."""
        told = self.model_dump(exclude={"event_id", "attempts"}, exclude_unset=True)
        return PaymentOrder.model_validate(told)

    def asked(self, correlation_id: str) -> Asked:
        """The same payment as over HTTP, with the event's id as the Idempotency-Key."""
        more = [f"attempts={self.attempts}"] if self.attempts != 1 else []
        return Asked.by(
            self.customer_id,
            self.event_id,
            self.as_order.fingerprint(PaymentOrder.step, *more),
            actor=ACTOR,
            correlation_id=correlation_id,
        )


class PaymentRefused(Message):
    """Why no payment was started for an order. `payment_id` is the one in the way."""

    id: str
    event_id: str
    order_id: str
    customer_id: str
    code: str
    detail: str
    payment_id: str | None

    @classmethod
    def of(
        cls, order: StockConfirmed, code: str, detail: str, payment_id: str | None
    ) -> "PaymentRefused":
        """The same refusal of the same order always has the same id."""
        about = (PAYMENT_REFUSED, order.customer_id, order.event_id, order.order_id, code)
        return cls(
            id=ids.derived(ids.EVENT, *about),
            event_id=order.event_id,
            order_id=order.order_id,
            customer_id=order.customer_id,
            code=code,
            detail=detail,
            payment_id=payment_id,
        )


def read(body: bytes, settings: Settings) -> StockConfirmed:
    """The order of a message.

    Raises:
        NotAnOrder: It has none; each field that is wrong is named, and no value repeated.
    """
    if len(body) > LONGEST_BODY:
        raise NotAnOrder("body_too_large", f"No more than {LONGEST_BODY} bytes are read.")
    text = body.decode(errors="replace")
    # What is no JSON has no escapes that count, but it would be kept with the digits they mean.
    meant = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    if json_holds_card_number(text) or holds_card_number(meant):
        raise HoldsCardNumber
    try:
        order = StockConfirmed.model_validate_json(body)
    except ValidationError as error:
        raise _not_an_order(error) from None
    if order.attempts > settings.payment_attempts:
        told = f"attempts: No more than {settings.payment_attempts} are made here."
        raise NotAnOrder("validation_failed", told)
    if settings.environment is Environment.PRODUCTION and not _is_encrypted(order.return_url):
        raise NotAnOrder("validation_failed", "return_url: An https address is needed.")
    return order


def _not_an_order(error: ValidationError) -> NotAnOrder:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if any(detail["type"] == "json_invalid" for detail in found):
        return NotAnOrder("malformed_json", "The body is not JSON.")
    wrong = [f"{field_of(detail['loc']) or 'body'}: {what_is_wrong(detail)}" for detail in found]
    return NotAnOrder("validation_failed", "; ".join(wrong)[:_LONGEST_DETAIL])


def _is_encrypted(address: str) -> bool:
    return address.startswith("https://")
