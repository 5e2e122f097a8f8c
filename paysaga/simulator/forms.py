"""Form-encoded parameters: brackets to nested values, and what Stripe says of wrong ones."""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from paysaga.simulator.errors import ApiError, malformed

_PART = re.compile(r"[^\[\]]+|(?<=\[)(?=\])")
_INTEGER = re.compile(r"-?\d{1,15}")
_METADATA_KEYS, _KEY_LENGTH, _VALUE_LENGTH = 50, 40, 500


def pairs(query: str, body: str) -> list[tuple[str, str]]:
    """Split query string and form body into names and values."""
    return [
        *parse_qsl(query, keep_blank_values=True),
        *parse_qsl(body, keep_blank_values=True),
    ]


def nest(flat: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Turn `a[b][0]=x` into `{"a": {"b": ["x"]}}`."""
    root: dict[str, Any] = {}
    for name, value in flat:
        node = root
        parts = _PART.findall(name) or [name]
        for part in parts[:-1]:
            child = node.setdefault(part or str(len(node)), {})
            if not isinstance(child, dict):
                raise malformed(f"Invalid object: {name}", param=name)
            node = child
        node[parts[-1] or str(len(node))] = value
    return {name: _listed(value, name) for name, value in root.items()}


def _listed(value: Any, name: str) -> Any:
    """Make lists of what is numbered; the keys of metadata are names even if they are numbers."""
    if not isinstance(value, dict) or name == "metadata":
        return value
    inner = {child: _listed(grandchild, child) for child, grandchild in value.items()}
    if inner and all(child.isdigit() for child in inner):
        return [inner[child] for child in sorted(inner, key=int)]
    return inner


def _integer(value: object) -> object:
    if isinstance(value, str):
        if not _INTEGER.fullmatch(value):
            raise PydanticCustomError(
                "parameter_invalid_integer", "Invalid integer: {value}", {"value": value}
            )
        return int(value)
    return value


def _flag(value: object) -> object:
    if isinstance(value, str):
        if value not in ("true", "false"):
            raise PydanticCustomError("", "Invalid boolean: {value}", {"value": value})
        return value == "true"
    return value


def _blank_is_none(value: object) -> object:
    return None if value == "" else value


def _metadata(value: object) -> object:
    if value == "":
        return {}
    if isinstance(value, dict):
        if len(value) > _METADATA_KEYS:
            raise PydanticCustomError("", "You may only specify up to 50 metadata keys.")
        for key, item in value.items():
            if len(key) > _KEY_LENGTH or (isinstance(item, str) and len(item) > _VALUE_LENGTH):
                raise PydanticCustomError(
                    "", "Metadata keys take up to 40 and values up to 500 characters."
                )
    return value


Integer = Annotated[int, BeforeValidator(_integer)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Text = Annotated[str, Field(max_length=5000)]
Blankable = Annotated[Text | None, BeforeValidator(_blank_is_none)]
LongText = Annotated[str, Field(max_length=20_000)]
LongBlankable = Annotated[LongText | None, BeforeValidator(_blank_is_none)]
Metadata = Annotated[dict[str, str], BeforeValidator(_metadata)]


class Params(BaseModel):
    """What an operation takes. Anything else is refused, at every depth."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Expandable(Params):
    """Parameters of an operation that answers with one object."""

    expand: list[str] = Field(default_factory=list)


P = TypeVar("P", bound=Params)


def parse(model: type[P], values: Mapping[str, Any]) -> P:
    """Check the parameters; the first thing wrong is what Stripe complains about."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _complaint(error.errors(include_url=False)) from error


def _complaint(found: list[ErrorDetails]) -> ApiError:
    first = next((e for e in found if e["type"] == "extra_forbidden"), found[0])
    param = _bracketed(first["loc"])
    kind = first["type"]
    if kind == "extra_forbidden":
        return malformed(
            f"Received unknown parameter: {param}", code="parameter_unknown", param=param
        )
    if kind == "missing":
        return malformed(f"Missing required param: {param}.", code="parameter_missing", param=param)
    if kind.startswith("parameter_"):
        return malformed(first["msg"], code=kind, param=param)
    return malformed(f"Invalid {param}: {first['msg']}", param=param)


def _bracketed(loc: tuple[int | str, ...]) -> str:
    head, *rest = loc
    return str(head) + "".join(f"[{part}]" for part in rest)
