"""The page about events tells the truth."""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from paysaga.events.shapes import Event, EventType

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/events.md").read_text("utf-8")
SCHEMA = ROOT / "docs/events.schema.json"
EXAMPLES = dict(re.findall(r"^\| `(payment\.\w+)` \|.*\| `(\{.*\})` \|$", PAGE, re.MULTILINE))


def the_example() -> dict[str, Any]:
    """The one that is shown whole."""
    [whole] = [
        block for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL) if "sequence" in block
    ]
    return dict(json.loads(whole))


def test_every_type_has_an_example() -> None:
    """Nothing is sent that a reader of the page has not seen."""
    assert set(EventType) == set(EXAMPLES)


@pytest.mark.parametrize("kind", EventType)
def test_each_example_is_an_event(kind: EventType) -> None:
    """It could have come so, and a status that is new has given it its name."""
    whole = the_example()
    told = json.loads(EXAMPLES[kind])

    event = Event.model_validate({**whole, "type": kind, "data": {**whole["data"], **told}})

    assert set(told) <= set(whole["data"])
    word = kind.value.partition(".")[2]
    assert word in {event.data.status, "refunded", "updated"}


def test_the_example_has_every_field() -> None:
    """And each of its moments has a zone."""
    whole = the_example()

    assert set(Event.model_fields) == set(whole)
    assert set(Event.model_fields["data"].annotation.model_fields) == set(whole["data"])  # type: ignore[union-attr]
    assert datetime.fromisoformat(whole["created_at"]).tzinfo is not None


def test_the_schema_beside_it_is_todays() -> None:
    """Written anew with `python -m paysaga.events > docs/events.schema.json`."""
    assert Event.model_json_schema(mode="serialization") == json.loads(SCHEMA.read_text("utf-8"))
