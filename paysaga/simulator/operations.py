"""Every operation that is simulated: its path, its parameters and who carries it out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from paysaga.simulator import (
    balance_transactions,
    charges,
    checkout_params,
    checkout_payment,
    checkout_sessions,
    customers,
    dispute_bodies,
    disputes,
    events,
    intent_params,
    intents,
    payment_methods,
    prices,
    products,
    refunds,
    setup_intents,
    setup_params,
    webhook_endpoints,
)
from paysaga.simulator.calls import Call
from paysaga.simulator.errors import ApiError
from paysaga.simulator.forms import Expandable, Params
from paysaga.simulator.lists import ListParams
from paysaga.simulator.storage import Body


@dataclass(frozen=True, slots=True)
class Operation:
    """One row. `path` has `{}` for ids; `takes_time` and `for_browsers` say what they say."""

    name: str
    method: str
    path: str
    params: type[Params]
    carry_out: Callable[[Call, Any], Body]
    takes_time: bool = False
    for_browsers: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """An operation and the ids that its path carried."""

    operation: Operation
    target: str
    child: str


_OPERATIONS = (
    Operation("customers.create", "POST", "customers", customers.CreateCustomer, customers.create),
    Operation("customers.list", "GET", "customers", customers.ListCustomers, customers.list_all),
    Operation("customers.retrieve", "GET", "customers/{}", Expandable, customers.retrieve),
    Operation(
        "customers.update", "POST", "customers/{}", customers.UpdateCustomer, customers.update
    ),
    Operation("customers.delete", "DELETE", "customers/{}", Params, customers.delete),
    Operation(
        "customers.list_payment_methods", "GET", "customers/{}/payment_methods",
        payment_methods.ListMethods, payment_methods.list_all,
    ),
    Operation(
        "customers.retrieve_payment_method", "GET", "customers/{}/payment_methods/{}",
        Expandable, payment_methods.retrieve_of_customer,
    ),
    Operation(
        "payment_methods.create", "POST", "payment_methods",
        payment_methods.CreateMethod, payment_methods.create, for_browsers=True,
    ),
    Operation(
        "payment_methods.list", "GET", "payment_methods",
        payment_methods.ListMethods, payment_methods.list_all,
    ),
    Operation(
        "payment_methods.retrieve", "GET", "payment_methods/{}",
        Expandable, payment_methods.retrieve,
    ),
    Operation(
        "payment_methods.update", "POST", "payment_methods/{}",
        payment_methods.UpdateMethod, payment_methods.update,
    ),
    Operation(
        "payment_methods.attach", "POST", "payment_methods/{}/attach",
        payment_methods.AttachMethod, payment_methods.attach,
    ),
    Operation(
        "payment_methods.detach", "POST", "payment_methods/{}/detach",
        Expandable, payment_methods.detach,
    ),
    Operation(
        "payment_intents.create", "POST", "payment_intents",
        intent_params.CreateIntent, intents.create, takes_time=True,
    ),
    Operation(
        "payment_intents.list", "GET", "payment_intents",
        intent_params.ListIntents, intents.list_all,
    ),
    Operation(
        "payment_intents.retrieve", "GET", "payment_intents/{}",
        intent_params.RetrieveIntent, intents.retrieve, for_browsers=True,
    ),
    Operation(
        "payment_intents.update", "POST", "payment_intents/{}",
        intent_params.UpdateIntent, intents.update,
    ),
    Operation(
        "payment_intents.confirm", "POST", "payment_intents/{}/confirm",
        intent_params.ConfirmIntent, intents.confirm, takes_time=True,
    ),
    Operation(
        "payment_intents.capture", "POST", "payment_intents/{}/capture",
        intent_params.CaptureIntent, intents.capture, takes_time=True,
    ),
    Operation(
        "payment_intents.cancel", "POST", "payment_intents/{}/cancel",
        intent_params.CancelIntent, intents.cancel,
    ),
    Operation(
        "setup_intents.create", "POST", "setup_intents",
        setup_params.CreateSetup, setup_intents.create, takes_time=True,
    ),
    Operation(
        "setup_intents.list", "GET", "setup_intents",
        setup_params.ListSetups, setup_intents.list_all,
    ),
    Operation(
        "setup_intents.retrieve", "GET", "setup_intents/{}",
        intent_params.RetrieveIntent, setup_intents.retrieve, for_browsers=True,
    ),
    Operation(
        "setup_intents.update", "POST", "setup_intents/{}",
        setup_params.UpdateSetup, setup_intents.update,
    ),
    Operation(
        "setup_intents.confirm", "POST", "setup_intents/{}/confirm",
        setup_params.ConfirmSetup, setup_intents.confirm, takes_time=True,
    ),
    Operation(
        "setup_intents.cancel", "POST", "setup_intents/{}/cancel",
        setup_params.CancelSetup, setup_intents.cancel,
    ),
    Operation("charges.list", "GET", "charges", charges.ListCharges, charges.list_all),
    Operation("charges.retrieve", "GET", "charges/{}", Expandable, charges.retrieve),
    Operation("charges.update", "POST", "charges/{}", charges.UpdateCharge, charges.update),
    Operation("refunds.create", "POST", "refunds", refunds.CreateRefund, refunds.create),
    Operation("refunds.list", "GET", "refunds", refunds.ListRefunds, refunds.list_all),
    Operation("refunds.retrieve", "GET", "refunds/{}", Expandable, refunds.retrieve),
    Operation("refunds.update", "POST", "refunds/{}", refunds.UpdateRefund, refunds.update),
    Operation("refunds.cancel", "POST", "refunds/{}/cancel", Expandable, refunds.cancel),
    Operation("disputes.list", "GET", "disputes", dispute_bodies.ListDisputes, disputes.list_all),
    Operation("disputes.retrieve", "GET", "disputes/{}", Expandable, disputes.retrieve),
    Operation(
        "disputes.update", "POST", "disputes/{}", dispute_bodies.UpdateDispute, disputes.update
    ),
    Operation("disputes.close", "POST", "disputes/{}/close", Expandable, disputes.close),
    Operation("events.list", "GET", "events", events.ListEvents, events.list_all),
    Operation("events.retrieve", "GET", "events/{}", Expandable, events.retrieve),
    Operation(
        "balance_transactions.list", "GET", "balance_transactions",
        balance_transactions.ListTransactions, balance_transactions.list_all,
    ),
    Operation(
        "balance_transactions.retrieve", "GET", "balance_transactions/{}",
        Expandable, balance_transactions.retrieve,
    ),
    Operation(
        "webhook_endpoints.create", "POST", "webhook_endpoints",
        webhook_endpoints.CreateEndpoint, webhook_endpoints.create,
    ),
    Operation(
        "webhook_endpoints.list", "GET", "webhook_endpoints",
        ListParams, webhook_endpoints.list_all,
    ),
    Operation(
        "webhook_endpoints.retrieve", "GET", "webhook_endpoints/{}",
        Expandable, webhook_endpoints.retrieve,
    ),
    Operation(
        "webhook_endpoints.update", "POST", "webhook_endpoints/{}",
        webhook_endpoints.UpdateEndpoint, webhook_endpoints.update,
    ),
    Operation(
        "webhook_endpoints.delete", "DELETE", "webhook_endpoints/{}",
        Params, webhook_endpoints.delete,
    ),
    Operation("products.create", "POST", "products", products.CreateProduct, products.create),
    Operation("products.list", "GET", "products", products.ListProducts, products.list_all),
    Operation("products.retrieve", "GET", "products/{}", Expandable, products.retrieve),
    Operation("products.update", "POST", "products/{}", products.UpdateProduct, products.update),
    Operation("prices.create", "POST", "prices", prices.CreatePrice, prices.create),
    Operation("prices.list", "GET", "prices", prices.ListPrices, prices.list_all),
    Operation("prices.retrieve", "GET", "prices/{}", Expandable, prices.retrieve),
    Operation("prices.update", "POST", "prices/{}", prices.UpdatePrice, prices.update),
    Operation(
        "checkout_sessions.create", "POST", "checkout/sessions",
        checkout_params.CreateSession, checkout_sessions.create,
    ),
    Operation(
        "checkout_sessions.list", "GET", "checkout/sessions",
        checkout_params.ListSessions, checkout_sessions.list_all,
    ),
    Operation(
        "checkout_sessions.retrieve", "GET", "checkout/sessions/{}",
        Expandable, checkout_sessions.retrieve,
    ),
    Operation(
        "checkout_sessions.expire", "POST", "checkout/sessions/{}/expire",
        Expandable, checkout_sessions.expire,
    ),
    Operation(
        "checkout_sessions.list_line_items", "GET", "checkout/sessions/{}/line_items",
        ListParams, checkout_sessions.list_line_items,
    ),
    Operation(
        "payment_pages.retrieve", "GET", "payment_pages/{}",
        Expandable, checkout_payment.retrieve_page, for_browsers=True,
    ),
    Operation(
        "payment_pages.confirm", "POST", "payment_pages/{}/confirm",
        checkout_params.ConfirmPage, checkout_payment.confirm_page,
        takes_time=True, for_browsers=True,
    ),
)  # fmt: skip
NAMES = frozenset(operation.name for operation in _OPERATIONS)
_TWO_WORDS = "checkout/"
_BY_SHAPE = {(operation.method, operation.path): operation for operation in _OPERATIONS}


def find(method: str, path: str) -> Found:
    """Find the operation of a path below `/v1`; nouns and ids alternate in it.

    `checkout/sessions` is one noun.
    """
    below = path.removeprefix("/v1/").rstrip("/")
    space = _TWO_WORDS if below.startswith(_TWO_WORDS) else ""
    parts = below.removeprefix(space).split("/")
    shape = space + "/".join("{}" if index % 2 else part for index, part in enumerate(parts))
    ids = parts[1::2]
    operation = _BY_SHAPE.get((method, shape))
    if not operation:
        raise ApiError(
            404,
            "invalid_request_error",
            f"Unrecognized request URL ({method}: {path}). If you are trying to list objects,"
            " remove the trailing slash. If you are trying to retrieve an object, make sure you"
            " passed a valid (non-empty) identifier in your code.",
            stored=False,
        )
    return Found(operation, ids[0] if ids else "", ids[1] if len(ids) > 1 else "")
