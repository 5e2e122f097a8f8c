"""Prints the form of events as JSON Schema, which `docs/events.schema.json` holds."""

import json
import sys

from paysaga.events.shapes import Event

if __name__ == "__main__":
    schema = Event.model_json_schema(mode="serialization")
    sys.stdout.write(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")
