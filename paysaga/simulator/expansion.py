"""`expand[]`: ids in an answer replaced by the objects they name."""

from paysaga.simulator import checkout_sessions
from paysaga.simulator.calls import Call
from paysaga.simulator.errors import invalid
from paysaga.simulator.lists import ListParams
from paysaga.simulator.storage import Body

_DEPTH = 4
_SOURCES = {"re": "refund", "du": "dispute"}
_EXPANDABLE = {
    "payment_intent": {
        "customer": "customer",
        "latest_charge": "charge",
        "payment_method": "payment_method",
    },
    "setup_intent": {
        "customer": "customer",
        "latest_attempt": "setup_attempt",
        "payment_method": "payment_method",
    },
    "charge": {
        "balance_transaction": "balance_transaction",
        "failure_balance_transaction": "balance_transaction",
        "customer": "customer",
        "payment_intent": "payment_intent",
        "refunds": "refunds",
    },
    "refund": {
        "balance_transaction": "balance_transaction",
        "failure_balance_transaction": "balance_transaction",
        "charge": "charge",
        "payment_intent": "payment_intent",
    },
    "dispute": {"charge": "charge", "payment_intent": "payment_intent"},
    "payment_method": {"customer": "customer"},
    "customer": {"invoice_settings": "", "default_payment_method": "payment_method"},
    "balance_transaction": {"source": "source"},
    "checkout.session": {
        "customer": "customer",
        "line_items": "line_items",
        "payment_intent": "payment_intent",
    },
    "item": {"price": "price"},
    "price": {"product": "product"},
    "product": {"default_price": "price"},
}


def expand(call: Call, body: Body, paths: list[str]) -> Body:
    """Fill in every path; one that leads nowhere is refused with 400."""
    for path in paths:
        parts = path.split(".")
        if len(parts) > _DEPTH:
            raise invalid(f"You cannot expand more than 4 levels of a property ({path}).")
        _fill(call, body, parts, path, str(body.get("object")))
    return body


def _fill(call: Call, node: Body, parts: list[str], path: str, holder: str) -> None:
    name, rest = parts[0], parts[1:]
    if holder == "list" and name == "data":
        for item in node["data"]:
            _fill(call, item, rest, path, str(item.get("object")))
        return
    kind = _EXPANDABLE.get(holder, {}).get(name)
    if kind is None:
        raise invalid(f"This property cannot be expanded ({path}).", param="expand")
    if kind == "":
        _fill(call, node[name], rest, path, holder)
        return
    node[name] = _object(call, node, name, kind)
    if rest and isinstance(node[name], dict):
        _fill(call, node[name], rest, path, str(node[name].get("object")))


def _object(call: Call, node: Body, name: str, kind: str) -> object:
    value = node.get(name)
    if kind == "refunds":
        return refunds_of(call, node["id"])
    if kind == "line_items":
        return checkout_sessions.lines_of(call, node["id"], ListParams())
    if not isinstance(value, str):
        return value
    if kind == "source":
        kind = _SOURCES.get(value.partition("_")[0], "charge")
    record = call.storage.get(kind, value) or call.storage.get(f"deleted_{kind}", value)
    return record.body if record else value


def refunds_of(call: Call, charge: str) -> Body:
    """List a charge's refunds the way the charge itself encloses them."""
    page = call.storage.page("refund", [("charge = ?", charge)], limit=10)
    return {
        "object": "list",
        "data": [record.body for record in page.records],
        "has_more": page.has_more,
        "url": f"/v1/charges/{charge}/refunds",
    }
