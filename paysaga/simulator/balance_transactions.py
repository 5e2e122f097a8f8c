"""The seller's balance: what came in, what went out, and Stripe's fee."""

from paysaga.simulator.calls import Call
from paysaga.simulator.forms import Expandable
from paysaga.simulator.ids import new_id
from paysaga.simulator.lists import DatedListParams, listed
from paysaga.simulator.storage import Body, Record

_FEE_PER_MILLE, _FEE_FIXED = 29, 30
_AVAILABLE_AFTER_SECONDS = 2 * 24 * 3600


class ListTransactions(DatedListParams):
    """Filters of the list."""

    currency: str | None = None
    source: str | None = None
    type: str | None = None


def fee(amount: int) -> int:
    """Work out Stripe's fee on a charge: 2.9 % and 30 minor units, half units rounded up."""
    return (amount * _FEE_PER_MILLE + 500) // 1000 + _FEE_FIXED


def book(call: Call, kind: str, source: str, amount: int, currency: str, cost: int = 0) -> str:
    """Book one movement and answer with its id; money that leaves is negative."""
    fees = {
        "amount": cost,
        "application": None,
        "currency": currency,
        "description": "Stripe processing fees",
        "type": "stripe_fee",
    }
    body: Body = {
        "id": new_id("txn_3"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": call.now + _AVAILABLE_AFTER_SECONDS,
        "balance_type": "payments",
        "created": call.now,
        "currency": currency,
        "description": None,
        "exchange_rate": None,
        "fee": cost,
        "fee_details": [fees] if cost else [],
        "net": amount - cost,
        "reporting_category": kind.removeprefix("payment_"),
        "source": source,
        "status": "pending",
        "type": kind,
    }
    call.storage.put(Record("balance_transaction", body))
    return str(body["id"])


def adjust(
    call: Call, source: str, amount: int, currency: str, cost: int, told: str, category: str
) -> Body:
    """Book what a dispute moves, and answer with it; money that leaves is negative."""
    identifier = book(call, "adjustment", source, amount, currency, cost)
    record = call.other("balance_transaction", identifier, "source")
    record.body |= {"description": told, "reporting_category": category}
    for fee_detail in record.body["fee_details"]:
        fee_detail["description"] = "Dispute fee"
    call.storage.put(record)
    return record.body


def retrieve(call: Call, _params: Expandable) -> Body:
    """Answer with one movement."""
    return _aged(call, call.own("balance_transaction").body)


def list_all(call: Call, params: ListTransactions) -> Body:
    """List movements."""
    equal = {"currency": params.currency, "source": params.source, "type": params.type}
    body, _ = listed(call, "balance_transaction", "/v1/balance_transactions", params, equal=equal)
    body["data"] = [_aged(call, transaction) for transaction in body["data"]]
    return body


def _aged(call: Call, body: Body) -> Body:
    return body | {"status": "available" if call.now >= body["available_on"] else "pending"}
