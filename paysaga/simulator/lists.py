"""Stripe's lists: newest first, by cursor, with the filters each kind of object allows."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from paysaga.simulator.calls import Call
from paysaga.simulator.errors import invalid, malformed
from paysaga.simulator.forms import Expandable, Integer, Params
from paysaga.simulator.storage import Body, Record

_LARGEST_PAGE = 100


def _page_size(value: int) -> int:
    if not 1 <= value <= _LARGEST_PAGE:
        raise PydanticCustomError(
            "parameter_invalid_integer", "This value must be between 1 and 100."
        )
    return value


class Range(Params):
    """Bounds on `created`, in Unix seconds."""

    gt: Integer | None = None
    gte: Integer | None = None
    lt: Integer | None = None
    lte: Integer | None = None


def _exact_is_range(value: Any) -> Any:
    return {"gte": value, "lte": value} if isinstance(value, str) else value


Created = Annotated[Range, BeforeValidator(_exact_is_range)]


class ListParams(Expandable):
    """What every list takes."""

    limit: Annotated[Integer, AfterValidator(_page_size)] = 10
    starting_after: str | None = None
    ending_before: str | None = None


class DatedListParams(ListParams):
    """A list that can be narrowed by time."""

    created: Created = Field(default_factory=Range)


_BOUNDS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def listed(
    call: Call,
    kind: str,
    url: str,
    params: ListParams,
    *,
    equal: Mapping[str, object] | None = None,
    wheres: tuple[tuple[str, object], ...] = (),
) -> tuple[Body, list[Record]]:
    """Answer with one page; `equal` are columns to match where a value is given."""
    conditions = [
        (f"{name} = ?", value) for name, value in (equal or {}).items() if value is not None
    ]
    conditions += wheres
    if isinstance(params, DatedListParams):
        bounds = params.created.model_dump(exclude_none=True)
        conditions += [(f"created {_BOUNDS[name]} ?", value) for name, value in bounds.items()]
    if params.starting_after and params.ending_before:
        raise malformed("You may only specify one of: ending_before, starting_after.")
    if params.starting_after:
        conditions.append(("seq < ?", _place(call, kind, params.starting_after, "starting_after")))
    if params.ending_before:
        conditions.append(("seq > ?", _place(call, kind, params.ending_before, "ending_before")))
    page = call.storage.page(
        kind, conditions, limit=params.limit, upwards=bool(params.ending_before)
    )
    body = {
        "object": "list",
        "url": url,
        "has_more": page.has_more,
        "data": [record.body for record in page.records],
    }
    return body, page.records


def _place(call: Call, kind: str, identifier: str, param: str) -> int:
    record = call.storage.get(kind, identifier)
    if not record:
        raise invalid(f"No such {kind}: '{identifier}'", code="resource_missing", param=param)
    return record.seq
