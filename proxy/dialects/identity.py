"""What a request's body says of who asks: flat, by the field's own name. What it means is said elsewhere.

All dialects put the same few fields to the same use, at the top of the body or under ``metadata``;
``wire.identity`` maps their names to user, session, trace and the rest.
"""

from __future__ import annotations

from typing import Any

from .json_values import Notes, compact, kind, mapping

FIELDS = (
    "user", "safety_identifier", "prompt_cache_key", "litellm_session_id", "litellm_trace_id", "session_id",
    "conversation", "conversation_id", "previous_response_id", "store", "service_tier", "prompt", "labels", "tags",
)  # fmt: skip
#: Of those whose value is an object: the parts that name something.
_PARTS = {"prompt": ("id", "version"), "conversation": ("id",)}
_MOST = 64
_LONGEST = 4096


def identity(request: dict[str, Any], notes: Notes) -> dict[str, str]:
    """Dotted name → text: ``user``, ``metadata.team``, ``prompt.id``. Values that are no text, in their JSON form."""
    found: dict[str, str] = {}
    for name in FIELDS:
        value = request.get(name)
        if value is None:
            continue
        if isinstance(value, dict):
            wanted = _PARTS.get(name, tuple(value))
            _take(found, {f"{name}.{part}": value.get(part) for part in wanted}, name, notes)
        elif name not in _PARTS or name == "conversation":  # a prompt that is a text is what was asked
            _take(found, {name: value}, name, notes)
    metadata = request.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        notes.add(f"metadata is {kind(metadata)}, not an object")
    _take(found, {f"metadata.{key}": value for key, value in mapping(metadata).items()}, "metadata", notes)
    return found


def _take(found: dict[str, str], values: dict[str, Any], what: str, notes: Notes) -> None:
    for name, value in values.items():
        shown = None if value is None else compact(value)
        if shown is None:
            continue
        if len(name) + len(shown) > _LONGEST or len(found) == _MOST:
            notes.add(f"{what} has more, or longer, entries than are kept")
            if len(found) == _MOST:
                return
            continue
        found[name] = shown
