"""Payment methods: kept, attached to a customer, detached."""

from copy import deepcopy
from typing import Literal

from pydantic import Field

from paysaga.simulator.calls import Call
from paysaga.simulator.declines import DECLINES, declined_error
from paysaga.simulator.errors import invalid, missing
from paysaga.simulator.events import emit
from paysaga.simulator.forms import Expandable, Integer, Metadata, Params
from paysaga.simulator.lists import ListParams, listed
from paysaga.simulator.method_making import (
    MethodData,
    card_behind,
    checked_expiry,
    made_of,
    made_of_token,
)
from paysaga.simulator.shapes import BillingDetails, changed, previous
from paysaga.simulator.storage import Body, Record

_USED_UP = (
    "The provided PaymentMethod was previously used with a PaymentIntent without Customer"
    " attachment, shared with a connected account without Customer attachment, or was detached"
    " from a Customer. It may not be used again. To use a PaymentMethod multiple times, you must"
    " attach it to a Customer first."
)


class CreateMethod(MethodData, Expandable):
    """Parameters of create."""


class CardChange(Params):
    """What may be changed of a card."""

    exp_month: Integer | None = None
    exp_year: Integer | None = None


class UpdateMethod(Expandable):
    """Parameters of update."""

    card: CardChange | None = None
    billing_details: BillingDetails = BillingDetails()
    metadata: Metadata = Field(default_factory=dict)
    allow_redisplay: Literal["always", "limited", "unspecified"] = "unspecified"


class AttachMethod(Expandable):
    """Parameters of attach."""

    customer: str


class ListMethods(ListParams):
    """Filters of the method list."""

    customer: str | None = None
    type: Literal["card", "paypal", "sepa_debit"] | None = None
    allow_redisplay: Literal["always", "limited", "unspecified"] | None = None


def create(call: Call, params: CreateMethod) -> Body:
    """Make a payment method of what the browser sends."""
    return made_of(call, params).body


def retrieve(call: Call, _params: Expandable) -> Body:
    """Answer with one method."""
    return find(call, call.target, "payment_method", in_path=True).body


def update(call: Call, params: UpdateMethod) -> Body:
    """Change what may be changed of an attached method."""
    record = call.own("payment_method", "payment_method")
    if not record.body["customer"]:
        raise invalid("You must attach this PaymentMethod to a customer before you can update it.")
    before = deepcopy(record.body)
    if params.card:
        _change_card(call, record.body, params.card)
    changed(record.body, params, "allow_redisplay")
    if "billing_details" in params.model_fields_set:
        given = params.billing_details.model_dump(include=params.billing_details.model_fields_set)
        record.body["billing_details"] |= given
    call.storage.put(record)
    emit(call, "payment_method.updated", record.body, previous(before, record.body))
    return record.body


def attach(call: Call, params: AttachMethod) -> Body:
    """Attach the method to a customer; most cards that decline refuse already here."""
    return attach_to(call, call.target, params.customer, in_path=True).body


def detach(call: Call, _params: Expandable) -> Body:
    """Take the method from its customer; it can never be used again."""
    record = call.own("payment_method", "payment_method")
    if not record.body["customer"]:
        raise invalid(
            "The payment method you provided is not attached to a customer so detachment is"
            " impossible."
        )
    return detach_record(call, record).body


def list_all(call: Call, params: ListMethods) -> Body:
    """List methods, in practice those of one customer."""
    customer = call.target or params.customer
    if customer and not call.storage.get("customer", customer):
        raise missing("customer", customer, "customer", in_path=bool(call.target))
    url = f"/v1/customers/{call.target}/payment_methods" if call.target else "/v1/payment_methods"
    wheres: list[tuple[str, object]] = []
    if not customer:
        wheres.append(("customer IS NOT ?", None))
    if params.allow_redisplay:
        wheres.append(("body ->> '$.allow_redisplay' = ?", params.allow_redisplay))
    equal = {"customer": customer, "type": params.type}
    body, _ = listed(call, "payment_method", url, params, equal=equal, wheres=tuple(wheres))
    return body


def retrieve_of_customer(call: Call, _params: Expandable) -> Body:
    """Answer with one method of one customer."""
    record = call.storage.get("payment_method", call.target_child)
    if not record or record.body["customer"] != call.target:
        raise missing("payment_method", call.target_child, "payment_method", in_path=True)
    return record.body


def find(call: Call, identifier: str, param: str, *, in_path: bool = False) -> Record:
    """Find a method by id; a test token becomes a new method each time."""
    if made := made_of_token(call, identifier):
        return made
    record_or_none = call.storage.get("payment_method", identifier)
    if not record_or_none:
        raise missing("payment_method", identifier, param, in_path=in_path)
    return record_or_none


def attach_to(call: Call, identifier: str, customer: str, *, in_path: bool = False) -> Record:
    """Attach and keep; repeated for the same customer it changes nothing."""
    record = find(call, identifier, "payment_method", in_path=in_path)
    call.other("customer", customer, "customer")
    if record.body["customer"] == customer:
        return record
    if record.body["customer"]:
        raise invalid("The payment method you provided has already been attached to a customer.")
    check_unused(record)
    card = card_behind(record)
    if card and not card.attaches:
        raise declined_error(DECLINES["generic_decline"])
    record.body["customer"] = customer
    call.storage.put(record)
    emit(call, "payment_method.attached", record.body)
    return record


def detach_record(call: Call, record: Record) -> Record:
    """Detach and keep, for ever unusable."""
    attached = {"customer": record.body["customer"]}
    record.body["customer"] = None
    record.private["used_up"] = True
    call.storage.put(record)
    emit(call, "payment_method.detached", record.body, attached)
    return record


def attached_to(call: Call, customer: str) -> list[Record]:
    """List the methods of a customer."""
    return call.storage.page("payment_method", [("customer = ?", customer)], limit=1000).records


def check_unused(record: Record) -> None:
    """Refuse a method that was used once without a customer, or detached."""
    if record.private.get("used_up"):
        raise invalid(_USED_UP)


def _change_card(call: Call, body: Body, change: CardChange) -> None:
    if body["type"] != "card":
        raise invalid(
            f"You provided `card`, but the PaymentMethod has the type {body['type']}.", param="card"
        )
    month = body["card"]["exp_month"] if change.exp_month is None else change.exp_month
    year = body["card"]["exp_year"] if change.exp_year is None else change.exp_year
    body["card"] |= checked_expiry(call, month, year)
