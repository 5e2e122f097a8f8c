"""Checkout Sessions: made by the shop, paid on the hosted page, or expired."""

import re

from paysaga.simulator import checkout_bodies, intents, prices
from paysaga.simulator.calls import Call
from paysaga.simulator.checkout_params import CreateSession, LineItem, ListSessions
from paysaga.simulator.currencies import check_amount
from paysaga.simulator.errors import invalid, malformed, types_gone
from paysaga.simulator.events import emit
from paysaga.simulator.forms import Expandable
from paysaga.simulator.lists import ListParams, listed
from paysaga.simulator.settlement import later
from paysaga.simulator.storage import Body, Record

_ADDRESS = re.compile(r"https?://[^/\s]\S*")
_SHORTEST_SECONDS = 30 * 60
_LONGEST_SECONDS = 24 * 3600


def create(call: Call, params: CreateSession) -> Body:
    """Make a session; nothing is charged, and no intent is made, before somebody pays."""
    if call.is_endive and params.payment_method_types is not None:
        raise types_gone()
    _check_address(params.success_url, "success_url")
    if params.cancel_url:
        _check_address(params.cancel_url, "cancel_url")
    expires_at = _checked_end(call, params.expires_at)
    email = _known_email(call, params)
    items = [_item(call, each, index) for index, each in enumerate(params.line_items)]
    currency = _common_currency(items)
    total = sum(each["amount_total"] for each in items)
    if total:
        check_amount(total, currency, "line_items")
    body = checkout_bodies.session(
        call, params, total=total, currency=currency, expires_at=expires_at, email=email
    )
    data = params.payment_intent_data.model_dump(exclude_unset=True)
    record = Record("checkout.session", body, {"payment_intent_data": data, "email": email})
    call.storage.put(record)
    for each in reversed(items):  # lists show the newest first, a session its first line
        call.storage.put(Record("item", each, {"session": record.id}))
    later(call, "expire_session", record, expires_at - call.exact_now)
    return body


def retrieve(call: Call, _params: Expandable) -> Body:
    """Answer with one session."""
    return call.own("checkout.session", "session").body


def list_all(call: Call, params: ListSessions) -> Body:
    """List sessions."""
    wheres: list[tuple[str, object]] = []
    if params.status:
        wheres.append(("body ->> '$.status' = ?", params.status))
    if params.customer_details:
        wheres.append(("body ->> '$.customer_details.email' = ?", params.customer_details.email))
    equal = {"customer": params.customer, "payment_intent": params.payment_intent}
    body, _ = listed(
        call, "checkout.session", "/v1/checkout/sessions", params, equal=equal, wheres=tuple(wheres)
    )
    return body


def list_line_items(call: Call, params: ListParams) -> Body:
    """List the lines of one session, in their own order."""
    session = call.own("checkout.session", "session")
    return lines_of(call, session.id, params)


def lines_of(call: Call, session: str, params: ListParams) -> Body:
    """List the lines the way the session itself encloses them."""
    url = f"/v1/checkout/sessions/{session}/line_items"
    mine = ("private ->> '$.session' = ?", session)
    body, _ = listed(call, "item", url, params, wheres=(mine,))
    return body


def expire(call: Call, _params: Expandable) -> Body:
    """Close an open session for good; nobody can pay it any more."""
    record = call.own("checkout.session", "session")
    if record.body["status"] != "open":
        raise invalid(
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout'
            f" Session has a status of `{record.body['status']}`."
        )
    _close(call, record)
    return record.body


def _expire_in_time(call: Call) -> None:
    record = call.own("checkout.session")
    if record.body["status"] == "open":
        _close(call, record)


def _close(call: Call, record: Record) -> None:
    record.body |= {"status": "expired", "url": None}
    call.storage.put(record)
    if record.body["payment_intent"]:
        intent = call.other("payment_intent", record.body["payment_intent"], "payment_intent")
        intents.close(call, intent, "expired")
    emit(call, "checkout.session.expired", record.body)


def _check_address(value: str, param: str) -> None:
    if not _ADDRESS.fullmatch(value):
        raise malformed("Not a valid URL", code="url_invalid", param=param)


def _checked_end(call: Call, wanted: int | None) -> int:
    end = call.now + _LONGEST_SECONDS if wanted is None else wanted
    if end < call.now + _SHORTEST_SECONDS:
        raise invalid(
            "The `expires_at` timestamp must be at least 30 minutes from Checkout Session"
            " creation.",
            param="expires_at",
        )
    if end > call.now + _LONGEST_SECONDS:
        raise invalid(
            "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.",
            param="expires_at",
        )
    return end


def _known_email(call: Call, params: CreateSession) -> str:
    if params.customer and params.customer_email:
        raise malformed("You may only specify one of these parameters: customer, customer_email.")
    if params.customer:
        return call.other("customer", params.customer, "customer").body["email"] or ""
    return params.customer_email or ""


def _item(call: Call, given: LineItem, index: int) -> Body:
    param = f"line_items[{index}]"
    if given.price and not given.price_data:
        price = call.other("price", given.price, f"{param}[price]").body
    elif given.price_data and not given.price:
        price = prices.made_of(call, given.price_data, f"{param}[price_data]", active=False)
    else:
        raise malformed("You must specify exactly one of `price` or `price_data`.", param=param)
    if given.price and not price["active"]:
        raise invalid(
            f"The price specified is inactive. This field only accepts active prices: {param}.",
            param=f"{param}[price]",
        )
    if price["recurring"]:
        raise invalid(
            "You specified `payment` mode but passed a recurring price. Either switch to"
            " `subscription` mode or use only one-time prices.",
            param=f"{param}[price]",
        )
    product = call.other("product", price["product"], f"{param}[price]")
    return checkout_bodies.item(given, price, product.body["name"])


def _common_currency(items: list[Body]) -> str:
    currencies = {str(each["currency"]) for each in items}
    if len(currencies) > 1:
        raise invalid(
            "All prices on a Checkout Session must have the same currency:"
            f" {', '.join(sorted(currencies))}.",
            param="line_items",
        )
    return currencies.pop()


STEPS = {"expire_session": _expire_in_time}
