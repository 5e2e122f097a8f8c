"""Routing keys of the message broker: a template that names what an event is about."""

import re
from string import Formatter
from typing import Final

from paysaga.events.shapes import Event

BY_TYPE: Final = "{type}"

PLACEHOLDERS: Final = ("type", "object_type", "object_id", "environment")
# Of the protocol, in bytes.
_LONGEST: Final = 255
# As much room as each may need: our ids have 30 characters, an environment's name up to 40.
_ROOM: Final = 40
_PLAIN: Final = re.compile(r"[!-~]*")


def checked_template(template: str) -> str:
    """The template, if every event gets a routing key by it.

    Raises:
        ValueError: It would not; the sentence may be shown to whoever wrote it.
    """
    if not template:
        raise ValueError(f"A routing key is needed, such as {BY_TYPE}.")
    if not _PLAIN.fullmatch(template):
        raise ValueError("A routing key has no spaces, and nothing beyond ASCII.")
    room = sum(len(text) + (_ROOM if name else 0) for text, name in _parts(template))
    if room > _LONGEST:
        raise ValueError(
            f"The routing key may get longer than {_LONGEST} characters:"
            f" each placeholder counts as {_ROOM}."
        )
    return template


def routing_key(template: str, event: Event, environment: str) -> str:
    """The routing key of this event."""
    return template.format(
        type=event.type,
        object_type=event.object_type,
        object_id=event.object_id,
        environment=environment,
    )


def _parts(template: str) -> list[tuple[str, str | None]]:
    """Each text with the placeholder behind it, if there is one."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError:
        raise ValueError("The braces of the routing key do not match.") from None
    for _, name, form, conversion in parts:
        if name is not None and (name not in PLACEHOLDERS or form or conversion):
            known = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS)
            raise ValueError(f"A routing key knows {known}, written just so.")
    return [(text, name) for text, name, _, _ in parts]
