"""Products: what a price is the price of."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from paysaga.simulator.calls import Call
from paysaga.simulator.errors import invalid
from paysaga.simulator.events import emit
from paysaga.simulator.forms import Blankable, Expandable, Flag, Metadata, Params, Text
from paysaga.simulator.ids import new_id
from paysaga.simulator.lists import DatedListParams, listed
from paysaga.simulator.shapes import changed
from paysaga.simulator.storage import Body, Record, dumps

_PLAIN = (
    "active", "description", "images", "name", "shippable",
    "statement_descriptor", "tax_code", "unit_label", "url",
)  # fmt: skip
_AMONG = "EXISTS (SELECT 1 FROM json_each(?) WHERE value = objects.id)"
_Images = Annotated[list[str], BeforeValidator(lambda value: [] if value == "" else value)]


class ProductData(Params):
    """A product as a price or a line item describes it."""

    name: Text
    description: Blankable = None
    images: _Images = Field(default_factory=list)
    metadata: Metadata = Field(default_factory=dict)
    statement_descriptor: Blankable = None
    tax_code: Blankable = None
    unit_label: Blankable = None


class CreateProduct(ProductData, Expandable):
    """Parameters of create; `id` is free to choose."""

    id: Text | None = None
    active: Flag = True
    shippable: Flag | None = None
    url: Blankable = None


class UpdateProduct(Expandable):
    """Parameters of update."""

    active: Flag = True
    default_price: Text | None = None
    description: Blankable = None
    images: _Images = Field(default_factory=list)
    metadata: Metadata = Field(default_factory=dict)
    name: Text = ""
    shippable: Flag | None = None
    statement_descriptor: Blankable = None
    tax_code: Blankable = None
    unit_label: Blankable = None
    url: Blankable = None


class ListProducts(DatedListParams):
    """Filters of the product list."""

    active: Flag | None = None
    ids: list[str] | None = None


def create(call: Call, params: CreateProduct) -> Body:
    """Create a product."""
    if params.id and call.storage.get("product", params.id):
        raise invalid("Product already exists.", code="resource_already_exists", param="id")
    return made_of(call, params, params.id, active=params.active)


def made_of(
    call: Call, data: ProductData, identifier: str | None = None, *, active: bool = True
) -> Body:
    """Make and keep a product, and tell of it."""
    body: Body = {
        "id": identifier or f"prod_{new_id('')[:14]}",
        "object": "product",
        "created": call.now,
        "default_price": None,
        "description": None,
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": {},
        "name": data.name,
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "unit_label": None,
        "updated": call.now,
        "url": None,
    }
    changed(body, data, *_PLAIN)
    body["active"] = active
    call.storage.put(Record("product", body))
    emit(call, "product.created", body)
    return body


def retrieve(call: Call, _params: Expandable) -> Body:
    """Answer with one product."""
    return call.own("product").body


def update(call: Call, params: UpdateProduct) -> Body:
    """Change what is given, keep the rest."""
    record = call.own("product")
    before = {**record.body}
    if params.default_price:
        call.other("price", params.default_price, "default_price")
        record.body["default_price"] = params.default_price
    changed(record.body, params, *_PLAIN)
    record.body["updated"] = call.now
    call.storage.put(record)
    previous = {name: before[name] for name in before if before[name] != record.body[name]}
    emit(call, "product.updated", record.body, previous)
    return record.body


def list_all(call: Call, params: ListProducts) -> Body:
    """List products."""
    wheres: list[tuple[str, object]] = []
    if params.active is not None:
        wheres.append(("body ->> '$.active' = ?", int(params.active)))
    if params.ids:
        wheres.append((_AMONG, dumps(params.ids)))
    body, _ = listed(call, "product", "/v1/products", params, wheres=tuple(wheres))
    return body
