"""Prices: how much one unit of a product costs, once or again and again."""

from typing import Literal

from pydantic import Field

from paysaga.simulator import products
from paysaga.simulator.calls import Call
from paysaga.simulator.currencies import checked_currency
from paysaga.simulator.errors import malformed
from paysaga.simulator.events import emit
from paysaga.simulator.forms import Blankable, Expandable, Flag, Integer, Metadata, Params, Text
from paysaga.simulator.ids import new_id
from paysaga.simulator.lists import DatedListParams, listed
from paysaga.simulator.products import ProductData
from paysaga.simulator.shapes import changed
from paysaga.simulator.storage import Body, Record, dumps

_PLAIN = ("active", "lookup_key", "nickname", "tax_behavior")
_LOOKED_UP = "EXISTS (SELECT 1 FROM json_each(?) WHERE value = objects.body ->> '$.lookup_key')"
TaxBehavior = Literal["exclusive", "inclusive", "unspecified"]


class Recurring(Params):
    """How often a price is due; Checkout in `payment` mode takes none that is."""

    interval: Literal["day", "week", "month", "year"]
    interval_count: Integer = 1
    usage_type: Literal["licensed", "metered"] = "licensed"


class NewPrice(Params):
    """What a new price and the `price_data` of a line item have in common."""

    currency: Text
    product: Text | None = None
    product_data: ProductData | None = None
    recurring: Recurring | None = None
    tax_behavior: TaxBehavior = "unspecified"
    unit_amount: Integer


class CreatePrice(NewPrice, Expandable):
    """Parameters of create."""

    active: Flag = True
    billing_scheme: Literal["per_unit"] = "per_unit"
    lookup_key: Blankable = None
    metadata: Metadata = Field(default_factory=dict)
    nickname: Blankable = None


class UpdatePrice(Expandable):
    """Parameters of update; what a price costs never changes."""

    active: Flag = True
    lookup_key: Blankable = None
    metadata: Metadata = Field(default_factory=dict)
    nickname: Blankable = None
    tax_behavior: TaxBehavior = "unspecified"


class ListPrices(DatedListParams):
    """Filters of the price list."""

    active: Flag | None = None
    currency: str | None = None
    lookup_keys: list[str] | None = None
    product: str | None = None
    type: Literal["one_time", "recurring"] | None = None


def create(call: Call, params: CreatePrice) -> Body:
    """Create a price, of a product that is there or described."""
    return made_of(call, params, active=params.active)


def made_of(call: Call, data: NewPrice, param: str = "", *, active: bool = True) -> Body:
    """Make and keep a price, and tell of it; `param` is where in the call it was described."""
    if data.unit_amount < 0:
        raise malformed(
            "This value must be greater than or equal to 0.",
            code="parameter_invalid_integer",
            param=f"{param}[unit_amount]" if param else "unit_amount",
        )
    currency = checked_currency(data.currency)
    recurring = data.recurring
    body: Body = {
        "id": new_id("price_1"),
        "object": "price",
        "billing_scheme": "per_unit",
        "created": call.now,
        "currency": currency,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": _product(call, data, param, active=active),
        "recurring": recurring.model_dump() | {"meter": None} if recurring else None,
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring" if recurring else "one_time",
        "unit_amount": data.unit_amount,
        "unit_amount_decimal": str(data.unit_amount),
    }
    changed(body, data, *_PLAIN)
    body["active"] = active
    call.storage.put(Record("price", body))
    emit(call, "price.created", body)
    return body


def retrieve(call: Call, _params: Expandable) -> Body:
    """Answer with one price."""
    return call.own("price", "price").body


def update(call: Call, params: UpdatePrice) -> Body:
    """Change the describing parts."""
    record = call.own("price", "price")
    before = {**record.body}
    changed(record.body, params, *_PLAIN)
    call.storage.put(record)
    previous = {name: before[name] for name in before if before[name] != record.body[name]}
    emit(call, "price.updated", record.body, previous)
    return record.body


def list_all(call: Call, params: ListPrices) -> Body:
    """List prices."""
    wheres: list[tuple[str, object]] = []
    if params.active is not None:
        wheres.append(("body ->> '$.active' = ?", int(params.active)))
    if params.product:
        wheres.append(("body ->> '$.product' = ?", params.product))
    if params.lookup_keys:
        wheres.append((_LOOKED_UP, dumps(params.lookup_keys)))
    equal = {"currency": params.currency, "type": params.type}
    body, _ = listed(call, "price", "/v1/prices", params, equal=equal, wheres=tuple(wheres))
    return body


def _product(call: Call, data: NewPrice, param: str, *, active: bool) -> str:
    name = f"{param}[product]" if param else "product"
    if data.product and not data.product_data:
        return call.other("product", data.product, name).id
    if data.product_data and not data.product:
        return str(products.made_of(call, data.product_data, active=active)["id"])
    raise malformed(
        "You must specify exactly one of `product` or `product_data`.",
        code=None if data.product else "parameter_missing",
        param=name,
    )
