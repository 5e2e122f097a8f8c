"""What is wrong with the fields of a request, without repeating what they hold."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

_LONGEST_NAME: Final = 64


def field_of(where: Sequence[str | int]) -> str:
    """The field's name as the caller wrote it; where an unknown field was named, in plain ASCII."""
    name = ".".join(str(part) for part in where)
    return name.encode("ascii", "replace").decode()[:_LONGEST_NAME]


def what_is_wrong(detail: Mapping[str, Any]) -> str:
    """The sentence of one of pydantic's errors."""
    return str(detail["msg"]).removeprefix("Value error, ")
