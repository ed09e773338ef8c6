"""The JSON schema of a call, from the keys that it is shown with and the row that they come from."""

from __future__ import annotations

import msgspec

from ...records import Call
from ...store.view import BODY_KEYS, KEYS
from .shapes import JSON, MOMENT

_TEXTS: JSON = {"type": ["string", "null"]}
_OBJECTS: JSON = {"type": ["array", "null"], "items": {"type": "object"}}
_BODIES: dict[str, JSON] = {
    "system_prompt": _TEXTS,
    "input": _OBJECTS,
    "output": _TEXTS,
    "tool_calls": _OBJECTS,
    "reasoning": _TEXTS,
    "refusal": _TEXTS,
    "retrieved": _OBJECTS,
}
_ROW: JSON = msgspec.json.schema(Call)["$defs"]["Call"]["properties"]


def _of(key: str) -> JSON:
    if key in _BODIES:
        return _BODIES[key]
    if key in _ROW:
        return {name: value for name, value in _ROW[key].items() if name != "default"}
    return MOMENT if key.endswith("_at") else {"type": ["number", "null"]}


def _shape(keys: list[str], required: list[str], summary: str) -> JSON:
    return {
        "type": "object",
        "description": summary,
        "required": required,
        "properties": {key: _of(key) for key in keys},
        "additionalProperties": False,
    }


_ROW_KEYS = [key for key in KEYS if key not in BODY_KEYS]
CALL = _shape([*KEYS], [*KEYS], "A call. What is unknown is null, and so is what was said where bodies are gone.")
LISTED_CALL = _shape([*KEYS], _ROW_KEYS, "A call; what was said only where fields= asks for it.")
