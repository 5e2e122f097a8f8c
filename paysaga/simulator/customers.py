"""Customers."""

import secrets
from copy import deepcopy

from pydantic import Field

from paysaga.simulator import payment_methods
from paysaga.simulator.calls import Call
from paysaga.simulator.errors import invalid, missing
from paysaga.simulator.events import emit
from paysaga.simulator.forms import Blankable, Expandable, Metadata, Params
from paysaga.simulator.ids import new_id
from paysaga.simulator.lists import DatedListParams, listed
from paysaga.simulator.shapes import Address, Shipping, changed, previous
from paysaga.simulator.storage import Body, Record

_PLAIN = ("address", "description", "email", "name", "phone", "shipping", "preferred_locales")


class InvoiceSettings(Params):
    """The part of a customer that names the method for payments nobody attends."""

    default_payment_method: Blankable = None


class UpdateCustomer(Expandable):
    """Parameters of update."""

    address: Address | None = None
    description: Blankable = None
    email: Blankable = None
    invoice_settings: InvoiceSettings | None = None
    metadata: Metadata = Field(default_factory=dict)
    name: Blankable = None
    phone: Blankable = None
    preferred_locales: list[str] = Field(default_factory=list)
    shipping: Shipping | None = None


class CreateCustomer(UpdateCustomer):
    """Parameters of create."""

    payment_method: str | None = None


class ListCustomers(DatedListParams):
    """Filters of the customer list."""

    email: str | None = None


def create(call: Call, params: CreateCustomer) -> Body:
    """Create a customer, with a first payment method if one is given."""
    body: Body = {
        "id": new_id("cus_")[:18],
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": call.now,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": secrets.token_hex(4).upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }
    record = Record("customer", body)
    changed(body, params, *_PLAIN)
    call.storage.put(record)
    if params.payment_method:
        payment_methods.attach_to(call, params.payment_method, record.id)
    _set_default(call, record, params)
    call.storage.put(record)
    emit(call, "customer.created", body)
    return body


def retrieve(call: Call, _params: Expandable) -> Body:
    """Answer with the customer; of a deleted one only that it is deleted."""
    deleted = call.storage.get("deleted_customer", call.target)
    return deleted.body if deleted else call.own("customer").body


def update(call: Call, params: UpdateCustomer) -> Body:
    """Change what is given, keep the rest."""
    record = call.own("customer")
    before = deepcopy(record.body)
    changed(record.body, params, *_PLAIN)
    _set_default(call, record, params)
    call.storage.put(record)
    emit(call, "customer.updated", record.body, previous(before, record.body))
    return record.body


def delete(call: Call, _params: Params) -> Body:
    """Delete the customer for good; its payment methods are detached."""
    record = call.own("customer")
    for method in payment_methods.attached_to(call, record.id):
        payment_methods.detach_record(call, method)
    emit(call, "customer.deleted", record.body)
    body = {"id": record.id, "object": "customer", "deleted": True}
    call.storage.put(Record("deleted_customer", body))
    return body


def list_all(call: Call, params: ListCustomers) -> Body:
    """List customers; deleted ones are gone."""
    body, _ = listed(call, "customer", "/v1/customers", params, equal={"email": params.email})
    return body


def _set_default(call: Call, customer: Record, params: UpdateCustomer) -> None:
    if not params.invoice_settings:
        return
    wanted = params.invoice_settings.default_payment_method
    param = "invoice_settings[default_payment_method]"
    if wanted:
        method = call.storage.get("payment_method", wanted)
        if not method:
            raise missing("payment_method", wanted, param, in_path=False)
        if method.body["customer"] != customer.id:
            raise invalid(
                f"The customer does not have a payment method with the ID {wanted}. The payment"
                " method must be attached to the customer.",
                code="resource_missing",
                param=param,
            )
    customer.body["invoice_settings"]["default_payment_method"] = wanted
