"""JSON schemas of what the API answers, made from the values that it shows."""

from __future__ import annotations

from typing import Any

import msgspec

JSON = dict[str, Any]

MOMENT: JSON = {"type": "string", "format": "date-time"}
NEXT: JSON = {"type": ["string", "null"], "description": "cursor of the next page; null: this is the last one"}


def listed(name: str, kind: type[msgspec.Struct], **more: JSON) -> JSON:
    """An object that holds a list of these structs under ``name``, and ``more`` beside it."""
    return holding(**{name: listing(shown(kind))}, **more)


def listing(items: JSON) -> JSON:
    """A list of these."""
    return {"type": "array", "items": items}


def holding(**properties: JSON) -> JSON:
    """An object with these keys, all of them there."""
    return {"type": "object", "required": list(properties), "properties": properties}


def shown(kind: type[msgspec.Struct]) -> JSON:
    """A struct as it is shown: every key is there."""
    schema = msgspec.json.schema(kind)
    for part in schema["$defs"].values():
        part["required"] = list(part.get("properties", ()))
    return schema
