"""Anything that has no dialect of its own: how much was sent is known from the row, little else.

Picks out what nearly every JSON API has in common (the model asked for, an error object) and
leaves the rest to the raw bytes. Of an answer that is not a JSON object it cannot tell whether it
is whole: ``terminal`` is None, and the HTTP framing decides.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from ..records import Parsed
from .base import Bodies, is_event_stream
from .failures import failure
from .json_values import Notes, name


class _Envelope(Struct):
    """The few fields looked for, of whatever type."""

    model: Any = None
    stream: Any = None
    error: Any = None
    message: Any = None
    detail: Any = None


_decode = msgspec.json.Decoder(_Envelope).decode


class Generic:
    """The dialect of last resort."""

    name = "generic"

    def parse(self, bodies: Bodies) -> Parsed:
        """What can be told without knowing the format."""
        notes = Notes(bodies.notes)
        request, answer = _envelope(bodies.request), _envelope(bodies.response)
        streamed = is_event_stream(bodies.response_headers)
        value = msgspec.to_builtins(answer) if answer else None
        failed = failure(value, bodies.response, bodies.http_status)
        return Parsed(
            stream=streamed or (request.stream if request and isinstance(request.stream, bool) else None),
            model_requested=name(request.model, "model", notes) if request else None,
            model=name(answer.model, "model of the answer", notes) if answer else None,
            error_type=failed.type if failed else None,
            error_message=failed.message if failed else None,
            terminal=True if answer else None,
            notes=notes.all(),
        )


def _envelope(body: bytes) -> _Envelope | None:
    """A JSON object's common fields; None for anything else."""
    if not body[:16].lstrip().startswith(b"{"):
        return None
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
